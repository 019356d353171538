"""Things of Toybox: sprites and sounds are repeatable, varied, of the promised form, and tell the kinds apart."""

import zlib

import numpy as np
import pytest

from mirasol.media.toybox.sounds import SOUNDS, make_sound
from mirasol.media.toybox.things import COLOURS, KINDS, draw_thing

RATE = 16000
NAMES = list(COLOURS)


def rng_of(*key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def test_there_are_24_kinds_each_with_a_sound_and_seven_colours():
    assert len(KINDS) == len(set(KINDS)) == 24
    assert set(SOUNDS) == set(KINDS)
    assert len(COLOURS) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_sprite_is_repeatable_varied_and_cropped(kind: str):
    for height in (19, 28, 131):
        one, again = (draw_thing(kind, "blue", height, rng_of(kind, height)) for _ in range(2))
        other = draw_thing(kind, "blue", height, rng_of(kind, height, "other"))
        assert np.array_equal(one, again)
        assert one.shape != other.shape or np.abs(one.astype(int) - other).mean() > 2
        assert one.dtype == np.uint8
        assert one.shape[0] == height
        assert one.shape[2] == 4
        assert one.shape[1] <= 1.3 * height
        alpha = one[..., 3]
        assert all(side.max() > 0 for side in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
        assert 0.15 < (alpha > 128).mean() < 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_is_read_from_the_sprite(kind: str):
    """The nearest of the seven colours to the most colourful pixels is the asked one; white is the lack of any."""
    reference = np.array([COLOURS[name] for name in NAMES if name != "white"], dtype=float)
    reference = reference / np.linalg.norm(reference, axis=1, keepdims=True)
    right = 0
    for name in NAMES:
        for draw in range(4):
            sprite = draw_thing(kind, name, 25, rng_of(kind, name, draw))
            pixels = sprite[sprite[..., 3] > 250][:, :3].astype(float)
            spread = pixels.max(1) - pixels.min(1)
            vivid = pixels[spread > 60]
            if len(vivid) < 0.1 * len(pixels):
                right += name == "white"
                continue
            mean = vivid.mean(0) / np.linalg.norm(vivid.mean(0))
            right += [n for n in NAMES if n != "white"][int((reference @ mean).argmax())] == name
    assert right >= 27  # of 28


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_is_repeatable_varied_and_in_form(kind: str):
    for rate in (RATE, 22050):
        one, again = (make_sound(kind, rng_of(kind, rate), rate) for _ in range(2))
        other = make_sound(kind, rng_of(kind, rate, "other"), rate)
        assert np.array_equal(one, again)
        shared = min(len(one), len(other))
        assert np.abs(one[:shared] - other[:shared]).max() > 0.1
        assert one.dtype == np.float32
        assert one.ndim == 1
        assert 0.45 <= len(one) / rate <= 0.75
        assert np.abs(one).max() == pytest.approx(1.0, abs=1e-5)
        assert np.abs(one[: round(0.05 * rate)]).max() > 0.1, "begins at once"
        assert abs(one[-1]) < 1e-3, "fades out"


def picture_vector(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Silhouette and grey values in a box of 24 x 31 pixels, colour at random, with its heavier half to the left.

    A mean over both mirrorings would be a blur of two pictures, hence the common side.
    """
    sprite = draw_thing(kind, NAMES[rng.integers(7)], 24, rng).astype(np.float32) / 255
    columns = sprite[..., 3].sum(0)
    if (columns * np.linspace(-1, 1, len(columns))).sum() > 0:
        sprite = sprite[:, ::-1]
    left = (31 - sprite.shape[1]) // 2
    box = np.zeros((2, 24, 31), dtype=np.float32)
    alpha = sprite[..., 3]
    box[0, :, left : left + sprite.shape[1]] = alpha
    box[1, :, left : left + sprite.shape[1]] = (sprite[..., :3].mean(2) - 0.5) * alpha
    return box.ravel()


def sound_vector(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Log energy in 40 bands, even in pitch on a log scale, at every hundredth of a second."""
    wave = np.pad(make_sound(kind, rng), (0, 12800))[:12800]
    frames = np.lib.stride_tricks.sliding_window_view(wave, 512)[::160] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 257, 41).round().astype(int))
    return np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-2).ravel()


@pytest.mark.parametrize(("vector", "least"), [(picture_vector, 0.75), (sound_vector, 0.85)])
def test_the_mean_of_each_kind_tells_unseen_draws_apart(vector, least: float):
    """The nearest of 24 means: right for most unseen draws, chance being 4 percent; no kind is hopeless."""
    means = np.stack([np.mean([vector(k, rng_of(k, "fit", n)) for n in range(20)], axis=0) for k in KINDS])
    right = np.zeros((24, 8))
    for i, kind in enumerate(KINDS):
        for n in range(8):
            right[i, n] = ((means - vector(kind, rng_of(kind, "try", n))) ** 2).sum(1).argmin() == i
    assert right.mean() > least
    assert right.mean(1).min() > 0.3


def test_a_wrong_name_is_told_with_the_right_ones():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"kind must be one of dog.*found 'dragon'"):
        draw_thing("dragon", "red", 24, rng)
    with pytest.raises(ValueError, match=r"colour must be one of red.*found 'pink'"):
        draw_thing("dog", "pink", 24, rng)
    with pytest.raises(ValueError, match=r"kind must be one of dog.*found 'dragon'"):
        make_sound("dragon", rng)
