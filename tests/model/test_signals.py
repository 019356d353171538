"""`signals`: the spectrogram against a plain loop and another library's filters; pictures that keep their shape."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from helpers import difference, random_sizes
from mirasol.model.signals import (
    CENTRE,
    FLOOR,
    SILENCE,
    SPREAD,
    as_floats,
    column_mask,
    left_samples,
    letterbox,
    log_mel,
    mel_filters,
    snippet_pixels,
)
from mirasol.model.sizes import PRESETS, Sizes


@pytest.mark.parametrize(("bins", "mels", "rate"), [(321, 64, 16_000), (201, 128, 16_000), (257, 40, 22_050)])
def test_filters_equal_those_of_transformers(bins: int, mels: int, rate: int) -> None:
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(bins, mels, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    ours = mel_filters(bins, mels, rate)
    assert ours.shape == (mels, bins)
    assert np.abs(ours - theirs.T).max() < 1e-7  # the largest values are about 0.03
    assert np.abs(ours).max() > 0.01


def test_log_mel_by_a_loop(seeds: int) -> None:
    """One column and one filter at a time, with the sums of a Fourier transform written out in float64."""
    chance = random.Random(seeds)
    for sizes in [random_sizes(chance, "local") for _ in range(6)] + [Sizes()]:
        columns, left, window = 3, left_samples(sizes), sizes.window
        sound = np.random.default_rng(seeds).normal(0, 0.3, left + columns * sizes.hop)
        found = log_mel(torch.from_numpy(sound), sizes)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        filters = mel_filters(window // 2 + 1, sizes.mels, sizes.sample_rate).astype(np.float64)
        waves = np.exp(-2j * np.pi * np.outer(np.arange(window // 2 + 1), np.arange(window)) / window)
        assert found.shape == (sizes.mels, columns)
        for j in range(columns):
            end = left + (j + 1) * sizes.hop
            power = np.abs(waves @ (sound[end - window : end] * hann)) ** 2
            wanted = [(np.log10(row @ power + FLOOR) - CENTRE) / SPREAD for row in filters]
            assert np.abs(found[:, j].numpy() - wanted).max() < 1e-6
        assert difference(log_mel(torch.zeros(left + sizes.hop), sizes), torch.full((sizes.mels, 1), SILENCE)) < 1e-6


def test_a_column_is_real_where_a_sample_of_its_own_is(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(10):
        sizes = random_sizes(chance, "local")
        heard = np.random.default_rng(seeds).random((5, sizes.samples)) < 0.05
        found = column_mask(heard, sizes)
        wanted = [[heard[s, j * sizes.hop : (j + 1) * sizes.hop].any() for j in range(sizes.columns)] for s in range(5)]
        assert found.tolist() == wanted


@pytest.mark.parametrize("size", [(48, 72), (96, 144), (30, 90), (90, 30), (7, 5), (1, 1), (1080, 1920), (2, 200)])
def test_letterbox_keeps_proportions(size: tuple[int, int]) -> None:
    """A white picture on the grey: the white has its proportions, is as large as fits, and stands in the middle."""
    height, width = size
    result = letterbox(np.full((height, width, 3), 255, np.uint8), 48, 72)
    assert result.shape == (48, 72, 3)
    white = (result == 255).all(axis=-1)
    assert set(np.unique(result)) <= {128, 255}
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    tall, wide = len(rows), len(columns)
    assert (tall == 48) or (wide == 72)
    scale = min(48 / height, 72 / width)
    assert abs(tall - height * scale) <= 1
    assert abs(wide - width * scale) <= 1
    assert abs(rows[0] - (47 - rows[-1])) <= 1
    assert abs(columns[0] - (71 - columns[-1])) <= 1


def test_letterbox_neither_turns_nor_mirrors() -> None:
    picture = np.zeros((96, 144, 3), np.uint8)
    picture[:48, :72] = (200, 0, 0)  # above, left
    picture[48:, 72:] = (0, 0, 100)  # below, right
    result = letterbox(picture, 48, 72)
    assert result[10, 15].tolist() == [200, 0, 0]
    assert result[40, 60].tolist() == [0, 0, 100]
    assert result[10, 60].tolist() == result[40, 15].tolist() == [0, 0, 0]
    same = np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8)
    assert np.array_equal(letterbox(same, 48, 72), same)


def test_pixels_of_the_chosen_frames(seeds: int) -> None:
    chance, numbers = random.Random(seeds), np.random.default_rng(seeds)
    for _ in range(10):
        sizes = random_sizes(chance, "local")
        frames = numbers.integers(0, 256, (11, sizes.height, sizes.width, 3), dtype=np.uint8)
        chosen = numbers.integers(-1, 11, (5, sizes.frames))
        chosen[2] = -1
        pixels, mask = snippet_pixels(frames, chosen, sizes)
        assert mask.tolist() == (chosen >= 0).tolist()
        assert pixels.shape == (5, sizes.frames, 3, sizes.height, sizes.width)
        for s in range(5):
            there = [f for f in range(sizes.frames) if chosen[s, f] >= 0]
            for f in range(sizes.frames):
                if not there:
                    assert not as_floats(pixels[s, f]).any()  # grey is nought
                    continue
                nearest = min(there, key=lambda g: (abs(g - f), g))
                wanted = frames[chosen[s, nearest]].transpose(2, 0, 1) / 64 - 2
                assert np.abs(as_floats(pixels[s, f]).numpy() - wanted).max() < 1e-6


def test_every_preset_has_a_spectrogram_that_fills_its_patches() -> None:
    for sizes in PRESETS.values():
        sound = torch.zeros(left_samples(sizes) + sizes.samples)
        assert log_mel(sound, sizes).shape == (sizes.mels, sizes.columns)
