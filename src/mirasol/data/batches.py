"""Batches of real media for training: decoded ahead in worker processes, in an order that depends on nothing but the
seed, without an example seen twice or left out, and to be gone on with at any moment without decoding anything again.

Position p of the order names one item (`Mixture`). Of several training processes number r takes every `ranks`-th
position. Workers decode single items; this process puts them into batches, and an item that cannot be used is replaced
by the next one. What has been used is a small value: a position up to which everything was, and what was beyond it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from torch.utils.data import Dataset

from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

from .decoding import Bad, decode, one_line
from .examples import Batch, Example, collate
from .items import Item, Items
from .loading import loaded
from .order import Mixture

MOST_NOTED = 100_000  # files whose notes are kept
JUDGED = 200  # items after which the share of bad ones means something
SPARE = "what?"  # put where nobody asks anything; counts for nothing


class Decoder(Dataset):
    """Position -> (position, `Example` or `Bad`), in a worker process."""

    def __init__(self, mixture: Mixture, make: Callable[[Any, int], Any]) -> None:
        self.mixture, self.make = mixture, make

    def __getitem__(self, position: int) -> tuple[int, Any]:
        try:
            item = self.mixture.item(position)
        except Exception as error:  # a text beside the media that cannot be read, in whatever way
            source, _, index = self.mixture.place(position)
            return position, Bad(f"item {index} of source {source}", "", one_line(error))
        found = self.make(item, position)
        return position, found


class ItemBatches:
    """Batches of `clips` clips, over all training processes, without an end; see `feed`.

    longest    seconds: of a longer item a part of this length is watched, another one each time
    questions  asked of a clip at most, another choice each time
    most_bad   the share of bad items at which it is no accident any more: `ValueError`
    """

    def __init__(
        self, items: Items | Mixture, sizes: Sizes, text: Text, *, clips: int, seed: int = 0, longest: float = 64.0,
        questions: int = 8, most_bad: float = 0.05,
    ) -> None:  # fmt: skip
        self.mixture = items if isinstance(items, Mixture) else Mixture([(items, 1.0)], seed)
        self.sizes, self.text, self.clips, self.seed = sizes, text, clips, seed
        self.longest, self.questions, self.most_bad = longest, questions, most_bad
        self.bad: dict[tuple[str, str], Bad] = {}  # in the order in which they were met, each item once
        self.noted: dict[str, tuple[str, ...]] = {}  # files that are used although the reader noted something
        self._decoded = 0
        self._start: dict[str, Any] = {"frontier": 0, "beyond": []}
        self._rank, self._ranks, self._next = 0, 1, 0
        self._waiting: list[int] = []  # positions of decoded examples that are in no batch yet, those to come first

    def example(self, item: Item, position: int) -> Any:
        """What a worker makes of an item: an `Example`, or `Bad`."""
        seed = self.seed * 1_000_000_007 + position
        return decode(item, self.sizes, self.text, longest=self.longest, questions=self.questions, seed=seed)

    def feed(
        self, *, workers: int, rank: int = 0, ranks: int = 1, state: dict[str, Any] | None = None
    ) -> Iterator[Batch]:
        """The batches of one process of `ranks`, without an end. `state` is what `merge` gave: on as many processes
        each goes on exactly where it was, on another number the items not used yet are dealt out anew."""
        if self.clips % ranks:
            raise ValueError(f"expected a batch that {ranks} processes can share evenly, found {self.clips} clips")
        self._rank, self._ranks = rank, ranks
        if state and len(state["parts"]) == ranks:
            part = state["parts"][rank]
            self._start, self._next, first = part["start"], part["next"], part["waiting"]
        else:
            self._start = {"frontier": state["frontier"], "beyond": state["beyond"]} if state else self._start
            self._next, first = self._start["frontier"], []
        self._waiting = list(first)
        return self._batches(workers, self.clips // ranks, list(first))

    def _own(self, start: int) -> Iterator[int]:
        """This process's positions from `start` on."""
        return (p for p in count(start) if owner(p, self._start, self._ranks) == self._rank)

    def _batches(self, workers: int, size: int, first: list[int]) -> Iterator[Batch]:
        chosen: list[tuple[int, Example]] = []
        for position, example in self._usable(workers, size, first):
            chosen.append((position, example))
            if len(chosen) == size:
                for used, _ in chosen:
                    self._waiting.remove(used)
                yield collate([example for _, example in chosen], self.text, spare=SPARE)
                chosen = []

    def _usable(self, workers: int, size: int, first: list[int]) -> Iterator[tuple[int, Any]]:
        """What `example` makes of this process's positions, those in `first` before the others; each waits from then
        on. What is bad is noted."""
        start = self._next

        def positions() -> Iterator[int]:
            yield from first
            yield from self._own(start)

        for position, found in loaded(
            Decoder(self.mixture, self.example), workers, max(2, 2 * size // max(1, workers)), positions
        ):
            if position >= self._next:
                self._next = position + 1
                self._decoded += 1
            if isinstance(found, Bad):
                self._note(found)
                if position in self._waiting:
                    self._waiting.remove(position)
                continue
            if position not in self._waiting:
                self._waiting.append(position)
            if isinstance(found, Example):
                self._keep_notes(found.name, found.notes)
            yield position, found

    def _note(self, bad: Bad) -> None:
        self.bad.setdefault((bad.key, bad.place), bad)
        if self._decoded >= JUDGED and len(self.bad) > self.most_bad * min(self._decoded, len(self.mixture)):
            raise ValueError(
                f"{len(self.bad)} of {self._decoded} items cannot be used, more than {self.most_bad:.0%}; the last: "
                f"{bad.key}: {bad.reason}. Look at the data, or allow more (most_bad)"
            )

    def _keep_notes(self, name: str, notes: tuple[str, ...]) -> None:
        """What a reader noted of a file that is used all the same, once for each file."""
        if notes and len(self.noted) < MOST_NOTED:
            self.noted.setdefault(name, notes)

    def state(self) -> dict[str, Any]:
        """What this process has used, after the batch that it gave last."""
        return {"start": self._start, "next": self._next, "waiting": sorted(self._waiting)}

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """The states of all processes as one: `parts` for as many processes, the rest for any other number."""
        start, ranks = states[0]["start"], len(states)
        waiting = {position for state in states for position in state["waiting"]}
        frontier = min([state["next"] for state in states] + sorted(waiting)[:1])
        farthest = max(state["next"] for state in states)
        beyond = [
            p
            for p in range(frontier, max(farthest, *(start["beyond"] or [0])) + 1)
            if p not in waiting and ((rank := owner(p, start, ranks)) is None or p < states[rank]["next"])
        ]
        return {"frontier": frontier, "beyond": beyond, "parts": states}

    def report(self) -> dict[str, Any]:
        """How many items were decoded, every bad one once, and every file that is used with a note."""
        broken = [bad for source in self.mixture.sources for bad in getattr(source.items, "broken", ())]
        noted = [{"place": place, "notes": list(notes)} for place, notes in self.noted.items()]
        bad = [vars(bad) for bad in (*broken, *self.bad.values())]
        return {"decoded": self._decoded, "bad": bad, "listed": len(broken), "noted": noted}

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with: what is learned from, and how it is dealt out."""
        told = [self.mixture.fingerprint(), self.longest, self.questions, self.seed]
        return {"data": told, "clips": self.clips}


def owner(position: int, start: dict[str, Any], ranks: int) -> int | None:
    """Which of `ranks` processes has a position; None where it had been used before `start`."""
    beyond = start["beyond"]  # in order
    before = bisect_left(beyond, position)
    if position < start["frontier"] or (before < len(beyond) and beyond[before] == position):
        return None
    return (position - start["frontier"] - before) % ranks


def first_texts(mixture: Mixture, most: int = 100_000) -> Iterator[str]:
    """Prompts and targets of the first items of the order, for a vocabulary."""
    for draw in islice(count(), min(most, len(mixture))):
        try:
            item = mixture.item(draw)
        except (ValueError, OSError):
            continue
        for prompt, target in item.pairs:
            yield from (text for text in (prompt, target) if text)
