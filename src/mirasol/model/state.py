"""What a stream carries from call to call: plain values that go into the encoder and come out of it, never on a module.

A thousand users are a thousand of these and one model. Every part stops growing at a size that `Sizes` fixes.
Whatever is kept says which snippet it stems from: `numbers` count from the start of the stream, -1 marks padding.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .layers import Cache


@dataclass(frozen=True)
class MemoryState:
    """`tokens` (B, R, D); `numbers` (B, R) float64, the snippet each token stems from; `written` (B) bool."""

    tokens: Tensor
    numbers: Tensor
    written: Tensor


@dataclass(frozen=True)
class CombinerState:
    """local: nothing. causal: caches of the last snippets, the number of each token (B, kept). ttm: a memory."""

    caches: tuple[Cache, ...] = ()
    numbers: Tensor | None = None
    memory: MemoryState | None = None


@dataclass(frozen=True)
class LatentState:
    """Keys and values of the last `context_snippets - 1` snippets, and the number of each, (B, snippets kept)."""

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
