"""`sizes`: exact divisions, plain values, and what the presets promise (counted without allocating weights)."""

from __future__ import annotations

import json
import random

import pytest
import torch

from helpers import COMBINERS, random_inputs, random_model, random_sizes
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.sizes import PRESETS, Sizes, exact


def empty_model(sizes: Sizes) -> Mirasol:
    with torch.device("meta"):
        return Mirasol(sizes)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_without_weights(name: str) -> None:
    sizes = PRESETS[name]
    model = empty_model(sizes)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert not list(model.buffers())  # nothing that a load could leave unfilled
    assert sizes.tokens_per_snippet()["vit"] == sizes.tube_tokens + sizes.patch_tokens
    assert Sizes.from_dict(json.loads(json.dumps(sizes.to_dict()))) == sizes


def test_3b_is_three_billion_in_two_halves() -> None:
    model = empty_model(PRESETS["3b"])
    audio_video = sum(count_parameters(part) for part in (model.encoder, model.reconstruction))
    text = count_parameters(torch.nn.ModuleList([model.decoder, model.lm_head]))
    total = count_parameters(model)
    assert audio_video + text == total
    assert 2.85e9 <= total <= 3.15e9
    assert 0.45 <= audio_video / total <= 0.55


@pytest.mark.parametrize("combiner", COMBINERS)
def test_numbers_that_are_derived_are_those_of_the_model(combiner: str, seeds: int) -> None:
    """Tokens at each stage, and the context of a state that is full."""
    sizes = random_sizes(random.Random(seeds), combiner, 2, 7)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, 7)
    with torch.no_grad():
        tokens, _ = model.encoder.tokenize(inputs)
        latents, combined, state = model.encoder(inputs)
        _, _, state = model.encoder(inputs, state)  # by now no memory has an empty slot
        context, mask = model.encoder.context(state)
    counts = sizes.tokens_per_snippet()
    assert tokens.shape[2] == counts["vit"] + 2  # and the two that say what is present
    assert combined.shape[2] == counts["combined"]
    assert latents.shape[2] == counts["latents"]
    assert context.shape[1] == sizes.context_tokens
    assert mask.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"combiner": "global"}, "combiner must be one of local, causal, ttm, local-ttm, priority; found 'global'"),
        ({"memory": 5}, "memory tokens go with the combiners ttm, local-ttm, priority"),
        ({"combiner": "ttm"}, "memory tokens go with the combiners ttm, local-ttm, priority"),
        ({"av_heads": 3}, "width of an audio-video head must be a whole number"),
        ({"text_kv_heads": 3}, "text heads per key-value head must be a whole number"),
        ({"hop": 333}, "spectrogram columns per snippet must be a whole number"),
        ({"frame_rate": 7.0}, "samples per snippet must be a whole number"),
        ({"patch": (16, 15)}, "patches along time must be a whole number"),
        ({"height": 50}, "target patches along height must be a whole number"),
        ({"combiner_cells": (3, 3)}, "rows and columns of at most combined=8 cells, .*found \\[3, 3\\]"),
        ({"combiner_cells": (2, 2), "combiner": "ttm", "memory": 5}, "empty for combiner='ttm'"),
        ({"tubes": (((5, 8, 8), (1, 8, 8), (0, 0, 0)),)}, "gives no token on 4x48x72; make it smaller"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sizes().change(**change)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown sizes depth"):
        Sizes.from_dict({"depth": 3})


def test_exact() -> None:
    assert exact(4 * 16_000, 4.0, "x") == 16_000
    for numerator, denominator in ((7, 2), (0, 3), (1, 3)):
        with pytest.raises(ValueError, match="must be a whole number"):
            exact(numerator, denominator, "x")
