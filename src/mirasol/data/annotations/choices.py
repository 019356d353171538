"""Lists of questions with options to choose from: AVQA, Daily-Omni, WorldSense, Video-MME, EgoSchema, OmniBench.

They differ in the names of their fields alone, once the objects that EgoSchema and WorldSense nest are one list.
Letters before options (`A. dog`) are taken off, and an answer given as a letter, a place or the option's text becomes
the place of the right option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .rows import Annotations, Row, split_of
from .tables import Table, beside, brief, list_of, read_table, require, text_of

SUBSET = "subset_answers.json"  # of EgoSchema
PLACE = re.compile(r"{(.+?)}")
LETTERED = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Names:
    """The names of the fields. `files` are patterns over the fields of a row."""

    format: str
    question: str
    options: str
    answer: str
    media: str
    files: tuple[str, ...]
    type: str = ""
    key: str = ""
    sound: str = ""  # a pattern too


KNOWN = (
    Names("avqa", "question_text", "multi_choice", "answer", "video_name", ("{video_name}",), "question_type", "id"),
    Names("daily-omni", "Question", "Choice", "Answer", "video_id", ("{video_id}/{video_id}_video", "{video_id}"),
          "Type", sound="{video_id}/{video_id}_audio"),
    Names("worldsense", "question", "candidates", "answer", "video_path", ("{video_path}",), "task_type", "index"),
    Names("video-mme", "question", "options", "answer", "videoID", ("{videoID}",), "duration", "question_id"),
    Names("egoschema", "question", "option", "answer", "video_idx", ("{video_idx}",), key="question_idx"),
    Names("omnibench", "question", "options", "answer", "image_path", ("{image_path}",), "task type", "index",
          "{audio_path}"),
)  # fmt: skip


def names_of(table: Table) -> Names | None:
    keys = flat(table).fields
    return next((n for n in KNOWN if {n.question, n.options, n.media} <= keys), None)


def is_choices(table: Table) -> bool:
    return names_of(table) is not None


def read_choices(table: Table) -> Annotations:
    names, path, rows = names_of(table), table.path, []
    assert names is not None
    for number, one in enumerate(flat(table).objects):
        require((names.question, names.options, *PLACE.findall(" ".join((*names.files, names.sound)))), one, path)
        film = text_of(one, names.media, path)
        options, letters = unletter([str(option) for option in list_of(one[names.options], names.options, path)])
        correct = place_of(one.get(names.answer), options, path, letters)
        key = str(one.get(names.key, number)) if names.key else str(number)
        rows.append(
            Row(key, film, tuple(name.format_map(one) for name in names.files), text_of(one, names.question, path),
                () if correct is None else (options[correct],), options, correct,
                type=_kind(one.get(names.type)), split=split_of(path),
                sound=names.sound.format_map(one) if names.sound else None)
        )  # fmt: skip
    found = Annotations(names.format, tuple(rows))
    return _with_subset(found, path) if names.format == "egoschema" else found


def flat(table: Table) -> Table:
    """EgoSchema's options, which are fields of their own (`option 0` ...), as a list, also where the file is an object
    by `q_uid` (with the answer in `truth`); WorldSense's object by film, of `task0`, `task1`, ..., as a list of
    questions. Every other table stays as it is."""
    value = table.value
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
        first = next(iter(value.values()))
        if "option 0" in first:
            value = [{"q_uid": uid, **one} for uid, one in value.items()]
        elif isinstance(first.get("task0"), dict) and "candidates" in first["task0"]:
            tasks = [(film, name, task) for film, one in value.items() for name, task in one.items()
                     if name.startswith("task") and isinstance(task, dict)]  # fmt: skip
            return Table(table.path, [{**task, "index": f"{film}/{name}", "video_path": f"videos/{film}.mp4"}
                                      for film, name, task in tasks])  # fmt: skip
    if isinstance(value, list) and all(isinstance(one, dict) and {"q_uid", "option 0"} <= set(one) for one in value):
        return Table(table.path, [_with_option_list(one) for one in value])
    return table


def _with_option_list(one: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted((name for name in one if re.fullmatch(r"option \d+", name)), key=lambda name: int(name.split()[1]))
    more = {"video_idx": one["q_uid"], "question_idx": one["q_uid"], "option": [one[name] for name in names]}
    return {**one, **more, "answer": one.get("truth", one.get("answer"))}


def _with_subset(found: Annotations, path: Path) -> Annotations:
    """EgoSchema's answers to 500 of its questions, those of the split `subset`; of the others none are published."""
    if any(row.answers for row in found.rows):
        return found
    if (other := beside(path, (SUBSET,))) is None:
        return replace(found, notes=(*found.notes, f"no answers: {SUBSET} does not lie beside {path.name}"))
    known, rows = read_table(other).value, []
    for row in found.rows:
        correct = place_of(known.get(row.key), row.options, other)
        answers = () if correct is None else (row.options[correct],)
        rows.append(replace(row, correct=correct, answers=answers, split="test" if correct is None else "subset"))
    return replace(found, rows=tuple(rows))


def is_subset_answers(table: Table) -> bool:
    return table.path.name == SUBSET and isinstance(table.value, dict)


def read_subset_answers(table: Table) -> Annotations:
    """EgoSchema's answers alone: the questions are those beside them."""
    questions = beside(table.path, ("questions.json",))
    if questions is None:
        raise ValueError(f"{table.path.name} holds the answers alone; put the questions (questions.json) beside it")
    other = read_table(questions)
    if (names := names_of(other)) is None or names.format != "egoschema":
        raise ValueError(f"expected the questions of EgoSchema in {questions}, beside {table.path.name}")
    return read_choices(other)


def _kind(value: Any) -> str:
    return "" if value is None else str(value)


def unletter(options: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """`["A. dog", "B. cat"]` -> (dog, cat), "AB"; options that are not lettered stay as they are, with no letters.

    Some lists of StreamingBench and OVO-Bench are not in order: what has no letter belongs to the option before it,
    from which a line break has cut it, blanks to none; letters may be mixed (`A C B D`), or one occur twice."""
    letters = ""
    texts: list[str] = []
    for option in options:
        if match := LETTERED.fullmatch(option):
            letters += match[1]
            texts.append(match[2].strip())
        elif texts and option.strip():
            texts[-1] = f"{texts[-1]} {option.strip()}"
        elif not texts:
            break
    in_whole = sorted(letters) == [chr(ord("A") + place) for place in range(len(texts))]
    if (in_whole and len(texts) > 1) or (letters.startswith("AB") and len(texts) == len(options)):
        return tuple(texts), letters
    return tuple(option.strip() for option in options), ""


def place_of(answer: Any, options: Sequence[str], where: Path, letters: str = "") -> int | None:
    """Of the right option: `answer` is its place, its letter (of `letters`, or of the alphabet) or its text; None or ""
    where it is not published."""
    if answer is None or answer == "":
        return None
    place = -1
    if isinstance(answer, int) and not isinstance(answer, bool):
        place = answer
    elif isinstance(answer, str):
        text = answer.strip()
        lettered = LETTERED.fullmatch(text)
        bare = lettered[2].strip() if lettered else text
        if text in options or bare in options:
            place = list(options).index(text if text in options else bare)
        elif lettered or re.fullmatch(r"\(?[A-Z]\)?[.:]?", text):
            letter = text.strip("(")[0]
            place = letters.index(letter) if letter in letters else ord(letter) - ord("A")
        elif text.isdigit():
            place = int(text)
    if not 0 <= place < len(options):
        raise ValueError(
            f"expected an answer among the {len(options)} options in {where.name}, found {answer!r} for "
            f"{brief(list(options))}"
        )
    return place
