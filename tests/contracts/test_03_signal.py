"""Contract 3, signal: a snippet's pictures and spectrogram are the same for a whole file and for its pieces."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from helpers import COMBINERS, difference, random_sizes, random_split
from mirasol.model.inputs import Inputs, silence_before, snippet_inputs
from mirasol.model.signals import left_samples, log_mel
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import cut, snippet_count

SNIPPETS = 7


def stream(sizes: Sizes, chance: random.Random) -> dict:
    """A source with frames at odd times, sound that begins late or early and ends somewhere, an odd start second."""
    numbers = np.random.default_rng(chance.randrange(2**32))
    origin, length = chance.uniform(0, 9), SNIPPETS * sizes.snippet_seconds
    times = np.sort(origin + numbers.uniform(-0.2, 0.95, chance.randint(2, 5) * SNIPPETS) * length)
    frames = numbers.integers(0, 256, (len(times), chance.randint(5, 9), chance.randint(10, 19), 3), dtype=np.uint8)
    start = origin + chance.uniform(-1, 2) * sizes.snippet_seconds
    sound = numbers.normal(0, 0.1, round(chance.uniform(0.5, 1) * SNIPPETS * sizes.samples)).astype(np.float32)
    return {"origin": origin, "times": times, "frames": frames, "start": start, "sound": sound, "end": origin + length}


def piece(sizes: Sizes, source: dict, first: int, last: int, before: np.ndarray) -> tuple[Inputs, np.ndarray]:
    """Snippets [first, last) from only the media that a reader has by then; and the sound that the next piece needs."""
    length, rate, origin = sizes.snippet_seconds, sizes.sample_rate, source["origin"]
    begin, end = origin + first * length, origin + last * length
    on = max(0, int(np.searchsorted(source["times"], begin, side="right")) - 1)
    off = int(np.searchsorted(source["times"], end))
    shift = round((source["start"] - origin) * rate)  # the sample of the stream at which the sound starts
    low, high = max(0, first * sizes.samples - shift), max(0, last * sizes.samples - shift)
    pieces = cut(
        sizes, origin=origin, first=first, count=last - first, frame_times=source["times"][on:off],
        picture_end=source["end"], waveform=source["sound"][low:high], waveform_start=source["start"] + low / rate,
    )  # fmt: skip
    carried = np.concatenate([before, pieces.waveform.reshape(-1)])
    return snippet_inputs(source["frames"][on:off], pieces, before, sizes), carried[len(carried) - len(before) :]


@pytest.mark.parametrize("combiner", COMBINERS[:1])
def test_whole_and_in_pieces(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(20):
        sizes = random_sizes(chance, combiner, 0, SNIPPETS)
        source = stream(sizes, chance)
        whole, _ = piece(sizes, source, 0, SNIPPETS, silence_before(sizes))
        parts, before = [], silence_before(sizes)
        for first, last in random_split(chance, SNIPPETS):
            part, before = piece(sizes, source, first, last, before)
            parts.append(part)
        for name in Inputs.__dataclass_fields__:
            joined = torch.cat([getattr(part, name) for part in parts], dim=1)
            if name == "input_features":
                assert difference(joined, whole.input_features) < 1e-6
            else:
                assert torch.equal(joined, getattr(whole, name)), name
        assert whole.frame_mask.any()
        assert whole.column_mask.any()


def test_tiny_seconds_of_a_real_rate(seeds: int) -> None:
    """The sizes that we ship: 16 kHz, one snippet a second; bounds in the scale of what the model reads."""
    sizes, chance = Sizes(), random.Random(seeds)
    source = stream(sizes, chance)
    whole, _ = piece(sizes, source, 0, SNIPPETS, silence_before(sizes))
    before = silence_before(sizes)
    for at in range(SNIPPETS):
        part, before = piece(sizes, source, at, at + 1, before)
        assert difference(part.input_features[:, 0], whole.input_features[:, at]) < 1e-6
        assert torch.equal(part.pixel_values_videos[:, 0], whole.pixel_values_videos[:, at])


def test_log_mel_never_looks_ahead_nor_at_loudness_elsewhere(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(20):
        sizes = random_sizes(chance, "local")
        columns, left = 31, left_samples(sizes)
        sound = torch.randn(left + columns * sizes.hop)
        heard = chance.randint(1, columns - 1)  # columns that end before the change
        later = sound.clone()
        later[left + heard * sizes.hop :] = 100 * torch.randn(len(sound) - left - heard * sizes.hop)
        one, other = log_mel(sound, sizes), log_mel(later, sizes)
        assert one.shape == (sizes.mels, columns)
        assert torch.equal(one[:, :heard], other[:, :heard])
        assert not torch.equal(one[:, heard], other[:, heard])


def test_snippet_count_covers_all_and_no_more(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(200):
        sizes = Sizes().change(frames=chance.choice((4, 8, 12)), tubes=(((1, 8, 8), (1, 8, 8), (0, 0, 0)),))
        seconds = chance.uniform(0, 50)
        count = snippet_count(sizes, seconds)
        assert count * sizes.snippet_seconds >= seconds - 1e-5
        assert count == 1 or (count - 1) * sizes.snippet_seconds < seconds
