"""What a training run is told: plain values. A recipe is a function that returns one `Run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes

from .lora import LoraHow


@dataclass(frozen=True)
class Optimisation:
    """Warm-up, constant rate, then a straight line down to zero over the last `decay` share of the steps.

    At each of the `restarts` all of that begins anew up to the next one, at `restart_rate` times the rates, and the
    optimizers forget what they have gathered: more training for a model that was thought finished.
    """

    steps: int
    rate: float = 2e-3  # of Muon, for the matrices inside blocks
    other_rate: float = 2e-3  # of AdamW, for everything else
    weight_decay: float = 0.02
    warmup: int = 200
    decay: float = 0.3
    muon: bool = True  # false: AdamW for the matrices, too, at `other_rate`
    clip: float = 1.0  # largest norm of the gradient
    average: float = 0.0  # share of the old in the moving average of the weights that is kept beside them; 0: none
    restarts: tuple[int, ...] = ()
    restart_rate: float = 0.5

    def factor(self, step: int) -> float:
        """The learning rate at a step, as a share of the full rate."""
        bounds = (0, *(restart for restart in self.restarts if restart < self.steps), self.steps)
        begin = max(bound for bound in bounds[:-1] if bound <= max(step, 0))
        end = bounds[bounds.index(begin) + 1]
        left = (end - step) / max(1.0, (end - begin) * self.decay)
        full = self.restart_rate if begin else 1.0
        return full * max(0.0, min(1.0, (step - begin + 1) / max(1, self.warmup), left))


@dataclass(frozen=True)
class Run:
    """A complete run. `batches(first, last)` gives the batches [first, last), `accumulate` of them for each step: a
    `SteppedBatches`, each of which can be made by itself, or an `ItemBatches`, which says what it has used."""

    name: str
    sizes: Sizes
    optimisation: Optimisation
    batches: Any  # (first, last) -> SteppedBatches or ItemBatches
    tokenizer: Any  # () -> tokenizers.Tokenizer
    evaluate: dict[str, Any] = field(default_factory=dict)  # what to score during training; see the CLI
    data: str = ""  # what it learns from, in words, for the model card
    limits: str = ""  # ... and what the model cannot do
    seed: int = 0
    build: Callable[[Sizes], Mirasol] = Mirasol  # makes the model, all random; for experiments with other parts

    # What it begins with and what learns.
    start_from: str = ""  # folder of a checkpoint whose weights the run begins with, wherever names and shapes agree
    frozen: tuple[str, ...] = ()  # components, or starts of names, of parameters that stay as they are
    lora: LoraHow | None = None  # train adapters alone; the result is merged, and the adapter saved beside it
    effort_ramp: tuple[int, int] = (0, 0)  # steps between which the loss of effort (of a memory) comes in
    through_time: bool = False  # carry the state from batch to batch; see `Batch.first`

    # How it computes.
    accumulate: int = 1  # batches per step
    bfloat16: bool = False  # compute in bfloat16, Muon too; weights, gradients and optimizers' states stay in float32
    recompute: bool = False  # activations of each block in the backward pass, instead of keeping them
    compile: bool = False  # each block by torch.compile
    workers: int = 1
    threads: int = 0  # of the main process; 0 leaves it to torch

    # What it writes, and when.
    log_every: int = 20
    evaluate_every: int = 1_000
    save_every: int = 500  # steps between checkpoints
    save_minutes: float = 10.0  # ... and at most so many minutes; 0: by steps alone
    keep: int = 2  # checkpoints kept
    max_hours: float = 0.0  # end there, with a checkpoint to go on from; 0: no limit
