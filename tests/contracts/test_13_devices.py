"""Nothing in a forward or a loss waits for the device, nothing needs float64, and a step compiles and exports whole."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import COMBINERS, difference, largest, random_inputs, random_model, random_sizes, values_of
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import IGNORE, target_places
from mirasol.model.sizes import Sizes
from mirasol.model.state import MirasolState, map_tensors, tensors

BATCH, SNIPPETS = 2, 9
READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "item", "equal", "unique")


class Watching(TorchDispatchMode):
    """Counts what would make the host wait for a device, and results in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.doubles: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        masks = [a for arg in args if isinstance(arg, (list, tuple)) for a in arg if isinstance(a, torch.Tensor)]
        if name.removesuffix("_") in READS or (name == "index" and any(mask.dtype == torch.bool for mask in masks)):
            self.reads[name] += 1
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            self.doubles[name] += 1
        return result


def kinds(sizes: Sizes) -> dict[str, Inputs]:
    """Inputs whose masks are known and inputs whose masks are not."""
    given = random_inputs(sizes, BATCH, SNIPPETS)
    whole = Inputs(given.pixel_values_videos, None, given.input_features)
    return {"whole": whole, "masked": given, "complete": given.complete(sizes, torch.empty(0))}


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_forward_reads_nothing_back(combiner: str, seeds: int) -> None:
    """In the encoder, in what text attends to, and in the losses of a training step, backward included."""
    sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS)
    model = random_model(sizes)
    ids = torch.randint(sizes.vocabulary, (BATCH, 7))
    labels = ids.masked_fill(torch.arange(7) < 4, IGNORE)
    model.encoder(kinds(sizes)["whole"])  # tables of positions are made once
    model(kinds(sizes)["whole"], ids, labels)
    for name, inputs in kinds(sizes).items():
        with Watching() as watching:
            _, _, state = model.encoder(inputs)
            _, _, state = model.encoder(inputs.snippets(0, 1), state)
            model.encoder.context(state)
            model.train()(inputs, ids, labels, places=None).loss.backward()
        assert not watching.reads, (name, watching.reads)
        assert not watching.doubles, (name, watching.doubles)
        model.eval()
    places = target_places(labels)
    with Watching() as watching, torch.no_grad():
        few = model(kinds(sizes)["whole"], ids, labels, places=places).text
    assert not watching.reads
    assert few.isfinite()


def test_logits_where_targets_are_known_cost_the_same_loss(seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), "local", BATCH, SNIPPETS)
    model, inputs = random_model(sizes), random_inputs(sizes, BATCH, SNIPPETS)
    ids = torch.randint(sizes.vocabulary, (BATCH, 7))
    labels = ids.masked_fill(torch.rand(BATCH, 7) < 0.6, IGNORE)
    with torch.no_grad():
        one, other = (model(inputs, ids, labels, places=places).text for places in (None, target_places(labels)))
    assert difference(one, other) < 1e-5


class Step(torch.nn.Module):
    """One snippet of a stream as a function of tensors alone."""

    def __init__(self, encoder: torch.nn.Module, start: MirasolState) -> None:
        super().__init__()
        self.encoder, self.start = encoder, start

    def forward(self, pixels: torch.Tensor, sound: torch.Tensor, state: list[torch.Tensor]) -> list[torch.Tensor]:
        given = iter(state)
        old = map_tensors(self.start, lambda _: next(given))
        latents, _, new = self.encoder(Inputs(pixels, None, sound), old)
        context, mask = self.encoder.context(new)
        return [latents, context, mask, *tensors(new)]


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_step_is_one_graph_with_the_same_shapes_for_ever(combiner: str, seeds: int) -> None:
    """Exported once, on the first snippet, it runs a whole stream and gives the same numbers."""
    sizes = random_sizes(random.Random(seeds), combiner, 1, SNIPPETS)
    model = random_model(sizes)
    given = random_inputs(sizes, 1, SNIPPETS)
    step = Step(model.encoder, model.encoder.start(1))
    state = tensors(model.encoder.start(1))
    shapes = [tensor.shape for tensor in state]
    first = (given.pixel_values_videos[:, :1], given.input_features[:, :1], state)
    with torch.no_grad():
        program = torch.export.export(step, first, strict=True).module()
        latents = []
        for at in range(SNIPPETS):
            found = program(given.pixel_values_videos[:, at : at + 1], given.input_features[:, at : at + 1], state)
            latents.append(found[0])
            state = list(found[3:])
            assert [tensor.shape for tensor in state] == shapes
        whole, _, last = model.encoder(Inputs(given.pixel_values_videos, None, given.input_features))
    waiting = iter(state)
    carried = map_tensors(last, lambda _: next(waiting))
    pairs = [(torch.cat(latents, dim=1), whole), *zip(values_of(carried), values_of(last), strict=True)]
    assert largest(pairs) < 1e-5
