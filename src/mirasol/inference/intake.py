"""Pieces of any size in, snippets that are due out: what a stream has brought and nobody has encoded yet.

Seconds are those of the stream, `origin` is where its first snippet starts. What is defined here, for every stream:

* A frame is on screen from its time until the next one comes, `hold` seconds at most. The last one of a file leaves it
  after its own duration, as in `media.reader`, although the sound may go on.
* A snippet is due when picture and sound have both come that far. One that stays behind the other by more than
  `patience` seconds is not waited for: the snippet goes without it, and what comes later still is left out.
* Sound has its place by its time. A hole is silent and marked as not heard, an overlap is left out, deviations below
  `TOLERANCE` are rounding.
* A picture that stays as it is, without sound, is watched for `STILL` seconds. What follows of it is passed over, until
  something changes: time goes on, and the receipt names the seconds.
* Times that fall back by more than `JUMP` seconds, or run ahead by more than `GAP`, are a new count: the stream goes on
  where it was. Picture and sound that jump together stay together.

Nothing here depends on how the stream is split into pieces, as long as nothing comes later than `patience`.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from mirasol.media.sound import finite
from mirasol.model.inputs import silence_before
from mirasol.model.signals import letterbox
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import Cut, cut, snippet_count

TOLERANCE = 0.02  # seconds
JUMP = 0.2  # seconds
GAP = 3600.0  # seconds
EARLY = 1e-6  # seconds: a frame that begins this little after an instant counts as being on screen at it
STILL = 15.0  # seconds: nothing new for so long is not watched again; a file can claim hours of it with some bytes
NOTES = 100  # how many of the latest notes are kept
FARTHEST = 1e11  # seconds: beyond it a clock is too coarse to tell samples apart
LONGEST = 3600.0  # seconds of patience at most, for which there must be room
KINDS = ("picture", "sound")

Frame = np.ndarray | Callable[[], np.ndarray]  # (h, w, 3) uint8, or what makes it once it is needed


@dataclass
class Counts:
    """What went by and what went wrong, since the start of the stream."""

    frames: int = 0  # picture instants that had a frame
    samples: int = 0  # samples of sound that were real
    late_frames: int = 0  # came after their snippet was gone
    late_samples: int = 0
    jumps: int = 0  # times that the timestamps jumped
    dropped: int = 0  # snippets left out because nobody could keep up, or because no number came of them
    unsound: int = 0  # samples that were no numbers, or far beyond any sound
    still: int = 0  # snippets up to now in which nothing was new
    repeated: int = 0  # snippets passed over, for nothing in them was new


class Intake:
    """The buffer of one stream. Not for several threads at once."""

    def __init__(
        self, sizes: Sizes, *, origin: float = 0.0, picture: bool = True, sound: bool = True,
        patience: float = 2.0, hold: float = math.inf,
    ) -> None:  # fmt: skip
        if not (picture or sound):
            raise ValueError("expected picture=True or sound=True: a stream of neither cannot be watched")
        if not (abs(origin) <= FARTHEST and 0 <= patience <= LONGEST and hold > 0):
            raise ValueError(
                f"expected an origin within {FARTHEST:g} s, patience from 0 to {LONGEST:g} s and hold > 0; found "
                f"{origin}, {patience}, {hold}"
            )
        self.sizes, self.origin = sizes, origin
        self.expects = {"picture": picture, "sound": sound}
        self.patience, self.hold = patience, hold
        self.begun = False  # whether anything has come, which sets the origin where none was given
        self.end: float | None = None  # the second at which a stream that was ended ended, if inside a snippet
        self.next = 0  # number of the first snippet not handed out yet
        self.counts = Counts()
        self.notes: deque[tuple[float, str]] = deque(maxlen=NOTES)  # (second, what happened)
        self.noted = 0  # notes in all
        self.left_out: deque[tuple[float, float]] = deque(maxlen=NOTES)  # [start, end) of snippets dropped
        self._frames: dict[int, np.ndarray] = {}  # instant -> (H, W, 3) uint8
        self._instant = 0  # the first instant of which it is not known what is on screen
        self._last: np.ndarray | None = None  # the last frame of the snippet before the next one
        self._now: tuple[float, Frame] | None = None  # the frame on screen: its second from the origin, and itself
        self._left = 0.0  # the second from the origin at which the last frame left the screen, if none is on it
        self._step = 1.0 / sizes.frame_rate  # seconds between the last two frames
        self._sound: deque[tuple[int, np.ndarray]] = deque()  # (index of the first sample, samples)
        self._heard = 0  # index after the last sample of sound
        self._silent = 0  # the sound up to this sample is known, even if there is none
        self._before = silence_before(sizes)  # the sound just before the next snippet
        self._shifts = {"picture": 0.0, "sound": 0.0}
        self._began = {"picture": False, "sound": False}
        self._missing = {"picture": False, "sound": False}

    # -- what comes in -----------------------------------------------------------------------------------------------

    def picture(self, time: float, frame: Frame) -> None:
        """A frame that goes on screen at second `time`."""
        if not self.expects["picture"]:
            return
        at = self._place("picture", time, self._now[0] if self._now else self._left)
        if self._now is not None:
            if at < self._now[0]:
                self.counts.late_frames += 1
                return
            self._step = min(at - self._now[0], 1.0) or self._step
        self._show(at)
        if (self._instant - 0.5) / self.sizes.frame_rate + EARLY >= at >= 0:
            self.counts.late_frames += 1  # for some instant; it may still serve later ones
        self._now = (at, frame)

    def picture_ends(self, time: float) -> None:
        """Nothing is on screen from second `time` on, until another frame comes."""
        if self._now is not None:
            at = max(time - self.origin + self._shifts["picture"], self._now[0])
            self._show(at)
            self._now, self._left = None, at

    def sound(self, time: float, waveform: np.ndarray) -> None:
        """Sound (samples,) float32 of the model's rate that begins at second `time`."""
        if not self.expects["sound"] or not len(waveform):
            return
        rate, gone = self.sizes.sample_rate, self.next * self.sizes.samples
        begun = self._began["sound"]
        first = round(self._place("sound", time, self._heard / rate) * rate)
        if begun and abs(first - self._heard) <= TOLERANCE * rate:
            first = self._heard
        start = max(first, self._heard, gone)
        self.counts.late_samples += max(0, min(first + len(waveform), gone) - max(first, self._heard))
        samples, unsound = finite(np.array(waveform[start - first :]))  # not the array of the caller
        self.counts.unsound += unsound
        if len(samples):
            self._sound.append((start, samples))
            self._heard = start + len(samples)
            self._silent = max(self._silent, self._heard)

    def instants(self, instants: Sequence[float] | np.ndarray, frames: Sequence[np.ndarray] | np.ndarray) -> None:
        """Frames that were chosen already, one for each of these picture instants (`snippets.instants`)."""
        for second, frame in zip(instants, frames, strict=True):
            at = round((float(second) - self.origin) * self.sizes.frame_rate - 0.5)
            if at >= self.next * self.sizes.frames:
                self._frames[at] = self._fit(frame)

    def known(self, until: float, *, picture_ends: bool = False) -> None:
        """Nothing more comes that belongs before second `until`; with `picture_ends` nothing is on screen after it."""
        at = until - self.origin
        self._show(at)
        self._silent = max(self._silent, math.floor(at * self.sizes.sample_rate + 0.5))
        if picture_ends:
            self._now, self._left = None, max(self._left, at)

    def _place(self, kind: str, time: float, expected: float) -> float:
        """Seconds from the origin, with jumps of the timestamps taken out."""
        check_second(time)
        raw, begun = time - self.origin, self._began[kind]
        self._began[kind] = True
        at = raw + self._shifts[kind]
        if begun and not expected - JUMP <= at <= max(expected, self.clock) + GAP:
            shift = self._shifts["sound" if kind == "picture" else "picture"]
            if shift == self._shifts[kind] or not expected - JUMP <= raw + shift <= self.clock + GAP:
                # The other one has not jumped: this one is first, and what follows of both begins behind both.
                shown = self._now[0] + self._step if self._now else self._left
                shift = max(shown, self.clock) - raw
            self._shifts[kind] = shift
            self.counts.jumps += 1
            self.note(raw + shift, f"the timestamps of the {kind} jump to {time:.2f} s; counted on from here")
            at = raw + shift
        return at

    def _show(self, until: float) -> None:
        """The frame on screen stays there for the instants before `until`, seconds from the origin."""
        rate = self.sizes.frame_rate
        while (second := (self._instant + 0.5) / rate) + EARLY < until:
            if self._now is None or second > self._now[0] + self.hold:
                # Nothing is on screen until the next frame comes: no need to go there step by step.
                self._instant = max(self._instant + 1, math.ceil((until - EARLY) * rate - 0.5))
                return
            if self._instant >= self.next * self.sizes.frames:
                self._frames[self._instant] = self._shown()
            self._instant += 1

    def _shown(self) -> np.ndarray:
        assert self._now is not None
        time, frame = self._now
        if not isinstance(frame, np.ndarray) or frame.shape[:2] != (self.sizes.height, self.sizes.width):
            frame = self._fit(frame() if callable(frame) else frame)
            self._now = (time, frame)
        return frame

    def _fit(self, frame: np.ndarray) -> np.ndarray:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"expected frames (height, width, 3) uint8, found {frame.shape} {frame.dtype}")
        return letterbox(frame, self.sizes.height, self.sizes.width)

    # -- what goes out -----------------------------------------------------------------------------------------------

    @property
    def clock(self) -> float:
        """Seconds from the origin that the stream has come to, whichever of the two is ahead."""
        shown = max(self._now[0] if self._now else self._left, self._instant / self.sizes.frame_rate)
        return max(shown, self._silent / self.sizes.sample_rate)

    @property
    def due(self) -> int:
        """How many snippets can be handed out now."""
        sizes = self.sizes
        came = []
        if self.expects["picture"]:
            came.append(self._instant // sizes.frames)
        if self.expects["sound"]:
            came.append(self._silent // sizes.samples)
        waited = math.floor((self.clock - self.patience) / sizes.snippet_seconds + 1e-9)
        return max(0, max(min(came), waited) - self.next)

    def take(self, count: int) -> tuple[list[np.ndarray], Cut, np.ndarray]:
        """The next `count` snippets as frames, what `cut` makes of them, and the sound before them."""
        sizes, first = self.sizes, self.next
        end = first + count
        self._show(end * sizes.snippet_seconds)
        chosen = [at for at in range(first * sizes.frames, end * sizes.frames) if at in self._frames]
        frames = [self._frames.pop(at) for at in chosen]
        wave, heard = self._cut_sound(first * sizes.samples, end * sizes.samples)
        seconds = self.origin + (np.array(chosen) + 0.5) / sizes.frame_rate
        pieces = cut(sizes, origin=self.origin, first=first, count=count, frame_times=seconds, frame_instants=seconds)
        shape = (count, sizes.samples)
        pieces = replace(pieces, waveform=wave.reshape(shape), heard=heard.reshape(shape))
        before = self._before
        whole = np.concatenate([before, wave])
        self._before = whole[len(whole) - len(before) :].copy()
        self.counts.frames += len(frames)
        self.counts.samples += int(heard.sum())
        self.next = end
        self._instant = max(self._instant, end * sizes.frames)
        self._silent = max(self._silent, end * sizes.samples)
        self._watch_absence("picture", [bool(chosen.max() >= 0) for chosen in pieces.frames], first)
        self._watch_absence("sound", [bool(real.any()) for real in pieces.heard], first)
        return frames, pieces, before

    def lead(self, count: int) -> tuple[int, bool]:
        """(how many of the next `count` snippets are handed out together now, whether they are passed over).

        Counts on in what is still: `take` or `pass_over` comes next, with this number.
        """
        self._show((self.next + count) * self.sizes.snippet_seconds)
        most, lead, over = round(STILL / self.sizes.snippet_seconds), 0, False
        for snippet in range(self.next, self.next + count):
            same, last = self._repeats(snippet)
            still = self.counts.still + 1 if same else 0
            if lead and (still > most) != over:
                break
            self.counts.still, self._last = still, last
            lead, over = lead + 1, still > most
        return lead, over

    def _repeats(self, snippet: int) -> tuple[bool, np.ndarray | None]:
        """(whether a snippet shows the last frame alone and has no sound, its own last frame)."""
        sizes, last, same = self.sizes, self._last, True
        for at in range(snippet * sizes.frames, (snippet + 1) * sizes.frames):
            frame = self._frames.get(at)
            if frame is not last and (frame is None or last is None or not np.array_equal(frame, last)):
                same, last = False, frame
        begin, end = snippet * sizes.samples, (snippet + 1) * sizes.samples
        for start, samples in self._sound if same else ():
            if start >= end:
                break
            if samples[max(0, begin - start) : end - start].any():
                same = False
        return same, last

    @property
    def is_still(self) -> bool:
        """Whether the same was watched for so long that it is passed over."""
        return self.counts.still > round(STILL / self.sizes.snippet_seconds)

    def pass_over(self, count: int) -> None:
        """Passes over the next `count` snippets, in which nothing is new, at a cost that does not depend on `count`."""
        self.next += count
        frame, sample = self.next * self.sizes.frames, self.next * self.sizes.samples
        self._frames = {at: shown for at, shown in self._frames.items() if at >= frame}
        while self._sound and self._sound[0][0] < sample:
            start, samples = self._sound.popleft()
            if start + len(samples) > sample:
                self._sound.appendleft((sample, samples[sample - start :]))
        self._before = silence_before(self.sizes)
        self._instant, self._silent = max(self._instant, frame), max(self._silent, sample)
        self.counts.repeated += count
        self.leave_out(count, self.seen, f"nothing new for {STILL:g} s, and from here until something changes")

    def peek(self, kind: str, time: float) -> float:
        """Where what comes at second `time` belongs, in seconds from the origin; 0 where it begins a new count."""
        at = time - self.origin + self._shifts[kind]
        return at if self.expects[kind] and at <= self.clock + GAP else 0.0

    def drop(self, count: int) -> None:
        """Leaves out the next `count` snippets, whole: time goes on, and their seconds are written down."""
        before = self.seen
        self.take(count)
        self.counts.still = 0
        self.leave_out(count, before, "cannot keep up")

    @property
    def seen(self) -> tuple[int, int]:
        """How many frames and samples have gone out."""
        return self.counts.frames, self.counts.samples

    def leave_out(self, count: int, seen: tuple[int, int], why: str) -> None:
        """The last `count` snippets that were taken count as not seen; `seen` is what was seen before them."""
        self.counts.frames, self.counts.samples = seen
        self.counts.dropped += count
        start, end = self.second(self.next - count), self.second(self.next)
        if self.left_out and self.left_out[-1][1] == start:
            start = self.left_out.pop()[0]
        self.left_out.append((start, end))
        if (
            not self.counts.still or end - start <= count * self.sizes.snippet_seconds
        ):  # of a still the first time alone
            self.note(start - self.origin, f"left out {end - start:g} s: {why}")

    def flush(self, at: float | None = None) -> tuple[int, float]:
        """The stream ends at second `at` (None: with the last thing that came): how many snippets are due for that,
        and the second at which it ended."""
        if self.clock == 0 and (at is None or self._now is None):
            return 0, self.origin
        if at is None:
            shown = self._now[0] + self._step if self._now else self._left
            at = self.origin + max(shown, self._heard / self.sizes.sample_rate, self.next * self.sizes.snippet_seconds)
        self.known(at, picture_ends=True)
        total = max(self.next, snippet_count(self.sizes, at - self.origin))
        self._instant = max(self._instant, total * self.sizes.frames)
        self._silent = max(self._silent, total * self.sizes.samples)
        return total - self.next, at

    def second(self, snippet: int) -> float:
        """The second at which a snippet starts."""
        return self.origin + snippet * self.sizes.snippet_seconds

    # -- as a file ---------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Snippets that can wait at most when none is due."""
        return math.ceil(self.patience / self.sizes.snippet_seconds) + 2

    def pack(self) -> tuple[dict[str, np.ndarray], list[int], list[float]]:
        """What came and was not encoded, as arrays of fixed size; counts; seconds. None may be due."""
        sizes, most = self.sizes, self.room
        first, start = self.next * sizes.frames, self.next * sizes.samples
        frames = np.zeros((most * sizes.frames, sizes.height, sizes.width, 3), np.uint8)
        shown = np.zeros(len(frames), np.uint8)
        for at, frame in self._frames.items():
            frames[at - first], shown[at - first] = frame, 1
        sound, heard = np.zeros(most * sizes.samples, np.float32), np.zeros(most * sizes.samples, np.uint8)
        for at, samples in self._sound:
            sound[at - start : at - start + len(samples)] = samples
            heard[at - start : at - start + len(samples)] = 1
        shot: np.ndarray = np.zeros_like(frames[0]) if self._now is None else self._shown()
        now = np.ascontiguousarray(shot)  # a mirrored or scaled picture may be a view
        arrays: dict[str, np.ndarray] = {
            "frames": frames,
            "shown": shown,
            "sound": sound,
            "heard": heard,
            "now": now,
            "before": self._before,
        }
        expects, began, missing = ([there[kind] for kind in KINDS] for there in self._kinds)
        numbers = [self.begun, *expects, self.next, self._instant, self._heard, self._silent, *began, *missing]
        seconds = [
            self.origin, math.nan if self.end is None else self.end, self.patience, self.hold, self._step,
            math.nan if self._now is None else self._now[0], *(self._shifts[kind] for kind in KINDS),
        ]  # fmt: skip
        return arrays, [*map(int, numbers), *astuple(self.counts)], seconds

    @property
    def _kinds(self) -> tuple[dict[str, bool], dict[str, bool], dict[str, bool]]:
        return self.expects, self._began, self._missing

    @classmethod
    def unpack(cls, sizes: Sizes, arrays: dict[str, np.ndarray], numbers: list[int], seconds: list[float]) -> Intake:
        """The inverse of `pack`; `ValueError` for values that no stream can have."""
        origin, end, patience, hold, step, now, *shifts = seconds
        flags = [*numbers[:3], *numbers[7:11]]
        _expect(set(flags) <= {0, 1}, "flags of 0 or 1", flags)
        intake = cls(
            sizes, origin=origin, picture=bool(numbers[1]), sound=bool(numbers[2]), patience=patience, hold=hold
        )
        begun, *_, began_picture, began_sound, missing_picture, missing_sound = map(bool, flags)
        intake.begun, intake._began = begun, dict(zip(KINDS, (began_picture, began_sound), strict=True))
        intake._missing = dict(zip(KINDS, (missing_picture, missing_sound), strict=True))
        intake.next, intake._instant, intake._heard, intake._silent = numbers[3:7]
        intake.counts = Counts(*numbers[11:])
        intake._step, intake._shifts = step, dict(zip(KINDS, shifts, strict=True))
        intake.end, intake._now = None if math.isnan(end) else end, None if math.isnan(now) else (now, arrays["now"])
        intake._left = 0.0 if intake._now or not began_picture else intake.next * sizes.snippet_seconds
        intake._last = None if intake._now is None else arrays["now"]
        intake._check(arrays)
        first, start = intake.next * sizes.frames, intake.next * sizes.samples
        intake._before = arrays["before"]
        intake._frames = {first + int(at): arrays["frames"][at] for at in np.flatnonzero(arrays["shown"])}
        edges = np.flatnonzero(np.diff(np.concatenate([[0], arrays["heard"], [0]]).astype(np.int8)))
        for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            intake._sound.append((start + begin, arrays["sound"][begin:stop]))
        return intake

    def _check(self, arrays: dict[str, np.ndarray]) -> None:
        """`ValueError` where the numbers of a file do not belong to one stream."""
        sizes, counts, room = self.sizes, self.counts, self.room
        first, start, length = self.next * sizes.frames, self.next * sizes.samples, sizes.snippet_seconds
        _expect(0 <= self.next <= FARTHEST / length, "a count of snippets", self.next)
        _expect(
            first <= self._instant <= first + room * sizes.frames, "an instant near the last snippet", self._instant
        )
        _expect(start <= self._silent <= start + room * sizes.samples, "a sample near the last snippet", self._silent)
        _expect(0 <= self._heard <= self._silent, "sound up to the last sample", self._heard)
        _expect(min(astuple(counts)) >= 0 and max(astuple(counts)) < 2**53, "counts of 0 or more", counts)
        seen = self.next - counts.dropped
        _expect(
            seen >= 0 and counts.frames <= seen * sizes.frames and counts.samples <= seen * sizes.samples,
            f"no more than {self.next} snippets hold", counts,
        )  # fmt: skip
        _expect(0 < self._step <= 1, "up to a second between frames", self._step)
        _expect(all(abs(shift) <= 2 * FARTHEST for shift in self._shifts.values()), "finite shifts", self._shifts)
        latest = self._now[0] if self._now else 0.0
        _expect(abs(latest) <= FARTHEST and latest <= (self.next + room) * length, "a frame of this time", latest)
        if self.end is not None:
            _expect(
                self.origin - 1e-3 <= self.end <= self.second(self.next) + 1e-3, "an end within the stream", self.end
            )
        for name in ("shown", "heard"):
            _expect(int(arrays[name].max(initial=0)) <= 1, f"{name} as 0 or 1", int(arrays[name].max(initial=0)))
        _expect(not arrays["shown"][self._instant - first :].any(), "no frames after the last instant", "some")
        _expect(not arrays["heard"][max(0, self._heard - start) :].any(), "no sound after the last sample", "some")
        for name in ("sound", "before"):
            _expect(finite(arrays[name])[1] == 0, f"finite samples in {name}", "others")

    def copy(self) -> Intake:
        """One of its own with the same content."""
        other = copy.copy(self)
        for name in ("counts", "notes", "left_out", "_frames", "_sound", "_shifts", "_began", "_missing", "expects"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def _cut_sound(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """The samples [first, end) and which of them are real; what lies before is forgotten."""
        wave, heard = np.zeros(end - first, np.float32), np.zeros(end - first, bool)
        while self._sound and self._sound[0][0] < end:
            start, samples = self._sound.popleft()
            part = samples[: end - start]
            wave[start - first : start - first + len(part)] = part
            heard[start - first : start - first + len(part)] = True
            if len(part) < len(samples):
                self._sound.appendleft((end, samples[len(part) :]))
        return wave, heard

    def _watch_absence(self, kind: str, there: list[bool], first: int) -> None:
        if not self.expects[kind]:
            return
        for snippet, here in enumerate(there, start=first):
            if here == self._missing[kind]:
                self._missing[kind] = not here
                second = snippet * self.sizes.snippet_seconds
                if not here or snippet:
                    self.note(second, f"{kind} again" if here else f"no {kind} from here")

    def note(self, at: float, words: str) -> None:
        self.notes.append((round(self.origin + at, 3), words))
        self.noted += 1


def check_second(time: float) -> None:
    """`ValueError` for what is no second of a stream."""
    if not abs(time) <= FARTHEST:
        raise ValueError(f"expected the time of a piece as finite seconds, found {time}")


def _expect(right: bool, what: str, found: object) -> None:
    if not right:
        raise ValueError(f"expected {what}, found {found}")
