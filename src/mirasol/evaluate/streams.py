"""Toybox streams as a task: exact match of answers about the past, by how long ago it was.

Streams have their visits within their first `within` seconds and are asked at their end, so every question lies at
least `seconds - within` seconds back. What a stream shows is really `rendered`, or put together from snippets that were
`stored`, which spares rendering and most of the encoder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mirasol.data.fused import SnippetStore
from mirasol.data.streams import stream_inputs
from mirasol.inference.engine import Engine, Options, Request
from mirasol.media.toybox.streams import STREAM_TYPES, Stream
from mirasol.model.inputs import Fused, Inputs, join_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text

WITHIN, VISITS = 64, 6  # seconds in which things come by, and how many: as long as the longest stream of the training
DISTURBED = 0.15  # share of all seconds in which something distracts
CALL = 64  # snippets per call of the encoder
Show = Callable[[Sequence[Stream], int, int], Inputs | Fused]  # the seconds [start, end) of streams, as a batch


@dataclass(frozen=True)
class Recalled:
    """One question put at the end of one stream; `distance` is how many seconds ago its last evidence left."""

    seconds: int
    seed: int
    type: str
    distance: int
    question: str
    truth: str
    answer: str
    confidence: float

    @property
    def right(self) -> bool:
        return self.answer == self.truth


def rendered(model: Mirasol) -> Show:
    """Every second is drawn and voiced, and goes through the whole encoder."""
    return lambda streams, start, end: join_inputs([stream_inputs(s, start, end, model.sizes) for s in streams])


def stored(store: SnippetStore) -> Show:
    """From a store of the same model's encoder; the streams' visits were picked from it."""

    def show(streams: Sequence[Stream], start: int, end: int) -> Fused:
        tokens = torch.stack([store.fused(stream, start, end).float() for stream in streams])
        return Fused(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))

    return show


@torch.inference_mode()
def recall(
    model: Mirasol,
    text: Text,
    streams: Sequence[Stream],
    show: Show,
    progress: Callable[[int], None] = lambda seconds: None,
) -> Iterator[Recalled]:
    """Watches streams of one length as one batch, and asks each of them everything at its end."""
    seconds, state = streams[0].seconds, model.encoder.start(len(streams))
    for start in range(0, seconds, CALL):
        end = min(start + CALL, seconds)
        _, _, state = model.encoder(show(streams, start, end), state)
        progress(len(streams) * (end - start))
    asked = [(row, question) for row, stream in enumerate(streams) for question in stream.questions(seconds)]
    requests = [Request(row, text.prompt(question.text)) for row, question in asked]
    said = Engine(model, text).answer(state, requests, Options(max_new_tokens=24))
    for (row, question), one in zip(asked, said, strict=True):
        yield Recalled(
            seconds, streams[row].seed, question.type, question.distance, question.text, question.answer,
            one.text, one.confidence,
        )  # fmt: skip


def score_streams(
    model: Mirasol, text: Text, lengths: Sequence[int], streams: int, progress: Callable[[int], None], batch: int = 10
) -> dict[str, Any]:
    """`recall` by length in seconds, on really rendered test streams, and the `blind` figures beside it."""
    seconds, found = [0], {}

    def on(more: int) -> None:
        seconds[0] += more
        progress(seconds[0])

    for length in lengths:
        recalled: list[Recalled] = []
        for first in range(0, streams, batch):
            seeds = range(first, min(first + batch, streams))
            group = [
                Stream(seed, "test", length, visits=VISITS, within=WITHIN, distractions=DISTURBED) for seed in seeds
            ]
            recalled += recall(model, text, group, rendered(model), on)
        found[str(length)] = recall_figures(recalled)
    return {"recall": found, "blind": blind_recall("test", seconds=WITHIN, visits=VISITS), "streams": streams}


def recall_figures(recalled: Sequence[Recalled]) -> dict[str, float]:
    """Percent right by type, `overall`, and the number of `questions`."""
    right: dict[str, list[bool]] = defaultdict(list)
    for one in recalled:
        right[one.type].append(one.right)
        right["overall"].append(one.right)
    figures = {
        type: round(100 * sum(right[type]) / len(right[type]), 1) for type in ("overall", *STREAM_TYPES) if right[type]
    }
    return {**figures, "questions": len(recalled)}


def blind_recall(split: str, streams: int = 300, seconds: int = 64, visits: int = 6) -> dict[str, float]:
    """Percent right of whoever always says the commonest answer of a question's type, about other streams."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(10**6, 10**6 + streams):
        for question in Stream(seed, split, seconds, visits=visits).questions(seconds):
            answers[question.type][question.answer] += 1
    right = {type: max(found.values()) for type, found in answers.items()}
    asked = {type: sum(found.values()) for type, found in answers.items()}
    figures = {type: round(100 * right[type] / asked[type], 1) for type in STREAM_TYPES if type in asked}
    return {"overall": round(100 * sum(right.values()) / sum(asked.values()), 1), **figures}
