"""Stream batches: chunks are the whole in pieces, questions are those of the stream, workers change nothing."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from mirasol.data.streams import StreamBatches, stream_inputs
from mirasol.data.toybox import toybox_tokenizer
from mirasol.media.toybox.streams import Stream
from mirasol.model.mirasol import IGNORE
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner_layers=1, combined=3, latent_layers=1,
    context_snippets=5, reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
)  # fmt: skip
TEXT = Text(toybox_tokenizer(SIZES.vocabulary, scenes=20))


def test_chunks_are_the_whole_in_pieces() -> None:
    """The spectrogram at a seam needs the sound before it: it is there."""
    stream = Stream(2, "train", 14, visits=4)
    whole = stream_inputs(stream, 0, 14, SIZES)
    parts = [stream_inputs(stream, a, b, SIZES) for a, b in ((0, 5), (5, 6), (6, 14))]
    for name in ("pixel_values_videos", "input_features", "frame_mask", "column_mask"):
        joined = torch.cat([getattr(part, name) for part in parts], dim=1)
        assert torch.equal(joined, getattr(whole, name)), name


def test_batches_follow_the_streams() -> None:
    batches = StreamBatches(SIZES, TEXT, 0, 8, streams=3, chunk=4, chunks=4, visits=4, questions=2)
    found = list(DataLoader(batches, batch_size=None, num_workers=2))
    assert [batch.first for batch in found] == [True, False, False, False] * 2
    for step, batch in enumerate(found):
        assert batch.inputs.pixel_values_videos.shape[:2] == (3, 4)
        again = batches.batch(step)
        assert torch.equal(batch.ids, again.ids)
        assert torch.equal(batch.inputs.input_features, again.inputs.input_features)
        rows = batch.rows.tolist()
        assert all(rows.count(row) <= 2 for row in range(3))
    late = found[3]
    assert set(late.rows.tolist()) == {0, 1, 2}  # by the end every stream has something to ask about
    assert (late.labels != IGNORE).any(dim=1).all()


def test_a_batch_without_a_question_counts_for_nothing() -> None:
    empty = 0
    for number in range(40):
        batches = StreamBatches(SIZES, TEXT, 0, 1, streams=1, chunk=1, chunks=12, visits=4, seed=number)
        batch = batches.batch(0)
        nothing = not Stream(number * 1_000_000_000, "train", 12, visits=4).questions(1)
        assert bool((batch.labels == IGNORE).all()) == nothing
        assert len(batch.rows) >= 1
        empty += nothing
    assert empty >= 3
