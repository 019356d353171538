"""The operations counted from the sizes equal those that PyTorch counts while a model runs."""

from __future__ import annotations

import random

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from helpers import COMBINERS, random_inputs, random_model, random_sizes
from mirasol.model.flops import (
    COMPONENTS,
    Work,
    forward_flops,
    optimizer_flops,
    position_flops,
    training_flops,
)
from mirasol.model.inspection import inspect
from mirasol.model.mirasol import IGNORE, target_places
from mirasol.model.recompute import recompute_blocks
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.train.config import Optimisation
from mirasol.train.optimizer import Optimizers

BATCH, SNIPPETS, TEXTS, LENGTH, TARGETS = 2, 7, 3, 11, 6
WORK = Work(SNIPPETS, TEXTS, LENGTH, TARGETS)
# part of the model -> what of the count it is; attention by queries and their keys is in the same part
PARTS = {
    "encoder.tubes": ("tubes",),
    "encoder.patches": ("patches",),
    "encoder.vit": ("vit",),
    "encoder.latent_model": ("latents",),
    "decoder": ("decoder_self", "decoder_cross", "decoder_mlp"),
    "lm_head": ("output",),
}


def counted(sizes: Sizes, *, recompute: bool = False) -> tuple[FlopCounterMode, int]:
    """PyTorch's count of one forward, by part, and of forward and backward together. The plain form of attention is
    made of products that it can see; the fused one of a CPU is not."""
    model = random_model(sizes).train()
    if recompute:
        recompute_blocks(model)
    ids = torch.randint(sizes.vocabulary, (BATCH * TEXTS, LENGTH))
    labels = torch.full_like(ids, IGNORE)
    labels[:, LENGTH - TARGETS :] = ids[:, LENGTH - TARGETS :]
    rows, inputs = torch.arange(BATCH).repeat_interleave(TEXTS), random_inputs(sizes, BATCH, SNIPPETS)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        loss = model(inputs, ids, labels, rows=rows, places=target_places(labels)).loss
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as backward:
        loss.backward()
    return forward, forward.get_total_flops() + backward.get_total_flops()


# A text decoder and a ViT as other people train them, each in its own way.
PRETRAINED = {
    "text_layers": 5, "cross_every": 2, "cross_gate": True, "text_head_width": 8, "text_qk_norm": True,
    "text_qkv_bias": True, "vit_extra": 3, "vit_summary": True, "vit_layer_scale": True, "vit_pre_norm": True,
    "picture_grid": (5, 7), "sound_grid": (3, 4), "vit_activation": "quick_gelu",
}  # fmt: skip


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("combiner", COMBINERS)
def test_what_pytorch_counts(combiner: str, number: int) -> None:
    chance = random.Random(f"{combiner} {number}")
    changes = {"reconstruct_layers": chance.randint(1, 3), "vit_layers": 2, "combiner_layers": chance.randint(1, 3)}
    if number:
        changes |= {"reconstruct_video": False, "latent_snippets": 2}
    if number == 2:
        changes |= PRETRAINED
    sizes = random_sizes(chance, combiner, BATCH, SNIPPETS, **changes)
    once = position_flops(sizes)
    assert (once > 0) == (number == 2)
    forward, training = forward_flops(sizes, WORK), training_flops(sizes, WORK)
    assert tuple(forward) == tuple(training) == COMPONENTS
    found, both = counted(sizes)
    assert found.get_total_flops() == BATCH * sum(forward.values()) + once
    assert both == BATCH * sum(training.values()) + 2 * once
    for part, names in PARTS.items():
        assert sum(found.get_flop_counts()[f"Mirasol.{part}"].values()) == BATCH * sum(
            forward[n] for n in names
        ) + once * (part == "encoder.tubes"), part


@pytest.mark.parametrize("combiner", COMBINERS)
def test_recomputation_costs_at_most_a_forward(combiner: str) -> None:
    sizes = random_sizes(random.Random(combiner), combiner, BATCH, SNIPPETS, vit_layers=3)
    _, both = counted(sizes, recompute=True)
    once, twice = (sum(training_flops(sizes, WORK, recompute=again).values()) for again in (False, True))
    assert BATCH * once < both <= BATCH * twice


def test_the_optimizer_counts_too() -> None:
    sizes = random_sizes(random.Random(4), "ttm mha", BATCH, SNIPPETS, tied=False)
    model = random_model(sizes).train()
    optimizers = Optimizers(model, Optimisation(steps=3))
    ids = torch.randint(sizes.vocabulary, (BATCH, LENGTH))
    model(random_inputs(sizes, BATCH, SNIPPETS), ids, ids).loss.backward()
    with FlopCounterMode(display=False) as counter:
        optimizers.step(0)
    assert counter.get_total_flops() == optimizer_flops(sizes)


def test_cost_is_linear_where_snippets_stand_alone_and_not_where_they_look_back() -> None:
    for name, preset in PRESETS.items():
        # Sixteen times the frames; the ViT sees one snippet at a time, the latent model all of them.
        few, many = (forward_flops(preset, Work(snippets)) for snippets in (4, 64))
        for part in ("tubes", "vit", "reconstruction"):
            assert many[part] == 16 * few[part], name
        assert many["latents"] > 16 * few["latents"], name
        linear = many["combiner"] == 16 * few["combiner"]
        assert linear == (preset.combiner != "causal"), name


def test_inspection_shows_them() -> None:
    numbers = inspect(PRESETS["small"], Work(3, 2, 10, 4))
    assert numbers["forward_flops"] == forward_flops(PRESETS["small"], Work(3, 2, 10, 4))
    assert numbers["training_bytes"]["activations"] > 3 * numbers["training_bytes"]["activations_recomputing"] > 0
    assert numbers["optimizer_flops"] == optimizer_flops(PRESETS["small"])
    assert numbers["work"] == {"snippets": 3, "texts": 2, "text_tokens": 10, "targets": 4}


def test_work_without_a_snippet_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one snippet"):
        Work(0)
