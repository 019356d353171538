"""`snippets`: the arithmetic of time, against loops that look at one instant and one sample at a time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from helpers import random_sizes, random_split
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import cut, instants, on_screen


def test_instants_of_pieces_join_to_those_of_the_whole(seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(50):
        sizes = random_sizes(chance, "local")
        origin, length = chance.uniform(0, 5), chance.uniform(0.5, 9) * sizes.snippet_seconds
        whole = instants(sizes, origin, origin + length, origin)
        wanted = [origin + (k + 0.5) / sizes.frame_rate for k in range(1000) if (k + 0.5) / sizes.frame_rate < length]
        assert whole.tolist() == pytest.approx(wanted)
        cuts = [origin + length * part / 10 for part in range(11)]
        pieces = [instants(sizes, cuts[first], cuts[last], origin) for first, last in random_split(chance, 10)]
        assert np.concatenate(pieces).tolist() == whole.tolist()


def test_the_frame_on_screen_by_a_loop(seeds: int) -> None:
    numbers = np.random.default_rng(seeds)
    times = np.sort(numbers.uniform(0, 10, 17))
    asked = np.concatenate([numbers.uniform(-1, 12, 90), times])  # a frame is on screen from its very timestamp on
    found = on_screen(times, asked, 9.5)
    for instant, index in zip(asked, found, strict=True):
        begun = [at for at, time in enumerate(times) if time <= instant]
        assert index == (begun[-1] if begun and instant < 9.5 else -1)


def test_cut_by_loops(seeds: int) -> None:
    """Snippet, frame and sample, each looked up on its own; sound that starts late or early stays in place."""
    chance, numbers = random.Random(seeds), np.random.default_rng(seeds)
    for _ in range(20):
        sizes = random_sizes(chance, "local")
        origin, first, count = chance.uniform(0, 5), chance.randint(0, 3), chance.randint(1, 5)
        end = origin + 6.37 * sizes.snippet_seconds
        times = np.sort(numbers.uniform(origin - 0.1, end, 13))
        shift = chance.randint(-2 * sizes.samples, 4 * sizes.samples)  # in samples
        sound = numbers.normal(size=chance.randint(1, 5 * sizes.samples)).astype(np.float32)
        pieces = cut(
            sizes, origin=origin, first=first, count=count, frame_times=times, picture_end=end, waveform=sound,
            waveform_start=origin + shift / sizes.sample_rate,
        )  # fmt: skip
        for s in range(count):
            start = origin + (first + s) * sizes.snippet_seconds
            assert pieces.seconds[s].tolist() == pytest.approx([start, start + sizes.snippet_seconds])
            for f in range(sizes.frames):
                instant = start + (f + 0.5) / sizes.frame_rate
                begun = [at for at, time in enumerate(times) if time <= instant]
                assert pieces.frames[s, f] == (begun[-1] if begun and instant < end else -1)
            for k in range(sizes.samples):
                at = (first + s) * sizes.samples + k - shift
                there = 0 <= at < len(sound)
                assert pieces.heard[s, k] == there
                assert pieces.waveform[s, k] == (sound[at] if there else 0)


def test_frames_that_were_asked_for_go_where_they_were_asked(seeds: int) -> None:
    chance = random.Random(seeds)
    sizes = Sizes()
    asked = instants(sizes, 2.0, 7.0, 2.0)
    chosen = sorted(chance.sample(range(len(asked)), 11))
    times = asked[chosen] - 0.1
    pieces = cut(sizes, origin=2.0, first=0, count=5, frame_times=times, frame_instants=asked[chosen])
    wanted = np.full(20, -1)
    wanted[chosen] = np.arange(11)
    assert pieces.frames.reshape(-1).tolist() == wanted.tolist()


def test_nothing_given_is_nothing_real() -> None:
    pieces = cut(Sizes(), origin=1.5, first=2, count=3)
    assert pieces.frames.shape == (3, 4)
    assert pieces.waveform.shape == pieces.heard.shape == (3, 16_000)
    assert (pieces.frames == -1).all()
    assert not pieces.heard.any()
    assert pieces.seconds.tolist() == [[3.5, 4.5], [4.5, 5.5], [5.5, 6.5]]
