"""Annotation files as plain values: JSON, JSON lines or CSV in, objects or lines of fields out.

Nothing a file holds is ever executed: strings that hold lists go through `json`, then `ast.literal_eval`, and a check.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

LINES = (".jsonl", ".ndjson")
JSON = (".json", *LINES)
COMMENTS = re.compile(r"\A(?:[ \t]*#[^\n]*(?:\n|\Z))+")  # before everything else, as in AST's samples
MIXTURE_FIELD = re.compile(r"""\b(json_path|sampling_strategy)["']?\s*:\s*("[^"]*"|'[^']*'|[^\n,}\]]+)""")


@dataclass(frozen=True)
class Table:
    """`value` is what JSON held, None for CSV; `lines` are the fields of a CSV file, its header among them."""

    path: Path
    value: Any = None
    lines: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The file as one list of objects: of a JSON list, or of a CSV file with a header; empty if it is neither.
        `ValueError` for a list that begins with an object and goes on with something else."""
        if isinstance(self.value, list) and self.value and isinstance(self.value[0], dict):
            return objects_of(self.value, "every row", self.path)
        if self.lines and self.header:
            return [dict(zip(self.header, line, strict=True)) for line in self.lines[1:]]
        return []

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The first line, where it can be a header: plain distinct words, none of them a number."""
        if not self.lines:
            return ()
        first = tuple(field.strip() for field in self.lines[0])
        return first if len(set(first)) == len(first) and all(_word(field) for field in first) else ()

    @cached_property
    def fields(self) -> set[str]:
        """The keys of the first object; nothing where there is none."""
        if isinstance(self.value, list) and self.value and isinstance(self.value[0], dict):
            return set(self.value[0])
        return set(self.header) if self.lines else set()


def _word(text: str) -> bool:
    return bool(text) and not text[0].isdigit() and text.replace("_", "").replace(" ", "").isalnum()


def read_table(path: str | Path) -> Table:
    """`ValueError` with one line for a file that is missing, no text, or not whole."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no annotation file {str(path)!r}")
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
        return Table(path, _json(text, path))
    return Table(path, lines=_csv(text, path))


def _json(text: str, path: Path) -> Any:
    try:
        value = json.loads(text)
        one_line = isinstance(value, dict) and path.suffix.lower() in LINES
        return [value] if one_line else value
    except json.JSONDecodeError as error:
        values, first = [], error
    for number, line in enumerate(text.splitlines(), 1):  # JSON lines
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            # Where the first line alone is no JSON, the file is one value, and broken.
            why, number = (error, number) if values else (first, first.lineno)
            raise ValueError(f"{path} is no whole JSON: {why.msg} in line {number}; is the file complete?") from None
    return values


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


def _csv(text: str, path: Path) -> tuple[tuple[str, ...], ...]:
    """Every line with as many fields as the first; empty lines are left out."""
    try:
        lines = [tuple(line) for line in csv.reader(io.StringIO(text, newline=""), strict=True) if any(line)]
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV: {error}") from None
    width = len(lines[0])
    for number, line in enumerate(lines, 1):
        if len(line) != width:
            raise ValueError(
                f"expected {width} fields in row {number} of {path}, found {len(line)}; a field with a comma in it "
                "has to stand in quotes"
            )
    return tuple(lines)


def text_of(row: Mapping[str, Any], key: str, where: Path) -> str:
    """A field as text: strings and whole numbers; `ValueError` where it is missing or something else."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        found = "nothing" if value is None else f"{value!r:.60}"
        raise ValueError(f"expected {key!r} as text in {where.name}, found {found} in the row {brief(row)}")
    return str(value).strip()


def number_of(value: Any, key: str, where: Path) -> float:
    """Seconds, or another number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
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
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list for {key!r} in {where.name}, found {value!r:.60}")
    return list(value)


def objects_of(value: Any, key: str, where: Path) -> list[dict[str, Any]]:
    """A list of objects alone."""
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
    words = json.dumps(row, ensure_ascii=False, default=str)
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
