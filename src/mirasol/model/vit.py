"""The one ViT: the same weights read video tubes and spectrogram patches (Figure 1 of the paper).

(B*S, N, D) tokens with a mask (B*S, N) -> (B*S, N, D). A learned modality embedding tells the two apart; the two
modalities do not see each other here, fusing them is the combiner's work.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from .layers import Block, layer_norm
from .sizes import Sizes

PICTURE, SOUND = 0, 1


class Vit(nn.Module):
    """A pre-norm Transformer with a final norm; positions are on the tokens already."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.modality_tokens = nn.Parameter(torch.empty(2, sizes.av_width))
        self.blocks = nn.ModuleList(
            Block(sizes.av_width, sizes.av_heads, sizes.av_mlp) for _ in range(sizes.vit_layers)
        )
        self.norm = layer_norm(sizes.av_width)

    def forward(self, tokens: Tensor, mask: Tensor, modality: int) -> Tensor:
        """`modality` is PICTURE or SOUND. Tokens under a false mask influence nothing; what comes out there is junk."""
        x = tokens + self.modality_tokens[modality]
        keys = None if bool(mask.all()) else rearrange(mask, "b n -> b 1 1 n")
        for block in self.blocks:
            x, _ = block(x, mask=keys)
        return self.norm(x)
