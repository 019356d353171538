"""Predictions in the files of the benchmarks' own repositories, scored as their authors' scripts score them.

NExT-OE         {video: {question: text}}
NExT-QA         {"video_question": {"prediction": place, "answer": place}}
ActivityNet-QA  [{"question_id": ..., "answer": text}]
any             {key: text}, and [{"question_id" or "key": ..., "answer" or "prediction": ...}]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mirasol.data.annotations import Row
from mirasol.data.annotations.tables import brief, read_json

from .tasks import Record


def read_predictions(path: Path, rows: Sequence[Row]) -> tuple[list[Record], int]:
    """A record for each row, and how many rows have no prediction (their answer is empty, and so wrong). `ValueError`
    for a file that answers something twice: nobody can say which of the two counts."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"no file of predictions '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    pairs = list(_flat(read_json(text, path), path))
    told = dict(pairs)
    if len(told) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        more = f" and {len(twice) - 1} others" if len(twice) > 1 else ""
        raise ValueError(f"{path.name} answers {twice[0]!r}{more} more than once; keep one answer to each question")
    if unknown := set(told) - {row.key for row in rows}:
        raise ValueError(f"the predictions answer {min(unknown)!r}, which the annotations do not ask")
    records = [_record(row, told.get(row.key), path) for row in rows]
    return records, len(rows) - len(told)


def _flat(value: Any, path: Path) -> Iterator[tuple[str, str | int | None]]:
    """(key, what is predicted) in the order of the file."""
    if isinstance(value, list):
        for one in value:
            key = one.get("question_id", one.get("key")) if isinstance(one, dict) else None
            if not isinstance(key, (str, int)):
                raise ValueError(f"{path.name} has none of the known forms of predictions: found {brief(one)}")
            yield str(key), _told(one.get("answer", one.get("prediction")), key, path)
        return
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} has none of the known forms of predictions: found {brief(value)}")
    for key, one in value.items():
        if isinstance(one, dict) and "prediction" in one:
            yield key, _told(one["prediction"], key, path)
        elif isinstance(one, dict):
            for question, text in one.items():
                yield f"{key}_{question}", _told(text, f"{key}_{question}", path)
        else:
            yield key, _told(one, key, path)


def _told(value: Any, key: str | int, path: Path) -> str | int | None:
    if isinstance(value, float):  # an answer such as 2.5, and 2.0 for a place
        return int(value) if value.is_integer() else str(value)
    if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
        return value
    raise ValueError(f"expected a text or a place as the answer to {key!r} in {path.name}, found {brief(value)}")


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
