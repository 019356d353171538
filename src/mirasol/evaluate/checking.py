"""A result checked by others: its figures from its predictions alone, and some of its predictions from the media."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mirasol.data.annotations import by_media
from mirasol.inference.answer import Loaded
from mirasol.media.naming import quoted

from .runner import Plan, configuration, headline, outcomes, placed
from .tasks import Record, Task, score


def load_result(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        assert result["predictions"] is not None
        return result
    except FileNotFoundError:
        raise ValueError(f"no result '{path}': expected the result.json of an evaluation") from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"{path} is no result of an evaluation ({type(error).__name__})") from None


def verify(result: dict[str, Any], task: Task) -> list[str]:
    """Recomputes figures and coverage from the predictions; gives what differs, a line each."""
    try:
        records = [Record.from_dict(one) for one in result["predictions"]]
        scores = score(task, records, result["configuration"]["rule"])
        coverage, stated = result["coverage"], result["scores"]
        answered = len({one.key for one in records})
        wrong = [] if answered == coverage["answered"] else [f"answered: {coverage['answered']}, counted {answered}"]
        share = answered / coverage["listed"]
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"the result lacks what a result of an evaluation has ({error})") from None
    if abs(share - coverage["share"]) > 1e-4:
        wrong.append(f"coverage: {coverage['share']}, counted {share}")
    for row in sorted({*scores, *stated}):
        ours, theirs = scores.get(row, {}), stated.get(row, {})
        for name in dict.fromkeys([*theirs, *ours]):
            if not _equal(ours.get(name), theirs.get(name)):
                wrong.append(f"{row} {name}: {theirs.get(name)}, computed {ours.get(name)}")
    covered = share >= coverage["least"] and result["configuration"]["limit"] is None
    ours, theirs = headline(scores) if covered else {}, result["headline"] or {}
    if set(ours) != set(theirs) or not all(_equal(ours[name], theirs[name]) for name in ours):
        wrong.append(f"headline: {result['headline']}, computed {ours or None}")
    return wrong


def _equal(one: float | None, other: float | None) -> bool:
    """Earlier results hold a NaN where nothing was asked."""
    one, other = (None if value is None or math.isnan(value) else value for value in (one, other))
    return one is other if one is None or other is None else abs(one - other) < 1e-3


def answer_again(result: dict[str, Any], plan: Plan, loaded: Loaded, sample: int) -> list[str]:
    """Watches the films of up to `sample` questions, spread over the result, once more; gives answers that differ."""
    if (now := configuration(plan, loaded)) != (then := result["configuration"]):
        names = [name for name in now if now[name] != then.get(name)]
        raise ValueError(f"the result has another configuration than this call: {', '.join(names)}")
    told = {(one["row"], one["key"]): one["answer"] for one in result["predictions"]}
    keys = sorted({key for _, key in told})
    wanted = set(keys[:: max(1, len(keys) // sample)][:sample])
    films = placed(plan, by_media(plan.listed()))
    whole = list(by_media(plan.listed()))
    groups = [[row for row in group if row.key in wanted] for group in whole]
    pairs = [(some, films.get(group[0].key)) for group, some in zip(whole, groups, strict=True) if some]
    if gone := [some[0].media for some, film in pairs if film is None]:
        raise ValueError(f"the film {quoted(gone[0])} of the result is not in {plan.media.folder}")
    found: list[Record] = []
    for some, film in pairs:
        for outcome in outcomes(plan, loaded, [some], [film]):  # type: ignore[list-item]
            found += outcome.records
    return [
        f"{one.row} {one.key}: {told[one.row, one.key]!r}, now {one.answer!r}"
        for one in found
        if told.get((one.row, one.key)) != one.answer
    ]
