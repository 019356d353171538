"""One run in a folder at a time: who holds it, and what a run that was killed left there."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = ".running"


@contextmanager
def held(out: Path) -> Iterator[None]:
    """The folder for this process alone; `ValueError` where another one has it. The kernel releases the lock however
    the process ends, so what is left of a killed run holds nobody up."""
    with (out / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise ValueError(
                f"{out} is in use by another run ({holder(file.read())}); wait for it, end it, or choose another --out"
            ) from error
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        file.flush()
        yield
        file.truncate(0)


def holder(text: str) -> str:
    """Who wrote the lock, in words."""
    try:
        told = json.loads(text)
        return f"process {told['pid']} on {told['host']}, since {told['since']}"
    except (ValueError, TypeError, KeyError):
        return "it has not said which"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a log, one a line; a line that a kill tore is skipped. No file: none."""
    found = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict):
                found.append(told)
    return found


def cut_back(path: Path, step: int) -> int:
    """Leaves the lines of a log up to `step`, from which the run resumes; returns how many later ones were cut off,
    torn ones among them."""
    if not path.is_file():
        return 0
    before = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in whole_lines(path) if isinstance(line.get("step"), int) and line["step"] <= step]
    if len(kept) < len(before):
        making = path.with_name(f".{path.name}")
        making.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        making.replace(path)
    return len(before) - len(kept)
