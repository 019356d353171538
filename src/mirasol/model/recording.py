"""What the text decoder does inside, for those who ask transformers for it: hidden states and attentions.

    with recorded(decoder, hidden=True, attentions=True) as record:
        last, _ = decoder(ids, context, ...)
    record.hidden_states, record.attentions, record.cross_attentions

Attention runs fused and never holds its weights: here they are computed a second time, written out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from einops import rearrange
from torch import Tensor

from .decoder import Decoder
from .layers import Attention, Band, rotate


@dataclass
class Record:
    """`hidden_states`: what goes into each block (B, T, D), after the forward also its result. `attentions` (B, heads,
    T, positions so far) of each block, `cross_attentions` (B, heads, T, C) of each block that looks at the context."""

    hidden_states: list[Tensor] = field(default_factory=list)
    attentions: list[Tensor] = field(default_factory=list)
    cross_attentions: list[Tensor] = field(default_factory=list)


@contextmanager
def recorded(decoder: Decoder, *, hidden: bool, attentions: bool) -> Iterator[Record]:
    """Records the forwards of `decoder` inside."""
    record, hooks = Record(), []

    def entered(block: Any, given: tuple[Any, ...]) -> None:
        record.hidden_states.append(given[0])

    def looked(attention: Any, given: tuple[Any, ...], named: dict[str, Any], made: tuple[Any, Any]) -> None:
        bound = inspect.signature(attention.forward).bind(*given, **named).arguments
        into = record.cross_attentions if attention.is_cross else record.attentions
        into.append(attention_weights(attention, made[1], **bound))

    for block in decoder.blocks:
        if hidden:
            hooks.append(block.register_forward_pre_hook(entered))
        for part in block.modules() if attentions else ():
            if isinstance(part, Attention):
                hooks.append(part.register_forward_hook(looked, with_kwargs=True))
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


def attention_weights(
    attention: Attention, kept: Any, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None,
    cache: Any = None, turn: tuple[Tensor, Tensor] | None = None, keys_from: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Softmax weights (B, heads, Q, C) of a forward with these arguments that returned the cache `kept`. A query that
    may look nowhere has none."""
    queries = attention.q_norm(rearrange(attention.q_proj(x), "b q (h d) -> b h q d", h=attention.heads))
    if kept is None:
        source = context if attention.is_cross else x if keys_from is None else keys_from
        keys = rearrange(attention.k_proj(source), "b c (h d) -> b h c d", h=attention.kv_heads)
        keys = attention.k_norm(keys) if turn is None else rotate(attention.k_norm(keys), turn)
    else:
        keys = kept.keys
    queries = queries if turn is None else rotate(queries, turn)
    keys = keys.repeat_interleave(attention.heads // attention.kv_heads, dim=1)
    scores = queries @ keys.transpose(-1, -2) / attention.head_width**0.5
    if mask is None:
        return scores.softmax(dim=-1)
    mask = mask.dense() if isinstance(mask, Band) else mask
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).masked_fill(~mask, 0.0)
