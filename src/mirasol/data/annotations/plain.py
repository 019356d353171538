"""JSON that can be read in one way only: what the format, or Python's reader of it, leaves open is refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class NotPlain(Exception):
    """What JSON as such allows, or Python's reader of it, and what nobody can read in one way."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise NotPlain(f"the key {doubled!r} stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise NotPlain(f"{name} is no value of JSON; write null where there is none")


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
