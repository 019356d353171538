"""Contract 5, padding and absence: each row of a mixed batch gets what it gets alone; nothing under a mask is read."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from helpers import COMBINERS, answer, difference, largest, pick, random_inputs, random_model, random_sizes
from mirasol.model.inputs import Inputs, join_inputs, nearest_frames, without
from mirasol.model.mirasol import IGNORE, Mirasol, Output
from mirasol.model.sizes import Sizes
from mirasol.model.text import PAD, pad

KINDS = ("both", "picture", "sound", "text")


def random_lengths(chance: random.Random) -> dict[str, int]:
    """Snippets of each row, all different."""
    lengths = [7, *chance.sample(range(1, 7), len(KINDS) - 1)]
    return dict(zip(chance.sample(KINDS, len(KINDS)), lengths, strict=True))


def alone(sizes: Sizes, kind: str, snippets: int, *, missing: float = 0.3) -> Inputs:
    """One row: what is absent is not given at all; "text" has one snippet that is not real."""
    inputs = random_inputs(sizes, 1, snippets, missing=missing)
    if kind == "text":
        return Inputs(snippet_mask=torch.zeros(1, 1, dtype=torch.bool))
    if kind == "picture":
        return replace(inputs, input_features=None, column_mask=None)
    if kind == "sound":
        return replace(inputs, pixel_values_videos=None, frame_mask=None)
    return inputs


def mixed(model: Mirasol, lengths: dict[str, int]) -> tuple[list[Inputs], Inputs]:
    """The rows alone, and all of them as one batch."""
    rows = [alone(model.sizes, kind, length) for kind, length in lengths.items()]
    return rows, join_inputs([row.complete(model.sizes, model.encoder.mask_tokens.detach()) for row in rows])


def garbage(inputs: Inputs, value: float) -> Inputs:
    """The same inputs, with a value under every false mask: not a number is the worst of them."""
    frames = inputs.frame_mask & inputs.snippet_mask[..., None]
    columns = inputs.column_mask & inputs.snippet_mask[..., None]
    return replace(
        inputs,
        pixel_values_videos=inputs.pixel_values_videos.masked_fill(~frames[..., None, None, None], value),
        input_features=inputs.input_features.masked_fill(~columns[:, :, None], value),
    )


@pytest.mark.parametrize("combiner", COMBINERS)
def test_each_row_as_if_alone(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(4):
        lengths = random_lengths(chance)
        sizes = random_sizes(chance, combiner, len(KINDS), max(lengths.values()))
        model = random_model(sizes)
        rows, batch = mixed(model, lengths)
        texts = [[chance.randrange(sizes.vocabulary) for _ in range(n)] for n in (3, 11, 5, 7)]
        ids, text_mask = pad(texts, PAD, left=chance.random() < 0.5)
        with torch.no_grad():
            latents, combined, state = model.encoder(batch)
            logits = model(batch, ids, text_mask=text_mask).logits
        context, mask = model.encoder.context(state)
        assert (latents.isfinite() & combined.isfinite()).all()
        for at, (kind, row) in enumerate(zip(lengths, rows, strict=True)):
            length = 0 if kind == "text" else lengths[kind]
            with torch.no_grad():
                its_latents, its_combined, its_state = model.encoder(row)
                its_logits = model(row, torch.tensor([texts[at]])).logits
            expected, its_mask = model.encoder.context(its_state)
            assert int(its_state.count) == int(state.count[at]) == length
            pairs = [(latents[at, :length], its_latents[0, :length]), (combined[at, :length], its_combined[0, :length])]
            pairs += [(context[at][mask[at]], expected[its_mask]), (logits[at, text_mask[at]], its_logits[0])]
            assert largest(pairs) < 1e-5, kind


@pytest.mark.parametrize("combiner", COMBINERS)
def test_what_is_masked_is_never_read(combiner: str, seeds: int) -> None:
    """Whole rows, whole snippets, single frames and columns: results and losses are bit for bit the same."""
    chance = random.Random(seeds)
    for _ in range(4):
        lengths = random_lengths(chance)
        sizes = random_sizes(chance, combiner, len(KINDS), max(lengths.values()))
        model = random_model(sizes)
        _, batch = mixed(model, lengths)
        both = list(lengths).index("both")
        batch = Inputs(*(getattr(batch, name) for name in Inputs.__dataclass_fields__))  # masks are changed below
        batch.frame_mask[both, 0] = torch.arange(sizes.frames) > 0  # a snippet of which a part is there
        batch.column_mask[both, 0] = torch.arange(sizes.columns) % 2 == 0
        ids = torch.randint(sizes.vocabulary, (len(KINDS), 6))
        results: list[tuple[Output, Output]] = []
        with torch.no_grad():
            for value in (0.0, 1e4, float("nan")):
                dirty = garbage(batch, value)
                results.append((model(dirty, ids), model(dirty, ids, labels=ids)))
        for bare, lost in results:
            assert torch.equal(bare.logits, results[0][0].logits)
            for name in ("loss", "text", "latent", "video", "audio", "spread"):
                assert torch.isfinite(getattr(lost, name))
                assert torch.equal(getattr(lost, name), getattr(results[0][1], name)), name


@pytest.mark.parametrize("combiner", COMBINERS)
def test_ids_and_labels_that_are_padding_count_for_nothing(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    sizes = random_sizes(chance, combiner, 2, 7)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, 7)
    ids, mask = pad([[5, 6, 7, 8, 9], [3, 4]], PAD)
    labels = ids.masked_fill(~mask, IGNORE)
    other = torch.where(mask, ids, 31)
    with torch.no_grad():
        one, two = (model(inputs, given, labels=labels, text_mask=mask).text for given in (ids, other))
        parts = [
            (model(pick(inputs, row), ids[row : row + 1, :n], labels=labels[row : row + 1, :n]).text, n - 1)
            for row, n in enumerate((5, 2))
        ]
    assert torch.equal(one, two)
    assert difference(one, sum(part * n for part, n in parts) / 5) < 1e-5


@pytest.mark.parametrize("combiner", COMBINERS)
def test_absence_is_not_silence_nor_grey(combiner: str, seeds: int) -> None:
    """A modality that is missing is known to be missing: it is not the same as one in which there is nothing."""
    sizes = random_sizes(random.Random(seeds), combiner, 2, 5)
    model = random_model(sizes)
    inputs = random_inputs(sizes, 2, 5, missing=0.0)
    for modality, signal, mask in (
        ("picture", "pixel_values_videos", "frame_mask"),
        ("sound", "input_features", "column_mask"),
    ):
        gone = without(inputs, **{modality: True})
        empty = replace(gone, **{mask: torch.ones_like(getattr(inputs, mask))})
        missing = replace(inputs, **{signal: None, mask: None})
        with torch.no_grad():
            results = [model.encoder(given)[0] for given in (inputs, gone, empty, missing)]
        assert difference(results[1], results[3]) == 0
        assert difference(results[1], results[2]) > 1e-3
        assert difference(results[0], results[1]) > 1e-3


def test_text_alone_ignores_what_is_not_there(seeds: int) -> None:
    """With nothing to look at, the answer is that of the decoder without any context, however long the padding is."""
    for combiner in COMBINERS:
        sizes = random_sizes(random.Random(seeds), combiner, 2, 5)
        model = random_model(sizes)
        ids = torch.randint(sizes.vocabulary, (2, 7))
        with torch.no_grad():
            empty = answer(model, model.encoder.start(2), ids)
            for snippets in (1, 5):
                inputs = Inputs(snippet_mask=torch.zeros(2, snippets, dtype=torch.bool))
                assert difference(model(inputs, ids).logits, empty) < 1e-6


def test_a_missing_frame_is_its_nearest_neighbour(seeds: int) -> None:
    """Against a plain loop; the earlier of two as near, as the processor's own filling does."""
    mask = torch.rand(5, 7, 6) < 0.4
    pixels = torch.randn(5, 7, 6, 3, 2, 4)
    filled = nearest_frames(pixels, mask)
    for row in range(5):
        for snippet in range(7):
            there = [f for f in range(6) if mask[row, snippet, f]]
            for frame in range(6):
                wanted = pixels[row, snippet, min(there, key=lambda f: (abs(f - frame), f))] if there else 0
                assert (filled[row, snippet, frame] == wanted).all()


def test_inputs_that_make_no_sense_are_refused() -> None:
    sizes = Sizes()
    like = torch.zeros(1)
    with pytest.raises(ValueError, match="nothing to watch"):
        Inputs().complete(sizes, like)
    with pytest.raises(ValueError, match="at least one clip and one snippet"):
        Inputs(snippet_mask=torch.zeros(2, 0)).complete(sizes, like)
    with pytest.raises(ValueError, match=r"input_features of shape \(B=2, S=3, M=64, L=50\)"):
        Inputs(input_features=torch.zeros(2, 3, 50, 64)).complete(sizes, like)
