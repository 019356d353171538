"""In which order items are drawn: shuffled anew in every epoch, mixed by weight, and known at any number of the draw
without going through those before it. Nothing is stored, however many items there are.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from .items import Item, Items

MIXED = 1_000  # draws in which the shares of a mixture hold exactly
NEIGHBOURS = 8  # shards whose items are shuffled together: few files are read at a time


def number_of(*words: object) -> int:
    """64 bits that depend on the words alone."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, words)).encode(), digest_size=8).digest(), "little")


def scrambled(place: int, count: int, key: int) -> int:
    """Where `place` goes in a permutation of `count` places that `key` names: a Feistel network of four rounds over the
    next power of four, walked until the result is a place again."""
    half = max(1, (max(1, count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for turn in range(4):
            mixed = (right + key + 0x9E3779B97F4A7C15 * (turn + 1)) & 0xFFFFFFFFFFFFFFFF
            mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
            left, right = right, left ^ ((mixed ^ (mixed >> 31)) & mask)
        place = left << half | right
        if place < count:
            return place


def blocks_of(items: Items) -> Sequence[int] | None:
    """How many items lie in each file that holds several (shards), in their order; None where each stands alone."""
    return getattr(items, "blocks", None)


class Shuffled:
    """All items once in every epoch, in an order of its own. Shards are shuffled, `NEIGHBOURS` of them at a time are
    put together, and the items of those are shuffled."""

    def __init__(self, items: Items, seed: int) -> None:
        if not len(items):
            raise ValueError("expected at least one item to learn from, found none")
        self.items, self.seed = items, seed
        self._groups: dict[int, tuple[list[list[int]], list[int]]] = {}  # of the epochs looked at last
        self._starts = [0, *accumulate(blocks_of(items) or ())]

    def _grouped(self, epoch: int) -> tuple[list[list[int]], list[int]]:
        if epoch not in self._groups:
            self._groups = {**dict(list(self._groups.items())[-1:]), epoch: self._group(epoch)}
        return self._groups[epoch]

    def _group(self, epoch: int) -> tuple[list[list[int]], list[int]]:
        """The shards of each group, and the number of items up to the end of each group."""
        sizes = blocks_of(self.items) or ()
        order = [scrambled(at, len(sizes), number_of(self.seed, "shards", epoch)) for at in range(len(sizes))]
        groups = [order[first : first + NEIGHBOURS] for first in range(0, len(order), NEIGHBOURS)]
        return groups, list(accumulate(sum(sizes[shard] for shard in group) for group in groups))

    def index(self, draw: int) -> tuple[int, int]:
        """(epoch, index of the item) of a draw."""
        epoch, place = divmod(draw, len(self.items))
        sizes = blocks_of(self.items)
        if sizes is None:
            return epoch, scrambled(place, len(self.items), number_of(self.seed, epoch))
        groups, ends = self._grouped(epoch)
        group = bisect_right(ends, place)
        before = ends[group - 1] if group else 0
        inside = scrambled(place - before, ends[group] - before, number_of(self.seed, epoch, group))
        for shard in groups[group]:
            if inside < sizes[shard]:
                return epoch, self._starts[shard] + inside
            inside -= sizes[shard]
        raise AssertionError("a place beyond its group")


class Mixture:
    """Items of several sources by weight: of every `MIXED` draws each source gets exactly its share (the largest
    remainders rounded up). A source that is used up begins again, in another order.

    `ValueError` for a weight so small that its source would never be drawn.
    """

    def __init__(self, sources: Sequence[tuple[Items, float]], seed: int = 0) -> None:
        if not sources or min(weight for _, weight in sources) <= 0:
            raise ValueError("expected sources with weights above 0")
        self.seed = seed
        self.sources = [Shuffled(items, number_of(seed, at)) for at, (items, _) in enumerate(sources)]
        total = sum(weight for _, weight in sources)
        shares = [weight / total * MIXED for _, weight in sources]
        self.counts = [int(share) for share in shares]
        by_remainder = sorted(range(len(shares)), key=lambda at: self.counts[at] - shares[at])
        for at in by_remainder[: MIXED - sum(self.counts)]:
            self.counts[at] += 1
        if not all(self.counts):
            raise ValueError(f"expected weights of at least 1/{MIXED} of all, found {min(shares) / MIXED:.2g}")
        self._ends = list(accumulate(self.counts))

    def __len__(self) -> int:
        """Items in all sources."""
        return sum(len(source.items) for source in self.sources)

    def fingerprint(self) -> int:
        """Of what is mixed: the number of items of each source, its share, and the texts of its first item."""
        told = []
        for source, count in zip(self.sources, self.counts, strict=True):
            try:
                pairs: object = source.items[0].pairs
            except Exception:  # it will be told of when it is drawn
                pairs = ()
            told.append((len(source.items), count, pairs))
        return number_of(self.seed, told)

    def place(self, draw: int) -> tuple[int, int, int]:
        """(source, epoch of the source, index in the source) of a draw."""
        block, place = divmod(draw, MIXED)
        if len(self.sources) == 1:
            return 0, *self.sources[0].index(draw)
        slot = scrambled(place, MIXED, number_of(self.seed, "mixed", block))
        source = bisect_right(self._ends, slot)
        own = block * self.counts[source] + slot - (self._ends[source] - self.counts[source])
        return source, *self.sources[source].index(own)

    def item(self, draw: int) -> Item:
        """What is drawn."""
        source, _, index = self.place(draw)
        return self.sources[source].items[index]
