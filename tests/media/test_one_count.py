"""`ask` and `watch` read the same from the same file: frames, samples and seconds, whatever its streams are like."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from films import make_film, read_clock
from mirasol.inference.intake import Intake
from mirasol.media.live import Live
from mirasol.media.reader import join, open_media, read
from mirasol.model.sizes import Sizes
from strange import strange

RATE = 16_000


def watched(source: object, fit: tuple[int, int] | None = (30, 50)) -> tuple[list, np.ndarray, np.ndarray, Live]:
    """Frames, their seconds, and the samples from second 0 on, with zeros in the holes."""
    live = Live(source, sample_rate=RATE, fit=fit)
    frames, times, parts = [], [], []
    for arrival in live:
        assert (arrival.frame is None) != (arrival.waveform is None), "every arrival is a frame or samples"
        if arrival.frame is not None:
            frames.append(arrival.frame())
            times.append(arrival.time)
        elif arrival.kind == "sound":
            parts.append((round(arrival.time * RATE), arrival.waveform))
    wave = np.zeros(max((at + len(part) for at, part in parts), default=0), np.float32)
    for at, part in parts:
        wave[at : at + len(part)] = part
    return frames, np.array(times), wave, live


def tone_file(path: Path, out: float, seconds: int = 4, seed: int = 0) -> None:
    """A tone without a break; the timestamps of its packets are out by up to `out` seconds."""
    chance = np.random.default_rng(seed)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        wave = (16_000 * np.sin(2 * np.pi * 440 * np.arange(seconds * RATE) / RATE)).astype(np.int16)
        last = -1
        for at in range(0, len(wave), 640):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 640], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            for packet in stream.encode(frame):
                moved = at + (round(chance.uniform(-out, out) * RATE) if at else 0)
                packet.time_base = Fraction(1, RATE)
                packet.pts = packet.dts = last = max(last + 16, moved)
                file.mux(packet)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_ask_and_watch_read_the_same(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    made = strange(tmp_path_factory.mktemp("strange"), seed)
    with open_media(made.path) as media:
        clip = join(media.pieces(fit=(30, 50), piece_seconds=0.7))
        if made.parts > 1:
            assert media.duration == pytest.approx(clip.end, abs=0.1)
        frames, times, wave, live = watched(str(made.path))
        assert live.report.lines() == media.warnings
        assert not media.warnings or made.parts > 1
    assert live.end == pytest.approx(clip.end, abs=1e-4)
    assert media.has_picture == bool(frames)
    if clip.frames is not None:
        np.testing.assert_allclose(times, clip.frame_times, atol=1e-6)
        np.testing.assert_array_equal(np.stack(frames), clip.frames)
        assert not made.white or clip.frames[:, -3:].min() > 240
    if clip.waveform is not None:
        first = round(clip.waveform_start * RATE)
        assert len(wave) == first + len(clip.waveform)
        np.testing.assert_allclose(wave[first:], clip.waveform, atol=1e-6)
    start = 0.6 * clip.end  # beyond the first part, where there are several
    late = read(made.path, start, start + 0.3, fit=(30, 50))
    if clip.frames is not None:
        inside = (clip.frame_times >= start) & (clip.frame_times < start + 0.3)
        np.testing.assert_array_equal(late.frames, clip.frames[inside])
    if made.even and clip.waveform is not None and late.waveform is not None and len(late.waveform):
        first = round((late.waveform_start - clip.waveform_start) * RATE)
        np.testing.assert_allclose(late.waveform, clip.waveform[first : first + len(late.waveform)], atol=0.02)


def test_joined_recordings_keep_picture_and_sound_together(tmp_path: Path) -> None:
    make_film(tmp_path / "a.ts", times=np.arange(75) / 25, at=[5.0], seconds=2.2)
    make_film(tmp_path / "b.ts", times=np.arange(75) / 25, at=[1.0], seconds=3.0)
    (tmp_path / "joined.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    clip = read(tmp_path / "joined.ts")
    seen = np.array([read_clock(frame) for frame in clip.frames])
    shown = clip.frame_times[75:][np.argmin(np.abs(seen[75:] - 1.0))]
    heard = clip.waveform_start + np.flatnonzero(np.abs(clip.waveform) > 0.15)[0] / RATE
    assert shown == pytest.approx(4.0, abs=0.05)
    assert heard == pytest.approx(shown, abs=0.03)


@pytest.mark.parametrize("out", [0.01, 0.03, 0.06])
def test_timestamps_that_jitter_move_no_sample(tmp_path: Path, out: float) -> None:
    tone_file(tmp_path / "tone.mkv", out)
    truth = 16_000 / 32_768 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)
    _, _, wave, _ = watched(str(tmp_path / "tone.mkv"))
    for found in (read(tmp_path / "tone.mkv").waveform, wave):
        assert len(found) == 4 * RATE
        np.testing.assert_allclose(found, truth, atol=1e-3)


def test_a_source_without_timestamps_has_seconds(tmp_path: Path) -> None:
    make_film(tmp_path / "raw.h264", times=np.arange(50) / 25, at=None, base=25, format="h264")
    data = (tmp_path / "raw.h264").read_bytes()

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self._rest = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self._rest.read(size)

    for source in (str(tmp_path / "raw.h264"), Pipe()):
        frames, times, _, _ = watched(source, None)
        np.testing.assert_allclose(times, np.arange(50) / 25, atol=0.002)
        np.testing.assert_allclose([read_clock(frame) for frame in frames], times, atol=0.002)


def test_pixels_that_are_not_square_and_a_late_portrait(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for at in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts = at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert watched(str(tmp_path / "wide.mp4"), None)[0][0].shape == (48, 128, 3)
    make_film(
        tmp_path / "late.mp4", times=56 + np.arange(5) / 25, at=[1.0], seconds=58.0, turn=90, size=(48, 84), channels=1
    )
    with open_media(tmp_path / "late.mp4") as media:
        assert media.size == (84, 48)


@pytest.mark.parametrize("length", [0.5, 1.0, 1.5, 2.5, 3.5])
def test_a_sender_that_restarts_loses_nothing(length: float) -> None:
    sizes = Sizes()
    intake = Intake(sizes)
    half = sizes.sample_rate // 2
    for _ in range(6):
        for at in np.arange(0, length, 0.5):
            for step in (0.0, 0.25):
                intake.picture(at + step, np.zeros((6, 9, 3), np.uint8))
            intake.sound(at, np.ones(half, np.float32))
    assert intake.clock == pytest.approx(6 * length, abs=0.3)
    left, end = intake.flush()
    assert end == pytest.approx(6 * length, abs=0.01)
    intake.take(left)
    assert intake.counts.samples == 6 * length * sizes.sample_rate
    assert intake.counts.late_frames == 0
