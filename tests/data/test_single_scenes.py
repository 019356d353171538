"""Scenes of one thing: what they hold, and that every batch can be made by itself."""

from __future__ import annotations

import torch

from mirasol.data.single_scenes import SingleSceneBatches, SingleScenes
from mirasol.data.toybox import toybox_tokenizer
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

SIZES = Sizes(
    height=24, width=36, mels=16, hop=800, window=1_000, patch=(8, 5), tubes=(((2, 6, 6), (2, 6, 6), (0, 0, 0)),),
    reconstruct_scale=2,
)  # fmt: skip
SCENES = SingleScenes(3, ("heard", "way"))


def test_scenes_hold_one_thing_and_what_is_asked() -> None:
    for split in ("train", "test"):
        scenes = [SCENES.scene(seed, split) for seed in range(0, 2_000, 100)]
        assert {len(scene.things) for scene in scenes} == {1}
        assert {scene.seconds for scene in scenes} == {3}
        types = [{question.type for question in SCENES.questions(scene)} for scene in scenes]
        assert all(types)
        assert set.union(*types) == {"heard", "way"}


def test_a_batch_depends_on_its_step_and_seed_alone() -> None:
    text = Text(toybox_tokenizer(400, scenes=20))

    def made(seed: int, first: int) -> torch.Tensor:
        batches = SingleSceneBatches(SCENES, SIZES, text, first, 9, clips=2, seed=seed)
        pixels = batches.batch(7).inputs.pixel_values_videos
        assert pixels.shape == (2, 3, 4, 3, 24, 36)
        return pixels

    assert torch.equal(made(1, 0), made(1, 7))
    assert not torch.equal(made(1, 0), made(2, 0))


def test_silent_steps_have_no_sound_and_ask_of_the_picture() -> None:
    text = Text(toybox_tokenizer(400, scenes=20))
    batches = SingleSceneBatches(SCENES, SIZES, text, 0, 9, clips=5, silent=3, seed=1)
    loud = SingleSceneBatches(SCENES, SIZES, text, 0, 9, clips=5, seed=1)
    for step in range(5):
        heard = batches.batch(step).inputs.column_mask
        asked = text.decode(batches.batch(step).ids.flatten().tolist())
        if step < 3:
            assert heard is None or not heard.any()
            assert "hear" not in asked
        else:
            assert heard.any()
            assert torch.equal(batches.batch(step).ids, loud.batch(step).ids)
    assert any("hear" in text.decode(loud.batch(step).ids.flatten().tolist()) for step in range(3))
