"""Streams from stored snippets: stored is what the encoder makes; batches are chunks of the scripted streams."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers import REMEMBERING_SIZES
from mirasol.data.fused import SECONDS, VISITS, FusedStreamBatches, SnippetStore, Walk, make_store
from mirasol.data.streams import stream_inputs
from mirasol.data.toybox import toybox_tokenizer
from mirasol.media.toybox.streams import Stream
from mirasol.model.inputs import Fused
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text

TEXT = Text(toybox_tokenizer(REMEMBERING_SIZES.vocabulary, scenes=20))


@pytest.fixture(scope="module")
def model() -> Mirasol:
    torch.manual_seed(4)
    return Mirasol(REMEMBERING_SIZES).eval()


@pytest.fixture(scope="module")
def store(model: Mirasol) -> SnippetStore:
    return make_store(model, "train", 45 * VISITS)


def test_a_rendered_stream_gives_the_same_from_signals_and_from_the_store(model: Mirasol) -> None:
    """Watched twice, whole: once with all its signals, once with what was stored of it."""
    store = make_store(model, "train", VISITS, first=7)
    stream = Stream(7, "train", SECONDS, visits=VISITS, distractions=0.2)
    with torch.no_grad():
        latents, combined, state = model.encoder(stream_inputs(stream, 0, SECONDS, REMEMBERING_SIZES))
        stored = Fused(store.tokens[None].float(), torch.ones(1, SECONDS, dtype=torch.bool))
        again, fused, other = model.encoder(stored)
    assert (combined - fused).abs().max() < 2e-3  # stored at half precision
    assert (latents - again).abs().max() < 1e-2
    assert torch.equal(state.combiner.memory.numbers, other.combiner.memory.numbers)


def test_stored_snippets_show_what_the_script_says(model: Mirasol, store: SnippetStore, tmp_path: Path) -> None:
    store.save(tmp_path / "store.safetensors")
    store = SnippetStore.load(tmp_path / "store.safetensors")
    stream = Stream(90, "train", 40, visits=5, pick=store.pick)
    whole = store.fused(stream, 0, 40)
    places = {visit.look: place for visit, place in store.visits}
    for visit in stream.visits:
        assert torch.equal(whole[visit.start], store.tokens[places[visit.look]])
    empty = {tuple(store.tokens[at].flatten().tolist()) for at in (*store.calm, *store.disturbed)}
    for second in range(40):
        assert (tuple(whole[second].flatten().tolist()) in empty) == (stream.visitor(second) is None)
    assert torch.equal(torch.cat([store.fused(stream, 0, 11), store.fused(stream, 11, 40)]), whole)


def test_batches_are_chunks_of_their_streams(store: SnippetStore) -> None:
    walks = (Walk(0, 12, 1, (3, 4), 3), Walk(4, 16, 2, (3, 5), 2))
    batches = FusedStreamBatches(lambda: store, TEXT, walks, 0, 8, questions=3)
    found = list(batches)
    assert [batch.first for batch in found] == [True] * 4 + [True, False] * 2
    assert [tuple(batch.inputs.tokens.shape[:2]) for batch in found] == [(3, 12)] * 4 + [(2, 16)] * 4
    early, late = found[4], found[5]
    stream = batches.stream(walks[1], 4 * 1_000)
    assert torch.equal(early.inputs.tokens[0], store.fused(stream, 0, 16).float())
    assert torch.equal(late.inputs.tokens[0], store.fused(stream, 16, 32).float())
    asked = {question.text for question in stream.questions(32)}
    prompts = [TEXT.decode(ids[ids != 0].tolist()) for ids, row in zip(late.ids, late.rows, strict=True) if row == 0]
    assert prompts
    assert all(any(question in prompt for question in asked) for prompt in prompts)
    with pytest.raises(ValueError, match="multiple"):
        FusedStreamBatches(lambda: store, TEXT, (Walk(0, 8, 1, (3, 3), 1), Walk(3, 8, 2, (3, 3), 1)), 0, 8)


def test_fusing_beforehand_needs_a_combiner_and_a_clock_that_allow_it() -> None:
    inputs = stream_inputs(Stream(1, "train", 12, visits=3), 0, 2, REMEMBERING_SIZES)
    for change in ({"clock": "start"}, {"combiner": "causal", "memory": 0}, {"combiner": "ttm"}):
        with pytest.raises(ValueError, match="fuse"):
            Mirasol(REMEMBERING_SIZES.change(**change)).encoder.fuse(inputs)
    with pytest.raises(ValueError, match="expected fused snippets"):
        Mirasol(REMEMBERING_SIZES).encoder(Fused(torch.zeros(2, 3, 4, 16), torch.ones(2, 3, dtype=torch.bool)))
