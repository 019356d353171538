"""What a stream carries from call to call: plain values that go into the encoder and come out of it, never on a module.

A thousand users are a thousand of these and one model. Every part has its final size from the start, which `Sizes`
fixes: a step of a stream has the same shapes for ever, so it can be compiled, captured and exported.
Whatever is kept says which snippet it stems from: `numbers` count from the start of the stream, -1 marks padding, which
stands before what is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .layers import Cache

FINE = 20  # bits behind the point of times that may lie between two snippets: sums of whole numbers have no order


@dataclass(frozen=True)
class MemoryState:
    """`tokens` (B, R, D); `numbers` (B, R) int64, the snippet each token stems from (a mean where it stems from
    several), in units of 2**-FINE; `written` (B, R) bool."""

    tokens: Tensor
    numbers: Tensor
    written: Tensor

    def snippets(self) -> list[list[int]]:
        """For each stream the snippets that its written tokens stem from, to the nearest."""
        nearest = (self.numbers + 2 ** (FINE - 1)) >> FINE
        return [numbers[written].tolist() for numbers, written in zip(nearest, self.written, strict=True)]


@dataclass(frozen=True)
class PriorityState(MemoryState):
    """Of the priority memory: `salience` (B, R); `ticks` (B, R) int64, the `clock` (B) int64 at the write, in units of
    2**-FINE."""

    salience: Tensor
    ticks: Tensor
    clock: Tensor


@dataclass(frozen=True)
class CombinerState:
    """local: nothing. causal: caches of the last `combiner_snippets - 1`, and the number of each token (B, kept).
    Others: a memory."""

    caches: tuple[Cache, ...] = ()
    numbers: Tensor | None = None
    memory: MemoryState | None = None


@dataclass(frozen=True)
class LatentState:
    """Keys and values of the last `latent_reach - 1` snippets, and the number of each, (B, `latent_reach - 1`)."""

    caches: tuple[Cache, ...]
    numbers: Tensor


@dataclass(frozen=True)
class MirasolState:
    """Everything needed to go on watching and to answer.

    count    (B) int64, snippets watched
    latents  (B, `context_snippets`, K, D), the last ones: what text attends to
    numbers  (B, `context_snippets`), the snippet of each
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


def newest(real: Tensor, keep: int) -> Tensor:
    """(B, C) bool -> (B, keep) places of the last `keep` real ones in their order; padding in front where there are
    fewer.

    What is kept of a stream is the end of it: in a batch of unequal lengths, the padding behind a shorter row must not
    push the row's real snippets out before their time.
    """
    order = real.to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, order.shape[1] - keep :]


def real_first(real: Tensor) -> Tensor:
    """(B, S) bool -> (B, S) places that put what is real before padding, both in their order."""
    return (~real).to(torch.uint8).argsort(dim=1, stable=True)


def pick(values: Tensor, places: Tensor, per_place: int = 1, axis: int = 1) -> Tensor:
    """What stands at `places` (B, n) along an axis of `values` that holds `per_place` positions for each place."""
    if per_place > 1:
        inside = torch.arange(per_place, device=places.device)
        places = rearrange(places[:, :, None] * per_place + inside, "b c n -> b (c n)")
    rows = torch.arange(len(places), device=places.device)[:, None]  # an index, as `gather` would keep all of `values`
    return values.transpose(1, axis)[rows, places].transpose(1, axis)


def pad_front(values: Tensor, length: int, axis: int = 1, padding: int = 0) -> Tensor:
    """`values` with at least `length` positions along an axis, padding in front of what is there."""
    missing = length - values.shape[axis]
    if missing <= 0:
        return values
    return F.pad(values, (0, 0) * (values.ndim - 1 - axis) + (missing, 0), value=padding)


class Rolling:
    """The last `keep` snippets of those known, by their numbers (B, C), -1 for padding: what a state holds of them."""

    def __init__(self, known: Tensor, keep: int, per_snippet: int = 1) -> None:
        """`per_snippet`: how many positions of a cache a snippet takes."""
        self.keep, self.per_snippet = keep, per_snippet
        self.places = newest(pad_front(known, keep, padding=-1) >= 0, keep)

    def of(self, values: Tensor, padding: int = 0) -> Tensor:
        """(B, C, ...), one entry for each snippet -> (B, keep, ...)."""
        return pick(pad_front(values, self.keep, padding=padding), self.places)

    def inside(self, numbers: Tensor) -> Tensor:
        """(B, C * per_snippet) numbers of positions -> those of the last snippets."""
        return pick(pad_front(numbers, self.keep * self.per_snippet, padding=-1), self.places, self.per_snippet)

    def cache(self, cache: Any) -> Cache:
        """Keys and values (B, heads, C * per_snippet, head width) -> those of the last snippets."""
        kept = (pad_front(part, self.keep * self.per_snippet, 2) for part in (cache.keys, cache.values))
        return Cache(*(pick(part, self.places, self.per_snippet, 2) for part in kept))


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
    """The inverse of `named_tensors`: a state of the build of `value` (such as `encoder.start(1)`), of any number of
    streams, with these tensors.

    `ValueError` where one is missing or has another shape: the values stem from a model of other sizes. States of
    earlier versions, which grew to their size, are padded to it.
    """
    if isinstance(value, Tensor):
        found = values.get(name)
        if found is None or found.ndim != value.ndim:
            raise ValueError(f"expected {name} with {value.ndim} axes as {value.dtype} in the state; it is not there")
        if found.is_floating_point() and not value.is_floating_point():  # times of earlier versions
            found = (found * 2**FINE).round().to(value.dtype)
        for axis in range(1, value.ndim):
            found = pad_front(found, value.shape[axis], axis, -1 if name.endswith("numbers") else 0)
        if found.shape[1:] != value.shape[1:]:
            raise ValueError(f"expected {name} of shape {tuple(value.shape)} in the state, found {tuple(found.shape)}")
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
    """Streams as the rows of one batch."""
    rows = [iter(tensors(state)) for state in states]
    return map_tensors(states[0], lambda _: torch.cat([next(row) for row in rows]))


def split_states(state: MirasolState) -> list[MirasolState]:
    """The rows of a batch, each as a stream of its own, in storage of its own."""
    rows = range(len(state.count))
    return [map_tensors(state, lambda tensor, row=row: tensor[row : row + 1].clone()) for row in rows]
