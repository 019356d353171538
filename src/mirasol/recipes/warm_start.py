"""A model that starts from what others have learned: DINOv2 ViT-S/14 sees, and reads the spectrogram as a grey picture;
stories15M answers. In two stages, on scenes of one to three seconds with real pictures and sounds (see
`mirasol docs warm_start`):

    python tools/fetch_models.py models && python tools/make_pack.py pack
    mirasol train warm_start --out runs/join                       what joins the parts learns, and the words
    mirasol train warm_start --set stage=tune --from runs/join/model --out runs/tune             all of it
    mirasol train warm_start --set stage=tune --from runs/join/model --set lora=8                or adapters
    mirasol train warm_start --set warm=false --out runs/cold      the same sizes, scenes and order, all new

`join` begins with a folder that `mirasol init` made (`--from`), or makes one of the models in `vit` and `text`. The ViT
does not learn there, so it sees each scene once: its tokens, 0.14 MB a second, lie in `runs/warm_start` (2.4 GB, which
a run also has in memory). The questions are what is seen, what is heard, and which of three things made the sound; the
kinds are those that `pack/held_out`, the other source, has, too (`kinds=all`: all 244).
"""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from mirasol.data.scenes import PackScenes, SceneBatches, TokenStore, make_tokens
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.train import checkpoint
from mirasol.train.config import Optimisation, Run
from mirasol.train.lora import LoraHow
from mirasol.warm import join, loaded_names

HOME = Path("runs/warm_start")
VIEWING = ("encoder.tubes", "encoder.patches", "encoder.vit")
FUSING = ("encoder.combiner.blocks", "encoder.latent_model.blocks")
FUSES = ("combiner", "combiner_layers", "combiner_cells", "combined", "latent_layers", "mask_rate")  # of SIZES
WORDS = ("decoder.embed.weight", "lm_head.weight")
PLAN = ((1, "seen"), (3, "which"), (1, "heard"), (3, "which"), (3, "which"))  # things, and a type that is asked
SECONDS = (1, 1, 2, 3)
OFTEN = (("qabcs", 6), ("also", 6))  # most of these pictures are photographs, as those of pack/held_out; others drawn
GATE = 1.0  # of cross-attention at the start of `join`: tanh 0.76, open
HIDE = 0.4  # of the stored tubes and patches in each step: what is heard rests on more of them
AVERAGE = 0.99  # share of the old in the average of the weights, which is what a run gives
QUERIES = 0.5  # times the combiner's queries at that start: they do not drown what is in their cells
SIZES = Sizes(
    frame_rate=1.0, frames=1, height=168, width=168, hop=160, window=400, mels=70, patch=(14, 10),
    tubes=(((1, 14, 14), (1, 14, 14), (0, 0, 0)),), vit_summary=True, combiner_layers=2, combined=20,
    combiner_cells=(2, 6), latent_layers=1, context_snippets=8, mask_rate=0.0, reconstruct_video=False,
    reconstruct_audio=False, reconstruct_scale=4, reconstruct_patch=7, latent_weight=0.0, video_weight=0.0,
    audio_weight=0.0,
)  # fmt: skip


def start(vit: str, text: str, seed: int) -> Path:
    """The folder of the joined model before it is trained, made where there is none yet."""
    folder = HOME / f"start-{Path(vit).name}-{Path(text).stem}-{seed}"
    if not (folder / "config.json").is_file():
        for name in (vit, text):
            if name.startswith("models/") and not Path(name).is_dir():
                raise ValueError(f"no folder {name}; make it by: python tools/fetch_models.py models")
        joined = join(SIZES, vit=vit, text=text, hear=True, cross_every=2, text_positions=128, seed=seed)
        for name, parameter in joined.model.named_parameters():
            if name.endswith("cross_gate"):
                parameter.data.fill_(GATE)
            elif name == "encoder.combiner.query_tokens":
                parameter.data.mul_(QUERIES)
            elif name.startswith(FUSING) and name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.data.zero_()  # at first each cell is what is seen in it, and nothing of other places
        joined.save(folder)
    found = Sizes.load(folder)
    if any(getattr(found, name) != getattr(SIZES, name) for name in FUSES):
        raise ValueError(f"{folder} was made by another state of this recipe; move it away, and it is made anew")
    return folder


def kept_as_they_are(folder: Path) -> tuple[str, ...]:
    """What does not learn in `join`: the ViT, and all of the language model but its words (embeddings and
    output layer). Many of these it never met where it was trained, the end of a text among them: the loss of such a one
    stays near that of a guess among 32 000, whatever cross-attention does."""
    return (*(name for name in loaded_names(folder) if name not in WORDS), *VIEWING)


def scenes_of(pack: str, part: str, kinds: str = "shared", *, learned: bool = False) -> PackScenes:
    """The scenes of pack/train or pack/held_out; "shared" are the kinds that both have. Those that are learned from
    last longer, have three things more often, and show each picture and sound a little changed every time."""
    chosen: tuple[str, ...] = ()
    if kinds == "shared":
        both = [PackScenes(str(Path(pack) / name)).assets.world.kinds for name in ("train", "held_out")]
        chosen = tuple(kind for kind in both[0] if kind in both[1])
    elif kinds != "all":
        raise ValueError(f"expected kinds=shared or kinds=all, found {kinds!r}")
    shown = PackScenes(str(Path(pack) / part), chosen, "train" if learned else "test")
    return replace(shown, plan=PLAN, seconds=SECONDS, each=True, vary=True, often=OFTEN) if learned else shown


def stored(folder: Path, scenes: PackScenes, count: int, *, bfloat16: bool = False) -> TokenStore:
    """The tokens of the first `count` scenes by the ViT of the model in `folder`; made where there are none yet."""
    assets = scenes.assets
    files = [file for part in (assets.pictures, assets.sounds) for found in part.values() for file in found]
    pack = [(str(file), file.stat().st_size) for file in files]  # it may be made anew under the same name
    what = f"{checkpoint.fingerprint(folder, VIEWING)} {scenes} {count} {bfloat16} {pack}"
    what = hashlib.sha256(what.encode()).hexdigest()[:12]
    path = HOME / f"tokens-{what}.safetensors"
    if not path.is_file():

        def progress(done: int, of: int) -> None:
            if done % 200 == 0 or done == of:
                print(f"{done} of {of} scenes seen by the ViT", flush=True)

        make_tokens(Mirasol.load(folder), scenes, count, bfloat16=bfloat16, progress=progress).save(path)
    return TokenStore.load(path)


def media_of_ones_own(scenes: PackScenes) -> str:
    """What the card says of pictures and sounds that came into the pack by `make_pack.py --also`."""
    assets = scenes.assets
    files = [file for part in (assets.pictures, assets.sounds) for kind in assets.world.kinds for file in part[kind]]
    more = sum(file.name.startswith("also") for file in files)
    return f"; {more} of its {len(files)} files are media added by --also, under licences of their own" if more else ""


def recipe(
    start_from: str = "",
    vit: str = "models/dinov2-small",
    text: str = "models/stories15m",
    pack: str = "pack",
    stage: str = "join",
    warm: bool = True,
    lora: int = 0,
    kinds: str = "shared",
    scenes: int = 10_000,
    clips: int = 16,
    steps: int = 800,
    rate: float = 0.0,  # of Muon; 0: what the stage has
    bfloat16: bool = False,  # faster where the processor has instructions for it
    seed: int = 0,
) -> Run:
    if stage not in ("join", "tune"):
        raise ValueError(f"expected stage=join or stage=tune, found {stage!r}")
    folder = Path(start_from) if start_from else start(vit, text, seed)
    sizes, joining = Sizes.load(folder), stage == "join" and warm
    shown = scenes_of(pack, "train", kinds, learned=True)

    def tokenizer() -> Tokenizer:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))

    def batches(first: int, last: int) -> SceneBatches:
        store = None
        if joining:
            store = partial(stored, folder, shown, scenes, bfloat16=bfloat16)
            store()
        return SceneBatches(
            shown, sizes, Text(tokenizer()), first, last, count=scenes, clips=clips, store=store,
            hide=HIDE if joining else 0.0, seed=seed,
        )  # fmt: skip

    rate = rate or (2e-3 if stage == "join" else 2e-5)  # 2e-4 takes the ViT apart (docs/LOG.md)
    return Run(
        name=f"warm-{stage}-{seed}" if warm else f"cold-{seed}",
        sizes=sizes,
        optimisation=Optimisation(
            steps=steps,
            rate=rate,
            other_rate=rate / 2,
            warmup=min(20, steps // 5),
            decay=0.3,
            average=AVERAGE if stage == "join" else 0.0,  # `tune` is short: a third of it would be what it began with
        ),
        batches=batches,
        tokenizer=tokenizer,
        data=f"{scenes} scenes of one to three seconds of {pack}/train, {kinds} kinds{media_of_ones_own(shown)}",
        limits="It learned on films of 1 to 3 seconds with one to three things; of longer films, ask about a part. "
        "In our runs it named half of the sounds of another source wrongly, a fifth of the pictures of one thing, and "
        "nearly half of those of three, where it had photographs and recordings to learn from; without them, more. "
        "Which of three things makes a sound it guesses.",
        seed=seed,
        start_from=str(folder) if warm else "",
        frozen=kept_as_they_are(folder) if joining else (),
        bfloat16=bfloat16,
        lora=LoraHow(rank=lora, alpha=2.0 * lora, targets=("decoder", "encoder.vit")) if lora else None,
        log_every=20,
        save_every=100,
        keep=1,
    )
