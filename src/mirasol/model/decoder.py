"""The text decoder: reads the prompt, attends to the audio-video context, writes the answer (the paper's text model).

ids (B, T) and context (B, C, width of the audio-video side) -> hidden states (B, T, D); the output layer `lm_head`
of the whole model makes logits (B, T, V) of them. Rotary positions, RMSNorm, gated MLP; every block has a
cross-attention. With `caches` a call holds only the new ids; a filled context cache makes the context unnecessary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .layers import Block, Cache, KeyValues
from .positions import rotary
from .sizes import Sizes

Caches = Sequence[tuple[KeyValues | None, KeyValues | None]]


class Decoder(nn.Module):
    """Embedding, blocks with self- and cross-attention, final norm; the output layer belongs to the whole model."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embed = nn.Embedding(sizes.vocabulary, sizes.text_width)
        self.blocks = nn.ModuleList(
            Block(
                sizes.text_width,
                sizes.text_heads,
                sizes.text_mlp,
                kv_heads=sizes.text_kv_heads,
                context_width=sizes.av_width,
                gated=True,
            )
            for _ in range(sizes.text_layers)
        )
        self.norm = nn.RMSNorm(sizes.text_width, eps=1e-6)

    def start(self, batch: int, like: Tensor) -> list[tuple[KeyValues | None, KeyValues | None]]:
        """Empty caches for decoding token by token."""
        sizes = self.sizes
        width = sizes.text_width // sizes.text_heads
        own: KeyValues = Cache.empty(batch, sizes.text_kv_heads, width, like)
        other: KeyValues = Cache.empty(batch, sizes.text_heads, width, like)
        return [(own, other)] * sizes.text_layers

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
        batch, new = ids.shape
        before = 0 if caches is None or caches[0][0] is None else caches[0][0].keys.shape[2]
        if before + new > self.sizes.text_positions:
            raise ValueError(
                f"prompt and answer together hold {before + new} tokens, this model takes {self.sizes.text_positions}"
            )
        places = torch.arange(before + new, device=ids.device)
        mask = (places[None, :] <= places[before:, None])[None, None]
        positions = places[before:].expand(batch, -1)
        if text_mask is not None:
            real = text_mask.bool()
            mask = mask & real[:, None, None, :]
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)[:, before:]
        turn = rotary(positions, self.sizes.text_width // self.sizes.text_heads)
        x = self.embed(ids)
        look = None if context_mask is None else context_mask.bool()[:, None, None, :]
        kept = []
        for at, block in enumerate(self.blocks):
            x, pair = block(
                x, mask, (None, None) if caches is None else caches[at], turn, context=context, context_mask=look
            )
            kept.append(pair)
        return self.norm(x), kept

    def looks(self, ids: Tensor, context: Tensor, context_mask: Tensor) -> Tensor:
        """Where each position of the text (B, T), without padding, looks in the context: (B, T, C), mean over blocks.

        For pictures that explain an answer; `forward` does not make these weights.
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        mask = (places[None, :] <= places[:, None])[None, None]
        turn = rotary(places.expand(len(ids), -1), self.sizes.text_width // self.sizes.text_heads)
        look, x, found = context_mask.bool()[:, None, None, :], self.embed(ids), []
        for block in self.blocks:
            asking = x + block.attention(block.attention_norm(x), mask=mask, turn=turn)[0]
            found.append(block.cross_attention.weights(block.cross_norm(asking), context, look))
            x, _ = block(x, mask, turn=turn, context=context, context_mask=look)
        return torch.stack(found).mean(dim=0)
