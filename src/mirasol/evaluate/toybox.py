"""Toybox as a task: exact match of generated answers by question type, with and without picture and sound.

Rows: `both`, `picture` (sound removed), `sound` (picture removed), `swapped` (picture with another clip's sound),
`question` (neither). Scenes are those of a split from number 0 on, the same for everyone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mirasol.data.examples import clip_inputs
from mirasol.inference.engine import Engine, Request
from mirasol.media import toybox
from mirasol.model.inputs import Inputs, join_inputs, without
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text

ROWS = ("both", "picture", "sound", "swapped", "question")


@dataclass(frozen=True)
class Answered:
    """One question of one scene, with what the model said. `row` is how the scene was shown."""

    row: str
    split: str
    seed: int
    type: str
    needs: str
    question: str
    truth: str
    answer: str
    confidence: float

    @property
    def right(self) -> bool:
        return self.answer == self.truth


def show(inputs: Inputs, row: str) -> Inputs:
    """A batch of scenes as one row of the table shows it; `swapped` gives each clip the sound of the next one."""
    if row == "swapped":
        assert inputs.input_features is not None
        assert inputs.column_mask is not None
        return replace(
            inputs,
            input_features=inputs.input_features.roll(1, dims=0),
            column_mask=inputs.column_mask.roll(1, dims=0),
        )
    return without(inputs, picture=row in ("sound", "question"), sound=row in ("picture", "question"))


@torch.no_grad()
def answer_batch(
    model: Mirasol, text: Text, inputs: Inputs, questions: Sequence[tuple[int, str | None]]
) -> list[tuple[str, float]]:
    """Greedy answers, with their probability, to (clip of the batch, question or None for a caption) pairs; clips are
    encoded once."""
    _, _, state = model.encoder(inputs)
    engine = Engine(model, text)
    requests = [Request(clip, text.prompt(question)) for clip, question in questions]
    said = engine.answer(engine.look(state, inputs.snippet_mask.shape[1]), requests)  # type: ignore[union-attr]
    return [(one.text, one.confidence) for one in said]


def score_scenes(
    model: Mirasol,
    text: Text,
    split: str,
    scenes: int,
    rows: Sequence[str] = ROWS,
    *,
    batch: int = 32,
    first: int = 0,
    seconds: int | None = None,
    pack: toybox.AssetPack | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Answered]:
    """Asks every question of the scenes [first, first + scenes) of a split, once for each row. `seconds`: the length of
    all of them. `pack`: its pictures and sounds take the place of the drawn things."""
    world = pack.world if pack else None
    made = [toybox.make_scene(seed, split, seconds=seconds, world=world) for seed in range(first, first + scenes)]
    return score_these(model, text, made, rows, batch=batch, pack=pack, progress=progress)


def score_these(
    model: Mirasol,
    text: Text,
    scenes: Sequence[toybox.Scene],
    rows: Sequence[str] = ROWS,
    *,
    types: Sequence[str] = toybox.QUESTION_TYPES,
    batch: int = 32,
    pack: toybox.AssetPack | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Answered]:
    """Asks the questions of these types of any scenes, once for each row. Scenes of one length share a batch, so that
    `swapped` swaps sound of the same length."""
    sizes = model.sizes
    by_length: dict[int, list[toybox.Scene]] = defaultdict(list)
    for scene in scenes:
        by_length[scene.seconds].append(scene)
    for alike in by_length.values():
        for at in range(0, len(alike), batch):
            group = alike[at : at + batch]
            clips = [
                toybox.render(scene, sizes.height, sizes.width, sizes.frame_rate, sizes.sample_rate, pack=pack)
                for scene in group
            ]
            inputs = join_inputs([clip_inputs(clip, sizes) for clip in clips])
            asked = [(clip, q) for clip, scene in enumerate(group) for q in scene.questions if q.type in types]
            for row in rows if asked else ():
                answers = answer_batch(model, text, show(inputs, row), [(clip, q.text) for clip, q in asked])
                for (clip, q), (answer, sure) in zip(asked, answers, strict=True):
                    scene = group[clip]
                    yield Answered(row, scene.split, scene.seed, q.type, q.needs, q.text, q.answer, answer, sure)
            progress(len(group))


def percentages(answered: Sequence[Answered]) -> dict[str, float]:
    """Percent right by question type, and `overall` over all questions."""
    right: dict[str, list[bool]] = defaultdict(list)
    for one in answered:
        right[one.type].append(one.right)
        right["overall"].append(one.right)
    return {name: 100 * sum(values) / len(values) for name, values in sorted(right.items())}
