"""Recomputation changes memory alone: the same losses and gradients, bit for bit, under the same names."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from helpers import COMBINERS, random_inputs, random_model, random_sizes
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.footprint import kept_bytes
from mirasol.model.inputs import Inputs
from mirasol.model.layers import Block
from mirasol.model.mirasol import Mirasol
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.model.recompute import recompute_blocks

SNIPPETS = 7


def learnt(model: Mirasol, inputs: Inputs, ids: Tensor) -> dict[str, Tensor]:
    """Losses and gradients of a step; masking falls the same way each time."""
    torch.manual_seed(3)
    model.train().zero_grad(set_to_none=True)
    output = model(inputs, ids, labels=ids)
    output.loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    return found | {name: getattr(output, name).detach() for name in ("loss", "text", "latent", "video", "audio")}


def kept(model: Mirasol, inputs: Inputs, ids: Tensor) -> int:
    """Bytes that a forward keeps for its backward."""
    torch.manual_seed(3)
    return kept_bytes(model, lambda: model.train()(inputs, ids, labels=ids))


@pytest.mark.parametrize("combiner", COMBINERS)
def test_losses_and_gradients_are_the_same_bits(combiner: str, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, 2, SNIPPETS, vit_layers=3, reconstruct_layers=2, mask_rate=0.4)
    model, inputs = random_model(sizes), random_inputs(sizes, 2, SNIPPETS)
    ids = torch.randint(sizes.vocabulary, (2, 6))
    names, plain, size = list(model.state_dict()), learnt(model, inputs, ids), kept(model, inputs, ids)
    blocks = sum(isinstance(module, Block) for module in model.modules())
    assert recompute_blocks(model) == blocks
    assert list(model.state_dict()) == names
    again = learnt(model, inputs, ids)
    assert all(torch.equal(value, again[name]) for name, value in plain.items())
    assert kept(model, inputs, ids) < 0.7 * size
    other = copy.deepcopy(model)  # and a copy has blocks of its own
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    again = learnt(other, inputs, ids)
    assert all(torch.equal(value, again[name]) for name, value in plain.items())
    assert recompute_blocks(other, False) == 0
    assert kept(other, inputs, ids) == size


def test_every_other_block_and_no_block() -> None:
    model = random_model(random_sizes(random.Random(1), "local", vit_layers=5))
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    assert recompute_blocks(model, every=2) == (len(blocks) + 1) // 2
    assert [getattr(block, "gradient_checkpointing", False) for block in blocks[:3]] == [True, False, True]
    with pytest.raises(ValueError, match="before sharding"):
        recompute_blocks(model.lm_head)


def test_state_carried_between_calls_still_learns(seeds: int) -> None:
    """Through time: the gradient of a second call reaches what the first one made."""
    sizes = random_sizes(random.Random(seeds), "causal", 2, 4, combiner_snippets=3, context_snippets=4)
    model, inputs, found = random_model(sizes).train(), random_inputs(sizes, 2, 4), []
    for on in (False, True):
        recompute_blocks(model, on)
        torch.manual_seed(5)
        model.zero_grad()
        _, _, state = model.encoder(inputs.snippets(0, 2))
        latents, _, _ = model.encoder(inputs.snippets(2, 4), state)
        latents.square().sum().backward()
        found.append([p.grad.clone() for p in model.encoder.parameters() if p.grad is not None])
    assert len(found[0]) > 10
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore:.*will be removed in v6:FutureWarning")
def test_the_skin_honours_gradient_checkpointing_enable(seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), "ttm mha", 2, SNIPPETS)
    torch.manual_seed(1)
    model = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict())).train()
    ids = torch.randint(sizes.vocabulary, (2, 6))
    batch = {**vars(random_inputs(sizes, 2, SNIPPETS)), "decoder_input_ids": ids, "labels": ids}
    found = []
    for switch in (None, model.gradient_checkpointing_enable, model.gradient_checkpointing_disable):
        if switch is not None:
            switch()
        torch.manual_seed(2)
        model.zero_grad()
        model(**batch).loss.backward()
        found.append(([p.grad.clone() for p in model.parameters()], model.is_gradient_checkpointing))
    assert [on for _, on in found] == [False, True, False]
    for other in found[1:]:
        assert all(torch.equal(one, again) for one, again in zip(found[0][0], other[0], strict=True))
    # A cache of transformers changes in place: in training too it is filled once.
    model.gradient_checkpointing_enable()
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    del batch["labels"]
    model(**batch, past_key_values=cache).logits.sum().backward()
    assert cache.self_attention_cache.get_seq_length() == 6
