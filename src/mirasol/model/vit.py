"""The one ViT: the same weights read video tubes and spectrogram patches (Figure 1 of the paper).

(B*S, N, D) tokens with a mask (B*S, N) -> (B*S, N, D). A learned modality embedding tells the two apart; the two
modalities do not see each other here, fusing them is the combiner's work. Fields of `Sizes` (`vit_*`) make it any ViT
with pre-norm blocks. What such a one has beside its patches (class and register tokens) is seen by them and goes no
further, or, with `Sizes.vit_summary`, comes out before them: (B*S, E + N, D).
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .initialising import fills_itself
from .layers import Block, Style, layer_norm
from .shapes import check_shape
from .sizes import Sizes

PICTURE, SOUND = 0, 1


@fills_itself
class Vit(nn.Module):
    """A pre-norm Transformer with a final norm; positions are on the tokens already."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.modality_tokens = nn.Parameter(torch.empty(2, sizes.av_width))
        self.extra, self.left_out = sizes.vit_extra, sizes.vit_extra - sizes.summary_tokens
        if self.extra:
            self.extra_tokens = nn.Parameter(torch.empty(self.extra, sizes.av_width))
        self.pre_norm = layer_norm(sizes.av_width, sizes.vit_eps) if sizes.vit_pre_norm else nn.Identity()
        style = Style(eps=sizes.vit_eps, activation=sizes.vit_activation, layer_scale=sizes.vit_layer_scale)
        self.blocks = nn.ModuleList(
            Block(sizes.av_width, sizes.av_heads, sizes.av_mlp, style=style) for _ in range(sizes.vit_layers)
        )
        self.norm = layer_norm(sizes.av_width, sizes.vit_eps)

    def forward(self, tokens: Tensor, mask: Tensor | None, modality: int) -> Tensor:
        """`modality` is PICTURE or SOUND. Tokens under a false mask (None: all real) influence nothing; what comes out
        there is junk."""
        axes = check_shape("tokens", tokens, "B N D", D=self.modality_tokens.shape[1])
        if mask is not None:
            check_shape("mask", mask, "B N", **axes)
        x = tokens + self.modality_tokens[modality]
        if self.extra:
            x = torch.cat([repeat(self.extra_tokens, "e d -> b e d", b=len(x)), x], dim=1)
            mask = None if mask is None else torch.cat([mask.new_ones(len(x), self.extra), mask], dim=1)
        keys = None if mask is None else rearrange(mask, "b n -> b 1 1 n")
        x = self.pre_norm(x)
        for block in self.blocks:
            x, _ = block(x, mask=keys)
        return self.norm(x[:, self.left_out :])
