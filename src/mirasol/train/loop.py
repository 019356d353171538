"""One plain training loop, read from top to bottom.

Everything random is seeded by the step (data, masking), so a resumed run goes on exactly where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.state import MirasolState

from . import checkpoint
from .config import Run
from .optimizer import Optimizers

NAMED = ("loss", "text", "latent", "video", "audio", "effort", "spread")
Evaluate = Callable[[Mirasol, Any], dict[str, float]]


def train(
    run: Run,
    out: Path,
    *,
    evaluate: Evaluate | None = None,
    report: Callable[[str], None] = print,
    tick: Callable[[int, int], None] = lambda done, steps: None,
) -> Path:
    """Runs (or goes on with) `run` in the folder `out`; gives the folder of the finished model. `report` gets lines of
    text, `tick` the steps done and the steps in all after every step.

    out/step-*/   checkpoints      out/log.jsonl   a line per `log_every` steps      out/model/   the result
    """
    if run.threads:
        torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    out.mkdir(parents=True, exist_ok=True)
    model, tokenizer = Mirasol(run.sizes), run.tokenizer()
    if run.start_from:
        report(checkpoint.begin_with(Path(run.start_from), model))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(run.frozen or ("*",)))
    optimizers = Optimizers(model, run.optimisation)
    progress: dict[str, Any] = {"step": 0, "hours": 0.0}
    carried: MirasolState | None = None  # from step to step, where a batch goes on with the last one's clips
    if (last := checkpoint.latest(out)) is not None:
        progress = checkpoint.restore(last, model, optimizers)
        carried = checkpoint.restore_state(last, model)
        report(f"going on from {last} (step {progress['step']})")
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    steps, first = run.optimisation.steps, progress["step"]
    report(f"{run.name}: {count_parameters(model) / 1e6:.2f} M parameters, steps {first} to {steps}")

    board = open_board(out)
    loader = DataLoader(
        run.batches(first, steps), batch_size=None, num_workers=run.workers,
        prefetch_factor=8 if run.workers else None, persistent_workers=False,
    )  # fmt: skip
    began, waited, window, meter = time.monotonic(), 0.0, time.monotonic(), Meter()
    batches = iter(loader)
    for step in range(first, steps):
        before = time.monotonic()
        batch = next(batches)
        waited += time.monotonic() - before
        torch.manual_seed(run.seed * 1_000_003 + step)  # of the masking
        model.train()
        state = None if batch.first else carried
        output = model(batch.inputs, batch.ids, batch.labels, batch.text_mask, batch.rows, state)
        loss = output.loss - (1 - effort_share(run, step)) * run.sizes.effort_weight * output.effort
        loss.backward()
        carried = output.state.detach() if run.through_time else None
        norm = torch.nn.utils.clip_grad_norm_(learning, run.optimisation.clip)
        if not torch.isfinite(norm):
            raise ValueError(f"the loss is not a number at step {step}; lower the learning rate and resume from {out}")
        factor = optimizers.step(step)
        meter.add(output, norm, batch)
        done = step + 1
        tick(done, steps)
        hours = progress["hours"] + (time.monotonic() - began) / 3600
        if done % run.log_every == 0 or done == steps:
            seconds = time.monotonic() - window
            line = {
                "step": done,
                **meter.means(),
                "rate": round(factor, 4),
                "clips_per_s": round(meter.clips / seconds, 2),
                "snippets_per_s": round(meter.snippets / seconds, 1),
                "waited": round(waited / seconds, 3),
                "hours": round(hours, 4),
            }
            write_line(out / "log.jsonl", line, board)
            left = (steps - done) * seconds / max(1, meter.count) / 60
            report(f"{shown(line)} of {steps}, {left:.0f} min left")
            waited, window, meter = 0.0, time.monotonic(), Meter()
        if evaluate is not None and (done % run.evaluate_every == 0 or done == steps):
            model.eval()
            scores = evaluate(model, tokenizer)
            write_line(out / "log.jsonl", {"step": done, **{f"score/{k}": v for k, v in scores.items()}}, board)
            report(shown({"step": done, **scores}))
            window = time.monotonic() if meter.count == 0 else window
        if done % run.save_every == 0 or done == steps:
            checkpoint.save(out, done, model, optimizers, tokenizer, {"hours": hours}, run.keep, carried)
    checkpoint.save_model(model.eval(), tokenizer, out / "model")
    return out / "model"


def effort_share(run: Run, step: int) -> float:
    """How much of the loss of effort counts at a step: first a memory must be of use, then it may be thrifty."""
    begin, full = run.effort_ramp
    return 1.0 if step >= full else max(0.0, (step - begin) / (full - begin))


def shown(line: dict[str, float]) -> str:
    """A line of the log as people read it."""
    return " ".join(f"{name} {value:.4g}" for name, value in line.items())


class Meter:
    """Means of the named losses between two lines of the log."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys((*NAMED, "norm"), 0.0)
        self.count = self.clips = self.snippets = 0

    def add(self, output: Any, norm: torch.Tensor, batch: Any) -> None:
        for name in NAMED:
            self.sums[name] += float(getattr(output, name).detach())
        self.sums["norm"] += float(norm)
        self.count += 1
        self.clips += len(batch.inputs.snippet_mask)
        self.snippets += int(batch.inputs.snippet_mask.sum())

    def means(self) -> dict[str, float]:
        return {name: round(total / max(1, self.count), 5) for name, total in self.sums.items()}


def open_board(out: Path) -> Any:
    """A TensorBoard writer where tensorboard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))


def write_line(path: Path, line: dict[str, float], board: Any) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    if board is not None:
        for name, value in line.items():
            if name != "step":
                board.add_scalar(name, value, line["step"])
