"""Many files at once: decoded ahead by threads, encoded as batches, each answered as soon as it has been watched.

for one in mirasol.ask_many(["a.mp4", "b.mp4"], ["what do you hear?"]):
    print(one.file, one.error or one.answers)
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mirasol.media.clip import Clip
from mirasol.media.reader import open_media
from mirasol.model.snippets import instants

from .answer import Answer, Loaded, check_questions, load, put_all
from .engine import GREEDY, Options
from .session import MOST, Session, step_together

TOGETHER = 8  # files that are watched at a time
AHEAD = 2  # pieces of each that wait to be encoded


@dataclass(frozen=True)
class Asked:
    """A file with its answers, in the order of the questions; or why it could not be watched."""

    file: str
    answers: tuple[Answer, ...] = ()
    error: str | None = None


@dataclass
class _Watching:
    """A file on its way. The thread that decodes it waits at `room` until its pieces are used."""

    file: str
    session: Session
    room: threading.Semaphore
    last: float | None = None  # seconds, once all was decoded
    error: str | None = None


def ask_many(
    files: Iterable[str | Path],
    questions: str | Sequence[str],
    model: Loaded | str | Path = "tiny",
    options: Options = GREEDY,
    *,
    together: int = TOGETHER,
) -> Iterator[Asked]:
    """Answers the same questions about every file, in the order in which they are done. A file that cannot be watched
    is named with the reason and the others go on. `ValueError` for a question that makes no sense, at once."""
    loaded = model if isinstance(model, Loaded) else load(model)
    questions = [questions] if isinstance(questions, str) else list(questions)
    if not questions or together < 1:
        raise ValueError(f"expected at least one question and one file at a time, found {len(questions)}, {together}")
    check_questions(questions, loaded)
    return _ask_many(iter(files), questions, loaded, options, together)


def _ask_many(
    files: Iterator[str | Path], questions: list[str], loaded: Loaded, options: Options, together: int
) -> Iterator[Asked]:
    arrived: queue.SimpleQueue[tuple[_Watching, Any]] = queue.SimpleQueue()
    stopped = threading.Event()
    active: list[_Watching] = []

    def begin() -> None:
        for file in islice(files, together - len(active)):
            one = _Watching(str(file), Session(loaded, start=0.0), threading.Semaphore(AHEAD))
            active.append(one)
            threading.Thread(target=_decode, args=(one, loaded, arrived, stopped), daemon=True).start()

    begin()
    try:
        while active:
            found = [arrived.get()]
            while not arrived.empty():
                found.append(arrived.get())
            for one, item in found:
                _take(one, item)
            sound = [one for one in active if one.error is None]
            while step_together([one.session for one in sound], MOST):
                pass
            done = [one for one in active if one.error is not None or one.last is not None]
            yield from _finish(done, questions, loaded, options)
            active[:] = [one for one in active if one not in done]
            begin()
    finally:
        stopped.set()
        for one in active:
            one.room.release()


def _take(one: _Watching, item: Any) -> None:
    if isinstance(item, Clip) and one.error is None:
        one.session.push_clip(item)
        one.room.release()
    elif isinstance(item, tuple):
        one.last, one.session.warnings = item
    elif isinstance(item, str):
        one.error = item


def _finish(done: Sequence[_Watching], questions: list[str], loaded: Loaded, options: Options) -> Iterator[Asked]:
    """The answers of all that have been watched whole, in one batch."""
    whole = [one for one in done if one.error is None]
    for one in whole:
        one.session.flush(one.last)
    answers = iter(put_all([(one.session.snapshot(), questions) for one in whole], loaded, options))
    for one in done:
        yield Asked(one.file, error=one.error) if one.error is not None else Asked(one.file, tuple(next(answers)))


def _decode(
    one: _Watching, loaded: Loaded, arrived: queue.SimpleQueue[tuple[_Watching, Any]], stopped: threading.Event
) -> None:
    """Pieces of a file into the queue, then where it ends and what is to be said of it; or why it cannot be read."""
    sizes, last = loaded.model.sizes, 0.0
    try:
        with open_media(one.file) as media:
            for clip in media.pieces(
                instants=lambda a, b: instants(sizes, a, b, 0.0), fit=(sizes.height, sizes.width),
                sample_rate=sizes.sample_rate, piece_seconds=MOST * sizes.snippet_seconds,
            ):  # fmt: skip
                one.room.acquire()
                if stopped.is_set():
                    return
                arrived.put((one, clip))
                last = clip.end
            arrived.put((one, (last, tuple(media.warnings))))
    except Exception as error:  # one file never ends the others
        arrived.put((one, " ".join(str(error).split()) or type(error).__name__))
