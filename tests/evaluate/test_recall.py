"""Recall: the state decides what is answered, distances are those of the questions, figures add up."""

from __future__ import annotations

import pytest
import torch

from helpers import REMEMBERING_SIZES
from mirasol.data.toybox import toybox_tokenizer
from mirasol.evaluate.streams import Recalled, blind_recall, recall, recall_figures, rendered
from mirasol.media.toybox.streams import Stream
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text


def test_every_question_is_asked_of_its_own_stream() -> None:
    torch.manual_seed(3)
    model, text = Mirasol(REMEMBERING_SIZES).eval(), Text(toybox_tokenizer(REMEMBERING_SIZES.vocabulary, scenes=20))
    streams = [Stream(seed, "test", 70, visits=3, within=12) for seed in range(3)]
    together = list(recall(model, text, streams, rendered(model)))
    for stream in streams:
        alone = list(recall(model, text, [stream], rendered(model)))
        mine = [one for one in together if one.seed == stream.seed]
        assert [one.truth for one in mine] == [question.answer for question in stream.questions(70)]
        assert [(one.question, one.answer) for one in mine] == [(one.question, one.answer) for one in alone]
        assert [one.confidence for one in mine] == pytest.approx([one.confidence for one in alone], rel=1e-3)
        assert len({one.confidence for one in together}) > len(mine)
        assert min(one.distance for one in mine) >= 70 - 12


def test_figures_and_the_blind_guess() -> None:
    rows = [
        Recalled(64, 0, type, 5, "?", "a", said, 0.5) for type, said in (("first", "a"), ("first", "b"), ("last", "a"))
    ]
    assert recall_figures(rows) == {"overall": 66.7, "first": 50.0, "last": 100.0, "questions": 3}
    blind = blind_recall("test", streams=60, seconds=40, visits=5)
    assert set(blind) == {"overall", "first", "last", "where", "colour", "passed"}
    assert 5 < blind["overall"] < 35
