"""Adapters by component: what learns, what is saved, and what is left when they are merged."""

from __future__ import annotations

import json
import random
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from helpers import COMBINERS, difference, random_inputs, random_model, random_sizes
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.train.lora import LoraHow, add_lora, freeze, merge_lora, save_adapter

SNIPPETS, RANK = 7, 3
TARGETS = {
    ("decoder",): 2 * 11,  # layers of the text decoder: 4 + 4 + 3 in each of two blocks
    ("decoder.cross_attention", "encoder.vit"): 2 * 4 + 6,
    ("encoder.latent_model.mlp", "reconstruction.video"): 2 * 2 + 1,
}


def example(combiner: str, seed: int) -> tuple[Mirasol, Inputs, Tensor]:
    sizes = random_sizes(random.Random(seed), combiner, 2, SNIPPETS, tied=seed % 2 == 0)
    return random_model(sizes), random_inputs(sizes, 2, SNIPPETS), torch.randint(sizes.vocabulary, (2, 6))


def teach(model: Mirasol, inputs: Inputs, ids: Tensor, steps: int = 4) -> list[float]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    losses = []
    model.train()
    for _ in range(steps):
        torch.manual_seed(1)
        loss = model(inputs, ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses


@pytest.mark.parametrize("targets", TARGETS, ids=" ".join)
def test_the_adapters_learn_and_nothing_else(targets: tuple[str, ...], seeds: int) -> None:
    model, inputs, ids = example("causal", seeds)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        untouched = model(inputs, ids).logits
    learning = add_lora(model, LoraHow(RANK, 6.0, targets))
    assert len(learning) == 2 * TARGETS[targets]
    assert all("lora_" in name for name in learning)
    with torch.no_grad():
        assert torch.equal(model(inputs, ids).logits, untouched)  # one factor begins as nought
    losses = teach(model, inputs, ids)
    assert losses[-1] < losses[0]
    after = {name.replace(".base_layer", ""): value for name, value in model.state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = [name for name in learning if "lora_B" in name and model.get_parameter(name).any()]
    assert len(moved) == TARGETS[targets]


@pytest.mark.parametrize("combiner", COMBINERS[1:])
def test_merging_gives_back_a_plain_model(combiner: str, seeds: int) -> None:
    model, inputs, ids = example(combiner, seeds)
    names, kinds = list(model.state_dict()), [type(module) for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    add_lora(model, LoraHow(RANK, 2.0, ("decoder.mlp", "encoder.combiner")))
    teach(model, inputs, ids)
    with torch.no_grad():
        adapted = model(inputs, ids).logits
    assert merge_lora(model) is model
    assert list(model.state_dict()) == names
    assert [type(module) for module in model.modules()] == kinds
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        assert difference(model(inputs, ids).logits, adapted) < 1e-5
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("combiner" in name or ".mlp." in name for name in changed)
    with pytest.raises(ValueError, match="found none in it"):
        merge_lora(model)
    add_lora(model, LoraHow(RANK))  # and it can be adapted again


@pytest.mark.parametrize("combiner", COMBINERS[:3])
def test_peft_loads_what_was_saved_into_the_skin(combiner: str, tmp_path: Path, seeds: int) -> None:
    model, inputs, ids = example(combiner, seeds)
    skin = MirasolForConditionalGeneration(MirasolConfig(sizes=model.sizes.to_dict())).eval()
    skin.load_state_dict(model.state_dict())
    learning = add_lora(model, LoraHow(RANK, 5.0, ("decoder", "encoder.vit")))
    teach(model, inputs, ids)
    save_adapter(model, tmp_path / "adapter")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir() if path.suffix != ".md") == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    assert len(load_file(tmp_path / "adapter" / "adapter_model.safetensors")) == len(learning)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["peft_type"], config["inference_mode"]) == (RANK, "LORA", True)
    wrapped = peft.PeftModel.from_pretrained(skin, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        expected = model(inputs, ids).logits
        found = wrapped(**vars(inputs), decoder_input_ids=ids, use_cache=False).logits
    assert difference(found, expected) < 1e-6
    assert difference(wrapped.merge_and_unload()(**vars(inputs), decoder_input_ids=ids).logits, expected) < 1e-4


def test_what_is_not_there_is_named(seeds: int) -> None:
    model, _, _ = example("local", 0)  # with a tied output layer
    for call in (
        lambda: add_lora(model, LoraHow(targets=("decoder", "vit"))),
        lambda: freeze(model, ("decoder", "vit")),
    ):
        with pytest.raises(ValueError, match=r"'vit'.*decoder\.cross_attention.*encoder\.vit"):
            call()
    assert all(parameter.requires_grad for parameter in model.parameters())  # refused before anything was done
    with pytest.raises(ValueError, match="no component 'lm_head'"):
        add_lora(model, LoraHow(targets=("lm_head",)))
    with pytest.raises(ValueError, match="no component 'decod'"):
        add_lora(model, LoraHow(targets=("decod",)))
    with pytest.raises(ValueError, match="add_lora"):
        save_adapter(model, "nowhere")
    with pytest.raises(ValueError, match="rank"):
        LoraHow(rank=0)
    add_lora(model, LoraHow(RANK))
    with pytest.raises(ValueError, match="merge_lora"):
        add_lora(model, LoraHow(RANK))


def test_freezing_by_component_and_by_the_start_of_a_name() -> None:
    model, _, _ = example("ttm mha", 1)
    frozen = freeze(model, ("encoder.vit", "decoder.cross_attention", "decoder.blocks.1", "encoder.tub"))
    still = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert sorted(still) == frozen
    assert all(
        (name in frozen)
        == (
            name.startswith(("encoder.vit", "encoder.tubes", "decoder.blocks.1"))
            or "decoder.blocks.0.cross_att" in name
        )
        for name, _ in model.named_parameters()
    )
    assert isinstance(model.decoder.blocks[0].mlp.up_proj, nn.Linear)
    with pytest.raises(ValueError, match="''"):
        freeze(model, ("",))
