"""How fast training is fed, against PyAV alone; and whether a feed of many, partly damaged examples holds.

    python benchmarks/bench_loader.py speed [--workers 1] [--rounds 5] [--preset small] [--size 360x640]
    python benchmarks/bench_loader.py damaged [--examples 10000] [--epochs 1] [--workers 1]
    python benchmarks/bench_loader.py listed [--examples 200000]

speed     clips per second of `ItemBatches` (frames, log-mel, ids, batches) beside the shortest PyAV loop that decodes
          the same clips: one scaler, the frames on screen at the instants of the model, the sound resampled; as many
          processes, one thread each. Rounds by turns, medians. On a busy machine CPU seconds are the steadier number.
damaged   shards in which one example of a hundred is broken in one of several ways: all that is named is broken, all
          that is broken is named, and the memory of all processes after each epoch.
listed    what a list of so many items takes: bytes of memory each, seconds to open, microseconds to look one up.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from mirasol.data.batches import ItemBatches
from mirasol.data.items import Item
from mirasol.data.opening import open_items
from mirasol.data.preparing import How, planned
from mirasol.data.shards import ShardItems
from mirasol.data.writing import ShardWriter
from mirasol.media.pictures import fit_size
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text, train_tokenizer

CLIPS = 8  # of a batch


def make_film(path: Path, size: tuple[int, int], seconds: float, seed: int, rate: int = 30) -> None:
    """Movement and grain, so that decoding has something to do; H.264 and AAC."""
    random = np.random.default_rng(seed)
    height, width = size
    grain = random.integers(0, 30, (height + 32, width + 32, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "g": "60"})
        picture.height, picture.width, picture.pix_fmt = height, width, "yuv420p"
        sound = out.add_stream("aac", rate=44_100, layout="stereo")
        for index in range(round(seconds * rate)):
            x, y = random.integers(0, 32, 2)
            image = grain[y : y + height, x : x + width] + np.uint8(60 + (index + seed) % 100)
            left = (index * 7 + seed * 31) % (width // 2)
            image[height // 4 : height // 2, left : left + width // 4] = (200, 80, 30)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(picture.encode(None))
        for place in range(0, round(seconds * 44_100), 1_024):
            wave = np.repeat(0.3 * np.sin(np.arange(place, place + 1_024) * 0.06)[None].astype(np.float32), 2, 0)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, place, Fraction(1, 44_100)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


# -- speed


def bare(job: tuple[str, float, tuple[int, int], int]) -> int:
    """One clip with PyAV alone: its frames on screen and its sound; gives the number of frames."""
    path, rate, fit, sample_rate = job
    frames = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        scaler, place, now = VideoReformatter(), 0, None
        height, width = fit_size((stream.height, stream.width), fit)

        def show(frame: Any) -> None:
            scaled = scaler.reformat(frame, width, height, "rgb24", interpolation="AREA", threads=1)
            frames.append(scaled.to_ndarray())

        for frame in container.decode(stream):
            while now is not None and (place + 0.5) / rate < frame.time:
                show(now)
                place += 1
            now = frame
        while now is not None and (place + 0.5) / rate < now.time + float(now.duration * now.time_base):
            show(now)
            place += 1
    with av.open(path) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
        parts = [r.to_ndarray()[0] for f in container.decode(audio=0) for r in resampler.resample(f)]
        np.concatenate(parts + [r.to_ndarray()[0] for r in resampler.resample(None)])
    return len(np.stack(frames))


def cpu_seconds() -> float:
    """Of this process and of its children that run now."""
    ticks = 0
    for pid in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def timed(clips: Iterator[int], warm: int, count: int) -> tuple[float, float]:
    """(seconds, CPU seconds) of one clip, over at least `count` clips after `warm` ones; each step says how many."""
    done = 0
    while done < warm:
        done += next(clips)
    begun, used, done = time.perf_counter(), cpu_seconds(), 0
    while done < count:
        done += next(clips)
    return (time.perf_counter() - begun) / done, (cpu_seconds() - used) / done


def speed(options: argparse.Namespace, folder: Path) -> None:
    sizes = PRESETS[options.preset]
    height, width = map(int, options.size.split("x"))
    paths = []
    for number in range(options.films):
        paths.append(str(folder / f"{number}.mp4"))
        make_film(Path(paths[-1]), (height, width), options.seconds, number)
    items = [Item(path, path, ((None, "a film with grain"), ("what moves?", "a box"))) for path in paths]
    text = Text(train_tokenizer(["a film with grain", "what moves?"], 300))
    jobs = [(path, sizes.frame_rate, (sizes.height, sizes.width), sizes.sample_rate) for path in paths]

    figures: dict[str, list[tuple[float, float]]] = {"PyAV alone": [], "ItemBatches": []}
    for turn in range(options.rounds):
        for name in (list(figures), list(figures)[::-1])[turn % 2]:
            if name == "PyAV alone":
                with multiprocessing.Pool(options.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                    share = (jobs * (options.clips * 2 // len(jobs) + 2))[: options.clips * 2]
                    figures[name].append(timed(iter_ones(pool, share), options.workers, options.clips))
            else:
                feed = ItemBatches(items, sizes, text, clips=CLIPS).feed(workers=options.workers)
                figures[name].append(timed((CLIPS for _ in feed), 2 * CLIPS, options.clips))
                del feed
    print("| what | clips per second | CPU seconds per clip |\n|---|---:|---:|")
    for name, rounds in figures.items():
        wall, used = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"| {name} | {1 / wall:.2f} | {used:.4f} |")
    ratios = [
        statistics.median(one[at] / other[at] for one, other in zip(*figures.values(), strict=True)) for at in (0, 1)
    ]
    print(
        f"ItemBatches / PyAV alone, median of pairs: {ratios[0]:.3f} by clips per second, {ratios[1]:.3f} by CPU time"
    )


def iter_ones(pool: Pool, jobs: list[Any]) -> Iterator[int]:
    for _ in pool.imap_unordered(bare, jobs):
        yield 1


# -- damaged

# How an example is broken, and what the report must say of it.
BREAKS = ("truncated", "zeros", "empty", "shorter than it states", "without a text")


def broken(kind: str, film: bytes, caption: str) -> tuple[bytes, tuple[tuple[str | None, str], ...]]:
    """(bytes, pairs) of an example that is broken so."""
    pairs: tuple[tuple[str | None, str], ...] = ((None, caption),)
    if kind == "truncated":  # the table of a film lies at its end
        return film[: len(film) * 2 // 3], pairs
    if kind == "zeros":
        return bytes(len(film)), pairs
    if kind == "empty":
        return b"", pairs
    if kind == "shorter than it states":  # with its table at the start it opens, and ends too early
        return cut_short(film), pairs
    assert kind == "without a text"
    return film, ()


def cut_short(film: bytes) -> bytes:
    """The film in another container that states the whole length first, cut in the middle."""
    written = BytesIO()
    with av.open(BytesIO(film)) as given, av.open(written, "w", format="matroska") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return written.getvalue()[: len(written.getvalue()) // 3]


def marked(film: bytes, number: int) -> bytes:
    """The same film with other bytes: a box of no meaning at its end."""
    note = f"example {number}".encode()
    return film + (len(note) + 8).to_bytes(4, "big") + b"free" + note


def make_shards(folder: Path, examples: int, *, share: float = 0.01, per_shard: int = 500, seed: int = 0) -> set[str]:
    """Shards of tiny real films, a `share` of them broken; gives the names of those."""
    chance = random.Random(seed)
    films = []
    for number in range(8):
        path = folder / f"film-{number}.mp4"
        make_film(path, (48 + 16 * (number % 3), 72 + 8 * number), 2.0 + 0.5 * (number % 4), number, rate=10)
        films.append(path.read_bytes())
        path.unlink()
    bad = set(chance.sample(range(examples), max(len(BREAKS), round(share * examples))))
    names, writer = set(), None
    for number in range(examples):
        if number % per_shard == 0:
            if writer is not None:
                writer.close()
            writer = ShardWriter(folder / f"data-{number // per_shard:06d}.tar")
        assert writer is not None
        film, caption = films[number % len(films)], f"film {number % len(films)}"
        pairs: tuple[tuple[str | None, str], ...] = ((None, caption),)
        if number in bad:
            names.add(f"{writer.path}:{writer.base}")
            film, pairs = broken(BREAKS[len(names) % len(BREAKS)], film, caption)
        writer.add([("mp4", marked(film, number) if film else film)], pairs)
    assert writer is not None
    writer.close()
    return names


def resident() -> tuple[float, float]:
    """MB that this process holds, and that its loader processes hold: without files, whose pages others share."""

    def own(pid: int) -> float:
        lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(words[1]) for words in lines if words[:1] in (["RssAnon:"], ["RssShmem:"])) / 1_024

    return own(os.getpid()), sum(own(child.pid or 0) for child in multiprocessing.active_children())


def damaged(options: argparse.Namespace, folder: Path) -> None:
    begun = time.perf_counter()
    expected = make_shards(folder, options.examples)
    items = open_items(folder)
    assert isinstance(items, ShardItems)
    print(f"{len(items)} examples, {len(expected)} broken, made in {time.perf_counter() - begun:.0f} s")
    text = Text(train_tokenizer([f"film {number}" for number in range(8)], 300))
    batches = ItemBatches(items, PRESETS["tiny"], text, clips=CLIPS)
    feed = batches.feed(workers=options.workers)
    print("| epoch | clips per second | named | MB here | MB in loader processes |\n|---|---:|---:|---:|---:|")
    for epoch in range(1, options.epochs + 1):
        begun, clips = time.perf_counter(), 0
        while batches.report()["decoded"] < epoch * len(items):
            next(feed)
            clips += CLIPS
        here, there = resident()
        rate = clips / (time.perf_counter() - begun)
        print(f"| {epoch} | {rate:.1f} | {len(batches.report()['bad'])} | {here:.0f} | {there:.0f} |", flush=True)
    named = {bad["key"] for bad in batches.report()["bad"]}
    print(f"broken and not named: {len(expected - named)}; named and not broken: {len(named - expected)}")
    reasons: dict[str, int] = {}
    for bad in batches.report()["bad"]:
        words = " ".join(word for word in bad["reason"].split() if not any(c in word for c in "/0123456789'"))
        reasons[words] = reasons.get(words, 0) + 1
    print(json.dumps(reasons, indent=2))


# -- listed


def write_lists(folder: Path, examples: int) -> dict[str, Path]:
    """A manifest, and shards of 10 000 examples that take no room on disk but for their indexes."""
    caption = "somebody walks along a street and a dog barks"
    with (folder / "data.jsonl").open("w") as file:
        for number in range(examples):
            row = {
                "file": f"videos/{number // 1_000:05d}/{number:08d}.mp4",
                "start": 1.5,
                "end": 11.5,
                "caption": caption,
            }
            file.write(json.dumps(row) + "\n")
    shards = folder / "shards"
    shards.mkdir()
    for first in range(0, examples, 10_000):
        writer = ShardWriter(shards / f"data-{first // 10_000:06d}.tar")
        for _ in range(min(10_000, examples - first)):
            writer.add([("mp4", b"here a film would be")], ((None, caption),))
        writer.close()
    return {"manifest (.jsonl)": folder / "data.jsonl", "shards": shards}


def held() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def plan(examples: int) -> tuple[float, float]:
    """In a process of its own: (bytes for each item, CPU seconds) of the plan that `mirasol prepare` makes."""
    chance = random.Random(0)
    rows = (
        {"content": chance.randbytes(32).hex(), "start": None, "end": None, "size": 10**6, "captions": True}
        for _ in range(examples)
    )
    before, begun = held(), time.process_time()
    shards, _, _ = planned(rows, How())
    assert sum(map(len, shards)) == examples
    return (held() - before) / examples, time.process_time() - begun


def open_and_look(path: Path) -> tuple[float, float, float]:
    """In a process of its own: (bytes for each item, CPU seconds to open, CPU seconds to look one up)."""

    before, begun = held(), time.process_time()
    items = open_items(path)
    took, memory = time.process_time() - begun, held() - before
    chance, begun = random.Random(0), time.process_time()
    for _ in range(2_000):
        items[chance.randrange(len(items))]
    return memory / len(items), took, (time.process_time() - begun) / 2_000


def listed(options: argparse.Namespace, folder: Path) -> None:
    print("| list | bytes per item | CPU s to open | CPU microseconds to look one up |\n|---|---:|---:|---:|")
    for name, path in write_lists(folder, options.examples).items():
        with multiprocessing.Pool(1) as pool:
            memory, took, look = pool.apply(open_and_look, (path,))
        print(f"| {name} | {memory:.0f} | {took:.1f} | {look * 1e6:.0f} |")
    with multiprocessing.Pool(1) as pool:
        memory, took = pool.apply(plan, (options.examples,))
    print(f"| plan of `mirasol prepare` | {memory:.0f} | {took:.1f} | |")


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "damaged", "listed"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preset", default="small", choices=PRESETS, help="speed: whose frames and sound")
    parser.add_argument("--size", default="360x640", help="speed: of the films, HxW")
    parser.add_argument("--films", type=int, default=6, help="speed: how many")
    parser.add_argument("--seconds", type=float, default=6.0, help="speed: of each")
    parser.add_argument("--clips", type=int, default=48, help="speed: of one round")
    parser.add_argument("--examples", type=int, default=10_000, help="damaged, listed: how many")
    parser.add_argument("--epochs", type=int, default=1, help="damaged: how often all are seen")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        {"speed": speed, "damaged": damaged, "listed": listed}[options.what](options, Path(folder))


if __name__ == "__main__":
    main()
