"""The sound stream: mixed to one channel, resampled, and laid on a grid of samples that begins at second 0."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import chain
from math import gcd
from statistics import median
from typing import Any

import av
import numpy as np

from .clip import MediaError
from .opening import Report, raw_seconds

PREROLL = 1.0  # seconds decoded before a range, so that codec and resampler have settled when it begins
ANCHORED = 0.8  # seconds of them that say where in the stream they are
UNSETTLED = 3  # frames after a seek that are left out
FAR = 16.0  # times full scale: samples beyond it are no sound
FASTEST = 10_000_000  # samples per second; recordings of ultrasound have some hundred thousand
TOLERANCE = 0.02  # seconds: timestamps are rounded; only a greater deviation may be a hole or an overlap
LARGE = 0.25  # seconds: a hole that no jitter makes
LASTING, FEW = 1.0, 12  # seconds, and packets, for which timestamps must deviate to one side to move samples

Part = tuple[int, np.ndarray]  # the grid index of the first sample, and the samples (n,) float32

# How loud each channel is in the mix, before the weights are made to add up to 1 so that the mix cannot clip.
# Front channels count as in the usual stereo fold-down; the low-frequency channel is left out.
WEIGHTS = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
OTHER_CHANNEL = 0.5


def mono(frame: Any, report: Report) -> np.ndarray:
    """Samples (n,) float32 of a decoded frame of any sample format and any channel layout, all of them finite.

    What was no sample, and how loud the channels are before and after mixing, is counted in `report`.
    """
    names = [channel.name for channel in frame.layout.channels]
    count = len(names)
    data = frame.to_ndarray()
    data = data if frame.format.is_planar else data.reshape(-1, count).T  # (channels, n)
    if data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128.0) / 128.0
    elif np.issubdtype(data.dtype, np.integer):
        data = data.astype(np.float32) / -float(np.iinfo(data.dtype).min)
    else:
        data, bad = finite(data)
        report.unsound += bad
    if count == 1:
        return np.ascontiguousarray(data[0], np.float32)
    weights = np.array([WEIGHTS.get(name, OTHER_CHANNEL) for name in names], np.float32)
    if weights.sum() == 0:
        weights[:] = 1.0
    mixed = ((weights / weights.sum()) @ data).astype(np.float32)
    report.channels += float(np.square(data, dtype=np.float64).mean(0).sum()) / frame.sample_rate
    report.mixed += float(np.square(mixed, dtype=np.float64).sum()) / frame.sample_rate
    return mixed


def finite(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """(samples of any shape as float32, those that are not finite or far beyond full scale as silence; their number).

    For every waveform that comes from outside: one such sample would spoil all that a stream remembers.
    """
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(samples) <= FAR)
    if not bad.any():
        return samples.astype(np.float32, copy=False), 0
    return np.where(bad, 0, samples).astype(np.float32), int(bad.sum())


def resampler(in_rate: int, out_rate: int) -> Any:
    """One that takes (1, n) float32 at `in_rate`; `MediaError` for a rate that no sound has."""
    if not 0 < in_rate <= FASTEST:
        raise MediaError(f"expected sound of at most {FASTEST} samples per second, found {in_rate}")
    return av.AudioResampler(format="flt", layout="mono", rate=out_rate)


class SoundGrid:
    """Lays decoded sound on the grid of samples of its stream: sample k belongs to second k / sample_rate.

    Within a stream the samples are counted, not timed: a timestamp that deviates for a moment moves nothing. Only
    where all samples of LASTING seconds deviate to one side is there a hole or an overlap, and it is put where the
    deviation began. A resampler always begins at a sample that falls on the grid it would have had from the first
    sample of the stream: a range has the same samples as the whole.
    """

    def __init__(self, sample_rate: int, first: float | None) -> None:
        self._out_rate = sample_rate
        self._first = first  # seconds of the stream's first sample; None: of the first that comes
        self._in_rate = 0
        self._base = 0.0  # seconds of input sample 0
        self._count = 0  # input samples that have been placed, holes included
        self._origin = self.tail = 0  # grid indexes of input sample 0, and of the sample after the last one made
        self._odd: list[tuple[np.ndarray, float]] = []  # samples whose timestamps deviate, and by how much
        self._resampler: Any = None

    def push(self, samples: np.ndarray, time: float | None, in_rate: int) -> list[Part]:
        """Samples (n,) float32 that begin at second `time` (None: where the last ended) -> what is made by now."""
        parts: list[Part] = []
        if in_rate != self._in_rate:
            parts += self.finish()
            self._begin(time, in_rate)
        off = 0.0 if time is None else time - self._expected
        if self._odd and (time is None or self._goes_on(off)):
            off = self._middle if time is None else off
        elif self._odd:
            parts += self._settle(lasting=abs(self._middle) > LARGE and abs(off) > TOLERANCE)
            off = 0.0 if time is None else time - self._expected
        if abs(off) <= TOLERANCE and not self._odd:
            return parts + self._feed(samples)
        self._odd.append((samples, off))
        seconds = sum(len(held) for held, _ in self._odd) / in_rate
        lasting = seconds >= LASTING and (len(self._odd) >= FEW or seconds >= 2 * LASTING)
        return parts + (self._settle(lasting=True) if lasting or off > LARGE else [])

    def finish(self) -> list[Part]:
        """What is left at the end of the stream."""
        parts = self._settle(lasting=abs(self._middle) > LARGE) if self._odd else []
        return parts + self._flush()

    @property
    def _expected(self) -> float:
        return self._base + (self._count + sum(len(held) for held, _ in self._odd)) / self._in_rate

    @property
    def _middle(self) -> float:
        return median(off for _, off in self._odd)

    def _goes_on(self, off: float) -> bool:
        """Whether a deviation is like those of the samples that wait."""
        middle = self._middle
        return abs(off) > TOLERANCE and off * middle > 0 and abs(off - middle) <= LARGE

    def _settle(self, lasting: bool) -> list[Part]:
        """Feeds what waits: behind a hole or without an overlap where the deviation lasts, else as if it were none."""
        off, held = round(self._middle * self._in_rate), np.concatenate([samples for samples, _ in self._odd])
        self._odd.clear()
        parts: list[Part] = []
        if lasting and off > 0:
            parts += self._flush()
            self._count += off
        elif lasting:
            held = held[-off:]
        return parts + self._feed(held)

    def _begin(self, time: float | None, in_rate: int) -> None:
        """At the beginning of the stream, after a seek, or where the stream changes its rate."""
        if self._in_rate == 0:
            time = (self._first or 0.0) if time is None else time
            self._base = time if self._first is None else min(self._first, time)
            self._origin = self.tail = round(self._base * self._out_rate)
            self._count = round((time - self._base) * in_rate)
        else:
            self._base, self._count, self._origin = self.tail / self._out_rate, 0, self.tail
        self._in_rate = in_rate

    def _feed(self, samples: np.ndarray) -> list[Part]:
        if not len(samples):
            return []
        if self._resampler is None:
            self._resampler = resampler(self._in_rate, self._out_rate)
            step = self._in_rate // gcd(self._in_rate, self._out_rate)  # input samples between two on the output grid
            early = self._count % step
            self._count -= early
            self._made = self._origin + self._count * self._out_rate // self._in_rate
            samples = np.concatenate([np.zeros(early, np.float32), samples])
        self._count += len(samples)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
        frame.sample_rate = self._in_rate
        return self._keep(self._resampler.resample(frame))

    def _flush(self) -> list[Part]:
        if self._resampler is None:
            return []
        frames, self._resampler = self._resampler.resample(None), None
        return self._keep(frames)

    def _keep(self, frames: list[Any]) -> list[Part]:
        parts: list[Part] = []
        for frame in frames:
            wave = frame.to_ndarray()[0]
            again = max(0, self.tail - self._made)  # of the last samples before a short hole
            if len(wave) > again:
                parts.append((self._made + again, wave[again:]))
                self.tail = self._made + len(wave)
            self._made += len(wave)
        return parts


class SoundCursor:
    """Walks through the sound of a stream once, forward, and hands out spans of its samples; holes are zeros."""

    def __init__(
        self, frames: Iterator[Any], first: float | None, origin: float, start: float, sample_rate: int,
        report: Report,
    ) -> None:  # fmt: skip
        self._frames, self._origin, self._report = frames, origin, report
        self._raw_first = first  # seconds of the stream's first sample in the file's own count
        self._grid = SoundGrid(sample_rate, None if first is None else first - origin)
        self._unsettled_left = UNSETTLED
        self._start, self._out_rate = start, sample_rate
        self._parts: deque[Part] = deque()  # not yet handed out
        self._head: int | None = None  # grid index of the first sample that can still be handed out
        self._begun = self.exhausted = False

    @property
    def end(self) -> float:
        """Seconds just after the last sample decoded so far."""
        return self._grid.tail / self._out_rate

    def take(self, start: float, end: float) -> tuple[np.ndarray, float]:
        """Waveform (samples,) float32 within [start, end) seconds, and the second of its first sample."""
        low, high = round(start * self._out_rate), round(end * self._out_rate)
        while not self.exhausted and self._grid.tail < high:
            self._advance()
        tail = self._grid.tail
        begin = min(max(low, tail if self._head is None else self._head), tail)
        until = min(max(high, begin), tail)
        wave = np.zeros(until - begin, np.float32)
        while self._parts and self._parts[0][0] < until:
            at, part = self._parts.popleft()
            if at + len(part) > until:
                self._parts.appendleft((until, part[until - at :]))
                part = part[: until - at]
            if at + len(part) > begin:
                part, at = part[max(0, begin - at) :], max(at, begin)
                wave[at - begin : at - begin + len(part)] = part
        self._head = None if self._head is None else max(self._head, until)
        return wave, (begin / self._out_rate if len(wave) else start)

    def changes(self, second: float) -> float:
        """When there is sound, at `second` or later, after `take` up to there; infinite for never."""
        if self._parts:
            return max(second, self._parts[0][0] / self._out_rate)
        return math.inf if self.exhausted else second

    def _advance(self) -> None:
        """The next decoded frame; after a seek, some of them at once."""
        frames = [frame for frame in [next(self._frames, None)] if frame is not None]
        if not frames:
            self.exhausted = True
            self._keep(self._grid.finish())
            return
        frames = [frame for frame in frames if frame.samples and not self._unsettled(frame)]
        if not frames:
            return
        begin = self._second(frames[0])
        late = begin is not None and self._raw_first is not None and begin + self._origin > self._raw_first + 1e-6
        if late and not self._begun:
            begin = self._anchored(frames)
        self._begun = True
        for frame in frames:
            time = self._second(frame) if begin is None else begin
            self._keep(self._grid.push(mono(frame, self._report), time, frame.sample_rate))
            begin = None

    def _second(self, frame: Any) -> float | None:
        raw = raw_seconds(frame, None)
        return None if raw is None else raw - self._origin

    def _anchored(self, frames: list[Any]) -> float:
        """The second of the first frame after a seek, by the timestamps of many: each alone is rounded or jitters.
        Those that follow are added to `frames`."""
        places, length = [], 0.0
        for frame in chain(list(frames), self._frames):
            if length:
                frames.append(frame)
            second = self._second(frame)
            if second is not None:
                places.append(second - length)
            length += frame.samples / frame.sample_rate
            if length >= ANCHORED:
                break
        return median(places)

    def _unsettled(self, frame: Any) -> bool:
        """Whether this is one of the first frames after a seek: their timestamps may be those of half a packet."""
        raw = raw_seconds(frame, None)
        if self._begun or self._unsettled_left == 0 or self._raw_first is None or raw is None:
            return False
        self._unsettled_left -= 1
        return raw > self._raw_first + 1e-6

    def _keep(self, parts: list[Part]) -> None:
        for at, part in parts:
            self._head = at if self._head is None else self._head
            # What lies before the range is dropped at once: a far range must not pile up its way there.
            if at + len(part) > round(self._start * self._out_rate):
                self._parts.append((at, part))
            else:
                self._head = at + len(part)
