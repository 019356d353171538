"""Toybox scenes as training examples, made on the fly: seeded, endless, resumable at any number.

Scene `number` of a split is always the same; a batch is the scenes [number, number + size). A stage of the curriculum
says how long the scenes are and how many share a batch.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer

from mirasol.media import toybox
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text, train_tokenizer

from .examples import Batch, Example, clip_inputs, collate
from .stepped import SteppedBatches


@dataclass(frozen=True)
class Stage:
    """From optimizer step `start` on: scenes of `seconds` (lowest, highest), `batch` of them per step.

    `things` is the largest number of things that a scene may show: where there is only one, its kind, colour and place
    can be learned without knowing yet which thing a question means. `caption_every` says at which steps captions are
    asked for, too (0: never). `silent`: without sound, so that seeing is learned before hearing, which is easier.
    `pack`: the folder of an asset pack, whose pictures and sounds take the place of the drawn things.
    `wanted`: every second scene of a batch is the next one with a question of such a type ("memory") or of the type
    and what it needs ("memory/picture"), each in turn; for types that few scenes carry and that are learned last.
    """

    start: int
    seconds: tuple[int, int]
    batch: int
    things: int = 9
    caption_every: int = 4
    silent: bool = False
    wanted: tuple[str, ...] = ()
    pack: str = ""


@lru_cache(maxsize=4)
def opened_pack(folder: str, kinds: tuple[str, ...] = (), **how: Any) -> toybox.AssetPack | None:
    """An asset pack by its folder, with these of its kinds (empty: all), read once; None for an empty name. `how`: see
    `AssetPack`."""
    return toybox.AssetPack(folder, kinds, **how) if folder else None


def is_wanted(question: toybox.Question, wanted: str) -> bool:
    return wanted in (question.type, f"{question.type}/{question.needs}")


def scene_example(
    seed: int,
    split: str,
    sizes: Sizes,
    *,
    seconds: int | None = None,
    things: int = 9,
    questions: int = 8,
    drop: float = 0.0,
    caption: bool = True,
    silent: bool = False,
    wanted: str = "",
    pack: str = "",
) -> Example:
    """One scene with some of its questions and its caption. `drop`: how often picture or sound is taken away. `pack`:
    see `Stage`.

    The first scene from `seed` on that shows no more than `things` things (with such a limit nothing is counted) and
    carries a question of the type `wanted`, which is then among those asked (unless what it needs was taken away).
    """
    chance = random.Random(f"example {split} {seed}")
    assets = opened_pack(pack)
    world = assets.world if assets else None
    scene = toybox.make_scene(seed, split, seconds=seconds, world=world)
    while len(scene.things) > things or (wanted and not any(is_wanted(q, wanted) for q in scene.questions)):
        seed += 1
        scene = toybox.make_scene(seed, split, seconds=seconds, world=world)
    lost = chance.choice(("picture", "sound")) if chance.random() < drop else ""
    lost = "sound" if silent else lost
    clip = toybox.render(scene, sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate, pack=assets)
    inputs = clip_inputs(clip, sizes, picture=lost != "picture", sound=lost != "sound")
    asked = [q for q in scene.questions if not (lost and q.needs in (lost, "both"))] or list(scene.questions)
    if things < 4:
        asked = [q for q in asked if q.type != "count"] or asked
    chosen = sorted(chance.sample(asked, len(asked)), key=lambda q: not is_wanted(q, wanted))[:questions]
    pairs: list[tuple[str | None, str]] = [(q.text, q.answer) for q in chosen]
    if caption and not lost:
        pairs.append((None, scene.caption))
    return Example(inputs, tuple(pairs), seed)


class ToyboxBatches(SteppedBatches):
    """Batches for the steps [first, last) of a run, in order, whatever the number of loader workers."""

    def __init__(
        self, sizes: Sizes, text: Text, stages: tuple[Stage, ...], first: int, last: int, *,
        split: str = "train", seed: int = 0, questions: int = 8, drop: float = 0.08,
    ) -> None:  # fmt: skip
        self.sizes, self.text, self.stages = sizes, text, stages
        self.first, self.last, self.split, self.seed = first, last, split, seed
        self.questions, self.drop = questions, drop

    def stage(self, step: int) -> Stage:
        return [stage for stage in self.stages if stage.start <= step][-1]

    def batch(self, step: int) -> Batch:
        stage = self.stage(step)
        chance = random.Random(f"batch {self.seed} {step}")
        examples = [
            scene_example(
                self.seed * 1_000_000_000 + step * 10_000 + at * 100, self.split, self.sizes,
                seconds=chance.randint(*stage.seconds), things=stage.things, questions=self.questions, drop=self.drop,
                caption=bool(stage.caption_every) and step % stage.caption_every == 0, silent=stage.silent,
                wanted=stage.wanted[(step + at // 2) % len(stage.wanted)] if stage.wanted and at % 2 else "",
                pack=stage.pack,
            )
            for at in self.rows(stage.batch)
        ]  # fmt: skip
        return collate(examples, self.text)


def toybox_tokenizer(vocabulary: int, scenes: int = 3_000) -> Tokenizer:
    """The vocabulary of Toybox: learned from the questions, answers and captions of the first training scenes."""
    texts: list[str] = []
    for seed in range(scenes):
        scene = toybox.make_scene(seed, "train")
        texts.append(scene.caption)
        for question in scene.questions:
            texts += [question.text, question.answer]
    return train_tokenizer(texts, vocabulary)
