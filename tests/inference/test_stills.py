"""A picture that stays for hours is watched once: bounded work, true seconds, the same for a file and for a stream."""

from __future__ import annotations

import io
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mirasol.inference.answer import load
from mirasol.inference.files import watch
from mirasol.inference.follow import Follow
from mirasol.inference.intake import STILL
from mirasol.inference.session import Session, step_together
from mirasol.media.live import Live


def slides(*seconds: float) -> bytes:
    """A GIF of as many pictures."""
    pictures = [Image.new("RGB", (60, 40), (40 * place, 90, 200)) for place in range(len(seconds))]
    file = io.BytesIO()
    shown = [round(1000 * second) for second in seconds]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=shown)
    return file.getvalue()


def test_a_picture_shown_for_hours_is_watched_once_and_the_receipt_says_so() -> None:
    loaded = load("tiny-stream")
    found = watch(slides(2, 600, 3, 650), loaded).receipt
    assert found.end == 1255
    assert found.snippets < 4 * STILL
    assert sum(end - start for start, end in found.left_out) == 1255 - found.snippets
    assert any("the same picture" in line for line in found.warnings)
    short = watch(slides(2, STILL - 1, 3), loaded).receipt
    assert (short.snippets, short.left_out) == (STILL + 4, ())


def test_what_is_passed_over_does_not_depend_on_the_pieces_or_on_who_steps() -> None:
    loaded = load("tiny-stream")
    rng = np.random.default_rng(7)
    frames = rng.integers(0, 255, (3, 48, 72, 3), np.uint8)
    beep = rng.normal(0, 0.1, 8000).astype(np.float32)
    pieces = [(0.0, frames[0], None), (75.2, frames[1], None), (130.6, None, beep), (200.3, frames[2], None)]

    def stream() -> Session:
        return Session(loaded, start=0.0, patience=0.5)

    whole, stepwise, together = stream(), stream(), stream()
    for session in (whole, stepwise, together):
        for at, frame, wave in pieces:
            session.push(None if frame is None else [frame], wave, at=at)
            if session is stepwise:
                while session.step(3):
                    pass
            if session is together:
                while step_together([session], 5):
                    pass
        session.flush(230.0)
    wanted = whole.snapshot()
    assert wanted.receipt.snippets < 230 - 60
    for session in (stepwise, together):
        got = session.snapshot()
        assert got.receipt == wanted.receipt
        np.testing.assert_allclose(got.state.combiner.memory.tokens, wanted.state.combiner.memory.tokens, atol=1e-4)


def test_work_does_not_grow_with_the_seconds_that_timestamps_claim(tmp_path: Path) -> None:
    """A film that says something for a moment, every 50 minutes, for a day and more."""
    path = tmp_path / "slow.mkv"
    with av.open(str(path), "w") as out:
        picture = out.add_stream("ffv1", rate=25)
        picture.height, picture.width, picture.pix_fmt = 36, 60, "bgra"
        sound = out.add_stream("pcm_s16le", rate=8_000, layout="mono")
        for place in range(40):
            at = 3_000 * place
            frame = av.VideoFrame.from_ndarray(np.full((36, 60, 3), 2 * place, np.uint8), format="rgb24")
            frame.pts, frame.time_base = at * 1000, Fraction(1, 1000)
            out.mux(picture.encode(frame))
            wave = av.AudioFrame.from_ndarray(np.full((1, 800), 9_000, np.int16), format="s16", layout="mono")
            wave.pts, wave.time_base, wave.sample_rate = at * 8_000, Fraction(1, 8_000), 8_000
            out.mux(sound.encode(wave))
        out.mux(picture.encode(None))
    loaded = load("tiny-stream")
    began = time.process_time()
    asked = watch(path, loaded, end=115_000.0).receipt
    live = Live(str(path), sample_rate=loaded.model.sizes.sample_rate, fit=(48, 72))
    followed = Follow(Session(loaded, start=0.0), [live]).run().receipt
    assert time.process_time() - began < 30
    for receipt in (asked, followed):
        assert receipt.end > 114_000
        assert receipt.snippets < 40 * (STILL + 8)
        assert sum(end - start for start, end in receipt.left_out) > 0
        assert any("the same picture" in line for line in receipt.warnings)
    assert abs(asked.frames - followed.frames) < 0.1 * asked.frames
