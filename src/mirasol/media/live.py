"""Sources that can be read once, as they come: a pipe, a camera, a microphone, a stream from a network, or a file.

    for arrival in Live("rtsp://camera/1", sample_rate=16_000, fit=(48, 72)):
        print(arrival.time, arrival.kind)

A file, which can be read again, comes by `playback`. Any other source is one container, demultiplexed once; picture and
sound come in the order in which the source sends them. Pictures are turned into arrays only when somebody asks. Second
0 is the earlier of the first frame and the first sample.

What a source holds has the same seconds here as in `reader`, by the same code. Pictures without timestamps go by the
rate that their file states, or by the clock of this machine where the source keeps its own pace.
"""

from __future__ import annotations

import errno
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import av
import av.error
import numpy as np

from .clip import MediaError
from .containers import open_address, open_container, scheme_of
from .naming import quoted
from .opening import Beginning, Report, choose_streams, decoded, raw_seconds
from .pictures import Framing, Screen, shown_size, turn_of
from .pipe import Pipe, named_pipe, standard_input
from .playback import Arrival, Playback
from .reader import DEFAULT_RATE, Media, open_media
from .sound import Part, SoundGrid, mono
from .stills import HEAD, kind_of
from .timing import Pace, Packets, Steady, limit_of, without_clock

DEVICES = ("v4l2", "alsa", "pulse", "avfoundation", "dshow", "lavfi", "x11grab", "gdigrab")
TIMEOUT = 30.0  # seconds without anything from a network
BELIEVED = 43_200.0  # seconds: a longer length in a header is what endless streams state
WAIT_FOR_OTHER = 200  # frames of one kind before the other is no longer waited for to find second 0


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
        self._media: Media | None = None  # of a file
        self._container: Any = None  # of any other source
        self._pipe: Any = None  # what the container reads from, where that is an object of ours
        self._line = False  # whether the bytes come over a network
        self._container, self.is_live = self._open(source)
        self.stated = self._stated()  # seconds, of a recording
        self.trace = 0  # of all frames and samples so far: two passes over one recording have the same
        self._picture: Any = None  # the streams of a source that is no file
        self._sound: Any = None
        self._all: list[Any] = []
        self.has_picture = self.has_sound = self._hears = False
        if self._media is not None:
            self._hears = self._media.has_sound
            self.has_picture, self.has_sound = picture and self._media.has_picture, sound and self._hears
        else:
            pictures, sounds = choose_streams(self._container)
            self._all = [stream for stream in (pictures, sounds) if stream is not None]
            self._hears = sounds is not None
            self._picture, self._sound = (pictures if picture else None), (sounds if sound else None)
            self.has_picture, self.has_sound = self._picture is not None, self._sound is not None
        if not (self.has_picture or self.has_sound):
            self._let_go()
            raise MediaError(
                f"cannot watch {quoted(self.name)}: expected a stream of picture or sound in it, found none"
            )
        self._fit, self.sample_rate, self._zero = fit, sample_rate, zero
        self._step = 1 / float(_rate(self._picture) or DEFAULT_RATE)
        self._pace: Pace | None = None
        self.end: float | None = None  # seconds, once everything has come
        self._closed = False

    def __iter__(self) -> Iterator[Arrival]:
        """In the order of arrival; ends with the source."""
        if self._media is not None:
            yield from self._played(self._media)
            return
        frames, waiting = self._frames(), list[tuple[Any, float | None]]()
        missing = {av.VideoFrame: self.has_picture, av.AudioFrame: self.has_sound}
        while any(missing.values()):
            if len(waiting) == WAIT_FOR_OTHER or (found := next(frames, None)) is None:
                break
            missing[type(found[0])] = False
            waiting.append(found)
        placed = _Placed(self, self._origin([raw for _, raw in waiting if raw is not None]))
        came = False
        for frame, raw in chain(waiting, frames):
            came = True
            yield from placed.picture(frame, raw) if isinstance(frame, av.VideoFrame) else placed.sound(frame, raw)
        if not came and not self._closed:
            raise MediaError(f"cannot watch {quoted(self.name)}: nothing in it could be decoded{self._why_nothing()}")
        yield from placed.rest()
        self.end = placed.end

    def close(self) -> None:
        """Ends the iteration soon."""
        self._closed = True
        if isinstance(self._pipe, Pipe):
            self._pipe.stop()

    def _played(self, media: Media) -> Iterator[Arrival]:
        """A file; with `zero` its second 0 is now."""
        later = 0.0 if self._zero is None else time.monotonic() - self._zero
        play = Playback(
            media, self.report, sample_rate=self.sample_rate, fit=self._fit, picture=self.has_picture,
            sound=self.has_sound,
        )  # fmt: skip
        try:
            for arrival in play:
                if self._closed:
                    return
                yield replace(arrival, time=arrival.time + later) if later else arrival
            if not play.came:
                raise MediaError(
                    f"cannot watch {quoted(self.name)}: nothing in it could be decoded{self._why_nothing()}"
                )
            self.end = play.end + later
        finally:
            media.close()

    def _stated(self) -> float | None:
        if self._media is not None:
            return self._media.duration or 0.0
        stated = self._container.duration if self._line else None
        return None if stated is None or not 0 < stated < BELIEVED * av.time_base else stated / av.time_base

    def _let_go(self) -> None:
        if self._media is not None:
            self._media.close()
        else:
            self._container.close()

    def _origin(self, raws: list[float]) -> float:
        """The source's own second that becomes second 0."""
        if self._zero is not None and raws:
            return max(raws) - (time.monotonic() - self._zero)
        return min(raws, default=0.0)

    @property
    def paced(self) -> bool:
        """Whether pictures have no timestamps and go by a pace."""
        return self._pace is not None

    def screen(self, origin: float) -> Screen:
        """What places the pictures."""
        return Screen(origin, self._step)

    def framing(self, first: Any) -> Framing:
        """What shapes the pictures, of which `first` is the first."""
        assert self._picture is not None
        framing, aspect = Framing(self._fit, 1, self.report), float(self._picture.sample_aspect_ratio or 1)
        framing.begin(shown_size(first, aspect, turn_of(first)), aspect)
        return framing

    def last_end(self, screen: Screen, tail: float) -> float:
        """When picture and sound have ended."""
        return max(tail, screen.last_end(self._hears) if screen.count else 0.0)

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
        self._media = open_media(source)
        self.report.warnings += self._media.warnings
        return None, False

    def _why_nothing(self) -> str:
        """What is known about a source of which nothing could be decoded."""
        known = "; ".join(self.report.lines())
        words = f" ({known})" if known else ""
        if self._once and not self.report.warnings and self._container.format.name.startswith("mov"):
            words += (
                "; a film with its index at the end, as many mp4 have, needs a source that can seek: download it first"
            )
        return words

    def _frames(self) -> Iterator[tuple[Any, float | None]]:
        """Frames of both kinds, and their seconds in the source's own count where they have any."""
        streams = [stream for stream in (self._picture, self._sound) if stream is not None]
        for stream in streams:
            stream.thread_type = "AUTO"
        try:
            for frame in self._decoded(streams):
                if self._closed:
                    return
                self.trace = trace_of(frame, self.trace)
                own = self._pace is not None and isinstance(frame, av.VideoFrame)
                yield frame, self._pace.shown() if own and self._pace is not None else raw_seconds(frame, None)
        finally:
            self._let_go()

    def _packets(self) -> Iterator[Any]:
        origin = (self._container.start_time or 0) / av.time_base
        limit = limit_of(self._container)
        packets: Iterator[Any] = Packets(self._container, self._all, Steady(self.report.warn, origin, limit))
        if self._picture is not None and without_clock(self._container):
            packets = self._pace = Pace(packets, self._picture.index, self._step)
        return packets

    def _decoded(self, streams: list[Any]) -> Iterator[Any]:
        """Frames of all streams; `MediaError` where a line breaks, which is not damage of what it carries."""
        came: float | None = None
        try:
            for frame in decoded(self._container, streams, self.report, self._packets(), line=self._line):
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
        raise MediaError(f"the connection to {quoted(self.name)} broke off ({why})") from broke


class _Placed:
    """Frames -> arrivals of one pass, in seconds from `origin` in the source's own count."""

    def __init__(self, live: Live, origin: float) -> None:
        self._live, self._origin = live, origin
        self._screen, self._grid, self._rate = live.screen(origin), SoundGrid(live.sample_rate, None), live.sample_rate
        self._framing: Framing | None = None

    @property
    def end(self) -> float:
        """Seconds at which what has come ends."""
        return self._live.last_end(self._screen, self._grid.tail / self._rate)

    def picture(self, frame: Any, raw: float | None) -> Iterator[Arrival]:
        framing = self._framing = self._framing or self._live.framing(frame)
        paced = raw if raw is not None and self._live.paced else None
        at = self._screen.place(frame, paced)
        yield Arrival("picture", at, frame=lambda: framing(frame, at))

    def sound(self, frame: Any, raw: float | None) -> Iterator[Arrival]:
        time = None if raw is None else raw - self._origin
        if not frame.samples:
            return iter(())
        return self._arrivals(self._grid.push(mono(frame, self._live.report), time, frame.sample_rate))

    def rest(self) -> Iterator[Arrival]:
        """What was held back, at the end of the source."""
        return self._arrivals(self._grid.finish())

    def _arrivals(self, parts: list[Part]) -> Iterator[Arrival]:
        for at, samples in parts:
            yield Arrival("sound", at / self._rate, waveform=samples)


def _rate(stream: Any) -> Any:
    return None if stream is None else stream.average_rate or stream.guessed_rate or stream.base_rate


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
