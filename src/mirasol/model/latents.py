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
from .state import LatentState, Rolling


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
        """The state before the first snippet: caches of their final size without anything real in them."""
        kept, heads = self.sizes.latent_reach - 1, (self.sizes.av_heads, self.sizes.head_width)
        caches = [Cache.blank(batch, heads[0], kept * self.sizes.combined, heads[1], like) for _ in self.blocks]
        return LatentState(tuple(caches), torch.full((batch, kept), -1, dtype=torch.long, device=like.device))

    def forward(self, combined: Tensor, snippets: Tensor, state: LatentState | None) -> tuple[Tensor, LatentState]:
        """`snippets` (B, S): each snippet's number in its stream, -1 for padding, which stands behind what is real. No
        state: a new stream."""
        axes = check_shape("combined", combined, "B S K D", K=self.sizes.combined, D=self.sizes.av_width)
        check_shape("snippets", snippets, "B S", **axes)
        count, per_snippet = combined.shape[1:3]
        x = rearrange(combined, "b s k d -> b (s k) d")
        known = snippets if state is None else torch.cat([state.numbers, snippets], dim=1)
        asking, asked = (repeat(numbers, "b s -> b (s k)", k=per_snippet) for numbers in (snippets, known))
        allowed = Band(asking, asked, self.sizes.latent_reach, per_snippet)
        turn = rotary(asking, self.sizes.head_width)
        rolling, caches = Rolling(known, self.sizes.latent_reach - 1, per_snippet), []
        nothing = Cache.empty(len(x), self.sizes.av_heads, self.sizes.head_width, x)
        before = (nothing,) * len(self.blocks) if state is None else state.caches
        for block, cache in zip(self.blocks, before, strict=True):
            x, (cache, _) = block(x, mask=allowed, caches=(cache, None), turn=turn)
            caches.append(rolling.cache(cache))
        latents = rearrange(self.norm(x), "b (s k) d -> b s k d", s=count)
        return latents, LatentState(tuple(caches), rolling.of(known, -1))
