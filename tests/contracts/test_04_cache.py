"""Contract 4, cache: decoding token by token, or in pieces, equals the full pass; the engine equals a plain loop."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import DTYPES, difference, greedy, random_model, random_sizes, random_split
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import PAD, pad

ROWS, POSITIONS, CONTEXT = 4, 11, 13


def prompts(chance: random.Random, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Left-padded ids (ROWS, POSITIONS) of different lengths, the longest without padding, and their mask."""
    lengths = [POSITIONS, *(chance.randint(1, POSITIONS) for _ in range(ROWS - 1))]
    return pad([[chance.randrange(vocabulary) for _ in range(n)] for n in lengths], PAD, left=True)


def context(model: Mirasol, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A random context (ROWS, CONTEXT, D); one row has nothing to look at."""
    mask = torch.rand(ROWS, CONTEXT) < 0.7
    mask[:, 0] = True
    mask[1] = False
    return torch.randn(ROWS, CONTEXT, model.sizes.av_width, dtype=dtype), mask


@pytest.mark.parametrize(("dtype", "bound"), DTYPES)
@torch.no_grad()
def test_pieces_equal_the_full_pass(dtype: torch.dtype, bound: float, seeds: int) -> None:
    chance = random.Random(seeds)
    for trial in range(12):
        model = random_model(random_sizes(chance, "local"), dtype)
        seen, look = context(model, dtype)
        ids, mask = prompts(chance, model.sizes.vocabulary)
        if unpadded := trial % 3 == 0:  # then no mask is given at all
            mask = torch.ones_like(mask)
        whole, nothing = model.decoder(ids, seen, look, text_mask=None if unpadded else mask)
        assert all(pair == (None, None) for pair in nothing)
        caches, parts = model.decoder.start(ROWS, seen), []
        split = random_split(chance, POSITIONS) if trial % 2 else [(at, at + 1) for at in range(POSITIONS)]
        for first, end in split:
            now = seen if first == 0 else None  # later the context comes from its cache
            hidden, caches = model.decoder(ids[:, first:end], now, look, caches, None if unpadded else mask[:, :end])
            parts.append(hidden)
        assert difference(torch.cat(parts, dim=1)[mask], whole[mask]) < bound
        for row in range(ROWS):  # padding is as if it were not there
            real = mask[row]
            alone, _ = model.decoder(ids[row : row + 1, real], seen[row : row + 1], look[row : row + 1])
            assert difference(alone[0], whole[row, real]) < bound


@torch.no_grad()
def test_no_position_sees_a_later_one(seeds: int) -> None:
    chance = random.Random(seeds)
    model = random_model(random_sizes(chance, "local"))
    seen, look = context(model, torch.float32)
    ids = torch.randint(model.sizes.vocabulary, (ROWS, POSITIONS))
    other = ids.clone()
    other[:, 6:] = (other[:, 6:] + 1) % model.sizes.vocabulary
    one, two = model.decoder(ids, seen, look)[0], model.decoder(other, seen, look)[0]
    assert difference(one[:, :6], two[:, :6]) < 1e-6
    assert difference(one[:, 6], two[:, 6]) > 1e-3


@torch.no_grad()
def plain_answer(
    model: Mirasol, seen: torch.Tensor, look: torch.Tensor, prompt: list[int], end: int, most: int
) -> tuple[list[int], float]:
    """One greedy answer, everything computed anew for every id."""
    ids, sure = list(prompt), 1.0
    while len(ids) - len(prompt) < most:
        hidden, _ = model.decoder(torch.tensor([ids]), seen, look)
        share, best = model.lm_head(hidden[0, -1]).softmax(dim=-1).max(dim=-1)
        sure *= float(share)
        if int(best) == end:
            break
        ids.append(int(best))
    return ids[len(prompt) :], sure


def test_the_engine_equals_a_plain_loop(seeds: int) -> None:
    chance, lengths = random.Random(seeds), set()
    for _ in range(6):
        model = random_model(random_sizes(chance, "local"))
        seen, look = context(model, torch.float32)
        ids, mask = prompts(chance, model.sizes.vocabulary)
        rows = [ids[row, mask[row]].tolist() for row in range(ROWS)]
        longest = plain_answer(model, seen[:1], look[:1], rows[0], -1, 9)[0]
        end = chance.choice(longest[2:])  # an id that does come, so that rows end at different times
        answers = greedy(model, seen, look, rows, end=end, most=9)
        for row in range(ROWS):
            expected, _ = plain_answer(model, seen[row : row + 1], look[row : row + 1], rows[row], end, 9)
            assert answers[row] == expected
            lengths.add(len(expected))
    assert len(lengths) > 2


def test_positions_end_with_one_line(seeds: int) -> None:
    model = random_model(random_sizes(random.Random(seeds), "local", text_positions=15))
    seen, look = context(model, torch.float32)
    ids, mask = prompts(random.Random(seeds), model.sizes.vocabulary)
    rows = [ids[row, mask[row]].tolist() for row in range(ROWS)]
    answers = greedy(model, seen, look, rows, most=40)
    # The last id is not read any more.
    assert [len(answer) for answer in answers] == [15 - len(row) + 1 for row in rows]
    with pytest.raises(ValueError, match="16 tokens, this model takes 15"):
        model.decoder(torch.zeros(2, 16, dtype=torch.long), seen[:2], look[:2])
