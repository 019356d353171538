"""Combiners: fuse the tokens of a snippet, picture and sound together, into K combined tokens (the paper's Combiner).

Classes with one signature, chosen in `encoder.COMBINER`:

    combiner(tokens, mask, snippets, state) -> (combined, state)
    tokens (B, S, N, D), mask (B, S, N) -> combined (B, S, K, D)

    local   `LocalCombiner`    sees its own snippet (Figure 1 of the paper)
    causal  `CausalCombiner`   sees its own and the earlier snippets (Equation 2), `combiner_snippets` of them at most
    ttm     `memory.TuringCombiner`: the Token Turing Machine, sees its own snippet and a memory of R tokens
    local-ttm `memory.LocalTuringCombiner`: as local, then the Token Turing Machine over the K tokens of that
    priority  `priority.PriorityCombiner`: as local, and keeps the R most salient snippets for text to look at

`snippets` (B, S) holds each snippet's number from the start of the stream, -1 where a row has only padding.
The K outputs come from K learned queries set at the end of the snippet's tokens, so no modality is favoured. Only with
`Sizes.combiner_cells` the first of them begin with what is seen in a cell of the picture each: what stands in different
places is apart from the first step on. (Resamplers lose places, pooling keeps them: Honeybee, Cha et al. 2024.)
"""

from __future__ import annotations

from dataclasses import replace

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from .initialising import fills_itself
from .layers import Band, Block, Cache, layer_norm
from .positions import rotary, tube_cells
from .shapes import check_shape
from .sizes import Sizes
from .state import CombinerState, padding_first


@fills_itself
class LocalCombiner(nn.Module):
    """A Transformer over one snippet's tokens and K queries; the outputs at the queries are kept.

    In two halves: `fuse` looks at one snippet, so what it gives can be computed once and stored; `carry` takes that
    through time, and is where the combiners that remember differ.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.fixed = {"N": sum(sizes.viewed_tokens) + 2} if sizes.combiner_cells else {}  # else any number of tokens
        self.query_tokens = nn.Parameter(torch.empty(sizes.combined, sizes.av_width))
        self.blocks = nn.ModuleList(
            Block(sizes.av_width, sizes.av_heads, sizes.av_mlp) for _ in range(sizes.combiner_layers)
        )
        self.norm = layer_norm(sizes.av_width)

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """The state before the first snippet: nothing, as every snippet stands alone."""
        return CombinerState()

    def with_queries(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Appends the K queries: (B, S, N + K, D) and its mask."""
        axes = check_shape("tokens", tokens, "B S N D", D=self.sizes.av_width, **self.fixed)
        check_shape("mask", mask, "B S N", **axes)
        batch, count = tokens.shape[:2]
        queries = repeat(self.query_tokens, "k d -> b s k d", b=batch, s=count)
        if self.sizes.combiner_cells:
            queries = queries + self.in_cells(tokens, mask)
        real = mask.new_ones(batch, count, self.sizes.combined)
        return torch.cat([tokens, queries], dim=2), torch.cat([mask, real], dim=2)

    def in_cells(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, S, N, D), (B, S, N) -> (B, S, K, D): what each query begins with, the mean of the tubes in its cell; 0
        where none of these is real, and for the queries that have no cell."""
        cells = tube_cells(self.sizes).to(tokens)
        tubes = slice(self.sizes.summary_tokens, self.sizes.summary_tokens + cells.shape[1])
        shares = cells * mask[:, :, None, tubes]
        means = shares @ tokens[:, :, tubes] / shares.sum(dim=-1, keepdim=True).clamp(min=1)
        return F.pad(means, (0, 0, 0, self.sizes.combined - len(cells)))

    def forward(
        self, tokens: Tensor, mask: Tensor, snippets: Tensor, state: CombinerState
    ) -> tuple[Tensor, CombinerState]:
        """(B, S, N, D), (B, S, N), (B, S) -> combined (B, S, K, D), and the state after it."""
        return self.carry(self.fuse(tokens, mask), snippets, state)

    def carry(self, fused: Tensor, snippets: Tensor, state: CombinerState) -> tuple[Tensor, CombinerState]:
        """Fused snippets (B, S, K, D) -> combined (B, S, K, D), state: here both as they came."""
        return fused, state

    def fuse(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, S, N, D), (B, S, N) -> (B, S, K, D)."""
        x, mask = self.with_queries(tokens, mask)
        batch, kept = tokens.shape[0], self.sizes.combined
        x, mask = rearrange(x, "b s n d -> (b s) n d"), rearrange(mask, "b s n -> (b s) 1 1 n")
        mask = None if bool(mask.all()) else mask
        for block in self.blocks[:-1]:
            x, _ = block(x, mask=mask)
        x = self.blocks[-1].last(x, kept, mask)  # of the last block only the outputs at the queries are used
        return rearrange(self.norm(x), "(b s) k d -> b s k d", b=batch)


class CausalCombiner(LocalCombiner):
    """A Transformer over the tokens and queries of this and the earlier snippets, with a rolling cache."""

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """The state before the first snippet: a cache of no positions for each block."""
        empty = Cache.empty(batch, self.sizes.av_heads, self.sizes.head_width, like)
        numbers = torch.empty(batch, 0, dtype=torch.long, device=like.device)
        return CombinerState(caches=(empty,) * len(self.blocks), numbers=numbers)

    def forward(
        self, tokens: Tensor, mask: Tensor, snippets: Tensor, state: CombinerState
    ) -> tuple[Tensor, CombinerState]:
        """(B, S, N, D), (B, S, N), (B, S) -> combined (B, S, K, D), and the state with the last snippets' caches."""
        assert state.numbers is not None
        x, mask = self.with_queries(tokens, mask)
        count, kept = tokens.shape[1], self.sizes.combined
        check_shape("snippets", snippets, "B S", B=tokens.shape[0], S=count)
        per_snippet = x.shape[2]
        x = rearrange(x, "b s n d -> b (s n) d")
        # A token that is masked must stay masked for later calls too: its number in the cache becomes -1.
        asking = repeat(snippets, "b s -> b (s n)", n=per_snippet)
        asked = torch.cat([state.numbers, torch.where(rearrange(mask, "b s n -> b (s n)"), asking, -1)], dim=1)
        allowed = Band(asking, asked, self.sizes.combiner_snippets, per_snippet)
        turn = rotary(asking, self.sizes.head_width)
        # The queries at the end of a snippet are never masked, so its last number tells whether the snippet is real.
        order = padding_first(rearrange(asked, "b (s n) -> b s n", n=per_snippet)[..., -1] >= 0, per_snippet)
        caches, last = [], (self.sizes.combiner_snippets - 1) * per_snippet
        for block, cache in zip(self.blocks, state.caches, strict=True):
            x, (cache, _) = block(x, mask=allowed, caches=(cache, None), turn=turn)
            caches.append(cache.keep_last(last, order))
        x = rearrange(self.norm(x), "b (s n) d -> b s n d", s=count)[:, :, -kept:]
        asked = asked if order is None else asked.gather(1, order)
        numbers = asked[:, max(0, asked.shape[1] - last) :]
        return x, replace(state, caches=tuple(caches), numbers=numbers)
