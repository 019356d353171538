"""The `3b` preset (2.88 B parameters, half of them on the audio-video side) on millions of pairs, on many GPUs:

    torchrun --nnodes 8 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST -m mirasol train \\
        pretrain_3b --data "video/{0000..2999}.tar=0.8,stills/{000..199}.tar=0.1,sounds/{000..199}.tar=0.1"

Per step 512 clips of up to 16 seconds (128 frames). Time, memory and traffic on 1, 8 and 64 GPUs, on paper from what
has been measured: `mirasol docs scaling`. Nothing of this size has been trained with it yet.
"""

from mirasol.recipes.small import recipe as from_nothing
from mirasol.train.config import Run


def recipe(
    data: str,
    media: str = "",
    steps: int = 6_000,
    clips: int = 512,
    accumulate: int = 1,
    longest: float = 16.0,
    rate: float = 3e-4,
    tokenizer: str = "",
    seed: int = 0,
) -> Run:
    return from_nothing(
        data, media=media, preset="3b", steps=steps, clips=clips, accumulate=accumulate, longest=longest, rate=rate,
        tokenizer=tokenizer, seed=seed,
    )  # fmt: skip
