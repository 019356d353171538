"""Checkpoints in safetensors: `model.safetensors`, `config.json` and `tokenizer.json` as users load them, and beside
them `optimizer.safetensors`, `progress.json` and, for training through time, `state.safetensors` to go on from.
Written whole or not at all; never pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mirasol.model.mirasol import Mirasol
from mirasol.model.state import MirasolState, named_tensors, with_named

from .optimizer import Optimizers

STATE = "state.safetensors"


def save_model(model: Mirasol, tokenizer: Tokenizer, folder: Path) -> None:
    """The files that `mirasol.load` and `from_pretrained` read."""
    folder.mkdir(parents=True, exist_ok=True)
    weights: dict[str, Tensor] = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if model.sizes.tied:
        weights.pop("lm_head.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "model_type": "mirasol",
        "architectures": ["MirasolForConditionalGeneration"],
        "sizes": model.sizes.to_dict(),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"))


def save(
    folder: Path,
    step: int,
    model: Mirasol,
    optimizers: Optimizers,
    tokenizer: Tokenizer,
    progress: dict[str, Any],
    keep: int,
    state: MirasolState | None = None,
) -> Path:
    """`folder/step-000123`, made under another name first; older ones beyond `keep` are removed. `state`: what the
    next step goes on from, in training through time."""
    final, making = folder / f"step-{step:07d}", folder / f".making-{step:07d}"
    shutil.rmtree(making, ignore_errors=True)
    save_model(model, tokenizer, making)
    save_file(optimizers.state(), making / "optimizer.safetensors")
    if state is not None:
        save_file({name: value.contiguous() for name, value in named_tensors(state).items()}, making / STATE)
    (making / "progress.json").write_text(json.dumps({"step": step, **progress}))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(making, final)
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)
    return final


def latest(folder: Path) -> Path | None:
    found = sorted(folder.glob("step-*/progress.json"))
    return found[-1].parent if found else None


def restore(path: Path, model: Mirasol, optimizers: Optimizers) -> dict[str, Any]:
    """Fills model and optimizers; gives the progress."""
    weights = load_file(path / "model.safetensors")
    if model.sizes.tied:
        weights["lm_head.weight"] = weights["decoder.embed.weight"]
    model.load_state_dict(weights)
    optimizers.restore(load_file(path / "optimizer.safetensors"))
    return json.loads((path / "progress.json").read_text())


def begin_with(path: Path, model: Mirasol) -> str:
    """Fills `model` with the weights of a checkpoint wherever names and shapes agree; says in words what was loaded,
    what is new and what was left over. Nothing is loaded in part."""
    weights, own = load_file(path / "model.safetensors"), dict(model.named_parameters())
    fits = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    with torch.no_grad():
        for name, value in fits.items():
            own[name].copy_(value)
    new, left = [name for name in own if name not in fits], [name for name in weights if name not in fits]

    def named(names: list[str]) -> str:
        homes = sorted({".".join(name.split(".")[:3]) for name in names})
        return f"{len(names)}" + (f" ({', '.join(homes)})" if homes else "")

    return f"begun with {path}: {len(fits)} weights loaded, new {named(new)}, left over {named(left)}"


def fingerprint(path: Path, starts: tuple[str, ...]) -> str:
    """Of the weights of a checkpoint whose names start so: names what was made with them."""
    digest = hashlib.sha256()
    for name, value in sorted(load_file(path / "model.safetensors").items()):
        if name.startswith(starts):
            digest.update(name.encode())
            digest.update(value.float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def restore_state(path: Path, model: Mirasol) -> MirasolState | None:
    """The state that a run through time goes on from; None where the checkpoint has none."""
    if not (path / STATE).is_file():
        return None
    return with_named(model.encoder.start(1), load_file(path / STATE))
