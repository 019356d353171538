"""The `tiny` model that ships with the package: learns Toybox from nothing."""

from mirasol.data.toybox import Stage, ToyboxBatches, toybox_tokenizer
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text
from mirasol.train.config import Optimisation, Run

STAGES = (
    Stage(0, (1, 1), 32, things=1, caption_every=0, silent=True),
    Stage(600, (1, 1), 32, things=2, caption_every=0, silent=True),
    Stage(900, (1, 1), 32),
    Stage(1_100, (1, 3), 16),
    Stage(1_400, (2, 8), 8),
)


def recipe() -> Run:
    sizes = PRESETS["tiny"].change(latent_weight=0.1, video_weight=0.05, audio_weight=0.05)

    def batches(first: int, last: int) -> ToyboxBatches:
        return ToyboxBatches(sizes, Text(toybox_tokenizer(sizes.vocabulary)), STAGES, first, last)

    return Run(
        name="tiny",
        sizes=sizes,
        optimisation=Optimisation(steps=1_800, rate=2e-3, other_rate=1e-3, warmup=100),
        batches=batches,
        tokenizer=lambda: toybox_tokenizer(sizes.vocabulary),
        evaluate={"split": "validation", "scenes": 96},
        evaluate_every=1_500,
        save_every=100,
    )
