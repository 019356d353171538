"""A session as a file: safetensors, nothing that could be executed, the same size whatever has gone by.

state.*        the tensors of `MirasolState` by name
intake.*       what waits to be encoded: pictures and sound of the next snippets, room for the most there can be
numbers, seconds   the clock and the counts, in the order in which `refilled` reads them
metadata       the format, the model's name and fingerprint, the latest notes (JSON)
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mirasol.model.mirasol import Mirasol
from mirasol.model.state import MirasolState, named_tensors, with_named

from .answer import Loaded
from .intake import Counts, Intake

FORMAT = "mirasol session 1"
KINDS = ("picture", "sound")


def fingerprint(model: Mirasol) -> str:
    """Of the sizes and of some values of every parameter: tells one trained model from another at little cost."""
    digest = hashlib.sha256(json.dumps(model.sizes.to_dict(), sort_keys=True).encode())
    for name, parameter in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(parameter.flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def room(intake: Intake) -> int:
    """Snippets that can wait at most when none is due."""
    return math.ceil(intake.patience / intake.sizes.snippet_seconds) + 2


def write(path: Path, state: MirasolState, intake: Intake, begun: bool, end: float | None, loaded: Loaded) -> int:
    """Writes the file at once or not at all; gives its size in bytes. Nothing may be due in `intake`."""
    from safetensors.torch import save_file

    if not path.parent.is_dir():
        raise ValueError(f"the folder {str(path.parent)!r} for {path.name!r} does not exist; make it first")
    tensors = {f"state.{name}": tensor.contiguous().cpu() for name, tensor in named_tensors(state).items()}
    tensors.update({f"intake.{name}": torch.from_numpy(value) for name, value in waiting(intake).items()})
    now = math.nan if intake._now is None else intake._now[0]
    numbers = [
        begun, *(intake.expects[kind] for kind in KINDS), intake.next, intake._instant, intake._heard, intake._silent,
        *(intake._began[kind] for kind in KINDS), *(intake._missing[kind] for kind in KINDS),
        *asdict(intake.counts).values(),
    ]  # fmt: skip
    seconds = [
        intake.origin, math.nan if end is None else end, intake.patience, intake.hold, intake._step, now,
        *(intake._shifts[kind] for kind in KINDS),
    ]  # fmt: skip
    tensors["numbers"] = torch.tensor([int(number) for number in numbers])
    tensors["seconds"] = torch.tensor(seconds, dtype=torch.float64)
    metadata = {
        "format": FORMAT,
        "model": loaded.name,
        "fingerprint": fingerprint(loaded.model),
        "notes": json.dumps(list(intake.notes)),
        "left_out": json.dumps(list(intake.left_out)),
    }
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path.stat().st_size


def read(path: Path, loaded: Loaded) -> tuple[MirasolState, Intake, bool, float | None]:
    """The state, the intake, whether the stream has begun, and where it ended."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"no saved session {str(path)!r}: expected a file that Session.save wrote")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is no saved session, or a damaged one ({error})") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"expected a session saved as {FORMAT!r}, found {metadata.get('format')!r} in {str(path)!r}")
    if metadata["fingerprint"] != fingerprint(loaded.model):
        raise ValueError(
            f"the session {str(path)!r} was watched with another model, {metadata['model']!r}, not with {loaded.name!r}"
        )
    named = {name.removeprefix("state."): tensor for name, tensor in tensors.items() if name.startswith("state.")}
    device = loaded.model.encoder.mask_tokens.device
    state = with_named(loaded.model.encoder.start(1), {name: tensor.to(device) for name, tensor in named.items()})
    intake, begun, end = refilled(tensors, loaded)
    intake.notes.extend((second, words) for second, words in json.loads(metadata["notes"]))
    intake.left_out.extend((start, end) for start, end in json.loads(metadata["left_out"]))
    return state, intake, begun, end


def waiting(intake: Intake) -> dict[str, np.ndarray]:
    """What came and was not encoded, as arrays of fixed size."""
    sizes, most = intake.sizes, room(intake)
    first, start = intake.next * sizes.frames, intake.next * sizes.samples
    frames = np.zeros((most * sizes.frames, sizes.height, sizes.width, 3), np.uint8)
    shown = np.zeros(len(frames), np.uint8)
    for at, frame in intake._frames.items():
        frames[at - first], shown[at - first] = frame, 1
    sound, heard = np.zeros(most * sizes.samples, np.float32), np.zeros(most * sizes.samples, np.uint8)
    for at, samples in intake._sound:
        sound[at - start : at - start + len(samples)] = samples
        heard[at - start : at - start + len(samples)] = 1
    now = np.zeros_like(frames[0]) if intake._now is None else intake._shown()
    return {"frames": frames, "shown": shown, "sound": sound, "heard": heard, "now": now, "before": intake._before}


def refilled(tensors: dict[str, Tensor], loaded: Loaded) -> tuple[Intake, bool, float | None]:
    """An intake as it was when `write` saw it."""
    numbers, seconds = iter(tensors["numbers"].tolist()), iter(tensors["seconds"].tolist())
    begun, picture, sound = bool(next(numbers)), bool(next(numbers)), bool(next(numbers))
    origin, end, patience, hold = (next(seconds) for _ in range(4))
    sizes = loaded.model.sizes
    intake = Intake(sizes, origin=origin, picture=picture, sound=sound, patience=patience, hold=hold)
    intake.next, intake._instant, intake._heard, intake._silent = (next(numbers) for _ in range(4))
    intake._began = {kind: bool(next(numbers)) for kind in KINDS}
    intake._missing = {kind: bool(next(numbers)) for kind in KINDS}
    intake.counts = Counts(*(next(numbers) for _ in fields(Counts)))
    intake._step, now = next(seconds), next(seconds)
    intake._shifts = {kind: next(seconds) for kind in KINDS}
    held = {name: tensors[f"intake.{name}"].numpy() for name in ("frames", "shown", "sound", "heard", "now", "before")}
    intake._before = held["before"]
    intake._now = None if math.isnan(now) else (now, held["now"])
    first, start = intake.next * sizes.frames, intake.next * sizes.samples
    intake._frames = {first + int(at): held["frames"][at] for at in np.flatnonzero(held["shown"])}
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held["heard"], [0]]).astype(np.int8)))
    for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        intake._sound.append((start + begin, held["sound"][begin:stop]))
    return intake, begun, None if math.isnan(end) else end
