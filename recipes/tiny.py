"""The `tiny` model that ships with the package: learns Toybox from nothing, in half an hour on two CPU cores.

Memory 1.3 GB in the main process, 0.3 GB in the loader's worker. 1 800 steps: 35 200 one-second clips, the first 28 800
without sound, 4 800 of 1 to 3 seconds, 3 200 of 2 to 8 seconds; 20 to 45 clips or snippets per second.

Expected (`mirasol evaluate toybox --scenes 150`): 48 % of the test split right, 42 % of the compositional one, where a
blind guess gets 24 %; heard 100 %, seen 30 %, colour 53 %, which-made-the-sound at the blind figure. The text loss is
still falling in every stage: this is a short run, longer stages are the first thing to try.
"""

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
