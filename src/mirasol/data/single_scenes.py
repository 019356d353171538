"""Toybox scenes of one thing, with questions of some types only: the smallest world with picture and sound."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from mirasol.media import toybox
from mirasol.model.inputs import Inputs
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

from .examples import Batch, Example, clip_inputs, collate
from .stepped import SteppedBatches

SEEN = ("seen", "colour", "where", "way")  # types of questions that pictures answer


@dataclass(frozen=True)
class SingleScenes:
    """Which scenes: so many seconds long, with one thing and at least one question of `types`."""

    seconds: int
    types: tuple[str, ...]

    def scene(self, seed: int, split: str) -> toybox.Scene:
        """The first such scene from `seed` on."""
        while True:
            scene = toybox.make_scene(seed, split, seconds=self.seconds)
            if len(scene.things) == 1 and self.questions(scene):
                return scene
            seed += 1

    def questions(self, scene: toybox.Scene) -> tuple[toybox.Question, ...]:
        return tuple(question for question in scene.questions if question.type in self.types)


def scene_inputs(scene: toybox.Scene, sizes: Sizes, *, sound: bool = True) -> Inputs:
    """A scene, rendered, as inputs (1, S, ...)."""
    clip = toybox.render(scene, sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate)
    return clip_inputs(clip, sizes, sound=sound)


class SingleSceneBatches(SteppedBatches):
    """Batches of `clips` scenes of the training split, with all their questions, for the steps [first, last).

    The first `silent` steps are without sound, and ask of what is seen: with sound from the start a model hears soon
    and learns to see late.
    """

    def __init__(
        self, scenes: SingleScenes, sizes: Sizes, text: Text, first: int, last: int, *, clips: int = 8,
        silent: int = 0, seed: int = 0,
    ) -> None:  # fmt: skip
        self.scenes, self.sizes, self.text = scenes, sizes, text
        self.first, self.last, self.clips, self.silent, self.seed = first, last, clips, silent, seed
        self.seen = replace(scenes, types=tuple(type for type in scenes.types if type in SEEN))

    def batch(self, step: int) -> Batch:
        return collate([self._example(step, row) for row in self.rows(self.clips)], self.text)

    def _example(self, step: int, row: int) -> Example:
        seed = random.Random(f"ablation {self.seed} {step} {row}").randrange(2**40)
        scenes = self.seen if step < self.silent else self.scenes
        scene = scenes.scene(seed, "train")
        pairs = tuple((one.text, one.answer) for one in scenes.questions(scene))
        return Example(scene_inputs(scene, self.sizes, sound=step >= self.silent), pairs, scene.seed)
