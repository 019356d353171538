"""Toybox scenes of one thing, with questions of some types only: the smallest world with picture and sound."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mirasol.media import toybox
from mirasol.model.inputs import Inputs
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

from .examples import Batch, Example, clip_inputs, collate
from .stepped import SteppedBatches


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


def scene_inputs(scene: toybox.Scene, sizes: Sizes) -> Inputs:
    """A scene, rendered, as inputs (1, S, ...)."""
    return clip_inputs(toybox.render(scene, sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate), sizes)


class SingleSceneBatches(SteppedBatches):
    """Batches of `clips` scenes of the training split, with all their questions, for the steps [first, last)."""

    def __init__(
        self, scenes: SingleScenes, sizes: Sizes, text: Text, first: int, last: int, *, clips: int = 8, seed: int = 0
    ) -> None:
        self.scenes, self.sizes, self.text = scenes, sizes, text
        self.first, self.last, self.clips, self.seed = first, last, clips, seed

    def batch(self, step: int) -> Batch:
        return collate([self._example(step, row) for row in self.rows(self.clips)], self.text)

    def _example(self, step: int, row: int) -> Example:
        seed = random.Random(f"ablation {self.seed} {step} {row}").randrange(2**40)
        scene = self.scenes.scene(seed, "train")
        pairs: Sequence[tuple[str, str]] = [(one.text, one.answer) for one in self.scenes.questions(scene)]
        return Example(scene_inputs(scene, self.sizes), tuple(pairs), scene.seed)
