"""How far a guess gets that reads the question and neither sees nor hears."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from mirasol.media.toybox.families import make_scene
from mirasol.media.toybox.scene import QUESTION_TYPES, Question
from mirasol.media.toybox.things import COLOURS, KINDS

_NAMES = re.compile(r"\b(an? )?(" + "|".join(KINDS) + r")(s?)\b")
_HUES = re.compile(r"\b(an? )?(" + "|".join(COLOURS) + r")\b")
FITTING = 3  # scenes to learn the guesses from, per scene to guess in


def slotted(text: str) -> str:
    """The wording alone: names of kinds and colours replaced by a slot."""
    return _HUES.sub("<colour>", _NAMES.sub(r"<kind>\3", text))


def slotted_answer(question: Question) -> str:
    """The answer, or which of the names in the question it repeats: "first named", "second named"."""
    names = [match[1] for match in _NAMES.findall(question.text)]
    if question.answer in names:
        return ("first named", "second named")[names.index(question.answer)]
    return question.answer


def blind_figures(split: str = "test", scenes: int = 2000, *, by_needs: bool = False) -> dict[str, float]:
    """Percent right by question type of the best blind guess; "overall" is over all questions.

    `by_needs` adds a figure for each type and what it needs: "order/sound" beside "order".

    Two guessers learn the commonest answer from training scenes, one by exact text and one by wording, as a model
    could; each is then tried on `split`, and the better one counts, type by type.
    """
    exact: dict[str, Counter[str]] = defaultdict(Counter)
    worded: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(10**6, 10**6 + FITTING * scenes):
        for question in make_scene(seed, "train").questions:
            exact[question.text][question.answer] += 1
            worded[slotted(question.text)][slotted_answer(question)] += 1
    asked = [question for seed in range(scenes) for question in make_scene(seed, split).questions]
    return _tried(asked, exact, worded, by_needs)


def _tried(
    asked: Iterable[Question], exact: dict[str, Counter[str]], worded: dict[str, Counter[str]], by_needs: bool
) -> dict[str, float]:
    """Percent right of the better of the two guessers, by type (and needs) and overall."""
    right = {type: [0, 0, 0] for type in QUESTION_TYPES}  # by exact text, by wording, asked
    for question in asked:
        rows = [right[question.type]]
        if by_needs:
            rows.append(right.setdefault(f"{question.type}/{question.needs}", [0, 0, 0]))
        wording = slotted(question.text)
        by_wording = worded[wording].most_common(1)[0][0] if wording in worded else ""
        by_text = exact[question.text].most_common(1)[0][0] if question.text in exact else ""
        for row in rows:
            row[0] += by_text == question.answer
            row[1] += by_wording == slotted_answer(question)
            row[2] += 1
    figures = {type: 100.0 * max(a, b) / n for type, (a, b, n) in right.items() if n}
    types = [right[type] for type in QUESTION_TYPES]
    number = sum(n for _, _, n in types)
    figures["overall"] = 100.0 * sum(max(a, b) for a, b, _ in types) / max(number, 1)
    return figures


def type_shares(split: str = "test", scenes: int = 2000) -> dict[str, float]:
    """Percent of all questions that each type makes up."""
    amount = Counter(question.type for seed in range(scenes) for question in make_scene(seed, split).questions)
    return {type: 100.0 * amount[type] / amount.total() for type in QUESTION_TYPES}
