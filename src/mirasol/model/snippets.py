"""The one place where time is cut. Pure arithmetic: seconds in, snippets out.

Snippet s covers the seconds [s d, (s + 1) d) from the start of the stream, d = F / frame rate. Its F picture instants
are the centres of F equal cells; the picture taken is the one on screen then. Its sound is the samples of the same
span. What is missing is marked, never stretched, never cut to the shorter one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .sizes import Sizes


@dataclass(frozen=True)
class Cut:
    """Snippets of one stream, ready for the signal files.

    frames (S, F) index into the given frames, -1 where no picture was on screen; waveform (S, samples) float32, zero
    where there is no sound; heard (S, samples) true where a sample is real; seconds (S, 2) start and end of each.
    """

    frames: np.ndarray
    waveform: np.ndarray
    heard: np.ndarray
    seconds: np.ndarray


def instants(sizes: Sizes, start: float, end: float, origin: float = 0.0) -> np.ndarray:
    """Picture instants (n,) in [start, end) of a stream whose first snippet starts at second `origin`."""
    rate = sizes.frame_rate
    first = math.ceil((start - origin) * rate - 0.5 - 1e-9)
    last = math.ceil((end - origin) * rate - 0.5 - 1e-9)
    return origin + (np.arange(max(first, 0), max(last, 0)) + 0.5) / rate


def snippet_count(sizes: Sizes, seconds: float) -> int:
    """How many snippets a stream of so many seconds has; the last may be partly empty, an empty stream has one."""
    return max(1, math.ceil(seconds / sizes.snippet_seconds - 1e-6))


def on_screen(times: np.ndarray, asked: np.ndarray, end: float) -> np.ndarray:
    """Index of the frame on screen at each asked instant: the last that began by then; -1 before the first and from
    `end` on."""
    found = np.searchsorted(times, asked + 1e-6, side="right") - 1
    return np.where(asked < end + 1e-6, found, -1)


def cut(
    sizes: Sizes,
    *,
    origin: float,
    first: int,
    count: int,
    frame_times: np.ndarray | None = None,
    frame_instants: np.ndarray | None = None,
    picture_end: float = math.inf,
    waveform: np.ndarray | None = None,
    waveform_start: float = 0.0,
) -> Cut:
    """Cuts `count` snippets, from number `first` of a stream that starts at second `origin`.

    `frame_times` (n,) are the seconds at which frames go on screen; with `frame_instants` (n,) the frames were already
    chosen, one for each of these instants. All seconds are seconds of the source.
    """
    length, rate = sizes.snippet_seconds, sizes.sample_rate
    asked = origin + first * length + (np.arange(count * sizes.frames) + 0.5) / sizes.frame_rate
    if frame_times is None or len(frame_times) == 0:
        frames = np.full(asked.shape, -1)
    elif frame_instants is not None:
        frames = np.searchsorted(frame_instants, asked - 1e-6)
        near = np.minimum(frames, len(frame_instants) - 1)
        frames = np.where(np.abs(frame_instants[near] - asked) < 1e-6, near, -1)
    else:
        frames = on_screen(np.asarray(frame_times), asked, picture_end)

    sound = np.zeros(count * sizes.samples, np.float32)
    heard = np.zeros(count * sizes.samples, bool)
    if waveform is not None:
        offset = round((waveform_start - origin) * rate) - first * sizes.samples
        begin, stop = max(0, offset), min(len(sound), offset + len(waveform))
        if stop > begin:
            sound[begin:stop] = waveform[begin - offset : stop - offset]
            heard[begin:stop] = True
    starts = origin + (first + np.arange(count)) * length
    return Cut(
        frames.reshape(count, sizes.frames),
        sound.reshape(count, sizes.samples),
        heard.reshape(count, sizes.samples),
        np.stack([starts, starts + length], axis=1),
    )
