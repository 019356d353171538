"""Contract 10, time: what is seen and heard at a second of the clip is what the film shows and plays at that second.

The films have a clock burnt into the picture and beeps in the sound. They are written with a variable frame rate, with
sound that is late or early against the picture, and read whole, in pieces and from the middle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from films import heard_beeps, make_film, read_clock
from mirasol.media.reader import join, open_media

BEEPS = [0.5, 1.75, 3.2]
STEADY = np.arange(0, 4, 1 / 25)
VARIABLE = np.cumsum(np.random.default_rng(10).choice([0.02, 0.04, 0.1, 0.35], 44)) - 0.02


def asked(a: float, b: float) -> np.ndarray:
    """Three instants per second, off the beat of any frame rate."""
    return (np.arange(np.ceil(a * 3 - 0.5), np.ceil(b * 3 - 0.5)) + 0.5) / 3


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(("times", "shift"), [(STEADY, 0.0), (VARIABLE, 0.0), (STEADY, 0.7), (VARIABLE, -0.3)])
def test_picture_and_sound_agree_with_their_seconds(
    tmp_path: Path, suffix: str, times: np.ndarray, shift: float
) -> None:
    times = times[times < 4.0] - times[0]
    path = tmp_path / f"clock.{suffix}"
    make_film(path, times=times, at=BEEPS, seconds=4.0, audio_shift=shift, size=(48, 84))
    with open_media(path) as media:
        for start, piece_seconds in ((None, 1.0), (None, 50.0), (1.4, 0.5)):
            clip = join(media.pieces(start, instants=asked, piece_seconds=piece_seconds))
            # Some containers cannot say that sound began before the picture: the file then begins with the sound, and
            # everything is later by the same amount. What must hold is that clock and beeps keep their distance.
            seen = np.array([read_clock(frame) for frame in clip.frames])
            moved = float(np.median(clip.frame_times - seen))
            assert abs(moved) <= abs(min(shift, 0.0)) + 0.03
            np.testing.assert_allclose(seen, clip.frame_times - moved, atol=0.002)
            np.testing.assert_allclose(
                seen, times[np.searchsorted(times, clip.frame_instants - moved + 0.001) - 1], atol=0.002
            )
            heard = heard_beeps(clip.waveform, clip.sample_rate, clip.waveform_start)
            expected = np.array(BEEPS) + shift + moved
            np.testing.assert_allclose(heard, expected[expected > (start or 0.0)], atol=0.01)
            last = min(clip.end, times[-1] + moved)
            assert clip.frame_instants[-1] > last - 0.4


def test_every_piece_holds_its_own_seconds(tmp_path: Path) -> None:
    make_film(tmp_path / "clock.mp4", times=STEADY, at=BEEPS, seconds=4.0, audio_shift=0.7, size=(48, 84))
    with open_media(tmp_path / "clock.mp4") as media:
        heard: list[float] = []
        for clip in media.pieces(instants=asked, piece_seconds=1.0):
            assert np.all((clip.frame_instants >= clip.start) & (clip.frame_instants < clip.end))
            for frame, instant in zip(clip.frames, clip.frame_instants, strict=True):
                assert 0 <= instant - read_clock(frame) < 1 / 25 + 0.001
            if len(clip.waveform):
                assert clip.start - 1e-9 <= clip.waveform_start
                assert clip.waveform_end <= clip.end + 1e-4
            heard += heard_beeps(clip.waveform, clip.sample_rate, clip.waveform_start)
    np.testing.assert_allclose(heard, np.array(BEEPS) + 0.7, atol=0.01)
