"""The picture stream: choosing the frames on screen at asked instants, and shaping them (size, aspect, orientation)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from .limits import AT_ONCE
from .opening import Report, raw_seconds
from .packets import Photo

STILL_SECONDS = 1.0  # how long a picture without a duration of its own is on screen
TOO_SHORT = 0.25  # seconds: a silent film shorter than this is treated like a still
# Without this, FFmpeg turns planes with transparency into RGBA by a way that leaves what lies in memory in the last
# columns where the width is no multiple of 8.
EXACT = int(Interpolation.BICUBIC) | int(Interpolation.ACCURATE_RND)
ROWS = 256  # of a transparent picture that are laid on white at a time
GREY = 128  # beside a picture of another shape
SAME_TIME = 1e-6  # seconds: a frame that begins this little after an instant counts as being on screen at it

Turn = tuple[bool, bool, bool]  # swap rows and columns, then mirror left-right, then turn upside down
UPRIGHT: Turn = (False, False, False)
# Quarter turns counter-clockwise.
_QUARTERS: dict[int, Turn] = {1: (True, False, True), 2: (False, True, True), 3: (True, True, False)}
# The eight orientations of EXIF.
_EXIF: dict[int, Turn] = {
    1: UPRIGHT, 2: (False, True, False), 3: (False, True, True), 4: (False, False, True),
    5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True),
}  # fmt: skip


def turn_of(frame: Any) -> Turn:
    """How the stored picture must be turned to be upright, from its display matrix (phones store one) or EXIF."""
    if isinstance(frame.opaque, Photo):
        return _EXIF[frame.opaque.orientation]
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except (
        ValueError
    ):  # side data of a kind that PyAV does not know; the rotation is told apart from it, mirroring is not
        return _QUARTERS.get(round(frame.rotation / 90) % 4, UPRIGHT)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32, count=5).tolist()
    # The matrix sends (x, y) to (a x + c y, b x + d y), with y pointing down.
    return (True, c < 0, b < 0) if abs(b) > abs(a) else (False, a < 0, d < 0)


def shown_size(frame: Any, aspect: float, turn: Turn) -> tuple[int, int]:
    """(height, width) in square pixels and upright, of a frame whose pixels are `aspect` times as wide as high."""
    aspect = aspect if 1 / 16 <= aspect <= 16 else 1.0
    height, width = frame.height, max(1, round(frame.width * aspect))
    return (width, height) if turn[0] else (height, width)


def fit_size(size: tuple[int, int], fit: tuple[int, int] | None) -> tuple[int, int]:
    """The largest (height, width) with the aspect of `size` that lies within `fit`; `size` itself without `fit`."""
    if fit is None:
        return size
    scale = min(fit[0] / size[0], fit[1] / size[1])
    return max(1, min(fit[0], round(size[0] * scale))), max(1, min(fit[1], round(size[1] * scale)))


class Shaper:
    """Turns decoded frames into upright RGB arrays of one size. One scaler is kept for the whole decode."""

    def __init__(self, size: tuple[int, int], turn: Turn, threads: int = 0) -> None:
        self.size, self._turn, self._threads = size, turn, threads
        self._scaler = VideoReformatter()
        self._alpha: dict[str, bool] = {}

    def __call__(self, frame: Any) -> np.ndarray:
        """(H, W, 3) uint8."""
        size = self.size[::-1] if self._turn[0] else self.size
        if self._has_alpha(frame):
            if frame.height * frame.width > AT_ONCE >= size[0] * size[1]:
                frame = self._scaled(frame, _shrunk(frame, AT_ONCE, size), "rgba")
            frame = _on_white(frame)
        elif frame.interlaced_frame:  # swscale would scale each field alone, which it cannot do to every height
            frame = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
        frame = self._scaled(frame, size, "rgb24")
        picture = frame.to_ndarray()
        swap, mirror, upside_down = self._turn
        if swap:
            picture = picture.transpose(1, 0, 2)
        if mirror:
            picture = picture[:, ::-1]
        return picture[::-1] if upside_down else picture

    def _scaled(self, frame: Any, size: tuple[int, int], form: str) -> Any:
        height, width = size
        smaller = height * width < frame.height * frame.width
        way = "AREA" if smaller else "BICUBIC"
        return self._scaler.reformat(frame, width, height, form, interpolation=way, threads=self._threads)

    def _has_alpha(self, frame: Any) -> bool:
        name = frame.format.name
        if name not in self._alpha:
            self._alpha[name] = name == "pal8" or any(part.is_alpha for part in frame.format.components)
        return self._alpha[name]


def _shrunk(frame: Any, pixels: int, least: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of at most about so many pixels, with the aspect of the frame, but not below `least`."""
    scale = (pixels / (frame.height * frame.width)) ** 0.5
    return max(least[0], round(frame.height * scale)), max(least[1], round(frame.width * scale))


def _on_white(frame: Any) -> Any:
    """Lay a picture with transparency on white paper, some rows at a time."""
    rgba = frame.reformat(format="rgba", interpolation=EXACT).to_ndarray()
    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    for top in range(0, len(rgba), ROWS):
        part = rgba[top : top + ROWS].astype(np.uint16)
        alpha = part[..., 3:]
        rgb[top : top + ROWS] = (part[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


class Framing:
    """Shapes the pictures of a source alike: upright, in square pixels, all within the size of the first one."""

    def __init__(self, fit: tuple[int, int] | None, threads: int, report: Report) -> None:
        self._fit, self._threads, self._report = fit, threads, report
        self.size: tuple[int, int] | None = None  # (height, width) of every picture made
        self._aspect = 1.0
        self._shapers: dict[tuple[Any, ...], Shaper] = {}

    def begin(self, size: tuple[int, int], aspect: float) -> None:
        """`size` of the first picture on screen, and how many times its pixels are as wide as high."""
        self.size, self._aspect = fit_size(size, self._fit), aspect

    def __call__(self, frame: Any, at: float) -> np.ndarray:
        """(H, W, 3) uint8. `at`: its second, for the warning."""
        assert self.size is not None
        turn = turn_of(frame)
        key = (frame.height, frame.width, frame.format.name, turn)
        if key not in self._shapers:
            size = fit_size(shown_size(frame, self._aspect, turn), self.size)
            # A pixel more or less is rounding.
            same = max(abs(size[0] - self.size[0]), abs(size[1] - self.size[1])) <= 1
            if not same:
                self._report.warn(
                    f"the picture changes its shape at {at:.2f} s; what follows is shown within the first"
                )
            self._shapers[key] = Shaper(self.size if same else size, turn, self._threads)
        picture = self._shapers[key](frame)
        if picture.shape[:2] == self.size:
            return picture
        canvas = np.full((*self.size, 3), GREY, np.uint8)
        top, left = ((whole - part) // 2 for whole, part in zip(self.size, picture.shape[:2], strict=True))
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        return canvas


class Screen:
    """When each frame of a stream goes on screen, in seconds from `origin`, and when it leaves it."""

    def __init__(self, origin: float, frame_seconds: float, delay: float | None = None) -> None:
        self._origin, self._delay = origin, delay
        self._frame_seconds = frame_seconds  # for frames that do not state their duration
        self.count, self.first, self.end, self._last = 0, 0.0, 0.0, -math.inf

    def place(self, frame: Any, raw: float | None = None) -> float:
        """The second of a frame that has no timestamp of its own is `raw`, or where the last one ended."""
        stamp = raw_seconds(frame, self._delay) if raw is None else raw
        time = self.end if stamp is None else stamp - self._origin
        time = self._last = max(time, self._last)
        self.first = time if self.count == 0 else self.first
        duration = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        self.count, self.end = self.count + 1, time + (duration if duration > 0 else self._frame_seconds)
        return time

    def last_end(self, has_sound: bool) -> float:
        """When the last frame leaves the screen: what is a still or hardly more stays for STILL_SECONDS."""
        return max(self.end, self.first + STILL_SECONDS) if self.is_still(has_sound) else self.end

    def is_still(self, has_sound: bool) -> bool:
        return self.count == 1 or (self.count > 0 and not has_sound and self.end - self.first < TOO_SHORT)


class PictureCursor:
    """Walks through the frames of a stream once, forward, and hands out those that are asked for."""

    def __init__(
        self, frames: Iterator[Any], framing: Framing, screen: Screen, first: float | None, has_sound: bool,
        delay: float | None,
    ) -> None:  # fmt: skip
        self._frames, self._framing, self._screen = frames, framing, screen
        self._first, self._has_sound, self._delay = first, has_sound, delay
        self._whole = False
        self._now: tuple[float, float, Any] | None = None  # the frame on screen: its second, its end, itself
        self._next: tuple[float, float, Any] | None = None  # the one after it, decoded but not yet on screen
        self._image: np.ndarray | None = None  # the frame on screen, shaped, if anybody asked for it
        self.exhausted = False

    @property
    def end(self) -> float:
        """Seconds at which the last frame leaves the screen, as far as is known; a still stays for STILL_SECONDS."""
        if self._is_still():
            return self._screen.last_end(self._has_sound)
        return 0.0 if self._now is None else self._now[1]

    def changes(self, second: float) -> float:
        """When something else is on screen, at `second` or later, after `take` up to there; infinite for never."""
        if self._next is not None:
            return self._next[0]
        return self.end if self.end > second else math.inf

    def _is_still(self) -> bool:
        return self.exhausted and self._whole and self._now is not None and self._screen.is_still(self._has_sound)

    def take(
        self, start: float, end: float, asked: np.ndarray | None, sound_end: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Frames (n, H, W, 3), their times (n,), and the instants served (n,), within [start, end) seconds.

        `asked`: ascending instants, or None for every frame that goes on screen in the span. `sound_end`: how far
        the sound is known to go; a picture of one single frame stays on screen as long.
        """
        images: list[np.ndarray] = []
        times: list[float] = []
        served: list[float] = []
        instants = [] if asked is None else [float(t) for t in asked]
        place = 0
        margin = 0.0 if asked is None else SAME_TIME
        while True:
            self._look_ahead()
            if self._next is not None:
                limit = min(self._next[0] - margin, end)
            else:
                limit = min(max(self.end, sound_end) if self._is_still() else self.end, end)
            while place < len(instants) and instants[place] < limit:
                if self._now is not None and self._now[0] <= instants[place] + SAME_TIME:
                    images.append(self._shaped())
                    times.append(self._now[0])
                    served.append(instants[place])
                place += 1
            if self._next is None or self._next[0] - margin >= end:
                break
            self._step()
            if asked is None and self._now is not None and self._now[0] >= start:
                images.append(self._shaped())
                times.append(self._now[0])
        assert self._framing.size is not None
        frames = np.stack(images) if images else np.empty((0, *self._framing.size, 3), np.uint8)
        return frames, np.array(times, np.float64), None if asked is None else np.array(served, np.float64)

    def _shaped(self) -> np.ndarray:
        if self._image is None:
            assert self._now is not None
            self._image = self._framing(self._now[2], self._now[0])
        return self._image

    def _look_ahead(self) -> None:
        if self._next is not None or self.exhausted:
            return
        frame = next(self._frames, None)
        if frame is None:
            self.exhausted = True
            return
        raw = raw_seconds(frame, self._delay)
        if self._screen.count == 0:
            self._whole = raw is None or self._first is None or raw <= self._first + SAME_TIME
        time = self._screen.place(frame)
        self._next = (time, self._screen.end, frame)

    def _step(self) -> None:
        """The next frame goes on screen."""
        self._now, self._next, self._image = self._next, None, None
