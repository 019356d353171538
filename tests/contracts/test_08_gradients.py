"""Contract 8, gradients: every parameter learns from a full batch, and takes part in any batch."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from helpers import COMBINERS, pick, random_inputs, random_model, random_sizes
from mirasol.model.inputs import Inputs, join_inputs, without
from mirasol.model.layers import Attention
from mirasol.model.memory import TokenLearner
from mirasol.model.mirasol import Mirasol, Output

BATCH, SNIPPETS = 5, 7
ANY_BATCH = ("both", "picture", "sound", "neither", "text", "one snippet", "no labels", "unmasked")


def step(model: Mirasol, inputs: Inputs, ids: torch.Tensor) -> Output:
    """Forward and backward of one training step; gradients are left on the parameters."""
    model.train().zero_grad(set_to_none=True)
    output = model(inputs, ids, labels=ids)
    output.loss.backward()
    return output


def full_batch(model: Mirasol) -> Inputs:
    """Rows with both, with picture only, with sound only, of other lengths, and with text only."""
    sizes = model.sizes
    inputs = random_inputs(sizes, BATCH, SNIPPETS)
    rows = [pick(inputs, 0), without(pick(inputs, 1), sound=True), without(pick(inputs, 2, 0, 4), picture=True)]
    text = replace(pick(inputs, 4, 0, 1), snippet_mask=torch.zeros(1, 1, dtype=torch.bool))
    return join_inputs([*rows, pick(inputs, 3, 0, 2), text])


def without_effect(model: Mirasol) -> set[str]:
    """Biases that a softmax cancels: the same number is added to all of its scores. Their true gradient is 0.

    Keys of attention without rotary angles, and the last bias of the TokenLearner.
    """
    found = set()
    turned = ("encoder.latent_model.", "decoder.", *(["encoder.combiner."] if model.sizes.combiner == "causal" else []))
    for name, module in model.named_modules():
        crossing = "cross_attention" in name  # looks at the context, without angles
        if isinstance(module, Attention) and (crossing or not name.startswith(turned)):
            found.add(f"{name}.k_proj.bias")
        if isinstance(module, TokenLearner):
            found.add(f"{name}.mlp.down_proj.bias")
    return found


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_full_batch_teaches_every_parameter(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(3):
        sizes = random_sizes(
            chance, combiner, BATCH, SNIPPETS, mask_rate=0.4, context_snippets=4, combiner_snippets=chance.randint(2, 4)
        )
        model = random_model(sizes)
        output = step(model, full_batch(model), torch.randint(37, (BATCH, 6)))
        for name in ("text", "latent", "video", "audio", "spread"):
            assert float(getattr(output, name).detach()) > 0.01, name
        silent = without_effect(model)
        for name, parameter in model.named_parameters():
            gradient = parameter.grad
            assert gradient is not None, name
            assert gradient.isfinite().all(), name
            size = float(gradient.abs().max())
            if name in silent:
                assert size < 1e-4, f"{name} is said to have no effect"
            else:
                assert size > 1e-7, f"{name} learns nothing"
        for name in ("encoder.presence_tokens", "encoder.vit.modality_tokens"):  # every row of them
            gradient = model.get_parameter(name).grad
            assert (gradient.flatten(0, -2).abs().amax(dim=-1) > 1e-7).all(), name


@pytest.mark.parametrize("what", ANY_BATCH)
@pytest.mark.parametrize("combiner", COMBINERS)
def test_every_parameter_takes_part_in_any_batch(combiner: str, what: str, seeds: int) -> None:
    """A gradient that is None stops training on several devices: each must expect the same of the others."""
    chance = random.Random(seeds)
    rate = 0.0 if what == "unmasked" else 0.1
    sizes = random_sizes(chance, combiner, 2, SNIPPETS, mask_rate=rate)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, 1 if what == "one snippet" else SNIPPETS)
    ids = torch.randint(37, (2, 6))
    if what == "picture":
        inputs = replace(inputs, input_features=None, column_mask=None)
    elif what == "sound":
        inputs = replace(inputs, pixel_values_videos=None, frame_mask=None)
    elif what == "neither":
        inputs = without(inputs, picture=True, sound=True)
    elif what == "text":
        inputs = Inputs(snippet_mask=torch.zeros(2, 1, dtype=torch.bool))
    model.train().zero_grad(set_to_none=True)
    output = model(inputs, ids, labels=torch.full_like(ids, -100) if what == "no labels" else ids)
    assert torch.isfinite(output.loss)
    output.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("audio", [False, True])
def test_with_reconstruction_switched_off(video: bool, audio: bool, seeds: int) -> None:
    chance = random.Random(seeds)
    model = random_model(random_sizes(chance, "local", 2, SNIPPETS, reconstruct_video=video, reconstruct_audio=audio))
    output = step(model, random_inputs(model.sizes, 2, SNIPPETS), torch.randint(37, (2, 6)))
    assert (bool(output.video > 0), bool(output.audio > 0)) == (video, audio)
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("combiner", COMBINERS)
def test_the_latent_target_carries_no_gradient(combiner: str, seeds: int) -> None:
    """Else all combined tokens could become the same, which predicts perfectly and says nothing."""
    sizes = random_sizes(random.Random(seeds), combiner, 2, SNIPPETS)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, SNIPPETS).complete(sizes, model.encoder.mask_tokens)
    combined = torch.randn(2, SNIPPETS, sizes.combined, sizes.av_width, requires_grad=True)
    latents = torch.randn_like(combined).requires_grad_()
    latent, _, _ = model.reconstruction.losses(latents, combined, inputs, model.encoder.patches)
    given, wanted = torch.autograd.grad(latent, (latents, combined), allow_unused=True)
    assert wanted is None or not wanted.any()
    assert given[:, :-1].abs().amax() > 0
    assert not given[:, -1].any()  # the last snippet has nothing to predict
    # The target is what comes next: each snippet's combined tokens decide the loss, but those of the first.
    for at in range(SNIPPETS):
        other = combined.detach().clone()
        other[:, at] = torch.randn_like(other[:, at])
        changed, _, _ = model.reconstruction.losses(latents, other, inputs, model.encoder.patches)
        assert (float(changed.detach()) == float(latent.detach())) == (at == 0)


def test_gradient_goes_back_through_time(seeds: int) -> None:
    """The memory of the Token Turing Machine learns from what is asked many snippets later; `detach` cuts that."""
    sizes = random_sizes(random.Random(seeds), "ttm tokenlearner", 2, SNIPPETS)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, SNIPPETS, missing=0.0)
    inputs.pixel_values_videos.requires_grad_()
    for cut in (False, True):
        _, _, state = model.encoder(inputs.snippets(0, 2))
        _, combined, _ = model.encoder(inputs.snippets(2, SNIPPETS), state.detach() if cut else state)
        (gradient,) = torch.autograd.grad(combined.square().sum(), inputs.pixel_values_videos)
        assert bool(gradient[:, :2].any()) == (not cut)
        assert gradient[:, 2:].any()
