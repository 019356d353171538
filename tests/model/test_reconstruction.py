"""`reconstruction`: targets and losses against loops; snippet s is held to snippet s + 1 and to no other."""

from __future__ import annotations

import random

import pytest
import torch

from helpers import difference, random_inputs, random_model, random_sizes
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import IGNORE, text_loss
from mirasol.model.reconstruction import normalise_patches, small_frames, small_positions


def test_small_pictures_by_loops(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(3):
        sizes = random_sizes(chance, "local", 2, 7)
        pixels = torch.randn(2, 7, sizes.frames, 3, sizes.height, sizes.width)
        patches = small_frames(pixels, sizes)
        scale, side, (rows, columns) = sizes.reconstruct_scale, sizes.reconstruct_patch, sizes.small_grid
        assert patches.shape == (2, 7, rows * columns, sizes.frames * 3 * side * side)
        assert len(small_positions(sizes)) == rows * columns
        for _ in range(40):
            b, s, f, c = (chance.randrange(n) for n in (2, 7, sizes.frames, 3))
            y, x = chance.randrange(rows * side), chance.randrange(columns * side)
            mean = pixels[b, s, f, c, y * scale : (y + 1) * scale, x * scale : (x + 1) * scale].mean()
            patch = (y // side) * columns + x // side
            value = ((f * 3 + c) * side + y % side) * side + x % side
            assert difference(patches[b, s, patch, value], mean) < 1e-5


def test_patches_have_structure_and_no_brightness() -> None:
    patches = torch.randn(3, 5, 40) * 7 + 11
    normal = normalise_patches(patches)
    assert difference(normal.mean(dim=-1), torch.zeros(3, 5)) < 1e-5
    assert difference(normal.std(dim=-1), torch.ones(3, 5)) < 1e-3
    assert difference(normalise_patches(patches * 3 - 20), normal) < 1e-3
    assert difference(normalise_patches(torch.full((3, 5, 40), 9.0)), torch.zeros(3, 5, 40)) < 1e-5


@torch.no_grad()
def test_losses_by_loops(seeds: int) -> None:
    """Over the pairs (s, s + 1) of real snippets; picture and sound only where the second one has some."""
    chance = random.Random(seeds)
    for _ in range(3):
        sizes = random_sizes(chance, "local", 2, 7)
        model = random_model(sizes)
        inputs = random_inputs(sizes, 2, 7)
        inputs.snippet_mask[1, 5:] = False
        inputs = inputs.complete(sizes, model.encoder.mask_tokens)
        latents, combined = (torch.randn(2, 7, sizes.combined, sizes.av_width) for _ in range(2))
        heads, losses = model.reconstruction, {"latent": [], "video": [], "audio": []}
        for b in range(2):
            for s in range(6):
                if not (inputs.snippet_mask[b, s] and inputs.snippet_mask[b, s + 1]):
                    continue
                predicted, target = heads.latent(latents[b, s]), combined[b, s + 1]
                losses["latent"].append(1 - torch.cosine_similarity(predicted, target, dim=-1).mean())
                video, audio = heads(latents[b : b + 1, s : s + 1])
                picture = normalise_patches(small_frames(inputs.pixel_values_videos[b : b + 1, s + 1 : s + 2], sizes))
                sound = normalise_patches(model.encoder.patches.cut(inputs.input_features[b : b + 1, s + 1 : s + 2]))
                if inputs.frame_mask[b, s + 1].any():
                    losses["video"].append((video - picture).square().mean())
                if inputs.column_mask[b, s + 1].any():
                    losses["audio"].append((audio - sound).square().mean())
        found = heads.losses(latents, combined, inputs, model.encoder.patches)
        for name, value in zip(losses, found, strict=True):
            wanted = float(torch.stack(losses[name]).mean())
            assert float(value) == pytest.approx(wanted, rel=1e-4), name


@torch.no_grad()
def test_nothing_to_compare_is_a_loss_of_zero(seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), "local", 2, 7)
    model = random_model(sizes)
    ids = torch.randint(sizes.vocabulary, (2, 5))
    inputs = random_inputs(sizes, 2, 1)
    output = model(inputs, ids, labels=ids)
    assert float(output.latent) == float(output.video) == float(output.audio) == 0
    nothing = Inputs(snippet_mask=torch.ones(2, 7, dtype=torch.bool))
    output = model(nothing, ids, labels=ids)
    assert float(output.latent) > 0
    assert float(output.video) == float(output.audio) == 0
    weighted = output.text + sizes.latent_weight * output.latent
    assert difference(output.loss, weighted) < 1e-6


@torch.no_grad()
def test_text_loss_by_a_loop(seeds: int) -> None:
    """Each position is held to the next id, and only where a label stands there."""
    sizes = random_sizes(random.Random(seeds), "local")
    model = random_model(sizes)
    hidden, labels = torch.randn(3, 7, sizes.text_width), torch.randint(sizes.vocabulary, (3, 7))
    labels[torch.rand(3, 7) < 0.5] = IGNORE
    terms = [
        -model.lm_head(hidden[b, t]).log_softmax(dim=-1)[labels[b, t + 1]]
        for b in range(3) for t in range(6) if labels[b, t + 1] != IGNORE
    ]  # fmt: skip
    assert difference(text_loss(model.lm_head, hidden, labels), torch.stack(terms).mean()) < 1e-5
    shared = text_loss(model.lm_head, hidden, labels, torch.tensor(100))
    assert difference(shared, torch.stack(terms).sum() / 100) < 1e-5
