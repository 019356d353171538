"""Predictions in the files of the benchmarks' own repositories, scored as their authors' scripts score them.

NExT-OE         {video: {question: text}}
NExT-QA         {"video_question": {"prediction": place, "answer": place}}
ActivityNet-QA  [{"question_id": ..., "answer": text}]
any             {key: text}, and [{"question_id" or "key": ..., "answer" or "prediction": ...}]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mirasol.data.annotations import Row

from .tasks import Record


def read_predictions(path: Path, rows: Sequence[Row]) -> tuple[list[Record], int]:
    """A record for each row, and how many rows have no prediction (their answer is empty, and so wrong)."""
    try:
        told = _flat(json.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise ValueError(f"no file of predictions {str(path)!r}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path.name} has none of the known forms of predictions") from None
    if unknown := set(told) - {row.key for row in rows}:
        raise ValueError(f"the predictions answer {min(unknown)!r}, which the annotations do not ask")
    records = [_record(row, told.get(row.key), path) for row in rows]
    return records, len(rows) - len(told)


def _flat(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {str(one.get("question_id", one.get("key"))): one.get("answer", one.get("prediction")) for one in value}
    found: dict[str, Any] = {}
    for key, one in value.items():
        if isinstance(one, dict) and "prediction" in one:
            found[key] = one["prediction"]
        elif isinstance(one, dict):
            found |= {f"{key}_{question}": text for question, text in one.items()}
        else:
            found[key] = one
    return found


def _record(row: Row, told: Any, path: Path) -> Record:
    """With options, a prediction is the place of one or its text; it then counts as the only likely one."""
    base: dict[str, Any] = {"row": "predictions", "key": row.key, "question": row.question, "answers": row.answers,
                            "type": row.type, "more": dict(row.more)}  # fmt: skip
    if not row.options or told is None:
        return Record(**base, answer="" if told is None else str(told))
    place = told if isinstance(told, int) else row.options.index(told) if told in row.options else -1
    if not 0 <= place < len(row.options):
        raise ValueError(f"expected a place or an option of {row.key!r} in {path.name}, found {told!r}")
    scores = tuple((0.0 if at == place else -1.0, 1) for at in range(len(row.options)))
    return Record(**base, answer=row.options[place], options=row.options, correct=row.correct, scores=scores)
