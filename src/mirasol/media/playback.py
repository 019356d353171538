"""A file as it would arrive: picture and sound in the order of their seconds, and the second at which the picture ends.

Picture and sound are decoded in two containers, as in `reader`: however they are stored, both have the same seconds
there and here. Pictures become arrays only when somebody asks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .opening import Report, raw_seconds
from .reader import Media
from .sound import SoundGrid, mono


@dataclass(frozen=True)
class Arrival:
    """A frame or some sound, and its second. `frame()` makes (h, w, 3) uint8; `waveform` is (samples,) float32.

    Of the kind "end", with no samples: the last frame leaves the screen.
    """

    kind: str  # "picture", "sound" or "end"
    time: float
    frame: Callable[[], np.ndarray] | None = None
    waveform: np.ndarray | None = None


class Playback:
    """One pass over a file, by iteration. What goes wrong is told to `report`."""

    def __init__(
        self, media: Media, report: Report, *, sample_rate: int, fit: tuple[int, int] | None, picture: bool,
        sound: bool,
    ) -> None:  # fmt: skip
        self._media, self._report, self._rate = media, report, sample_rate
        self._picture, self._sound = picture and media.has_picture, sound and media.has_sound
        self._fit, self._screen = fit, media.screen(media.origin)
        first = media.first_sample
        self._grid = SoundGrid(sample_rate, None if first is None else first - media.origin)
        self._containers: list[Any] = []

    @property
    def came(self) -> bool:
        """Whether anything could be decoded so far."""
        return self._screen.count > 0 or self._grid.tail > 0

    @property
    def end(self) -> float:
        """Seconds at which what has come ends."""
        shown = self._screen.last_end(self._media.has_sound) if self._screen.count else 0.0
        return max(shown, self._heard)

    @property
    def _heard(self) -> float:
        return self._grid.tail / self._rate

    def __iter__(self) -> Iterator[Arrival]:
        ways = [*([self._pictures()] if self._picture else []), *([self._sounds()] if self._sound else [])]
        try:
            for arrival in heapq.merge(*ways, key=lambda arrival: arrival.time):
                yield arrival if math.isfinite(arrival.time) else replace(arrival, time=self.end)
            shown = self._screen.last_end(self._media.has_sound) if self._screen.count else 0.0
            self._media.check_ends(
                shown if self._picture else None, self._heard if self._sound else None, self._report
            )  # fmt: skip
        finally:
            for container in self._containers:
                container.close()

    def _frames(self, index: int | None) -> Iterator[Any]:
        assert index is not None
        container, frames = self._media.walk(index).begin(None, self._report)
        self._containers.append(container)
        return frames

    def _pictures(self) -> Iterator[Arrival]:
        media = self._media
        framing = media.framing(self._fit, self._report)
        for frame in self._frames(media.picture_index):
            at = self._screen.place(frame)
            yield Arrival("picture", at, frame=partial(framing, frame, at))
        if self._screen.count:
            # One single picture stays as long as the sound.
            stays = self._sound and self._screen.is_still(media.has_sound)
            at = math.inf if stays else self._screen.last_end(media.has_sound)
            yield Arrival("end", at, waveform=np.empty(0, np.float32))

    def _sounds(self) -> Iterator[Arrival]:
        origin = self._media.origin
        for frame in self._frames(self._media.sound_index):
            if not frame.samples:
                continue
            raw = raw_seconds(frame, None)
            time = None if raw is None else raw - origin
            yield from self._parts(self._grid.push(mono(frame, self._report), time, frame.sample_rate))
        yield from self._parts(self._grid.finish())

    def _parts(self, parts: list[tuple[int, np.ndarray]]) -> Iterator[Arrival]:
        for at, samples in parts:
            yield Arrival("sound", at / self._rate, waveform=samples)
