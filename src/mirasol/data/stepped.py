"""Batches that are made from the number of their step alone, such as scenes rendered on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from .examples import Batch
from .loading import loaded


class SteppedBatches(IterableDataset):
    """The batches of the steps [first, last), in order, whatever the number of loader workers. A subclass gives
    `batch(step)`; nothing needs to be kept to go on at another step.

    Of several training processes each makes its own rows: number `rank` has every `ranks`-th row from its own on.
    """

    first: int
    last: int
    rank, ranks = 0, 1

    def batch(self, step: int) -> Batch:
        raise NotImplementedError

    def rows(self, count: int) -> range:
        """Which of `count` rows this process makes; `ValueError` where they cannot be shared evenly."""
        if count % self.ranks:
            raise ValueError(f"expected a batch that {self.ranks} processes can share evenly, found {count} clips")
        return range(self.rank, count, self.ranks)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        start, jump = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in range(self.first + start, self.last, jump):
            yield self.batch(step)

    def feed(self, *, workers: int, rank: int = 0, ranks: int = 1, state: dict[str, Any] | None = None) -> Iterator:
        """The batches of one process. `state` is what `state()` gave: here nothing."""
        self.rank, self.ranks = rank, ranks
        return loaded(self, workers, 8)

    def state(self) -> dict[str, Any]:
        """What must be kept to go on."""
        return {}

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """The states of all processes as one."""
        return {}

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with: nothing, stages still to come may be changed."""
        return {}

    def report(self) -> dict[str, Any]:
        """What was left out: here nothing."""
        return {}
