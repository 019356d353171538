"""A session as a file: safetensors, nothing that could be executed, the same size whatever has gone by.

state.*            the tensors of `MirasolState` by name
intake.*           what waits to be encoded: pictures and sound of the next snippets, room for the most there can be
numbers, seconds   clock and counts, in the order of `Intake.pack`
probe              some values of the model's parameters
metadata           the format, the model's name, dtype and fingerprint, the latest notes (JSON)

A file may come from anywhere: names, dtypes, shapes and sizes are held against one table (`expected`) before anything
is built, then the values.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirasol.media.naming import quoted
from mirasol.model.inspection import full_state
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.state import FINE, MirasolState, named_tensors, with_named

from .answer import Loaded
from .intake import LONGEST, NOTES, Intake

FORMAT = "mirasol session 1"
NUMBERS, SECONDS = (17, 18, 20), (8,)  # how many; older versions counted less
PROBED = 8  # values of each parameter
METADATA = 100_000  # characters of notes
HALVES = (torch.bfloat16, torch.float16)
FLOATS = (torch.float32, *HALVES)


@dataclass(frozen=True)
class Expected:
    """What a tensor of the file may be: dtypes, and for each axis the least and the most."""

    dtypes: tuple[torch.dtype, ...]
    shape: tuple[tuple[int, int], ...]

    def check(self, name: str, tensor: Tensor) -> None:
        """`ValueError` for anything else."""
        fits = len(tensor.shape) == len(self.shape) and all(
            least <= length <= most for length, (least, most) in zip(tensor.shape, self.shape, strict=True)
        )
        if tensor.dtype not in self.dtypes or not fits:
            axes = ", ".join(f"{least}" if least == most else f"{least} to {most}" for least, most in self.shape)
            raise ValueError(
                f"expected {name} as {self.dtypes[0]} ({axes}), found {tensor.dtype} {tuple(tensor.shape)}"
            )

    @property
    def most_bytes(self) -> int:
        return math.prod(most for _, most in self.shape) * 8


def fixed(dtype: torch.dtype, *shape: int) -> Expected:
    return Expected((dtype,), tuple((length, length) for length in shape))


def expected(sizes: Sizes, start: MirasolState, room: int) -> dict[str, Expected]:
    """Every tensor of a session of a model of these sizes that has room for so many snippets that wait."""
    frames, samples = room * sizes.frames, room * sizes.samples
    before = len(Intake(sizes)._before)
    table = {
        "numbers": Expected((torch.int64,), ((min(NUMBERS), max(NUMBERS)),)),
        "seconds": fixed(torch.float64, *SECONDS),
        "intake.frames": fixed(torch.uint8, frames, sizes.height, sizes.width, 3),
        "intake.shown": fixed(torch.uint8, frames),
        "intake.sound": fixed(torch.float32, samples),
        "intake.heard": fixed(torch.uint8, samples),
        "intake.now": fixed(torch.uint8, sizes.height, sizes.width, 3),
        "intake.before": fixed(torch.float32, before),
    }
    full = named_tensors(full_state(sizes))
    for name, tensor in named_tensors(start).items():
        dtypes: tuple[torch.dtype, ...] = (
            FLOATS if tensor.is_floating_point() and tensor.dtype != torch.float64 else (tensor.dtype,)
        )
        if ".memory." in name and tensor.dtype == torch.int64:  # earlier versions kept times as float64
            dtypes = (torch.int64, torch.float64)
        # What a stream keeps of its snippets may be less than the most, as long as it is young.
        kept = {"latents": 1, "numbers": 1}.get(name.rpartition(".")[2], 2 if ".caches." in name else None)
        kept = None if ".memory." in name else kept
        shape = tuple((0 if axis == kept else most, most) for axis, most in enumerate(full[name].shape))
        table[f"state.{name}"] = Expected(dtypes, shape)
    return table


def fingerprint(model: Mirasol) -> str:
    """Of the sizes and of some values of every parameter: tells one trained model from another at little cost."""
    digest = hashlib.sha256(json.dumps(model.sizes.to_dict(), sort_keys=True).encode())
    for name, parameter in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(parameter.flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def probe(model: Mirasol) -> Tensor:
    """(parameters, PROBED) float32: some values of each, to be compared where dtypes differ."""
    rows = []
    for _, parameter in sorted(model.state_dict().items()):
        values = parameter.detach().flatten()
        rows.append(values[torch.arange(PROBED, device=values.device) * len(values) // PROBED].float().cpu())
    return torch.stack(rows)


def dtype_of(model: Mirasol) -> torch.dtype:
    return model.encoder.mask_tokens.dtype


def same_model(values: Tensor | None, dtype: str, model: Mirasol) -> bool:
    """Whether the `probe` of a model of another dtype stems from the same weights."""
    own, other = probe(model), getattr(torch, dtype, None)
    if values is None or other not in FLOATS or values.shape != own.shape or values.dtype != own.dtype:
        return False
    halves = [half for half in (dtype_of(model), other) if half in HALVES]
    if len(set(halves)) == 2:
        return torch.allclose(own, values, rtol=2**-7, atol=1e-6)
    half = halves[0] if halves else torch.float32
    return torch.equal(own.to(half), values.to(half))


def write(path: Path, state: MirasolState, intake: Intake, loaded: Loaded) -> int:
    """Writes the file at once or not at all; gives its size in bytes. Nothing may be due in `intake`."""
    from safetensors.torch import save_file

    if not path.parent.is_dir():
        raise ValueError(f"the folder {quoted(path.parent)} for {quoted(path.name)} does not exist; make it first")
    arrays, numbers, seconds = intake.pack()
    tensors = {f"state.{name}": tensor.contiguous().cpu() for name, tensor in named_tensors(state).items()}
    tensors.update({f"intake.{name}": torch.from_numpy(value) for name, value in arrays.items()})
    tensors["numbers"], tensors["seconds"] = torch.tensor(numbers), torch.tensor(seconds, dtype=torch.float64)
    tensors["probe"] = probe(loaded.model)
    metadata = {
        "format": FORMAT,
        "model": loaded.name,
        "dtype": str(dtype_of(loaded.model)).removeprefix("torch."),
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


def read(path: Path, loaded: Loaded) -> tuple[MirasolState, Intake]:
    """The state and the intake of a saved session; `ValueError` of one line for a file that is none of this model."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"no saved session {quoted(path)}: expected a file that Session.save wrote")
    try:
        with safe_open(path, "pt") as file:
            return _read(file, path, loaded)
    except (SafetensorError, UnicodeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{quoted(path)} is no saved session, or a damaged one ({why})") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"the session {quoted(path)} cannot be used: {error}") from error


def _read(file: Any, path: Path, loaded: Loaded) -> tuple[MirasolState, Intake]:
    model, metadata = loaded.model, file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise ValueError(f"expected a file saved as {FORMAT!r}, found {metadata.get('format')!r}")
    names = set(file.keys())
    if missing := {"numbers", "seconds"} - names:
        raise ValueError(f"expected {min(missing)} in it, found none")
    start = model.encoder.start(1)
    clock = expected(model.sizes, start, 0)
    tensors: dict[str, Tensor] = {}

    def take(name: str, what: Expected) -> None:
        shape = file.get_slice(name).get_shape()  # before the tensor is made
        if math.prod(shape) * 8 > max(what.most_bytes, 64):
            raise ValueError(f"expected {name} of at most {[most for _, most in what.shape]}, found {shape}")
        tensors[name] = file.get_tensor(name)
        what.check(name, tensors[name])

    for name in ("numbers", "seconds"):
        take(name, clock[name])
    if not 0 <= (patience := float(tensors["seconds"][2])) <= LONGEST:
        raise ValueError(f"expected patience from 0 to {LONGEST:g} s, found {patience}")
    table = expected(model.sizes, start, Intake(model.sizes, patience=patience).room)
    for name, what in table.items():
        if name not in names:
            raise ValueError(f"expected {name} in it, found none")
        if name not in tensors:
            take(name, what)
    if strange := names - set(table) - {"probe"}:
        raise ValueError(f"found {min(strange)[:80]!r} in it, which no session of this model has")
    converted = _check_model(file, metadata, names, loaded)
    state = _state(start, tensors)
    arrays = {name[7:]: tensor.numpy().copy() for name, tensor in tensors.items() if name.startswith("intake.")}
    intake = Intake.unpack(model.sizes, arrays, tensors["numbers"].tolist(), tensors["seconds"].tolist())
    _check_state(state, intake.next)
    intake.notes.extend((second, str(words)[:1000]) for second, words in _listed(metadata, "notes"))
    intake.left_out.extend(_listed(metadata, "left_out", spans=True))
    if converted:
        intake.note(intake.next * model.sizes.snippet_seconds, converted)
    return state, intake


def _check_model(file: Any, metadata: dict[str, str], names: set[str], loaded: Loaded) -> str:
    """`ValueError` where the session was watched with another model; what to say where its dtype was another."""
    if metadata.get("fingerprint") == fingerprint(loaded.model):
        return ""
    dtype, own = metadata.get("dtype", ""), str(dtype_of(loaded.model)).removeprefix("torch.")
    values = None
    if "probe" in names and file.get_slice("probe").get_shape() == list(probe(loaded.model).shape):
        values = file.get_tensor("probe")
    if dtype == own or not same_model(values, dtype, loaded.model):
        name = metadata.get("model", "")[:80]
        raise ValueError(f"it was watched with another model, {name!r}, not with {loaded.name!r}")
    return f"the session was watched in {dtype}; converted to {own}"


def _state(start: MirasolState, tensors: dict[str, Tensor]) -> MirasolState:
    """The state in the dtype and on the device of a new one."""
    named = {}
    for name, like in named_tensors(start).items():
        tensor = tensors[f"state.{name}"].to(like.device)
        named[name] = tensor.to(like.dtype) if like.is_floating_point() else tensor
    return with_named(start, named)


def _check_state(state: MirasolState, count: int) -> None:
    """`ValueError` for values that no stream of `count` snippets can have."""
    for name, tensor in named_tensors(state).items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"expected finite values in state.{name}, found others")
    if int(state.count[0]) != count:
        raise ValueError(f"expected a state of {count} snippets, found one of {int(state.count[0])}")
    for name, numbers in (("numbers", state.numbers[0]), ("latent.numbers", state.latent.numbers[0])):
        kept = numbers[numbers >= 0]
        whole = torch.equal(kept, numbers[len(numbers) - len(kept) :]) and bool((kept.diff() > 0).all())
        if not whole or bool((numbers < -1).any()) or bool((numbers >= count).any()):
            raise ValueError(f"expected state.{name} in order and below {count}, found {numbers.tolist()}"[:200])
    latents, caches = state.latents.shape[1], state.latent.caches
    per_snippet = state.latents.shape[2]
    kept_of = [(latents, len(state.numbers[0]))]
    kept_of += [
        (part.shape[2], len(state.latent.numbers[0]) * per_snippet) for c in caches for part in (c.keys, c.values)
    ]
    if (asked := state.combiner.numbers) is not None:
        kept_of += [(part.shape[2], asked.shape[1]) for c in state.combiner.caches for part in (c.keys, c.values)]
        if bool((asked < -1).any()) or bool((asked >= count).any()):
            raise ValueError(f"expected state.combiner.numbers below {count}, found others")
    if any(one != other for one, other in kept_of):
        raise ValueError("expected as many latents, keys and values as their numbers say, found others")
    if (memory := state.combiner.memory) is not None:
        numbers, unit = memory.numbers[memory.written], 2**FINE
        if bool((numbers < 0).any()) or bool((numbers > count * unit).any()):
            raise ValueError(f"expected state.combiner.memory.numbers from 0 to {count}, found others")


def _listed(metadata: dict[str, str], name: str, *, spans: bool = False) -> list[tuple[Any, Any]]:
    """The last notes, or the spans left out: pairs that begin with a finite second."""
    text = metadata.get(name, "[]")
    if len(text) > METADATA:
        raise ValueError(f"expected {name} of at most {METADATA} characters, found {len(text)}")
    found = json.loads(text)
    for pair in found if isinstance(found, list) else [None]:
        first, second = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        numbers = [first, second] if spans else [first]
        right = all(isinstance(number, float | int) and math.isfinite(number) for number in numbers)
        if not right or not (spans or isinstance(second, str)):
            raise ValueError(f"expected {name} as pairs that begin with a finite second, found {str(pair)[:80]}")
    return [tuple(pair) for pair in found[-NOTES:]]
