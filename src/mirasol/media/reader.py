"""Reading media: `open_media` for the facts and for decoding in pieces, `read` for a clip at once.

    with open_media("film.mp4") as media:
        print(media.duration, media.size, media.warnings)
        for clip in media.pieces(instants=lambda a, b: np.arange(a, b, 0.25), fit=(48, 72), piece_seconds=1.0):
            ...

What holds for every file:

* Second 0 is the timestamp of the first frame or sample that can be decoded, whichever stream it is in. A stream that
  begins later keeps its distance; nothing is invented before it.
* A frame is chosen by its presentation timestamp: the frame on screen at an instant is the last one whose timestamp is
  not later. Instants before the first frame and after the last one has left the screen have no frame.
* A still image is one frame at second 0 that is on screen for one second. So is a film of one single frame; with
  sound, it stays on screen as long as the sound lasts.
* Pictures are upright (display matrix), have square pixels (sample aspect ratio), and lie on white where they are
  transparent. Sound is mixed to one channel and never clipped; it keeps its place, holes are silent.
* Damaged packets are left out and counted, and a file that ends before its stated end says so in `Media.warnings`.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from types import TracebackType
from typing import Any

import av.error
import numpy as np

from .clip import Clip, MediaError
from .naming import quoted
from .opening import KINDS, Report, Source, Walk, choose_streams, raw_seconds, set_threads
from .packets import Decoder, Skipped
from .pictures import SAME_TIME, STILL_SECONDS, UPRIGHT, Framing, PictureCursor, Screen, shown_size, turn_of
from .sound import PREROLL, SoundCursor
from .timing import DISCONTINUOUS, Packets, Steady, limit_of

Instants = Callable[[float, float], Any]

PROBE_PACKETS = 2000  # how far to look for the first frame of each stream
FASTEST = 1000.0  # frames per second: a higher rate is a count of ticks (raw DV states 60 000)
DEFAULT_RATE = 25.0  # frames per second, where a file states none
UNSTATED = 0.25  # seconds by which a file may be longer than it states without being several
SHORTFALL = 1.0  # seconds, and ...
SHORTFALL_SHARE = 0.02  # ... share of the stated duration that may be missing at the end without a warning


class Media:
    """The facts about an opened file, and its decoding. Made by `open_media`; use it with `with`."""

    def __init__(self, source: Any, threads: str | None = None) -> None:
        if threads is None:
            threads = "NONE" if multiprocessing.parent_process() is not None else "AUTO"
        self._threads = threads
        self._source = Source(source)
        self._report = Report()
        self._joined = False  # whether the timestamps of the file start again
        self._unread = 0  # packets that could not be read when looking for the first frames
        self._aspect = 1.0  # how many times pixels are as wide as high
        self.name: str = self._source.name
        self.duration: float | None = None  # seconds, as stated by the container; None: not stated
        self.has_picture = self.has_sound = False
        self.is_still = False  # a picture without a time axis
        self.size: tuple[int, int] | None = None  # (height, width), upright, in square pixels
        self.frame_rate: float | None = None  # frames per second, the average that the container states
        self.sound_rate: int | None = None  # samples per second as stored
        self.picture_codec: str | None = None
        self.sound_codec: str | None = None
        try:
            container = self._source.open()
            try:
                self._probe(container)
            finally:
                container.close()
        except BaseException:
            self._source.close()
            raise

    # -- facts ---------------------------------------------------------------------------------------------------

    @property
    def damaged(self) -> int:
        """Packets and frames that could not be decoded in the latest pass over the file."""
        return self._report.damaged

    @property
    def warnings(self) -> list[str]:
        """One line for each thing that a user should know about the latest pass over the file."""
        return [*self._source.warnings, *self._facts_warnings, *self._report.lines()]

    def _probe(self, container: Any) -> None:
        """Decode the first frame of each stream: only that says where it begins, how it is turned, what it holds."""
        picture, sound = choose_streams(container)
        self.format: str = self._source.kind or container.format.name
        self.is_still = picture is not None and sound is None and _is_still_format(self.format)
        self.is_still = self.is_still or self._source.pictures == 1
        self._facts_warnings: list[str] = []
        first = self._first_frames(container, [s for s in (picture, sound) if s is not None])
        picture = self._usable(picture, first)
        sound = self._usable(sound, first)
        if picture is None and sound is None:
            why = "; ".join(self._facts_warnings) or "it has no stream of either"
            raise MediaError(f"cannot read {quoted(self.name)}: no picture and no sound in it can be decoded ({why})")
        self.has_picture, self.has_sound = picture is not None, sound is not None
        self._delay = (
            _avi_delay(picture, first[picture.index]) if picture is not None and self.format == "avi" else None
        )
        starts = {
            s.index: _begins(s, first[s.index], self._delay if s is picture else None)
            for s in (picture, sound)
            if s is not None
        }
        known = [start for start in starts.values() if start is not None]
        self.origin = min(known) if known else 0.0  # seconds in the file's own count
        self._starts = starts
        self.picture_index = None if picture is None else picture.index
        self.sound_index = None if sound is None else sound.index
        if picture is not None:
            self._learn_picture(picture, first[picture.index])
        if sound is not None:
            self.sound_codec, frame = sound.codec_context.name, first[sound.index]
            self.sound_rate = frame.sample_rate if frame is not None else sound.codec_context.sample_rate
        self._stated = {s.index: self._stated_end(s) for s in (picture, sound) if s is not None}
        self.duration = self._stated_duration(container)
        self.limit = limit_of(container)
        self._look_for_joints()

    def _first_frames(self, container: Any, streams: list[Any]) -> dict[int, Any]:
        """{stream index: its first decoded frame, None if it comes very late, False if there is none in the file}.

        A file is searched to its end: one stream may begin long after the other.
        """
        first: dict[int, Any] = {}
        self._skipped: dict[int, str] = {}  # stream index -> why its packets are not decoded
        decode = Decoder(streams)
        for stream in streams:
            set_threads(stream, "NONE")
        packets: Iterator[Any] = Packets(container, streams, Steady(lambda line: None)) if streams else iter(())
        for _ in count() if not self._source.is_url else range(PROBE_PACKETS):
            try:
                packet = next(packets)
                if packet.stream_index not in first:
                    frames = decode(packet)
                    if frames:
                        first[packet.stream_index] = frames[0]
            except StopIteration:
                return {stream.index: first.get(stream.index, False) for stream in streams}
            except Skipped as why:
                self._skipped[packet.stream_index] = str(why)
            except (av.error.FFmpegError, ValueError):
                self._unread += 1
                if self._unread > PROBE_PACKETS:
                    break
                continue
            if len(first) == len(streams):
                break
        return {stream.index: first.get(stream.index) for stream in streams}

    def _look_for_joints(self) -> None:
        """Whether recordings were joined in this file, of which the container knows one: then how long it really is."""
        container = self._source.open()
        try:
            if not container.format.flags & DISCONTINUOUS or self._source.is_url:
                return
            streams = [container.streams[index] for index in self._starts]
            steady = Steady(lambda line: None, self.origin, self.limit)
            packets, failures = Packets(container, streams, steady), 0
            while failures < PROBE_PACKETS:
                try:
                    next(packets)
                except StopIteration:
                    break
                except (av.error.FFmpegError, ValueError):
                    failures += 1
        finally:
            container.close()
        # Some formats count a second recording on by themselves, and state the length of the first alone.
        longer = steady.end is not None and steady.end - self.origin > (self.duration or math.inf) + UNSTATED
        if (steady.breaks or longer) and steady.end is not None:
            self._joined = True
            ends = {index: steady.ends(index) for index in self._starts}
            self._stated = {index: None if end is None else end - self.origin for index, end in ends.items()}
            self.duration = steady.end - self.origin

    def _usable(self, stream: Any, first: dict[int, Any]) -> Any:
        if stream is None or (frame := first[stream.index]) or (frame is None and stream.index not in self._skipped):
            return stream
        why = self._skipped.get(stream.index, "holds nothing that can be decoded")
        self._facts_warnings.append(f"the {KINDS[stream.type]} ({stream.codec_context.name}) {why}")
        return None

    def _learn_picture(self, stream: Any, frame: Any) -> None:
        self.picture_codec = self._source.kind or stream.codec_context.name
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((rate for rate in rates if rate and 0 < rate <= FASTEST), None)
        self.frame_rate = None if self.is_still or not rate else float(rate)
        self._turn = UPRIGHT if frame is None else turn_of(frame)
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1
        self._aspect = float(aspect)
        self.size = shown_size(frame or stream.codec_context, self._aspect, self._turn)

    def _stated_end(self, stream: Any) -> float | None:
        """Seconds at which the container says that a stream ends; None if it does not say."""
        if not stream.duration or stream.duration < 0 or self.is_still:
            return None
        start = stream.start_time * stream.time_base if stream.start_time is not None else self.origin
        return float(start + stream.duration * stream.time_base) - self.origin

    def _stated_duration(self, container: Any) -> float | None:
        if self.is_still:
            return STILL_SECONDS
        ends = list(self._stated.values())
        stated: float | None = None
        if ends and all(end is not None for end in ends):
            stated = max(end for end in ends if end is not None)
        elif container.duration and container.duration > 0:
            start = container.start_time / 1e6 if container.start_time is not None else self.origin
            stated = start + container.duration / 1e6 - self.origin
        return stated if stated is not None and stated > 0 else None

    # -- decoding ------------------------------------------------------------------------------------------------

    def pieces(
        self,
        start: float | None = None,
        end: float | None = None,
        *,
        instants: Instants | None = None,
        fit: tuple[int, int] | None = None,
        sample_rate: int = 16000,
        piece_seconds: float = 4.0,
        picture: bool = True,
        sound: bool = True,
        still: float | None = None,
    ) -> Iterator[Clip]:
        """Consecutive clips of `piece_seconds` each that cover [start, end) seconds; the last one may be shorter.

        `instants(a, b)` gives the ascending seconds in [a, b) at which to take the frame on screen; None takes every
        frame. `fit=(H, W)` scales the picture to lie within H x W with its aspect kept; None leaves its size.
        `end=None` goes to the end of the file, and an `end` beyond it is cut to it: `Clip.end` is true.
        `picture=False` or `sound=False` leaves one out, undecoded. Memory is that of one piece. Where the same frame
        stays without sound for more than `still` seconds, the pieces up to the next change are passed over: timestamps
        can claim years with some bytes.
        """
        start = 0.0 if start is None else float(start)
        end = None if end is None else float(end)
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"expected 0 <= start < end in seconds, found start={start}, end={end}")
        if not piece_seconds > 0 or sample_rate <= 0:
            raise ValueError(f"expected piece_seconds > 0 and sample_rate > 0, found {piece_seconds}, {sample_rate}")
        if fit is not None and min(fit) < 1:
            raise ValueError(f"expected fit=(height, width) of at least 1 pixel, found {fit}")
        return self._pieces(
            start, end, instants, fit, sample_rate, piece_seconds, picture, sound, math.inf if still is None else still
        )

    def _pieces(
        self,
        start: float,
        end: float | None,
        instants: Instants | None,
        fit: tuple[int, int] | None,
        sample_rate: int,
        piece_seconds: float,
        picture: bool,
        sound: bool,
        still: float,
    ) -> Iterator[Clip]:
        self._report = report = Report()
        opened: list[Any] = []
        try:
            pictures = self._picture_cursor(start, fit, report, opened) if picture and self.has_picture else None
            sounds = self._sound_cursor(start, sample_rate, report, opened) if sound and self.has_sound else None
            if pictures is None and sounds is None:
                raise MediaError(f"nothing to decode in {quoted(self.name)}: what is asked for is not in it")
            cursors = [cursor for cursor in (pictures, sounds) if cursor is not None]
            place, calm = 0, 0.0  # seconds at the end of what was handed out in which nothing changed
            while True:
                a, b = start + place * piece_seconds, start + (place + 1) * piece_seconds
                b = b if end is None else min(b, end)
                clip, finished = self._piece(a, b, instants, pictures, sounds, sample_rate)
                if clip is None and place == 0:
                    ends = max(cursor.end for cursor in cursors)
                    raise MediaError(
                        f"nothing to read from {start:g} s on in {quoted(self.name)}: it ends at {ends:.2f} s"
                    )
                if finished:
                    self.check_ends(pictures.end if pictures else None, sounds.end if sounds else None, report)
                if clip is not None:
                    yield clip
                if finished or clip is None or (end is not None and b >= end):
                    return
                place += 1
                change = min(cursor.changes(b) for cursor in cursors)
                calm = calm + piece_seconds if b + piece_seconds < change < math.inf else 0.0
                if calm > still + piece_seconds:
                    change = change if end is None else min(change, end - SAME_TIME)
                    place, calm = max(place, math.floor((change - start) / piece_seconds)), 0.0
        finally:
            for container in opened:
                container.close()

    def _piece(
        self,
        a: float,
        b: float,
        instants: Instants | None,
        pictures: PictureCursor | None,
        sounds: SoundCursor | None,
        sample_rate: int,
    ) -> tuple[Clip | None, bool]:
        """(the clip of [a, b), or None if the file ends before a; whether the file ends in it)."""
        waveform, waveform_start = (None, a) if sounds is None else sounds.take(a, b)
        frames = times = served = None
        if pictures is not None:
            asked = None if instants is None else _within(instants(a, b), a, b)
            frames, times, served = pictures.take(a, b, asked, 0.0 if sounds is None else sounds.end)
        cursors = [cursor for cursor in (pictures, sounds) if cursor is not None]
        finished = all(cursor.exhausted for cursor in cursors)
        if finished:
            # The grid of samples is the finest unit: an end within half a sample of the bound is the bound.
            last = max(cursor.end for cursor in cursors)
            finished = last <= b + 0.5 / sample_rate
            b = last if last < b - 0.5 / sample_rate else b
        if b <= a:
            return None, True
        return Clip(frames, times, waveform, sample_rate, waveform_start, a, b, served), finished

    def _picture_cursor(
        self, start: float, fit: tuple[int, int] | None, report: Report, opened: list[Any]
    ) -> PictureCursor:
        assert self.picture_index is not None
        walk = self.walk(self.picture_index)
        # Of hardly more than a still, the whole must be seen to know how long it stays.
        container, frames = walk.begin(None if start <= STILL_SECONDS else start + self.origin, report)
        opened.append(container)
        framing = self.framing(fit, report)
        return PictureCursor(frames, framing, self.screen(self.origin), walk.first, self.has_sound, self._delay)

    def _sound_cursor(self, start: float, sample_rate: int, report: Report, opened: list[Any]) -> SoundCursor:
        assert self.sound_index is not None
        walk = self.walk(self.sound_index)
        container, frames = walk.begin(None if start <= 0 else start + self.origin - PREROLL, report)
        opened.append(container)
        return SoundCursor(frames, walk.first, self.origin, start, sample_rate, report)

    @property
    def first_sample(self) -> float | None:
        """When the sound begins in the file's own count."""
        return None if self.sound_index is None else self._starts[self.sound_index]

    def open(self) -> Any:
        """A new container on the file, at its beginning."""
        return self._source.open()

    def walk(self, index: int) -> Walk:
        """How the frames of one of the two streams are decoded."""
        delay = self._delay if index == self.picture_index else None
        indexes = tuple(self._starts)
        return Walk(
            self._source, index, indexes, self.origin, self._starts[index], self._threads, self.limit,
            not self._joined, delay,
        )  # fmt: skip

    def framing(self, fit: tuple[int, int] | None, report: Report) -> Framing:
        """What shapes the pictures of one pass."""
        assert self.size is not None
        framing = Framing(fit, 1 if self._threads == "NONE" else 0, report)
        framing.begin(self.size, self._aspect)
        return framing

    def screen(self, origin: float) -> Screen:
        """What places the pictures of one pass, in seconds from `origin` in the file's own count."""
        return Screen(origin, 1.0 / (self.frame_rate or DEFAULT_RATE), self._delay)

    def check_ends(self, shown: float | None, heard: float | None, report: Report) -> None:
        """Say so if picture and sound (None: not decoded) ended much earlier than the file states: nothing is cut short
        in silence."""
        said = False
        for kind, end, index in (("picture", shown, self.picture_index), ("sound", heard, self.sound_index)):
            stated = None if index is None else self._stated[index]
            if end is not None and stated is not None and _falls_short(end, stated):
                report.warn(f"the {kind} ends at {end:.2f} s, but the file states {stated:.2f} s")
                said = True
        if said or self.duration is None or (shown is None) == self.has_picture or (heard is None) == self.has_sound:
            return
        last = max(end for end in (shown, heard) if end is not None)
        if _falls_short(last, self.duration):
            report.warn(f"the file ends at {last:.2f} s, but it states {self.duration:.2f} s")

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def __enter__(self) -> Media:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_media(source: Any, threads: str | None = None) -> Media:
    """Open a path, a URL, bytes or a binary file object. `threads`: AUTO; NONE by default in worker processes."""
    return Media(source, threads)


def read(
    source: Any,
    start: float | None = None,
    end: float | None = None,
    instants: Instants | None = None,
    fit: tuple[int, int] | None = None,
    sample_rate: int = 16000,
) -> Clip:
    """The whole of [start, end) seconds as one clip; see `Media.pieces` for the arguments. Mind the memory."""
    with open_media(source) as media:
        return join(media.pieces(start, end, instants=instants, fit=fit, sample_rate=sample_rate))


def join(clips: Iterable[Clip]) -> Clip:
    """Consecutive clips of one source as one clip."""
    parts = list(clips)
    if not parts:
        raise ValueError("expected at least one clip to join, found none")
    first = parts[0]
    sounding = [part for part in parts if part.waveform is not None and len(part.waveform)]
    return Clip(
        frames=_concatenate([part.frames for part in parts]),
        frame_times=_concatenate([part.frame_times for part in parts]),
        waveform=_concatenate([part.waveform for part in parts]),
        sample_rate=first.sample_rate,
        waveform_start=sounding[0].waveform_start if sounding else first.waveform_start,
        start=first.start,
        end=parts[-1].end,
        frame_instants=_concatenate([part.frame_instants for part in parts]),
    )


def _concatenate(arrays: list[np.ndarray | None]) -> np.ndarray | None:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if present else None


def _within(instants: Any, a: float, b: float) -> np.ndarray:
    """The asked instants that lie in [a, b), checked to ascend."""
    asked = np.asarray(instants, np.float64).reshape(-1)
    if np.any(np.diff(asked) < 0):
        raise ValueError("expected instants(a, b) to give ascending seconds, found them out of order")
    return asked[(asked >= a) & (asked < b)]


def _falls_short(end: float, stated: float) -> bool:
    return stated - end > max(SHORTFALL, SHORTFALL_SHARE * stated)


def _is_still_format(name: str) -> bool:
    return name == "image2" or name.endswith("_pipe")


def _avi_delay(stream: Any, frame: Any) -> float:
    """Seconds that the decoder of an AVI picture waits before its first frame, which is shown at the stream's start."""
    if frame is None or frame.dts is None:
        return 0.0
    return float((frame.dts - (stream.start_time or 0)) * frame.time_base)


def _begins(stream: Any, frame: Any, delay: float | None) -> float | None:
    """The first timestamp of a stream in the file's own seconds."""
    raw = None if frame is None else raw_seconds(frame, delay)
    if raw is not None:
        return raw
    if stream.start_time is not None:
        return float(stream.start_time * stream.time_base)
    return None
