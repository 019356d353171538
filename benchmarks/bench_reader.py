"""How fast the reader is against PyAV alone for the same frames (and the same sound).

    python benchmarks/bench_reader.py [FILE ...] [--rounds 7]

Without a file, a film of 20 s, 1280x720, H.264 and AAC, is made in a temporary folder. "PyAV alone" is the shortest
loop that gives the same: one shared scaler, the frame on screen at each asked instant, one resampler for the sound.
Both run by turns, and the medians are compared: a rate of 1.0 means that the reader costs nothing on top of PyAV.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mirasol.media.reader import join, open_media

RATE, FIT = 4, (48, 72)


def instants(a: float, b: float) -> np.ndarray:
    """The middle of each quarter of a second."""
    return (np.arange(np.ceil(a * RATE - 0.5), np.ceil(b * RATE - 0.5)) + 0.5) / RATE


def make_film(path: Path, seconds: int = 20) -> None:
    """A film with movement and grain, so that decoding has something to do."""
    random = np.random.default_rng(1)
    grain = random.integers(0, 40, (720 + 64, 1280 + 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": "60"})
        picture.width, picture.height, picture.pix_fmt = 1280, 720, "yuv420p"
        sound = out.add_stream("aac", rate=44100, layout="stereo")
        for index in range(seconds * 30):
            x, y = random.integers(0, 64, 2)
            image = grain[y : y + 720, x : x + 1280] + np.uint8(60 + index % 100)
            image[200:400, (index * 7) % 1000 : (index * 7) % 1000 + 200] = (200, 80, 30)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(picture.encode(None))
        for place in range(0, seconds * 44100, 1024):
            wave = np.repeat(0.3 * np.sin(np.arange(place, place + 1024) * 0.06)[None].astype(np.float32), 2, 0)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44100, place, Fraction(1, 44100)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


def bare_frames(path: str) -> Iterator[np.ndarray]:
    """The frames on screen at the asked instants, with PyAV alone."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        scaler, place, now = VideoReformatter(), 0, None
        height = width = 0
        for frame in container.decode(stream):
            while now is not None and (place + 0.5) / RATE < frame.time:
                yield scaler.reformat(now, width, height, "rgb24", interpolation="AREA").to_ndarray()
                place += 1
            if now is None:
                scale = min(FIT[0] / frame.height, FIT[1] / frame.width)
                height, width = round(frame.height * scale), round(frame.width * scale)
            now = frame
        while now is not None and (place + 0.5) / RATE < now.time + float(now.duration * now.time_base):
            yield scaler.reformat(now, width, height, "rgb24", interpolation="AREA").to_ndarray()
            place += 1


def bare(path: str, sound: bool) -> int:
    """Number of frames; the sound is resampled too where asked."""
    frames = np.stack(list(bare_frames(path)))
    if sound:
        with av.open(path) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
            parts = [r.to_ndarray()[0] for f in container.decode(audio=0) for r in resampler.resample(f)]
            parts += [r.to_ndarray()[0] for r in resampler.resample(None)]
            np.concatenate(parts)
    return len(frames)


def ours(path: str, sound: bool) -> int:
    """The same with the reader, opening included."""
    with open_media(path) as media:
        clip = join(media.pieces(instants=instants, fit=FIT, sound=sound))
    assert clip.frames is not None
    return len(clip.frames)


def compare(path: str, sound: bool, rounds: int) -> None:
    """Print one row: medians of both and their ratio."""
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    counts = {}
    for turn in range(rounds + 1):
        for name, job in (("bare", bare), ("ours", ours)) if turn % 2 else (("ours", ours), ("bare", bare)):
            begun = time.perf_counter()
            counts[name] = job(path, sound)
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)
    alone, reader = statistics.median(seconds["bare"]), statistics.median(seconds["ours"])
    what = "picture and sound" if sound else "picture"
    print(
        f"| {Path(path).name} | {what} | {counts['bare']} / {counts['ours']} "
        f"| {alone:.3f} | {reader:.3f} | {alone / reader:.3f} |",
        flush=True,
    )


def main() -> None:
    """Measure the files named, or the film made here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = options.files
        if not files:
            make_film(Path(folder) / "made.mp4")
            files = [str(Path(folder) / "made.mp4")]
        print("| film | decoded | frames, alone / reader | PyAV alone, s | reader, s | rate of the reader |")
        print("|---|---|---|---|---|---|")
        for file in files:
            with open_media(file) as media:
                has_sound = media.has_sound
            compare(file, False, options.rounds)
            if has_sound:
                compare(file, True, options.rounds)


if __name__ == "__main__":
    main()
