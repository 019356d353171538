"""The picture of the memory: every token that text can look at has its place, the looks are the attention's."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import random_model, random_sizes
from mirasol.data.toybox import toybox_tokenizer
from mirasol.inference.answer import Loaded
from mirasol.inference.memory_picture import draw_memory, held, looks
from mirasol.inference.session import Session, kept_snippets
from mirasol.model.text import Text

SNIPPETS = 13


@pytest.mark.parametrize("combiner", ["local", "ttm tokenlearner", "priority"])
def test_every_token_of_the_context_has_one_place(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    sizes = random_sizes(chance, combiner, vocabulary=300, text_positions=160)
    loaded = Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")
    session, length = Session(loaded, start=5.0, album=True), sizes.snippet_seconds
    for snippet in range(SNIPPETS):
        frames = np.full((sizes.frames, sizes.height, sizes.width, 3), 9 * snippet, np.uint8)
        wave = np.random.default_rng(snippet).normal(0, 0.1, sizes.samples).astype(np.float32)
        session.watch(frames, wave, at=5.0 + snippet * length)
    session.flush()
    watched = session.snapshot()
    assert set(watched.album) <= kept_snippets(watched.state)
    assert len(watched.album) <= sizes.context_snippets + sizes.memory
    assert all((frame == 9 * number).all() for number, frame in watched.album.items())
    things = held(watched, loaded)
    with torch.inference_mode():
        context, mask = loaded.model.encoder.context(watched.state)
    assert sorted(place for one in things for place in one.places) == mask[0].nonzero()[:, 0].tolist()
    assert [one.number for one in things if one.kind == "window"] == list(range(SNIPPETS))[-sizes.context_snippets :]
    if combiner == "priority":
        kept = watched.state.combiner.memory.snippets()[0]
        assert [one.number for one in things if one.kind == "memory"] == kept
    answers = session.ask_all(["what do you hear?", "where is it?"])
    weights = looks(watched, answers[0], loaded, answers[0].question)
    assert weights.shape == (context.shape[1],)
    assert abs(weights.sum() - 1) < 1e-5
    picture = draw_memory(watched, answers, loaded, "a stream")
    assert isinstance(picture, Image.Image)
    assert picture.width > picture.height > 300


def test_looks_are_the_weights_that_the_decoder_uses() -> None:
    """Values that stand for one place of the context each come out in those shares."""
    torch.manual_seed(1)
    sizes = random_sizes(random.Random(4), "local")
    decoder = random_model(sizes, torch.float64).decoder
    ids, context = torch.randint(0, sizes.vocabulary, (2, 7)), torch.randn(2, 5, sizes.av_width, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    before = decoder.looks(ids, context, mask)
    assert before.shape == (2, 7, 5)
    assert torch.allclose(before.sum(dim=-1), torch.ones(2, 7, dtype=torch.float64))
    assert not before[1, :, ~mask[1]].any()
    attention = decoder.blocks[0].cross_attention
    x = torch.randn(2, 7, sizes.text_width, dtype=torch.float64)
    with torch.no_grad():  # every value the same in all heads: then the mean over heads is all that counts
        attention.v_proj.weight.copy_(attention.v_proj.weight[: attention.head_width].repeat(attention.kv_heads, 1))
    shares = attention.weights(x, context, mask[:, None, None])
    one = attention.o_proj.weight.unflatten(1, (attention.heads, -1)).mean(dim=1, keepdim=True)
    with torch.no_grad():
        attention.o_proj.weight.copy_(one.expand(-1, attention.heads, -1).flatten(1))
    expected = attention.o_proj(shares @ attention.v_proj(context))
    assert torch.allclose(attention(x, context, mask[:, None, None])[0], expected)


def test_nothing_watched_is_refused() -> None:
    sizes = random_sizes(random.Random(2), "local", vocabulary=300, text_positions=160)
    loaded = Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")
    with pytest.raises(ValueError, match="at least one snippet"):
        draw_memory(Session(loaded, start=0.0).snapshot(), [], loaded, "nothing")
