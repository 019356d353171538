"""What `bench_train.py` found, as one JSON file per machine and day, and the Markdown made from it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import torch

MIB = 2**20


def hardware(device: torch.device) -> str:
    """A short name for file names."""
    if device.type == "cuda":
        return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")
    return f"cpu{os.cpu_count()}"


def keep(folder: Path, hardware: str, date: str, name: str, entry: dict[str, Any]) -> str:
    """Adds a run to the files of this machine and day; gives its part of the Markdown."""
    path = folder / f"train_{hardware}_{date}.json"
    runs = json.loads(path.read_text())["runs"] if path.is_file() else {}
    runs[name] = entry
    folder.mkdir(parents=True, exist_ok=True)
    values = {"hardware": hardware, "date": date, "torch": torch.__version__, "runs": runs}
    path.write_text(json.dumps(values, indent=2) + "\n")
    head = (
        f"# Training on {hardware}, {date}\n\nMade by `benchmarks/bench_train.py`, PyTorch {torch.__version__}; its "
        "docstring says what is measured. The matrix rate is that of large square products in the same run."
    )
    parts = {run: part(run, found) for run, found in runs.items()}
    path.with_suffix(".md").write_text("\n\n".join([head, *parts.values()]) + "\n")
    return parts[name]


def part(name: str, entry: dict[str, Any]) -> str:
    """One run as Markdown."""
    rate = f"Matrix rate {entry['matrix_flops_per_s'] / 1e9:,.1f} GFLOP/s, {entry['threads']} thread(s)."
    if "sweep" in entry:
        return f"## {name}\n\n{rate}\n\n{sweep_table(entry['sweep'])}"
    if "largest" in entry:
        found = entry["largest"]
        return f"## {name}\n\nOne clip of {found['frames']} frames ({found['seconds']:g} s) fits, 1/16 more does not."
    times = ", ".join(f"{kind} {entry[f'{kind}_s']:.3f}" for kind in ("waiting", "forward", "backward", "optimizer"))
    held = entry["bytes"]
    rows = [
        ("parameters", f"{entry['parameters']:,}"),
        ("batch", batch_line(entry)),
        ("step, s", f"{entry['step_s']:.3f} ({times})"),
        ("waiting for data", f"{100 * entry['waiting_share']:.1f} %"),
        ("snippets per second", f"{entry['snippets_per_s']:.2f} ({entry['media_s_per_s']:.2f} s of media)"),
        ("operations per step", f"{entry['flops_per_step'] / 1e9:,.1f} GFLOP"),
        ("... of the optimizer besides", f"{entry['optimizer_flops'] / 1e9:,.1f} GFLOP"),
        ("operations per second", f"{entry['flops_per_s'] / 1e9:,.1f} GFLOP/s"),
        ("utilisation", f"{share(entry, 'flops_per_s')} of the matrix rate, the optimizer's time included"),
        ("... of forward and backward", f"{share(entry, 'forward_backward_flops_per_s')}"),
        *(
            (f"{kind}, MiB", f"{held[kind] / MIB:,.1f}")
            for kind in ("parameters", "gradients", "optimizer", "activations")
        ),
        ("peak, MiB", f"{held['peak'] / MIB:,.1f}"),
    ]
    lines = ["| what | measured |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]
    return f"## {name}\n\n{rate}\n\n" + "\n".join(lines)


def share(entry: dict[str, Any], rate: str) -> str:
    """A rate against that of matrix products."""
    return f"{100 * entry[rate] / entry['matrix_flops_per_s']:.1f} %"


def batch_line(entry: dict[str, Any]) -> str:
    if "batch" not in entry:
        return f"the recipe's own, {entry['steps']} steps"
    texts = f"{entry['texts']} text(s) of {entry['text_tokens']} tokens, {entry['targets']} of them learned"
    return f"{entry['batch']} clips of {entry['snippets']} snippets, {texts}; {entry['steps']} steps"


def sweep_table(rows: list[dict[str, Any]]) -> str:
    """Cost of forward and backward of one clip against its frames."""
    lines = [
        "| frames | Mirasol, s | all at once, s | Mirasol, GFLOP | all, GFLOP | Mirasol, MiB kept | all, MiB kept |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [row["frames"], f"{row['mirasol_s']:.2f}", f"{row['whole_clip_s']:.2f}"]
        cells += [f"{row[f'{side}_flops'] / 1e9:,.0f}" for side in ("mirasol", "whole_clip")]
        cells += [f"{row[f'{side}_bytes'] / MIB:,.0f}" for side in ("mirasol", "whole_clip")]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
