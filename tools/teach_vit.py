"""A ViT that learns from two teachers what pictures and sounds are, before it is joined to a language model.

    python tools/teach_vit.py START lessons OUT [--steps 700]

START is a folder that `mirasol init` or the recipe warm_start made, of snippets of one frame and with vit_summary=true;
`lessons` what tools/make_lessons.py made. Tubes, patches and the ViT learn to give, through a linear layer on class
token and mean, what the teachers make of the same picture or second of sound, and to name its kind where the lessons
have that (then half of each step is of these); all else stays. OUT is START with these weights, and with the teachers
among its sources:

    mirasol train warm_start --from OUT

A second of sound is a third of the tokens of a picture, so a step has twice as many of them. With `--bfloat16` it takes
2.5 s on two cores that have instructions for that.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from mirasol.model.inputs import silence_before
from mirasol.model.mirasol import Mirasol
from mirasol.model.signals import PIXEL_MEAN, PIXEL_STD, snippet_spectrograms
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.model.vit import PICTURE, SOUND
from mirasol.warm.joining import REPORT, Joined, Report

TEACHERS = (
    {"part": "teacher", "name": "EfficientNet-lite2 (ImageNet)", "family": "efficientnet", "licence": "Apache-2.0"},
    {"part": "teacher", "name": "YAMNet (AudioSet)", "family": "mobilenet", "licence": "Apache-2.0"},
)
DECAY = 0.8  # of the rate from each block to the one before it
WARMUP = 100
NAMING = 0.3  # weight of naming kinds beside what the teachers give


class Pupil(nn.Module):
    """Tubes, patches and ViT of a model, with linear layers to what each teacher gives, and to the kinds."""

    def __init__(self, model: Mirasol, seen: int, heard: int, kinds: int) -> None:
        super().__init__()
        encoder = model.encoder
        self.tubes, self.patches, self.vit = encoder.tubes, encoder.patches, encoder.vit
        self.seeing = nn.Linear(2 * model.sizes.av_width, seen + kinds)
        self.hearing = nn.Linear(2 * model.sizes.av_width, heard + kinds)

    def forward(self, pixels: Tensor, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and (B, M, L) -> what it believes that the teachers make of them, then a score of each kind."""
        return (
            self.seeing(self.summary(self.tubes(pixels[:, None, None])[:, 0], PICTURE)),
            self.hearing(self.summary(self.patches(spectrograms[:, None])[:, 0], SOUND)),
        )

    def summary(self, tokens: Tensor, modality: int) -> Tensor:
        found = self.vit(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), modality)
        return torch.cat([found[:, 0], found[:, 1:].mean(dim=1)], dim=-1)

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Parameters with their rates: the nearer to what comes in, the lower; what was made for pictures and reads
        sound for the first time as high as the last block; the linear layers much higher."""
        deepest = len(self.vit.blocks) - 1
        found = [(block.parameters(), rate * DECAY ** (deepest - at)) for at, block in enumerate(self.vit.blocks)]
        found += [
            ([*self.vit.norm.parameters(), *self.vit.pre_norm.parameters(), self.vit.extra_tokens], 0.3 * rate),
            (self.tubes.parameters(), 0.05 * rate),
            ([*self.patches.parameters(), self.vit.modality_tokens], rate),
            ([*self.seeing.parameters(), *self.hearing.parameters()], 10 * rate),
        ]
        return [{"params": list(values), "lr": value, "highest": value} for values, value in found]


def standard(values: Tensor) -> Tensor:
    """What a teacher gave, each feature around 0 with a deviation of 1."""
    values = values.float()
    return ((values - values.mean(dim=0)) / (values.std(dim=0) + 0.01)).clamp(-4, 4)


def varied(picture: Tensor, side: tuple[int, int], chance: torch.Generator) -> Tensor:
    """(h, w, 3) uint8 -> (3, H, W) as the model takes it: a part of it, maybe mirrored, grey, of other contrast."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=chance))

    pixels = picture.permute(2, 0, 1).float() / 255
    edge = round(between(0.76, 1.0) * pixels.shape[-1])
    top, left = (int(between(0, pixels.shape[-1] - edge + 0.999)) for _ in range(2))
    pixels = pixels[:, top : top + edge, left : left + edge]
    if between(0, 1) < 0.5:
        pixels = pixels.flip(2)
    pixels = F.interpolate(pixels[None], size=side, mode="bilinear", antialias=True)[0]
    if between(0, 1) < 0.3:
        pixels = pixels.mean(dim=0, keepdim=True).expand(3, -1, -1)
    pixels = ((pixels - 0.5) * between(0.7, 1.3) + 0.5) * between(0.7, 1.3)
    return (pixels.clamp(0, 1) - PIXEL_MEAN) / PIXEL_STD


def spectrogram(wave: Tensor, sizes: Sizes) -> Tensor:
    """(samples) -> (M, L) of the first snippet."""
    heard = wave[: sizes.samples].float().numpy()[None]
    return snippet_spectrograms(heard, silence_before(sizes), sizes)[0]


def partly_silenced(columns: Tensor, chance: torch.Generator) -> Tensor:
    """(M, L) with a band of up to a fifth of the mels as quiet as the quietest place, half of the times; so, too, the
    columns (SpecAugment, Park et al. 2019)."""
    columns = columns.clone()
    quiet = columns.min()
    for axis in (0, 1):
        if torch.rand((), generator=chance) < 0.5:
            length = columns.shape[axis]
            count = int(torch.randint(length // 5 + 1, (), generator=chance))
            columns.narrow(axis, int(torch.randint(length - count + 1, (), generator=chance)), count).fill_(quiet)
    return columns


def lesson_loss(guess: Tensor, taught: Tensor, kinds: Tensor) -> Tensor:
    """Squared error to what the teacher gave (B, N), and NAMING times the cross-entropy of kinds (B,), where there are
    such; the guess (B, N + kinds) holds both."""
    loss = F.mse_loss(guess[:, : taught.shape[1]], taught)
    if not (kinds >= 0).any():
        return loss
    return loss + NAMING * F.cross_entropy(guess[:, taught.shape[1] :], kinds, ignore_index=-1, label_smoothing=0.1)


def teach(
    model: Mirasol, pictures: dict[str, Tensor], sounds: dict[str, Tensor], log: Path, *, steps: int, rate: float,
    each: tuple[int, int], seed: int, bfloat16: bool,
) -> None:  # fmt: skip
    """`each`: pictures, and seconds of sound, in a step."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    sizes = model.sizes
    seen, heard = standard(pictures["taught"]), standard(sounds["taught"])
    kinds = [
        part["kinds"].long() if "kinds" in part else torch.full((len(part["taught"]),), -1)
        for part in (pictures, sounds)
    ]
    pupil = Pupil(model, seen.shape[1], heard.shape[1], 1 + int(max(named.max() for named in kinds))).train()
    optimizer = torch.optim.AdamW(pupil.groups(rate), betas=(0.9, 0.98), weight_decay=0.02)
    pools = [[at for at in ((named < 0).nonzero()[:, 0], (named >= 0).nonzero()[:, 0]) if len(at)] for named in kinds]
    orders: dict[tuple[int, int], Tensor] = {}
    begun, lines = time.monotonic(), []
    for step in range(steps):
        share = min(1.0, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * share
        chosen = []
        for sense, parts in enumerate(pools):
            taken, count = [], max(1, each[sense] // len(parts))
            for part, at in enumerate(parts):
                if len(orders.get((sense, part), ())) < count:
                    orders[sense, part] = at[torch.randperm(len(at), generator=chance)]
                taken.append(orders[sense, part][:count])
                orders[sense, part] = orders[sense, part][count:]
            chosen.append(torch.cat(taken))
        pixels = torch.stack([varied(pictures["pixels"][at], (sizes.height, sizes.width), chance) for at in chosen[0]])
        columns = [partly_silenced(spectrogram(sounds["waves"][at], sizes), chance) for at in chosen[1]]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            guesses = pupil(pixels, torch.stack(columns))
        losses = [
            lesson_loss(guess.float(), values[at], named[at])
            for guess, values, named, at in zip(guesses, (seen, heard), kinds, chosen, strict=True)
        ]
        pupil.zero_grad()
        sum(losses, torch.zeros(())).backward()
        nn.utils.clip_grad_norm_([*pupil.vit.parameters(), *pupil.tubes.parameters(), *pupil.patches.parameters()], 1.0)
        optimizer.step()
        lines.append([loss.item() for loss in losses])
        if (step + 1) % 20 == 0 or step + 1 == steps:
            seeing, hearing = (sum(values) / len(lines) for values in zip(*lines, strict=True))
            spent = time.monotonic() - begun
            left = spent / (step + 1) * (steps - step - 1) / 60
            line = {"step": step + 1, "seen": round(seeing, 4), "heard": round(hearing, 4), "seconds": round(spent)}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"step {step + 1} of {steps}  seen {seeing:.3f}  heard {hearing:.3f}  {left:.0f} min left", flush=True
            )
            lines = []
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path, help="a folder that `mirasol init` made")
    parser.add_argument("lessons", type=Path, help="what tools/make_lessons.py made")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--pictures", type=int, default=32, help="in a step")
    parser.add_argument("--seconds", type=int, default=64, help="of sound, in a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has instructions for it")
    given = parser.parse_args()
    for path in (
        given.start / REPORT,
        given.lessons / "pictures.safetensors",
        given.lessons / "sounds.safetensors",
    ):
        if not path.is_file():
            raise SystemExit(f"expected {path}, found none; see python tools/teach_vit.py --help")
    if given.out.exists():
        raise SystemExit(f"{given.out} is there already; choose another name")
    model, text = Mirasol.load(given.start), Text.load(given.start)
    if not model.sizes.summary_tokens:
        raise SystemExit("expected a ViT whose class token leaves it: mirasol init ... --set vit_summary=true")
    if model.sizes.frames != 1 or model.sizes.snippet_seconds > 1:
        raise SystemExit(
            f"expected snippets of one frame and of a second at most, as the lessons are; found {model.sizes.frames} "
            f"frames in {model.sizes.snippet_seconds:g} s"
        )
    making = given.out.with_name(f"{given.out.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    pictures, sounds = (load_file(given.lessons / f"{name}.safetensors") for name in ("pictures", "sounds"))
    teach(
        model, pictures, sounds, making / "lessons.jsonl", steps=given.steps, rate=given.rate,
        each=(given.pictures, given.seconds), seed=given.seed, bfloat16=given.bfloat16,
    )  # fmt: skip
    report = Report(**json.loads((given.start / REPORT).read_text(encoding="utf-8")))
    model.sources = [*model.sources, *(one for one in TEACHERS if one not in model.sources)]
    notes = (*report.notes, f"tubes, patches and ViT were taught by {' and '.join(one['name'] for one in TEACHERS)}")
    Joined(model, text.tokenizer, replace(report, sources=tuple(model.sources), notes=notes)).save(making)
    making.rename(given.out)


if __name__ == "__main__":
    main()
