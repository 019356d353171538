"""The order of items: a permutation, another one in every epoch; exact shares of a mixture; shards kept together."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mirasol.data.items import Item
from mirasol.data.order import MIXED, NEIGHBOURS, Mixture, Shuffled, scrambled


def items(count: int, name: str = "i") -> list[Item]:
    return [Item(f"{name}{at}", None, ((None, "x"),)) for at in range(count)]


class Sharded(list):
    """Items in blocks."""

    def __init__(self, blocks: list[int]) -> None:
        super().__init__(items(sum(blocks)))
        self.blocks = blocks


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 1000])
def test_scrambled_is_a_permutation_that_mixes(count: int) -> None:
    orders = [[scrambled(at, count, key) for at in range(count)] for key in range(20)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    if count >= 64:
        assert len(set(map(tuple, orders))) == 20
        stay = sum(order[at] == at for order in orders for at in range(count))
        assert stay < 60  # of a random permutation, one place stays on average


@pytest.mark.parametrize("blocks", [None, [5, 1, 17, 3, 3, 40, 2, 8, 9, 30, 11, 6, 1, 1, 90, 4, 13, 21]])
def test_every_epoch_holds_every_item_once(blocks: list[int] | None) -> None:
    some = Sharded(blocks) if blocks else items(61)
    order = Shuffled(some, 5)
    epochs = [[order.index(epoch * len(some) + at) for at in range(len(some))] for epoch in range(3)]
    for number, found in enumerate(epochs):
        assert {epoch for epoch, _ in found} == {number}
        assert sorted(index for _, index in found) == list(range(len(some)))
    assert epochs[0] != epochs[1] != epochs[2]
    if blocks:
        shard_of = [shard for shard, size in enumerate(blocks) for _ in range(size)]
        first = [shard_of[index] for _, index in epochs[0]]
        open_at_once = max(len(set(first[at : at + 10])) for at in range(len(first)))
        assert open_at_once <= 2 * NEIGHBOURS
        assert first[:30] != sorted(first[:30])  # mixed inside the group


def test_shares_of_a_mixture_are_exact_in_every_block() -> None:
    chance = random.Random(3)
    weights = [chance.uniform(0.1, 3) for _ in range(4)]
    sizes = (700, 31, 50, 9)
    mixture = Mixture(
        [(items(size, f"{at}-"), weight) for at, (size, weight) in enumerate(zip(sizes, weights, strict=True))], seed=2
    )
    for block in range(3):
        places = [mixture.place(block * MIXED + at) for at in range(MIXED)]
        shares = Counter(source for source, _, _ in places)
        for source, weight in enumerate(weights):
            assert abs(shares[source] - MIXED * weight / sum(weights)) < 1
    drawn = [mixture.place(draw) for draw in range(5 * MIXED)]
    for source, size in enumerate(sizes):  # each source goes through all its items before it begins again
        own = sorted((epoch, index) for s, epoch, index in drawn if s == source)
        whole = len(own) // size
        assert Counter(epoch for epoch, _ in own if epoch < whole) == dict.fromkeys(range(whole), size)
        assert len(set(own)) == len(own)
    assert len({mixture.item(draw).key for draw in range(40)}) > 20


def test_weights_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Mixture([(items(3), 1.0), (items(3), 0.0)])
    with pytest.raises(ValueError, match="at least 1/1000"):
        Mixture([(items(3), 1.0), (items(3), 1e-5)])
    with pytest.raises(ValueError, match="at least one item"):
        Mixture([([], 1.0)])
