"""The one attention, the one block and the one cache type of the model, for any batch B and any width D.

`Attention` serves the ViT, the combiners, the Token Turing Machine, the latent model and both attentions of the text
decoder. Keys and values that are kept between calls travel as values: `Cache` goes in, a new `Cache` comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .initialising import fills_itself
from .initialising import initialise_all as initialise_all
from .shapes import check_shape


class KeyValues(Protocol):
    """What `Attention` asks of a cache; `Cache` below, and the skin's view of a Hugging Face cache, give it."""

    @property
    def keys(self) -> Tensor: ...

    @property
    def values(self) -> Tensor: ...

    def append(self, keys: Tensor, values: Tensor) -> KeyValues:
        """With these (B, heads, C, head width) after the others."""
        ...


@dataclass(frozen=True)
class Cache:
    """Keys and values (B, heads, C, head width) of positions seen so far; `append` makes a new one."""

    keys: Tensor
    values: Tensor

    @classmethod
    def empty(cls, batch: int, heads: int, head_width: int, like: Tensor) -> Cache:
        """No positions yet, on the device and in the dtype of `like`."""
        nothing = like.new_zeros(batch, heads, 0, head_width)
        return cls(nothing, nothing)

    def append(self, keys: Tensor, values: Tensor) -> Cache:
        """A cache with these positions after the others; this one stays as it is."""
        return Cache(torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2))

    @classmethod
    def blank(cls, batch: int, heads: int, positions: int, head_width: int, like: Tensor) -> Cache:
        """Room for so many positions, none of which is real yet."""
        return cls(*(like.new_zeros(batch, heads, positions, head_width) for _ in range(2)))


class Band:
    """Who may look at whom, by snippet numbers: `asking` (B, Q) at `asked` (B, C), -1 is padding.

    Bidirectional inside a snippet, causal across snippets, never further back than `reach` snippets (own included).
    With reach 3, snippets 0..4, `x` = may look:

        asks \\ is asked   0 1 2 3 4
                      0    x
                      1    x x
                      2    x x x
                      3      x x x
                      4        x x x

    The last Q positions asked are those that ask, in the same order, `step` of them per snippet. The real snippets of a
    row follow each other (padding stands before and behind them, see `state.real_first`), so a query needs only the
    positions around it: a long call costs as much as its length, not as its square.
    """

    def __init__(self, asking: Tensor, asked: Tensor, reach: int, step: int) -> None:
        self.asking, self.asked, self.reach, self.step = asking, asked, reach, step
        # `spans` with the mask of each, made once for all blocks.
        self.parts = [(some, seen, self.dense(some, seen)) for some, seen in self.spans()]

    def dense(self, queries: slice = slice(None), keys: slice = slice(None)) -> Tensor:
        """As a mask (B, 1, Q, C), or a part of it."""
        asking, asked = self.asking[:, queries], self.asked[:, keys]
        distance = asking.unsqueeze(-1) - asked.unsqueeze(-2)
        return ((distance >= 0) & (distance < self.reach) & (asked >= 0).unsqueeze(-2)).unsqueeze(1)

    def spans(self) -> Iterator[tuple[slice, slice]]:
        """Groups of `reach` snippets that ask, each with all the positions that they may look at."""
        count, before = self.asking.shape[1], self.asked.shape[1] - self.asking.shape[1]
        group, back = self.reach * self.step, (self.reach - 1) * self.step
        for first in range(0, count, group):
            end = min(first + group, count)
            yield slice(first, end), slice(max(0, before + first - back), before + end)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | Band | None) -> Tensor:
    """Softmax attention of (B, heads, Q, d) over (B, kv heads, C, d).

    `mask` is boolean, broadcastable to (B, heads, Q, C), true where a query may look; or a `Band`. A query that may
    look nowhere looks everywhere: its result is finite and must be masked by whoever made it.
    """
    if isinstance(mask, Band):
        parts = [
            attend(queries[:, :, some], keys[:, :, seen], values[:, :, seen], part) for some, seen, part in mask.parts
        ]
        return torch.cat(parts, dim=2)
    if mask is not None:
        mask = mask | ~mask.any(dim=-1, keepdim=True)
    grouped = queries.shape[1] != keys.shape[1]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=grouped)


def attend_naive(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | Band | None) -> Tensor:
    """The same as `attend`, written out: the reference that tests compare with."""
    mask = mask.dense() if isinstance(mask, Band) else mask
    repeat = queries.shape[1] // keys.shape[1]
    keys, values = (kept.repeat_interleave(repeat, dim=1) for kept in (keys, values))
    scores = queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~(mask | ~mask.any(dim=-1, keepdim=True)), float("-inf"))
    return scores.softmax(dim=-1) @ values


def activate(x: Tensor, name: str) -> Tensor:
    """One of `sizes.ACTIVATIONS`, element by element."""
    if name == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    return F.silu(x) if name == "silu" else F.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions: turns each pair (first half, second half) of x (B, heads, Q, d) by its angle.

    `turn` holds cosines and sines (B or 1, 1, Q, d/2), from `positions.rotary`.
    """
    cos, sin = turn
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)


@fills_itself
class Attention(nn.Module):
    """Multi-head attention of x (B, Q, D) over itself, over a context (B, C, Dc), or over what a cache holds.

    New keys come from `context` where the layer was built with a `context_width`, else from `x` (or from `keys_from`,
    where only some of the positions ask); a cross-attention called without a context looks at its cache alone.
    Returns the result (B, Q, D) and the cache (None if none came).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        context_width: int | None = None,
        head_width: int | None = None,
        bias: bool = True,
        qkv_bias: bool | None = None,
        norm_eps: float | None = None,
    ) -> None:
        """`head_width`: width / heads where it is None; `qkv_bias`: as `bias`; with `norm_eps` queries and keys are
        normed head by head, before they are turned."""
        super().__init__()
        self.heads, self.kv_heads, self.head_width = heads, kv_heads or heads, head_width or width // heads
        self.is_cross, self.width, self.context_width = context_width is not None, width, context_width or width
        inside, kept = self.heads * self.head_width, self.kv_heads * self.head_width
        qkv_bias = bias if qkv_bias is None else qkv_bias
        self.q_proj = nn.Linear(width, inside, bias=qkv_bias)
        self.k_proj = nn.Linear(context_width or width, kept, bias=qkv_bias)
        self.v_proj = nn.Linear(context_width or width, kept, bias=qkv_bias)
        self.o_proj = nn.Linear(inside, width, bias=bias)
        self.q_norm: nn.Module = nn.Identity()
        self.k_norm: nn.Module = nn.Identity()
        if norm_eps is not None:
            self.q_norm, self.k_norm = (nn.RMSNorm(self.head_width, eps=norm_eps) for _ in range(2))

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | Band | None = None,
        cache: KeyValues | None = None,
        turn: tuple[Tensor, Tensor] | None = None,
        keys_from: Tensor | None = None,
    ) -> tuple[Tensor, KeyValues | None]:
        """`mask` as in `attend`, over all keys, those of the cache first; `turn`, see `rotate`, of the new ones."""
        axes = check_shape("x", x, "B Q D", D=self.width)
        if self.is_cross and context is not None:
            check_shape("context", context, "B C D", B=axes["B"], D=self.context_width)
        queries = self.q_norm(rearrange(self.q_proj(x), "b q (h d) -> b h q d", h=self.heads))
        source = context if self.is_cross else x if keys_from is None else keys_from
        kept: Any = cache
        if source is not None:
            keys = self.k_norm(rearrange(self.k_proj(source), "b c (h d) -> b h c d", h=self.kv_heads))
            values = rearrange(self.v_proj(source), "b c (h d) -> b h c d", h=self.kv_heads)
            if turn is not None:
                keys = rotate(keys, turn)
            kept = Cache(keys, values) if cache is None else cache.append(keys, values)
        if turn is not None:
            queries = rotate(queries, turn)
        attended = attend(queries, kept.keys, kept.values, mask)
        return self.o_proj(rearrange(attended, "b h q d -> b q (h d)")), None if cache is None else kept

    def cache_of(self, context: Tensor) -> Cache:
        """Keys and values of a context (B, C, Dc), to be looked at without it."""
        keys = self.k_norm(rearrange(self.k_proj(context), "b c (h d) -> b h c d", h=self.kv_heads))
        return Cache(keys, rearrange(self.v_proj(context), "b c (h d) -> b h c d", h=self.kv_heads))

    def weights(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each position of x (B, Q, D) takes of each of the context (B, C, Dc): (B, Q, C), mean over heads.

        Each row sums to one; `mask` (B or 1, 1, Q or 1, C) as in `attend`, here with something to look at everywhere.
        """
        queries = self.q_norm(rearrange(self.q_proj(x), "b q (h d) -> b h q d", h=self.heads))
        keys = self.k_norm(rearrange(self.k_proj(context), "b c (h d) -> b h c d", h=self.kv_heads))
        keys = keys.repeat_interleave(self.heads // self.kv_heads, dim=1)
        scores = queries @ keys.transpose(-1, -2) / self.head_width**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(dim=-1).mean(dim=1)


@fills_itself
class Mlp(nn.Module):
    """(..., width) -> (..., out or width): up to `hidden`, GELU (unless told otherwise its tanh form), down."""

    def __init__(self, width: int, hidden: int, out: int | None = None, activation: str = "gelu_tanh") -> None:
        super().__init__()
        self.width, self.activation = width, activation
        self.up_proj = nn.Linear(width, hidden)
        self.down_proj = nn.Linear(hidden, out or width)

    def forward(self, x: Tensor) -> Tensor:
        check_shape("x", x, "... D", D=self.width)
        return self.down_proj(activate(self.up_proj(x), self.activation))


@fills_itself
class GatedMlp(nn.Module):
    """(..., width) -> (..., width): down(activation(gate) * up), without biases."""

    def __init__(self, width: int, hidden: int, activation: str = "silu") -> None:
        super().__init__()
        self.width, self.activation = width, activation
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        check_shape("x", x, "... D", D=self.width)
        return self.down_proj(activate(self.gate_proj(x), self.activation) * self.up_proj(x))


def layer_norm(width: int, eps: float = 1e-6) -> nn.LayerNorm:
    """With the epsilon that the whole audio-video side uses (and the official Token Turing Machine)."""
    return nn.LayerNorm(width, eps=eps)


@dataclass(frozen=True)
class Style:
    """Ways in which pretrained blocks differ from ours; the defaults are our own.

    activation        of the MLP, see `activate`; empty: GELU in its tanh form, SiLU in a gated block
    head_width        of self- and cross-attention; 0: width / heads
    qkv_bias          biases on queries, keys and values of self-attention in a gated block
    qk_norm           RMSNorm of queries and keys of self-attention
    layer_scale       a learned scale (width) for what attention and MLP add
    cross_gate        tanh of a learned number scales what cross-attention adds
    """

    eps: float = 1e-6
    activation: str = ""
    head_width: int = 0
    qkv_bias: bool = False
    qk_norm: bool = False
    layer_scale: bool = False
    cross_gate: bool = False


OURS = Style()


@fills_itself
class Block(nn.Module):
    """Pre-norm Transformer block: self-attention, cross-attention if a `context_width` is given, MLP.

    Two kinds: `Block(...)` has LayerNorm, biases and GELU (audio-video side), `Block(..., gated=True)` RMSNorm, no
    biases and a gated MLP (text side); a `Style` varies them. `caches` is a pair (own, context), each may be None.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        kv_heads: int | None = None,
        context_width: int | None = None,
        gated: bool = False,
        style: Style = OURS,
    ) -> None:
        super().__init__()
        bias, head_width = not gated, style.head_width or None

        def norm() -> nn.Module:
            return nn.RMSNorm(width, eps=style.eps) if gated else layer_norm(width, style.eps)

        self.attention_norm = norm()
        self.attention = Attention(
            width, heads, kv_heads=kv_heads, head_width=head_width, bias=bias,
            qkv_bias=bias or style.qkv_bias, norm_eps=style.eps if style.qk_norm else None,
        )  # fmt: skip
        if context_width is not None:
            self.cross_norm = norm()
            self.cross_attention = Attention(
                width, heads, context_width=context_width, head_width=head_width, bias=bias
            )
            if style.cross_gate:
                self.cross_gate = nn.Parameter(torch.zeros(1))
        self.mlp_norm = norm()
        self.mlp = (
            GatedMlp(width, hidden, style.activation or "silu") if gated
            else Mlp(width, hidden, activation=style.activation or "gelu_tanh")
        )  # fmt: skip
        if style.layer_scale:
            self.attention_scale = nn.Parameter(torch.ones(width))
            self.mlp_scale = nn.Parameter(torch.ones(width))

    def forward(
        self,
        x: Tensor,
        mask: Tensor | Band | None = None,
        caches: tuple[KeyValues | None, KeyValues | None] = (None, None),
        turn: tuple[Tensor, Tensor] | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> tuple[Tensor, tuple[KeyValues | None, KeyValues | None]]:
        """x (B, Q, D), context (B, C, Dc) -> (B, Q, D), caches. Masks are boolean, (B or 1, 1, Q or 1, keys)."""
        attended, own = self.attention(self.attention_norm(x), mask=mask, cache=caches[0], turn=turn)
        x = x + self.scaled(attended, "attention_scale")
        other = caches[1]
        if hasattr(self, "cross_attention"):
            attended, other = self.cross_attention(self.cross_norm(x), context, context_mask, other)
            if context_mask is not None:  # (B, 1, 1, C): a row with nothing to look at takes nothing
                attended = attended * context_mask.any(dim=-1)
            x = x + (attended * self.cross_gate.tanh() if hasattr(self, "cross_gate") else attended)
        return x + self.scaled(self.mlp(self.mlp_norm(x)), "mlp_scale"), (own, other)

    def scaled(self, added: Tensor, name: str) -> Tensor:
        """`added` times the layer scale of this name, where the block has one."""
        return added * getattr(self, name) if hasattr(self, name) else added

    def last(self, x: Tensor, count: int, mask: Tensor | None = None) -> Tensor:
        """What `forward` gives at the last `count` positions (B, count, D), without computing the others."""
        normed = self.attention_norm(x)
        attended, _ = self.attention(normed[:, -count:], mask=mask, keys_from=normed)
        x = x[:, -count:] + self.scaled(attended, "attention_scale")
        return x + self.scaled(self.mlp(self.mlp_norm(x)), "mlp_scale")
