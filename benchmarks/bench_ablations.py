"""Trains and scores the experiments of the recipe `ablations`; docs/experiments.md says what came of them.

    python benchmarks/bench_ablations.py NAME [NAME ...] [--seeds 0,1,2]     those that are not there yet
    python benchmarks/bench_ablations.py --all
    python benchmarks/bench_ablations.py --table | --plot

One line per run in benchmarks/results/ablations.jsonl:

overall, by type  percent of answers that equal the wanted ones, on held-out scenes or streams, and how many `questions`
parameters        of what took part (for streams without the parts that fused them)
gflop             forward and backward of one clip with its questions, counted by PyTorch on the last batch
kept_kib          what that keeps for the backward, for one clip
state_kib         what has to be kept of a clip to answer about it and to go on watching
cpu_s, wall_s     of the training, one thread, without rendering scenes; the machine had other work, so only cpu_s
                  compares
text_loss         of the last steps, in training
curve             that of each 50 steps, from the first on
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mirasol.data.examples import Batch
from mirasol.data.single_scenes import scene_inputs
from mirasol.data.stepped import SteppedBatches
from mirasol.evaluate.streams import DISTURBED, blind_recall, recall, recall_figures, stored
from mirasol.evaluate.toybox import answer_batch
from mirasol.media.toybox.streams import Stream
from mirasol.model.inputs import join_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.recipes import ablations, tiny_stream
from mirasol.recipes.ablations import EXPERIMENTS
from mirasol.train.config import Run
from mirasol.train.loop import train

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/ablations.jsonl"
SEEDS, GROUP = (0, 1, 2), 20
CLIPS = {"streams": 60, "scenes": 120}  # so many are scored, GROUP of them at once


@lru_cache(maxsize=1)
def rendered(signals: Sizes, seed: int, steps: int) -> list[Batch]:
    """The batches of scenes of a run, made beforehand; runs that cut their signals alike share them."""
    batches = ablations.scene_batches(signals, seed, 0, steps)
    return [batches.batch(step) for step in range(steps)]


class Rendered(SteppedBatches):
    def __init__(self, batches: list[Batch], first: int, last: int) -> None:
        self.batches, self.first, self.last = batches, first, last

    def batch(self, step: int) -> Batch:
        return self.batches[step]


def signals_of(sizes: Sizes) -> Sizes:
    """The sizes of the scenes' world, but for what decides how a clip becomes pixels and a spectrogram."""
    names = ("frame_rate", "frames", "patch")
    return ablations.SCENES.change(**{name: getattr(sizes, name) for name in names})


def score(model: Mirasol, run: Run, seconds: int, clips: int) -> dict[str, Any]:
    """Percent right over the first `clips` test streams (of so many seconds, four visits), or test scenes."""
    text = Text(run.tokenizer())
    found, right = [], defaultdict(list)
    for first in range(0, clips, GROUP):
        seeds = range(first, min(first + GROUP, clips))
        if not run.name.startswith("scenes"):
            store = tiny_stream.store("test")
            streams = [
                Stream(seed, "test", seconds, visits=4, distractions=DISTURBED, pick=store.pick) for seed in seeds
            ]
            found += recall(model, text, streams, stored(store))
            continue
        scenes = [ablations.SINGLE.scene(10_000 * seed, "test") for seed in seeds]
        inputs = join_inputs([scene_inputs(scene, run.sizes) for scene in scenes])
        asked = [(at, question) for at, scene in enumerate(scenes) for question in ablations.SINGLE.questions(scene)]
        answers = answer_batch(model, text, inputs, [(at, question.text) for at, question in asked])
        for (_, question), (answer, _) in zip(asked, answers, strict=True):
            right[question.type].append(answer == question.answer)
    if found:
        return recall_figures(found)
    everything = [one for values in right.values() for one in values]
    figures = {type: round(100 * fmean(right[type]), 1) for type in ablations.SINGLE.types if right[type]}
    return {"overall": round(100 * fmean(everything), 1), **figures, "questions": len(everything)}


def cost(model: Mirasol, batch: Batch, frozen: Sequence[str]) -> dict[str, Any]:
    """What one clip of a batch costs in training, and in memory."""
    model.train()
    assert batch.inputs.snippet_mask is not None
    clips, kept = len(batch.inputs.snippet_mask), {}
    own = {parameter.data_ptr() for parameter in model.parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(frozen) or ("*",)))

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    given = (batch.inputs, batch.ids, batch.labels, batch.text_mask, batch.rows)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(*given)
    # Attention made of products that PyTorch can count; the fused one of a CPU it cannot see.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(*given).loss.backward()
    model.eval()
    learning = [p for n, p in model.named_parameters() if p.requires_grad]
    return {
        "parameters": sum(parameter.numel() for parameter in learning),
        "gflop": round(counter.get_total_flops() / clips / 1e9, 4),
        "kept_kib": round(sum(kept.values()) / clips / 1024, 1),
        "state_kib": round(output.state.bytes() / clips / 1024, 1),
    }


def measure(name: str, seed: int, out: Path, *, steps: int | None = None, clips: int = 0) -> dict[str, Any]:
    """Train one experiment and score it: the line of its results."""
    run = ablations.recipe(name, seed)
    if steps is not None:
        run = replace(run, optimisation=replace(run.optimisation, steps=steps))
    steps = run.optimisation.steps
    if name.startswith("scenes"):
        run = replace(run, batches=partial(Rendered, rendered(signals_of(run.sizes), seed, steps)))
    else:
        tiny_stream.store("train"), tiny_stream.store("test")  # made before the time is taken
    shutil.rmtree(out / run.name, ignore_errors=True)
    wall, cpu = time.monotonic(), time.process_time()
    folder = train(run, out / run.name, report=lambda line: None)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    if folder is None:
        raise SystemExit(f"{run.name} was ended before its last step; the same command begins it anew")
    model = run.build(run.sizes)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)  # a tied output layer is not in it
    batch = run.batches(steps - 1, steps).batch(steps - 1)
    costs = cost(model, batch, run.frozen)
    experiment = EXPERIMENTS[name]
    figures = score(model, run, experiment.seconds, clips or CLIPS[experiment.world])
    log = [json.loads(line) for line in (out / run.name / "log.jsonl").read_text().splitlines()]
    curve = [round(line["text"], 3) for line in log if "text" in line]
    assert batch.inputs.snippet_mask is not None
    return {
        "name": name, "seed": seed, "steps": steps, "clips": steps * len(batch.inputs.snippet_mask), **costs,
        "cpu_s": round(cpu, 1), "wall_s": round(wall, 1), "text_loss": curve[-1], **figures,
        "curve": curve,
    }  # fmt: skip


def read() -> dict[str, dict[int, dict[str, Any]]]:
    """All runs by name and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for line in RESULTS.read_text().splitlines() if RESULTS.is_file() else ():
        values = json.loads(line)
        found[values["name"]][values["seed"]] = values
    return found


def against(runs: dict[str, dict[int, dict[str, Any]]], name: str) -> str:
    """How far an experiment lies from what it is compared with: mean difference over the seeds that both have, lowest
    and highest; the same seed means the same data in the same order."""
    other = EXPERIMENTS[name].against
    seeds = sorted(set(runs[name]) & set(runs.get(other, ())))
    if not seeds:
        return ""
    differences = [runs[name][seed]["overall"] - runs[other][seed]["overall"] for seed in seeds]
    return f"{fmean(differences):+.1f} ({min(differences):+.0f} to {max(differences):+.0f})"


def blind(world: str) -> dict[str, float]:
    """Percent right of whoever says the commonest answer to each type of question, in the units of `score`."""
    if world == "streams":
        return blind_recall("test", seconds=12, visits=4)
    scenes = [ablations.SINGLE.scene(10_000 * seed, "test") for seed in range(CLIPS["scenes"])]
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question in (question for scene in scenes for question in ablations.SINGLE.questions(scene)):
        answers[question.type][question.answer] += 1
    right = {type: max(found.values()) for type, found in answers.items()}
    asked = {type: sum(found.values()) for type, found in answers.items()}
    figures = {type: round(100 * right[type] / asked[type], 1) for type in answers}
    return {"overall": round(100 * sum(right.values()) / sum(asked.values()), 1), **figures}


def print_table() -> None:
    """A row for each experiment that was run, then the types, then the names of those that were not."""
    runs = read()
    print("| experiment | what | seeds | right, % | against it | parameters | GFLOP | kept, KiB | state, KiB | CPU s |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    done = [name for name in EXPERIMENTS if runs.get(name)]
    for name in done:
        lines = list(runs[name].values())
        right = [line["overall"] for line in lines]
        span = f"{fmean(right):.1f} ({min(right):.0f}-{max(right):.0f})"
        first, cpu = lines[0], fmean(line["cpu_s"] for line in lines)
        print(
            f"| `{name}` | {EXPERIMENTS[name].words} | {len(lines)} | {span} | {against(runs, name)} | "
            f"{first['parameters']:,} | {first['gflop']:.2f} | {first['kept_kib']:,.0f} | {first['state_kib']:,.0f} | "
            f"{cpu:.0f} |"
        )
    for world, types in (
        ("streams", ("first", "last", "where", "colour", "passed")),
        ("scenes", ablations.SINGLE.types),
    ):
        print(f"\n| {world}, % by type | " + " | ".join(types) + " |\n|---" + "|---:" * len(types) + "|")
        for name in (name for name in done if EXPERIMENTS[name].world == world):
            cells = [f"{fmean(line.get(type, 0.0) for line in runs[name].values()):.0f}" for type in types]
            print(f"| `{name}` | " + " | ".join(cells) + " |")
        guess = blind(world)
        print(
            f"| blind ({guess['overall']:.0f} overall) | " + " | ".join(f"{guess[type]:.0f}" for type in types) + " |"
        )
    print("\nNot run: " + (", ".join(name for name in EXPERIMENTS if name not in done) or "none"))


def draw() -> None:
    """docs/ablations.png: each experiment's percent right, a dot for each seed, and a line at its baseline's mean."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    runs = read()
    worlds = {
        world: [n for n, e in EXPERIMENTS.items() if e.world == world and runs.get(n)] for world in ablations.STEPS
    }
    counts = [len(names) for names in worlds.values()]
    figure, axes = plt.subplots(
        len(worlds), 1, figsize=(8, 1 + 0.3 * sum(counts)), height_ratios=[max(1, count) for count in counts]
    )
    for axis, (world, names) in zip(axes, worlds.items(), strict=True):
        for place, name in enumerate(names):
            right = [line["overall"] for line in runs[name].values()]
            axis.plot(right, [place] * len(right), "o", color="#17697d", alpha=0.6, markersize=5)
            axis.plot([fmean(right)], [place], "|", color="#c4782a", markersize=14, markeredgewidth=2)
        if runs.get(world):
            base = fmean(line["overall"] for line in runs[world].values())
            axis.axvline(base, color="#777", linestyle=":", linewidth=1)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set(ylim=(len(names) - 0.5, -0.5), xlabel="exact match on held-out " + world + ", %")
        axis.grid(alpha=0.25, axis="x")
    figure.tight_layout()
    figure.savefig(ROOT / "docs/ablations.png", dpi=110)


def main() -> None:
    """Run, draw or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--plot", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if unknown := sorted(set(options.names) - set(EXPERIMENTS)):
        parser.error(f"no experiment {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    for seed in map(int, options.seeds.split(",")):
        for name in EXPERIMENTS if options.all else options.names:
            if seed in read().get(name, ()):
                continue
            line = json.dumps(measure(name, seed, options.out))
            print(line, flush=True)
            with RESULTS.open("a") as file:
                file.write(line + "\n")
    if options.table:
        print_table()
    if options.plot:
        draw()


if __name__ == "__main__":
    main()
