"""A small run whose batches mix what is there and what is absent; also a program for `torchrun`:

torchrun --nproc_per_node 2 tests/train/mixed_run.py OUT --combiner ttm --steps 20
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from pathlib import Path

import torch

from mirasol.data.examples import Batch, Example, collate
from mirasol.data.stepped import SteppedBatches
from mirasol.data.toybox import toybox_tokenizer
from mirasol.model.inputs import Inputs
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import Text
from mirasol.train import checkpoint
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import train

LEAST = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=2, combiner_layers=2, combined=3, latent_layers=1,
    context_snippets=5, reconstruct_scale=2, reconstruct_patch=6, mask_rate=0.3, effort_weight=0.1,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=2, text_mlp=24, text_positions=160,
)  # fmt: skip
MEMORY = {"local": 0, "causal": 0, "ttm": 7, "local-ttm": 7, "priority": 7}
CLIPS = 6  # of one step, over all processes: one, two or three


class MixedBatches(SteppedBatches):
    """Random clips of 1 to 4 snippets, 0 to 3 questions each. Of two processes one gets nothing but sound, the other
    pictures without sound and, at every third step, text alone."""

    def __init__(self, sizes: Sizes, text: Text, first: int, last: int) -> None:
        self.sizes, self.text, self.first, self.last = sizes, text, first, last

    def example(self, step: int, row: int) -> Example:
        seed = step * CLIPS + row
        chance, sizes = random.Random(f"mixed {seed}"), self.sizes
        generator = torch.Generator().manual_seed(seed)
        snippets = chance.randint(1, 4)
        kind = ("sound", "text" if step % 3 == 2 else "picture")[row % 2]
        inputs = Inputs(
            torch.randn(1, snippets, sizes.frames, 3, sizes.height, sizes.width, generator=generator),
            torch.full((1, snippets, sizes.frames), kind == "picture"),
            torch.randn(1, snippets, sizes.mels, sizes.columns, generator=generator),
            torch.full((1, snippets, sizes.columns), kind == "sound"),
            torch.ones(1, snippets, dtype=torch.bool),
        )
        words = ("bell", "dog", "blue", "left", "two", "the horn and the drum")
        pairs = [(f"what is {chance.choice(words)}?", chance.choice(words)) for _ in range(chance.randint(0, 3))]
        return Example(inputs, tuple(pairs), seed)

    def batch(self, step: int) -> Batch:
        return collate([self.example(step, row) for row in self.rows(CLIPS)], self.text, spare="what?")


def mixed_run(combiner: str = "local", steps: int = 6, preset: str = "", **options: object) -> Run:
    sizes = PRESETS[preset] if preset else LEAST.change(combiner=combiner, memory=MEMORY[combiner])
    tokenizer = toybox_tokenizer(sizes.vocabulary, scenes=20)
    common = {"workers": 0, "threads": 1, "log_every": 1, "save_every": 5, "keep": 9}
    return Run(
        name="mixed",
        sizes=sizes,
        optimisation=Optimisation(steps=steps, warmup=5, rate=2e-3, other_rate=1e-3, average=0.9),
        batches=lambda first, last: MixedBatches(sizes, Text(tokenizer), first, last),
        tokenizer=lambda: tokenizer,
        **{**common, **options},  # type: ignore[arg-type]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--combiner", default="local")
    parser.add_argument("--preset", default="")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--save-every", type=int, default=5)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--kill-at", type=int, default=-1, help="end this process without a word after so many steps")
    parser.add_argument("--terminate-at", type=int, default=-1, help="a signal to all processes of the session")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--kill-saving", type=int, default=-1, help="... before the checkpoint of this step is whole")
    options = parser.parse_args()

    def tick(done: int, steps: int) -> None:
        if done == options.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if done == options.terminate_at:
            os.killpg(0, signal.SIGTERM)

    def replace(making: Path, final: Path) -> None:
        if final.name == f"step-{options.kill_saving:07d}":
            os.kill(os.getpid(), signal.SIGKILL)
        os.rename(making, final)

    checkpoint.replace = replace

    run = mixed_run(
        options.combiner, options.steps, options.preset, save_every=options.save_every, accumulate=options.accumulate,
        workers=options.workers,
    )  # fmt: skip
    train(run, options.out, report=lambda line: None, tick=tick)


if __name__ == "__main__":
    main()
