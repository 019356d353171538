"""Contract 1, partition: any split of a stream into calls gives the same latents, memory and answers as one call."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import (
    COMBINERS,
    DTYPES,
    answer,
    difference,
    largest,
    pick,
    random_inputs,
    random_model,
    random_sizes,
    random_split,
    values_of,
)
from mirasol.model.inputs import Inputs, join_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.state import MirasolState, tensors

BATCH, SNIPPETS = 2, 13


def run(
    model: Mirasol, inputs: Inputs, pieces: list[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor, MirasolState]:
    """The encoder over the pieces, one call each: latents, combined, and the last state."""
    latents, combined, state = [], [], None
    with torch.no_grad():
        for first, end in pieces:
            new, fused, state = model.encoder(inputs.snippets(first, end), state)
            latents.append(new)
            combined.append(fused)
    assert state is not None
    return torch.cat(latents, dim=1), torch.cat(combined, dim=1), state


@pytest.mark.parametrize(("dtype", "bound"), DTYPES)
@pytest.mark.parametrize("combiner", COMBINERS)
def test_any_split_equals_one_call(combiner: str, dtype: torch.dtype, bound: float, seeds: int) -> None:
    chance = random.Random(seeds)
    for trial in range(4):
        sizes = random_sizes(chance, combiner, BATCH, SNIPPETS)
        model = random_model(sizes, dtype)
        inputs = random_inputs(sizes, BATCH, SNIPPETS, dtype)
        assert 2 * max(sizes.context_snippets, sizes.combiner_snippets) < SNIPPETS
        ids = torch.randint(sizes.vocabulary, (BATCH, 7))
        whole = run(model, inputs, [(0, SNIPPETS)])
        one_by_one = [(at, at + 1) for at in range(SNIPPETS)]
        split = run(model, inputs, random_split(chance, SNIPPETS) if trial else one_by_one)
        pairs = [(whole[0], split[0]), (whole[1], split[1])]
        pairs += zip(values_of(whole[2]), values_of(split[2]), strict=True)  # every cache and the memory with its times
        pairs += zip(model.encoder.context(whole[2]), model.encoder.context(split[2]), strict=True)
        pairs += [(answer(model, whole[2], ids), answer(model, split[2], ids))]
        assert largest(pairs) < bound


@pytest.mark.parametrize(("dtype", "bound"), DTYPES)
@pytest.mark.parametrize("combiner", COMBINERS)
def test_rows_that_pause_go_on_as_if_alone(combiner: str, dtype: torch.dtype, bound: float, seeds: int) -> None:
    """Streams in one batch: in each call a row brings as many snippets as it has, none too; each equals its own run."""
    chance = random.Random(seeds)
    for _ in range(4):
        sizes = random_sizes(chance, combiner, 4, SNIPPETS)
        model = random_model(sizes, dtype)
        rows = [random_inputs(sizes, 1, SNIPPETS, dtype) for _ in range(4)]
        ids = torch.randint(sizes.vocabulary, (4, 7))
        at, state, latents, combined = [0] * 4, None, [[], [], [], []], [[], [], [], []]
        for call in range(5):
            counts = [min(chance.randint(0, 4), SNIPPETS - seen) for seen in at]
            if call == 0:
                counts = [1, 4, 3, 2]  # at the start the first row is shorter
            if not any(counts):
                continue
            # Empty rows are given as one snippet of padding.
            parts = [pick(row, 0, a, a + max(1, n)) if a < SNIPPETS else pick(row, 0, 0, 1)
                     for row, a, n in zip(rows, at, counts, strict=True)]  # fmt: skip
            for part, count in zip(parts, counts, strict=True):
                part.snippet_mask[:, count:] = False
            with torch.no_grad():
                new, fused, state = model.encoder(join_inputs(parts), state)
            for row, count in enumerate(counts):
                latents[row].append(new[row : row + 1, :count])
                combined[row].append(fused[row : row + 1, :count])
                at[row] += count
        logits = answer(model, state, ids)
        context, mask = model.encoder.context(state)
        assert state.count.tolist() == at
        for row, seen in enumerate(at):
            alone = run(model, rows[row], [(0, seen)])
            expected, its_mask = model.encoder.context(alone[2])
            pairs = [(torch.cat(latents[row], dim=1), alone[0]), (torch.cat(combined[row], dim=1), alone[1])]
            pairs += [(context[row][mask[row]], expected[its_mask])]
            pairs += [(logits[row : row + 1], answer(model, alone[2], ids[row : row + 1]))]
            assert largest(pairs) < bound


@pytest.mark.parametrize("combiner", COMBINERS)
def test_state_stops_growing(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    sizes = random_sizes(chance, combiner, 1, SNIPPETS)
    model = random_model(sizes)
    state, held = None, []
    inputs = random_inputs(sizes, 1, SNIPPETS)
    with torch.no_grad():
        for at in range(SNIPPETS):
            _, _, state = model.encoder(inputs.snippets(at, at + 1), state)
            held.append(state.bytes())
        _, _, far = model.encoder(inputs, state)
    assert set(held) == {model.encoder.start(1).bytes(), far.bytes()}, "the shapes of a step are the same for ever"
    assert len(set(held)) == 1
    for kept in (state, far):
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors(kept)}
        assert sum(storages.values()) <= 2 * held[-1], "a state holds on to tensors that it left behind"


def test_streams_may_start_anywhere_in_a_call(seeds: int) -> None:
    """Padding in front of a row, or between its snippets, changes nothing but where its latents stand."""
    chance = random.Random(seeds)
    for combiner in COMBINERS:
        sizes = random_sizes(chance, combiner, 1, 9)
        model = random_model(sizes)
        inputs = random_inputs(sizes, 1, 9)
        real = torch.tensor([False, True, False, True, True, False, True, True, False])
        with torch.no_grad():
            alone, _, _ = model.encoder(Inputs(*(getattr(inputs, n)[:, real] for n in Inputs.__dataclass_fields__)))
            inputs.snippet_mask[0] = real
            spread, _, _ = model.encoder(inputs)
        assert difference(spread[:, real], alone) < 1e-5
