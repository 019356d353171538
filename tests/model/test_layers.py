"""`layers`: the one attention against itself written out, and the cache, the block and the first values."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from helpers import difference
from mirasol.model.initialising import initialise_all
from mirasol.model.layers import Attention, Block, Cache, attend, attend_naive, rotate
from mirasol.model.positions import rotary

BATCH, QUERIES, KEYS, WIDTH = 2, 5, 7, 6


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (8, 4), (9, 3), (4, 1)])
@pytest.mark.parametrize("mask", [None, (BATCH, 1, QUERIES, KEYS), (1, 1, QUERIES, KEYS), (BATCH, 1, 1, KEYS)])
def test_attend_equals_the_naive_one(heads: int, kv_heads: int, mask: tuple[int, ...] | None) -> None:
    queries = torch.randn(BATCH, heads, QUERIES, WIDTH)
    keys, values = (torch.randn(BATCH, kv_heads, KEYS, WIDTH) for _ in range(2))
    allowed = None if mask is None else torch.rand(mask) < 0.5
    if allowed is not None:
        allowed[0, :, 0] = False  # a query that may look nowhere
    assert difference(attend(queries, keys, values, allowed), attend_naive(queries, keys, values, allowed)) < 1e-5


def test_attend_by_loops() -> None:
    """The naive one against sums in plain Python: head h of the queries asks head h // (heads per kv head)."""
    queries, keys, values = torch.randn(1, 4, 3, 6), torch.randn(1, 2, 5, 6), torch.randn(1, 2, 5, 6)
    mask = torch.rand(1, 1, 3, 5) < 0.6
    mask[..., 1] = True
    result = attend_naive(queries, keys, values, mask)
    for head in range(4):
        for q in range(3):
            there = [c for c in range(5) if mask[0, 0, q, c]]
            scores = torch.stack([queries[0, head, q] @ keys[0, head // 2, c] / 6**0.5 for c in there])
            wanted = sum(w * values[0, head // 2, c] for w, c in zip(scores.softmax(0), there, strict=True))
            assert difference(result[0, head, q], wanted) < 1e-5


def test_a_query_that_may_look_nowhere_is_finite_and_so_is_its_gradient() -> None:
    queries = torch.randn(BATCH, 3, QUERIES, WIDTH, requires_grad=True)
    keys, values = torch.randn(BATCH, 3, KEYS, WIDTH), torch.randn(BATCH, 3, KEYS, WIDTH)
    mask = torch.rand(BATCH, 1, QUERIES, KEYS) < 0.5
    mask[1] = False
    result = attend(queries, keys, values, mask)
    assert difference(result[1], attend(queries, keys, values, None)[1]) < 1e-6
    result.sum().backward()
    assert queries.grad.isfinite().all()


def test_rotation_knows_only_distances() -> None:
    """As a product of complex numbers; queries and keys moved on together keep their scores."""
    one, other = torch.randn(2, 3, QUERIES, 8, dtype=torch.float64), torch.randn(2, 3, QUERIES, 8, dtype=torch.float64)
    places = torch.randint(0, 50, (2, QUERIES))

    def scores(shift: int) -> torch.Tensor:
        turn = rotary(places + shift, 8)
        return rotate(one, turn) @ rotate(other, turn).transpose(-1, -2)

    assert difference(scores(0), scores(31)) < 1e-4
    assert difference(scores(0), one @ other.transpose(-1, -2)) > 1e-2
    first, second = one.chunk(2, dim=-1)
    cos, sin = rotary(places, 8)
    turned = torch.complex(first, second) * torch.complex(cos.double(), sin.double())
    assert difference(rotate(one, (cos, sin)), torch.cat([turned.real, turned.imag], dim=-1)) < 1e-12
    assert rotate(one.bfloat16(), (cos, sin)).dtype == torch.bfloat16


def test_a_cache_is_a_value() -> None:
    cache = Cache.empty(2, 3, WIDTH, torch.zeros(1))
    keys, values = torch.randn(2, 3, 5, WIDTH), torch.randn(2, 3, 5, WIDTH)
    longer = cache.append(keys[:, :, :2], values[:, :, :2]).append(keys[:, :, 2:], values[:, :, 2:])
    assert cache.keys.shape[2] == 0
    assert torch.equal(longer.keys, keys)
    assert torch.equal(longer.values, values)


@torch.no_grad()
def test_cross_attention_from_its_cache() -> None:
    attention = Attention(12, 3, kv_heads=1, context_width=8)
    x, context = torch.randn(2, 5, 12), torch.randn(2, 7, 8)
    plain, none = attention(x, context)
    empty = Cache.empty(2, 1, 4, x)
    first, cache = attention(x[:, :2], context, cache=empty)
    second, same = attention(x[:, 2:], None, cache=cache)
    assert none is None
    assert torch.equal(same.keys, cache.keys)
    assert difference(torch.cat([first, second], dim=1), plain) < 1e-6


@torch.no_grad()
def test_the_last_positions_alone_are_the_same() -> None:
    block = Block(12, 3, 20)
    initialise_all(block)
    x, mask = torch.randn(2, 7, 12), torch.rand(2, 1, 1, 7) < 0.6
    mask[..., -1] = True
    for given in (None, mask):
        assert difference(block.last(x, 3, given), block(x, mask=given)[0][:, -3:]) < 1e-6


@torch.no_grad()
def test_nothing_to_look_at_adds_nothing() -> None:
    block = Block(12, 3, 20, context_width=8, gated=True, kv_heads=1)
    initialise_all(block)
    x, context = torch.randn(3, 5, 12), torch.randn(3, 7, 8)
    mask = torch.tensor([[True] * 7, [False] * 7, [False] * 6 + [True]])[:, None, None]
    result, _ = block(x, context=context, context_mask=mask)
    block.cross_attention.o_proj.weight.zero_()
    without, _ = block(x, context=context, context_mask=mask)
    assert difference(result[1], without[1]) == 0
    assert min(difference(result[row], without[row]) for row in (0, 2)) > 1e-4


def test_first_values_follow_the_table(seeds: int) -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(300, 3, 500, context_width=200)
            self.embed = nn.Embedding(400, 100)
            self.query_tokens = nn.Parameter(torch.empty(30, 200))
            self.read_positions = nn.Parameter(torch.empty(30, 200))

    holder = Holder()
    with torch.no_grad():
        for parameter in holder.parameters():
            parameter.fill_(random.Random(seeds).random() + 7)
    initialise_all(holder)
    wanted = {
        "block.attention.q_proj.weight": 300**-0.5, "block.attention.o_proj.weight": 0.5 * 300**-0.5,
        "block.cross_attention.k_proj.weight": 200**-0.5, "block.mlp.up_proj.weight": 300**-0.5,
        "block.mlp.down_proj.weight": 0.5 * 500**-0.5, "embed.weight": 0.1, "query_tokens": 0.5, "read_positions": 0.02,
    }  # fmt: skip
    for name, parameter in holder.named_parameters():
        if name in wanted:
            assert float(parameter.detach().std()) == pytest.approx(wanted[name], rel=0.05), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        assert float(parameter.detach().abs().max()) < 6, f"{name} was left as it was"
