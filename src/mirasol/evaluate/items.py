"""Exact match on items of a user's own: what a training run is told about media that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mirasol.data.decoding import Bad, decode
from mirasol.data.items import Items
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text

from .metrics import same_whatever_case
from .toybox import answer_batch


def same(answer: str, target: str) -> bool:
    """Equal but for case, spaces and a full stop at the end."""
    return same_whatever_case(answer.rstrip(". "), [target.rstrip(". ")])


@torch.inference_mode()
def score_items(
    model: Mirasol, text: Text, items: Items, *, longest: float = 64.0, most: int = 200,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:  # fmt: skip
    """Percent of generated answers that equal the targets, over the first `most` items: {"exact", "asked", "bad"}."""
    right = asked = bad = 0
    for at in range(min(most, len(items))):
        example = decode(items[at], model.sizes, text, longest=longest, questions=1_000)
        progress(at + 1)
        if isinstance(example, Bad):
            bad += 1
            continue
        answers = answer_batch(model, text, example.inputs, [(0, prompt) for prompt, _ in example.pairs])
        right += sum(same(answer, target) for (answer, _), (_, target) in zip(answers, example.pairs, strict=True))
        asked += len(answers)
    return {"exact": round(100 * right / max(1, asked), 1), "asked": asked, "bad": bad}
