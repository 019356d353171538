"""Annotation files as plain values: JSON, JSON lines, CSV (commas, tabs or semicolons), lists with blanks, or parquet
in, objects or lines of fields out.

Nothing a file holds is ever executed: strings that hold lists go through `json`, then `ast.literal_eval`, and a check.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

LINES = (".jsonl", ".ndjson")
JSON = (".json", *LINES)
LINE_END = re.compile(r"\r\n|\n|\r")  # not those of str.splitlines, which may stand within a JSON text
COMMENTS = re.compile(r"\A(?:[ \t]*#[^\n]*(?:\n|\Z))+")  # before everything else, as in AST's samples
MIXTURE_FIELD = re.compile(r"""\b(json_path|sampling_strategy)["']?\s*:\s*("[^"]*"|'[^']*'|[^\n,}\]]+)""")


@dataclass(frozen=True)
class Table:
    """`value` is what JSON held, None for CSV; `lines` are the fields of a CSV file, its header among them. `notes` are
    lines for people about what was not read."""

    path: Path
    value: Any = None
    lines: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

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
        if len(first) > 1 and not first[0]:  # the column of row numbers that pandas writes
            first = ("row number", *first[1:])
        return first if len(set(first)) == len(first) and all(_word(field) for field in first) else ()

    @cached_property
    def fields(self) -> set[str]:
        """The keys of the first object; nothing where there is none."""
        if isinstance(self.value, list) and self.value and isinstance(self.value[0], dict):
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


def read_table(path: str | Path) -> Table:
    """`ValueError` with one line for a file that is missing, no text, or not whole."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no annotation file {str(path)!r}")
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
        return Table(path, read_json(text, path))
    return Table(path, lines=read_lines(text, path))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise NotPlain(f"the key {doubled!r} stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise NotPlain(f"{name} is no value of JSON; write null where there is none")


class NotPlain(Exception):
    """What JSON as such allows, or Python's reader of it, and what nobody can read in one way."""


def parse_json(text: str) -> Any:
    """`json.JSONDecodeError` for what is no JSON, `NotPlain` for what it does not settle: keys that stand twice, NaN,
    numbers and nesting without end, halves of characters."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError:
        raise
    except ValueError:  # more digits than Python turns into a number
        raise NotPlain("a number has thousands of digits") from None
    except RecursionError:
        raise NotPlain("lists or objects are nested too deep") from None
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise NotPlain("a text holds half of a character (a surrogate alone)") from None
    return value


def read_json(text: str, path: Path) -> Any:
    """A JSON file, or JSON lines."""
    try:
        value = parse_json(text)
        one_line = isinstance(value, dict) and path.suffix.lower() in LINES
        return [value] if one_line else value
    except json.JSONDecodeError as error:
        values, first = [], error
    except NotPlain as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(LINE_END.split(text), 1):  # JSON lines
        if not line.strip():
            continue
        try:
            values.append(parse_json(line))
        except json.JSONDecodeError as error:
            # Where the first line alone is no JSON, the file is one value, and broken.
            why, number = (error, number) if values else (first, first.lineno)
            raise ValueError(f"{path} is no whole JSON: {why.msg} in line {number}; is the file complete?") from None
        except NotPlain as error:
            raise ValueError(f"{path} cannot be read: {error}, in line {number}") from None
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


def read_lines(text: str, path: Path) -> tuple[tuple[str, ...], ...]:
    """The fields of every line; empty lines are skipped. Commas part them, or tabs or semicolons where the first line
    has those; in lists of files without any, the blanks before the numbers at the end."""
    first = next(line for line in LINE_END.split(text) if line.strip())
    if "\t" in first:
        try:
            return _csv(text, path, "\t")
        except ValueError:  # quotes that are part of the texts
            return _csv(text, path, "\t", quoting=csv.QUOTE_NONE)
    if "," not in first and (spaced := _spaced(text)):
        return spaced
    return _csv(text, path, ";" if ";" in first and "," not in first else ",")


def _spaced(text: str) -> tuple[tuple[str, ...], ...]:
    """`some path.avi 3` and `some path.avi 120 3` -> path, numbers; nothing where a line is otherwise."""
    lines = [line.strip() for line in LINE_END.split(text) if line.strip()]
    for pattern in (r"(.*\S)[ ]+(\d+)[ ]+(\d+)", r"(.*\S)[ ]+(\d+)"):
        found = [re.fullmatch(pattern, line) for line in lines]
        if all(match is not None and ("." in match[1] or "/" in match[1] or " " not in match[1]) for match in found):
            return tuple(match.groups() for match in found if match is not None)
    return ()


def _csv(text: str, path: Path, delimiter: str, **quotes: Any) -> tuple[tuple[str, ...], ...]:
    """Every line with as many fields as the first; empty lines are skipped. Blanks before a quote do not count."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter,
                        skipinitialspace=delimiter != "\t", **quotes)  # fmt: skip
    try:
        lines = [tuple(line) for line in reader if any(line)]
    except csv.Error as error:
        if "field limit" in str(error):
            why = f"a field of more than {csv.field_size_limit():,} characters; is a quote not closed?"
            raise ValueError(f"{path} is no CSV: line {reader.line_num} ends {why}") from None
        raise ValueError(f"{path} is no CSV: {error}, in line {reader.line_num}") from None
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
