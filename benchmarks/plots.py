"""The plots in `docs/`, drawn from the files in `benchmarks/results/`; needs `pip install ".[plots]"`.

python benchmarks/bench_recall.py --plot       docs/recall.png and docs/capacity.png
python benchmarks/bench_stream.py --plot FILE  docs/memory.png, from what --json FILE wrote
python benchmarks/bench_train.py --plot FILE   docs/frames.png, from the sweep in FILE
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {
    "priority": ("priority memory, 16 slots", "#17697d", "o"),
    "ttm": ("Token Turing Machine, 16 tokens", "#c4782a", "s"),
    "all": ("all latents kept (grows)", "#267f60", "^"),
    "window": ("window of 4 snippets alone", "#8a8c96", "v"),
}
# GPU memory that its authors state for inference in bfloat16 (QwenLM/Qwen2.5-Omni, README): seconds of video, GB.
PEERS = {
    "Qwen2.5-Omni-7B, as published": ((15, 31.11), (30, 41.85), (60, 60.19)),
    "Qwen2.5-Omni-3B, as published": ((15, 18.38), (30, 22.43), (60, 28.22)),
}


def read_lines(path: Path, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["what"] == what]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Mean, and how far the lowest and the highest lie from it."""
    mean = sum(values) / len(values)
    return mean, max(0.0, mean - min(values)), max(0.0, max(values) - mean)  # never below 0 by rounding


def draw_recall(results: Path, docs: Path) -> None:
    """Recall against distance, and against the number of events."""
    figure, axis = plt.subplots(figsize=(8, 4.6))
    for variant, (name, colour, mark) in NAMES.items():
        mine = [line for line in read_lines(results, "recall") if line["variant"] == variant]
        newest = {(line["seconds"], line["seed"]): line["overall"] for line in mine}  # a run done again counts once
        by_seconds: dict[int, list[float]] = defaultdict(list)
        for (second, _), right in newest.items():
            by_seconds[second].append(right)
        if not by_seconds:
            continue
        seeds = max(map(len, by_seconds.values()))
        seconds = sorted(by_seconds)
        points = [spread(by_seconds[second]) for second in seconds]
        axis.errorbar(
            seconds, [p[0] for p in points], yerr=[[p[1] for p in points], [p[2] for p in points]],
            label=f"{name} ({seeds} seed{'s' if seeds > 1 else ''})", color=colour, marker=mark, capsize=3,
        )  # fmt: skip
    blind = read_lines(results, "blind")[-1]["overall"]
    axis.axhline(blind, color="#444", linestyle=":", label=f"best blind guess ({blind:g} %)")
    axis.axvspan(40, 64, color="#eee9dc", label="lengths seen in training")
    axis.set_xscale("log", base=2)
    axis.set(
        xlabel="seconds of stream before the question (events in the first 64)", ylabel="exact match, %",
        xlim=(40, 3_200), ylim=(0, 102),
    )  # fmt: skip
    ticks = sorted({line["seconds"] for line in read_lines(results, "recall")})
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(docs / "recall.png", dpi=110, bbox_inches="tight")
    if capacity := read_lines(results, "capacity"):
        draw_capacity(capacity, docs)


def draw_capacity(lines: list[dict[str, Any]], docs: Path) -> None:
    """Exact match against events, a curve for each memory size."""
    figure, axis = plt.subplots(figsize=(8, 4.6))
    colours = plt.cm.viridis([0.05, 0.25, 0.45, 0.65, 0.85])
    for colour, slots in zip(colours, sorted({line["slots"] for line in lines}), strict=False):
        mine = sorted((line["events"], line["overall"]) for line in lines if line["slots"] == slots)
        size = next(line["state_bytes"] for line in lines if line["slots"] == slots)
        label = f"{slots} slots, state of {size / 1000:.0f} kB"
        axis.plot(*zip(*mine, strict=True), color=colour, marker="o", label=label)
    axis.set(xlabel="things that came by in 192 seconds", ylabel="exact match after 256 s, %", ylim=(0, 102))
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)
    figure.savefig(docs / "capacity.png", dpi=110, bbox_inches="tight")


def draw_stream(report: Path, docs: Path) -> None:
    """Memory of the process from ten seconds to a day, beside what peers state for their GPUs."""
    rows = json.loads(report.read_text())["stream"]
    figure, axis = plt.subplots(figsize=(8, 4.6))
    seconds, memory = [row["seconds"] for row in rows], [row["process_mib"] / 1024 for row in rows]
    axis.plot(seconds, memory, color="#17697d", marker="o", label="Mirasol tiny-stream, whole process (measured here)")
    state = [row["state_bytes"] / 2**30 for row in rows]
    axis.plot(seconds, state, color="#17697d", marker=".", linestyle="--", label="... of that the stream's state")
    for (name, points), colour in zip(PEERS.items(), ("#c4782a", "#d9a774"), strict=True):
        axis.plot(*zip(*points, strict=True), color=colour, marker="s", label=name)
    axis.set(xscale="log", yscale="log", xlabel="seconds watched", ylabel="memory, GB", ylim=(1e-5, 200))
    axis.set_xticks([10, 60, 600, 3_600, 86_400], ["10 s", "1 min", "10 min", "1 h", "24 h"])
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, loc="upper right")
    axis.set_title("Growth, not size, is what compares: 3.8 M parameters against 3 and 7 billion", fontsize=9)
    figure.savefig(docs / "memory.png", dpi=110, bbox_inches="tight")


def draw_frames(report: Path, docs: Path) -> None:
    """Seconds and operations of forward and backward of one clip against its frames, beside attention over all tokens
    at once."""
    values = json.loads(report.read_text())
    name, entry = next((name, run) for name, run in values["runs"].items() if "sweep" in run)
    rows = entry["sweep"]
    frames = [row["frames"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(10.4, 4.4))
    sides = (("mirasol", "Mirasol, snippet by snippet", "#17697d", "o"),
             ("whole_clip", "attention over all tokens at once", "#c4782a", "s"))  # fmt: skip
    for axis, what, scale in ((axes[0], "s", 1.0), (axes[1], "flops", 1e9)):
        for side, label, colour, mark in sides:
            axis.plot(frames, [row[f"{side}_{what}"] / scale for row in rows], label=label, color=colour, marker=mark)
        first = rows[0][f"mirasol_{what}"] / scale
        axis.plot(frames, [first * count / frames[0] for count in frames], color="#777", linestyle=":", label="linear")
        axis.set(xscale="log", yscale="log", xlabel="frames of the clip")
        axis.set_xticks(frames, [str(count) for count in frames])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
    axes[0].set_ylabel(f"processor seconds on {values['hardware']}, {entry['threads']} thread(s)")
    axes[1].set_ylabel("GFLOP")
    axes[0].legend(fontsize=8)
    figure.suptitle(f"Forward and backward of the audio-video side, {name.split()[0]} preset", fontsize=10)
    figure.tight_layout()
    figure.savefig(docs / "frames.png", dpi=110, bbox_inches="tight")
