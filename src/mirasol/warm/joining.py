"""`join`: a Mirasol model out of pretrained parts, with a report of every parameter, and its folder.

Whatever a part does not bring (combiner, memory, latent model, cross-attention, ...) is new, from a seed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import Text

from .origin import Part
from .text import load_text
from .vit import load_vit

REPORT = "init.json"


@dataclass(frozen=True)
class Report:
    """Every parameter of the joined model is in `loaded` or in `new`; `left` are those of the sources without a place
    here, as "part: name"; `notes` one line each."""

    loaded: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[dict[str, Any], ...]
    parameters: int

    def summary(self) -> str:
        """In words: each list by the components it belongs to."""
        lines = [
            f"{source['part']}: {source['name']} ({source['family']}; licence: {source['licence']})"
            for source in self.sources
        ]
        lines.append(f"{self.parameters / 1e6:.1f} M parameters")
        for label, names, depth in (("loaded", self.loaded, 2), ("new", self.new, 3), ("left over", self.left, 4)):
            lines.append(f"{label}: {len(names)}{grouped(names, depth)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("sources", "notes", "parameters", "loaded", "new", "left")}


def grouped(names: Sequence[str], depth: int) -> str:
    """How many names there are for each of their beginnings, in brackets; numbers of blocks are left out."""
    homes = Counter(".".join([word for word in name.split(".")[:-1] if not word.isdigit()][:depth]) for name in names)
    return f" ({', '.join(f'{home} {count}' for home, count in homes.items())})" if names else ""


@dataclass(frozen=True)
class Joined:
    """The model, in evaluation mode, its tokenizer, and the report."""

    model: Mirasol
    tokenizer: Tokenizer
    report: Report

    def save(self, folder: str | Path) -> Path:
        """Writes config.json, model.safetensors, tokenizer.json, the model card README.md and the report init.json."""
        folder = Path(folder)
        self.model.save(folder, self.tokenizer)
        (folder / "README.md").write_text(card(self.report, folder.name), encoding="utf-8")
        (folder / REPORT).write_text(json.dumps(self.report.to_dict(), indent=1) + "\n", encoding="utf-8")
        return folder


def join(
    preset: str | Sizes = "small",
    *,
    vit: str | Path | None = None,
    text: str | Path | None = None,
    tokenizer: Tokenizer | None = None,
    seed: int = 0,
    licences: dict[str, str] | None = None,
    inflate: str = "average",
    hear: bool = False,
    **changes: Any,
) -> Joined:
    """A new model of a preset (a name, or sizes) whose ViT and text decoder are those of pretrained models.

    vit, text   a folder in Hugging Face format, a name on the Hub; for text also a GGUF file
    tokenizer   where there is no `text`: the vocabulary of the new decoder
    licences    {"text": ..., "vit": ...}, instead of what the models' cards say
    inflate     how the patches of pictures become tubes, see `vit.inflate_kernel`
    hear        a ViT made for pictures reads the spectrogram as one, too; else the sound side is new
    changes     any other field of `Sizes`; `text_positions`, `cross_every` and `tubes` are the likely ones
    """
    sizes, licences = named_sizes(preset), licences or {}
    parts = {}
    if text is not None:
        parts["text"] = load_text(text, positions=changes.pop("text_positions", None), licence=licences.get("text", ""))
        tokenizer = parts["text"].tokenizer
        changes = {"cross_gate": True, "cross_every": 1, **changes}
    if vit is not None:
        fitted, tubes = sizes.change(**signals(changes)), changes.get("tubes")
        mels = changes.pop("mels", sizes.mels) if hear else 0
        parts["vit"] = load_vit(
            vit, fitted, tubes=tubes, inflate=inflate, licence=licences.get("vit", ""), hear_mels=mels
        )
        if "tubes" in parts["vit"].changes:
            changes.pop("tubes", None)
    if not parts:
        raise ValueError("expected a pretrained part: give text, vit or both")
    if tokenizer is None:
        raise ValueError("expected a tokenizer where the text decoder is new: give text, or tokenizer")
    for part in parts.values():
        if taken := sorted(set(part.changes) & set(changes)):
            raise ValueError(f"{', '.join(taken)} of the sizes come from {part.source['name']}: leave them out")
    merged = {name: value for part in parts.values() for name, value in part.changes.items()}
    sizes = sizes.change(**merged, **changes)
    if text is None:
        sizes = sizes.change(vocabulary=max(sizes.vocabulary, tokenizer.get_vocab_size()))
    Text(tokenizer)
    torch.manual_seed(seed)
    model = Mirasol(sizes).eval()
    return Joined(model, tokenizer, fill(model, list(parts.values())))


def signals(changes: dict[str, Any]) -> dict[str, Any]:
    """Those changes that a ViT is fitted to: the frames and how large they are."""
    names = ("frame_rate", "frames", "height", "width", "hop", "reconstruct_scale", "reconstruct_patch", "tubes")
    return {name: changes[name] for name in names if name in changes}


def named_sizes(preset: str | Sizes) -> Sizes:
    if isinstance(preset, Sizes):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[preset]


@torch.no_grad()
def fill(model: Mirasol, parts: Sequence[Part]) -> Report:
    """Puts the weights of the parts in their places; a weight without a place, or of another shape, raises."""
    own, loaded = dict(model.named_parameters()), []
    for part in parts:
        for name, value in part.weights.items():
            if name not in own or own[name].shape != value.shape:
                found = "no such parameter" if name not in own else f"{tuple(own[name].shape)}"
                raise ValueError(
                    f"{part.source['name']} brings {name} {tuple(value.shape)}, the model has {found}; "
                    "are configuration and weights of the same model?"
                )
            own[name].copy_(value)
            loaded.append(name)
        for name, row in part.zeros:
            (own[name] if row is None else own[name][row]).zero_()
    for part in parts:
        check_whole(part, own, set(loaded))
    model.sources = [dict(part.source) for part in parts]
    return Report(
        tuple(loaded),
        tuple(name for name in own if name not in set(loaded)),
        tuple(f"{part.source['part']}: {name}" for part in parts for name in part.left),
        tuple(note for part in parts for note in part.notes),
        tuple(model.sources),
        count_parameters(model),
    )


def check_whole(part: Part, own: dict[str, Any], loaded: set[str]) -> None:
    """A block is filled as a whole or not at all; only what Mirasol adds to it may be new."""
    added = ("cross_norm", "cross_attention", "cross_gate")
    home = {"text": "decoder.", "vit": "encoder.vit.blocks."}[part.source["part"]]
    missing = [name for name in own if name.startswith(home) and name not in loaded]
    missing = [name for name in missing if not any(word in name for word in added)]
    if missing:
        raise ValueError(f"{part.source['name']} is incomplete: it brings nothing for {', '.join(missing[:3])}")


def loaded_names(folder: str | Path) -> tuple[str, ...]:
    """The parameters of a joined model that came from its parts, from the report in its folder: what a run that trains
    only the rest gives as `frozen`."""
    path = Path(folder) / REPORT
    if not path.is_file():
        raise ValueError(f"expected {REPORT} in {folder}, found none: is this a folder that `mirasol init` made?")
    return tuple(json.loads(path.read_text(encoding="utf-8"))["loaded"])


def card(report: Report, name: str) -> str:
    """The model card: what it was made of, by which licences, and what is still untrained."""
    licences = sorted({source["licence"] for source in report.sources})
    rows = "\n".join(
        f"| {source['part']} | {source['name']} | {source['family']} | {source['licence']} |"
        for source in report.sources
    )
    notes = "\n".join(f"- {note}" for note in report.notes)
    return f"""---
library_name: mirasol
pipeline_tag: video-text-to-text
license: {licences[0] if len(licences) == 1 and " " not in licences[0] else "other"}
---

# {name}

A Mirasol model that starts from pretrained parts. What joins them (combiner, latent model, cross-attention) is new and
**untrained**: as it stands it answers as its language model does, whatever it is shown.

| part | from | family | licence |
|---|---|---|---|
{rows}

The licences of the parts hold for this model, too.

{report.parameters / 1e6:.1f} M parameters; {len(report.loaded)} tensors loaded, {len(report.new)} new,
{len(report.left)} of the sources left over. `{REPORT}` lists them by name.

{notes}
"""
