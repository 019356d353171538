"""Multiple choice by likelihood: which of the given answers the model would most likely say. No letter is ever parsed.

`sum` is the log-probability of a whole option with its end; `mean` divides it by the number of tokens, so that long
options are not at a disadvantage. Both are kept, and reports state which one decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from mirasol.inference.engine import Engine, Looked, Request

RULES = ("mean", "sum")


def option_scores(
    engine: Engine, looked: Looked, asked: Sequence[tuple[int, str | None, Sequence[str]]]
) -> list[list[tuple[float, int]]]:
    """For each (state that was looked at, question, options): the log-probability and the number of tokens of each
    option. `ValueError` for a question that does not fit in with its longest option."""
    texts: list[tuple[Request, list[int]]] = []
    for row, question, options in asked:
        request = Request(row, engine.text.prompt(question))
        texts += [(request, engine.text.target(option)) for option in options]
    left = iter(engine.likelihood(looked, texts))
    return [[next(left) for _ in options] for _, _, options in asked]


def by_rule(scores: Sequence[tuple[float, int]], rule: str) -> list[float]:
    """(log-probability, tokens) of options -> what decides; see `RULES`."""
    if rule not in RULES:
        raise ValueError(f"expected the rule {' or '.join(RULES)}, found {rule!r}")
    return [value / count if rule == "mean" else value for value, count in scores]


def best(values: Sequence[float]) -> int:
    """The place of the highest; of equal ones the first."""
    return max(range(len(values)), key=lambda at: (values[at], -at))
