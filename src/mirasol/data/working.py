"""The same work on many numbered tasks: in this process, in several, or as Ray tasks on a cluster.

Every task leaves its result on disk, whole or not at all; what comes back is only which one is done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

_held: Any = None  # in a worker process: what the tasks are done on


def run_tasks(
    work: Any, name: str, tasks: Sequence[int], *, workers: int = 1, ray: str | None = None
) -> Generator[int]:
    """Calls `work.name(task)` for every task and gives each task that is done. `ray`: the address of a cluster, or
    `local` for one on this machine with `workers` processes."""
    if ray is not None:
        return on_ray(work, name, tasks, workers, ray)
    if workers <= 1:
        return in_turn(work, name, tasks)
    return in_processes(work, name, tasks, workers)


def in_turn(work: Any, name: str, tasks: Sequence[int]) -> Generator[int]:
    """In this process."""
    for task in tasks:
        getattr(work, name)(task)
        yield task


def hold(work: Any) -> None:
    """The beginning of a worker process. It ends at once on Ctrl-C, and with its parent."""
    global _held
    _held = work
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """A parent that is killed ends its workers: nobody shall write where the next call goes on."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def call(name: str, task: int) -> int:
    """In a worker process: one task."""
    getattr(_held, name)(task)
    return task


def in_processes(work: Any, name: str, tasks: Sequence[int], workers: int) -> Generator[int]:
    """In several processes of this machine."""
    with ProcessPoolExecutor(workers, initializer=hold, initargs=(work,)) as pool:
        try:
            for done in as_completed([pool.submit(call, name, task) for task in tasks]):
                yield done.result()
        except BrokenProcessPool:
            raise ValueError(
                "a worker process died (killed for memory, or by a decoder that crashed); the same command goes on, "
                "and --workers 1 shows at which file"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def on_ray(work: Any, name: str, tasks: Sequence[int], workers: int, address: str) -> Generator[int]:
    """On a cluster, or on one that is started here and ended again."""
    try:
        import ray
    except ImportError:
        raise ValueError('--ray needs Ray: pip install "mirasol[ray]"') from None
    here: Any = {"num_cpus": max(1, workers)} if address == "local" else {}
    ray.init(address=address, include_dashboard=False if here else None, log_to_driver=False, **here)
    try:
        held = ray.put(work)

        def one(work: Any, task: int) -> int:
            getattr(work, name)(task)
            return task

        remote = ray.remote(one)
        waiting = [remote.remote(held, task) for task in tasks]
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from ray.get(done)
    except ray.exceptions.RayError as error:
        raise ValueError(f"a task failed on Ray: {' '.join(str(error).split())[-400:]}") from None
    finally:
        ray.shutdown()
