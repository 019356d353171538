"""Batches of real media for training: decoded ahead in worker processes, in an order that depends on nothing but the
seed, without an example seen twice or left out, and to be gone on with at any moment without decoding anything again.

Position p of the order names one item (`Mixture`). Of several training processes number r takes every `ranks`-th
position. Workers decode single items; this process puts them into batches, and an item that cannot be used is replaced
by the next one. What has been used is a small value: a position up to which everything was, and what was beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

from .decoding import Bad, decode
from .examples import Batch, Example, collate
from .items import Item, Items
from .order import Mixture

JUDGED = 200  # items after which the share of bad ones means something
SPARE = "what?"  # put where nobody asks anything; counts for nothing


class Decoder(Dataset):
    """Position -> (position, `Example` or `Bad`), in a worker process."""

    def __init__(self, mixture: Mixture, make: Callable[[Any, int], Any]) -> None:
        self.mixture, self.make = mixture, make

    def __getitem__(self, position: int) -> tuple[int, Any]:
        try:
            item = self.mixture.item(position)
        except (ValueError, OSError) as error:  # a text beside the media that cannot be read
            source, _, index = self.mixture.place(position)
            return position, Bad(f"item {index} of source {source}", "", " ".join(str(error).split()))
        return position, self.make(item, position)


class Positions(Sampler[Any]):
    """A sampler without an end."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Any]:
        return self._make()


class ItemBatches:
    """Batches of `clips` clips, over all training processes, without an end; see `feed`.

    longest    seconds: of a longer item a part of this length is watched, another one each time
    questions  asked of a clip at most, another choice each time
    bucket     clips of about the same number of snippets share a batch, so that little is padding
    most_bad   the share of bad items at which it is no accident any more: `ValueError`
    """

    def __init__(
        self, items: Items | Mixture, sizes: Sizes, text: Text, *, clips: int, seed: int = 0, longest: float = 64.0,
        questions: int = 8, bucket: bool = False, most_bad: float = 0.05,
    ) -> None:  # fmt: skip
        self.mixture = items if isinstance(items, Mixture) else Mixture([(items, 1.0)], seed)
        self.sizes, self.text, self.clips, self.seed = sizes, text, clips, seed
        self.longest, self.questions, self.bucket, self.most_bad = longest, questions, bucket, most_bad
        self.bad: dict[Bad, None] = {}  # in the order in which they were met, each once
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
        self._waiting = []
        return self._batches(workers, self.clips // ranks, list(first))

    def _own(self, start: int) -> Iterator[int]:
        """This process's positions from `start` on."""
        return (p for p in count(start) if owner(p, self._start, self._ranks) == self._rank)

    def _batches(self, workers: int, size: int, first: list[int]) -> Iterator[Batch]:
        buckets: dict[int, list[tuple[int, Example]]] = {}
        for position, example in self._usable(workers, size, first):
            group = buckets.setdefault(self._size_of(example), [])
            group.append((position, example))
            if len(group) == size:
                for used, _ in group:
                    self._waiting.remove(used)
                yield collate([example for _, example in group], self.text, spare=SPARE)
                group.clear()

    def _usable(self, workers: int, size: int, first: list[int]) -> Iterator[tuple[int, Any]]:
        """What `example` makes of this process's positions, those in `first` before the others; each waits from then
        on. What is bad is noted."""
        start = self._next

        def positions() -> Iterator[int]:
            yield from first
            yield from self._own(start)

        loader = DataLoader(
            Decoder(self.mixture, self.example), batch_size=None, sampler=Positions(positions), num_workers=workers,
            prefetch_factor=max(2, 2 * size // max(1, workers)) if workers else None,
        )  # fmt: skip
        for position, found in lived(iter(loader)):
            if position >= self._next:
                self._next = position + 1
                self._decoded += 1
            if isinstance(found, Bad):
                self._note(found)
                continue
            self._waiting.append(position)
            yield position, found

    def _size_of(self, example: Example) -> int:
        """Which bucket: lengths of 1, 2, 3, 4, 6, 8, 12, 16, ... snippets share with those up to the next."""
        if not self.bucket:
            return 0
        assert example.inputs.snippet_mask is not None
        snippets, size = example.inputs.snippet_mask.shape[1], 1
        while size < snippets:
            size += max(1, (1 << (size.bit_length() - 1)) // 2)
        return size

    def _note(self, bad: Bad) -> None:
        self.bad[bad] = None
        if self._decoded >= JUDGED and len(self.bad) > self.most_bad * min(self._decoded, len(self.mixture)):
            raise ValueError(
                f"{len(self.bad)} of {self._decoded} items cannot be used, more than {self.most_bad:.0%}; the last: "
                f"{bad.key}: {bad.reason}. Look at the data, or allow more (most_bad)"
            )

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
        """How many items were decoded, and every bad one once."""
        return {"decoded": self._decoded, "bad": [vars(bad) for bad in self.bad]}


def owner(position: int, start: dict[str, Any], ranks: int) -> int | None:
    """Which of `ranks` processes has a position; None where it had been used before `start`."""
    beyond = start["beyond"]
    if position < start["frontier"] or position in beyond:
        return None
    return (position - start["frontier"] - sum(used < position for used in beyond)) % ranks


def lived(loader: Iterator[Any]) -> Iterator[Any]:
    """What a loader gives; a worker that dies is one line."""
    while True:
        try:
            yield next(loader)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise ValueError(
                "a process that decodes media died (killed for memory, or by a decoder that crashed); "
                "--workers 0 decodes in this process and shows at which file"
            ) from error


def first_texts(mixture: Mixture, most: int = 100_000) -> Iterator[str]:
    """Prompts and targets of the first items of the order, for a vocabulary."""
    for draw in islice(count(), min(most, len(mixture))):
        try:
            item = mixture.item(draw)
        except (ValueError, OSError):
            continue
        for prompt, target in item.pairs:
            yield from (text for text in (prompt, target) if text)
