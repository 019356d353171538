"""Multiple choice by likelihood: which of the given answers the model would most likely say. No letter is ever parsed.

`sum` is the log-probability of a whole option with its end; `mean` divides it by the number of tokens, so that long
options are not at a disadvantage. Both are kept, and reports state which one decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text, pad

RULES = ("mean", "sum")
ROWS = 256  # texts in one call of the decoder


@torch.inference_mode()
def option_scores(
    model: Mirasol, text: Text, context: Tensor, mask: Tensor, asked: Sequence[tuple[int, str | None, Sequence[str]]]
) -> list[list[tuple[float, int]]]:
    """For each (row of the context, question, options): the log-probability and the number of tokens of each option.

    context (B, C, D), mask (B, C): what was watched, see `Encoder.context`. `ValueError` for a question that does not
    fit in with its longest option.
    """
    texts: list[tuple[int, list[int], int]] = []  # (row, ids, length of the prompt)
    for row, question, options in asked:
        prompt = text.prompt(question)
        texts += [(row, prompt + text.target(option), len(prompt)) for option in options]
    found: list[tuple[float, int]] = [(0.0, 0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at][1]))  # texts of like length share a call
    for first in range(0, len(order), ROWS):
        part = order[first : first + ROWS]
        ids, real = (value.to(context.device) for value in pad([texts[at][1] for at in part], text.pad))
        rows = torch.tensor([texts[at][0] for at in part], device=context.device)
        hidden, _ = model.decoder(ids, context[rows], mask[rows], text_mask=real)
        starts = torch.tensor([texts[at][2] for at in part], device=context.device)
        places = torch.arange(1, ids.shape[1], device=context.device)
        counts = (places >= starts[:, None]) & real[:, 1:]  # (rows, T - 1): targets, the end among them
        logs = model.lm_head(hidden[:, :-1][counts]).float().log_softmax(dim=-1)
        values = torch.zeros_like(counts, dtype=torch.float32)
        values[counts] = logs.gather(-1, ids[:, 1:][counts][:, None])[:, 0]
        for at, value, count in zip(part, values.sum(dim=1).tolist(), counts.sum(dim=1).tolist(), strict=True):
            found[at] = (value, count)
    left = iter(found)
    return [[next(left) for _ in options] for _, _, options in asked]


def by_rule(scores: Sequence[tuple[float, int]], rule: str) -> list[float]:
    """(log-probability, tokens) of options -> what decides; see `RULES`."""
    if rule not in RULES:
        raise ValueError(f"expected the rule {' or '.join(RULES)}, found {rule!r}")
    return [value / count if rule == "mean" else value for value, count in scores]


def best(values: Sequence[float]) -> int:
    """The place of the highest; of equal ones the first."""
    return max(range(len(values)), key=lambda at: (values[at], -at))
