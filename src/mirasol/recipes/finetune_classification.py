"""Fine-tune a model to name what a video shows: a folder for each label (`videos/brushing teeth/a.mp4`), or a manifest
with a label in each row.

    mirasol train finetune_classification --data videos/ --out runs/mine
    mirasol ask clip.mp4 "what is this?" --model runs/mine/model

As in the paper a class is text: the model writes its label. What can be set besides, time and memory: see
`mirasol train finetune_qa`.
"""

from mirasol.recipes.finetune_qa import recipe as finetune
from mirasol.train.config import Run

PROMPT = "what is this?"


def recipe(
    data: str,
    media: str = "",
    start_from: str = "tiny",
    valid: str = "",
    prompt: str = PROMPT,
    steps: int = 300,
    clips: int = 16,
    rate: float = 3e-4,
    longest: float = 10.0,
    lora: int = 0,
    seed: int = 0,
) -> Run:
    return finetune(
        data, media=media, start_from=start_from, valid=valid, prompt=prompt, steps=steps, clips=clips, rate=rate,
        longest=longest, lora=lora, seed=seed,
    )  # fmt: skip
