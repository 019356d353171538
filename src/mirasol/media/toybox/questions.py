"""Questions about a scene: their wordings, and which of them are fair to ask.

Fair means: whoever lacks the picture or the sound that a question needs cannot do better than a blind guess. So in a
family where a visible thing sounds ("band", "revue"), nothing is asked whose answer or wording tells of the sounding
kind; and yes/no questions take the name for "no" from the kinds that could just as well have been there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from mirasol.media.toybox.scene import Question, SoundEvent, Thing, World, with_article

NUMBERS = ("one", "two", "three", "four")
TIMES = ("once", "twice", "three times", "four times")
MOST_QUESTIONS = 10
LEAST_MOVING = 0.85  # seconds for which a thing must be seen moving before anybody asks for its way
BINDING = ("band", "revue")  # families where one of the visible things sounds

WORDINGS: dict[str, tuple[str, ...]] = {
    "seen": ("what is {at}?", "what do you see {at}?", "what can you see {at}?"),
    "seen alone": ("what do you see?", "what is in the picture?", "what can you see?"),
    "heard": ("what do you hear?", "what can you hear?", "what makes the sound?", "which thing do you hear?"),
    "which": (
        "which of the things made the sound?",
        "which one made the sound?",
        "which of the things do you hear?",
        "which one do you hear?",
    ),
    "colour": ("what colour is the {kind}?", "which colour is the {kind}?", "what is the colour of the {kind}?"),
    "where": ("where is the {kind}?", "in which place is the {kind}?", "where do you see the {kind}?"),
    "way": (
        "which way does the {kind} move?",
        "which way does the {kind} go?",
        "in which direction does the {kind} move?",
    ),
    "count": ("how many {kind}s are there?", "how many {kind}s do you see?", "how many {kind}s can you count?"),
    "often": (
        "how often does the {kind} sound?",
        "how many times does the {kind} sound?",
        "how often do you hear the {kind}?",
    ),
    "often any": (
        "how often do you hear a sound?",
        "how many times do you hear a sound?",
        "how often is there a sound?",
    ),
    "order heard": (
        "which sound came first, the {one} or the {other}?",
        "what did you hear first, the {one} or the {other}?",
        "which was heard first, the {one} or the {other}?",
    ),
    "order seen": (
        "what came into view first, the {one} or the {other}?",
        "what did you see first, the {one} or the {other}?",
        "which appeared first, the {one} or the {other}?",
    ),
    "when heard": (
        "at which second does the {kind} sound?",
        "in which second do you hear the {kind}?",
        "when does the {kind} sound?",
    ),
    "when any": ("at which second do you hear a sound?", "in which second is there a sound?", "when is the sound?"),
    "when seen": (
        "at which second does the {kind} appear?",
        "in which second does the {kind} appear?",
        "when does the {kind} appear?",
    ),
    "is seen": ("is there {a_kind}?", "do you see {a_kind}?", "can you see {a_kind}?"),
    "is heard": ("do you hear {a_kind}?", "can you hear {a_kind}?", "is there the sound of {a_kind}?"),
    "is coloured": ("is the {kind} {colour}?", "does the {kind} look {colour}?", "do you see {a_thing}?"),
    "first seen": (
        "what was the first thing you saw?",
        "what was the first thing to appear?",
        "what did you see first?",
    ),
    "last seen": ("what was the last thing you saw?", "what was the last thing to appear?", "what did you see last?"),
    "first heard": ("what was the first thing you heard?", "what was the first sound?", "what did you hear first?"),
    "last heard": ("what was the last thing you heard?", "what was the last sound?", "what did you hear last?"),
}


def in_column(column: str) -> str:
    """How a question says where something is that has a column of the picture (left, middle, right) to itself."""
    return "in the middle" if column == "middle" else f"on the {column}"


class Asker:
    """Collects the fair questions of one scene; `ask` words each with the scene's own source of chance."""

    def __init__(
        self,
        chance: random.Random,
        world: World,
        split: str,
        seconds: int,
        family: str,
        things: Sequence[Thing],
        sounds: Sequence[SoundEvent],
        counted: str,
    ) -> None:
        """`things` and `sounds` in the order of their coming; `counted` is the kind whose number of sounds was drawn
        evenly from one to four ("": none was)."""
        self.counted = counted
        self.chance, self.world, self.split = chance, world, split
        self.seconds, self.family = seconds, family
        self.things, self.sounds = tuple(things), tuple(sounds)
        self.questions: list[Question] = []
        self.sounding = sounds[0].kind if family in BINDING and sounds else ""
        self.seen_kinds = tuple(dict.fromkeys(thing.kind for thing in things))
        self.heard_kinds = tuple(dict.fromkeys(event.kind for event in sounds))
        self.silent = [thing for thing in things if thing.kind != self.sounding]
        # One of a kind: things that "the dog" names without doubt.
        amount = Counter(thing.kind for thing in things)
        self.single = [thing for thing in things if amount[thing.kind] == 1]

    def ask(self, type: str, wording: str, answer: str, needs: str, **words: str) -> None:
        """Add a question in one of the wordings."""
        text = self.chance.choice(WORDINGS[wording]).format(**words)
        self.questions.append(Question(type, text, answer, needs))

    def ask_twice(self, type: str, answer: str, needs: str, **words: str) -> None:
        """Add a question in two wordings: for types that few scenes can carry."""
        for wording in self.chance.sample(WORDINGS[type], 2):
            self.questions.append(Question(type, wording.format(**words), answer, needs))

    def all(self) -> tuple[Question, ...]:
        """Every fair question, at most ten, at least one of the family's own."""
        own: list[Question] = []
        if self.family in BINDING:
            self.ask_which()
            own = list(self.questions)
        elif self.family == "crowd":
            self.ask_count()
            own = list(self.questions)
        self.ask_picture()
        if self.family in ("parade", "revue"):
            self.ask_arrivals()
        self.ask_sound()
        others = [question for question in self.questions if question not in own]
        room = MOST_QUESTIONS - len(own)
        if len(others) > room:
            others = self.chance.sample(others, room)
        return tuple(own + others)

    def ask_which(self) -> None:
        """The one question that binds sound to picture."""
        thing = next(thing for thing in self.things if thing.kind == self.sounding)
        answer = f"the {thing.place.split()[1]} one"
        self.ask_twice("which", answer, "both")

    def ask_count(self) -> None:
        kind = self.things[0].kind  # a crowd lists its copies first
        number = sum(thing.kind == kind for thing in self.things)
        self.ask_twice("count", NUMBERS[number - 1], "picture", kind=kind)

    def ask_picture(self) -> None:
        """seen, colour, where, way and the yes/no questions of the picture."""
        chance = self.chance
        if self.family not in ("parade", "revue"):
            self.ask_seen()
        if self.single and self.world.colours and chance.random() < 0.65:
            thing = chance.choice(self.single)
            self.ask("colour", "colour", thing.colour, "picture", kind=thing.kind)
        placed = [thing for thing in self.single if thing.place]
        if placed and chance.random() < 0.65:
            thing = chance.choice(placed)
            self.ask("where", "where", thing.place, "picture", kind=thing.kind)
        movers = [t for t in self.single if t.way and min(t.leave, self.seconds) - t.enter >= LEAST_MOVING]
        for thing in chance.sample(movers, min(2, len(movers))):
            self.ask("way", "way", thing.way, "picture", kind=thing.kind)
        if self.single and self.world.colours and chance.random() < 0.25:
            self.ask_is_coloured(chance.choice(self.single))
        elif chance.random() < 0.6:
            names = [thing.kind for thing in self.silent]
            could = [k for k in self.world.seeable(self.heard_kinds) if k not in self.seen_kinds]
            self.ask_is("is seen", names, could, "picture")

    def ask_seen(self) -> None:
        """What stands in a cell, or in a column where it is alone."""
        asked = [thing for thing in self.silent if thing.place]
        if not asked:
            return
        thing = self.chance.choice(asked)
        column = thing.place.split()[1]
        if len(self.things) == 1 and self.chance.random() < 0.5:
            self.ask("seen", "seen alone", thing.kind, "picture")
            return
        sideways = any(other.way in ("left", "right") for other in self.things)
        shared = sideways or sum(other.place.endswith(column) for other in self.things) > 1
        if shared or self.chance.random() < 0.5:
            place = f"at the {thing.place}"
        else:
            place = in_column(column)
        self.ask("seen", "seen", thing.kind, "picture", at=place)

    def ask_arrivals(self) -> None:
        """order, when and memory of things that come into view one after another (they are listed in that order)."""
        chance = self.chance
        if self.seconds >= 4:
            stays = [thing for thing in self.silent if thing.place]
            if stays:
                thing = chance.choice(stays)
                self.ask("when", "when seen", f"second {int(thing.enter)}", "picture", kind=thing.kind)
        if len(self.silent) >= 2:
            first, second = sorted(chance.sample(self.silent, 2), key=lambda thing: thing.enter)
            self.ask_order("order seen", first.kind, second.kind, "picture")
        if self.things[0].kind != self.sounding:
            self.ask("memory", "first seen", self.things[0].kind, "picture")
        if self.things[-1].kind != self.sounding:
            self.ask("memory", "last seen", self.things[-1].kind, "picture")

    def ask_sound(self) -> None:
        """Questions that need the sound; nothing about its kind where the picture could tell."""
        if not self.sounds:
            return
        chance = self.chance
        amount = Counter(event.kind for event in self.sounds)
        named = not self.sounding
        if named and len(amount) == 1:
            self.ask_twice("heard", self.sounds[0].kind, "sound")
        if self.seconds >= 4:
            self.ask_often_and_when(amount, named)
        if not named:
            return
        if len(amount) > 1:
            pair = set(chance.sample(self.heard_kinds, 2))
            first, second = (kind for kind in self.heard_kinds if kind in pair)
            self.ask_order("order heard", first, second, "sound")
            if self.seconds >= 3 and chance.random() < 0.5:
                self.ask("memory", "first heard", self.sounds[0].kind, "sound")
            elif self.seconds >= 3:
                self.ask("memory", "last heard", self.sounds[-1].kind, "sound")
        if chance.random() < 0.5:
            could = [k for k in self.world.hearable(self.seen_kinds) if k not in self.heard_kinds]
            self.ask_is("is heard", self.heard_kinds, could, "sound")

    def ask_often_and_when(self, amount: Counter[str], named: bool) -> None:
        """How often and when: only in scenes long enough for every answer to be equally likely."""
        chance, alone = self.chance, len(amount) == 1
        if self.counted and alone and (not named or chance.random() < 0.5):
            self.ask("often", "often any", TIMES[len(self.sounds) - 1], "sound")
        elif self.counted and named:
            self.ask("often", "often", TIMES[amount[self.counted] - 1], "sound", kind=self.counted)
        once = [event for event in self.sounds if amount[event.kind] == 1]
        if once and named and (not alone or chance.random() < 0.5):
            event = chance.choice(once)
            self.ask("when", "when heard", f"second {int(event.onset)}", "sound", kind=event.kind)
        elif len(self.sounds) == 1:
            self.ask("when", "when any", f"second {int(self.sounds[0].onset)}", "sound")

    def ask_order(self, wording: str, first: str, second: str, needs: str) -> None:
        """Which of two came first; each is named first equally often."""
        one, other = (first, second) if self.chance.random() < 0.5 else (second, first)
        self.ask("order", wording, first, needs, one=one, other=other)

    def ask_is(self, wording: str, there: Sequence[str], could: Sequence[str], needs: str) -> None:
        """Is this kind there: yes and no equally often, names for both from the same distribution."""
        if not there or not could:
            return
        yes = self.chance.random() < 0.5
        kind = self.chance.choice(list(there if yes else could))
        self.ask("yesno", wording, "yes" if yes else "no", needs, a_kind=with_article(kind))

    def ask_is_coloured(self, thing: Thing) -> None:
        """Does this thing have this colour: "no" names another colour that it could have worn."""
        others = [c for c in self.world.colours_of(thing.kind, self.split) if c != thing.colour]
        if not others:
            return
        yes = self.chance.random() < 0.5
        colour = thing.colour if yes else self.chance.choice(others)
        a_thing = with_article(f"{colour} {thing.kind}")
        self.ask(
            "yesno", "is coloured", "yes" if yes else "no", "picture", kind=thing.kind, colour=colour, a_thing=a_thing
        )
