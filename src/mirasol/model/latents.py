"""The latent model: autoregressive over snippets (the model for aligned modalities in Figure 1).

(B, S, K, D) combined tokens -> (B, S, K, D) latents. Bidirectional inside a snippet, causal across snippets, looking
back on `Sizes.latent_reach` snippets; the mask is drawn at `layers.Band`. The latents of snippet s are made
from the snippets up to s and learn to predict snippet s + 1. Positions are rotary angles of the snippet's number, so
only distances matter and a stream may go on for ever.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .initialising import fills_itself
from .layers import Band, Block, Cache, layer_norm
from .positions import rotary
from .shapes import check_shape
from .sizes import Sizes
from .state import LatentState, padding_first


@fills_itself
class LatentModel(nn.Module):
    """A causal Transformer over the combined tokens of all snippets, with a rolling cache."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.blocks = nn.ModuleList(
            Block(sizes.av_width, sizes.av_heads, sizes.av_mlp) for _ in range(sizes.latent_layers)
        )
        self.norm = layer_norm(sizes.av_width)

    def start(self, batch: int, like: Tensor) -> LatentState:
        """The state before the first snippet: a cache of no positions for each block."""
        empty = Cache.empty(batch, self.sizes.av_heads, self.sizes.head_width, like)
        numbers = torch.empty(batch, 0, dtype=torch.long, device=like.device)
        return LatentState((empty,) * len(self.blocks), numbers)

    def forward(self, combined: Tensor, snippets: Tensor, state: LatentState) -> tuple[Tensor, LatentState]:
        """`snippets` (B, S): each snippet's number in its stream, -1 for padding."""
        axes = check_shape("combined", combined, "B S K D", K=self.sizes.combined, D=self.sizes.av_width)
        check_shape("snippets", snippets, "B S", **axes)
        count, per_snippet = combined.shape[1:3]
        x = rearrange(combined, "b s k d -> b (s k) d")
        known = torch.cat([state.numbers, snippets], dim=1)
        asking, asked = (repeat(numbers, "b s -> b (s k)", k=per_snippet) for numbers in (snippets, known))
        allowed = Band(asking, asked, self.sizes.latent_reach, per_snippet)
        turn = rotary(asking, self.sizes.head_width)
        order = padding_first(known >= 0, per_snippet)
        caches, last = [], self.sizes.latent_reach - 1
        for block, cache in zip(self.blocks, state.caches, strict=True):
            x, (cache, _) = block(x, mask=allowed, caches=(cache, None), turn=turn)
            caches.append(cache.keep_last(last * per_snippet, order))
        known = known if (order := padding_first(known >= 0, 1)) is None else known.gather(1, order)
        numbers = known[:, max(0, known.shape[1] - last) :]
        return rearrange(self.norm(x), "b (s k) d -> b s k d", s=count), LatentState(tuple(caches), numbers)
