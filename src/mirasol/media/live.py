"""Sources that can be read once, as they come: a pipe, a camera, a microphone, a stream from a network, or a file.

    for arrival in Live("rtsp://camera/1", sample_rate=16_000, fit=(48, 72)):
        print(arrival.time, arrival.kind)

One container, demultiplexed once; picture and sound come in the order in which the source sends them. Pictures are
turned into arrays only when somebody asks. Second 0 is the earlier of the first frame and the first sample.
"""

from __future__ import annotations

import errno
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import av.error
import numpy as np

from .clip import MediaError
from .containers import open_address, open_container, scheme_of
from .opening import Beginning, Report, Source, choose_streams, decoded, raw_seconds
from .pictures import Shaper, fit_size, shown_size, turn_of
from .pipe import Pipe, named_pipe, standard_input
from .sound import TOLERANCE, mono, resampler
from .stills import HEAD, kind_of

DEVICES = ("v4l2", "alsa", "pulse", "avfoundation", "dshow", "lavfi", "x11grab", "gdigrab")
TIMEOUT = 30.0  # seconds without anything from a network
BELIEVED = 43_200.0  # seconds: a longer length in a header is what endless streams state
WAIT_FOR_OTHER = 200  # arrivals of one kind before the other is no longer waited for to find second 0


@dataclass(frozen=True)
class Arrival:
    """A frame or some sound, and its second. `frame()` makes (h, w, 3) uint8; `waveform` is (samples,) float32."""

    kind: str  # "picture" or "sound"
    time: float
    frame: Callable[[], np.ndarray] | None = None
    waveform: np.ndarray | None = None


class Live:
    """One pass over a source. Iterate over it once; `close` from any thread ends it.

    `source`: `-` (standard input), a path, a URL, a binary file object, or a device as FORMAT:ADDRESS
    (`v4l2:/dev/video0`, `alsa:default`, `avfoundation:0:0`, `dshow:video=...`). `zero` counts seconds from
    that moment of `time.monotonic()` on: for devices of which each has a count of its own.
    """

    def __init__(
        self, source: Any, *, sample_rate: int = 16_000, fit: tuple[int, int] | None = None,
        picture: bool = True, sound: bool = True, zero: float | None = None,
    ) -> None:  # fmt: skip
        self.name = "standard input" if source == "-" else str(getattr(source, "name", source))
        self.report = Report()
        self._source: Source | None = None
        self._pipe: Any = None  # what the container reads from, where that is an object of ours
        self._line = False  # whether the bytes come over a network
        self._container, self.is_live = self._open(source)
        stated = self._container.duration if self._line else None
        self.stated = (
            None if stated is None or not 0 < stated < BELIEVED * av.time_base else stated / av.time_base
        )  # seconds, of a recording
        self.trace = 0  # of all frames and samples so far: two passes over one recording have the same
        pictures, sounds = choose_streams(self._container)
        self._picture, self._sound = (pictures if picture else None), (sounds if sound else None)
        self.has_picture, self.has_sound = self._picture is not None, self._sound is not None
        if not (self.has_picture or self.has_sound):
            self._container.close()
            raise MediaError(f"cannot watch {self.name!r}: expected a stream of picture or sound in it, found none")
        self._fit, self._rate, self._zero = fit, sample_rate, zero
        self._shapers: dict[tuple[Any, ...], Shaper] = {}
        self._run: _Run | None = None
        self._closed = False

    def __iter__(self) -> Iterator[Arrival]:
        """In the order of arrival; ends with the source."""
        waiting: deque[Arrival] = deque()
        kinds, origin = {"picture": not self.has_picture, "sound": not self.has_sound}, None
        for arrival in self._arrivals():
            if origin is None:
                kinds[arrival.kind] = True
                waiting.append(arrival)
                if not all(kinds.values()) and len(waiting) < WAIT_FOR_OTHER:
                    continue
                origin = self._origin(waiting)
                arrival = waiting.pop()
                yield from (replace(early, time=early.time - origin) for early in waiting)
            yield replace(arrival, time=arrival.time - origin)
        if origin is None and not waiting and not self._closed:
            raise MediaError(f"cannot watch {self.name!r}: nothing in it could be decoded{self._why_nothing()}")
        if origin is None and waiting:
            origin = self._origin(waiting)
            yield from (replace(early, time=early.time - origin) for early in waiting)

    def close(self) -> None:
        """Ends the iteration soon."""
        self._closed = True
        if isinstance(self._pipe, Pipe):
            self._pipe.stop()

    def _origin(self, waiting: deque[Arrival]) -> float:
        """The source's own second that becomes second 0."""
        if self._zero is None:
            return min(arrival.time for arrival in waiting)
        return max(arrival.time for arrival in waiting) - (time.monotonic() - self._zero)

    def _open(self, source: Any) -> tuple[Any, bool]:
        """(container, whether it comes at its own pace whoever reads)."""
        address = source if isinstance(source, str) else ""
        kind, _, rest = address.partition(":")
        self._once = False  # whether what was read cannot be read again
        self._pipe = standard_input() if source == "-" else named_pipe(address) if address else None
        if self._pipe is None and kind in DEVICES and rest and not rest.startswith("//"):
            return open_container(rest, self.name, "watch", form=kind, timeout=TIMEOUT), kind != "lavfi"
        if self._pipe is None and scheme_of(address) not in (None, "file"):
            self._line = True
            return open_address(address, self.name, "watch", TIMEOUT), True
        once = self._pipe if self._pipe is not None else source
        if hasattr(once, "read") and not _seekable(once):
            source = Beginning(once, HEAD)
            if kind_of(source.head) is None:
                self._once = True
                return open_container(source, self.name, "watch", head=source.head), False
        self._source = Source(source, "watch")
        self.report.warnings += self._source.warnings
        return self._source.open(), False

    def _why_nothing(self) -> str:
        """What is known about a source of which nothing could be decoded."""
        known = "; ".join(self.report.lines())
        words = f" ({known})" if known else ""
        if self._once and not self.report.warnings and self._container.format.name.startswith("mov"):
            words += (
                "; a film with its index at the end, as many mp4 have, needs a source that can seek: download it first"
            )
        return words

    def _arrivals(self) -> Iterator[Arrival]:
        """In the source's own seconds."""
        streams = [stream for stream in (self._picture, self._sound) if stream is not None]
        for stream in streams:
            stream.thread_type = "AUTO"
        shown = 0.0
        try:
            for frame in self._decoded(streams):
                if self._closed:
                    return
                self.trace = trace_of(frame, self.trace)
                if isinstance(frame, av.VideoFrame):
                    raw = raw_seconds(frame, None)
                    shown = shown if raw is None else raw
                    yield Arrival("picture", shown, frame=self._maker(frame))
                else:
                    yield from self._heard(frame)
            if self._run is not None:
                yield from self._run.finish()
        finally:
            self._container.close()
            if self._source is not None:
                self._source.close()

    def _decoded(self, streams: list[Any]) -> Iterator[Any]:
        """Frames of all streams; `MediaError` where a line breaks, which is not damage of what it carries."""
        came: float | None = None
        try:
            for frame in decoded(self._container, streams, self.report, line=self._line):
                came = max(came or 0.0, raw_seconds(frame, None) or 0.0)
                yield frame
            broke: Exception | None = None
        except (av.error.FFmpegError, OSError) as error:
            broke = error
        closed = broke is None or getattr(broke, "errno", None) == errno.EIO
        if self._closed or not self._line or (closed and came is None):  # the caller says that nothing came
            return
        # A server that names no length ends by closing the line. FFmpeg takes that for an error, or an error for that.
        if closed and self._container.size < 0:
            begin = (self._container.start_time or 0) / av.time_base
            if self.stated is None and broke is not None:
                self.report.warn("the connection was closed; whether that was the end, the source does not say")
            if self.stated is None or not (came or 0.0) - begin + 1.0 < self.stated:
                return
        elif broke is None:
            return
        why = getattr(broke, "strerror", None) or str(broke)
        if isinstance(broke, (TimeoutError, av.error.ExitError)):
            why = f"nothing came for {TIMEOUT:g} s"
        elif closed:
            why = "closed before its end"
        raise MediaError(f"the connection to {self.name!r} broke off ({why})") from broke

    def _maker(self, frame: Any) -> Callable[[], np.ndarray]:
        def make() -> np.ndarray:
            aspect = float(frame.sample_aspect_ratio or 1) if hasattr(frame, "sample_aspect_ratio") else 1.0
            turn = turn_of(frame)
            key = (frame.height, frame.width, frame.format.name, turn)
            if key not in self._shapers:
                self._shapers[key] = Shaper(fit_size(shown_size(frame, aspect, turn), self._fit), turn, 1)
            return self._shapers[key](frame)

        return make

    def _heard(self, frame: Any) -> Iterator[Arrival]:
        samples = mono(frame, self.report)
        if not len(samples):
            return
        run, raw = self._run, raw_seconds(frame, None)
        if run is not None and run.in_rate == frame.sample_rate and (raw is None or abs(raw - run.end) <= TOLERANCE):
            yield from run.feed(samples)
            return
        begin = raw
        if run is not None:
            yield from run.finish()
            begin = run.end if raw is None else raw
        self._run = _Run(begin or 0.0, frame.sample_rate, self._rate)
        yield from self._run.feed(samples)


def _seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if seekable else hasattr(file, "seek")


class Persistent:
    """A source that is opened again when it ends or breaks, for a camera on a bad line. Iterate over it once.

    Time goes on meanwhile by the clock of this machine, so that seconds stay true; what was missed is a hole, as if
    picture and sound had stopped. `patience` is how many seconds may be spent on opening it again; they are all there
    again once the source has sent something for as long. A recording that has ended is not opened again: one that
    states its length, or one whose second pass is the same as its first.
    """

    def __init__(
        self, make: Callable[[], Live], patience: float, note: Callable[[str], None] = lambda words: None
    ) -> None:
        self._make, self.patience, self.note = make, patience, note
        self._live, self._closed = make(), threading.Event()
        self.is_live, self.has_picture, self.has_sound = True, self._live.has_picture, self._live.has_sound
        self.report, self.name = self._live.report, self._live.name
        self._left, self._pause = patience, 0.25  # seconds of patience; seconds before the next try

    def __iter__(self) -> Iterator[Arrival]:
        base: float | None = None  # second 0 by the clock of this machine
        before: int | None = None  # the trace of the last pass
        while True:
            offset, broken, began = None, None, 0.0
            try:
                for arrival in self._live:
                    now = time.monotonic()
                    if offset is None:  # the first of this connection: now it is good
                        offset, began = 0.0 if base is None else now - base - arrival.time, now
                        base = now - arrival.time if base is None else base
                        self._pause = 0.25
                    if now - began >= self.patience:
                        self._left = self.patience
                    yield replace(arrival, time=arrival.time + offset)
            except (MediaError, av.error.FFmpegError, OSError) as error:
                broken = error
            trace = getattr(self._live, "trace", 0) or None
            if self._closed.is_set() or (broken is None and getattr(self._live, "stated", None) is not None):
                return
            if trace is not None and trace == before:
                self.note(f"{self.name} sends the same again: a recording, which is not opened again")
                if broken is not None:
                    raise broken
                return
            before = trace
            if not self._again(broken):
                return

    def _again(self, broken: Exception | None) -> bool:
        """Opens the source again; False where it was closed. Raises `broken` when patience is at its end."""
        self.note(f"{self.name} {'has ended' if broken is None else 'broke off'}; opening it again")
        while not self._closed.is_set():
            if self._pause > self._left:
                if broken is not None:
                    raise broken
                return False
            began = time.monotonic()
            try:
                self._closed.wait(self._pause)
                self._pause = min(2 * self._pause, 10.0)
                self._live = self._make()
            except MediaError as error:
                broken = broken or error
                continue
            finally:
                self._left -= time.monotonic() - began
            self._live.report = self.report
            if self._closed.is_set():
                self._live.close()
                return False
            self.note(f"{self.name} is open again")
            return True
        return False

    def close(self) -> None:
        """Ends the iteration soon."""
        self._closed.set()
        self._live.close()


def trace_of(frame: Any, before: int) -> int:
    """A checksum of some of the values of a frame or of sound, on top of the one before."""
    plane = np.frombuffer(frame.planes[0], np.uint8)
    return zlib.crc32(plane[:: 1 + len(plane) // 4096].tobytes(), before)


class _Run:
    """Sound without a hole, resampled: its samples are counted from the run's first."""

    def __init__(self, begin: float, in_rate: int, out_rate: int) -> None:
        self.begin, self.in_rate, self.out_rate = begin, in_rate, out_rate
        self.fed = self.made = 0
        self._resampler = resampler(in_rate, out_rate)

    @property
    def end(self) -> float:
        """Seconds after the last sample fed."""
        return self.begin + self.fed / self.in_rate

    def feed(self, samples: np.ndarray) -> Iterator[Arrival]:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
        frame.sample_rate = self.in_rate
        self.fed += len(samples)
        return self._give(self._resampler.resample(frame))

    def finish(self) -> Iterator[Arrival]:
        return self._give(self._resampler.resample(None))

    def _give(self, frames: list[Any]) -> Iterator[Arrival]:
        for frame in frames:
            part = frame.to_ndarray()[0]
            if len(part):
                at = self.begin + self.made / self.out_rate
                self.made += len(part)
                yield Arrival("sound", at, waveform=part)
