"""What a memory keeps: exact match about the past of Toybox streams against the distance in snippets.

    python benchmarks/bench_recall.py --variant priority --seed 0 [--encoder FOLDER]    train one and measure it
    python benchmarks/bench_recall.py --capacity FOLDER                                 events against memory size
    python benchmarks/bench_recall.py --plot                                            draw what has been measured
    python benchmarks/bench_recall.py --table                                           ... or print it, mean over seeds

Variants: `priority` (our memory), `ttm` (the official Token Turing Machine over fused tokens), `window` (the last four
snippets alone), `all` (text sees every latent ever made: the growing upper bound). The same encoder, data, order and
steps for all (the recipe tiny_stream); three seeds. Streams have six visits in their first 64 seconds, as long as the
longest in training, and are then asked after 64 to 2 560 seconds; 15 % of the seconds are disturbed. Results go to
benchmarks/results/recall.jsonl, a line each.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mirasol.data.fused import SnippetStore
from mirasol.evaluate.streams import (
    DISTURBED,
    VISITS,
    WITHIN,
    blind_recall,
    recall,
    recall_figures,
    stored,
)
from mirasol.media.toybox.streams import STREAM_TYPES, Stream
from mirasol.model.inspection import inspect
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.recipes import tiny_stream
from mirasol.train.loop import train

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/recall.jsonl"
SECONDS = (64, 128, 320, 640, 1_280, 2_560)
EVENTS, SLOTS = (4, 8, 16, 24, 32, 48), (4, 8, 16, 32, 64)


def with_sizes(folder: Path, **changes: Any) -> Mirasol:
    """The weights in a folder in a model of other sizes: none of these changes touches a weight's shape."""
    model = Mirasol(Sizes.load(folder).change(**changes)).eval()
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["decoder.embed.weight"]
    model.load_state_dict(weights)
    return model


def measure(
    model: Mirasol, store: SnippetStore, seconds: int, streams: int, *, visits: int = VISITS, within: int = WITHIN
) -> dict[str, float]:
    """Recall on test streams of one length."""
    text = Text(tiny_stream.tokenizer())
    found, batch = [], 10
    for first in range(0, streams, batch):
        group = [
            Stream(seed, "test", seconds, visits=visits, within=within, distractions=DISTURBED, pick=store.pick)
            for seed in range(first, min(first + batch, streams))
        ]
        found += recall(model, text, group, stored(store))
    return recall_figures(found)


def note(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def state_bytes(sizes: Sizes, variant: str, seconds: int) -> int:
    """Of a stream that has run so long; only that of `all` depends on it."""
    return inspect(sizes.change(context_snippets=seconds) if variant == "all" else sizes)["state_bytes"]


def run(variant: str, seed: int, steps: int | None, streams: int) -> None:
    """Train one variant and measure it at every distance."""
    recipe = tiny_stream.recipe(variant, seed)
    if steps is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, steps=steps))
    out = Path("runs") / recipe.name
    begun = time.monotonic()
    folder = train(recipe, out)
    hours = (time.monotonic() - begun) / 3600
    model = with_sizes(folder, **({"context_snippets": 2 * max(SECONDS)} if variant == "all" else {}))
    store = tiny_stream.store("test")
    for seconds in SECONDS:
        note(
            {
                "what": "recall", "variant": variant, "seed": seed, "steps": recipe.optimisation.steps,
                "parameters": count_parameters(model), "hours": round(hours, 3), "seconds": seconds,
                "state_bytes": state_bytes(recipe.sizes, variant, seconds), **measure(model, store, seconds, streams),
            }
        )  # fmt: skip


def capacity(folder: Path, streams: int) -> None:
    """The same weights with memories of other sizes, and streams with other numbers of events."""
    store = tiny_stream.store("test")
    for slots in SLOTS:
        model = with_sizes(folder, memory=slots)
        size = inspect(model.sizes)["state_bytes"]
        for events in EVENTS:
            figures = measure(model, store, 256, streams, visits=events, within=192)
            note({"what": "capacity", "slots": slots, "state_bytes": size, "events": events, **figures})


def print_tables() -> None:
    """Mean over seeds with the lowest and the highest, and the types for the first and the last length, as Markdown."""
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    newest = {(x["variant"], x["seconds"], x["seed"]): x for x in lines if x["what"] == "recall"}
    print("| after | " + " | ".join(f"{second} s" for second in SECONDS) + " | seeds |")
    print("|---" * (len(SECONDS) + 2) + "|")
    for variant in tiny_stream.VARIANTS:
        cells, seeds = [], 0
        for second in SECONDS:
            right = [x["overall"] for key, x in newest.items() if key[:2] == (variant, second)]
            seeds, mean = len(right), sum(right) / len(right)
            cells.append(f"{mean:.1f}" + (f" ({min(right):.0f}-{max(right):.0f})" if seeds > 1 else ""))
        print(f"| {variant} | " + " | ".join(cells) + f" | {seeds} |")
    for variant in tiny_stream.VARIANTS:
        for second in (SECONDS[0], SECONDS[-1]):
            found = [x for key, x in newest.items() if key[:2] == (variant, second)]
            types = {type: round(sum(x[type] for x in found) / len(found), 1) for type in STREAM_TYPES}
            print(f"{variant} after {second} s: {types}")
    cells = {(x["slots"], x["events"]): x["overall"] for x in lines if x["what"] == "capacity"}
    print("| slots | " + " | ".join(f"{events} things" for events in EVENTS) + " |")
    print("|---" * (len(EVENTS) + 1) + "|")
    for slots in SLOTS:
        print(f"| {slots} | " + " | ".join(f"{cells[slots, events]:.0f}" for events in EVENTS) + " |")


def main() -> None:
    """Train, measure, draw or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=tuple(tiny_stream.VARIANTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--encoder", type=Path, help="checkpoint to begin with; the shipped tiny otherwise")
    parser.add_argument("--capacity", type=Path, metavar="FOLDER")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--plot", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.encoder is not None:
        tiny_stream.ENCODER = options.encoder.resolve()
    if options.variant:
        run(options.variant, options.seed, options.steps, options.streams)
    if options.capacity is not None:
        capacity(options.capacity, options.streams)
    if options.blind:
        note({"what": "blind", **blind_recall("test")})
    if options.table:
        print_tables()
    if options.plot:
        from plots import draw_recall

        draw_recall(RESULTS, ROOT / "docs")


if __name__ == "__main__":
    main()
