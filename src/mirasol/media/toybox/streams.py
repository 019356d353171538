"""Toybox streams: a camera that runs for minutes or days, things that come by, and questions about the past.

    stream = Stream(seed=3, split="test", seconds=2_560)
    for second in range(stream.seconds):
        clip = render(stream.moment(second))          # one second of picture and sound
    for question in stream.questions(at=2_560):
        print(question.text, question.answer, question.distance)

Nothing of the stream is kept: a moment is made when it is asked for. What is asked about are visits: a thing comes,
stays for a second or two in a cell, some of them sound while they are there, and leave. Between them lie empty seconds
and distractions that nobody asks about: noises, specks, a shaking camera, poles and bushes.

| type | question | what decides it |
|---|---|---|
| first | the first thing that made a sound | the first visit that sounds |
| last | the last thing that made a sound | the last one |
| where | where the dog was before it left | the latest visit of a kind that came once |
| colour | which colour the dog had | the same |
| passed | how many dogs have passed | all visits of the one kind that comes one to four times |
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mirasol.media.toybox.families import COLUMN_X, NOISES, OCCLUDERS, ROW_Y, draw_surroundings
from mirasol.media.toybox.questions import NUMBERS
from mirasol.media.toybox.scene import PLACES, SPLITS, Question, Scene, SoundEvent, Surroundings, Thing, toybox_world

STREAM_TYPES = ("first", "last", "where", "colour", "passed")
WORDINGS = {
    "first": ("what was the first thing that made a sound?", "which thing sounded first of all?"),
    "last": ("what was the last thing that made a sound?", "which thing sounded last of all?"),
    "where": ("where was the {kind} before it left?", "in which place was the {kind} before it left?"),
    "colour": ("which colour did the {kind} have?", "what was the colour of the {kind} that came by?"),
    "passed": ("how many {kind}s have passed?", "how many {kind}s came by?"),
}
LEAST_VISITS = 3


@dataclass(frozen=True)
class Visit:
    """A thing that is there from `start` for `stay` whole seconds, in one cell; `sounds` in its first second."""

    kind: str
    colour: str
    place: str
    start: int
    stay: int
    sounds: bool
    look: int  # seed of its drawing
    voice: int  # seed of its sound

    @property
    def end(self) -> int:
        """The second at which it has left."""
        return self.start + self.stay


@dataclass(frozen=True)
class StreamQuestion(Question):
    """A question put at second `at` of the stream; `distance` is how many seconds ago its last evidence left."""

    at: int
    distance: int


class Stream:
    """The script of one stream: all of it follows from the arguments."""

    def __init__(
        self, seed: int, split: str, seconds: int, *, visits: int = 6, within: int | None = None,
        distractions: float = 0.1, pick: Callable[[random.Random, str], Visit] | None = None,
    ) -> None:  # fmt: skip
        """`visits` things come by within the first `within` seconds (None: all of them); a share of `distractions` of
        all seconds is disturbed. The distance of the questions at the end is at least `seconds - within`.
        `pick(chance, kind)` gives a visit of a kind; by default any that the split allows."""
        within = seconds if within is None else within
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}; found {split!r}")
        if visits < LEAST_VISITS or not 3 * visits <= within <= seconds:
            raise ValueError(
                f"expected at least {LEAST_VISITS} visits and three seconds for each of them within the stream; found "
                f"{visits} visits within {within} of {seconds} s"
            )
        self.seed, self.split, self.seconds = seed, split, seconds
        self.distractions = distractions
        chance = random.Random(f"toybox stream {split} {seed}")
        self.surroundings = replace(draw_surroundings(chance), occluders=(), specks=0, shake=0.0, noise_below=30.0)
        self.counted, self.visits = self._visits(chance, visits, within, pick or self._any_visit)

    def _any_visit(self, chance: random.Random, kind: str) -> Visit:
        colours = toybox_world().colours_of(kind, self.split)
        return Visit(
            kind, chance.choice(colours), chance.choice(PLACES), start=0, stay=chance.randint(1, 2),
            sounds=chance.random() < 0.65, look=chance.randrange(2**31), voice=chance.randrange(2**31),
        )  # fmt: skip

    def _visits(
        self, chance: random.Random, count: int, within: int, pick: Callable[[random.Random, str], Visit]
    ) -> tuple[str, tuple[Visit, ...]]:
        """The kind that comes one to four times, and all visits in the order of their coming."""
        world = toybox_world()
        repeats = chance.randint(1, min(4, count - 1))
        counted, *others = chance.sample(world.kinds, min(len(world.kinds), count - repeats + 1))
        more = chance.choices(others, k=count - repeats - len(others))  # in a long stream kinds come again
        kinds = [counted] * repeats + others + more
        chance.shuffle(kinds)
        room = within - 3 * count  # each has three seconds of its own: two to stay, one to be gone
        gaps = sorted(chance.randint(0, room) for _ in range(count))
        return counted, tuple(
            replace(pick(chance, kind), start=3 * at + gap)
            for at, (kind, gap) in enumerate(zip(kinds, gaps, strict=True))
        )

    # -- what is seen and heard --------------------------------------------------------------------------------------

    def moment(self, second: int) -> Scene:
        """One second of the stream as a scene of its own, without questions."""
        if not 0 <= second < self.seconds:
            raise ValueError(f"expected a second from 0 to {self.seconds - 1}, found {second}")
        chance = random.Random(f"toybox moment {self.split} {self.seed} {second}")
        there = [visit] if (visit := self.visitor(second)) else []
        sounds = tuple(
            SoundEvent(visit.kind, round(chance.uniform(0.05, 0.15), 3), round(chance.uniform(-6, 0), 2), visit.voice)
            for visit in there
            if visit.sounds and visit.start == second
        )
        return Scene(
            seed=self.seed,
            split=self.split,
            seconds=1,
            family="still",
            things=tuple(self._thing(visit) for visit in there),
            sounds=sounds,
            caption="",
            questions=(),
            surroundings=self._disturbed(chance) if self.disturbed(second) else self.surroundings,
        )

    def visitor(self, second: int) -> Visit | None:
        """Who is there."""
        at = bisect_right(self.visits, second, key=lambda visit: visit.start) - 1
        return self.visits[at] if at >= 0 and second < self.visits[at].end else None

    def disturbed(self, second: int) -> bool:
        """Whether something distracts in this second."""
        return random.Random(f"toybox around {self.split} {self.seed} {second}").random() < self.distractions

    def moments(self) -> Iterator[Scene]:
        """All seconds in order."""
        return (self.moment(second) for second in range(self.seconds))

    def _thing(self, visit: Visit) -> Thing:
        chance = random.Random(visit.look)
        row, column = visit.place.split()
        x = COLUMN_X[column] + chance.uniform(-0.025, 0.025)
        y = ROW_Y[row] + chance.uniform(-0.03, 0.03)
        size = chance.uniform(0.42, 0.55)
        return Thing(visit.kind, visit.colour, size, x, y, x, y, 0.0, 1.0, visit.place, "", visit.look)

    def _disturbed(self, chance: random.Random) -> Surroundings:
        """What nobody asks about."""
        calm = self.surroundings
        what = chance.choice(("noise", "specks", "shake", "front"))
        if what == "noise":
            return replace(calm, noise=chance.choice(NOISES), noise_below=round(chance.uniform(3.0, 9.0), 2))
        if what == "specks":
            return replace(calm, specks=chance.randint(6, 12))
        if what == "shake":
            return replace(calm, shake=round(chance.uniform(0.02, 0.04), 4))
        return replace(calm, occluders=(chance.choice(OCCLUDERS),))

    # -- what can be asked -------------------------------------------------------------------------------------------

    def questions(self, at: int) -> tuple[StreamQuestion, ...]:
        """All questions that the first `at` seconds decide, each in one of its wordings."""
        chance = random.Random(f"toybox asking {self.split} {self.seed} {at}")
        gone = [visit for visit in self.visits if visit.end <= at]
        amount = Counter(visit.kind for visit in self.visits if visit.start < at)
        asked: list[StreamQuestion] = []

        def ask(type: str, answer: str, needs: str, visit: Visit, kind: str = "") -> None:
            text = chance.choice(WORDINGS[type]).format(kind=kind)
            asked.append(StreamQuestion(type, text, answer, needs, at, max(0, at - visit.end)))

        sounding = [visit for visit in self.visits if visit.sounds and visit.start < at]
        if sounding:
            ask("first", sounding[0].kind, "sound", sounding[0])
            ask("last", sounding[-1].kind, "sound", sounding[-1])
        for visit in gone:
            if amount[visit.kind] == 1 and visit.kind != self.counted:
                ask("where", visit.place, "picture", visit, visit.kind)
                ask("colour", visit.colour, "picture", visit, visit.kind)
        passed = [visit for visit in gone if visit.kind == self.counted]
        if passed and len(passed) == amount[self.counted]:
            ask("passed", NUMBERS[len(passed) - 1], "picture", passed[-1], self.counted)
        return tuple(asked)
