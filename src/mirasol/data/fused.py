"""Streams for training a memory: put together from snippets that were rendered and encoded once.

What tubes, patches, ViT and a local combiner make of a snippet does not depend on the snippets around it (but for the
40 milliseconds of sound that the first spectrogram columns reach back). So short streams are rendered and fused once
into a `SnippetStore`, and long ones are cut from it: their script is that of any `Stream`, each visit is one of the
store, the seconds between are its empty ones, disturbed where the script says so. A memory then trains on some hundred
snippets per second and core instead of thirty. Measurements on really rendered streams are in `evaluate/streams.py`.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mirasol.media.toybox.streams import WORDINGS, Stream, Visit
from mirasol.model.inputs import Fused
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import exact
from mirasol.model.text import Text

from .examples import Batch, collate_pairs
from .stepped import SteppedBatches
from .streams import stream_inputs

VISITS, SECONDS = 6, 18  # of each stream that is rendered for the store: one thing comes right after the other


@dataclass(frozen=True)
class SnippetStore:
    """tokens (n, K, D) of n one-second snippets; `visits` with the place of their first snippet (the next one follows
    it); the places of snippets without a visit, calm and disturbed."""

    tokens: Tensor
    visits: tuple[tuple[Visit, int], ...]
    calm: tuple[int, ...]
    disturbed: tuple[int, ...]

    def __post_init__(self) -> None:
        by_kind: dict[str, list[Visit]] = defaultdict(list)
        for visit, _ in self.visits:
            by_kind[visit.kind].append(visit)
        object.__setattr__(self, "_by_kind", dict(by_kind))
        object.__setattr__(self, "_places", {(v.look, v.voice): place for v, place in self.visits})

    def pick(self, chance: random.Random, kind: str) -> Visit:
        """A visit of a kind, for `Stream(pick=...)`."""
        return chance.choice(self._by_kind[kind])  # type: ignore[attr-defined]

    def fused(self, stream: Stream, start: int, end: int) -> Tensor:
        """The seconds [start, end) of a stream whose visits were picked here, (end - start, K, D)."""
        places = []
        for second in range(start, end):
            if (visit := stream.visitor(second)) is not None:
                places.append(self._places[visit.look, visit.voice] + second - visit.start)  # type: ignore[attr-defined]
                continue
            chance = random.Random(f"toybox empty {stream.split} {stream.seed} {second}")
            places.append(chance.choice(self.disturbed if stream.disturbed(second) else self.calm))
        return self.tokens[places]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {
            "visits": [[asdict(visit), place] for visit, place in self.visits],
            "calm": self.calm,
            "disturbed": self.disturbed,
        }
        save_file({"tokens": self.tokens}, path, {"table": json.dumps(table)})

    @classmethod
    def load(cls, path: Path) -> SnippetStore:
        with safe_open(path, "pt") as file:
            table, tokens = json.loads(file.metadata()["table"]), file.get_tensor("tokens")
        visits = tuple((Visit(**visit), place) for visit, place in table["visits"])
        return cls(tokens, visits, tuple(table["calm"]), tuple(table["disturbed"]))


@torch.inference_mode()
def make_store(
    model: Mirasol,
    split: str,
    visits: int,
    *,
    first: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SnippetStore:
    """Renders and fuses the streams number `first` and following until there are so many visits."""
    sizes = model.sizes
    exact(1.0, sizes.snippet_seconds, "snippets per second of a stream")
    tokens: list[Tensor] = []
    places: list[tuple[Visit, int]] = []
    calm: list[int] = []
    disturbed: list[int] = []
    streams = -(-visits // VISITS)
    for number in range(streams):
        stream = Stream(first + number, split, SECONDS, visits=VISITS, distractions=0.2)
        tokens.append(model.encoder.fuse(stream_inputs(stream, 0, SECONDS, sizes))[0].half())
        base = number * SECONDS
        places += [(replace(visit, start=0), base + visit.start) for visit in stream.visits]
        for second in range(SECONDS):
            if stream.visitor(second) is None:
                (disturbed if stream.disturbed(second) else calm).append(base + second)
        progress(number + 1, streams)
    return SnippetStore(torch.cat(tokens), tuple(places), tuple(calm), tuple(disturbed))


@dataclass(frozen=True)
class Walk:
    """From optimizer step `start` on: `streams` streams at once, each of `chunks` batches of `chunk` seconds, with a
    number of visits drawn from `visits` (lowest, highest)."""

    start: int
    chunk: int
    chunks: int
    visits: tuple[int, int]
    streams: int


class FusedStreamBatches(SteppedBatches):
    """Batches for the steps [first, last): as `StreamBatches`, from a store (`store()` loads it, once per worker)."""

    def __init__(
        self, store: Callable[[], SnippetStore], text: Text, walks: tuple[Walk, ...], first: int, last: int, *,
        questions: int = 8, split: str = "train", seed: int = 0, distractions: float = 0.15,
    ) -> None:  # fmt: skip
        self._store, self.text, self.walks, self.first, self.last = store, text, walks, first, last
        self.questions, self.split, self.seed, self.distractions = questions, split, seed, distractions
        self._loaded: SnippetStore | None = None
        for walk in walks:
            if walk.start % walk.chunks:
                raise ValueError(f"a walk of {walk.chunks} chunks must begin at a multiple of them, found {walk.start}")

    @property
    def store(self) -> SnippetStore:
        if self._loaded is None:
            self._loaded = self._store()
        return self._loaded

    def stream(self, walk: Walk, number: int) -> Stream:
        """The stream of this number: any step's batch can be made by itself."""
        visits = random.Random(f"fused stream {self.seed} {number}").randint(*walk.visits)
        seed = self.seed * 1_000_000_000 + number
        length = walk.chunk * walk.chunks
        return Stream(seed, self.split, length, visits=visits, distractions=self.distractions, pick=self.store.pick)

    def batch(self, step: int) -> Batch:
        walk = [walk for walk in self.walks if walk.start <= step][-1]
        part = (step - walk.start) % walk.chunks
        start, end = part * walk.chunk, (part + 1) * walk.chunk
        tokens, pairs, seeds = [], [], []
        for row in self.rows(walk.streams):
            stream = self.stream(walk, (step - part) * 1_000 + row)
            chance = random.Random(f"fused {self.seed} {step} {row}")
            asked = stream.questions(end)
            chosen = chance.sample(asked, min(self.questions, len(asked)))
            tokens.append(self.store.fused(stream, start, end).float())
            pairs.append(tuple((question.text, question.answer) for question in chosen))
            seeds.append(stream.seed)
        fused = torch.stack(tokens)
        inputs = Fused(fused, torch.ones(fused.shape[:2], dtype=torch.bool))
        batch = collate_pairs(inputs, pairs, self.text, first=part == 0, spare=WORDINGS["last"][0])
        return replace(batch, seeds=torch.tensor(seeds))
