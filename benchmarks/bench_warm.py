"""Warm against cold: pretrained parts that are joined, and the same sizes all new, on the same scenes.

    python benchmarks/bench_warm.py --arm warm [--models models] [--pack pack]     the recipe warm_start, stage join
    python benchmarks/bench_warm.py --arm warm --from taught              ... with a ViT that tools/teach_vit.py taught
    python benchmarks/bench_warm.py --arm tune --steps 100 --from runs/bench-warm-0-300/model     ... then stage tune
    python benchmarks/bench_warm.py --arm cold [--hours 0.3]                       everything new; learns everything
    python benchmarks/bench_warm.py --score MODEL [--seconds 3]                    a model that is trained already
    python benchmarks/bench_warm.py --nearest                                      what one nearest neighbour gets
    python benchmarks/bench_warm.py --linear [--from taught]                       what a linear layer gets
    python benchmarks/bench_warm.py --blind                                        what a guess gets
    python benchmarks/bench_warm.py --plot                                         docs/warm.png: the curves of arms

On the way and at the end both answer scenes of `pack/held_out`, a source of pictures and sounds that training never
meets, and new scenes of `pack/train`. Exact match; the kinds are those that both sources have. One thread. An arm that
is ended by `--hours` goes on when it is called again. Results go to benchmarks/results/warm.jsonl, a line each.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mirasol.data.scenes import PackScenes, make_tokens
from mirasol.evaluate.toybox import percentages, score_these
from mirasol.media.toybox import AssetPack
from mirasol.model.inputs import silence_before
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.signals import snippet_pixels, snippet_spectrograms
from mirasol.model.text import Text
from mirasol.model.vit import PICTURE, SOUND
from mirasol.recipes import warm_start
from mirasol.train import checkpoint
from mirasol.train.config import Run
from mirasol.train.loop import train
from mirasol.warm import join

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/warm.jsonl"
TYPES = ("seen", "heard", "which")


def note(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def sources(pack: str, seconds: int = 1) -> dict[str, PackScenes]:
    """Whose scenes are asked about; of the source in training other scenes than those learned from."""
    parts = {"held_out": "held_out", "train_source": "train"}
    return {name: replace(warm_start.scenes_of(pack, part), seconds=(seconds,)) for name, part in parts.items()}


def scores(model: Mirasol, text: Text, pack: str, count: int, row: str = "both", seconds: int = 1) -> dict[str, float]:
    """Exact match by source and type, in percent, and how many questions there were of each. Of things that are seen
    also those that are alone, and those that are one of several."""
    found = {}
    for source, shown in sources(pack, seconds).items():
        scenes = [shown.scene(number) for number in range(count)]
        answered = list(score_these(model, text, scenes, (row,), types=TYPES, pack=shown.assets))
        alone = {scene.seed for scene in scenes if len(scene.things) == 1}
        seen = [one for one in answered if one.type == "seen"]
        answered += [replace(one, type="seen, alone" if one.seed in alone else "seen, of several") for one in seen]
        asked = Counter(one.type for one in answered)
        for name, right in percentages(answered).items():
            if name in asked:
                found[f"{source}/{name}"] = round(right, 1)
                found[f"{source}/{name}/questions"] = asked[name]
    return found


def score(options: argparse.Namespace) -> None:
    """Scores a model that is trained, on scenes of `--seconds`."""
    model, text = Mirasol.load(options.score), Text.load(options.score)
    figures = scores(model, text, options.pack, options.scenes, "both", options.seconds)
    about = {"what": "scores", "of": options.score, "pack": options.pack, "seconds": options.seconds, "row": "both"}
    note({**about, **figures})


def run(arm: str, options: argparse.Namespace) -> None:
    """Trains an arm, or goes on with it, and scores what it has become."""
    recipe = arm_recipe(arm, options)
    name = f"{arm}-{Path(options.start).name}" if arm == "warm" and options.start else arm
    how = f"-{options.rate:g}" if options.rate else ""
    if options.start:  # another beginning is another run
        how += f"-{checkpoint.fingerprint(Path(options.start), ('',))[:6]}"
    if options.bfloat16:
        how += "-bfloat16"
    if options.pack != "pack":
        how += f"-{Path(options.pack).name}"
    out = Path("runs") / f"bench-{name}-{options.seed}-{options.steps}{how}"

    def evaluate(model: Mirasol, tokenizer: Any) -> dict[str, float]:
        return scores(model, Text(tokenizer), options.pack, options.scenes_between)

    begun = time.monotonic()
    folder = train(recipe, out, evaluate=evaluate) or checkpoint.latest(out)
    assert folder is not None
    model, text = Mirasol.load(folder), Text.load(folder)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    curve = {line["step"]: line["text"] for line in lines if "text" in line}
    between = {line["step"]: line for line in lines if "score/held_out/seen" in line}
    for row in ("both", "question"):
        note(
            {
                "what": "scores", "arm": name, "pack": options.pack, "seed": options.seed, "step": max(curve),
                "steps": options.steps, "from": options.start, "rate": recipe.optimisation.rate, "row": row,
                "bfloat16": options.bfloat16,
                "parameters": count_parameters(model),
                "hours": round((time.monotonic() - begun) / 3600, 3),
                **scores(model, text, options.pack, options.scenes, row),
            }
        )  # fmt: skip
    about = {"what": "curve", "arm": name, "pack": options.pack, "seed": options.seed}
    note({**about, "text": curve, "between": list(between.values())})


def arm_recipe(arm: str, options: argparse.Namespace) -> Run:
    models = Path(options.models)
    other = {"tune": {"stage": "tune", "scenes": 20_000}, "warm": {}, "cold": {}}[arm]
    recipe = warm_start.recipe(
        vit=str(models / "dinov2-small"), text=str(models / "stories15m"), pack=options.pack, warm=arm != "cold",
        seed=options.seed, steps=options.steps, rate=options.rate, start_from=options.start, bfloat16=options.bfloat16,
        **other,
    )  # fmt: skip
    return replace(
        recipe, workers=0, threads=1, log_every=10, evaluate_every=100, save_every=50, max_hours=options.hours
    )


@torch.inference_mode()
def nearest(options: argparse.Namespace) -> None:
    """Each picture (or sound) of the other source gets the kind of the nearest one of the source in training, by the
    cosine of what a frozen ViT makes of it: pictures alone on grey, as large as they fit; sounds as spectrograms."""
    models, side = Path(options.models), options.side
    sizes = warm_start.SIZES.change(height=side, width=side)
    joined = join(sizes, vit=models / "dinov2-small", text=models / "stories15m", hear=True, text_positions=128)
    packs = [shown.assets for shown in sources(options.pack).values()]
    for what, features in (("seen", picture_features), ("heard", sound_features)):
        (asked, truths), (known, kinds) = (features(joined.model, pack) for pack in packs)
        for name in asked:
            best = (F.normalize(asked[name], dim=-1) @ F.normalize(known[name], dim=-1).T).argmax(dim=-1).tolist()
            right = sum(truth == kinds[at] for truth, at in zip(truths, best, strict=True))
            note(
                {
                    "what": "nearest", "type": what, "features": name, "side": side, "right": right,
                    "asked": len(truths), "known": len(kinds), "percent": round(100 * right / len(truths), 1),
                }
            )  # fmt: skip


def tokens_of(model: Mirasol, tokens: Tensor, modality: int) -> Tensor:
    """(n, N, D) through the ViT with its class token in front, which `Vit` itself leaves out: (n, 1 + N, D)."""
    vit = model.encoder.vit
    x = torch.cat([vit.extra_tokens.expand(len(tokens), -1, -1), tokens + vit.modality_tokens[modality]], dim=1)
    for block in vit.blocks:
        x, _ = block(x)
    return vit.norm(x)


def summaries(parts: list[Tensor]) -> dict[str, Tensor]:
    """What stands for all tokens (n, 1 + N, D): the class token, or the mean or the largest of the others."""
    x = torch.cat(parts)
    return {"class": x[:, 0], "mean": x[:, 1:].mean(dim=1), "largest": x[:, 1:].amax(dim=1)}


def picture_features(model: Mirasol, pack: AssetPack) -> tuple[dict[str, Tensor], list[str]]:
    """Of each picture of the kinds in the pack's world, and the kinds."""
    sizes, found, kinds = model.sizes, [], []
    for kind in pack.world.kinds:
        for file in pack.pictures[kind]:
            with Image.open(file) as opened:
                picture = opened.convert("RGBA")
            picture = picture.crop(picture.getchannel("A").getbbox())
            under = Image.new("RGBA", picture.size, (128, 128, 128, 255))
            under.alpha_composite(picture)
            pixels, _ = snippet_pixels([np.asarray(under.convert("RGB"))], np.zeros((1, 1), np.int64), sizes)
            found.append(tokens_of(model, model.encoder.tubes(pixels[None])[0], PICTURE))
            kinds.append(kind)
    return summaries(found), kinds


def sound_features(model: Mirasol, pack: AssetPack) -> tuple[dict[str, Tensor], list[str]]:
    """Of each sound, from where it begins; beside the ViT's tokens mean and deviation of each mel bin."""
    sizes, found, kinds, plain = model.sizes, [], [], []
    for kind in pack.world.kinds:
        for at in range(len(pack.sounds[kind])):
            wave = pack.sound(kind, Fixed(at))
            wave = np.pad(wave, (0, sizes.samples - len(wave)))[None]
            spectrogram = snippet_spectrograms(wave, silence_before(sizes), sizes)
            found.append(tokens_of(model, model.encoder.patches(spectrogram[None])[0], SOUND))
            plain.append(torch.cat([spectrogram[0].mean(dim=-1), spectrogram[0].std(dim=-1)]))
            kinds.append(kind)
    return {**summaries(found), "mel": torch.stack(plain)}, kinds


def linear(options: argparse.Namespace) -> None:
    """A linear layer on what the frozen ViT makes of scenes of a second with one thing: learned from such as `join`
    learns from, asked about those of the other source. It bounds what joining can bring to light."""
    models = Path(options.models)
    folder = Path(
        options.start or warm_start.start(str(models / "dinov2-small"), str(models / "stories15m"), options.seed)
    )
    learned = replace(warm_start.scenes_of(options.pack, "train", learned=True), seconds=(1,))
    asked, count = sources(options.pack)["held_out"], 3_000
    stores = {learned: (warm_start.stored(folder, learned, count), count)}
    stores[asked] = (make_tokens(Mirasol.load(folder), asked, options.scenes), options.scenes)
    for what, part in (("seen", "tubes"), ("heard", "patches")):
        found = []
        for shown, (store, of) in stores.items():
            answers = {number: answer_alone(shown, number, what) for number in range(of)}
            numbers = [number for number, answer in answers.items() if answer]
            tokens = getattr(store.inputs(numbers), part)[:, 0]
            found.append((summaries([tokens]), [answers[number] for number in numbers]))
        (known, answers_known), (new, truths) = found
        kinds = sorted(set(answers_known))
        labels = torch.tensor([kinds.index(kind) for kind in answers_known])
        for name in known:
            mean, spread = known[name].mean(dim=0), known[name].std(dim=0) + 1e-5
            layer = fitted((known[name] - mean) / spread, labels, len(kinds))
            best = layer((new[name] - mean) / spread).argmax(dim=-1).tolist()
            right = sum(truth == kinds[at] for truth, at in zip(truths, best, strict=True))
            note(
                {
                    "what": "linear", "vit": folder.name, "pack": options.pack, "type": what, "features": name,
                    "right": right, "asked": len(truths), "known": len(labels),
                    "percent": round(100 * right / len(truths), 1),
                }
            )  # fmt: skip


def answer_alone(shown: PackScenes, number: int, what: str) -> str:
    """The answer to the question of this type in a scene with one thing, or nothing."""
    scene = shown.scene(number)
    return next((q.answer for q in scene.questions if q.type == what and len(scene.things) == 1), "")


def fitted(features: Tensor, labels: Tensor, kinds: int) -> torch.nn.Linear:
    """A linear layer after 200 steps of AdamW on all at once."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(features.shape[1], kinds)
    optimizer = torch.optim.AdamW(layer.parameters(), 3e-3, weight_decay=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(layer(features), labels, label_smoothing=0.1).backward()
        optimizer.step()
    return layer


class Fixed:
    """Stands in the place of a generator where a pack picks a file: this one."""

    def __init__(self, at: int) -> None:
        self.at = at

    def integers(self, count: int) -> int:
        return self.at


def blind(options: argparse.Namespace) -> None:
    """The commonest answer to each question, learned from the 2 000 scenes in training."""
    learned = warm_start.scenes_of(options.pack, "train", learned=True)
    for source, shown in sources(options.pack).items():
        exact: dict[str, Counter[str]] = defaultdict(Counter)
        for number in range(2_000):
            for question in learned.questions(number):
                exact[question.text][question.answer] += 1
        right: dict[str, list[bool]] = defaultdict(list)
        for number in range(options.scenes):
            for question in shown.scene(number).questions:
                if question.type in TYPES and question.text in exact:
                    right[question.type].append(exact[question.text].most_common(1)[0][0] == question.answer)
        figures = {type: round(100 * sum(right[type]) / len(right[type]), 1) for type in TYPES}
        note({"what": "blind", "source": source, "scenes": options.scenes, **figures})


def draw() -> None:
    """docs/warm.png: of each arm's last run loss, exact match on the way where many were asked, and at its end."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    curves = [line for line in lines if line["what"] == "curve" and line["arm"] != "tune"]
    runs = {line["arm"]: line for line in curves}
    ends = {
        (line["arm"], line["seed"], line["step"]): line for line in lines if line.get("row") == "both" and "arm" in line
    }
    figure, (losses, rights) = plt.subplots(1, 2, figsize=(12, 3.6))
    colours = {"cold": "#c4782a", "warm": "#17697d", "warm-taught": "#8a3ffc", "warm-taught-named": "#2a8c3c"}
    for arm, colour in colours.items():
        if not (line := runs.get(arm)):
            continue
        losses.plot([int(step) for step in line["text"]], list(line["text"].values()), color=colour, label=arm)
        end = ends[arm, line["seed"], max(map(int, line["text"]))]
        for style, mark, type in (("-", "o", "seen"), ("--", "s", "heard")):
            key = f"score/held_out/{type}"
            on_the_way = [between for between in line["between"] if between[f"{key}/questions"] >= 50]
            steps, right = ([between[name] for between in on_the_way] for name in ("step", key))
            rights.plot(steps, right, style, marker=".", color=colour)
            rights.plot(end["step"], end[f"held_out/{type}"], mark, color=colour, label=f"{arm}, {type}")
    losses.set(xlabel="step", ylabel="loss of the text", yscale="log")
    rights.set(xlabel="step", ylabel="exact match, source held out, %", ylim=(0, None))
    for axis in (losses, rights):
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(ROOT / "docs/warm.png", dpi=110)


def main() -> None:
    """Train and score an arm, or one of the yardsticks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", choices=("warm", "tune", "cold"))
    parser.add_argument("--models", default="models", help="what tools/fetch_models.py made")
    parser.add_argument("--pack", default="pack", help="what tools/make_pack.py made")
    parser.add_argument(
        "--from",
        dest="start",
        default="",
        help="--arm tune: the model that --arm warm has made; else a folder to begin with",
    )
    parser.add_argument("--rate", type=float, default=0.0, help="of Muon; 0: that of the recipe")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has instructions for it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--hours", type=float, default=0.0, help="end the arm after so long; 0: never")
    parser.add_argument("--scenes", type=int, default=400, help="of each source, scored at the end")
    parser.add_argument("--scenes-between", type=int, default=100, help="... and every 100 steps")
    parser.add_argument("--score", default="", metavar="MODEL", help="a folder that a run has made")
    parser.add_argument("--seconds", type=int, default=1, help="--score: of each scene")
    parser.add_argument("--nearest", action="store_true")
    parser.add_argument("--side", type=int, default=168, help="--nearest: height and width of the pictures")
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--plot", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.start and options.arm not in ("warm", "tune") and not options.linear:
        parser.error("--from goes with --arm warm, --arm tune and --linear")
    if (options.arm == "tune" or options.start) and not (Path(options.start) / "config.json").is_file():
        parser.error(f"expected a model to begin with in --from, found none in {options.start!r}")
    if options.arm:
        run(options.arm, options)
    if options.score:
        score(options)
    if options.nearest:
        nearest(options)
    if options.linear:
        linear(options)
    if options.blind:
        blind(options)
    if options.plot:
        draw()


if __name__ == "__main__":
    main()
