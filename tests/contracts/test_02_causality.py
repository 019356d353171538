"""Contract 2, causality: changing snippet s changes nothing before s; and it does change what comes from s on."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import COMBINERS, difference, pick, random_inputs, random_model, random_sizes
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol

BATCH, SNIPPETS = 2, 7


@torch.no_grad()
def watch(model: Mirasol, inputs: Inputs) -> dict[str, torch.Tensor]:
    """One call over all snippets: (B, S, ...) latents, combined, and the memory after each snippet if there is one."""
    memories: list[torch.Tensor] = []
    if machine := getattr(model.encoder.combiner, "machine", None):
        hook = machine.register_forward_hook(lambda module, given, result: memories.append(result[0]))
    latents, combined, _ = model.encoder(inputs)
    if machine:
        hook.remove()
        return {"latents": latents, "combined": combined, "memory": torch.stack(memories, dim=1)}
    return {"latents": latents, "combined": combined}


def change(inputs: Inputs, at: int, what: str) -> Inputs:
    """The same inputs but for snippet `at`: other pictures, other sound, or a picture that is lost or found."""
    values = {name: getattr(inputs, name).clone() for name in Inputs.__dataclass_fields__}
    if what == "mask":
        values["frame_mask"][:, at] = ~values["frame_mask"][:, at].any(dim=-1, keepdim=True)
    else:
        name = {"picture": "pixel_values_videos", "sound": "input_features"}[what]
        values[name][:, at] += torch.randn_like(values[name][:, at])
        values["frame_mask" if what == "picture" else "column_mask"][:, at] = True
    return Inputs(**values)


@pytest.mark.parametrize("what", ["picture", "sound", "mask"])
@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_snippet_changes_nothing_before_it(combiner: str, what: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(3):
        sizes = random_sizes(chance, combiner, BATCH, SNIPPETS)
        model = random_model(sizes)
        inputs = random_inputs(sizes, BATCH, SNIPPETS)
        at = chance.randrange(SNIPPETS)
        before, after = watch(model, inputs), watch(model, change(inputs, at, what))
        for name, value in before.items():
            assert difference(value[:, :at], after[name][:, :at]) < 1e-6, name
            assert difference(value[:, at], after[name][:, at]) > 1e-4, f"{name} did not notice the change"
        if at + 1 < SNIPPETS:  # context_snippets is at least 2: the next snippet's latents remember
            assert difference(before["latents"][:, at + 1], after["latents"][:, at + 1]) > 1e-6


@pytest.mark.parametrize("combiner", COMBINERS)
def test_how_far_back_a_snippet_is_felt(combiner: str, seeds: int) -> None:
    """local, priority: only in its own snippet. causal: `combiner_snippets` per layer. ttm: for ever, by the memory."""
    chance = random.Random(seeds)
    sizes = random_sizes(chance, combiner, BATCH, SNIPPETS, combiner_snippets=3, combiner_layers=2)
    model = random_model(sizes, torch.float64)
    inputs = random_inputs(sizes, BATCH, SNIPPETS, torch.float64)
    before, after = watch(model, inputs), watch(model, change(inputs, 1, "picture"))
    felt = [difference(before["combined"][:, s], after["combined"][:, s]) > 1e-13 for s in range(SNIPPETS)]
    last = {"local": 1, "priority": 1, "causal": 5}.get(combiner, SNIPPETS)  # two layers look back two snippets each
    assert felt == [1 <= s <= last for s in range(SNIPPETS)]


@pytest.mark.parametrize("combiner", COMBINERS)
def test_rows_do_not_mix(combiner: str, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS)
    model = random_model(sizes)
    inputs = random_inputs(sizes, BATCH, SNIPPETS)
    together = watch(model, inputs)
    for row in range(BATCH):
        for name, value in watch(model, pick(inputs, row)).items():
            assert difference(value[0], together[name][row]) < 1e-5, name
