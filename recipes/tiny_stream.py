"""`tiny-stream`: watches without end and remembers; the encoder of `tiny`, a memory of 16 snippets behind it."""

from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from mirasol.data.fused import FusedStreamBatches, SnippetStore, Walk, make_store
from mirasol.model.encoder import Encoder
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import Text
from mirasol.train import checkpoint
from mirasol.train.config import Optimisation, Run

ENCODER = Path(__file__).parents[1] / "src/mirasol/checkpoints/tiny"
STORE = Path("runs/streams")
VISITS = {"train": 10_000, "test": 1_500}

WALKS = (
    Walk(0, chunk=12, chunks=1, visits=(3, 4), streams=16),
    Walk(300, chunk=24, chunks=1, visits=(3, 8), streams=12),
    Walk(500, chunk=32, chunks=2, visits=(3, 12), streams=12),
)
VARIANTS = {
    "priority": {"combiner": "priority", "memory": 16},
    "ttm": {"combiner": "local-ttm", "memory": 16},
    "window": {},
    "all": {"context_snippets": 64},
}


def sizes_of(variant: str) -> Sizes:
    common = dict(clock="now", context_snippets=4, latent_snippets=4, mask_rate=0.0, latent_weight=0.1)
    return PRESETS["tiny"].change(**{**common, **VARIANTS[variant]})


def store(split: str, say=print) -> SnippetStore:
    path = STORE / f"{split}.safetensors"
    if not path.is_file():
        model = Mirasol(sizes_of("window")).eval()
        checkpoint.begin_with(ENCODER, model)

        def progress(done: int, of: int) -> None:
            if done % 50 == 0 or done == of:
                say(f"snippets for {split}: {done} of {of} streams rendered")

        make_store(model, split, VISITS[split], progress=progress).save(path)
    return SnippetStore.load(path)


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(ENCODER / "tokenizer.json"))


def recipe(variant: str = "priority", seed: int = 0, steps: int = 1_000) -> Run:
    def batches(first: int, last: int) -> FusedStreamBatches:
        store("train")
        return FusedStreamBatches(
            partial(store, "train"), Text(tokenizer()), WALKS, first, last, questions=6, seed=seed
        )

    return Run(
        name=f"tiny-stream-{variant}-{seed}",
        sizes=sizes_of(variant),
        optimisation=Optimisation(steps=steps, rate=1e-3, other_rate=1e-3, warmup=50, decay=0.4),
        batches=batches,
        tokenizer=tokenizer,
        effort_ramp=(300, 600),
        start_from=str(ENCODER),
        frozen=(
            "encoder.tubes",
            "encoder.patches",
            "encoder.vit",
            "encoder.presence",
            "encoder.seconds",
            *(f"encoder.combiner.{part}" for part in ("query_tokens", "blocks", "norm")),
        ),
        seed=seed,
        log_every=50,
        save_every=400,
        through_time=True,
    )
