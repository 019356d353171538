"""What a stream carries from call to call: plain values that go into the encoder and come out of it, never on a module.

A thousand users are a thousand of these and one model. Every part stops growing at a size that `Sizes` fixes.
Whatever is kept says which snippet it stems from: `numbers` count from the start of the stream, -1 marks padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .layers import Cache


@dataclass(frozen=True)
class MemoryState:
    """`tokens` (B, R, D); `numbers` (B, R) float64, the snippet each token stems from; `written` (B, R) bool."""

    tokens: Tensor
    numbers: Tensor
    written: Tensor


@dataclass(frozen=True)
class PriorityState(MemoryState):
    """Of the priority memory: `salience` (B, R); `ticks` (B, R) float64, the `clock` (B) float64 at the write."""

    salience: Tensor
    ticks: Tensor
    clock: Tensor


@dataclass(frozen=True)
class CombinerState:
    """local: nothing. causal: caches of the last snippets, and the number of each token (B, kept). Others: a memory."""

    caches: tuple[Cache, ...] = ()
    numbers: Tensor | None = None
    memory: MemoryState | None = None


@dataclass(frozen=True)
class LatentState:
    """Keys and values of the last `latent_reach - 1` snippets, and the number of each, (B, snippets kept)."""

    caches: tuple[Cache, ...]
    numbers: Tensor


@dataclass(frozen=True)
class MirasolState:
    """Everything needed to go on watching and to answer.

    count    (B) int64, snippets watched
    latents  (B, snippets kept, K, D), the last `context_snippets` at most: what text attends to
    numbers  (B, snippets kept), the snippet of each
    """

    count: Tensor
    combiner: CombinerState
    latent: LatentState
    latents: Tensor
    numbers: Tensor

    def bytes(self) -> int:
        """Of all tensors together."""
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors(self))

    def detach(self) -> MirasolState:
        """The same values without their history: for training through time."""
        return map_tensors(self, Tensor.detach)


def padding_first(real: Tensor, per_snippet: int) -> Tensor | None:
    """The order (B, C * per_snippet) that puts padding before what is real, (B, C) snippets, and else keeps theirs.

    What is kept of a stream is the end of it: in a batch of unequal lengths, the padding behind a shorter row would
    push the row's real snippets out before their time. None where nothing moves, as in any batch without padding.
    """
    if bool((real[:, 1:] >= real[:, :-1]).all()):
        return None
    order = real.to(torch.uint8).argsort(dim=1, stable=True)
    inside = torch.arange(per_snippet, device=real.device)
    return rearrange(order[:, :, None] * per_snippet + inside, "b c n -> b (c n)")


def map_tensors(value: Any, change: Any) -> Any:
    """A copy of a state with `change` applied to each of its tensors."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_tensors(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: map_tensors(getattr(value, f.name), change) for f in fields(value)})
    return value


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a state, in a fixed order."""
    found: list[Tensor] = []

    def take(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(value, take)
    return found


def named_tensors(value: Any, name: str = "") -> dict[str, Tensor]:
    """The tensors of a state by their place in it, such as `latent.caches.0.keys`: for a file."""
    if isinstance(value, Tensor):
        return {name: value}
    parts: dict[str, Any] = {}
    if isinstance(value, tuple):
        parts = {str(at): item for at, item in enumerate(value)}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
    found: dict[str, Tensor] = {}
    for part, item in parts.items():
        found.update(named_tensors(item, f"{name}.{part}" if name else part))
    return found


def with_named(value: Any, values: dict[str, Tensor], name: str = "") -> Any:
    """The inverse of `named_tensors`: a state of the build of `value` (such as `encoder.start(1)`) with these tensors.

    `ValueError` where one is missing or has another number of axes: the values stem from a model of other sizes.
    """
    if isinstance(value, Tensor):
        found = values.get(name)
        kind = None if found is None else (found.ndim, found.is_floating_point())  # a state may be in bfloat16
        if found is None or kind != (value.ndim, value.is_floating_point()):
            raise ValueError(f"expected {name} with {value.ndim} axes as {value.dtype} in the state; it is not there")
        return found
    if isinstance(value, tuple):
        return tuple(with_named(item, values, f"{name}.{at}" if name else str(at)) for at, item in enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: f"{name}.{f.name}" if name else f.name for f in fields(value)}
        return replace(value, **{part: with_named(getattr(value, part), values, parts[part]) for part in parts})
    return value


def skip(state: MirasolState, snippets: int) -> MirasolState:
    """The state after so many snippets that nobody looked at: time goes on, nothing else changes."""
    return replace(state, count=state.count + snippets)


def stack_states(states: Sequence[MirasolState]) -> MirasolState:
    """Streams as the rows of one batch. What a row has kept less of than another is padded in front."""

    def rows(values: Sequence[Tensor], axis: int, padding: int = 0) -> Tensor:
        longest = max(value.shape[axis] for value in values)
        parts = []
        for value in values:
            shape = list(value.shape)
            shape[axis] = longest - shape[axis]
            parts.append(torch.cat([value.new_full(shape, padding), value], dim=axis) if shape[axis] else value)
        return torch.cat(parts)

    def caches(values: Sequence[tuple[Cache, ...]]) -> tuple[Cache, ...]:
        return tuple(
            Cache(rows([cache.keys for cache in row], 2), rows([cache.values for cache in row], 2))
            for row in zip(*values, strict=True)
        )

    combiners, latents = [state.combiner for state in states], [state.latent for state in states]
    numbers = [combiner.numbers for combiner in combiners]
    memories = [combiner.memory for combiner in combiners]
    return MirasolState(
        count=torch.cat([state.count for state in states]),
        combiner=CombinerState(
            caches=caches([combiner.caches for combiner in combiners]),
            numbers=None if numbers[0] is None else rows(numbers, 1, -1),
            memory=None
            if memories[0] is None
            else type(memories[0])(
                *(torch.cat([getattr(memory, f.name) for memory in memories]) for f in fields(memories[0]))
            ),
        ),
        latent=LatentState(caches([latent.caches for latent in latents]), rows([s.numbers for s in latents], 1, -1)),
        latents=rows([state.latents for state in states], 1),
        numbers=rows([state.numbers for state in states], 1, -1),
    )


def split_states(state: MirasolState) -> list[MirasolState]:
    """The rows of a batch, each as a stream of its own, in storage of its own. Padding in front of a row stays."""
    rows = range(len(state.count))
    return [map_tensors(state, lambda tensor, row=row: tensor[row : row + 1].clone()) for row in rows]
