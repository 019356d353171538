"""Real files, made on the spot, whose picture and sound tell their own time.

Each frame shows its timestamp in milliseconds as bits (bright and dark columns, read by a threshold, so that
lossy codecs do no harm). The sound is silent but for short beeps at known seconds.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 14  # milliseconds up to 16.4 s


def clock_picture(second: float, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: the milliseconds of `second` in binary, most significant bit first, as columns."""
    millis = round(second * 1000)
    bits = np.array([(millis >> (BITS - 1 - i)) & 1 for i in range(BITS)])
    columns = bits[np.minimum(np.arange(width) * BITS // width, BITS - 1)]
    picture = np.where(columns, 235, 20).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(picture[None, :, None], (height, width, 3)))


def read_clock(picture: np.ndarray) -> float:
    """The second that `clock_picture` wrote."""
    width = picture.shape[1]
    row = picture[picture.shape[0] // 4 : 3 * picture.shape[0] // 4].mean((0, 2))
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return int("".join("1" if row[c] > 128 else "0" for c in centres), 2) / 1000


def beeps(seconds: float, at: list[float], rate: int, channels: int) -> np.ndarray:
    """(channels, samples) float32: silence with beeps of 60 ms that begin at the seconds `at`."""
    wave = np.zeros(int(seconds * rate), np.float32)
    for second in at:
        begin = round(second * rate)
        length = min(int(0.06 * rate), len(wave) - begin)
        wave[begin : begin + length] = 0.6 * np.sin(2 * np.pi * 1100 * np.arange(length) / rate)
    return np.repeat(wave[None], channels, 0)


def heard_beeps(wave: np.ndarray, sample_rate: int, start: float) -> list[float]:
    """The seconds at which beeps begin."""
    loud = np.abs(wave) > 0.15
    edges = np.flatnonzero(loud)
    if not len(edges):
        return []
    first = edges[np.r_[True, np.diff(edges) > 0.05 * sample_rate]]
    return [start + index / sample_rate for index in first]


def make_film(
    path: Path | str,
    *,
    times: np.ndarray | None,
    size: tuple[int, int] = (64, 112),
    video: str = "libx264",
    pixels: str = "yuv420p",
    base: int = 24000,
    rate: int = 25,
    at: list[float] | None = None,
    seconds: float = 3.0,
    audio: str = "aac",
    audio_rate: int = 44100,
    channels: int = 2,
    audio_shift: float = 0.0,
    turn: int = 0,
    mirror: bool = False,
    aspect: Fraction | None = None,
    jitter: float = 0.0,
    seed: int = 0,
    options: dict[str, str] | None = None,
    format: str | None = None,
) -> None:
    """Write a film whose frames go on screen at `times` and whose beeps begin at `at` (both before any shift).

    `audio_shift`: seconds added to the timestamps of the sound alone. `times=None`: no picture; `at=None`: no sound.
    `turn` and `mirror` stand in the display matrix, `aspect` is that of the pixels. `jitter`: seconds by which packets
    of sound are out at most, but for the first, by chance (`seed`).
    """
    with av.open(str(path), "w", format=format) as out:
        picture = sound = None
        if times is not None:
            picture = out.add_stream(video, rate=rate, options={"g": "12", **(options or {})})
            picture.height, picture.width, picture.pix_fmt = *size, pixels
            picture.codec_context.time_base = Fraction(1, base)
            picture.codec_context.sample_aspect_ratio = aspect or Fraction(1)
            if turn or mirror:
                picture.set_display_rotation(turn, mirror)
        if at is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
            sound = out.add_stream(audio, rate=audio_rate, layout=layout)
        packets = []
        if picture is not None:
            packets += _encode_picture(picture, times, size, base)
        if sound is not None:
            heard = _encode_sound(sound, beeps(seconds, at, audio_rate, channels), audio_rate, audio_shift)
            packets += _moved(heard, jitter, np.random.default_rng(seed))
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            out.mux(packet)


def _moved(packets, jitter, chance):
    last = None
    for packet in packets:
        moved = packet.pts if last is None else packet.pts + round(chance.uniform(-jitter, jitter) / packet.time_base)
        packet.pts = packet.dts = last = moved if last is None else max(last + 1, moved)
    return packets


def _encode_picture(stream, times, size, base):
    packets = []
    for time in times:
        frame = av.VideoFrame.from_ndarray(clock_picture(float(time), *size), format="rgb24")
        frame.pts, frame.time_base = round(float(time) * base), Fraction(1, base)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _encode_sound(stream, wave, rate, shift):
    packets = []
    format = stream.codec_context.format.name
    resampler = av.AudioResampler(format=format, layout=stream.codec_context.layout, rate=rate)
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=stream.codec_context.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(shift * rate), Fraction(1, rate)
    fifo = av.AudioFifo()
    for piece in resampler.resample(frame) + resampler.resample(None):
        piece.pts = None
        fifo.write(piece)
    length = stream.codec_context.frame_size or 1024
    place = round(shift * rate)
    while fifo.samples:
        piece = fifo.read(min(length, fifo.samples))
        piece.pts, piece.time_base = place, Fraction(1, rate)
        place += piece.samples
        packets += stream.encode(piece)
    return packets + stream.encode(None)
