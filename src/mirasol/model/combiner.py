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

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from .initialising import fills_itself
from .layers import Band, Block, Cache, layer_norm
from .positions import on_device, rotary, tube_cells
from .shapes import check_shape
from .sizes import Sizes
from .state import CombinerState, Rolling


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

    def with_queries(self, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Appends the K queries: (B, S, N + K, D) and its mask."""
        axes = check_shape("tokens", tokens, "B S N D", D=self.sizes.av_width, **self.fixed)
        if mask is not None:
            check_shape("mask", mask, "B S N", **axes)
        batch, count = tokens.shape[:2]
        queries = repeat(self.query_tokens, "k d -> b s k d", b=batch, s=count)
        if self.sizes.combiner_cells:
            queries = queries + self.in_cells(tokens, mask)
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(batch, count, self.sizes.combined)], dim=2)
        return torch.cat([tokens, queries], dim=2), mask

    def in_cells(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S, N, D), (B, S, N) -> (B, S, K, D): what each query begins with, the mean of the tubes in its cell; 0
        where none of these is real, and for the queries that have no cell."""
        cells = on_device(tube_cells, str(tokens.device), self.sizes).to(tokens)
        tubes = slice(self.sizes.summary_tokens, self.sizes.summary_tokens + cells.shape[1])
        shares = cells if mask is None else cells * mask[:, :, None, tubes]
        means = shares @ tokens[:, :, tubes] / shares.sum(dim=-1, keepdim=True).clamp(min=1)
        return F.pad(means, (0, 0, 0, self.sizes.combined - len(cells)))

    def forward(
        self, tokens: Tensor, mask: Tensor | None, snippets: Tensor, state: CombinerState | None
    ) -> tuple[Tensor, CombinerState]:
        """(B, S, N, D), (B, S, N), (B, S) -> combined (B, S, K, D), and the state after it (None: a new stream)."""
        return self.carry(self.fuse(tokens, mask), snippets, state)

    def carry(self, fused: Tensor, snippets: Tensor, state: CombinerState | None) -> tuple[Tensor, CombinerState]:
        """Fused snippets (B, S, K, D) -> combined (B, S, K, D), state: here both as they came."""
        return fused, state or self.start(len(fused), self.query_tokens.detach())

    def fuse(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S, N, D), (B, S, N) or None where all is real -> (B, S, K, D)."""
        x, mask = self.with_queries(tokens, mask)
        batch, kept = tokens.shape[0], self.sizes.combined
        x = rearrange(x, "b s n d -> (b s) n d")
        mask = None if mask is None else rearrange(mask, "b s n -> (b s) 1 1 n")
        for block in self.blocks[:-1]:
            x, _ = block(x, mask=mask)
        x = self.blocks[-1].last(x, kept, mask)  # of the last block only the outputs at the queries are used
        return rearrange(self.norm(x), "(b s) k d -> b s k d", b=batch)


class CausalCombiner(LocalCombiner):
    """A Transformer over the tokens and queries of this and the earlier snippets, with a rolling cache."""

    @property
    def per_snippet(self) -> int:
        """Positions that a snippet takes: its tokens, the two of presence, the queries."""
        return sum(self.sizes.viewed_tokens) + 2 + self.sizes.combined

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """The state before the first snippet: caches of their final size without anything real in them."""
        kept = (self.sizes.combiner_snippets - 1) * self.per_snippet
        heads, width = self.sizes.av_heads, self.sizes.head_width
        caches = tuple(Cache.blank(batch, heads, kept, width, like) for _ in self.blocks)
        return CombinerState(caches, torch.full((batch, kept), -1, dtype=torch.long, device=like.device))

    def forward(
        self, tokens: Tensor, mask: Tensor | None, snippets: Tensor, state: CombinerState | None
    ) -> tuple[Tensor, CombinerState]:
        """(B, S, N, D), (B, S, N), (B, S) -> combined (B, S, K, D), and the state with the last snippets' caches."""
        x, mask = self.with_queries(tokens, mask)
        count, kept = tokens.shape[1], self.sizes.combined
        check_shape("snippets", snippets, "B S", B=tokens.shape[0], S=count)
        x, per_snippet = rearrange(x, "b s n d -> b (s n) d"), self.per_snippet
        # A token that is masked must stay masked for later calls too: its number in the cache becomes -1.
        asking = repeat(snippets, "b s -> b (s n)", n=per_snippet)
        asked = asking if mask is None else torch.where(rearrange(mask, "b s n -> b (s n)"), asking, -1)
        nothing = Cache.empty(len(x), self.sizes.av_heads, self.sizes.head_width, x)
        before = (nothing,) * len(self.blocks)
        if state is not None:
            assert state.numbers is not None
            asked, before = torch.cat([state.numbers, asked], dim=1), state.caches
        allowed = Band(asking, asked, self.sizes.combiner_snippets, per_snippet)
        turn = rotary(asking, self.sizes.head_width)
        # The queries at the end of a snippet are never masked, so its last number is that of the snippet.
        rolling = Rolling(asked[:, per_snippet - 1 :: per_snippet], self.sizes.combiner_snippets - 1, per_snippet)
        caches = []
        for block, cache in zip(self.blocks, before, strict=True):
            x, (cache, _) = block(x, mask=allowed, caches=(cache, None), turn=turn)
            caches.append(rolling.cache(cache))
        x = rearrange(self.norm(x), "b (s n) d -> b s n d", s=count)[:, :, -kept:]
        return x, CombinerState(tuple(caches), rolling.inside(asked))
