"""Checkpoints in safetensors, written whole or not at all, never pickled. Of one process:

    step-0000500/  model.safetensors, config.json, tokenizer.json   as users load them
                   optimizer.safetensors                            and the moving average, where there is one
                   progress.json                                    step, hours, what has been used of the data
                   states/0.safetensors                             in training through time

Of several, weights and optimizers are the shares that each wrote (`distributed.save_shards`). Either kind is restored
on any number of processes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from os import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mirasol.model.mirasol import Mirasol
from mirasol.model.state import MirasolState, named_tensors, with_named

from .distributed import World, load_shards, save_shards, whole
from .optimizer import Optimizers

ALONE = World(0, 1, torch.device("cpu"))


@dataclass
class Learner:
    """What a run changes: the model, its optimizers, the moving average of its weights (name|average), if any."""

    model: Mirasol
    optimizers: Optimizers
    average: dict[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """Every parameter once, by its name."""
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name."""
        return {**self.weights(), **self.optimizers.state(), **self.average}

    @torch.no_grad()
    def follow(self, share: float) -> None:
        """After a step: the average moves towards the weights, keeping `share` of what it was."""
        for name, parameter in self.model.named_parameters():
            if (average := self.average.get(f"{name}|average")) is not None:
                average.lerp_(parameter.detach(), 1 - share)

    def best_weights(self, keep: bool = True) -> dict[str, Tensor]:
        """What a user gets, whole, on the CPU: the average where there is one. All processes must call it; those that
        `keep` nothing get nothing."""
        found = {}
        for name, value in self.weights().items():
            together = whole(self.average.get(f"{name}|average", value))
            if keep:
                found[name] = together.cpu()
        return found


def save_model(
    model: Mirasol, tokenizer: Tokenizer, folder: Path, weights: dict[str, Tensor] | None = None, run: str = ""
) -> None:
    """The files that `mirasol.load` and `from_pretrained` read; `weights` (by name) instead of the model's own. `run`:
    the name of the run that made it, kept in config.json, by which receipts call it."""
    model.save(folder, tokenizer, weights)
    if run:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**config, "run": run}, indent=2) + "\n", encoding="utf-8")


def save(
    folder: Path,
    step: int,
    learner: Learner,
    tokenizer: Tokenizer,
    progress: dict[str, Any],
    *,
    keep: int,
    state: MirasolState | None = None,
    world: World = ALONE,
) -> Path:
    """`folder/step-0000123`, made under another name first; older ones beyond `keep` are removed. `state`: what the
    next step goes on from, in training through time. All processes must call it."""
    final, making = folder / f"step-{step:07d}", folder / f".making-{step:07d}"
    try:
        if world.first:
            for begun in folder.glob(".making-*"):  # what a run that was killed left
                shutil.rmtree(begun, ignore_errors=True)
            making.mkdir(parents=True)
        world.wait()
        write(making, learner, tokenizer, state, world)
        world.wait()
        if world.first:
            learner.model.save_words(making, tokenizer)
            (making / "progress.json").write_text(json.dumps({"step": step, "processes": world.ranks, **progress}))
            shutil.rmtree(final, ignore_errors=True)
            replace(making, final)
            for old in sorted(folder.glob("step-*"))[:-keep]:
                shutil.rmtree(old)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(making, ignore_errors=True)
        raise ValueError(f"the checkpoint of step {step} cannot be written ({why(error)}); {kept(folder)}") from error
    world.wait()
    return final


def write(making: Path, learner: Learner, tokenizer: Tokenizer, state: MirasolState | None, world: World) -> None:
    """The tensors of a checkpoint: of one process whole, of several the share of each."""
    if world.ranks == 1:
        save_model(learner.model, tokenizer, making)
        save_file(
            {name: value.contiguous() for name, value in (learner.optimizers.state() | learner.average).items()},
            making / "optimizer.safetensors",
        )
    else:
        save_shards(learner.tensors(), making)
    if state is not None:
        (making / "states").mkdir(exist_ok=True)
        tensors = {name: value.contiguous() for name, value in named_tensors(state).items()}
        save_file(tensors, making / "states" / f"{world.rank}.safetensors")


def why(error: Exception) -> str:
    """What the system says of a file that could not be written."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def kept(folder: Path) -> str:
    """What is left when a checkpoint could not be written, and how to mend it."""
    last = latest(folder)
    there = "there is no earlier one" if last is None else f"{last} is whole, the same command resumes there"
    return f"{there}; make room first, or choose another --out"


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a run."""
    found = sorted(folder.glob("step-*/progress.json"))
    return found[-1].parent if found else None


def progress_of(path: Path) -> dict[str, Any]:
    """How far the run of a checkpoint was."""
    return json.loads((path / "progress.json").read_text(encoding="utf-8"))


def restore(path: Path, learner: Learner) -> None:
    """Fills model, optimizers and average. What never had a gradient has no state."""
    written: set[str] = set()
    for file in path.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors_of:
            written |= set(tensors_of.keys())
    state = {name: value for name, value in learner.optimizers.blank_state().items() if name in written}
    tensors = {**learner.weights(), **state, **learner.average}
    load_shards(tensors, path)
    learner.model.sources = sources_of(path)
    learner.optimizers.restore({name: value for name, value in tensors.items() if name not in learner.weights()})


def restore_state(path: Path, model: Mirasol, world: World = ALONE) -> MirasolState | None:
    """The state that a run through time goes on from; None where the checkpoint has none."""
    if not (path / "states").is_dir():
        return None
    written = json.loads((path / "progress.json").read_text())["processes"]
    if written != world.ranks:
        raise ValueError(
            f"{path} lies between two parts of its streams, whose states {written} processes hold: go on with as many"
        )
    tensors = load_file(path / "states" / f"{world.rank}.safetensors", device=str(world.device))
    return with_named(model.encoder.start(1), tensors)


def sources_of(path: Path) -> list[dict[str, Any]]:
    """Where the pretrained parts of a checkpoint came from."""
    return json.loads((path / "config.json").read_text(encoding="utf-8")).get("sources") or []


def begin_with(path: Path, model: Mirasol) -> str:
    """Fills `model` with the weights of a checkpoint wherever names and shapes agree; says in words what was loaded,
    what is new and what was left over. Nothing is loaded in part."""
    if not (path / "model.safetensors").is_file():
        raise ValueError(
            f"expected model.safetensors in {path} to begin with, found none; of a run on several processes give its "
            "finished model (the folder model/)"
        )
    weights, own = load_file(path / "model.safetensors"), dict(model.named_parameters())
    fits = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if not fits:
        raise ValueError(f"no weight of {path} fits this model by name and shape: their sizes are others")
    with torch.no_grad():
        for name, value in fits.items():
            own[name].copy_(value)
    model.sources = sources_of(path)
    new, left = [name for name in own if name not in fits], [name for name in weights if name not in fits]

    def named(names: list[str]) -> str:
        homes = sorted({".".join(name.split(".")[:3]) for name in names})
        return f"{len(names)}" + (f" ({', '.join(homes)})" if homes else "")

    return f"begun with {path}: {len(fits)} weights loaded, new {named(new)}, left over {named(left)}"


def digest(data: bytes) -> str:
    """A short name for some bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def fingerprint(path: Path, starts: tuple[str, ...]) -> str:
    """Of the weights of a checkpoint whose names start so: names what was made with them."""
    found = hashlib.sha256()
    for name, value in sorted(load_file(path / "model.safetensors").items()):
        if name.startswith(starts):
            found.update(name.encode())
            found.update(value.float().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]
