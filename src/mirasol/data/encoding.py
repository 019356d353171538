"""A span of media encoded anew as MP4 (H.264, AAC) with its clock kept: frames at their own seconds, sound where it
began. What is written begins at second 0, where the span began.

There are no B-frames: every frame is decoded when it comes, and ends when the file says. One thread encodes, so the
same media give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from itertools import zip_longest
from typing import Any

import av
import numpy as np

from mirasol.media.clip import Clip, MediaError
from mirasol.media.naming import quoted
from mirasol.media.pictures import fit_size
from mirasol.media.reader import DEFAULT_RATE, Media

from .decoding import choose_span, judge, opened, words
from .items import Item

TICKS = 90_000  # per second: what timestamps of frames are rounded to
RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000)  # that AAC knows
PIECE = 2.0  # seconds decoded at a time
FINE = 0.002  # seconds: how exactly the end of the last frame is found
# Without x264's macroblock tree: with it the bytes differ now and then, where sides are no multiples of 16.
VIDEO = {"crf": "20", "preset": "veryfast", "bf": "0", "g": "30", "x264-params": "mbtree=0"}


@dataclass(frozen=True)
class Recoding:
    """How media are written: pictures within `size` (height, width), `fps` frames per second, `rate` samples of sound
    per second. None leaves each as it is, a variable frame rate included."""

    size: tuple[int, int] | None = None
    fps: float | None = None
    rate: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 2:
            raise ValueError(f"expected a size of at least 2x2 pixels, found {self.size[0]}x{self.size[1]}")
        if self.fps is not None and not 0 < self.fps <= 1_000:
            raise ValueError(f"expected frames per second above 0, found {self.fps:g}")
        if self.rate is not None and self.rate not in RATES:
            raise ValueError(f"expected a rate that AAC knows ({', '.join(map(str, RATES))}), found {self.rate}")


@dataclass(frozen=True)
class Span:
    """What an item asks for, opened: where its picture and its sound come from, in [start, end) seconds. `stated`: the
    seconds that are promised, None where nothing says. `notes`: what the reader noted, once `clips` has read all."""

    media: Media
    heard: Media
    start: float
    end: float | None
    stated: float | None
    notes: list[str] = field(default_factory=list)

    @property
    def together(self) -> bool:
        """Whether picture and sound lie in one file."""
        return self.heard is self.media

    def clips(self, instants: Any, fit: tuple[int, int] | None, rate: int) -> Iterator[Clip]:
        """All of it, piece by piece. `MediaError` for what training would leave out, at the end at the latest."""
        many = [
            self.media.pieces(
                self.start, self.end, instants=instants, fit=fit, sample_rate=rate, piece_seconds=PIECE,
                sound=self.together,
            )
        ]  # fmt: skip
        if not self.together:
            many.append(self.heard.pieces(self.start, self.end, sample_rate=rate, piece_seconds=PIECE, picture=False))
        nothing, reached = True, self.start
        for clips in zip_longest(*many):
            for clip in clips:
                if clip is not None:
                    reached = max(reached, clip.end)
                    nothing &= (clip.frames is None or not len(clip.frames)) and not clip.sound_seconds
                    yield clip
        self.notes.extend(dict.fromkeys([*self.media.warnings, *([] if self.together else self.heard.warnings)]))
        judge(nothing, reached - self.start, self.stated)


@contextmanager
def span_of(item: Item) -> Iterator[Span]:
    """An item opened, of any length. One thread decodes: what is damaged looks the same wherever it is read."""
    assert item.media is not None
    with ExitStack() as stack:
        media = stack.enter_context(opened(item.media, "NONE"))
        heard = media if item.sound is None else stack.enter_context(opened(item.sound, "NONE"))
        if item.sound is not None and not heard.has_sound:
            raise MediaError(f"no sound in {quoted(words(item.sound))}")
        start, end = choose_span(item, media, math.inf, 0)
        known = media.duration if end is None or math.isinf(end) else end
        yield Span(media, heard, start, end, None if known is None else known - start)


def check(item: Item) -> tuple[float, list[str]]:
    """Decodes all of an item, and keeps nothing: its seconds, and what the reader noted. `MediaError` for what training
    would skip."""
    reached = 0.0
    with span_of(item) as span:
        for clip in span.clips(lambda a, b: np.arange(math.ceil(a), b), (16, 16), 8_000):
            reached = max(reached, clip.end)
        return reached - span.start, span.notes


def recode(item: Item, how: Recoding) -> tuple[bytes, float, list[str]]:
    """(MP4 of the item's span, the seconds that it covers, what the reader noted). `MediaError` for what training would
    skip."""
    with span_of(item) as span, Film(span, how) as film:
        reached = span.start
        if how.fps is None and span.start > 0 and span.media.has_picture:
            film.take(on_screen_at_start(span, how))
        for clip in span.clips(film.instants(), how.size, film.rate):
            film.take(clip)
            reached = max(reached, clip.end)
        return film.finish(last_frame_ends(span, film, reached)), reached - span.start, span.notes


def on_screen_at_start(span: Span, how: Recoding) -> Clip:
    """The frame that had begun before the span and is still on screen, if there is one. (A film of one frame is on
    screen as long as its sound lasts, so that is looked at, too.)"""
    start = span.start
    try:
        clip = next(
            span.media.pieces(
                start, start + FINE, instants=lambda a, b: [start], fit=how.size, sound=span.together
            )
        )  # fmt: skip
    except MediaError:  # it had ended
        return Clip(None, None, None)
    return replace(clip, waveform=None)


def last_frame_ends(span: Span, film: Film, reached: float) -> float:
    """The second of the source at which the last frame that was written leaves the screen."""
    last = span.start + film.last
    if film.instants() is not None or not span.media.has_picture or last + FINE >= reached:
        return min(reached, last + film.frame_seconds)
    clips = span.media.pieces(
        last, reached, instants=lambda a, b: last + FINE * np.arange(math.ceil((a - last) / FINE), (b - last) / FINE),
        fit=(2, 2), sound=span.together,
    )  # fmt: skip
    ends = [
        float(clip.frame_instants[-1]) + FINE
        for clip in clips
        if clip.frame_instants is not None and len(clip.frame_instants)
    ]
    return min(reached, max(ends, default=last + film.frame_seconds))


class Film:
    """An MP4 in the making, of a span."""

    def __init__(self, span: Span, how: Recoding) -> None:
        media, heard = span.media, span.heard
        self.start, self.last, self._how = span.start, 0.0, how
        self.rate: int = how.rate or (heard.sound_rate if heard.sound_rate in RATES else None) or 48_000
        fps = how.fps or media.frame_rate or DEFAULT_RATE
        self.frame_seconds = 1 / fps
        self._bytes = BytesIO()
        self._out: Any = av.open(self._bytes, "w", format="mp4")
        self._picture: Any = None
        self._sound: Any = None
        self._held: Any = None  # the last packet of the picture
        if media.has_picture:
            assert media.size is not None
            height, width = fit_size(media.size, how.size)
            self._picture = self._out.add_stream("libx264", Fraction(fps).limit_denominator(1_001), options=VIDEO)
            self._picture.height, self._picture.width = (max(2, side - side % 2) for side in (height, width))
            self._picture.pix_fmt = "yuv420p"
            self._picture.codec_context.time_base = Fraction(1, TICKS)
            self._picture.codec_context.thread_count = 1
        if heard.has_sound:
            self._sound = self._out.add_stream("aac", rate=self.rate, layout="mono")
            self._sound.bit_rate = min(96_000, 4 * self.rate)
        self._ticks, self._samples = -1, -1  # of the last frame; where the next sound goes

    def instants(self) -> Any:
        """When to take frames: in the middle of the time for which each will be on screen; None: all there are."""
        fps = self._how.fps
        if fps is None:
            return None

        def grid(a: float, b: float) -> np.ndarray:
            first, last = ((second - self.start) * fps - 0.5 for second in (a, b))
            return self.start + (np.arange(max(0, math.ceil(first - 1e-9)), math.ceil(last - 1e-9)) + 0.5) / fps

        return grid

    def take(self, clip: Clip) -> None:
        """What comes next of the source."""
        if clip.frames is not None and len(clip.frames):
            assert clip.frame_times is not None
            times = clip.frame_times
            if self._how.fps is not None and clip.frame_instants is not None:
                times = clip.frame_instants - 0.5 * self.frame_seconds
            for time, picture in zip(times.tolist(), clip.frames, strict=True):
                self._show(max(0.0, time - self.start), picture)
        if clip.waveform is not None and len(clip.waveform):
            self._hear(clip.waveform, clip.waveform_start - self.start)

    def _show(self, second: float, picture: np.ndarray) -> None:
        ticks = round(second * TICKS)
        if ticks <= self._ticks:  # already on screen at the start of the span, or two frames at one time
            return
        self._ticks, self.last = ticks, second
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
        self._hold(self._picture.encode(frame))

    def _hold(self, packets: list[Any]) -> None:
        """The last packet waits until it is known how long its frame stays on screen."""
        for packet in packets:
            if self._held is not None:
                self._out.mux(self._held)
            self._held = packet

    def _hear(self, waveform: np.ndarray, second: float) -> None:
        if self._samples < 0:
            self._samples = max(0, round(second * self.rate))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self._samples, Fraction(1, self.rate)
        self._samples += len(waveform)
        self._out.mux(self._sound.encode(frame))

    def finish(self, last_ends: float) -> bytes:
        """The whole file; the last frame leaves the screen at the second `last_ends` of the source."""
        if self._picture is not None and self._ticks >= 0:
            self._hold(self._picture.encode(None))
            self._held.duration = max(1, round((last_ends - self.start) * TICKS) - self._ticks)
            self._out.mux(self._held)
        if self._sound is not None and self._samples >= 0:
            self._out.mux(self._sound.encode(None))
        self._out.close()
        return self._bytes.getvalue()

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *rest: object) -> None:
        self._out.close()
