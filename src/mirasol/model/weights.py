"""The weights in a model's folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.

Names, shapes and kinds of numbers are read from the heads of the files and held against those of the model before any
weight is; then the weights, in float32, which must be finite. Nothing outside of the folder is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .limits import short

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
KINDS = ("F64", "F32", "F16", "BF16")
MOST_HEAD_BYTES = 1 << 24  # of a safetensors file, and of the index: some hundred thousand names
Shape = tuple[int, ...]


def read_weights(
    folder: Path,
    expected: Mapping[str, Shape],
    tied: bool,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """The weights by name, straight onto the device and in this precision; `expected` and `tied` as in
    `check_weights`."""
    weights = {}
    for path in check_weights(folder, expected, tied):
        with opened(path, device) as file:
            for name in file.keys():  # noqa: SIM118, this is no dictionary
                weight = file.get_tensor(name).to(dtype)
                if (bad := int((~weight.isfinite()).sum())) > 0:
                    raise ValueError(
                        f"expected finite weights in {path}, found {bad} of {weight.numel()} in {name} that are NaN, "
                        f"infinite or too large for {str(dtype)[6:]}; is the checkpoint whole?"
                    )
                weights[name] = weight
    return weights


def check_weights(folder: Path, expected: Mapping[str, Shape], tied: bool) -> list[Path]:
    """The files of a folder's weights. `ValueError` where they do not hold the names and shapes `expected`, all of a
    kind that we compute with; with `tied` the output layer's, a second name of the embedding, may be missing."""
    paths, found = weight_files(folder), {}
    for path in paths:
        for name, shape, kind in read_head(path):
            if name in found:
                raise ValueError(f"expected {name} once in the weights of {folder}, found it in two shards")
            if kind not in KINDS:
                raise ValueError(
                    f"expected {name} in {path} as floating point numbers ({', '.join(KINDS)}), found {kind}; "
                    "quantised weights are not supported"
                )
            found[name] = shape
    wanted = dict(expected)
    if tied and "lm_head.weight" not in found:
        wanted.pop("lm_head.weight")
    if wrong := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
        one = wrong[0]
        raise ValueError(
            f"the weights in {folder} are not those of its config.json: {len(wrong)} differ, first {short(one)[1:-1]} "
            f"(expected {wanted.get(one, 'no such weight')}, found {found.get(one, 'none')})"
        )
    return paths


def read_head(path: Path) -> Iterator[tuple[str, Shape, str]]:
    """Name, shape and kind of each tensor of a file."""
    with path.open("rb") as head:
        length = int.from_bytes(head.read(8), "little")
    if length > MOST_HEAD_BYTES:
        raise ValueError(
            f"{path} cannot be read (it claims a head of {length:,} bytes, at most {MOST_HEAD_BYTES:,} are read); is "
            "it a whole safetensors file?"
        )
    with opened(path) as file:
        for name in file.keys():  # noqa: SIM118, this is no dictionary
            part = file.get_slice(name)
            yield name, tuple(part.get_shape()), str(part.get_dtype())


@contextmanager
def opened(path: Path, device: torch.device | str = "cpu") -> Iterator[Any]:
    """A safetensors file, mapped and not read. It is refused where its head and its length disagree."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=str(device)) as file:
            yield file
    except (SafetensorError, OSError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be read ({why}); is it whole?") from None


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights of a folder."""
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    index = folder / INDEX
    if not index.is_file():
        raise ValueError(
            f"expected {WHOLE} (or {INDEX} and its shards) in the model folder {folder}, found none; is this a "
            "Mirasol checkpoint?"
        )
    if index.stat().st_size > MOST_HEAD_BYTES:
        raise ValueError(f"expected {index} of at most {MOST_HEAD_BYTES:,} bytes, found {index.stat().st_size:,}")
    try:
        values = json.loads(index.read_text(encoding="utf-8"))
        names = sorted(set(values["weight_map"].values()))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise ValueError(f"expected 'weight_map' in {index}, a table of weights and the files that hold them") from None
    for name in names:
        if not isinstance(name, str) or name != Path(name).name or not (folder / name).is_file():
            raise ValueError(f"expected the shards that {INDEX} names as files in {folder}, found no {short(name)}")
    return [folder / name for name in names]
