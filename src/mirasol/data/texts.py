"""The texts that stand beside media: in a .txt, a .json or the row of a manifest, under the names that people use.

Names are compared without case, blanks, hyphens and underscores: `Video Path` is `video_path` is `videopath`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from json import JSONDecodeError
from typing import Any

Pairs = tuple[tuple[str | None, str], ...]


def names_in(words: str) -> tuple[str, ...]:
    """The names that stand in a text, with blanks between."""
    return tuple(words.split())


PROMPTS = names_in("prompt question instruction query questiontext")
TARGETS = names_in(
    """
    target answer caption text label response category class classname labelname displayname sentence description
    transcription transcript output completion
    """
)
LISTS = names_in("pairs qa questions qas captions sentences answers labels")
NUMBERED = re.compile(r"(caption|answer|text|sentence)\d+")  # caption_1, caption_2: several of a row
SHOWN = "target, answer, caption, text, label, response (and perhaps prompt, question, instruction)"
MOST_BYTES = 16 << 20  # of one text file: more is no caption


@lru_cache(4096)
def squashed(name: str) -> str:
    """`Video Path` -> videopath"""
    return re.sub(r"[\W_]+", "", name).lower()


def plain_names(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The same row by squashed names; of two that become one the first that is not empty."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        short = squashed(str(name))
        if found.get(short) in (None, ""):
            found[short] = value
    return found


def first_of(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of these names that is there and not empty; None without one."""
    for name in names:
        if (value := row.get(name)) is not None and not _empty(value):
            return value
    return None


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def pairs_of(value: Any) -> Pairs:
    """(prompt or None, target) pairs of what a JSON file or a row holds: a text, a list, a mapping with a target (and a
    prompt), or a mapping with a list of such (and perhaps a caption). `ValueError` for anything else."""
    if isinstance(value, str):
        return ((None, value.strip()),) if value.strip() else ()
    if isinstance(value, list):
        return tuple(pair for part in value for pair in pairs_of(part))
    if isinstance(value, Mapping):
        return _pairs_of_row(plain_names(value))
    raise ValueError(f"expected a text, or a mapping with one of {SHOWN}, found {type(value).__name__}")


def _pairs_of_row(row: Mapping[str, Any]) -> Pairs:
    asked = first_of(row, PROMPTS)
    if isinstance(several := first_of(row, LISTS), list) and asked is None:
        caption = row.get("caption")
        return pairs_of(several) + (pairs_of(caption) if isinstance(caption, str) else ())
    target = first_of(row, TARGETS)
    if target is None and isinstance(several, list):  # a question with a list of answers
        target = several
    if target is None:
        target = [text for name, text in row.items() if NUMBERED.fullmatch(name) and not _empty(text)] or None
    if target is None:
        if empty := [name for name in TARGETS if name in row]:
            raise ValueError(f"its {empty[0]} is empty")
        found = ", ".join(row) or "an empty one"
        raise ValueError(f"expected a text, or a mapping with one of {SHOWN}, found {found}")
    if asked is None and not _empty(row.get("answer")):  # {"text": a question, "answer": ...}
        asked = row.get("text") or None
    targets = target if isinstance(target, list) else [target]
    if wrong := [text for text in (*targets, asked) if isinstance(text, (dict, list))]:
        raise ValueError(f"expected a text, found {type(wrong[0]).__name__}")
    return tuple((None if asked is None else str(asked).strip(), str(text).strip()) for text in targets)


def pairs_in(name: str, data: bytes, prompt: str | None = None) -> Pairs:
    """The pairs in a file beside media, by its ending: .json, or plain text. `prompt` goes with plain texts."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"expected a text in {name}, found {len(data)} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"expected {name} as UTF-8 text") from None
    if not name.lower().endswith(".json"):
        return tuple((prompt, target) for _, target in pairs_of(text))
    from .annotations.plain import NotPlain, parse_json

    try:
        return pairs_of(parse_json(text))
    except JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
    except NotPlain as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} cannot be read: lists or objects are nested too deep") from None
