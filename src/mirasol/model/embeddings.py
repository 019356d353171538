"""Pictures and sound to tokens: 3D tubes of pixels (TubeViT, arXiv 2212.03229) and 2D patches of a log-mel spectrogram.

in   pixel_values_videos (B, S, F, C, H, W), input_features (B, S, M, L)
out  tokens (B, S, Nv, D) and (B, S, Na, D), each with a mask (B, S, N): true where something real lies under the token

Each shape has a LayerNorm after its linear layer: the sum over a tube of some thousand numbers would otherwise drown
the position that is added to it (docs/LOG.md has the numbers).
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .layers import layer_norm
from .positions import patch_positions, tube_positions
from .sizes import Sizes

CHANNELS = 3


class Tubes(nn.Module):
    """Several tube shapes over the same snippet, each with a linear layer of its own, and fixed positions."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.shapes = nn.ModuleList(
            nn.Linear(CHANNELS * kernel[0] * kernel[1] * kernel[2], sizes.av_width) for kernel, _, _ in sizes.tubes
        )
        self.norms = nn.ModuleList(layer_norm(sizes.av_width) for _ in sizes.tubes)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, S, F, C, H, W) -> (B, S, Nv, D)."""
        tokens = []
        for linear, norm, tube in zip(self.shapes, self.norms, self.sizes.tubes, strict=True):
            (kt, kh, kw), (st, sh, sw), (ot, oh, ow) = tube
            cut = pixels[:, :, ot:, :, oh:, ow:].unfold(2, kt, st).unfold(4, kh, sh).unfold(5, kw, sw)
            tokens.append(norm(linear(rearrange(cut, "b s t c h w kt kh kw -> b s (t h w) (c kt kh kw)"))))
        return torch.cat(tokens, dim=2) + tube_positions(self.sizes).to(pixels)

    def mask(self, frame_mask: Tensor) -> Tensor:
        """(B, S, F) real frames -> (B, S, Nv): a tube counts where at least one of its frames is real."""
        masks = []
        for at, ((kt, _, _), (st, _, _), (ot, _, _)) in enumerate(self.sizes.tubes):
            _, rows, columns = self.sizes.tube_grid(at)
            any_real = frame_mask[:, :, ot:].unfold(2, kt, st).any(dim=-1)
            masks.append(repeat(any_real, "b s t -> b s (t h w)", h=rows, w=columns))
        return torch.cat(masks, dim=2)


class Patches(nn.Module):
    """Patches of a spectrogram, a linear layer and fixed positions."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.linear = nn.Linear(sizes.patch[0] * sizes.patch[1], sizes.av_width)
        self.norm = layer_norm(sizes.av_width)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, S, M, L) -> (B, S, Na, D)."""
        return self.norm(self.linear(self.cut(spectrogram))) + patch_positions(self.sizes).to(spectrogram)

    def cut(self, spectrogram: Tensor) -> Tensor:
        """(B, S, M, L) -> (B, S, Na, values of one patch)."""
        height, width = self.sizes.patch
        return rearrange(spectrogram, "b s (m pm) (l pl) -> b s (m l) (pm pl)", pm=height, pl=width)

    def mask(self, column_mask: Tensor) -> Tensor:
        """(B, S, L) real columns -> (B, S, Na)."""
        rows, _ = self.sizes.patch_grid
        any_real = rearrange(column_mask, "b s (l pl) -> b s l pl", pl=self.sizes.patch[1]).any(dim=-1)
        return repeat(any_real, "b s l -> b s (m l)", m=rows)
