"""Ask a file: one pass over it, any number of questions, each answer with a receipt.

    import mirasol
    model = mirasol.load()                       # the tiny model of the package, or a folder
    for answer in mirasol.ask("film.mp4", ["what do you hear?"], model):
        print(answer.answer, answer.confidence, answer.receipt)

A file is watched as a session is: decoded, cut and encoded piece by piece, so memory holds a few seconds of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

from mirasol.media.clip import Clip
from mirasol.media.reader import open_media
from mirasol.model.snippets import instants

from .answer import Answer, Loaded, Watched, check_questions, load, put
from .engine import GREEDY, Options
from .intake import STILL
from .session import MOST, Session

Progress = Callable[[float, float | None], None]


def watch(
    source: Any,
    loaded: Loaded,
    start: float | None = None,
    end: float | None = None,
    *,
    picture: bool = True,
    sound: bool = True,
    progress: Progress | None = None,
    observe: Callable[[Clip], None] | None = None,
    album: bool = False,
) -> Watched:
    """Watches [start, end) seconds of a file. `progress(seconds done, seconds in all or None)` is called on the way,
    and `observe` gets every decoded piece that the model gets. `album`: see `Session`.

    `ValueError` for a span that makes no sense, `MediaError` for a source that cannot be read.
    """
    if not all(math.isfinite(second) for second in (start, end) if second is not None):
        raise ValueError(f"expected start and end as finite seconds, found start={start}, end={end}")
    sizes, origin = loaded.model.sizes, start or 0.0
    session = Session(loaded, start=origin, picture=picture, sound=sound, album=album)
    with open_media(source) as media:
        total = None if media.duration is None else min(media.duration, end or media.duration) - origin
        last = origin
        for clip in media.pieces(
            start, end, instants=lambda a, b: instants(sizes, a, b, origin), fit=(sizes.height, sizes.width),
            sample_rate=sizes.sample_rate, piece_seconds=MOST * sizes.snippet_seconds, picture=picture, sound=sound,
            still=STILL + 2 * sizes.snippet_seconds,
        ):  # fmt: skip
            session.push_clip(clip)
            session.catch_up()
            last = clip.end
            if observe is not None:
                observe(clip)
            if progress is not None:
                progress(clip.end - origin, total)
        session.flush(last)
        session.warnings = tuple(media.warnings)
    return session.snapshot()


@overload
def ask(source: Any, questions: str, model: Loaded | str | Path = ..., start: float | None = ...,
        end: float | None = ..., options: Options = ...) -> Answer: ...  # fmt: skip
@overload
def ask(source: Any, questions: Sequence[str], model: Loaded | str | Path = ..., start: float | None = ...,
        end: float | None = ..., options: Options = ...) -> list[Answer]: ...  # fmt: skip
def ask(
    source: Any, questions: str | Sequence[str], model: Loaded | str | Path = "tiny",
    start: float | None = None, end: float | None = None, options: Options = GREEDY,
) -> Answer | list[Answer]:  # fmt: skip
    """Watches a file once. One question, one answer; several in a list, a list of answers."""
    loaded = model if isinstance(model, Loaded) else load(model)
    several = [questions] if isinstance(questions, str) else list(questions)
    check_questions(several, loaded)
    answers = put(watch(source, loaded, start, end), several, loaded, options)
    return answers[0] if isinstance(questions, str) else answers


def describe(
    source: Any, model: Loaded | str | Path = "tiny", start: float | None = None, end: float | None = None,
    options: Options = GREEDY,
) -> Answer:  # fmt: skip
    """A caption of a file."""
    loaded = model if isinstance(model, Loaded) else load(model)
    return put(watch(source, loaded, start, end), [None], loaded, options)[0]
