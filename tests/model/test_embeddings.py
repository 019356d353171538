"""`embeddings` and `positions`: tubes equal convolutions, their counts, and that no two tokens share a place."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch.nn import functional as F

from helpers import difference, random_model, random_sizes
from mirasol.model.embeddings import CHANNELS, Patches, Tubes
from mirasol.model.positions import patch_positions, rotary, seconds_features, sincos, tube_centres, tube_positions
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.vit import PICTURE, SOUND

# Kernel, stride and offset of the paper's tubes (TubeViT, arXiv 2212.03229, section 3.1), for 32 frames of 224 x 224.
PAPER = (
    ((8, 8, 8), (16, 32, 32), (0, 0, 0)),
    ((16, 4, 4), (6, 32, 32), (4, 8, 8)),
    ((4, 12, 12), (16, 32, 32), (0, 16, 16)),
    ((1, 16, 16), (32, 16, 16), (0, 0, 0)),
)
NOT_SQUARE = {"tiny": (72, 48), "small": (112, 140), "base": (280, 168), "3b": (168, 224)}


def centres(sizes: Sizes) -> torch.Tensor:
    lengths = (sizes.frames, sizes.height, sizes.width)
    return torch.cat([tube_centres(tube, lengths) for tube in sizes.tubes])


@torch.no_grad()
def test_tubes_equal_convolutions(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(12):
        sizes = random_sizes(chance, "local", 2, 7)
        tubes = Tubes(sizes)
        pixels = torch.randn(2, 7, sizes.frames, CHANNELS, sizes.height, sizes.width)
        mask = torch.rand(2, 7, sizes.frames) < 0.5
        video = pixels.flatten(0, 1).transpose(1, 2)
        tokens, masks = [], []
        for linear, norm, (kernel, stride, (t, h, w)) in zip(tubes.shapes, tubes.norms, sizes.tubes, strict=True):
            norm.weight.normal_(), norm.bias.normal_()
            weight = linear.weight.view(-1, CHANNELS, *kernel)
            convolved = F.conv3d(video[:, :, t:, h:, w:], weight, linear.bias, stride)
            tokens.append(norm(convolved.flatten(2).transpose(1, 2)).unflatten(0, (2, 7)))
            real = mask.flatten(0, 1)[:, None, t:, None, None].float().expand(-1, -1, -1, *video.shape[-2:])
            under = F.conv3d(real[..., h:, w:], torch.ones(1, 1, *kernel), None, stride)
            masks.append((under.flatten(1) > 0).unflatten(0, (2, 7)))
        expected = torch.cat(tokens, dim=2) + tube_positions(sizes)
        assert expected.shape[2] == sizes.tube_tokens
        assert difference(tubes(pixels), expected) < 1e-5
        assert torch.equal(tubes.mask(mask), torch.cat(masks, dim=2))


@torch.no_grad()
def test_patches_equal_a_convolution(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(6):
        sizes = random_sizes(chance, "local", 2, 7)
        patches = Patches(sizes)
        spectrogram, mask = torch.randn(2, 7, sizes.mels, sizes.columns), torch.rand(2, 7, sizes.columns) < 0.3
        weight = patches.linear.weight.view(-1, 1, *sizes.patch)
        convolved = F.conv2d(spectrogram.flatten(0, 1)[:, None], weight, patches.linear.bias, sizes.patch)
        normed = patches.norm(convolved.flatten(2).transpose(1, 2))
        expected = normed.unflatten(0, (2, 7)) + patch_positions(sizes)
        assert difference(patches(spectrogram), expected) < 1e-5
        for number in range(sizes.patch_tokens):
            column = number % sizes.patch_grid[1]
            under = mask[..., column * sizes.patch[1] : (column + 1) * sizes.patch[1]].any(dim=-1)
            assert torch.equal(patches.mask(mask)[..., number], under)


@torch.no_grad()
def test_the_vit_reads_nothing_under_a_mask_and_knows_the_modality(seeds: int) -> None:
    """Class tokens stand before the others where they leave the ViT."""
    for extra, summary in ((0, False), (3, False), (3, True)):
        sizes = random_sizes(random.Random(seeds), "local", vit_extra=extra, vit_summary=summary)
        vit = random_model(sizes).encoder.vit
        tokens, mask = torch.randn(2, 9, sizes.av_width), torch.rand(2, 9) < 0.6
        mask[:, 4] = True
        real = torch.cat([mask.new_ones(2, sizes.summary_tokens), mask], dim=1)
        one, other = vit(tokens, mask, PICTURE), vit(torch.where(mask[..., None], tokens, 1e3), mask, PICTURE)
        assert one.shape == (2, 9 + (3 if summary else 0), sizes.av_width)
        assert torch.equal(one[real], other[real])
        for row in range(2):
            alone = vit(tokens[row : row + 1, mask[row]], mask[row : row + 1, mask[row]], PICTURE)
            assert difference(alone[0], one[row, real[row]]) < 1e-5
        assert difference(vit(tokens, mask, SOUND)[real], one[real]) > 1e-3


def test_counts_of_the_paper_and_of_our_presets() -> None:
    paper = PRESETS["base"].change(frames=32, tubes=PAPER)
    assert [math.prod(paper.tube_grid(at)) for at in range(4)] == [98, 147, 98, 196]
    assert paper.tube_tokens == len(centres(paper)) == 539
    assert PRESETS["base"].tube_tokens == PRESETS["3b"].tube_tokens == 392
    for sizes in PRESETS.values():
        assert len(centres(sizes)) == len(tube_positions(sizes)) == sizes.tube_tokens
        assert len(patch_positions(sizes)) == sizes.patch_tokens


@pytest.mark.parametrize("name", [*PRESETS, "paper"])
def test_no_two_tokens_share_a_place(name: str) -> None:
    given = PRESETS["base"].change(frames=32, tubes=PAPER) if name == "paper" else PRESETS[name]
    height, width = NOT_SQUARE.get(name, (224, 336))
    for sizes in (given, given.change(height=height, width=width)):
        places = centres(sizes)
        assert len(torch.unique(places, dim=0)) == len(places)
        for vectors in (tube_positions(sizes), patch_positions(sizes)):
            apart = torch.cdist(vectors.double(), vectors.double()).fill_diagonal_(math.inf)
            assert float(apart.min()) > 0.05


def test_centres_by_loops(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(20):
        sizes = random_sizes(chance, "local")
        lengths = (sizes.frames, sizes.height, sizes.width)
        for tube in sizes.tubes:
            starts = [
                [at for at in range(offset, length, stride) if at + kernel <= length]
                for length, kernel, stride, offset in zip(lengths, *tube, strict=True)
            ]
            wanted = [
                [t + tube[0][0] / 2, h + tube[0][1] / 2, w + tube[0][2] / 2]
                for t in starts[0] for h in starts[1] for w in starts[2]
            ]  # fmt: skip
            assert tube_centres(tube, lengths).tolist() == wanted


def test_sincos_by_loops() -> None:
    places, width = torch.rand(5, 3, dtype=torch.float64) * 200, 20  # three frequencies per axis, two values left over
    vectors = sincos(places, width)
    for place, vector in zip(places.tolist(), vectors.tolist(), strict=True):
        wanted = [wave(x * 10_000 ** (-j / 3)) for x in place for j in range(3) for wave in (math.sin, math.cos)]
        assert sorted(vector) == pytest.approx(sorted([*wanted, 0.0, 0.0]), abs=1e-6)
        assert vector[18:] == [0.0, 0.0]
    with pytest.raises(ValueError, match="at least 6"):
        sincos(places, 5)


def test_seconds_tell_days_and_moments_apart(seeds: int) -> None:
    """Two seconds of the same three days never look alike, and near ones look alike."""
    chance = random.Random(seeds)
    steps = torch.tensor([chance.randrange(250_000 * 8) for _ in range(300)]).unique() << 6
    vectors = seconds_features(steps, 1 / 16, 64, bits=6).double()
    apart = torch.cdist(vectors, vectors).fill_diagonal_(math.inf)
    assert float(apart.min()) > 0.05
    moved = seconds_features(steps + 10, 1 / 16, 64, bits=6).double()
    assert float((moved - vectors).norm(dim=-1).max()) < 0.1


def test_angles_are_exact_after_any_time(seeds: int) -> None:
    """Against float64, at the start and after years, for whole steps and those between; rotary angles too."""
    chance = random.Random(seeds)
    for far in (1, 86_400, 10**8):
        steps = torch.tensor([chance.randrange(far) * 64 + chance.randrange(64) for _ in range(200)])
        seconds = chance.choice((0.5, 1.024, 4.0))
        periods = 2.0 * 130_000.0 ** (torch.arange(16, dtype=torch.float64) / 15)
        exact = steps.double().unsqueeze(-1) / 64 * seconds * (2 * math.pi / periods)
        found = seconds_features(steps, seconds, 32, bits=6).double()
        bound = 2e-6 + 4e-12 * far
        assert difference(found, torch.cat([exact.sin(), exact.cos()], dim=-1)) < bound
        speeds = 500.0 ** (-2 * torch.arange(6, dtype=torch.float64) / 12)
        cos, sin = rotary(steps[None], 12, base=500.0)
        exact = steps.double().unsqueeze(-1) * speeds
        assert (
            difference(torch.stack([cos, sin])[:, 0, 0].double(), torch.stack([exact.cos(), exact.sin()])) < 64 * bound
        )
