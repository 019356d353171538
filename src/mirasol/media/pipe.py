"""Bytes from an open descriptor, such as standard input, that another thread can stop waiting for.

A thread that waits inside `sys.stdin` cannot be stopped, and Python aborts when it ends while one does.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any

TICK = 0.1  # seconds after which a waiting read sees that it was stopped


class Pipe(io.RawIOBase):
    """Reads once, forward. After `stop` a read returns b"", as at the end, within `TICK` seconds."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._stopped = descriptor, threading.Event()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What is there, `size` bytes at most; waits for the first."""
        while not self._stopped.is_set():
            try:
                ready, _, _ = select.select([self._descriptor], [], [], TICK)
            except (OSError, ValueError):  # not a thing to wait for on this system: the read itself waits
                ready = [self._descriptor]
            if ready:
                try:
                    return os.read(self._descriptor, size if size > 0 else 65_536)
                except BlockingIOError:
                    continue
        return b""

    def lines(self) -> Iterator[str]:
        """Lines of text, without their ends."""
        loose = b""
        while data := self.read():
            *whole, loose = (loose + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
        if loose and not self._stopped.is_set():
            yield loose.decode("utf-8", "replace")

    def stop(self) -> None:
        """From any thread: the reader has had enough."""
        self._stopped.set()


def standard_input() -> Any:
    """Standard input as a `Pipe`; where it is no descriptor, as a file object."""
    try:
        return Pipe(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return getattr(sys.stdin, "buffer", None) or io.BytesIO()


def named_pipe(path: str) -> Pipe | None:
    """The pipe at a path in the file system (mkfifo); None where something else is."""
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            return None
        return Pipe(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # does not wait here for someone to write
    except (OSError, ValueError):
        return None
