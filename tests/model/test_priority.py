"""Priority memory: the same as keeping it slot by slot, untouched once written, ticking with events."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from helpers import random_inputs, random_model, random_sizes
from mirasol.model.priority import LEAST, keep
from mirasol.model.state import FINE, PriorityState


def empty(batch: int, slots: int, width: int) -> PriorityState:
    times = torch.zeros(batch, slots, dtype=torch.long)
    return PriorityState(
        torch.zeros(batch, slots, width), times, times.bool(), torch.zeros(batch, slots), times, times[:, 0]
    )


def test_it_equals_replacing_the_least_salient_slot_one_by_one(seeds: int) -> None:
    """Against a loop over plain lists: a full memory gives up its least salient slot, of equals the latest."""
    chance, generator = random.Random(seeds), torch.Generator().manual_seed(seeds)
    batch, snippets, slots, width = 3, 29, 7, 5
    tokens = torch.randn(batch, snippets, width, generator=generator)
    # Few different values: ties are frequent.
    salience = torch.randint(1, 6, (batch, snippets), generator=generator) / 8
    numbers = torch.arange(snippets).expand(batch, -1).clone()
    numbers[1, chance.randint(3, 20) :] = -1
    state, at = empty(batch, slots, width), 0
    while at < snippets:
        end = min(snippets, at + chance.randint(1, 6))
        state = keep(state, tokens[:, at:end], salience[:, at:end], numbers[:, at:end])
        at = end
    for row in range(batch):
        held: list[tuple[float, int, float]] = []  # salience, snippet, clock
        clock = 0.0
        for snippet in range(snippets):
            if numbers[row, snippet] < 0:
                continue
            worth = float(salience[row, snippet])
            clock += worth
            if len(held) == slots:
                weakest = min(held, key=lambda slot: (slot[0], -slot[1]))
                if worth <= weakest[0]:
                    continue
                held.remove(weakest)
            held.append((worth, snippet, clock))
        kept = state.written[row]
        assert state.snippets()[row] == sorted(slot[1] for slot in held)
        held.sort(key=lambda slot: slot[1])
        assert state.salience[row][kept].tolist() == [slot[0] for slot in held]
        assert torch.equal(state.ticks[row][kept], torch.tensor([int(slot[2] * 2**FINE) for slot in held]))
        assert torch.equal(state.tokens[row][kept], tokens[row, [slot[1] for slot in held]])
        assert float(state.clock[row]) / 2**FINE == clock


def test_what_is_kept_stays_exactly_as_it_was_written() -> None:
    generator = torch.Generator().manual_seed(1)
    state = keep(
        empty(2, 4, 6),
        torch.randn(2, 4, 6, generator=generator),
        torch.full((2, 4), 0.9),
        torch.arange(4).expand(2, -1),
    )
    first = state.tokens.clone()
    for at in range(4, 3_000, 4):
        dull = torch.rand(2, 4, generator=generator) * 0.5
        state = keep(state, torch.randn(2, 4, 6, generator=generator), dull, torch.arange(at, at + 4).expand(2, -1))
    assert torch.equal(state.tokens, first)
    assert state.snippets() == [[0, 1, 2, 3]] * 2


def test_salience_learns_from_the_text_alone() -> None:
    """No penalty, no step through time: the answer's gradient reaches what decides about writing."""
    sizes = random_sizes(random.Random(2), "priority", 2, 13)
    model = random_model(sizes).train()
    combiner = model.encoder.combiner
    combined = torch.randn(2, 13, sizes.combined, sizes.av_width)
    state = combiner.start(2, combined).memory
    candidates, salience = combiner.candidates(combined)
    memory = keep(state, candidates, salience, torch.arange(13).expand(2, -1))
    combiner.recall(memory).square().sum().backward()
    for parameter in (*combiner.salience.parameters(), combiner.candidate_tokens):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_dull_seconds_do_not_move_the_clock() -> None:
    salience = torch.tensor([[0.9, LEAST / 2, LEAST, LEAST * 0.99, 0.5]])
    state = keep(empty(1, 3, 4), torch.randn(1, 5, 4), salience, torch.arange(5)[None])
    assert float(state.clock[0]) / 2**FINE == pytest.approx(0.9 + LEAST + 0.5)
    assert (state.ticks[0] / 2**FINE).tolist() == pytest.approx([0.9, 0.9 + LEAST, 1.4 + LEAST], rel=1e-5)


@torch.no_grad()
def test_what_is_remembered_of_a_snippet_depends_on_the_one_before() -> None:
    """Else nobody could tell that a thing has just come."""
    sizes = random_sizes(random.Random(5), "priority", 2, 13, memory=13, context_snippets=4, latent_snippets=2)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, 13)
    assert inputs.pixel_values_videos is not None
    pixels = inputs.pixel_values_videos.clone()
    pixels[:, 6] += 1.0
    first, second = (
        model.encoder(change)[2].combiner.memory for change in (inputs, replace(inputs, pixel_values_videos=pixels))
    )
    changed = [not torch.allclose(first.tokens[0, at], second.tokens[0, at], atol=1e-6) for at in range(13)]
    # Two layers of the latent model that look back one snippet each: felt in the snippet itself and two after it.
    assert changed == [6 <= at <= 8 for at in range(13)]


def test_effort_is_the_number_of_writes_of_a_stream() -> None:
    sizes = random_sizes(random.Random(2), "priority", 2, 13)
    combiner = random_model(sizes).encoder.combiner
    latents, real = torch.randn(2, 13, sizes.combined, sizes.av_width), torch.ones(2, 13, dtype=torch.bool)
    real[1, 5:] = False
    _, salience = combiner.candidates(latents)
    expected = (salience[0].sum() + salience[1, :5].sum()) / 2
    assert torch.allclose(combiner.effort(latents, real), expected)
