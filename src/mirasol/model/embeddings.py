"""Pictures and sound to tokens: 3D tubes of pixels (TubeViT, arXiv 2212.03229) and 2D patches of a log-mel spectrogram.

in   pixel_values_videos (B, S, F, C, H, W), input_features (B, S, M, L)
out  tokens (B, S, Nv, D) and (B, S, Na, D), each with a mask (B, S, N): true where something real lies under the token

Each shape has a LayerNorm after its linear layer: the sum over a tube of some thousand numbers would otherwise drown
the position that is added to it (docs/LOG.md has the numbers). Positions are fixed. Where `Sizes.picture_grid` or
`sound_grid` says so they are learned instead and there is no LayerNorm, as in the ViTs that others have trained.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .initialising import fills_itself
from .layers import layer_norm
from .positions import (
    on_device,
    patch_places,
    patch_positions,
    sampled,
    tube_centre_places,
    tube_positions,
    tube_shares,
)
from .shapes import check_shape
from .signals import as_floats
from .sizes import Sizes

CHANNELS = 3


@fills_itself
class Tubes(nn.Module):
    """Several tube shapes over the same snippet, each with a linear layer of its own, and positions.

    Learned positions are a grid over the picture, read at the centre of each tube, and one for each frame, of which a
    tube gets the mean over its own.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.shapes = nn.ModuleList(
            nn.Linear(CHANNELS * kernel[0] * kernel[1] * kernel[2], sizes.av_width) for kernel, _, _ in sizes.tubes
        )
        if sizes.picture_grid:
            rows, columns = sizes.picture_grid
            self.picture_positions = nn.Parameter(torch.empty(rows * columns, sizes.av_width))
            self.frame_positions = nn.Parameter(torch.empty(sizes.frames, sizes.av_width))
        self.norms = nn.ModuleList(
            nn.Identity() if sizes.picture_grid else layer_norm(sizes.av_width) for _ in sizes.tubes
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, S, F, C, H, W), floats or uint8 -> (B, S, Nv, D)."""
        sizes, tokens = self.sizes, []
        check_shape("pixels", pixels, "B S F C H W", F=sizes.frames, C=CHANNELS, H=sizes.height, W=sizes.width)
        pixels = as_floats(pixels, self.shapes[0].weight.dtype)
        for linear, norm, tube in zip(self.shapes, self.norms, self.sizes.tubes, strict=True):
            (kt, kh, kw), (st, sh, sw), (ot, oh, ow) = tube
            cut = pixels[:, :, ot:, :, oh:, ow:].unfold(2, kt, st).unfold(4, kh, sh).unfold(5, kw, sw)
            tokens.append(norm(linear(rearrange(cut, "b s t c h w kt kh kw -> b s (t h w) (c kt kh kw)"))))
        return torch.cat(tokens, dim=2) + self.positions(pixels)

    def positions(self, like: Tensor) -> Tensor:
        """(Nv, D), in the dtype and on the device of `like`."""
        device = str(like.device)
        if not self.sizes.picture_grid:
            return on_device(tube_positions, device, self.sizes).to(like)
        places = on_device(tube_centre_places, device, self.sizes).to(self.picture_positions)
        frames = on_device(tube_shares, device, self.sizes).to(self.picture_positions)
        read = sampled(self.picture_positions, self.sizes.picture_grid, places) + frames @ self.frame_positions
        return read.to(like)

    def mask(self, frame_mask: Tensor) -> Tensor:
        """(B, S, F) real frames -> (B, S, Nv): a tube counts where at least one of its frames is real."""
        masks = []
        check_shape("frame mask", frame_mask, "B S F", F=self.sizes.frames)
        for at, ((kt, _, _), (st, _, _), (ot, _, _)) in enumerate(self.sizes.tubes):
            _, rows, columns = self.sizes.tube_grid(at)
            any_real = frame_mask[:, :, ot:].unfold(2, kt, st).any(dim=-1)
            masks.append(repeat(any_real, "b s t -> b s (t h w)", h=rows, w=columns))
        return torch.cat(masks, dim=2)


@fills_itself
class Patches(nn.Module):
    """Patches of a spectrogram, a linear layer and positions.

    Learned positions are a grid over mel bins and patches in time, read from its beginning: a snippet is often shorter
    than the sound that they were learned on, and a second stays a second.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.linear = nn.Linear(sizes.patch[0] * sizes.patch[1], sizes.av_width)
        if sizes.sound_grid:
            rows, columns = sizes.sound_grid
            self.sound_positions = nn.Parameter(torch.empty(rows * columns, sizes.av_width))
        self.norm = nn.Identity() if sizes.sound_grid else layer_norm(sizes.av_width)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, S, M, L) -> (B, S, Na, D)."""
        return self.norm(self.linear(self.cut(spectrogram))) + self.positions(spectrogram)

    def positions(self, like: Tensor) -> Tensor:
        """(Na, D), in the dtype and on the device of `like`."""
        device = str(like.device)
        if not self.sizes.sound_grid:
            return on_device(patch_positions, device, self.sizes).to(like)
        places = on_device(patch_places, device, self.sizes).to(self.sound_positions)
        return sampled(self.sound_positions, self.sizes.sound_grid, places).to(like)

    def cut(self, spectrogram: Tensor) -> Tensor:
        """(B, S, M, L) -> (B, S, Na, values of one patch)."""
        check_shape("spectrogram", spectrogram, "B S M L", M=self.sizes.mels, L=self.sizes.columns)
        height, width = self.sizes.patch
        down, across = self.sizes.patch_steps
        patches = spectrogram.unfold(2, height, down).unfold(3, width, across)
        return rearrange(patches, "b s m l pm pl -> b s (m l) (pm pl)")

    def mask(self, column_mask: Tensor) -> Tensor:
        """(B, S, L) real columns -> (B, S, Na)."""
        check_shape("column mask", column_mask, "B S L", L=self.sizes.columns)
        rows, _ = self.sizes.patch_grid
        any_real = column_mask.unfold(2, self.sizes.patch[1], self.sizes.patch_steps[1]).any(dim=-1)
        return repeat(any_real, "b s l -> b s (m l)", m=rows)
