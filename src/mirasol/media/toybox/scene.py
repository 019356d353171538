"""What a Toybox scene is made of: plain frozen values that go to and come from JSON.

Lengths are fractions of the frame (x of its width, y and size of its height, origin at the top left), times are
seconds from the start of the scene. Nothing here draws or makes sound; `rendering` does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mirasol.media.toybox.things import COLOURS, KINDS

SPLITS = ("train", "validation", "test", "compositional")
FAMILIES = ("still", "band", "revue", "parade", "crowd")
QUESTION_TYPES = (
    "seen", "heard", "which", "colour", "where", "way", "count", "often", "order", "when", "yesno", "memory",
)  # fmt: skip
ROWS = ("top", "bottom")
COLUMNS = ("left", "middle", "right")
PLACES = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)
WAYS = ("left", "right", "up", "down")
LONGEST = 8  # seconds


@dataclass(frozen=True)
class Thing:
    """Something visible: it is on screen from `enter` to `leave` and goes from (x, y) to (to_x, to_y) meanwhile."""

    kind: str
    colour: str  # "" for a picture of an asset pack
    size: float  # height as a fraction of the frame height
    x: float
    y: float
    to_x: float
    to_y: float
    enter: float
    leave: float
    place: str  # one of PLACES, or "" for a thing that moves
    way: str  # one of WAYS, or "" for a thing that stays
    look: int  # seed of its drawing

    def position(self, time: float) -> tuple[float, float]:
        """Centre (x, y) at `time`, before wobble and shake."""
        span = max(self.leave - self.enter, 1e-6)
        done = min(max((time - self.enter) / span, 0.0), 1.0)
        return self.x + (self.to_x - self.x) * done, self.y + (self.to_y - self.y) * done


@dataclass(frozen=True)
class SoundEvent:
    """One sound: `onset` in seconds, `gain` in decibels (0 is the loudest), `voice` is the seed of its synthesis."""

    kind: str
    onset: float
    gain: float
    voice: int


@dataclass(frozen=True)
class Question:
    """A question with its only right answer; `needs` is "picture", "sound" or "both"."""

    type: str
    text: str
    answer: str
    needs: str


@dataclass(frozen=True)
class Surroundings:
    """Everything that carries no answer: background, what stands in front, specks, shake, grain, background sound."""

    background: str  # flat, gradient, checks, stripes, dots or noise
    occluders: tuple[str, ...]  # of pole, bush, fence
    specks: int
    shake: float  # largest camera shift, fraction of the frame height
    grain: float  # standard deviation of the pixel noise, in grey levels
    noise: str  # hum, hiss or clicks
    noise_below: float  # decibels below the events
    seed: int


@dataclass(frozen=True)
class Scene:
    """A scene with its known answers."""

    seed: int
    split: str
    seconds: int
    family: str
    things: tuple[Thing, ...]
    sounds: tuple[SoundEvent, ...]
    caption: str
    questions: tuple[Question, ...]
    surroundings: Surroundings

    def to_dict(self) -> dict:
        """Plain lists, numbers and strings."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Scene:
        """The scene that `to_dict` was taken of (also after a trip through JSON)."""
        around = dict(values["surroundings"])
        around["occluders"] = tuple(around["occluders"])
        return cls(
            seed=values["seed"],
            split=values["split"],
            seconds=values["seconds"],
            family=values["family"],
            things=tuple(Thing(**thing) for thing in values["things"]),
            sounds=tuple(SoundEvent(**event) for event in values["sounds"]),
            caption=values["caption"],
            questions=tuple(Question(**question) for question in values["questions"]),
            surroundings=Surroundings(**around),
        )


def held_out_colours(index: int, colours: Sequence[str]) -> tuple[str, ...]:
    """Colours that the kind number `index` wears in the compositional split only: one, or two for odd numbers."""
    first = 3 * index % len(colours)
    second = (first + 2) % len(colours)
    return (colours[first], colours[second]) if index % 2 else (colours[first],)


def held_out_partners(index: int, count: int) -> tuple[int, ...]:
    """Kinds heard together with the visible kind `index` in the compositional split only (2 of 24: 9 % of pairs)."""
    return tuple(sorted({(index + step) % count for step in (5, 11)} - {index}))


class World:
    """The kinds a scene is drawn from and the two fixed tables of combinations held out from training."""

    def __init__(
        self, kinds: Sequence[str], colours: Sequence[str] = (), captions: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        """`colours` is empty where things have no colour to ask for; `captions` gives other words for a kind."""
        if len(kinds) < 12:
            raise ValueError(f"expected at least 12 kinds, found {len(kinds)}: add kinds to the asset pack")
        self.kinds = tuple(kinds)
        self.colours = tuple(colours)
        self.captions = dict(captions or {})
        self.partners = {
            kind: frozenset(self.kinds[j] for j in held_out_partners(i, len(kinds))) for i, kind in enumerate(kinds)
        }
        self.held = {kind: held_out_colours(i, colours) for i, kind in enumerate(kinds)} if colours else {}

    def colours_of(self, kind: str, split: str) -> tuple[str, ...]:
        """Colours that `kind` may wear in `split`; empty where colours do not exist."""
        if not self.colours:
            return ()
        held = self.held[kind]
        return held if split == "compositional" else tuple(c for c in self.colours if c not in held)

    def is_held_out(self, seen: str, heard: str) -> bool:
        """True if `heard` never sounds in training while `seen` is visible."""
        return heard in self.partners[seen]

    def hearable(self, seen: Sequence[str]) -> list[str]:
        """Kinds that may sound in training while the kinds `seen` are visible."""
        banned = frozenset().union(*(self.partners[kind] for kind in seen))
        return [kind for kind in self.kinds if kind not in banned]

    def seeable(self, heard: Sequence[str]) -> list[str]:
        """Kinds that may be visible in training while the kinds `heard` sound."""
        return [kind for kind in self.kinds if not any(h in self.partners[kind] for h in heard)]


def toybox_world() -> World:
    """The world of the drawn things."""
    return World(KINDS, tuple(COLOURS))


def scene_random(split: str, seed: int) -> random.Random:
    """The source of chance of one scene: seeds of different splits never give the same scene."""
    return random.Random(f"toybox scene {split} {seed}")


def with_article(noun: str) -> str:
    """`noun` with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"
