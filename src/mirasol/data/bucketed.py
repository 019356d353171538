"""Batches of clips of about the same length, so that little of them is padding: bucketed first, then dealt out.

How long an item is, its container states; that is looked up before anything is decoded, for all positions of the order
by every process. So each knows every batch of the run and decodes its own rows of it, and it is the same run on any
number of processes. What has been used is the same everywhere, too: a position up to which everything was looked at,
and what of that still waits for others of its length.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import Any

from mirasol.media.reader import open_media
from mirasol.model.snippets import snippet_count

from .batches import SPARE, Decoder, ItemBatches
from .decoding import Bad, Slice, choose_span, no_media, one_line, opened, words
from .examples import Batch, Example, collate
from .items import Item, Member
from .loading import loaded

LOOKERS = 8  # files whose length is looked up at a time
PATIENCE = 16  # batches that an example waits for others of its length
REMEMBERED = 1_000_000  # lengths


class BucketedBatches(ItemBatches):
    """As `ItemBatches`, but the clips of a batch have about the same number of snippets. One of a rare length that has
    waited for long goes with those of the nearest lengths. An item whose file turns out to be damaged when it is
    decoded is missing in its batch; one that cannot be opened is replaced by the next."""

    _known: dict[tuple[int, int], int | Bad]  # by source and index

    def snippets(self, item: Item) -> int:
        """Of how many snippets it will be, by what its container states; `MediaError` where it cannot be opened."""
        if item.fault:
            raise ValueError(item.fault)
        if item.media is None:
            return 1
        with ExitStack() as stack:
            place = item.media
            if isinstance(place, Member):
                media = stack.enter_context(open_media(stack.enter_context(Slice(place))))
            else:
                media = stack.enter_context(opened(place))
            start, end = choose_span(item, media, self.longest, 0)
            there = min(end or math.inf, media.duration or math.inf, start + self.longest) - start
        return snippet_count(self.sizes, there)

    def look_up(self, item: Item) -> int | Bad:
        """The same, or why it cannot be used."""
        try:
            return self.snippets(item)
        except Exception as error:  # whatever a decoder may raise
            return Bad(item.key, words(item.media), one_line(error))

    def feed(
        self, *, workers: int, rank: int = 0, ranks: int = 1, state: dict[str, Any] | None = None
    ) -> Iterator[Batch]:
        """As `ItemBatches.feed`; resumed on any number of processes each goes on exactly where it was."""
        if self.clips % ranks:
            raise ValueError(f"expected a batch that {ranks} processes can share evenly, found {self.clips} clips")
        self._rank, self._ranks, self._known = rank, ranks, {}
        self._used = state or {"next": 0, "waiting": []}
        return self._batches(workers, self.clips // ranks, [])

    def _batches(self, workers: int, size: int, first: list[int]) -> Iterator[Batch]:
        dealt: deque[tuple[list[int], dict[str, Any]]] = deque()  # batches that are being decoded

        def wanted() -> Iterator[int]:
            for batch, after in self._planned():
                dealt.append((batch, after))
                yield from batch[self._rank :: self._ranks]

        decoder = Decoder(self.mixture, self.example)
        decoded = loaded(decoder, workers, max(2, 2 * size // max(1, workers)), wanted)
        while True:
            found = [next(decoded)[1] for _ in range(size)]
            for one in found:
                if isinstance(one, Bad):
                    self._note(one)
                else:
                    self._keep_notes(one.name, one.notes)
            examples = [one for one in found if isinstance(one, Example)]
            _, self._used = dealt.popleft()
            yield collate(examples or [Example(no_media(self.sizes), ())], self.text, spare=SPARE)

    def _planned(self) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """(positions of a batch, what has been used after it), without an end: the same for every process."""
        waiting: list[tuple[int, int]] = []  # (bucket, position)
        for position, found in self._looked_up(self._used["waiting"]):
            if not isinstance(found, Bad):
                waiting.append((self._size_of(found), position))
        for position, found in self._looked_up(count(self._used["next"])):
            self._decoded += 1
            if isinstance(found, Bad):
                self._note(found)
                continue
            waiting.append((self._size_of(found), position))
            chosen = [entry for entry in waiting if entry[0] == waiting[-1][0]]
            if len(chosen) < self.clips:
                oldest = waiting[0]
                if position - oldest[1] < PATIENCE * self.clips or len(waiting) < self.clips:
                    continue
                near = sorted(waiting, key=lambda entry: (abs(entry[0] - oldest[0]), entry[1]))
                chosen = sorted(near[: self.clips], key=lambda entry: entry[1])
            waiting = [entry for entry in waiting if entry not in chosen]
            yield [place for _, place in chosen], {"next": position + 1, "waiting": [place for _, place in waiting]}

    def _looked_up(self, positions: Iterable[int]) -> Iterator[tuple[int, int | Bad]]:
        """Positions with what `look_up` finds there, some looked up in advance, each item once."""
        with ThreadPoolExecutor(LOOKERS) as pool:
            ahead: deque[tuple[int, tuple[int, int], int | Bad | Future[int | Bad]]] = deque()
            for position in positions:
                source, _, index = self.mixture.place(position)
                found: int | Bad | Future[int | Bad] | None = self._known.get((source, index))
                if found is None:
                    try:
                        found = pool.submit(self.look_up, self.mixture.item(position))
                    except Exception as error:  # a text beside the media that cannot be read, in whatever way
                        found = Bad(f"item {index} of source {source}", "", one_line(error))
                ahead.append((position, (source, index), found))
                if len(ahead) > 2 * self.clips:
                    yield self._told(*ahead.popleft())
            while ahead:
                yield self._told(*ahead.popleft())

    def _told(self, position: int, item: tuple[int, int], found: Any) -> tuple[int, int | Bad]:
        told = found.result() if isinstance(found, Future) else found
        if len(self._known) < REMEMBERED:
            self._known[item] = told
        return position, told

    @staticmethod
    def _size_of(snippets: int) -> int:
        """Which bucket: lengths of 1, 2, 3, 4, 6, 8, 12, 16, ... snippets share with those up to the next."""
        size = 1
        while size < snippets:
            size += max(1, (1 << (size.bit_length() - 1)) // 2)
        return size

    def state(self) -> dict[str, Any]:
        """What has been used, after the batch that was given last."""
        return self._used

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """The states of all processes, which are the same."""
        assert all(state == states[0] for state in states)
        return states[0]

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        found = super().identity()
        return {**found, "data": [*found["data"], "bucketed first"]}
