"""Random models and inputs for the contracts: no two axes of equal length, frames not square, B at least 2."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mirasol.inference.engine import Engine, Looked, Options, Request
from mirasol.model.embeddings import CHANNELS
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import REMEMBERING, Sizes
from mirasol.model.state import FINE, MirasolState, named_tensors

COMBINERS = ("local", "causal", "ttm tokenlearner", "ttm mha", "local-ttm", "priority")  # all that we offer
DTYPES = ((torch.float32, 1e-5), (torch.float64, 1e-10))  # largest difference; the second shows that it is rounding

# A small model of Toybox streams that fuses each snippet by itself and has a memory.
REMEMBERING_SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner="priority", memory=5, combiner_layers=1, combined=3,
    latent_layers=1, context_snippets=4, clock="now", reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
)  # fmt: skip


def random_tubes(chance: random.Random, lengths: tuple[int, int, int]) -> tuple[Any, ...]:
    """Two tube shapes with any kernel, stride and offset that give a token."""
    tubes = []
    for _ in range(2):
        offset = tuple(chance.randint(0, 1) for _ in lengths)
        kernel = tuple(chance.randint(1, (n - o + 1) // 2 + 1) for n, o in zip(lengths, offset, strict=True))
        kernel = tuple(min(k, n - o) for k, n, o in zip(kernel, lengths, offset, strict=True))
        stride = tuple(chance.randint(max(1, n // 4), n) for n in lengths)
        tubes.append((kernel, stride, offset))
    return tuple(tubes)


def random_sizes(chance: random.Random, combiner: str, batch: int = 0, snippets: int = 0, **changes: Any) -> Sizes:
    """Small sizes with every axis of another length; `combiner` is one of COMBINERS."""
    kind, _, select = combiner.partition(" ")
    for _ in range(10_000):
        side, mel, column = chance.choice((2, 3)) * 2, chance.choice((2, 3, 5)), chance.choice((2, 3, 4))
        frames, hop = chance.randint(2, 5), chance.choice((8, 10, 16))
        height, width = side * chance.randint(2, 4), side * chance.randint(2, 6)
        columns, av_width = column * chance.randint(2, 4), chance.choice((24, 48))
        mels, combined, memory = mel * chance.randint(2, 4), chance.randint(2, 6), chance.randint(5, 9)
        axes = [frames, CHANNELS, height, width, mels, columns, combined, av_width, memory, batch or -1, snippets or -2]
        if len(set(axes)) < len(axes):
            continue
        values: dict[str, Any] = dict(  # noqa: C408, a table
            frames=frames, height=height, width=width, sample_rate=1000, hop=hop,
            frame_rate=frames * 1000 / (hop * columns), window=chance.choice((12, 16, 20, 33)),
            mels=mels, patch=(mel, column), tubes=random_tubes(chance, (frames, height, width)),
            av_width=av_width, av_heads=chance.choice((3, 6)), av_mlp=40, vit_layers=1, combiner=kind,
            combiner_layers=2, combined=combined, combiner_snippets=chance.randint(1, 4),
            memory=memory if kind in REMEMBERING else 0, ttm_select=select or "tokenlearner", ttm_hidden=11,
            latent_layers=2, context_snippets=chance.randint(2, 5),
            clock=chance.choice(("start", "now")), reconstruct_scale=2, reconstruct_patch=side // 2,
            vocabulary=37, text_width=36, text_layers=2, text_heads=6, text_kv_heads=chance.choice((1, 2, 3, 6)),
            text_mlp=28, text_positions=64, tied=chance.random() < 0.5,
            vit_extra=chance.choice((0, 1, 2)), vit_summary=chance.random() < 0.5,
            combiner_cells=() if kind == "ttm" else chance.choice(((), (1, 2), (2, 1))),
        )  # fmt: skip
        try:
            sizes = Sizes(**{**values, **changes})
        except ValueError:
            continue
        axes += [*sizes.viewed_tokens, sum(sizes.viewed_tokens) + 2]
        if len(set(axes)) == len(axes):
            return sizes
    raise AssertionError("no sizes found: too many lengths are asked for")


def random_model(sizes: Sizes, dtype: torch.dtype = torch.float32) -> Mirasol:
    """All parameters random, those that start at nought or one too: what is left out then shows."""
    model = Mirasol(sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.to(dtype).eval()


def random_inputs(
    sizes: Sizes, batch: int, snippets: int, dtype: torch.dtype = torch.float32, *, missing: float = 0.3
) -> Inputs:
    """All snippets are there; some have no picture, some no sound, some miss a few frames or columns."""

    def some(length: int) -> Tensor:
        whole = torch.rand(batch, snippets, 1) >= missing
        return whole & (torch.rand(batch, snippets, length) >= missing * torch.rand(batch, snippets, 1).round())

    return Inputs(
        torch.randn(batch, snippets, sizes.frames, CHANNELS, sizes.height, sizes.width, dtype=dtype),
        some(sizes.frames),
        torch.randn(batch, snippets, sizes.mels, sizes.columns, dtype=dtype),
        some(sizes.columns),
        torch.ones(batch, snippets, dtype=torch.bool),
    )


def pick(inputs: Inputs, row: int, first: int = 0, end: int | None = None) -> Inputs:
    """One row, and its snippets [first, end), as a batch of one."""
    values = (getattr(inputs, name) for name in Inputs.__dataclass_fields__)
    return Inputs(*(None if value is None else value[row : row + 1, first:end].clone() for value in values))


def random_split(chance: random.Random, length: int) -> list[tuple[int, int]]:
    """Cuts [0, length) into pieces."""
    cuts = sorted({0, length, *chance.sample(range(1, length), chance.randint(1, length - 1))})
    return list(pairwise(cuts))


@torch.no_grad()
def answer(model: Mirasol, state: MirasolState, ids: Tensor) -> Tensor:
    """Logits (B, T, V) of ids read after what the state has seen."""
    context, mask = model.encoder.context(state)
    return model.lm_head(model.decoder(ids, context, mask)[0])


def difference(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference; NaN counts as endless."""
    assert one.shape == other.shape, f"{tuple(one.shape)} and {tuple(other.shape)}"
    if one.numel() == 0:
        return 0.0
    return float((one.detach().double() - other.detach().double()).abs().nan_to_num(nan=float("inf")).max())


def values_of(state: MirasolState) -> list[Tensor]:
    """All tensors of a state; times as snippets."""
    named = named_tensors(state).items()
    return [value / 2**FINE if "memory" in name and value.dtype == torch.long else value for name, value in named]


def largest(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    return max(difference(one, other) for one, other in pairs)


def tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    path = Path(__file__).resolve().parents[1] / "tools" / f"{name}.py"
    if str(path.parent) not in sys.path:  # as it is for a script: tools/ holds its tables, too
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"tool_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Numbers:
    """What the engine asks of a text, for models whose ids mean nothing."""

    pad = 0

    def __init__(self, end: int) -> None:
        self.end = end

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(f"{number}," for number in ids)


def looked_at(model: Mirasol, context: Tensor, mask: Tensor) -> Looked:
    """A context as the engine looks at it."""
    return Looked(context, mask, model.decoder.look(context, mask))


def greedy(
    model: Mirasol, context: Tensor, mask: Tensor, prompts: Sequence[Sequence[int]], *, end: int = -1, most: int = 64
) -> list[list[int]]:
    """Ids of greedy answers by the engine; prompt n is put to row n of the context."""
    requests = [Request(row, prompt) for row, prompt in enumerate(prompts)]
    engine = Engine(model, Numbers(end))  # type: ignore[arg-type]
    return [list(one.ids) for one in engine.answer(looked_at(model, context, mask), requests, Options(most))]
