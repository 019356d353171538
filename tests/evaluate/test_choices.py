"""The likelihood of options: token by token with the plain model, and what a batch changes: nothing."""

from __future__ import annotations

import pytest
import torch

from helpers import looked_at
from mirasol.data.toybox import toybox_tokenizer
from mirasol.evaluate.choices import best, by_rule, option_scores
from mirasol.inference.engine import Engine
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text


@torch.no_grad()
def test_scores_are_sums_of_token_log_probabilities(seeds: int) -> None:
    text = Text(toybox_tokenizer(400, scenes=20))
    sizes = PRESETS["tiny"]
    model = Mirasol(sizes).eval()
    context = torch.randn(3, 11, sizes.av_width)
    mask = torch.rand(3, 11) < 0.7
    mask[:, 0] = True
    asked = [
        (2, "what do you hear?", ["a dog", "a very loud bell, and then nothing", "x"]),
        (0, None, ["red", "blue"]),
        (2, "how many things are there in the whole room?", ["two"]),
    ]
    found = option_scores(Engine(model, text), looked_at(model, context, mask), asked)
    for (row, question, options), scores in zip(asked, found, strict=True):
        for option, (value, count) in zip(options, scores, strict=True):
            ids, expected = text.prompt(question), 0.0
            for target in text.target(option):
                hidden, _ = model.decoder(torch.tensor([ids]), context[row : row + 1], mask[row : row + 1])
                expected += float(model.lm_head(hidden[:, -1]).log_softmax(dim=-1)[0, target])
                ids = [*ids, target]
            assert value == pytest.approx(expected, abs=1e-3)
            assert count == len(text.target(option))


def test_rules() -> None:
    scores = [(-2.0, 1), (-3.0, 3), (-2.0, 1)]
    assert best(by_rule(scores, "sum")) == 0
    assert best(by_rule(scores, "mean")) == 1
    with pytest.raises(ValueError, match="mean or sum"):
        by_rule(scores, "letters")
