"""The texts that stand beside media: in a .txt, a .json or the row of a manifest, under the names that people use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Pairs = tuple[tuple[str | None, str], ...]

PROMPTS = ("prompt", "question", "instruction")
TARGETS = ("target", "answer", "caption", "text", "label", "response")
LISTS = ("pairs", "qa", "questions", "qas", "captions")
MOST_BYTES = 16 << 20  # of one text file: more is no caption


def first_of(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of these names that is there and not empty; None without one."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def pairs_of(value: Any) -> Pairs:
    """(prompt or None, target) pairs of what a JSON file or a row holds: a text, a list, a mapping with a target (and a
    prompt), or a mapping with a list of such (and perhaps a caption). `ValueError` for anything else."""
    if isinstance(value, str):
        return ((None, value.strip()),) if value.strip() else ()
    if isinstance(value, list):
        return tuple(pair for part in value for pair in pairs_of(part))
    if isinstance(value, Mapping):
        if isinstance(several := first_of(value, LISTS), list):
            caption = value.get("caption")
            return pairs_of(several) + (pairs_of(caption) if isinstance(caption, str) else ())
        if (target := first_of(value, TARGETS)) is not None:
            prompt = first_of(value, PROMPTS)
            if prompt is None and value.get("answer"):  # {"text": a question, "answer": ...}
                prompt = value.get("text") or None
            targets = target if isinstance(target, list) else [target]
            return tuple((None if prompt is None else str(prompt), str(text).strip()) for text in targets)
    wanted = f"one of {', '.join(TARGETS)} (and perhaps {', '.join(PROMPTS)})"
    found = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
    raise ValueError(f"expected a text, or a mapping with {wanted}, found {found or 'an empty one'}")


def pairs_in(name: str, data: bytes, prompt: str | None = None) -> Pairs:
    """The pairs in a file beside media, by its ending: .json, or plain text. `prompt` goes with plain texts."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"expected a text in {name}, found {len(data)} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"expected {name} as UTF-8 text") from None
    if not name.endswith(".json"):
        return tuple((prompt, target) for _, target in pairs_of(text))
    try:
        return pairs_of(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
