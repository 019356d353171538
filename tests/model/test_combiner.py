"""`combiner` and `state`: who may look at whom, what a rolling cache keeps, and the K outputs of a snippet."""

from __future__ import annotations

import random
import re

import pytest
import torch

from helpers import COMBINERS, difference, random_model, random_sizes
from mirasol.model.combiner import CausalCombiner, LocalCombiner
from mirasol.model.encoder import COMBINER
from mirasol.model.inspection import full_state
from mirasol.model.layers import Band, attend, attend_naive
from mirasol.model.memory import LocalTuringCombiner, TuringCombiner
from mirasol.model.positions import tube_centre_places
from mirasol.model.priority import PriorityCombiner
from mirasol.model.state import map_tensors, newest, pad_front, pick, real_first, tensors


def test_the_band_is_the_one_drawn_in_its_docstring() -> None:
    rows = re.findall(r"^ +(\d)    ([ x]+)$", Band.__doc__ or "", flags=re.MULTILINE)
    drawn = [[len(marks) > 2 * key and marks[2 * key] == "x" for key in range(5)] for _, marks in rows]
    assert [int(row) for row, _ in rows] == [0, 1, 2, 3, 4]
    snippets = torch.arange(5)[None]
    assert Band(snippets, snippets, reach=3, step=1).dense()[0, 0].tolist() == drawn


def test_the_band_by_loops(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(12):
        reach = chance.randint(1, 6)
        keys = torch.tensor([[chance.randint(-1, 9) for _ in range(14)] for _ in range(2)])
        asks = torch.tensor([[chance.randint(-1, 9) for _ in range(10)] for _ in range(2)])
        mask = Band(asks, keys, reach, 2).dense()
        assert mask.shape == (2, 1, 10, 14)
        for row in range(2):
            for q in range(10):
                for c in range(14):
                    own, other = int(asks[row, q]), int(keys[row, c])
                    assert bool(mask[row, 0, q, c]) == (other >= 0 and own - reach < other <= own)


def test_a_band_looked_at_in_groups_is_the_whole(seeds: int) -> None:
    """With snippets kept from before, padding in front of those and behind the new ones, single positions masked."""
    chance = random.Random(seeds)
    for _ in range(20):
        reach, step, heads = chance.randint(1, 4), chance.randint(1, 3), 2
        kept, new = chance.randint(0, reach), chance.randint(1, 9)
        asked = torch.full((2, kept + new), -1)
        for row in range(2):
            before, real = chance.randint(0, kept), chance.randint(1, new)
            asked[row, kept - before : kept + real] = torch.arange(before + real) + chance.randint(0, 5)
        asked = asked.repeat_interleave(step, dim=1)
        hidden = torch.rand(asked.shape) < 0.2
        hidden[:, step - 1 :: step] = False
        asking = asked[:, kept * step :]
        band = Band(asking, torch.where(hidden, -1, asked), reach, step)
        queries = torch.randn(2, heads, new * step, 5)
        keys, values = torch.randn(2, 2, heads, (kept + new) * step, 5)
        real = (asking >= 0)[:, None, :, None]
        whole, parts = attend_naive(queries, keys, values, band), attend(queries, keys, values, band)
        assert torch.allclose(whole * real, parts * real, atol=1e-6)
        spans = list(band.spans())
        assert max(seen.stop - seen.start for _, seen in spans) <= (2 * reach - 1) * step


def test_what_is_kept_are_the_newest_real_ones(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(30):
        real = torch.tensor([[chance.random() < 0.6 for _ in range(7)] for _ in range(3)])
        values = torch.randn(3, 2, 14, 5)  # two positions for each place, on the third axis
        keep, front = chance.randint(0, 7), real_first(real)
        kept = pick(values, newest(real, keep), 2, axis=2)
        moved = pick(real, front)
        for row in range(3):
            there = [at for at in range(7) if real[row, at]]
            wanted = there[max(0, len(there) - keep) :]
            places = [2 * at + part for at in wanted for part in (0, 1)]
            assert torch.equal(kept[row, :, kept.shape[2] - len(places) :], values[row][:, places])
            assert moved[row].tolist() == sorted(real[row].tolist(), reverse=True)
            assert front[row, : len(there)].tolist() == there
        assert torch.equal(pick(moved, front.argsort(dim=1)), real)
    assert pad_front(values, 16, 2, -1)[:, :, :2].eq(-1).all()


def test_one_place_chooses_the_class(seeds: int) -> None:
    kinds = {
        "local": LocalCombiner, "causal": CausalCombiner, "ttm": TuringCombiner, "local-ttm": LocalTuringCombiner,
        "priority": PriorityCombiner,
    }  # fmt: skip
    for combiner in COMBINERS:
        sizes = random_sizes(random.Random(seeds), combiner)
        assert type(COMBINER[sizes.combiner](sizes)) is kinds[sizes.combiner]


@pytest.mark.parametrize("combiner", COMBINERS)
@torch.no_grad()
def test_one_signature_and_no_masked_token(combiner: str, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, 2, 7)
    model = random_model(sizes).encoder.combiner
    tokens = torch.randn(2, 7, sum(sizes.viewed_tokens) + 2, sizes.av_width)
    mask = torch.rand(tokens.shape[:3]) < 0.6
    mask[1, 3] = False  # nothing but the K queries is left of a snippet
    snippets = torch.arange(7).repeat(2, 1) + torch.tensor([[0], [11]])
    start = model.start(2, tokens)
    combined, state = model(tokens, mask, snippets, start)
    assert combined.shape == (2, 7, sizes.combined, sizes.av_width)
    assert combined.isfinite().all()
    dirty, other = model(torch.where(mask[..., None], tokens, 1e3), mask, snippets, start)
    assert torch.equal(dirty, combined)
    if combiner != "causal":  # the causal cache does hold masked tokens, and never looks at them
        assert all(torch.equal(one, two) for one, two in zip(tensors(state), tensors(other), strict=True))
    shifted, _ = model(tokens, mask, snippets + 1_000, start)  # only distances in time count for a combiner
    assert difference(shifted, combined) < 1e-3


@torch.no_grad()
def test_causal_with_a_reach_of_one_snippet_forgets_all(seeds: int) -> None:
    """Then it sees just its own snippet; with a longer reach it does not equal that."""
    sizes = random_sizes(random.Random(seeds), "causal", 2, 7, combiner_snippets=1)
    model = random_model(sizes).encoder.combiner
    tokens = torch.randn(2, 7, sum(sizes.viewed_tokens) + 2, sizes.av_width)
    mask, snippets = torch.ones(tokens.shape[:3], dtype=torch.bool), torch.arange(7).repeat(2, 1)
    combined, state = model(tokens, mask, snippets, model.start(2, tokens))
    assert sum(tensor.numel() for tensor in tensors(state)) == 0
    for at in range(7):
        alone, _ = model(tokens[:, at : at + 1], mask[:, :1], snippets[:, at : at + 1], model.start(2, tokens))
        assert difference(alone[:, 0], combined[:, at]) < 1e-5
    model.sizes = sizes.change(combiner_snippets=3)
    assert difference(model(tokens, mask, snippets, model.start(2, tokens))[0][:, 1:], combined[:, 1:]) > 1e-3


def test_states_are_values(seeds: int) -> None:
    """A change gives a new state; the old one, and whoever else holds it, keeps its tensors."""
    sizes = random_sizes(random.Random(seeds), "causal", 2, 7)
    state = random_model(sizes).encoder.start(2)
    doubled = map_tensors(state, lambda tensor: tensor + 1)
    assert int(state.count.sum()) == 0
    assert doubled.count.tolist() == [1, 1]
    assert len(tensors(doubled)) == len(tensors(state)) == 2 * 2 + 1 + 2 * 2 + 1 + 3
    assert state.bytes() == full_state(sizes, batch=2).bytes(), "of its final size from the start"


def test_a_query_begins_with_the_mean_of_what_is_real_in_its_cell(seeds: int) -> None:
    """By loops; a query without a cell, or with a cell of which nothing is real, begins as it does elsewhere."""
    chance = random.Random(seeds)
    rows, columns = chance.choice(((1, 3), (2, 1), (2, 2), (3, 2)))
    sizes = random_sizes(chance, "local", combined=rows * columns + 2, combiner_cells=(rows, columns))
    combiner = LocalCombiner(sizes)
    torch.nn.init.normal_(combiner.query_tokens)
    tokens = torch.randn(2, 3, sum(sizes.viewed_tokens) + 2, sizes.av_width)
    mask = torch.rand(tokens.shape[:-1]) < chance.choice((0.1, 0.5, 1.0))
    queries = combiner.with_queries(tokens, mask)[0][:, :, -sizes.combined :]
    places = tube_centre_places(sizes).tolist()
    for clip in range(2):
        for snippet in range(3):
            inside: list[list[torch.Tensor]] = [[] for _ in range(sizes.combined)]
            for at, (down, across) in enumerate(places, sizes.summary_tokens):
                if mask[clip, snippet, at]:
                    inside[int(down * rows) * columns + int(across * columns)].append(tokens[clip, snippet, at])
            for query, found in enumerate(inside):
                expected = combiner.query_tokens[query]
                expected = expected + torch.stack(found).mean(dim=0) if found else expected
                torch.testing.assert_close(queries[clip, snippet, query], expected)
    assert not inside[-1]
    assert not inside[-2]
