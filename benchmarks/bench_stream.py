"""What a stream costs as it goes on: memory of the process, time per snippet, bytes of the saved session; and how fast
a 1280x720 film with sound is followed, decoding included.

    python benchmarks/bench_stream.py [--snippets 10000] [--model tiny-stream] [--json FILE]
    python benchmarks/bench_stream.py --plot FILE      docs/memory.png from such a file

Pictures and sound are noise made on the fly, so nothing of the stream is kept outside the session. Every table is one
run of this process. Targets: process memory after the last snippet at most 2 % above that after the 100th, time per
snippet within 10 %, the saved session of one size; the film at five times real time or more.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_reader import make_film

from mirasol.inference.answer import Loaded, load
from mirasol.inference.follow import Follow, process_bytes
from mirasol.inference.session import Session
from mirasol.media.live import Live

QUESTION = "what do you hear?"


def stream(loaded: Loaded, snippets: int, folder: Path) -> list[dict[str, Any]]:
    """Rows at 10, 100, 1000, ... snippets: seconds of the stream, memory, time per snippet since the last row: of the
    processor, so that what else the machine does counts little."""
    sizes = loaded.model.sizes
    length, noise = sizes.snippet_seconds, np.random.default_rng(0)
    marks = sorted({10, 100, 300, 1_000, 3_000, 10_000, 30_000, 86_400, snippets})
    session, rows = Session(loaded, start=0.0), []
    begun, since = time.process_time(), 0
    for snippet in range(snippets):
        at = snippet * length
        frames = noise.integers(0, 256, (sizes.frames, sizes.height, sizes.width, 3), dtype=np.uint8)
        waveform = noise.standard_normal(sizes.samples).astype(np.float32) * 0.1
        session.push(frames, waveform, at=at)
        session.intake.known(at + length)
        session.catch_up()
        done = snippet + 1
        if done in marks and done <= snippets:
            spent = (time.process_time() - begun) / (done - since)
            session.ask(QUESTION)
            saved = session.save(folder / "session.safetensors")
            gc.collect()
            memory = process_bytes() or 0
            rows.append(
                {
                    "snippets": done,
                    "seconds": done * length,
                    "process_mib": round(memory / 2**20, 1),
                    "state_bytes": session.state.bytes(),
                    "saved_bytes": saved,
                    "ms_per_snippet": round(1000 * spent, 2),
                }
            )
            print("| " + " | ".join(str(value) for value in rows[-1].values()) + " |", flush=True)
            begun, since = time.process_time(), done
    return rows


def film(loaded: Loaded, folder: Path, seconds: int) -> dict[str, float]:
    """How many times faster than real time the film is followed, opening and answering one question included."""
    path = folder / "film.mp4"
    make_film(path, seconds)
    sizes = loaded.model.sizes
    begun = time.perf_counter()
    live = Live(str(path), sample_rate=sizes.sample_rate, fit=(sizes.height, sizes.width))
    follow = Follow(Session(loaded, start=0.0), [live], standing=[QUESTION], every=10.0)
    receipt = follow.run().receipt
    spent = time.perf_counter() - begun
    return {"seconds": receipt.end, "spent": round(spent, 2), "times_real_time": round(receipt.end / spent, 2)}


def main() -> None:
    """Measure and print, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snippets", type=int, default=10_000)
    parser.add_argument("--film-seconds", type=int, default=60)
    parser.add_argument("--model", default="tiny-stream")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.plot is not None:
        from plots import draw_stream

        draw_stream(options.plot, Path(__file__).resolve().parents[1] / "docs")
        return
    loaded = load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        print("| snippets | seconds | process, MiB | state, bytes | saved, bytes | ms per snippet |")
        print("|---|---|---|---|---|---|")
        rows = stream(loaded, options.snippets, Path(folder))
        followed = film(loaded, Path(folder), options.film_seconds)
    print(f"\n1280x720, 30 frames per second, with sound: {followed['times_real_time']} x real time")
    if options.json is not None:
        options.json.write_text(json.dumps({"stream": rows, "film": followed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
