"""The two clocks: seconds from the start of a stream, and seconds ago."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import COMBINERS, difference, random_inputs, random_model, random_sizes
from mirasol.model.state import skip

BATCH, SNIPPETS, DAY = 2, 13, 86_401


@pytest.mark.parametrize("combiner", COMBINERS)
@torch.no_grad()
def test_only_by_the_clock_of_now_a_stream_is_the_same_after_a_day(combiner: str, seeds: int) -> None:
    """The same media after a day of nothing: text sees the same. By the other clock it can tell the time."""
    for clock in ("now", "start"):
        sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS, clock=clock)
        model = random_model(sizes)
        inputs = random_inputs(sizes, BATCH, SNIPPETS)
        _, _, early = model.encoder(inputs, model.encoder.start(BATCH))
        _, _, late = model.encoder(inputs, skip(model.encoder.start(BATCH), DAY))
        assert (late.count - early.count).tolist() == [DAY] * BATCH
        (before, mask), (after, again) = model.encoder.context(early), model.encoder.context(late)
        assert torch.equal(mask, again)
        changed = difference(before[mask], after[mask])
        assert changed < 1e-3 if clock == "now" else changed > 1e-2


@torch.no_grad()
def test_seconds_ago_move_with_every_snippet(seeds: int) -> None:
    """What was seen last lies one snippet back, whenever that is."""
    sizes = random_sizes(random.Random(seeds), "local", BATCH, SNIPPETS, clock="now")
    model = random_model(sizes)
    inputs = random_inputs(sizes, BATCH, SNIPPETS)
    _, _, state = model.encoder(inputs)
    context, _ = model.encoder.context(state)
    waited, _ = model.encoder.context(skip(state, 3))
    assert difference(context, waited) > 1e-3
