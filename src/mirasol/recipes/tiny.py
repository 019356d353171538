"""The `tiny` model that ships with the package: learns Toybox from nothing, in 4 hours on two CPU cores.

Memory 1.3 GB in the main process, 0.3 GB in the loader's worker. 12 300 steps: 115 200 one-second clips, the first
92 800 of them without sound, then 16 000 of 1 to 3 seconds and 61 600 of 2 to 8 seconds; 30 to 40 snippets per second.
The last 4 000 steps came later, in two rounds with the rate begun anew and scenes chosen; one core was enough then.

Expected (`mirasol evaluate toybox --scenes 400`): 96 % of the test split right, 85 % of the compositional one, where
a blind guess gets 24 %; the worst types are count (85 %) and memory (86 %).
"""

from mirasol.data.toybox import Stage, ToyboxBatches, toybox_tokenizer
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text
from mirasol.train.config import Optimisation, Run

STAGES = (
    Stage(0, (1, 1), 32, things=1, caption_every=0, silent=True),
    Stage(900, (1, 1), 32, things=2, caption_every=0, silent=True),
    Stage(2_100, (1, 1), 32, caption_every=8, silent=True),
    Stage(2_900, (1, 1), 32, caption_every=8),
    Stage(3_600, (1, 3), 16),
    Stage(4_600, (2, 8), 8),
    Stage(8_300, (3, 8), 8, wanted=("way", "count", "way", "memory")),
    Stage(10_500, (3, 8), 8, wanted=("memory/picture", "memory/picture", "memory/picture", "count")),
)


def recipe() -> Run:
    sizes = PRESETS["tiny"].change(latent_weight=0.1, video_weight=0.05, audio_weight=0.05)

    def batches(first: int, last: int) -> ToyboxBatches:
        return ToyboxBatches(sizes, Text(toybox_tokenizer(sizes.vocabulary)), STAGES, first, last)

    return Run(
        name="tiny",
        sizes=sizes,
        optimisation=Optimisation(steps=12_300, rate=2e-3, other_rate=1e-3, warmup=100, restarts=(8_300, 10_500)),
        batches=batches,
        tokenizer=lambda: toybox_tokenizer(sizes.vocabulary),
        evaluate={"split": "validation", "scenes": 96},
        evaluate_every=1_500,
        save_every=100,
    )
