"""What training costs: time of a step, operations per second, utilisation, memory by component, cost against frames.

    python benchmarks/bench_train.py --preset tiny [--batch 4 --snippets 8 --steps 5 --recompute --profile]
    python benchmarks/bench_train.py --preset small --frames 16,32,64,128,256,512     against attention over all tokens
    python benchmarks/bench_train.py --recipe tiny                                    with the recipe's own data
    python benchmarks/bench_train.py --preset 3b --device cuda --largest              the most frames that fit
    python benchmarks/bench_train.py --paper                                          the 3b preset on paper
    python benchmarks/bench_train.py --plot FILE.json                                 docs/frames.png from a sweep

Batches are noise made beforehand, unless a recipe brings its own. The rate of matrix products that utilisation is
stated against is measured in the same run on the same device: bfloat16 on a GPU, float32 on a CPU. Times on a CPU are
processor seconds over the number of threads, so that what else runs counts little; waiting for data is what the clock
says. Activations are what one forward keeps for its backward; on a GPU, bfloat16 copies of the weights are among them.
Everything is kept in `benchmarks/results/train_<hardware>_<date>.md` and `.json`; a run replaces itself by its name.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mirasol.data.examples import Batch
from mirasol.model.embeddings import CHANNELS
from mirasol.model.flops import Work, optimizer_flops, training_flops
from mirasol.model.footprint import kept_bytes, storage_bytes
from mirasol.model.inputs import Complete, Inputs
from mirasol.model.mirasol import IGNORE, Mirasol, count_parameters, target_places
from mirasol.model.recompute import recompute_blocks
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.train.config import Optimisation
from mirasol.train.optimizer import Optimizers

ROOT = Path(__file__).resolve().parents[1]
HOW = Optimisation(steps=1_000_000, warmup=1)


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 on a GPU; float32 on a CPU, where bfloat16 is often slower."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def wait(device: torch.device) -> float:
    """The time, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def busy(device: torch.device) -> float:
    """Seconds that the device has worked: on a CPU of this process alone, so that what else runs counts little."""
    return wait(device) if device.type == "cuda" else time.process_time() / torch.get_num_threads()


def matrix_rate(device: torch.device, seconds: float = 2.0) -> float:
    """Operations per second of large square matrix products: the best of several, for `seconds` in all."""
    side, dtype = (8_192, torch.bfloat16) if device.type == "cuda" else (1_024, torch.float32)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    a @ b
    best, began = 0.0, wait(device)
    while True:
        start = busy(device)
        a @ b
        best = max(best, 2 * side**3 / (busy(device) - start))
        if wait(device) - began > seconds:
            return best


def noise(sizes: Sizes, batch: int, snippets: int, device: torch.device) -> Inputs:
    """Clips of which everything is there."""

    def some(*shape: int) -> Tensor:
        return torch.randn(batch, snippets, *shape, device=device)

    def all_real(*shape: int) -> Tensor:
        return torch.ones(batch, snippets, *shape, dtype=torch.bool, device=device)

    pictures = some(sizes.frames, CHANNELS, sizes.height, sizes.width)
    masks = (all_real(sizes.frames), all_real(sizes.columns), all_real())
    return Complete(pictures, masks[0], some(sizes.mels, sizes.columns), *masks[1:], whole=(True, True))


def synthetic(sizes: Sizes, batch: int, work: Work, device: torch.device) -> Batch:
    """A batch of noise that costs what `work` says."""
    ids = torch.randint(sizes.vocabulary, (batch * work.texts, work.text_tokens), device=device)
    labels = torch.full_like(ids, IGNORE)
    if work.targets:
        labels[:, -work.targets :] = ids[:, -work.targets :]
    rows = torch.arange(batch, device=device).repeat_interleave(work.texts)
    return Batch(noise(sizes, batch, work.snippets, device), ids, labels, torch.ones_like(ids, dtype=torch.bool), rows)


def loss_of(model: Mirasol, batch: Batch, device: torch.device) -> Tensor:
    places = target_places(batch.labels)
    with autocast(device):
        loss = model(batch.inputs, batch.ids, batch.labels, batch.text_mask, batch.rows, places=places).loss
    assert loss is not None
    return loss


def peak_bytes(device: torch.device) -> int:
    """The most memory held so far: on the GPU by PyTorch, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def count_work(sizes: Sizes, batch: Batch) -> int:
    """Model operations of a step on this batch, as it is padded."""
    if not isinstance(batch.inputs, Inputs):
        raise SystemExit("operations are counted from pictures and sound; this recipe's snippets were fused beforehand")
    assert batch.inputs.snippet_mask is not None
    clips, snippets = batch.inputs.snippet_mask.shape
    texts = len(batch.rows)
    counted = int((batch.labels[:, 1:] != IGNORE).sum())
    # Clips share the texts unevenly: the parts of the text side are linear in texts, so one text's cost is enough.
    one = training_flops(sizes, Work(snippets, 1, batch.ids.shape[1], 1))
    text = texts * sum(one[name] for name in ("decoder_self", "decoder_cross", "decoder_mlp"))
    media = clips * sum(one[name] for name in one if not name.startswith("decoder_") and name != "output")
    return media + text + counted * one["output"]


def measure(
    sizes: Sizes, batches: Iterator[Batch], device: torch.device, steps: int, *, recompute: bool, profile: bool
) -> dict[str, Any]:
    """Trains for `steps` after one that is not counted; times, rates and memory."""
    model = Mirasol(sizes).to(device).train()
    if recompute:
        recompute_blocks(model)
    optimizers = Optimizers(model, HOW)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    first = next(batches)
    activations = kept_bytes(model, lambda: loss_of(model, first, device))
    spent = dict.fromkeys(("waiting", "forward", "backward", "optimizer"), 0.0)
    clips = snippets = flops = gradients = 0
    for step in range(steps + 1):
        start = wait(device)
        batch = first if step == 0 else next(batches)
        waited = wait(device) - start
        marks = [busy(device)]
        loss = loss_of(model, batch, device)
        marks.append(busy(device))
        loss.backward()
        marks.append(busy(device))
        gradients = storage_bytes(p.grad for p in model.parameters() if p.grad is not None)
        optimizers.step(step)
        marks.append(busy(device))
        if step:  # the first one makes the optimizers' state, and warms up
            took = [waited, *(end - start for start, end in pairwise(marks))]
            spent = {name: spent[name] + value / steps for name, value in zip(spent, took, strict=True)}
            clips += len(batch.inputs.snippet_mask)  # type: ignore[arg-type]
            snippets += int(batch.inputs.snippet_mask.sum())  # type: ignore[union-attr]
            flops += count_work(sizes, batch)
    if profile:
        print(profiled(lambda: loss_of(model, first, device).backward(), device))
    total = sum(spent.values())
    return {
        "parameters": count_parameters(model), "steps": steps, "recompute": recompute,
        "step_s": total, **{f"{name}_s": value for name, value in spent.items()},
        "waiting_share": spent["waiting"] / total,
        "clips_per_s": clips / steps / total, "snippets_per_s": snippets / steps / total,
        "media_s_per_s": snippets / steps / total * sizes.snippet_seconds,
        "flops_per_step": flops // steps, "flops_per_s": flops / steps / total,
        "forward_backward_flops_per_s": flops / steps / (spent["forward"] + spent["backward"]),
        "optimizer_flops": optimizer_flops(sizes),
        "bytes": {
            "parameters": storage_bytes(model.parameters()), "gradients": gradients,
            "optimizer": storage_bytes(optimizers.state().values()), "activations": activations,
            "peak": peak_bytes(device),
        },
    }  # fmt: skip


def profiled(run: Callable[[], Any], device: torch.device) -> str:
    """Where the time of a forward and a backward goes, as PyTorch's profiler lists it."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=kinds) as record:
        run()
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return record.key_averages().table(sort_by=key, row_limit=16, max_name_column_width=48)


def from_recipe(name: str, steps: int, workers: int, device: torch.device) -> tuple[Sizes, Iterator[Batch]]:
    """The sizes of a recipe and its own batches, made by workers as in training."""
    from mirasol.cli.training import load_recipe

    run = load_recipe(name)
    loader = DataLoader(run.batches(0, steps + 1), batch_size=None, num_workers=workers)
    return run.sizes, (moved(batch, device) for batch in loader)


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device."""
    inputs = type(batch.inputs)(*(None if v is None else v.to(device) for v in vars(batch.inputs).values()))
    values = (batch.ids, batch.labels, batch.text_mask, batch.rows)
    return Batch(inputs, *(value.to(device) for value in values), batch.first)


def largest(sizes: Sizes, work: Work, device: torch.device, recompute: bool) -> dict[str, Any]:
    """The most snippets of one clip whose training step fits on the GPU: doubled until it fails, then halved in on."""
    if device.type != "cuda":
        raise SystemExit("--largest fills the memory of a GPU until it is full; on a CPU that would stop the machine")
    model = Mirasol(sizes).to(device).train()
    if recompute:
        recompute_blocks(model)
    optimizers = Optimizers(model, HOW)

    def fits(snippets: int) -> bool:
        full = False
        try:
            batch = synthetic(sizes, 1, Work(snippets, work.texts, work.text_tokens, work.targets), device)
            loss_of(model, batch, device).backward()
            optimizers.step(0)
        except torch.OutOfMemoryError:
            full = True  # what the error holds on to is free once this clause is left
        model.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        print(f"{snippets} snippets ({snippets * sizes.frames} frames): {'too many' if full else 'fit'}", flush=True)
        return not full

    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return {"snippets": low, "frames": low * sizes.frames, "seconds": low * sizes.snippet_seconds}


def sweep(sizes: Sizes, frames: list[int], device: torch.device) -> list[dict[str, Any]]:
    """Forward and backward of the encoder, and of its rival, on one clip of so many frames each; the best of
    several times, as of `busy`."""
    from whole_clip import WholeClip, encoder_flops, whole_clip_flops

    rows = []
    encoder, whole = Mirasol(sizes).encoder.to(device).train(), WholeClip(sizes).to(device).train()
    sides = {
        "mirasol": (encoder, lambda inputs: encoder(inputs)[0], encoder_flops),
        "whole_clip": (whole, whole, whole_clip_flops),
    }
    for count in frames:
        if count % sizes.frames:
            raise SystemExit(f"expected --frames as multiples of {sizes.frames}, a snippet's; found {count}")
        snippets = count // sizes.frames
        row: dict[str, Any] = {"frames": count, "snippets": snippets, "seconds": snippets * sizes.snippet_seconds}
        for name, (model, forward, flops) in sides.items():
            inputs = noise(sizes, 1, snippets, device)

            def loss(forward: Any = forward, inputs: Inputs = inputs) -> Tensor:
                with autocast(device):
                    return forward(inputs).float().square().mean()

            row[f"{name}_bytes"] = kept_bytes(model, loss)
            times = []
            for _ in range(3 if count <= 128 else 2):
                model.zero_grad(set_to_none=True)
                start = busy(device)
                loss().backward()
                times.append(busy(device) - start)
            row[f"{name}_s"], row[f"{name}_flops"] = min(times), flops(sizes, snippets)
        print({name: float(f"{value:.4g}") for name, value in row.items()}, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print, keep."""
    options = arguments()
    if options.paper:
        from paper_cost import paper

        print(paper())
        return
    if options.plot is not None:
        from plots import draw_frames

        draw_frames(options.plot, ROOT / "docs")
        return
    device, work = (
        torch.device(options.device),
        Work(options.snippets, options.texts, options.text_tokens, options.targets),
    )
    torch.manual_seed(0)
    sizes, name = PRESETS[options.preset], options.preset
    entry: dict[str, Any] = {"matrix_flops_per_s": matrix_rate(device), "threads": torch.get_num_threads()}
    if options.frames:
        name += " sweep"
        entry["sweep"] = sweep(sizes, [int(count) for count in options.frames.split(",")], device)
    elif options.largest:
        name += " largest"
        entry["largest"] = largest(sizes, work, device, options.recompute)
        print(entry["largest"])
    else:
        if options.recipe is not None:
            sizes, batches = from_recipe(options.recipe, options.steps, options.workers, device)
            name = str(options.recipe)
        else:
            batch = synthetic(sizes, options.batch, work, device)
            batches = iter([batch] * (options.steps + 1))
            entry |= {"batch": options.batch, **vars(work)}
        name += " recomputing" if options.recompute else ""
        found = measure(sizes, batches, device, options.steps, recompute=options.recompute, profile=options.profile)
        entry |= found | {"utilisation": found["flops_per_s"] / entry["matrix_flops_per_s"]}
    from train_report import hardware, keep

    print(keep(options.out, hardware(device), str(datetime.date.today()), name, entry))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny", choices=list(PRESETS))
    parser.add_argument("--recipe", help="sizes and data of a recipe instead")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=2)
    for name, value in (
        ("snippets", 8),
        ("texts", 1),
        ("text-tokens", 64),
        ("targets", 16),
        ("steps", 3),
        ("workers", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--frames", default="", help="sweep over clips of so many frames, with commas between")
    for name in ("recompute", "largest", "profile", "paper"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
