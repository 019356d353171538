"""Manifests: one row for each thing to learn, as JSONL or CSV, with paths relative to the manifest.

    {"file": "a.mp4", "start": 3.5, "end": 9, "prompt": "what do you hear?", "target": "a dog"}

Columns: file (or video, media, path, image, audio), perhaps start and end in seconds, sound (a file of its own), a
prompt (or question) and a target (or answer, caption, text, label). Rows of the same file and span are one item.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .items import Item
from .texts import Pairs, first_of, pairs_of

FILES = ("file", "video", "media", "path", "image")
SOUNDS = ("sound", "audio")
STARTS, ENDS = ("start", "begin", "start_time"), ("end", "stop", "end_time")


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a JSONL or CSV file; `ValueError` names the line that is wrong."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() in (".csv", ".tsv"):
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            for row in reader:
                if None in row:
                    raise ValueError(
                        f"{path}, line {reader.line_num}: more values than columns; quote texts with commas"
                    )
                yield reader.line_num, row
            return
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is no JSON: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: expected an object, found {type(row).__name__}")
            yield number, row


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """`rows_of`, where the file is UTF-8 text."""
    try:
        yield from rows_of(path)
    except UnicodeDecodeError:
        raise ValueError(f"expected {path} as UTF-8 text; convert it (iconv -t utf-8)") from None


def seconds(row: dict[str, Any], names: tuple[str, ...], where: str) -> float | None:
    """A time in a row; None where it is not there."""
    value = first_of(row, names)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: expected {names[0]} in seconds, found {value!r}") from None


def manifest_items(path: Path, prompt: str | None = None) -> list[Item]:
    """All items of a manifest. `prompt` goes with rows that have none."""
    groups: dict[tuple[Any, ...], list[tuple[str | None, str]]] = {}
    for number, row in read_rows(path):
        where = f"{path}, line {number}"
        file, sound = first_of(row, FILES), first_of(row, SOUNDS)
        if file is None:
            file, sound = sound, None
        start, end = seconds(row, STARTS, where), seconds(row, ENDS, where)
        if start is not None and end is not None and not 0 <= start < end:
            raise ValueError(f"{where}: expected 0 <= start < end, found {start:g} and {end:g}")
        places = [None if name is None else str(path.parent / str(name)) for name in (file, sound)]
        try:
            pairs: Pairs = pairs_of(row)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        group = groups.setdefault((*places, start, end) if file is not None else (number,), [])
        group += [(prompt if asked is None else asked, target) for asked, target in pairs]
    items = []
    for place, texts in groups.items():
        if len(place) == 1:  # a row without a file: a text alone
            items.append(Item(f"{path}:{place[0]}", None, tuple(texts)))
            continue
        media, sound, start, end = place
        span = "" if start is None and end is None else f"[{start or 0:g}, {'' if end is None else f'{end:g}'})"
        items.append(Item(f"{media}{span}", media, tuple(texts), start, end, sound))
    if not items:
        raise ValueError(f"expected rows in {path}, found none")
    return items
