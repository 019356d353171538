"""`make_scene`: draws the answers first, then builds a scene around them.

| family | what is seen | what is heard |
|---|---|---|
| still | 1 to 3 things in different columns, at times one of them moving | unseen kinds, independent of the picture |
| band | three things, one in each column | one of the three, one to four times |
| revue | as band, but they come into view one after another and the first leaves | one of the three, at any time |
| parade | 2 to 4 things that come and go one after another, some passing through | as in still |
| crowd | 1 to 4 copies of one thing, at times one other thing | as in still |

Times and numbers of sounds never depend on the picture, nor the other way round. A scene of one or two seconds has no
families or questions that need more time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from mirasol.media.toybox.questions import BINDING, NUMBERS, TIMES, Asker
from mirasol.media.toybox.scene import (
    COLUMNS,
    FAMILIES,
    LONGEST,
    PLACES,
    ROWS,
    SPLITS,
    WAYS,
    Scene,
    SoundEvent,
    Surroundings,
    Thing,
    World,
    scene_random,
    toybox_world,
    with_article,
)

FAMILY_SHARES = {"still": 0.18, "band": 0.26, "revue": 0.11, "parade": 0.24, "crowd": 0.21}
LEAST_SECONDS = {"revue": 4, "parade": 3}  # shorter scenes fall back to band and still
COLUMN_X = dict(zip(COLUMNS, (0.18, 0.5, 0.82), strict=True))
ROW_Y = dict(zip(ROWS, (0.27, 0.73), strict=True))
BACKGROUNDS = ("flat", "gradient", "checks", "stripes", "dots", "noise")
OCCLUDERS = ("pole", "bush", "fence")
NOISES = ("hum", "hiss", "clicks")
_WORLD = toybox_world()


def make_scene(
    seed: int,
    split: str = "train",
    *,
    seconds: int | None = None,
    family: str | None = None,
    world: World | None = None,
) -> Scene:
    """The scene number `seed` of `split`; `seconds` (1 to 8) and `family` are drawn where they are not given.

    `world` takes the place of the drawn things: `AssetPack.world`.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; found {split!r}")
    if family is not None and family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; found {family!r}")
    if seconds is not None and not (seconds == int(seconds) and 1 <= seconds <= LONGEST):
        raise ValueError(f"seconds must be a whole number from 1 to {LONGEST}; found {seconds!r}")
    chance = scene_random(split, seed)
    length = chance.randint(3, LONGEST) if seconds is None else int(seconds)
    if family is None:
        family = chance.choices(tuple(FAMILY_SHARES), tuple(FAMILY_SHARES.values()))[0]
    if length < LEAST_SECONDS.get(family, 1):
        family = "band" if family == "revue" else "still"
    builder = _Builder(chance, world or _WORLD, split, length)
    things, sounds, counted = builder.build(family)
    asker = Asker(chance, builder.world, split, length, family, things, sounds, counted)
    return Scene(
        seed=seed,
        split=split,
        seconds=length,
        family=family,
        things=things,
        sounds=sounds,
        caption=caption_of(builder.world, family, things, sounds, chance),
        questions=asker.all(),
        surroundings=draw_surroundings(chance),
    )


def spread(chance: random.Random, number: int, seconds: int) -> list[float]:
    """`number` onsets in different seconds, each in [s + 0.1, s + 0.6] of its second and 0.8 s apart, in order.

    Every second is equally likely for every one of them.
    """
    chosen = sorted(chance.sample(range(seconds), number))
    for _ in range(30):
        onsets = [second + chance.uniform(0.1, 0.6) for second in chosen]
        if all(after - before >= 0.8 for before, after in pairwise(onsets)):
            return onsets
    offset = chance.uniform(0.1, 0.6)
    return [second + offset for second in chosen]


class _Builder:
    """Draws the things and sounds of one scene."""

    def __init__(self, chance: random.Random, world: World, split: str, seconds: int) -> None:
        self.chance, self.world, self.split, self.seconds = chance, world, split, seconds

    def build(self, family: str) -> tuple[tuple[Thing, ...], tuple[SoundEvent, ...], str]:
        """Things and sounds in the order of their coming, and the kind whose number of sounds was drawn evenly."""
        if family in BINDING:
            kinds, sounding = self.three_kinds()
            things = self.band(kinds) if family == "band" else self.revue(kinds)
            kind = kinds[sounding]
            number = self.chance.randint(1, 4 if self.seconds >= 4 else self.seconds)
            return tuple(things), self.events([kind] * number), kind if self.seconds >= 4 else ""
        plan = self.sound_plan()
        kinds, heard = self.kinds_for(self.thing_number(family), len(set(plan)))
        things = getattr(self, family)(kinds)
        counted = heard[0] if plan and self.plan_counts else ""
        return tuple(things), self.events([heard[i] for i in plan]), counted

    # -- kinds -----------------------------------------------------------------------------------------------------

    def three_kinds(self) -> tuple[list[str], int]:
        """Three kinds, one per column, and the number of the one that sounds.

        In training no held-out pair is among the three, whichever sounds: else the picture would tell which cannot.
        """
        chance, world = self.chance, self.world
        if self.split == "compositional":
            seen = chance.choice(world.kinds)
            heard = chance.choice(sorted(world.partners[seen]))
            third = chance.choice([kind for kind in world.kinds if kind not in (seen, heard)])
            kinds = [seen, heard, third]
            chance.shuffle(kinds)
            return kinds, kinds.index(heard)
        while True:
            kinds = chance.sample(world.kinds, 3)
            if not any(world.is_held_out(one, other) for one in kinds for other in kinds):
                return kinds, chance.randrange(3)

    def kinds_for(self, visible: int, audible: int) -> tuple[list[str], list[str]]:
        """Kinds to see and, independently but for the held-out pairs, kinds to hear."""
        chance, world = self.chance, self.world
        seen = chance.sample(world.kinds, visible)
        if self.split != "compositional":
            return seen, chance.sample(world.hearable(seen), audible)
        heard = chance.sample(world.kinds, audible)
        if heard:
            partners = sorted(world.partners[chance.choice(seen)])
            pair = chance.choice(partners)
            heard = [pair, *[kind for kind in heard if kind != pair][: audible - 1]]
            chance.shuffle(heard)
        return seen, heard

    def colour(self, kind: str) -> str:
        colours = self.world.colours_of(kind, self.split)
        return self.chance.choice(colours) if colours else ""

    # -- sounds ----------------------------------------------------------------------------------------------------

    def sound_plan(self) -> list[int]:
        """Which of the heard kinds sounds in which turn; independent of everything visible."""
        chance, seconds = self.chance, self.seconds
        self.plan_counts = seconds >= 4
        plan = chance.choices(("none", "solo", "mix", "row"), (0.05, 0.42, 0.18, 0.35))[0]
        if plan == "none":
            return []
        if plan == "mix" and seconds >= 5:
            turns = [0] * chance.randint(1, 4) + [1]
            chance.shuffle(turns)
            return turns
        if plan == "solo" or seconds == 1:
            return [0] * chance.randint(1, min(4, seconds))
        self.plan_counts = False
        return list(range(chance.randint(2, min(4, seconds))))

    def events(self, kinds: Sequence[str]) -> tuple[SoundEvent, ...]:
        """One event for each entry, in order; a kind keeps its voice."""
        chance = self.chance
        voices = {kind: chance.randrange(2**31) for kind in dict.fromkeys(kinds)}
        onsets = spread(chance, len(kinds), self.seconds)
        return tuple(
            SoundEvent(kind, round(onset, 3), round(chance.uniform(-6.0, 0.0), 2), voices[kind])
            for kind, onset in zip(kinds, onsets, strict=True)
        )

    # -- things ----------------------------------------------------------------------------------------------------

    def thing_number(self, family: str) -> int:
        """Different kinds of things that the family shows."""
        if family == "crowd":
            return self.chance.randint(1, 2)
        if family == "parade":
            return self.chance.randint(2, min(4, self.seconds))
        return self.chance.randint(1, 3)

    def thing(self, kind: str, place: str, enter: float = 0.0, leave: float | None = None, colour: str = "") -> Thing:
        """A thing that stays somewhere in its cell."""
        chance = self.chance
        row, column = place.split()
        x = round(COLUMN_X[column] + chance.uniform(-0.025, 0.025), 4)
        y = round(ROW_Y[row] + chance.uniform(-0.03, 0.03), 4)
        return Thing(
            kind=kind,
            colour=colour or self.colour(kind),
            size=round(chance.uniform(0.42, 0.55), 4),
            x=x,
            y=y,
            to_x=x,
            to_y=y,
            enter=round(enter, 3),
            leave=round(self.seconds if leave is None else leave, 3),
            place=place,
            way="",
            look=chance.randrange(2**31),
        )

    def mover(self, kind: str, enter: float, leave: float, far: float, lane: str = "") -> Thing:
        """A thing that crosses the frame; `far` is how far beyond the edges it begins and ends."""
        chance = self.chance
        way = chance.choice(WAYS)
        still = self.thing(kind, lane or chance.choice(PLACES), enter, leave)
        x, y, to_x, to_y = still.x, still.y, still.x, still.y
        if way in ("left", "right"):
            x, to_x = -far, 1.0 + far
        else:
            y, to_y = -far * 1.4, 1.0 + far * 1.4
        if way in ("left", "up"):
            x, y, to_x, to_y = to_x, to_y, x, y
        x, y, to_x, to_y = (round(value, 4) for value in (x, y, to_x, to_y))
        return Thing(
            kind, still.colour, still.size, x, y, to_x, to_y, still.enter, still.leave, "", way, still.look
        )  # fmt: skip

    def still(self, kinds: list[str]) -> list[Thing]:
        """Things in different columns; often one of them crosses its row or column slowly."""
        chance = self.chance
        columns = chance.sample(COLUMNS, len(kinds))
        things = [
            self.thing(kind, f"{chance.choice(ROWS)} {column}") for kind, column in zip(kinds, columns, strict=True)
        ]
        if chance.random() < 0.6:
            lane = f"{chance.choice(ROWS)} {columns[0]}"
            things[0] = self.mover(kinds[0], 0.0, self.seconds, -0.18, lane)
            if things[0].way in ("left", "right"):  # the others keep out of its row
                row = ROWS[1 - ROWS.index(lane.split()[0])]
                things[1:] = [self.thing(k, f"{row} {c}") for k, c in zip(kinds[1:], columns[1:], strict=True)]
        return things

    def band(self, kinds: list[str]) -> list[Thing]:
        """Three things, one in each column."""
        return [self.thing(kind, f"{self.chance.choice(ROWS)} {c}") for kind, c in zip(kinds, COLUMNS, strict=True)]

    def revue(self, kinds: list[str]) -> list[Thing]:
        """Three things, one in each column, that come into view one after another; the first leaves before the end."""
        things = self.band(kinds)
        self.chance.shuffle(things)
        return self.arrivals([thing.kind for thing in things], [thing.place for thing in things])

    def parade(self, kinds: list[str]) -> list[Thing]:
        """Things that come and go one after another; each stays in a cell of its own or passes through."""
        places = self.chance.sample(PLACES, len(kinds))
        return self.arrivals(kinds, [place if self.chance.random() < 0.45 else "" for place in places])

    def arrivals(self, kinds: list[str], places: list[str]) -> list[Thing]:
        """Things in the order of their coming; an empty place means that the thing passes through.

        They leave in the order in which they came, the last one stays (or passes) and the first is gone before the end.
        """
        chance = self.chance
        enters = spread(chance, len(kinds), self.seconds)
        things: list[Thing] = []
        for i, (kind, place, enter) in enumerate(zip(kinds, places, enters, strict=True)):
            final = i == len(kinds) - 1
            following = self.seconds if final else enters[i + 1]
            if not place:
                leave = min(enter + chance.uniform(1.2, 3.0), following + 0.15)  # past the end: cut off on its way
                leave = max(leave, enter + 0.95)
                things.append(self.mover(kind, enter, leave, 0.16))
                continue
            leave = self.seconds if final else max(following + chance.uniform(-0.1, 0.2), enter + 0.8)
            if not final and places[i + 1] and places[i + 1] not in places[: i + 1] and chance.random() < 0.5:
                leave = min(leave + chance.uniform(0.3, 0.7), self.seconds - 0.3)
            things.append(self.thing(kind, place, enter, leave))
        return things

    def crowd(self, kinds: list[str]) -> list[Thing]:
        """One to four copies of the first kind in different cells, and the second kind if there is one."""
        chance = self.chance
        number = chance.randint(1, 4)
        places = chance.sample(PLACES, number + len(kinds) - 1)
        colour = self.colour(kinds[0])
        things = [self.thing(kinds[0], place, colour=colour) for place in places[:number]]
        return things + [self.thing(kind, place) for kind, place in zip(kinds[1:], places[number:], strict=True)]


def draw_surroundings(chance: random.Random) -> Surroundings:
    """Background, distractors and noise, independent of every answer."""
    occluders = chance.sample(OCCLUDERS, chance.choice((0, 0, 1, 1, 2)))
    return Surroundings(
        background=chance.choice(BACKGROUNDS),
        occluders=tuple(occluders),
        specks=chance.randint(0, 5),
        shake=round(chance.choice((0.0, 0.0, chance.uniform(0.0, 0.03))), 4),
        grain=round(chance.uniform(0.0, 7.0), 2),
        noise=chance.choice(NOISES),
        noise_below=round(chance.uniform(12.0, 30.0), 2),
        seed=chance.randrange(2**31),
    )


def caption_of(
    world: World, family: str, things: Sequence[Thing], sounds: Sequence[SoundEvent], chance: random.Random
) -> str:
    """Plain sentences: the things in reading order or in the order of their coming, then the sounds in order."""
    one_by_one = family in ("parade", "revue")
    shown = list(things)
    if family == "crowd":
        shown = [thing for thing in things if thing.kind != things[0].kind]
    elif not one_by_one:
        shown.sort(key=lambda thing: PLACES.index(thing.place) if thing.place else -1)
    sentences = []
    if family == "crowd":
        number = len(things) - len(shown)
        colour = f"{things[0].colour} " if things[0].colour else ""
        if number == 1:
            shown.insert(0, things[0])
        else:
            sentences.append(f"{NUMBERS[number - 1]} {colour}{things[0].kind}s")
    for thing in shown:
        noun = f"{thing.colour} {thing.kind}" if thing.colour else thing.kind
        name = chance.choice(world.captions[thing.kind]) if thing.kind in world.captions else with_article(noun)
        sentences.append(f"{name} moves {thing.way}" if thing.way else f"{name} at the {thing.place}")
    if one_by_one:
        sentences = [("first " if i == 0 else "then ") + sentence for i, sentence in enumerate(sentences)]
    for kind in dict.fromkeys(event.kind for event in sounds):
        number = sum(event.kind == kind for event in sounds)
        sentences.append(f"{with_article(kind)} sounds {TIMES[number - 1]}")
    return ". ".join(sentences) + "."
