"""Questions put to several watched films at once: said freely, or scored by the likelihood of given answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mirasol.data.annotations import Row
from mirasol.inference.answer import Loaded, Watched
from mirasol.inference.engine import Engine, Request
from mirasol.model.state import stack_states

from .choices import best, by_rule, option_scores
from .tasks import Record

PROMPT = "the question alone, in lower case with a final '?'; options are never shown, each is scored as the answer"


def too_long(row: Row, options: Sequence[str], loaded: Loaded) -> str | None:
    """Why a question cannot be asked of this model, or None."""
    most = loaded.model.sizes.text_positions
    longest = max((len(loaded.text.target(option)) for option in options), default=1)
    if (length := len(loaded.text.prompt(row.question)) + longest) > most:
        return f"question and answer take {length} tokens, this model has room for {most}"
    return None


@torch.inference_mode()
def answer(
    watched: Sequence[Watched], asked: Sequence[tuple[int, Row, Sequence[str]]], shown: str, loaded: Loaded, rule: str
) -> list[Record]:
    """Records of (film, row, options); without options the answer is said freely. `shown`: how films were shown."""
    if not asked:
        return []
    engine, text = Engine(loaded.model, loaded.text), loaded.text
    looked = engine.look(stack_states([one.state for one in watched]))
    found: dict[int, Record] = {}
    listed = [at for at, (_, _, options) in enumerate(asked) if options]
    questions = [(asked[at][0], asked[at][1].question, asked[at][2]) for at in listed]
    for at, scores in zip(listed, option_scores(engine, looked, questions), strict=True):
        film, row, options = asked[at]
        place = best(by_rule(scores, rule))
        found[at] = record(row, shown, watched[film], answer=options[place], options=tuple(options),
                           scores=tuple((round(value, 5), count) for value, count in scores))  # fmt: skip
    free = [at for at, (_, _, options) in enumerate(asked) if not options]
    requests = [Request(asked[at][0], text.prompt(asked[at][1].question)) for at in free]
    for at, said in zip(free, engine.answer(looked, requests), strict=True):
        film, row, _ = asked[at]
        found[at] = record(row, shown, watched[film], answer=said.text, confidence=round(said.confidence, 4))
    return [found[at] for at in range(len(asked))]


def record(row: Row, shown: str, watched: Watched, **said: Any) -> Record:
    return Record(
        shown, row.key, row.question, row.answers, row.type, seconds=watched.receipt.end, more=dict(row.more),
        correct=row.correct, **said,
    )  # fmt: skip
