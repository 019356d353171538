"""The text decoder: reads the prompt, attends to the audio-video context, writes the answer (the paper's text model).

ids (B, T) and context (B, C, width of the audio-video side) -> hidden states (B, T, D); the output layer `lm_head`
of the whole model makes logits (B, T, V) of them. Rotary positions, RMSNorm, gated MLP; every block, or every n-th,
has a cross-attention, gated where `Sizes.cross_gate` says so. Other fields of `Sizes` (`text_*`) make it any decoder of
the Llama family: without context, or with gates at zero, it is that language model. With `caches` a call holds only the
new ids; a filled context cache makes the context unnecessary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .initialising import fills_itself
from .layers import Block, Cache, KeyValues, Style
from .positions import rotary
from .shapes import check_shape
from .sizes import Sizes

Caches = Sequence[tuple[KeyValues | None, KeyValues | None]]


@fills_itself
class Decoder(nn.Module):
    """Embedding, blocks with self- and cross-attention, final norm; the output layer belongs to the whole model."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embed = nn.Embedding(sizes.vocabulary, sizes.text_width)
        style = Style(
            eps=sizes.text_norm_eps,
            activation=sizes.text_activation,
            head_width=sizes.text_head,
            qkv_bias=sizes.text_qkv_bias,
            qk_norm=sizes.text_qk_norm,
            cross_gate=sizes.cross_gate,
        )
        self.blocks = nn.ModuleList(
            Block(
                sizes.text_width,
                sizes.text_heads,
                sizes.text_mlp,
                kv_heads=sizes.text_kv_heads,
                context_width=sizes.av_width if sizes.crosses(layer) else None,
                gated=True,
                style=style,
            )
            for layer in range(sizes.text_layers)
        )
        self.norm = nn.RMSNorm(sizes.text_width, eps=sizes.text_norm_eps)

    def start(self, batch: int, like: Tensor) -> list[tuple[KeyValues | None, KeyValues | None]]:
        """Empty caches for decoding token by token; a block without cross-attention has none for the context."""
        sizes = self.sizes
        own: KeyValues = Cache.empty(batch, sizes.text_kv_heads, sizes.text_head, like)
        other: KeyValues = Cache.empty(batch, sizes.text_heads, sizes.text_head, like)
        return [(own, other if sizes.crosses(layer) else None) for layer in range(sizes.text_layers)]

    def embedded(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)."""
        x = self.embed(ids)
        return x if self.sizes.text_embed_scale == 1 else x * self.sizes.text_embed_scale

    def turn(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary angles of positions (B, T)."""
        return rotary(positions, self.sizes.text_head, self.sizes.text_rope_base, self.sizes.text_rope_scaling)

    def forward(
        self,
        ids: Tensor,
        context: Tensor | None,
        context_mask: Tensor | None,
        caches: Caches | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, list[tuple[KeyValues | None, KeyValues | None]]]:
        """Hidden states (B, T, D) and the caches.

        `text_mask` (B, positions so far) is false on padding, which may stand at either end. Where the context's mask
        is false throughout, the row has nothing to look at and its cross-attention is left out.
        """
        axes = check_shape("ids", ids, "B T")
        batch, new = axes["B"], axes["T"]
        before = 0 if caches is None or caches[0][0] is None else caches[0][0].keys.shape[2]
        if before + new > self.sizes.text_positions:
            raise ValueError(
                f"prompt and answer together hold {before + new} tokens, this model takes {self.sizes.text_positions}"
            )
        if context is not None:
            axes = check_shape("context", context, "B C D", B=batch, D=self.sizes.av_width)
            if context_mask is not None:
                check_shape("context mask", context_mask, "B C", **axes)
        if text_mask is not None:
            check_shape("text mask", text_mask, "B T", B=batch, T=before + new)
        places = torch.arange(before + new, device=ids.device)
        mask = (places[None, :] <= places[before:, None])[None, None]
        positions = places[before:].expand(batch, -1)
        if text_mask is not None:
            real = text_mask.bool()
            mask = mask & real[:, None, None, :]
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)[:, before:]
        turn = self.turn(positions)
        x = self.embedded(ids)
        look = None if context_mask is None else context_mask.bool()[:, None, None, :]
        kept = []
        for at, block in enumerate(self.blocks):
            x, pair = block(
                x, mask, (None, None) if caches is None else caches[at], turn, context=context, context_mask=look
            )
            kept.append(pair)
        return self.norm(x), kept

    def look(self, context: Tensor, context_mask: Tensor) -> list[Cache | None]:
        """Keys and values of the context (B, C, audio-video width) in each block that looks at it: they take its place
        in `forward` and `step`, for as many questions as there are. Its mask (B, C) is given to those again."""
        check_shape("context", context, "B C D", D=self.sizes.av_width)
        found: list[Cache | None] = []
        for layer, block in enumerate(self.blocks):
            found.append(block.cross_attention.cache_of(context) if self.sizes.crosses(layer) else None)
        return found

    def step(self, ids: Tensor, places: Tensor, caches: Caches, context_mask: Tensor) -> Tensor:
        """New ids (B, n) at `places` (B, n) of caches that hold every position at its own place, and rows of unequal
        length; those of the context are filled. Hidden states (B, n, D); what is at a later place is not looked at."""
        own = caches[0][0]
        assert own is not None
        turn, x = self.turn(places), self.embedded(ids)
        mask = torch.arange(own.keys.shape[2], device=ids.device) <= places[:, None, :, None]
        look = context_mask.bool()[:, None, None, :]
        for block, pair in zip(self.blocks, caches, strict=True):
            x, _ = block(x, mask, pair, turn, context_mask=look)
        return self.norm(x)

    def looks(self, ids: Tensor, context: Tensor, context_mask: Tensor) -> Tensor:
        """Where each position of the text (B, T), without padding, looks in the context: (B, T, C), mean over those
        blocks that look.

        For pictures that explain an answer; `forward` does not make these weights.
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        mask = (places[None, :] <= places[:, None])[None, None]
        turn = self.turn(places.expand(len(ids), -1))
        look, x, found = context_mask.bool()[:, None, None, :], self.embedded(ids), []
        for layer, block in enumerate(self.blocks):
            if self.sizes.crosses(layer):
                asking = x + block.attention(block.attention_norm(x), mask=mask, turn=turn)[0]
                found.append(block.cross_attention.weights(block.cross_norm(asking), context, look))
            x, _ = block(x, mask, turn=turn, context=context, context_mask=look)
        return torch.stack(found).mean(dim=0)
