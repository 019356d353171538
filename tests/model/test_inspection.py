"""The numbers of `mirasol inspect` equal those of real models and real states."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import COMBINERS, random_sizes
from mirasol.model.inputs import Inputs
from mirasol.model.inspection import full_state, inspect
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.state import MirasolState, tensors


@torch.no_grad()
def long_stream(model: Mirasol, batch: int, calls: int) -> MirasolState:
    """The state after `calls` calls of two snippets each."""
    sizes, state = model.sizes, None
    real = torch.ones(batch, 2, dtype=torch.bool)
    for _ in range(calls):
        _, _, state = model.encoder(Inputs(snippet_mask=real).complete(sizes, model.encoder.mask_tokens), state)
    return state


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("number", range(2))
def test_state_bytes_equal_those_of_a_long_stream(combiner: str, number: int) -> None:
    sizes = random_sizes(random.Random(f"{combiner} {number}"), combiner)
    state = long_stream(Mirasol(sizes).eval(), 2, 5)
    counted = full_state(sizes, batch=2)
    assert [tuple(t.shape) for t in tensors(counted)] == [tuple(t.shape) for t in tensors(state)]
    assert [t.dtype for t in tensors(counted)] == [t.dtype for t in tensors(state)]
    assert counted.bytes() == state.bytes()


def test_state_bytes_of_tiny() -> None:
    sizes = PRESETS["tiny"]
    calls = sizes.context_snippets // 2 + 2
    assert inspect(sizes)["state_bytes"] == long_stream(Mirasol(sizes).eval(), 1, calls).bytes()


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_once(tied: bool) -> None:
    sizes = random_sizes(random.Random(tied), "ttm mha", tied=tied)
    numbers, model = inspect(sizes), Mirasol(sizes)
    assert numbers["total"] == count_parameters(model) == sum(numbers["components"].values())
    assert numbers["total"] == numbers["audio_video"] + numbers["text"]
    assert (numbers["components"]["lm_head"] == 0) == tied
    assert numbers["components"]["vit"] == count_parameters(model.encoder.vit)
    assert numbers["components"]["decoder"] + numbers["components"]["embedding"] == count_parameters(model.decoder)


def test_the_large_preset_is_what_its_name_says() -> None:
    numbers = inspect(PRESETS["3b"])
    assert abs(numbers["total"] / 3e9 - 1) <= 0.05
    assert 0.45 <= numbers["audio_video_share"] <= 0.55
    assert numbers["tokens_per_snippet"]["tubes"] == PRESETS["3b"].tube_tokens


def test_sizes_from_a_folder_say_what_is_wrong(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"config\.json"):
        Sizes.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="sizes"):
        Sizes.load(tmp_path)
