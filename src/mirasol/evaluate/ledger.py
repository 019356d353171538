"""The file into which an evaluation writes as it goes, so that a second call goes on where the first was cut off.

One JSON object a line: first the configuration, then records, films that could not be used, and timings. A line that
was cut off in the middle is dropped; a call with another configuration is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .tasks import Record


@dataclass
class Outcome:
    """What came of some questions. `unused`: key, media, kind (missing, damaged, too long), why. `films`: key, seconds,
    taken, questions, answering, silent, warnings."""

    records: list[Record] = field(default_factory=list)
    unused: list[dict[str, str]] = field(default_factory=list)
    films: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Ledger:
    """`outcome` is all that was written so far, `keys` the questions that are settled."""

    path: Path
    outcome: Outcome = field(default_factory=Outcome)
    keys: set[str] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """On the disk before this returns; a batch of which the end is missing counts as never written."""
        lines: list[dict[str, Any]] = [{"record": one.to_dict()} for one in outcome.records]
        lines += [{"unused": one} for one in outcome.unused]
        lines += [{"film": one} for one in outcome.films]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, {"done": True}]))
            file.flush()
            os.fsync(file.fileno())
        self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        self.outcome.records += outcome.records
        self.outcome.unused += outcome.unused
        self.outcome.films += outcome.films
        self.keys |= {one.key for one in outcome.records} | {one["key"] for one in outcome.unused}


def open_ledger(path: Path, configuration: Mapping[str, Any]) -> Ledger:
    """A new one, or one that was begun with the same configuration; what follows the last whole batch is cut off."""
    ledger, line = Ledger(path), json.dumps({"configuration": configuration}, ensure_ascii=False, sort_keys=True)
    if not path.exists():
        path.write_text(line + "\n", encoding="utf-8")
        return ledger
    text = path.read_bytes()
    first, _, rest = text.partition(b"\n")
    if first.decode("utf-8", "replace") != line:
        differ = _differences(first, configuration)
        raise ValueError(
            f"{path} was begun with another configuration ({differ}); give another --out, or delete it to start anew"
        )
    whole, batch = len(first) + 1, []
    at = whole
    for raw in rest.splitlines(keepends=True):
        at += len(raw)
        try:
            batch.append(json.loads(raw))
        except ValueError:
            break
        if "done" in batch[-1] and raw.endswith(b"\n"):
            ledger._take(_outcome(batch))
            whole, batch = at, []
    if whole < len(text):
        with path.open("r+b") as file:
            file.truncate(whole)
    return ledger


def _outcome(batch: Sequence[Mapping[str, Any]]) -> Outcome:
    return Outcome(
        [Record.from_dict(line["record"]) for line in batch if "record" in line],
        [line["unused"] for line in batch if "unused" in line],
        [line["film"] for line in batch if "film" in line],
    )


def _differences(first: bytes, configuration: Mapping[str, Any]) -> str:
    try:
        old = json.loads(first)["configuration"]
    except (ValueError, KeyError, TypeError):
        return "its first line is no configuration"
    names = [name for name in sorted({*old, *configuration}) if old.get(name) != configuration.get(name)]
    return "other " + ", ".join(names)
