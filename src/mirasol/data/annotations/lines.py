"""Files of lines, CSV and JSON lines, as sequences of their rows: a long file is never held as values, but parsed again
each time it is gone through. A line that cannot be read is skipped and named, where the caller asks for that."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from .plain import NotPlain, parse_json

KEPT = 16 << 20  # characters of a file up to which its rows are held
LINE_END = re.compile(r"\r\n|\n|\r")  # not those of str.splitlines, which may stand within a JSON text
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
TOO_MANY = 0.5  # the share of lines that cannot be read at which the file is no such file


@dataclass(frozen=True)
class Broken:
    """A line that cannot be read: its number, from 1, and why."""

    number: int
    why: str


class Again(Sequence[Any]):
    """What `make()` yields, made again each time it is gone through."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._make = make
        self._length: int | None = None

    def __iter__(self) -> Iterator[Any]:
        return self._make()

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __bool__(self) -> bool:
        return next(iter(self), self) is not self

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            plain = all(part is None or part >= 0 for part in (at.start, at.stop)) and (at.step or 1) > 0
            return list(islice(self, at.start, at.stop, at.step)) if plain else list(self)[at]
        for found in islice(self, at if at >= 0 else len(self) + at, None):
            return found
        raise IndexError(at)


def rows_of(make: Callable[[], Iterator[Any]], text: str) -> Sequence[Any]:
    """What `make()` yields, held where the text it is made of is short."""
    return tuple(make()) if len(text) <= KEPT else Again(make)


def json_lines(
    text: str, path: Path, *, skip: bool, first: json.JSONDecodeError | NotPlain
) -> tuple[Any, list[Broken]]:
    """(the value of each line, the lines that are skipped). `first` is why the file as one value is no JSON. Without
    `skip`, and where most lines cannot be read, `ValueError` names the first one."""
    broken: list[Broken] = []
    begins: set[int] = set()  # where the broken lines begin
    count, objects = 0, None
    for match in LINE.finditer(text):
        if not match[0].strip():
            continue
        count += 1
        try:
            value = parse_json(match[0])
        except json.JSONDecodeError as error:
            why = f"is no whole JSON: {error.msg}"
        except NotPlain as error:
            why = f"cannot be read: {error}"
        else:
            objects = isinstance(value, dict) if objects is None else objects
            if not (skip and objects and not isinstance(value, dict)):
                continue
            why = f"holds {type(value).__name__}, not an object"
        number = len(LINE_END.findall(text, 0, match.start())) + 1 if len(begins) < 1000 else 0
        if not skip:
            raise ValueError(in_file(path, why, number, first if count == 1 else None))
        begins.add(match.start())
        broken.append(Broken(number, why))
        if count > 100 and len(broken) > TOO_MANY * count:
            break
    if broken and len(broken) >= TOO_MANY * count:
        raise ValueError(in_file(path, broken[0].why, broken[0].number, first if count == len(broken) else None))

    def values() -> Iterator[Any]:
        for match in LINE.finditer(text):
            if match[0].strip() and match.start() not in begins:
                yield json.loads(match[0])

    found = rows_of(values, text)
    return list(found) if isinstance(found, tuple) else found, broken


def in_file(path: Path, why: str, number: int, whole: json.JSONDecodeError | NotPlain | None) -> str:
    """What is wrong with a file, by its first broken line; where not one line is JSON, the file is one value."""
    if isinstance(whole, json.JSONDecodeError):
        why, number = f"is no whole JSON: {whole.msg}", whole.lineno
    if "no whole JSON" in why:
        return f"{path} {why} in line {number}; is the file complete?"
    return f"{path} {why}, in line {number}"


def csv_lines(
    text: str, path: Path, delimiter: str, *, skip: bool, quoting: Any = csv.QUOTE_MINIMAL
) -> tuple[Sequence[tuple[str, ...]], list[Broken]]:
    """(the fields of every line, the lines that are skipped): as many fields as in the first one, empty ones beyond do
    not count. Empty lines are skipped without a word, and blanks before a quote do not count."""
    broken: list[Broken] = []
    count = 0

    def lines(told: list[Broken] | None = None) -> Iterator[tuple[str, ...]]:
        nonlocal count
        reader = csv.reader((match[0] for match in LINE.finditer(text)), strict=True, delimiter=delimiter,
                            skipinitialspace=delimiter != "\t", quoting=quoting)  # fmt: skip
        width = 0
        try:
            for fields in reader:
                if not any(fields):
                    continue
                width = width or len(fields)
                if len(fields) > width and not any(fields[width:]):
                    del fields[width:]
                if told is not None:
                    count += 1
                if len(fields) == width:
                    yield tuple(fields)
                elif told is not None:
                    told.append(Broken(reader.line_num, f"expected {width} fields, found {len(fields)}"))
        except csv.Error as error:
            raise ValueError(no_csv(path, error, reader.line_num)) from None

    kept: list[tuple[str, ...]] = []
    for line in lines(broken):
        if len(text) <= KEPT:
            kept.append(line)
    if broken and (not skip or len(broken) >= TOO_MANY * (count - 1)):  # the first one is the measure
        few = "" if len(broken) == 1 else f" ({len(broken)} of {count} lines are so)"
        expected, _, found = broken[0].why.partition(",")
        raise ValueError(
            f"{expected} in row {broken[0].number} of {path},{found}{few}; a field with a comma in it has to stand in "
            "quotes"
        )
    return tuple(kept) if len(text) <= KEPT else Again(lines), broken


def no_csv(path: Path, error: csv.Error, number: int) -> str:
    if "field limit" in str(error):
        limit = f"{csv.field_size_limit():,}"
        return f"{path} is no CSV: line {number} ends a field of more than {limit} characters; is a quote not closed?"
    return f"{path} is no CSV: {error}, in line {number}"


def spaced(text: str) -> tuple[tuple[str, ...], ...]:
    """`some path.avi 3` and `some path.avi 120 3` -> path, numbers; nothing where a line is otherwise."""
    lines = [line.strip() for line in LINE_END.split(text) if line.strip()]
    for pattern in (r"(.*\S)[ ]+(\d+)[ ]+(\d+)", r"(.*\S)[ ]+(\d+)"):
        found = [re.fullmatch(pattern, line) for line in lines]
        if all(match is not None and ("." in match[1] or "/" in match[1] or " " not in match[1]) for match in found):
            return tuple(match.groups() for match in found if match is not None)
    return ()
