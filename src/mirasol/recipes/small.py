"""The `small` preset (59 M parameters, a Token Turing Machine of 64 tokens, 112x112 at 8 frames per second) from
nothing, on one GPU:

    mirasol train small --data "shards/{000..099}.tar" --out runs/small

Per step 64 clips of up to 16 seconds. Time and memory: `mirasol docs scaling`, on paper; no GPU run has been made. On a
CPU one core learns 64 one-second clips by heart in half an hour (`python benchmarks/bench_overfit.py`).
"""

from itertools import islice

from tokenizers import Tokenizer

from mirasol.data.batches import first_texts
from mirasol.data.bucketed import BucketedBatches
from mirasol.data.opening import open_mixture
from mirasol.data.order import Mixture
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import Text, train_tokenizer
from mirasol.recipes.finetune_qa import first_name, names
from mirasol.train.config import Optimisation, Run


def vocabulary(mixture: Mixture, sizes: Sizes, path: str) -> Tokenizer:
    """From a tokenizer.json, or learned from the first 100 000 items."""
    if path:
        return Tokenizer.from_file(path)
    return train_tokenizer(islice(first_texts(mixture), 2_000_000), sizes.vocabulary)


def recipe(
    data: str,
    media: str = "",
    preset: str = "small",
    steps: int = 50_000,
    clips: int = 64,
    accumulate: int = 1,
    longest: float = 16.0,
    rate: float = 1e-3,
    tokenizer: str = "",
    bfloat16: bool = True,
    seed: int = 0,
) -> Run:
    sizes = PRESETS[preset]
    mixture = open_mixture(data, seed, None, media or None)
    words: list[Tokenizer] = []

    def load() -> Tokenizer:
        if not words:
            words.append(vocabulary(mixture, sizes, tokenizer))
        return words[0]

    def batches(first: int, last: int) -> BucketedBatches:
        return BucketedBatches(mixture, sizes, Text(load()), clips=clips, seed=seed, longest=longest)

    return Run(
        name=f"{preset}-{first_name(data)}",
        sizes=sizes,
        optimisation=Optimisation(steps=steps, rate=rate, other_rate=rate / 2, warmup=min(2_000, steps // 10)),
        batches=batches,
        tokenizer=load,
        data=f"{len(mixture)} items of {names(data)}",
        seed=seed,
        accumulate=accumulate,
        bfloat16=bfloat16,
        recompute=preset != "small",
        workers=8,
        save_every=1_000,
    )
