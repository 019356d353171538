"""Annotation files as plain values: JSON, JSON lines, CSV (commas, tabs or semicolons), lists with blanks, or parquet
in, objects or lines of fields out.

Nothing a file holds is ever executed: strings that hold lists go through `json`, then `ast.literal_eval`, and a check.
"""

from __future__ import annotations

import ast
import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mirasol.data.items import Bad
from mirasol.media.naming import quoted

from .lines import LINE, Again, Broken, csv_lines, json_lines, spaced
from .plain import NotPlain, parse_json

LINES = (".jsonl", ".ndjson")
JSON = (".json", *LINES)
COMMENTS = re.compile(r"\A(?:[ \t]*#[^\n]*(?:\n|\Z))+")  # before everything else, as in AST's samples
MIXTURE_FIELD = re.compile(r"""\b(json_path|sampling_strategy)["']?\s*:\s*("[^"]*"|'[^']*'|[^\n,}\]]+)""")


@dataclass(frozen=True)
class Table:
    """`value` is what JSON held, None for CSV; `lines` are the fields of a CSV file, its header among them. `notes` are
    lines for people about what was not read, `broken` the lines that could not be."""

    path: Path
    value: Any = None
    lines: Sequence[tuple[str, ...]] = ()
    notes: tuple[str, ...] = ()
    broken: tuple[Bad, ...] = ()

    @cached_property
    def objects(self) -> Sequence[dict[str, Any]]:
        """The file as objects: of a JSON list, or of a CSV file with a header; empty if it is neither. `ValueError` for
        a list that begins with an object and goes on with something else."""
        if is_list(self.value) and self.value and isinstance(self.value[0], dict):
            return objects_of(self.value, "every row", self.path)
        if self.lines and self.header:
            make = self._of_lines
            return Again(make) if isinstance(self.lines, Again) else list(make())
        return []

    def _of_lines(self) -> Iterator[dict[str, Any]]:
        lines = iter(self.lines)
        next(lines)
        return (dict(zip(self.header, line, strict=True)) for line in lines)

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The first line, where it can be a header: plain distinct words, none of them a number."""
        if not self.lines:
            return ()
        first = tuple(field.strip() for field in self.lines[0])
        if len(first) > 1 and not first[0]:  # the column of row numbers that pandas writes
            first = ("row number", *first[1:])
        return first if len(set(first)) == len(first) and all(_word(field) for field in first) else ()

    @cached_property
    def fields(self) -> set[str]:
        """The keys of the first object; nothing where there is none."""
        if is_list(self.value) and self.value and isinstance(self.value[0], dict):
            return set(self.value[0])
        return set(self.header) if self.lines else set()

    @cached_property
    def views(self) -> dict[Any, Table]:
        """Other ways of seeing this table, by the function that makes each; see `fields.Form`."""
        return {}

    @cached_property
    def all_fields(self) -> set[str]:
        """The keys of all objects."""
        return set(self.header) if self.lines else {name for one in self.objects for name in one}


def _word(text: str) -> bool:
    return bool(text) and text[0] not in "0123456789-" and re.sub("[_ -]", "", text).isalnum()


def is_list(value: Any) -> bool:
    return isinstance(value, list | Again)


def read_table(path: str | Path, *, skip: bool = False) -> Table:
    """`ValueError` with one line for a file that is missing, no text, or not whole. `skip`: single lines (of CSV, or
    JSON lines) that cannot be read are skipped, and named in `broken`, unless they are most of them."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no annotation file {quoted(path)}")
    with path.open("rb") as file:
        begins = file.read(4)
    if path.suffix.lower() == ".parquet" or begins == b"PAR1":
        from .parquet import read_parquet

        objects, notes = read_parquet(path)
        return Table(path, objects, notes=notes)
    if begins[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"expected text in UTF-8 in {path}, found UTF-16; convert it (iconv -f utf-16 -t utf-8)")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in UTF-8 in {path}, found other bytes at {error.start}") from None
    if not text.strip():
        raise ValueError(f"expected annotations in {path}, found an empty file")
    if path.suffix.lower() in (".yaml", ".yml"):
        return Table(path, _mixture(text, path))
    text = COMMENTS.sub(lambda match: "\n" * match[0].count("\n"), text)
    start = text.lstrip()[:1]
    if path.suffix.lower() in JSON and (not start or start not in "[{"):
        raise ValueError(f"{path} is no JSON: expected a list or an object, found {text.strip()[:40]!r}")
    if not start:
        raise ValueError(f"expected annotations in {path}, found comments alone")
    if start in "[{":
        value, broken = json_of(text, path, skip=skip)
        return Table(path, value, broken=named(broken, path))
    lines, broken = read_lines(text, path, skip=skip)
    return Table(path, lines=lines, broken=named(broken, path))


def named(broken: list[Broken], path: Path) -> tuple[Bad, ...]:
    """Lines that are skipped, as items that cannot be used."""
    return tuple(Bad(f"{path.name}, line {one.number or 'far below'}", str(path), one.why) for one in broken)


def read_json(text: str, path: Path) -> Any:
    """A JSON file, or JSON lines; `ValueError` for a line that cannot be read."""
    return json_of(text, path, skip=False)[0]


def json_of(text: str, path: Path, *, skip: bool) -> tuple[Any, list[Broken]]:
    """(a JSON file, or JSON lines; the lines that are skipped, where that is asked for)."""
    lines = path.suffix.lower() in LINES
    try:
        value = parse_json(text)
        return ([value] if isinstance(value, dict) and lines else value), []
    except json.JSONDecodeError as error:
        return json_lines(text, path, skip=skip and lines, first=error)
    except NotPlain as error:
        if skip and lines:
            return json_lines(text, path, skip=True, first=error)
        raise ValueError(f"{path} cannot be read: {error}") from None


def _mixture(text: str, path: Path) -> Any:
    """The one YAML file that is read, LLaVA's list of data sets: `datasets` with `json_path` and `sampling_strategy` of
    each, in block or flow style. It is no more of YAML than that."""
    plain = re.sub(r"(?m)(^|\s)#.*$", "", text)
    parts: list[dict[str, str]] = []
    for match in MIXTURE_FIELD.finditer(plain):
        value = match[2].strip().strip("\"'")
        if match[1] == "json_path":
            parts.append({"json_path": value})
        elif parts and "sampling_strategy" not in parts[-1]:
            parts[-1]["sampling_strategy"] = value
        else:
            parts = []
            break
    if not parts or not re.match(r"\s*(---\s*)?datasets\s*:", plain):
        raise ValueError(f"expected a list 'datasets' with json_path, then sampling_strategy, of each in {path}")
    return {"datasets": parts}


def read_lines(text: str, path: Path, *, skip: bool) -> tuple[Sequence[tuple[str, ...]], list[Broken]]:
    """The fields of every line, and the lines that are skipped. Commas part them, or tabs or semicolons where the first
    line has those; in lists of files without any, the blanks before the numbers at the end."""
    first = next(line[0] for line in LINE.finditer(text) if line[0].strip())
    if "\t" in first:
        try:
            return csv_lines(text, path, "\t", skip=skip)
        except ValueError:  # quotes that are part of the texts
            return csv_lines(text, path, "\t", skip=skip, quoting=csv.QUOTE_NONE)
    if "," not in first and (found := spaced(text)):
        return found, []
    return csv_lines(text, path, ";" if ";" in first and "," not in first else ",", skip=skip)


def text_of(row: Mapping[str, Any], key: str, where: Path) -> str:
    """A field as text: strings and whole numbers; `ValueError` where it is missing or something else."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        found = "nothing" if value is None else f"{value!r:.60}"
        raise ValueError(f"expected {key!r} as text in {where.name}, found {found} in the row {brief(row)}")
    return str(value).strip()


def is_whole(text: str) -> bool:
    """Whether a text is a whole number of a size that things have, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 18


def number_of(value: Any, key: str, where: Path) -> float:
    """Seconds, or another number."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise ValueError(f"expected {key!r} as a number in {where.name}, found {value!r:.60}")


def list_of(value: Any, key: str, where: Path) -> list[Any]:
    """A list, or a string that holds one."""
    if isinstance(value, str):
        for parse in (json.loads, ast.literal_eval):
            try:
                value = parse(value)
                break
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                continue
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list for {key!r} in {where.name}, found {value!r:.60}")
    return list(value)


def objects_of(value: Any, key: str, where: Path) -> Sequence[dict[str, Any]]:
    """A list of objects alone."""
    if isinstance(value, Again):  # lines of JSON
        if (wrong := next((part for part in value if not isinstance(part, dict)), None)) is not None:
            raise ValueError(f"expected objects in {key!r} in {where.name}, found {brief(wrong)}")
        return value
    parts = list_of(value, key, where)
    if wrong := [part for part in parts if not isinstance(part, dict)]:
        raise ValueError(f"expected objects in {key!r} in {where.name}, found {brief(wrong[0])}")
    return parts


def clock_seconds(text: str, key: str, where: Path) -> float:
    """`00:01:02.345`, `0:05` or `7` -> seconds."""
    parts = str(text).strip().split(":")
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"expected {key!r} as hours:minutes:seconds in {where.name}, found {text!r:.60}")
    total = 0.0
    for part in parts:
        total = 60 * total + number_of(part, key, where)
    return total


def brief(row: Any) -> str:
    try:
        words = json.dumps(row, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        words = f"something deep or odd ({type(row).__name__})"
    return words if len(words) <= 160 else words[:157] + "..."


def require(keys: Iterable[str], row: Mapping[str, Any], where: Path) -> None:
    if missing := [key for key in keys if key not in row]:
        raise ValueError(f"expected the field {missing[0]!r} in every row of {where.name}, found none in {brief(row)}")


def beside(path: Path, names: Sequence[str]) -> Path | None:
    """The first of the files that lies in the folder of `path`, or in the one above it."""
    for folder in (path.parent, path.parent.parent):
        for name in names:
            if (other := folder / name).is_file():
                return other
    return None


def mapping_beside(path: Path, names: Sequence[str]) -> dict[str, Any] | None:
    """The object in the JSON file of one of these names beside `path`; None where there is none."""
    if (other := beside(path, names)) is None:
        return None
    value = read_table(other).value
    if not isinstance(value, dict):
        raise ValueError(f"expected one JSON object in {other}, beside {path.name}, found {brief(value)}")
    return value
