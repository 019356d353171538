"""How far a guess gets that reads the question and neither sees nor hears."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

from mirasol.media.toybox.families import make_scene
from mirasol.media.toybox.scene import QUESTION_TYPES, Question, World
from mirasol.media.toybox.things import COLOURS, KINDS

_HUES = re.compile(r"\b(an? )?(" + "|".join(COLOURS) + r")\b")
FITTING = 3  # scenes to learn the guesses from, per scene to guess in


@lru_cache(maxsize=4)
def _names(kinds: tuple[str, ...]) -> re.Pattern[str]:
    """The names of these kinds in a text, the longest that fits."""
    words = sorted(map(re.escape, kinds), key=len, reverse=True)
    return re.compile(r"\b(an? )?(" + "|".join(words) + r")(s?)\b")


def slotted(text: str, kinds: tuple[str, ...] = KINDS) -> str:
    """The wording alone: names of kinds and colours replaced by a slot."""
    return _HUES.sub("<colour>", _names(kinds).sub(r"<kind>\3", text))


def slotted_answer(question: Question, kinds: tuple[str, ...] = KINDS) -> str:
    """The answer, or which of the names in the question it repeats: "first named", "second named"."""
    names = [match[1] for match in _names(kinds).findall(question.text)]
    if question.answer in names:
        return ("first named", "second named")[names.index(question.answer)]
    return question.answer


def blind_figures(
    split: str = "test",
    scenes: int = 2000,
    *,
    by_needs: bool = False,
    seconds: int | None = None,
    world: World | None = None,
) -> dict[str, float]:
    """Percent right by question type of the best blind guess; "overall" is over all questions.

    `by_needs` adds a figure for each type and what it needs: "order/sound" beside "order". `seconds` and `world` as in
    `make_scene`.

    Two guessers learn the commonest answer from training scenes, one by exact text and one by wording, as a model
    could; each is then tried on `split`, and the better one counts, type by type.
    """
    exact: dict[str, Counter[str]] = defaultdict(Counter)
    worded: dict[str, Counter[str]] = defaultdict(Counter)
    kinds = world.kinds if world else KINDS
    for seed in range(10**6, 10**6 + FITTING * scenes):
        for question in make_scene(seed, "train", seconds=seconds, world=world).questions:
            exact[question.text][question.answer] += 1
            worded[slotted(question.text, kinds)][slotted_answer(question, kinds)] += 1
    shown = (make_scene(seed, split, seconds=seconds, world=world) for seed in range(scenes))
    return _tried([question for scene in shown for question in scene.questions], exact, worded, by_needs, kinds)


def _tried(
    asked: Iterable[Question],
    exact: dict[str, Counter[str]],
    worded: dict[str, Counter[str]],
    by_needs: bool,
    kinds: tuple[str, ...],
) -> dict[str, float]:
    """Percent right of the better of the two guessers, by type (and needs) and overall."""
    right = {type: [0, 0, 0] for type in QUESTION_TYPES}  # by exact text, by wording, asked
    for question in asked:
        rows = [right[question.type]]
        if by_needs:
            rows.append(right.setdefault(f"{question.type}/{question.needs}", [0, 0, 0]))
        wording = slotted(question.text, kinds)
        by_wording = worded[wording].most_common(1)[0][0] if wording in worded else ""
        by_text = exact[question.text].most_common(1)[0][0] if question.text in exact else ""
        for row in rows:
            row[0] += by_text == question.answer
            row[1] += by_wording == slotted_answer(question, kinds)
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
