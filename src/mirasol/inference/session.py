"""A session: one stream that is watched piece by piece and asked at any time, with a state that stays the same size.

    session = mirasol.Session()
    session.watch(frames, waveform, at=12.0)       # pieces of any size, as they come
    print(session.ask("what do you hear?").answer)
    session.save("monday.safetensors")

What counts as a snippet, and what happens to what is late, missing or jumps, is defined in `intake`. The state is a
value that is replaced, never changed: a question reads the one that is there, while another thread goes on watching.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from mirasol.media.clip import Clip
from mirasol.model.inputs import Inputs, join_inputs, snippet_inputs
from mirasol.model.state import MirasolState, skip, split_states, stack_states

from . import saved
from .answer import Answer, Loaded, Receipt, Watched, check_questions, count, load, put
from .engine import GREEDY, Options
from .intake import STILL, Frame, Intake, check_second

MOST = 8  # snippets encoded in one call
LEAP = 60.0  # seconds without anything that are not waited for


@dataclass(frozen=True)
class Seen:
    """A state, and what had gone into it: the second of its start, snippets (those left out too), picture instants,
    samples of sound, and those that were no numbers; the second at which a stream that was ended ended."""

    state: MirasolState
    origin: float
    snippets: int
    frames: int
    samples: int
    dropped: int
    unsound: int
    repeated: int
    left_out: tuple[tuple[float, float], ...]
    end: float | None
    album: dict[int, np.ndarray]


@dataclass(frozen=True)
class Taken:
    """Snippets on their way into the encoder: how many, what had been seen before, a frame of each for the album."""

    count: int
    seen: tuple[int, int]
    inputs: Inputs
    album: dict[int, np.ndarray]


class Session:
    """One stream, its state and its clock, on a model that any number of sessions share.

    One thread at a time watches (others wait); `ask` needs no lock and never waits for watching. What is due is
    looked at and taken under the lock, so any number of threads may watch, `step` and `step_together` at once.
    """

    def __init__(
        self,
        model: Loaded | str | Path = "tiny",
        *,
        start: float | None = None,
        picture: bool = True,
        sound: bool = True,
        patience: float = 2.0,
        hold: float = math.inf,
        album: bool = False,
    ) -> None:
        """`start`: the second at which the first snippet starts; None, that of the first piece.

        `picture`, `sound`: what the stream is expected to have; what is not expected is left aside. `patience`: how
        many seconds one of them may come later than the other. `hold`: how many seconds a frame stays on screen at
        most when no other follows (a camera that has stopped). `album`: keep a frame of each snippet that is kept, for
        a picture of the memory (not in a saved session).
        """
        self.loaded = model if isinstance(model, Loaded) else load(model)
        self._told: dict[str, Any] = {"picture": picture, "sound": sound, "patience": patience, "hold": hold}
        self._lock = threading.RLock()
        self._wants_album = album
        self.reset(start)

    def reset(self, start: float | None = None) -> None:
        """Forgets everything; a new stream begins at second `start` (None: with the next piece)."""
        with self._lock:
            self.intake = Intake(self.loaded.model.sizes, origin=start or 0.0, **self._told)
            self.intake.begun = start is not None
            self.warnings: tuple[str, ...] = ()
            self._see(self.loaded.model.encoder.start(1), {})

    # -- watching ----------------------------------------------------------------------------------------------------

    def watch(
        self,
        frames: np.ndarray | Sequence[Frame] | None = None,
        waveform: np.ndarray | None = None,
        *,
        at: float,
        times: Sequence[float] | np.ndarray | None = None,
    ) -> int:
        """A piece of the stream that begins at second `at`; gives how many snippets were encoded.

        `frames` (n, h, w, 3) uint8 of any size, each at one of `times` (n,) seconds; without `times` they are spread
        evenly over the waveform, a single one is at `at`. `waveform` (samples,) float32 mono at the model's rate, full
        scale is 1; a sample that is not finite or beyond 16 is taken for silence, and the receipt counts it.
        """
        with self._lock:
            self.push(frames, waveform, at=at, times=times)
            return self.catch_up()

    def push(
        self,
        frames: np.ndarray | Sequence[Frame] | None = None,
        waveform: np.ndarray | None = None,
        *,
        at: float,
        times: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """As `watch`, but nothing is encoded yet (but before a leap of LEAP seconds): `step` or `step_together` does
        that."""
        rate = self.loaded.model.sizes.sample_rate
        if waveform is not None:
            waveform = np.asarray(waveform)
            if waveform.ndim != 1 or not np.issubdtype(waveform.dtype, np.floating):
                raise ValueError(
                    f"expected a waveform (samples,) of floats at {rate} Hz, found {waveform.shape} {waveform.dtype}; "
                    "mix the channels and divide whole numbers by their greatest"
                )
        count = 0 if frames is None else len(frames)
        if times is None and count:
            if count > 1 and waveform is None:
                raise ValueError(f"expected the times of {count} frames: give times=[...] in seconds")
            length = 0.0 if waveform is None else len(waveform) / rate
            times = [at + place * length / count for place in range(count)]
        seconds = [] if times is None else [float(time) for time in times]
        if len(seconds) != count:
            raise ValueError(f"expected one time for each frame, found {len(seconds)} times and {count} frames")
        for second in (at, *seconds):  # before anything is taken in
            check_second(second)
        with self._lock:
            self._begin(min([at, *seconds]))
            for time, frame in zip(seconds, [] if frames is None else frames, strict=True):
                self._wait(self.intake.peek("picture", time) - self.intake.patience)
                self.intake.picture(time, frame)
            if waveform is not None:
                self._wait(self.intake.peek("sound", at) - self.intake.patience)
                self.intake.sound(at, waveform)

    def picture_ends(self, at: float) -> None:
        """The frame on screen leaves it at second `at`: a file has no more of them, though its sound may go on."""
        check_second(at)
        with self._lock:
            self._wait(self.intake.peek("picture", at) - self.intake.patience)
            self.intake.picture_ends(at)

    def push_clip(self, clip: Clip) -> None:
        """A clip of the reader whose frames were chosen at this model's instants (`Media.pieces(instants=...)`);
        the clips of a file follow each other, each is complete."""
        with self._lock:
            self._begin(clip.start)
            self._wait(clip.start - self.intake.origin, complete=True)
            if clip.frames is not None and clip.frame_instants is not None and self.intake.expects["picture"]:
                self.intake.instants(clip.frame_instants, clip.frames)
            if clip.waveform is not None:
                self.intake.sound(clip.waveform_start, clip.waveform)
            self.intake.known(clip.end)

    def flush(self, at: float | None = None) -> int:
        """The stream ends at second `at` (None: with the last that came); its last, partial snippet is encoded too.

        Watching may go on afterwards, with the next snippet. Gives how many snippets were encoded.
        """
        with self._lock:
            left, end = self.intake.flush(at)
            done = 0
            while done < left:
                done += self._advance(min(MOST, left - done))
            if done:
                self.intake.end = end
                self._see(self._seen.state, self._seen.album)
            return done

    def step(self, most: int = MOST) -> int:
        """Encodes the snippets that are due, `most` of them at most; gives how many."""
        with self._lock:
            due = min(most, self.intake.due)
            return self._advance(due) if due > 0 else 0

    def catch_up(self) -> int:
        """Encodes all snippets that are due; gives how many."""
        done = 0
        while count := self.step():
            done += count
        return done

    def drop(self, snippets: int) -> int:
        """Leaves out so many of the snippets that are due, unseen; the receipt will tell which. Gives how many."""
        with self._lock:
            due = max(0, min(snippets, self.intake.due))
            if due:
                self.intake.drop(due)
                self._see(skip(self._seen.state, due), self._seen.album)
            return due

    def keep_up(self, most: int) -> int:
        """Leaves out the oldest of the snippets that are due where more than `most` are. Gives how many."""
        with self._lock:
            return self.drop(self.intake.due - most)

    def _wait(self, until: float, complete: bool = False) -> None:
        """Nothing comes before `until`, in seconds from the origin. Where that is far, it is watched now, as long as a
        still is watched; the rest is passed over at once: work does not grow with what a timestamp claims."""
        intake = self.intake
        length = self.loaded.model.sizes.snippet_seconds
        target = math.floor(until / length + 1e-9)
        if (target - intake.next) * length <= LEAP:
            return
        if not complete:  # what came last may still wait for more
            intake.known(intake.second(min(math.ceil(intake.clock / length) + 1, target)))
        self.catch_up()
        while intake.next < target and not intake.is_still:
            intake.known(intake.second(min(intake.next + MOST, target)))
            self.catch_up()
        if intake.next < target:
            self._pass_over(target - intake.next)

    def _begin(self, at: float) -> None:
        if not self.intake.begun:
            self.intake.origin, self.intake.begun = at, True
        self.intake.end = None

    def _advance(self, count: int) -> int:
        """Encodes, or passes over where nothing is new, the next snippets, `count` at most; gives how many."""
        lead, over = self.intake.lead(count)
        return self._pass_over(lead) if over else self._encode(lead)

    def _pass_over(self, count: int) -> int:
        self.intake.pass_over(count)
        self._see(skip(self._seen.state, count), self._seen.album)
        return count

    @torch.inference_mode()
    def _encode(self, count: int) -> int:
        taken = self._take(count)
        latents, _, state = self.loaded.model.encoder(taken.inputs, self._seen.state)
        self._accept(taken, latents, state)
        return count

    def _take(self, count: int) -> Taken:
        """The next `count` snippets as the encoder wants them; the lock is held until `_accept`."""
        first, seen = self.intake.next, self.intake.seen
        frames, pieces, before = self.intake.take(count)
        chosen: dict[int, np.ndarray] = {}
        if self._wants_album:
            chosen = {first + at: frames[shown.max()] for at, shown in enumerate(pieces.frames) if shown.max() >= 0}
        return Taken(count, seen, snippet_inputs(frames, pieces, before, self.loaded.model.sizes), chosen)

    def _accept(self, taken: Taken, latents: Tensor, state: MirasolState) -> None:
        """The state after what was taken, if it holds numbers alone; what makes others is left out, as if nobody had
        looked: a state is for good, and one that is not finite would never answer again."""
        album = self._seen.album
        if not is_finite(latents, state):
            self.intake.leave_out(taken.count, taken.seen, "the model made numbers of it that are not finite")
            state = skip(self._seen.state, taken.count)
        elif self._wants_album:
            kept = kept_snippets(state)
            album = {at: frame for at, frame in {**album, **taken.album}.items() if at in kept}
        self._see(state, album)

    def _see(self, state: MirasolState, album: dict[int, np.ndarray]) -> None:
        """The new state, with what the receipt says of it: replaced at once, so that a reader gets both or neither."""
        intake, counts = self.intake, self.intake.counts
        self._seen = Seen(
            state, intake.origin, intake.next, counts.frames, counts.samples, counts.dropped, counts.unsound,
            counts.repeated, tuple(intake.left_out), intake.end, album,
        )  # fmt: skip

    # -- asking ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Watched:
        """What was seen so far, as a value: it stays as it is while the session goes on."""
        seen, sizes = self._seen, self.loaded.model.sizes
        kept, memory = seen.state.numbers[seen.state.numbers >= 0], seen.state.combiner.memory
        first = int(kept[0]) if len(kept) else seen.snippets
        length = sizes.snippet_seconds
        end = seen.origin + seen.snippets * length if seen.end is None else seen.end
        watched = max(0.0, end - seen.origin)  # the last cell of a picture may reach beyond it
        unsound = (unsound_words(seen.unsound),) if seen.unsound else ()
        repeated = (repeated_words(seen.repeated * length),) if seen.repeated else ()
        return Watched(
            seen.state,
            Receipt(
                start=round(seen.origin, 3),
                end=round(end, 3),
                text_start=round(seen.origin + first * length, 3),
                picture_seconds=round(min(seen.frames / sizes.frame_rate, watched), 3),
                sound_seconds=round(min(seen.samples / sizes.sample_rate, watched), 3),
                frames=seen.frames,
                snippets=seen.snippets - seen.dropped,
                model=self.loaded.name,
                warnings=(*self.warnings, *unsound, *repeated),
                left_out=seen.left_out,
                remembers=memory is not None and bool(memory.written.any()),
            ),
            dict(seen.album),
        )

    @overload
    def ask(  # type: ignore[overload-overlap]
        self, questions: str, options: Options = ..., history: Sequence[tuple[str, str]] = ...
    ) -> Answer: ...
    @overload
    def ask(
        self, questions: Sequence[str], options: Options = ..., history: Sequence[tuple[str, str]] = ...
    ) -> list[Answer]: ...
    def ask(
        self, questions: str | Sequence[str], options: Options = GREEDY, history: Sequence[tuple[str, str]] = ()
    ) -> Answer | list[Answer]:
        """Answers one question, or several in a list, about everything encoded so far; nothing is encoded again.

        `history`: earlier questions and their answers, to which the question may refer.
        """
        several = [questions] if isinstance(questions, str) else list(questions)
        answers = self.ask_all(several, options, history)
        return answers[0] if isinstance(questions, str) else answers

    def ask_all(
        self,
        questions: Sequence[str | None],
        options: Options = GREEDY,
        history: Sequence[tuple[str, str]] = (),
    ) -> list[Answer]:
        """Answers several questions (None: a caption) about one and the same moment."""
        check_questions(questions, self.loaded)
        return put(self.snapshot(), questions, self.loaded, options, history)

    def describe(self, options: Options = GREEDY) -> Answer:
        """A caption of what was watched."""
        return self.ask_all([None], options)[0]

    # -- the state as a value ----------------------------------------------------------------------------------------

    @property
    def state(self) -> MirasolState:
        """Everything that answers rest on."""
        return self._seen.state

    @property
    def seconds(self) -> float:
        """The second of the stream up to which it was encoded."""
        seen = self._seen
        return seen.origin + seen.snippets * self.loaded.model.sizes.snippet_seconds

    def fork(self) -> Session:
        """A second session that goes on from here on its own; nothing is encoded again."""
        other = object.__new__(Session)
        with self._lock:
            other.__dict__.update(self.__dict__)
            other._lock, other.intake = threading.RLock(), self.intake.copy()
        return other

    def save(self, path: str | Path) -> int:
        """Writes state, clock and what waits to be encoded as one safetensors file; gives its size in bytes."""
        with self._lock:
            self.catch_up()
            return saved.write(Path(path), self._seen.state, self.intake, self.loaded)

    @classmethod
    def load(cls, path: str | Path, model: Loaded | str | Path = "tiny", *, album: bool = False) -> Session:
        """A saved session, on the model that it was watched with. `ValueError` for another model or a foreign file."""
        loaded = model if isinstance(model, Loaded) else load(model)
        state, intake = saved.read(Path(path), loaded)
        session = cls(loaded, **intake.expects, patience=intake.patience, hold=intake.hold, album=album)
        session.intake = intake
        session._see(state, {})
        return session


def kept_snippets(state: MirasolState) -> set[int]:
    """The numbers of the snippets whose latents or memory the state of one stream still holds."""
    kept = set(state.numbers[state.numbers >= 0].tolist())
    if (memory := state.combiner.memory) is not None:
        kept |= set(memory.snippets()[0])
    return kept


def is_finite(latents: Tensor, state: MirasolState) -> bool:
    """Whether what a step made, and the memory that it wrote, are numbers: all that the next one builds on."""
    found = bool(latents.isfinite().all())
    if (memory := state.combiner.memory) is not None:
        found = found and bool(memory.tokens.isfinite().all())
    return found


def unsound_words(samples: int) -> str:
    return f"{count(samples, 'sample')} of sound not finite or far beyond full scale; silence was heard instead"


def repeated_words(seconds: float) -> str:
    return f"{seconds:g} s show the same picture without sound; of each such span {STILL:g} s were watched"


@torch.inference_mode()
def step_together(sessions: Sequence[Session], most: int = MOST) -> int:
    """Encodes what is due in several sessions of one model as one batch; gives the number of snippets.

    Of each session `most` snippets at most; sessions with nothing due are left alone.
    """
    encoders = {id(session.loaded.model.encoder) for session in sessions if session.intake.due}
    if len(encoders) > 1:
        raise ValueError("expected sessions that share one loaded model: load it once and give it to each Session")
    with ExitStack() as held:
        # Two threads that lock several sessions do so in one order. What is due is known only under the lock.
        waiting: list[tuple[Session, int]] = []
        passed = 0
        for session in sorted({id(session): session for session in sessions}.values(), key=id):
            if not session.intake.due:
                continue
            held.enter_context(session._lock)
            if (due := min(most, session.intake.due)) > 0:
                lead, over = session.intake.lead(due)
                if over:
                    passed += session._pass_over(lead)
                else:
                    waiting.append((session, lead))
        if not waiting:
            return passed
        taken = [session._take(count) for session, count in waiting]
        encoder = waiting[0][0].loaded.model.encoder
        latents, _, state = encoder(
            join_inputs([one.inputs for one in taken]), stack_states([session.state for session, _ in waiting])
        )
        for at, ((session, _), row) in enumerate(zip(waiting, split_states(state), strict=True)):
            session._accept(taken[at], latents[at, : taken[at].count], row)
        return passed + sum(one.count for one in taken)
