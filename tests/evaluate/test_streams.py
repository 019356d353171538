"""Recall: the state decides what is answered, distances are those of the questions, figures add up."""

from __future__ import annotations

import torch

from mirasol.data.toybox import toybox_tokenizer
from mirasol.evaluate.streams import Recalled, blind_recall, recall, recall_figures, watch_rendered
from mirasol.media.toybox.streams import Stream
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner="priority", memory=5, combiner_layers=1, combined=3,
    latent_layers=1, context_snippets=4, clock="now", reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
)  # fmt: skip


def test_every_question_is_asked_of_its_own_stream() -> None:
    torch.manual_seed(3)
    model, text = Mirasol(SIZES).eval(), Text(toybox_tokenizer(SIZES.vocabulary, scenes=20))
    streams = [Stream(seed, "test", 70, visits=3, within=12) for seed in range(3)]
    together = list(recall(model, text, streams, watch_rendered(model)))
    for stream in streams:
        alone = list(recall(model, text, [stream], watch_rendered(model)))
        mine = [one for one in together if one.seed == stream.seed]
        assert [one.truth for one in mine] == [question.answer for question in stream.questions(70)]
        assert [(one.question, one.answer) for one in mine] == [(one.question, one.answer) for one in alone]
        assert min(one.distance for one in mine) >= 70 - 12


def test_figures_and_the_blind_guess() -> None:
    rows = [
        Recalled(64, 0, type, 5, "?", "a", said, 0.5) for type, said in (("first", "a"), ("first", "b"), ("last", "a"))
    ]
    assert recall_figures(rows) == {"overall": 66.7, "first": 50.0, "last": 100.0, "questions": 3}
    blind = blind_recall("test", streams=60, seconds=40, visits=5)
    assert set(blind) == {"overall", "first", "last", "where", "colour", "passed"}
    assert 5 < blind["overall"] < 35
