"""What a run tells of itself: means between two lines of the log, the lines, what was left out."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirasol.data.examples import Batch
from mirasol.model.flops import Work, training_flops
from mirasol.model.inputs import Fused, Tokenized
from mirasol.model.mirasol import IGNORE
from mirasol.model.sizes import Sizes

from .config import Run
from .distributed import World
from .holding import whole_lines

SHOWN = 3  # files in a line for people
NAMED = ("loss", "text", "latent", "video", "audio", "effort", "spread")


class Meter:
    """Sums between two lines of the log, of this process."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.sums: dict[str, Any] = dict.fromkeys(NAMED, 0.0)  # tensors on the device: read once for each line
        self.norm: Any = 0.0
        self.began, self.waited = time.monotonic(), 0.0
        self.steps = self.batches = self.clips = self.snippets = self.flops = 0

    def take(self, batch: Batch) -> None:
        """The numbers of a batch, as it comes from the loader."""
        assert batch.inputs.snippet_mask is not None
        self.clips += len(batch.inputs.snippet_mask)
        self.snippets += int(batch.inputs.snippet_mask.sum())
        self.flops += batch_flops(self.sizes, batch)

    def add(self, output: Any) -> None:
        """The losses of one batch."""
        for name in NAMED:
            self.sums[name] = self.sums[name] + getattr(output, name).detach().double()
        self.batches += 1

    def count(self, norm: Tensor) -> None:
        """One step is done."""
        self.norm = self.norm + norm.detach().double()
        self.steps += 1

    def values(self) -> Tensor:
        """Per step and process: the losses, the norm, clips, snippets, operations, the share of time spent waiting."""
        steps, seconds = max(1, self.steps), max(1e-9, time.monotonic() - self.began)
        losses = [float(self.sums[name]) / max(1, self.batches) for name in NAMED]
        return torch.tensor(
            [
                *losses, float(self.norm) / steps, self.clips / steps, self.snippets / steps, self.flops / steps,
                self.waited / seconds,
            ],
            dtype=torch.float64,
        )  # fmt: skip


def batch_flops(sizes: Sizes, batch: Batch) -> int:
    """Operations of a training step of this batch, its padding included, without what is computed a second time."""
    assert batch.inputs.snippet_mask is not None
    clips, snippets = batch.inputs.snippet_mask.shape
    texts, tokens = batch.ids.shape
    targets = int((batch.labels[:, 1:] != IGNORE).sum())
    parts = training_flops(sizes, Work(snippets, texts, tokens, -(-targets // texts)))
    if isinstance(batch.inputs, Fused):
        parts |= dict.fromkeys(("tubes", "patches", "vit", "combiner", "reconstruction"), 0)
    if isinstance(batch.inputs, Tokenized):
        parts |= dict.fromkeys(("tubes", "patches", "vit", "reconstruction"), 0)
    of_text = ("decoder_self", "decoder_cross", "decoder_mlp", "output")
    return sum(value * (1 if name in of_text else clips) for name, value in parts.items())


def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Operations per second of a large matrix product here and now: what the utilisation is measured against."""
    side = 8_192 if device.type == "cuda" else 1_024
    first, second = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def products(times: int) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.monotonic()
        for _ in range(times):
            first @ second
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.monotonic() - began

    products(2)
    times = max(2, round(seconds / max(1e-6, products(2) / 2)))
    return times * 2 * side**3 / products(times)


class Record:
    """The log of a run: out/log.jsonl, TensorBoard, and lines for people; only the first process writes."""

    def __init__(
        self, out: Path, run: Run, here: World, say: Callable[[str], None], *, done: int, hours: float
    ) -> None:
        self.out, self.run, self.here, self.say = out, run, here, say
        self.began, self.hours_before = time.monotonic(), hours
        self.last_saved = self.began
        self.board = open_board(out, done) if here.first else None
        self.meter = Meter(run.sizes)
        self.peak = matrix_rate(here.device, torch.bfloat16 if run.bfloat16 else torch.float32)
        say(f"steps {done} to {run.optimisation.steps}; matrix products run at {self.peak / 1e12:.3g} TFLOP/s")

    def hours(self) -> float:
        """Trained, resumed runs added up."""
        return self.hours_before + (time.monotonic() - self.began) / 3600

    def over(self, most: float) -> bool:
        """Whether this call has lasted so many hours; 0: never."""
        return bool(most) and self.hours() - self.hours_before >= most

    def unsaved(self, minutes: float) -> bool:
        """Whether the last checkpoint is so many minutes old; 0: never."""
        return bool(minutes) and time.monotonic() - self.last_saved >= 60 * minutes

    def saved(self) -> None:
        self.last_saved = time.monotonic()

    @contextmanager
    def telling(self, source: Any) -> Iterator[None]:
        """Whatever ends the run inside, what could not be used up to then is written down."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # a full disk: what ended the run is said, not this
                self.left_out([source.report()])
            raise

    def line(self, step: int, factor: float) -> None:
        """One line of the log, of all steps since the last one. All processes must call it."""
        meter, ranks = self.meter, self.here.ranks
        rate = meter.steps / max(1e-9, time.monotonic() - meter.began)  # steps per second
        *losses, norm, clips, snippets, flops, waited = self.here.mean(meter.values()).tolist()
        line = {
            "step": step,
            **{name: round(value, 5) for name, value in zip(NAMED, losses, strict=True)},
            "norm": round(norm, 5),
            "rate": round(factor, 4),
            "clips_per_s": round(rate * clips * ranks, 2),
            "snippets_per_s": round(rate * snippets * ranks, 1),
            "media_s_per_s": round(rate * snippets * ranks * self.run.sizes.snippet_seconds, 1),
            "utilisation": round(rate * flops / self.peak, 4),
            "waited": round(waited, 3),
            "memory_gb": round(memory_in_use(self.here) / 1e9, 3),
            "hours": round(self.hours(), 4),
        }
        self.write(line)
        left = (self.run.optimisation.steps - step) / max(1e-9, rate) / 60
        self.say(f"{shown(line)} of {self.run.optimisation.steps}, {left:.0f} min left")
        self.meter = Meter(self.run.sizes)

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """What an evaluation in between found; its time counts for nothing."""
        self.write({"step": step, **{f"score/{name}": value for name, value in scores.items()}})
        self.say(shown({"step": step, **scores}))
        if not self.meter.steps:
            self.meter.began = time.monotonic()

    def write(self, line: dict[str, float]) -> None:
        if not self.here.first:
            return
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in line.items():
                if name != "step":
                    self.board.add_scalar(name, value, line["step"])

    def left_out(self, reports: list[dict[str, Any]]) -> None:
        """What could not be used so far goes into out/left_out.jsonl, what is used with a note of the reader (samples
        that are no sound, damaged packets) into out/noted.jsonl, each once; a line for people about either."""
        bad = [item for report in reports for item in report.get("bad", [])]
        noted = [item for report in reports for item in report.get("noted", [])]
        listed = max((report.get("listed", 0) for report in reports), default=0)  # every process lists the same
        path = self.out / "left_out.jsonl"
        if items := self._listed(path, ("key", "place"), bad):
            words = [f"{listed} rows or files were skipped when the data was listed"] if listed else []
            if count := len(items) - listed:
                words.append(f"{count} of the items could not be used so far")
            self.say(f"{' and '.join(words)}; {path} names them")
        path = self.out / "noted.jsonl"
        if files := self._listed(path, ("place",), noted):
            few = "; ".join(f"{one['place']}: {', '.join(one['notes'])}" for one in files[-SHOWN:])
            self.say(f"{len(files)} files are used with a note so far ({few}); {path} names them")

    def _listed(self, path: Path, names: tuple[str, ...], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Adds objects to a file that lists each once, told apart by these names: all of them, where there are more
        than before, else nothing."""
        if not (found and self.here.first):
            return []
        before = whole_lines(path)
        items = list({tuple(item.get(name) for name in names): item for item in (*before, *found)}.values())
        if len(items) == len(before):
            return []
        making = path.with_name(f".{path.name}")
        making.write_text("".join(json.dumps(item) + "\n" for item in items))
        making.replace(path)
        return items


def memory_in_use(here: World) -> int:
    """The most bytes that this process has held: on the GPU where it works on one."""
    if here.device.type == "cuda":
        return torch.cuda.max_memory_allocated(here.device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def shown(line: dict[str, float]) -> str:
    """A line of the log as people read it."""
    return " ".join(f"{name} {value:.4g}" for name, value in line.items())


def open_board(out: Path, step: int) -> Any:
    """A TensorBoard writer where tensorboard is installed, else None; what was written after `step` is hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)
