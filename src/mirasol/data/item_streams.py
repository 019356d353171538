"""Long media as training batches: item by item in chunks of some snippets, for training through time.

A batch holds one chunk of each of its lanes. Lanes that begin together have equally many chunks, so that `Batch.first`
holds for a whole batch: the loop carries the state from chunk to chunk and begins anew with the next items. Texts are
asked in the last chunk, when everything has been watched.

An item's length is looked up first (a `Long`), then its chunks are decoded one by one, each as it comes: no more than
some chunks are held, however long the items are.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from mirasol.media.clip import Clip, MediaError
from mirasol.media.reader import Media, join
from mirasol.model.inputs import Inputs, silence_before, snippet_inputs
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import cut, instants, snippet_count
from mirasol.model.text import Text

from .batches import SPARE, ItemBatches
from .decoding import Bad, choose_pairs, choose_span, judge, no_media, one_line, opened, words
from .examples import Batch, Example, collate
from .items import Item, Items
from .loading import loaded
from .order import Mixture
from .texts import Pairs


@dataclass(frozen=True)
class Long:
    """An item that is to be watched in so many chunks; nothing of it is decoded yet."""

    item: Item
    pairs: Pairs
    start: float  # seconds of the media
    end: float | None  # None: to their end
    seconds: float  # how long that is, as the media state it
    chunks: int
    seed: int


@dataclass(frozen=True)
class ChunkDecoder(Dataset):
    """(a `Long`, number of a chunk) -> (`Inputs` (1, S, ...), notes of the reader) or `Bad`, in a worker process."""

    sizes: Sizes
    chunk: int

    def __getitem__(self, wanted: tuple[Long, int]) -> tuple[Inputs, tuple[str, ...]] | Bad:
        long, at = wanted
        try:
            return chunk_inputs(long, at, self.chunk, self.sizes)
        except Exception as error:
            return Bad(long.item.key, words(long.item.media), one_line(error))


def chunk_inputs(long: Long, at: int, chunk: int, sizes: Sizes) -> tuple[Inputs, tuple[str, ...]]:
    """Chunk number `at` of so many snippets: exactly those snippets of the whole as inputs (1, S, ...), and what the
    reader noted of them. `MediaError` where the media have ended before."""
    item, length = long.item, chunk * sizes.snippet_seconds
    if item.media is None:
        return no_media(sizes), ()
    start, last = long.start + at * length, at == long.chunks - 1
    end = long.end if last else start + length
    before = silence_before(sizes)
    early = start if at == 0 else max(0.0, start - len(before) / sizes.sample_rate)

    def read(media: Media, *, picture: bool, sound: bool) -> Clip:
        return join(
            media.pieces(
                early, end, instants=lambda a, b: instants(sizes, max(a, start), b, long.start),
                fit=(sizes.height, sizes.width), sample_rate=sizes.sample_rate, piece_seconds=8.0,
                picture=picture and media.has_picture, sound=sound,
            )
        )  # fmt: skip

    with opened(item.media) as media:
        clip = read(media, picture=True, sound=item.sound is None)
        notes = media.warnings
    if item.sound is not None:
        with opened(item.sound) as media:
            heard = read(media, picture=False, sound=True)
            notes += media.warnings
        clip = replace(clip, waveform=heard.waveform, waveform_start=heard.waveform_start, end=max(clip.end, heard.end))
    judge(False, clip.end - long.start, long.seconds if last else (at + 1) * length)
    count = min(chunk, snippet_count(sizes, clip.end - start)) if last else chunk
    pieces = cut(
        sizes, origin=long.start, first=at * chunk, count=count, frame_times=clip.frame_times,
        frame_instants=clip.frame_instants, picture_end=clip.end, waveform=clip.waveform,
        waveform_start=clip.waveform_start,
    )  # fmt: skip
    if at and clip.waveform is not None:
        first = round((clip.waveform_start - long.start) * sizes.sample_rate) - at * chunk * sizes.samples
        before = sound_before(clip.waveform, first, before)
    return snippet_inputs(clip.frames, pieces, before, sizes), tuple(dict.fromkeys(notes))


def sound_before(waveform: np.ndarray, first: int, silence: np.ndarray) -> np.ndarray:
    """The samples before number 0, as many as `silence` has, of a waveform that begins at number `first`."""
    found = silence.copy()
    begin, stop = max(first, -len(silence)), min(0, first + len(waveform))
    if stop > begin:
        found[len(silence) + begin : len(silence) + stop] = waveform[begin - first : stop - first]
    return found


class ItemStreams(ItemBatches):
    """Chunks of `chunk` snippets of `lanes` items, over all training processes, without an end; see `feed`.

    chunks     of an item at most: of a longer one a part of this length is watched, another one each time
    questions, most_bad   as for `ItemBatches`

    An item of which a chunk cannot be decoded is noted; there its lane is empty, and at its end nothing is asked.
    """

    def __init__(
        self, items: Items | Mixture, sizes: Sizes, text: Text, *, lanes: int, chunk: int, chunks: int, seed: int = 0,
        questions: int = 8, most_bad: float = 0.05,
    ) -> None:  # fmt: skip
        longest = chunk * chunks * sizes.snippet_seconds
        super().__init__(
            items, sizes, text, clips=lanes, seed=seed, longest=longest, questions=questions, most_bad=most_bad
        )
        self.chunk = chunk
        self._given = 0  # chunks of the present lanes that have been given
        self._broken: set[int] = set()  # positions of those lanes that have turned out to be broken

    def example(self, item: Item, position: int) -> Long | Bad:
        """What a worker makes of an item before it is decoded."""
        seed = self.seed * 1_000_000_007 + position
        try:
            pairs = choose_pairs(item, self.text, self.sizes, self.questions, seed)
            if item.media is None:
                return Long(item, pairs, 0.0, None, 0.0, 1, seed)
            with opened(item.media) as media:
                start, end = choose_span(item, media, self.longest, seed)
                if media.duration is None and item.end is None:
                    raise MediaError("it does not state its length; `mirasol prepare --fps` writes it anew")
                there = min(end or math.inf, media.duration or math.inf) - start
                judge(False, there, end - start if end is not None else None)
        except Exception as error:
            return Bad(item.key, words(item.media), one_line(error))
        chunks = math.ceil(snippet_count(self.sizes, there) / self.chunk)
        return Long(item, pairs, start, end, there, chunks, seed)

    def feed(
        self, *, workers: int, rank: int = 0, ranks: int = 1, state: dict[str, Any] | None = None
    ) -> Iterator[Batch]:
        """As `ItemBatches.feed`. On as many processes it goes on inside its items; on others they begin anew."""
        part = state["parts"][rank] if state and len(state["parts"]) == ranks else {}
        self._given, self._broken = part.get("given", 0), set(part.get("broken", ()))
        return super().feed(workers=workers, rank=rank, ranks=ranks, state=state)

    def _batches(self, workers: int, size: int, first: list[int]) -> Iterator[Batch]:
        ready: deque[list[tuple[int, Long]]] = deque()  # lanes whose chunks are being decoded

        def wanted() -> Iterator[tuple[Long, int]]:
            skip = self._given
            for lanes in self._lanes(min(1, workers), size, first):
                ready.append(lanes)
                for at in range(skip, lanes[0][1].chunks):
                    yield from ((long, at) for _, long in lanes)
                skip = 0

        decoded = loaded(ChunkDecoder(self.sizes, self.chunk), workers, max(2, size // max(1, workers)), wanted)
        while True:
            found = [next(decoded) for _ in range(size)]
            lanes = ready[0]
            batch = self._batch(lanes, self._given, found)
            self._given += 1
            if self._given == lanes[0][1].chunks:
                for position, _ in ready.popleft():
                    self._waiting.remove(position)
                self._given, self._broken = 0, set()
            yield batch

    def _lanes(self, workers: int, size: int, first: list[int]) -> Iterator[list[tuple[int, Long]]]:
        """Items with equally many chunks, so many at a time."""
        buckets: dict[int, list[tuple[int, Long]]] = {}
        for position, long in self._usable(workers, size, first):
            group = buckets.setdefault(long.chunks, [])
            group.append((position, long))
            if len(group) == size:
                yield buckets.pop(long.chunks)

    def _batch(self, lanes: list[tuple[int, Long]], at: int, found: list[Any]) -> Batch:
        """Chunk `at` of all lanes."""
        examples = []
        for (position, long), one in zip(lanes, found, strict=True):
            if isinstance(one, Bad):
                self._note(one)
                self._broken.add(position)
                inputs = no_media(self.sizes)
            else:
                inputs, notes = one
                self._keep_notes(words(long.item.media), notes)
            asked = at == long.chunks - 1 and position not in self._broken
            examples.append(Example(inputs, long.pairs if asked else (), long.seed, words(long.item.media)))
        return collate(examples, self.text, first=at == 0, spare=SPARE)

    def state(self) -> dict[str, Any]:
        """What this process has used, after the batch that it gave last."""
        return {**super().state(), "given": self._given, "broken": sorted(self._broken)}
