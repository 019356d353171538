"""Can a model of this size learn a set by heart? 64 one-second Toybox clips, each with up to six questions, to exact
answers; no mask, no weight on the other losses than in the preset.

    python benchmarks/bench_overfit.py [--preset small] [--clips 64] [--epochs 30]

Prints a line per epoch and ends when every answer is right; the last line goes to benchmarks/results/overfit.jsonl.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch

from mirasol.data.examples import Example, collate
from mirasol.data.toybox import scene_example, toybox_tokenizer
from mirasol.evaluate.toybox import answer_batch
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text
from mirasol.train.config import Optimisation
from mirasol.train.optimizer import Optimizers

RESULTS = Path(__file__).parent / "results/overfit.jsonl"


def right(model: Mirasol, text: Text, examples: list[Example]) -> tuple[int, int]:
    """Generated answers that equal the wanted ones, and all of them."""
    found = asked = 0
    for example in examples:
        answers = answer_batch(model, text, example.inputs, [(0, question) for question, _ in example.pairs])
        found += sum(answer == wanted for (answer, _), (_, wanted) in zip(answers, example.pairs, strict=True))
        asked += len(answers)
    return found, asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=tuple(PRESETS))
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=4e-4)
    options = parser.parse_args()
    torch.manual_seed(0)
    sizes = PRESETS[options.preset].change(mask_rate=0.0)
    text = Text(toybox_tokenizer(576))
    examples = [
        scene_example(100 * at, "train", sizes, seconds=1, questions=6, caption=False) for at in range(options.clips)
    ]
    model, batch = Mirasol(sizes).train(), 8
    steps = options.epochs * -(-options.clips // batch)
    how = Optimisation(steps, other_rate=options.rate, warmup=10, decay=0.5, weight_decay=0.0, muon=False)
    optimizers, step, began = Optimizers(model, how), 0, time.monotonic()
    for epoch in range(1, options.epochs + 1):
        order = random.Random(epoch).sample(examples, len(examples))
        losses = []
        for first in range(0, len(order), batch):
            given = collate(order[first : first + batch], text)
            output = model(given.inputs, given.ids, given.labels, given.text_mask, given.rows)
            output.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip)
            optimizers.step(step)
            step += 1
            losses.append(output.text.item())
        line = {
            "preset": options.preset, "parameters": count_parameters(model), "clips": options.clips, "epoch": epoch,
            "steps": step, "text": round(sum(losses) / len(losses), 4),
            "minutes": round((time.monotonic() - began) / 60, 1),
        }  # fmt: skip
        if line["text"] < 0.1 or epoch == options.epochs:
            model.eval()
            line["right"], line["asked"] = right(model, text, examples)
            model.train()
        print(json.dumps(line), flush=True)
        if line.get("right") == line.get("asked", -1):
            break
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
