"""The sound stream: mixed to one channel, resampled, and laid on a grid of samples that begins at second 0."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Any

import av
import numpy as np

from .clip import MediaError
from .opening import Report, Steady, raw_seconds

PREROLL = 0.5  # seconds decoded before a range, so that codec and resampler have settled when it begins
UNSETTLED = 3  # frames after a seek that are left out
FAR = 16.0  # times full scale: samples beyond it are no sound
FASTEST = 10_000_000  # samples per second; recordings of ultrasound have some hundred thousand
TOLERANCE = 0.02  # seconds: timestamps are rounded; only a greater deviation is a hole or an overlap

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


class SoundCursor:
    """Walks through the sound of a stream once, forward, and hands out spans of the resampled waveform.

    Sample k of the grid belongs to second k / sample_rate of the file. Within a stream the samples are counted, not
    timed, so rounded timestamps make no seams; holes are filled with zeros and overlaps are trimmed. The resampler
    always begins at a sample that falls on the grid it would have had from the beginning of the stream: a range has
    the same samples as the whole.
    """

    def __init__(
        self, frames: Iterator[Any], steady: Steady, first: float | None, origin: float, start: float,
        sample_rate: int, report: Report,
    ) -> None:  # fmt: skip
        self._frames, self._steady, self._report = frames, steady, report
        self._raw_first = first  # seconds of the stream's first sample in the file's own count
        self._first = None if first is None else first - origin  # the same from the file's first instant
        self._unsettled_left = UNSETTLED
        self._start, self._out_rate = start, sample_rate
        self._in_rate = 0
        self._base = 0.0  # seconds of input sample 0 of this run
        self._count = 0  # input samples of this run that have been placed
        self._skip = 0  # input samples to drop before the first one on the grid
        self._owed = 0  # zeros still to feed, for a hole
        self._waiting: np.ndarray | None = None  # samples that follow the hole
        self._resampler: Any = None
        self._parts: list[np.ndarray] = []  # resampled and not yet handed out
        self._head = self._tail = 0  # grid indexes of the first sample in _parts and of the one after the last
        self.exhausted = False

    @property
    def end(self) -> float:
        """Seconds just after the last sample decoded so far."""
        return self._tail / self._out_rate

    def take(self, start: float, end: float) -> tuple[np.ndarray, float]:
        """Waveform (samples,) float32 within [start, end) seconds, and the second of its first sample."""
        low, high = round(start * self._out_rate), round(end * self._out_rate)
        while not self.exhausted and self._tail < high:
            self._advance()
        whole = np.concatenate(self._parts) if self._parts else np.empty(0, np.float32)
        begin = min(max(low, self._head), self._tail)
        until = min(max(high, begin), self._tail)
        wave = whole[begin - self._head : until - self._head]
        self._parts, self._head = [whole[until - self._head :].copy()], until
        return wave.copy(), (begin / self._out_rate if len(wave) else start)

    def _advance(self) -> None:
        """One step: feed some owed zeros, or what waits behind them, or the next decoded frame."""
        if self._owed:
            zeros = min(self._owed, self._in_rate)
            self._owed -= zeros
            self._feed(np.zeros(zeros, np.float32))
        elif self._waiting is not None:
            samples, self._waiting = self._waiting, None
            self._feed(samples)
        else:
            frame = next(self._frames, None)
            if frame is None:
                self._flush()
                self.exhausted = True
            elif frame.samples and not self._unsettled(frame):
                self._place(frame)

    def _unsettled(self, frame: Any) -> bool:
        """Whether this is one of the first frames after a seek: their timestamps may be those of half a packet."""
        raw = raw_seconds(frame, None)
        if self._resampler is not None or self._unsettled_left == 0 or self._raw_first is None or raw is None:
            return False
        self._unsettled_left -= 1
        return raw > self._raw_first + 1e-6

    def _place(self, frame: Any) -> None:
        """Put a decoded frame where its timestamp says: right behind the last one, behind a hole, or trimmed."""
        samples = mono(frame, self._report)
        expected = None if self._resampler is None else self._base + self._count / self._in_rate
        time = self._steady.place(raw_seconds(frame, None), expected)
        if frame.sample_rate != self._in_rate:
            self._begin_run(time, frame.sample_rate)
        index = round((time - self._base) * self._in_rate)
        shift = index - self._count
        if abs(shift) > TOLERANCE * self._in_rate:
            if shift > 0:
                self._owed, self._count = shift, index
            else:
                samples = samples[-shift:]
        self._count += len(samples)
        self._waiting = samples if len(samples) else None

    def _begin_run(self, time: float, in_rate: int) -> None:
        """Start the resampler: at the beginning of the stream, after a seek, or where the stream changes its rate."""
        made = resampler(in_rate, self._out_rate)
        step = in_rate // gcd(in_rate, self._out_rate)  # input samples between two that fall on the output grid
        if self._resampler is None:
            first = time if self._first is None else min(self._first, time)
            self._base, self._count = first, round((time - first) * in_rate)
            self._skip = -self._count % step
            begun = self._count + self._skip
            self._head = self._tail = round(first * self._out_rate) + begun * self._out_rate // in_rate
        else:
            self._flush()
            self._base, self._count, self._skip = self._tail / self._out_rate, 0, 0
        self._in_rate = in_rate
        self._resampler = made

    def _feed(self, samples: np.ndarray) -> None:
        if self._skip:
            dropped = min(self._skip, len(samples))
            self._skip, samples = self._skip - dropped, samples[dropped:]
        if len(samples):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
            frame.sample_rate = self._in_rate
            self._keep(self._resampler.resample(frame))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            part = frame.to_ndarray()[0]
            if len(part):
                self._parts.append(part)
                self._tail += len(part)
        # What lies before the range is dropped at once: a far range must not pile up its way there.
        while len(self._parts) > 1 and self._head + len(self._parts[0]) <= round(self._start * self._out_rate):
            self._head += len(self._parts.pop(0))
