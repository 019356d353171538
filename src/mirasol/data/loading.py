"""Worker processes that make what a training process needs next."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler


class Endless(Sampler[Any]):
    """A sampler that gives what `make()` yields."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Any]:
        return self._make()


def deaf(worker: int) -> None:
    """A signal to the whole group of processes asks the training process for an end; its workers end with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def loaded(
    dataset: Dataset, workers: int, ahead: int, wanted: Callable[[], Iterator[Any]] | None = None
) -> Iterator[Any]:
    """What the dataset gives, in order, made by so many processes, `ahead` things each in advance. `wanted` yields
    what to ask of a dataset that is asked by key. A process that dies is one line: `ValueError`."""
    loader = DataLoader(
        dataset, batch_size=None, sampler=None if wanted is None else Endless(wanted), num_workers=workers,
        prefetch_factor=ahead if workers else None, worker_init_fn=deaf,
    )  # fmt: skip
    things = iter(loader)
    while True:
        try:
            yield next(things)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise ValueError(
                "a process that makes batches died (killed for memory, or by a decoder that crashed); --workers 0 "
                "works in this process and shows at what"
            ) from error
