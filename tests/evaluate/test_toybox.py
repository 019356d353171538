"""Toybox as a task: rows show what they say, scores count what is right."""

from __future__ import annotations

import torch

from mirasol.data.examples import clip_inputs
from mirasol.data.toybox import toybox_tokenizer
from mirasol.evaluate.toybox import ROWS, Answered, percentages, score_scenes, show
from mirasol.media import toybox
from mirasol.model.inputs import join_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.signals import as_floats
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text

SIZES = PRESETS["tiny"].change(
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner_layers=1, latent_layers=1, combined=3,
    text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24,
)  # fmt: skip


def test_rows_take_away_what_they_say() -> None:
    clips = [toybox.render(toybox.make_scene(seed, "test", seconds=2)) for seed in (1, 2, 3)]
    inputs = join_inputs([clip_inputs(clip, SIZES) for clip in clips])
    there = {row: show(inputs, row) for row in ROWS}
    assert {row: (bool(i.frame_mask.any()), bool(i.column_mask.any())) for row, i in there.items()} == {
        "both": (True, True), "picture": (True, False), "sound": (False, True), "swapped": (True, True),
        "question": (False, False),
    }  # fmt: skip
    assert torch.equal(there["swapped"].input_features[1], inputs.input_features[0])
    assert torch.equal(there["swapped"].pixel_values_videos, inputs.pixel_values_videos)
    assert not as_floats(there["question"].pixel_values_videos).any()


def test_every_question_is_asked_once_in_every_row_and_scored() -> None:
    torch.manual_seed(0)
    text = Text(toybox_tokenizer(SIZES.vocabulary, scenes=50))
    model = Mirasol(SIZES).eval()
    answered = list(score_scenes(model, text, "test", 4, ("both", "question"), batch=3))
    asked = {(seed, q.text) for seed in range(4) for q in toybox.make_scene(seed, "test").questions}
    for row in ("both", "question"):
        assert {(one.seed, one.question) for one in answered if one.row == row} == asked
    assert len(answered) == 2 * sum(len(toybox.make_scene(seed, "test").questions) for seed in range(4))


def test_percentages() -> None:
    def one(type: str, truth: str, answer: str) -> Answered:
        return Answered("both", "test", 0, type, "picture", "?", truth, answer, 1.0)

    scores = percentages([one("seen", "dog", "dog"), one("seen", "dog", "cat"), one("way", "left", "left")])
    assert scores == {"overall": 100 * 2 / 3, "seen": 50.0, "way": 100.0}
