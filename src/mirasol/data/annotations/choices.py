"""Lists of questions with options to choose from: AVQA, Daily-Omni, WorldSense, Video-MME, EgoSchema, OmniBench.

They differ in the names of their fields alone. Letters before options (`A. dog`) are taken off, and an answer given as
a letter, a place or the option's text becomes the place of the right option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rows import Annotations, Row, split_of
from .tables import Table, brief, list_of, require, text_of

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
    keys = table.fields
    return next((n for n in KNOWN if {n.question, n.options, n.media} <= keys), None)


def is_choices(table: Table) -> bool:
    return names_of(table) is not None


def read_choices(table: Table) -> Annotations:
    names, path, rows = names_of(table), table.path, []
    assert names is not None
    for number, one in enumerate(table.objects):
        require((names.question, names.options, names.media), one, path)
        film = text_of(one, names.media, path)
        options = unletter([str(option) for option in list_of(one[names.options], names.options, path)])
        correct = place_of(one.get(names.answer), options, path)
        key = str(one.get(names.key, number)) if names.key else str(number)
        rows.append(
            Row(key, film, tuple(name.format_map(one) for name in names.files), text_of(one, names.question, path),
                () if correct is None else (options[correct],), options, correct,
                type=_kind(one.get(names.type)), split=split_of(path),
                sound=names.sound.format_map(one) if names.sound else None)
        )  # fmt: skip
    return Annotations(names.format, tuple(rows))


def _kind(value: Any) -> str:
    return "" if value is None else str(value)


def unletter(options: Sequence[str]) -> tuple[str, ...]:
    """`["A. dog", "B. cat"]` -> dog, cat; options that are not lettered from A on stay as they are."""
    matches = [LETTERED.fullmatch(option) for option in options]
    letters = [match[1] if match else "" for match in matches]
    if letters == [chr(ord("A") + place) for place in range(len(options))]:
        return tuple(match[2].strip() for match in matches if match)
    return tuple(option.strip() for option in options)


def place_of(answer: Any, options: Sequence[str], where: Path) -> int | None:
    """Of the right option: `answer` is its place, its letter or its text; None or "" where it is not published."""
    if answer is None or answer == "":
        return None
    place = -1
    if isinstance(answer, int) and not isinstance(answer, bool):
        place = answer
    elif isinstance(answer, str):
        text = answer.strip()
        bare = unletter([text])[0] if LETTERED.fullmatch(text) else text
        if text in options or bare in options:
            place = list(options).index(text if text in options else bare)
        elif re.fullmatch(r"\(?[A-Z]\)?[.:]?.*", text) and (len(text.strip("().: ")) == 1 or LETTERED.fullmatch(text)):
            place = ord(text.strip("(")[0]) - ord("A")
        elif text.isdigit():
            place = int(text)
    if not 0 <= place < len(options):
        raise ValueError(
            f"expected an answer among the {len(options)} options in {where.name}, found {answer!r} for "
            f"{brief(list(options))}"
        )
    return place
