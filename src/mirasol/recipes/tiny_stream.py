"""`tiny-stream`: watches without end and remembers; a frozen encoder, a memory of 16 snippets behind it.

10 minutes on one CPU core, after 4 minutes in which 10 000 visits are rendered and fused once (`runs/streams`,
60 MB); 0.9 GB of memory. Streams of 12, then 24, then 64 seconds; the last come in two chunks, with the state carried
from one to the next and the gradient cut between them. 1 000 steps, 10 200 streams.

The encoder is that of the `tiny` which ships. The `tiny-stream` which ships was made with `tiny` as it was after 10 500
steps (give `benchmarks/bench_recall.py --encoder` that checkpoint to repeat it).

Expected (`python benchmarks/bench_recall.py --table`, three seeds): 92 % of questions about the past right after one
minute, 91 % after 43, where a blind guess gets 16 %; places and colours 100 %, the first sound 98 %, the last 96 and
88 %, and "how many have passed" no better than blind.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mirasol.data.fused import FusedStreamBatches, SnippetStore, Walk, make_store
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import Text
from mirasol.train import checkpoint
from mirasol.train.config import Optimisation, Run

ENCODER = Path(__file__).parents[1] / "checkpoints/tiny"
STORE = Path("runs/streams")
VISITS = {"train": 10_000, "test": 1_500}
WALKS = (
    Walk(0, chunk=12, chunks=1, visits=(3, 4), streams=16),
    Walk(300, chunk=24, chunks=1, visits=(3, 8), streams=12),
    Walk(500, chunk=32, chunks=2, visits=(3, 12), streams=12),
)
# What is compared in benchmarks/bench_recall.py.
VARIANTS: dict[str, dict[str, Any]] = {
    "priority": {"combiner": "priority", "memory": 16},
    "ttm": {"combiner": "local-ttm", "memory": 16},
    "window": {},
    "all": {"context_snippets": 64},
}
FUSING = ("tubes", "patches", "vit", "presence", "seconds", "combiner.query_tokens", "combiner.blocks", "combiner.norm")


def sizes_of(variant: str) -> Sizes:
    common = {"clock": "now", "context_snippets": 4, "latent_snippets": 4, "mask_rate": 0.0, "latent_weight": 0.1}
    return PRESETS["tiny"].change(**{**common, **VARIANTS[variant]})


def store(split: str, say: Callable[[str], None] = print) -> SnippetStore:
    """The stored snippets of a split by this encoder; rendered and fused where there are none yet."""
    path = STORE / f"{split}-{checkpoint.fingerprint(ENCODER, tuple(f'encoder.{part}' for part in FUSING))}.safetensors"
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


def recipe(variant: str = "priority", seed: int = 0) -> Run:
    def batches(first: int, last: int) -> FusedStreamBatches:
        store("train")
        return FusedStreamBatches(
            partial(store, "train"), Text(tokenizer()), WALKS, first, last, questions=6, seed=seed
        )

    return Run(
        name=f"tiny-stream-{variant}-{seed}",
        sizes=sizes_of(variant),
        optimisation=Optimisation(steps=1_000, rate=1e-3, other_rate=1e-3, warmup=50, decay=0.4),
        batches=batches,
        tokenizer=tokenizer,
        start_from=str(ENCODER),
        frozen=tuple(f"encoder.{part}" for part in FUSING),
        effort_ramp=(300, 600),
        seed=seed,
        log_every=50,
        save_every=400,
        through_time=True,
    )
