"""The memory of training on paper against what a real step holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers import COMBINERS, random_inputs
from mirasol.model.flops import Work
from mirasol.model.footprint import activation_bytes, held, kept_bytes, storage_bytes
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import IGNORE, Mirasol, target_places
from mirasol.model.recompute import recompute_blocks
from mirasol.model.sizes import PRESETS, REMEMBERING, Sizes
from mirasol.train.config import Optimisation
from mirasol.train.optimizer import Optimizers

BATCH, WORK = 2, Work(snippets=7, texts=3, text_tokens=40, targets=9)


def sizes_of(combiner: str, **changes: object) -> Sizes:
    kind, _, select = combiner.partition(" ")
    memory = 12 if kind in REMEMBERING else 0
    return Sizes(combiner=kind, memory=memory, ttm_select=select or "tokenlearner", vocabulary=300, **changes)  # type: ignore[arg-type]


def kept(sizes: Sizes, *, recompute: bool) -> int:
    """Bytes that a forward on a full batch keeps."""
    inputs = random_inputs(sizes, BATCH, WORK.snippets)
    inputs = Inputs(inputs.pixel_values_videos, None, inputs.input_features)  # all of it is real
    model = Mirasol(sizes).train()
    if recompute:
        recompute_blocks(model)
    ids = torch.randint(sizes.vocabulary, (BATCH * WORK.texts, WORK.text_tokens))
    labels = torch.full_like(ids, IGNORE)
    labels[:, -WORK.targets :] = ids[:, -WORK.targets :]
    places = target_places(labels)
    rows, mask = torch.arange(BATCH).repeat_interleave(WORK.texts), torch.ones_like(ids, dtype=torch.bool)
    return kept_bytes(model, lambda: model(inputs, ids, labels, mask, rows, places=places))


@pytest.mark.parametrize("combiner", COMBINERS)
def test_activations_on_paper_are_within_five_percent(combiner: str) -> None:
    for changes in ({}, {"av_width": 64, "av_mlp": 384, "reconstruct_video": False, "vit_layers": 5}):
        sizes = sizes_of(combiner, **changes)
        paper = sum(activation_bytes(sizes, WORK, batch=BATCH).values())
        assert paper == pytest.approx(kept(sizes, recompute=False), rel=0.05)


# As other people train them, one way after the other: what each of them keeps shows.
PRETRAINED: list[dict[str, Any]] = [
    {"text_head_width": 80, "text_kv_heads": 2, "text_qk_norm": True, "text_qkv_bias": True},
    {"text_layers": 7, "cross_every": 3, "cross_gate": True, "text_mlp": 60},
    {"vit_extra": 30, "vit_layer_scale": True, "vit_pre_norm": True, "vit_layers": 6},
    {"vit_extra": 40, "vit_summary": True, "vit_layers": 6},
    {"vit_activation": "quick_gelu", "vit_layers": 6},
    {"picture_grid": (6, 9), "sound_grid": (4, 5), "patch_stride": (4, 5)},
]


@pytest.mark.parametrize("changes", PRETRAINED, ids=lambda changes: next(iter(changes)))
def test_what_pretrained_parts_do_differently_is_counted(changes: dict[str, Any]) -> None:
    common: dict[str, Any] = {"combiner_layers": 1, "latent_layers": 1, "reconstruct_video": False, "text_layers": 4}
    plain, changed = sizes_of("local", **common), sizes_of("local", **{**common, **changes})
    papers = [sum(activation_bytes(sizes, WORK, batch=BATCH).values()) for sizes in (plain, changed)]
    found = [kept(sizes, recompute=False) for sizes in (plain, changed)]
    assert papers[1] == pytest.approx(found[1], rel=0.05)
    assert papers[1] - papers[0] == pytest.approx(found[1] - found[0], rel=0.1)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_with_recomputation_within_fifteen_percent(combiner: str) -> None:
    sizes = sizes_of(combiner)
    paper = activation_bytes(sizes, WORK, batch=BATCH, recompute=True)
    again = paper.pop("again")
    measured = kept(sizes, recompute=True)
    assert sum(paper.values()) == pytest.approx(measured, rel=0.15)
    assert measured + again < 0.5 * kept(sizes, recompute=False)


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_gradients_and_optimizer_are_exact(tied: bool) -> None:
    sizes = sizes_of("ttm mha", tied=tied)
    model = Mirasol(sizes)
    optimizers = Optimizers(model, Optimisation(steps=3))
    ids = torch.randint(sizes.vocabulary, (2, 5))
    model.train()(random_inputs(sizes, 2, 3), ids, labels=ids).loss.backward()
    gradients = storage_bytes(p.grad for p in model.parameters() if p.grad is not None)
    optimizers.step(0)
    state = storage_bytes(value for name, value in optimizers.state().items() if not name.endswith("|step"))
    expected = {"parameters": storage_bytes(model.parameters()), "gradients": gradients, "optimizer": state}
    assert held(sizes) == expected


def test_memory_grows_in_proportion_to_clips_and_halves_in_bfloat16() -> None:
    one = activation_bytes(PRESETS["3b"], WORK)
    assert activation_bytes(PRESETS["3b"], WORK, batch=6) == {name: 6 * size for name, size in one.items()}
    assert activation_bytes(PRESETS["3b"], WORK, value_bytes=2) == {name: size // 2 for name, size in one.items()}
