"""Half a minute on one CPU core: shows that training works here. 0.28 M parameters learn to name one thing in a second
of Toybox; memory 0.4 GB.

Expected: the loss of the text falls from 5.6 to 0.8 in 200 steps (tests/golden/smoke.json holds the curve).
"""

from mirasol.data.toybox import Stage, ToyboxBatches, toybox_tokenizer
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.train.config import Optimisation, Run

SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=48, av_heads=3, av_mlp=96, vit_layers=1, combiner_layers=1, combined=4, latent_layers=1,
    context_snippets=4, reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=48, text_heads=3, text_kv_heads=3, text_layers=1, text_mlp=96, text_positions=192,
)  # fmt: skip


def recipe() -> Run:
    def batches(first: int, last: int) -> ToyboxBatches:
        stages = (Stage(0, (1, 2), 4, things=1, caption_every=0),)
        return ToyboxBatches(SIZES, Text(toybox_tokenizer(SIZES.vocabulary, scenes=20)), stages, first, last)

    return Run(
        name="smoke",
        sizes=SIZES,
        optimisation=Optimisation(steps=200, rate=2e-3, other_rate=2e-3, warmup=20),
        batches=batches,
        tokenizer=lambda: toybox_tokenizer(SIZES.vocabulary, scenes=20),
        data="Toybox scenes of one thing",
        workers=0,
        threads=1,
        save_every=100,
    )
