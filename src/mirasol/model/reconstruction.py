"""Reconstruction heads: from the latents of snippet s to the pictures and the spectrogram of snippet s + 1 (the paper's
reconstruction losses).

latents (B, S, K, D) -> small pictures (B, S, Pv, values of one patch) and spectrogram patches (B, S, Na, values).
A small Transformer whose queries are the fixed positions of the target patches, attending to the K latents. Training
only; each half can be switched off (the earlier version of the paper reconstructed only video).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from .embeddings import CHANNELS, Patches
from .initialising import fills_itself
from .inputs import Fused, Inputs, Tokenized
from .layers import Block, Mlp, layer_norm
from .positions import on_device, patch_positions, sincos
from .shapes import check_shape
from .signals import as_floats
from .sizes import Sizes


def small_frames(pixels: Tensor, sizes: Sizes) -> Tensor:
    """(B, S, F, C, H, W) -> target patches (B, S, Pv, F * C * patch * patch), `scale` times smaller."""
    scale, side = sizes.reconstruct_scale, sizes.reconstruct_patch
    small = F.avg_pool2d(rearrange(pixels, "b s f c h w -> (b s f) c h w"), scale)
    return rearrange(
        small, "(b s f) c (h ph) (w pw) -> b s (h w) (f c ph pw)", b=pixels.shape[0], f=sizes.frames, ph=side, pw=side
    )


def small_positions(sizes: Sizes) -> Tensor:
    """(Pv, D): centres of the target patches, in pixels of the small picture."""
    rows, columns = sizes.small_grid
    down = (torch.arange(rows, dtype=torch.float64) + 0.5) * sizes.reconstruct_patch
    across = (torch.arange(columns, dtype=torch.float64) + 0.5) * sizes.reconstruct_patch
    return sincos(torch.cartesian_prod(down, across), sizes.av_width)


def normalise_patches(patches: Tensor) -> Tensor:
    """Each patch to mean 0 and deviation 1, so that structure counts and brightness does not."""
    mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-2).sqrt()


@fills_itself
class Reconstruction(nn.Module):
    """Predicts the next snippet: its combined tokens (an MLP on the latents), its pictures and its spectrogram."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.av_width
        if sizes.reconstruct_video or sizes.reconstruct_audio:
            self.blocks = nn.ModuleList(
                Block(width, sizes.av_heads, sizes.av_mlp, context_width=width) for _ in range(sizes.reconstruct_layers)
            )
            self.norm = layer_norm(width)
        self.latent = Mlp(width, sizes.av_mlp)
        if sizes.reconstruct_video:
            self.video_tokens = nn.Parameter(torch.empty(width))
            self.video = nn.Linear(width, sizes.frames * CHANNELS * sizes.reconstruct_patch**2)
        if sizes.reconstruct_audio:
            self.audio_tokens = nn.Parameter(torch.empty(width))
            self.audio = nn.Linear(width, sizes.patch[0] * sizes.patch[1])

    def forward(self, latents: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(B, S, K, D) -> predicted patches of the next snippet, None for a half that is switched off."""
        batch, sizes = check_shape("latents", latents, "B S K D", D=self.sizes.av_width)["B"], self.sizes
        if not (sizes.reconstruct_video or sizes.reconstruct_audio):
            return None, None
        queries, split, device = [], [0, 0], str(latents.device)
        if sizes.reconstruct_video:
            queries.append(on_device(small_positions, device, sizes).to(latents) + self.video_tokens)
            split[0] = len(queries[-1])
        if sizes.reconstruct_audio:
            queries.append(on_device(patch_positions, device, sizes).to(latents) + self.audio_tokens)
            split[1] = len(queries[-1])
        context = rearrange(latents, "b s k d -> (b s) k d")
        x = repeat(torch.cat(queries), "p d -> n p d", n=len(context))
        for block in self.blocks:
            x, _ = block(x, context=context)
        x = rearrange(self.norm(x), "(b s) p d -> b s p d", b=batch)
        return (
            self.video(x[:, :, : split[0]]) if split[0] else None,
            self.audio(x[:, :, split[0] :]) if split[1] else None,
        )

    def losses(
        self,
        latents: Tensor,
        combined: Tensor,
        inputs: Inputs | Tokenized | Fused,
        patches: Patches,
        counts: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of snippet s against snippet s + 1: (latent, video, audio) losses, 0 where nothing is to compare.

        latent  1 - cosine between the predicted and the combined tokens; the target carries no gradient
        video, audio  mean squared error on normalised patches, over snippets that have picture or sound

        `counts`: divide by these instead of the number of snippets compared, see `mirasol.loss_counts`.
        """
        real, seen, heard = compared(inputs)
        over = [mask.sum() for mask in (real, seen, heard)] if counts is None else counts
        cosine = F.cosine_similarity(self.latent(latents)[:, :-1], combined[:, 1:].detach(), dim=-1)
        latent, zero = masked_mean((1 - cosine).mean(dim=-1), real, over[0]), latents.sum() * 0
        if not isinstance(inputs, Inputs):  # there is no picture and no sound to compare with; all take part even so
            zero = zero + 0 * sum(parameter.sum() for parameter in self.parameters())
            return latent, zero, zero
        video, audio = self(latents)
        small = small_frames(as_floats(inputs.pixel_values_videos, latents.dtype), self.sizes)
        return (
            latent,
            zero if video is None else compare(video, small, seen, over[1]),
            zero if audio is None else compare(audio, patches.cut(inputs.input_features), heard, over[2]),
        )


def compared(inputs: Inputs | Tokenized | Fused) -> tuple[Tensor, Tensor, Tensor]:
    """Which snippets 1, 2, ... are compared with what was predicted of them: their latents, picture, sound, each
    (B, S - 1). `inputs` are complete."""
    assert inputs.snippet_mask is not None
    real = inputs.snippet_mask[:, 1:] & inputs.snippet_mask[:, :-1]
    if not isinstance(inputs, Inputs):
        return real, torch.zeros_like(real), torch.zeros_like(real)
    assert inputs.frame_mask is not None
    assert inputs.column_mask is not None
    return real, inputs.frame_mask.any(dim=-1)[:, 1:] & real, inputs.column_mask.any(dim=-1)[:, 1:] & real


def compare(predicted: Tensor, patches: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """Mean squared error of (B, S, P, values), shifted by one snippet, where mask (B, S - 1) is true."""
    error = predicted[:, :-1] - normalise_patches(patches)[:, 1:]
    return masked_mean(error.square().mean(dim=(-1, -2)), mask, count) + 0 * predicted.sum()


def masked_mean(values: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """The sum of `values` where `mask`, of the same shape, is true, over `count`; 0 where there is nothing."""
    return (values * mask).sum() / torch.where(count > 0, count, 1)
