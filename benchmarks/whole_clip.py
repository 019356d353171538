"""The rival in the sweep over frames: attention over all tokens of a clip at once.

The same tubes and patches as a Mirasol model, then one plain Transformer of its width and of as many layers as its ViT,
combiner and latent model have together. Nothing is cut into snippets, so attention grows with the square of the length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mirasol.model.embeddings import Patches, Tubes
from mirasol.model.flops import Work, block, forward_flops, training_flops
from mirasol.model.initialising import fills_itself
from mirasol.model.inputs import Inputs
from mirasol.model.layers import Block, layer_norm
from mirasol.model.positions import seconds_features
from mirasol.model.sizes import Sizes

AUDIO_VIDEO = ("tubes", "patches", "vit", "combiner", "latents")


def layers_of(sizes: Sizes) -> int:
    """Layers between a token and what text sees of it."""
    return sizes.vit_layers + sizes.combiner_layers + sizes.latent_layers


@fills_itself
class WholeClip(nn.Module):
    """Inputs of S snippets -> all their tokens (B, S * (Nv + Na), D)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.tubes, self.patches = Tubes(sizes), Patches(sizes)
        width = sizes.av_width
        self.blocks = nn.ModuleList(Block(width, sizes.av_heads, sizes.av_mlp) for _ in range(layers_of(sizes)))
        self.norm = layer_norm(width)

    def forward(self, inputs: Inputs) -> Tensor:
        assert inputs.pixel_values_videos is not None
        assert inputs.input_features is not None
        x = torch.cat([self.tubes(inputs.pixel_values_videos), self.patches(inputs.input_features)], dim=2)
        features = seconds_features(torch.arange(x.shape[1], device=x.device), self.sizes.snippet_seconds, x.shape[-1])
        x = (x + features.to(x)[:, None]).flatten(1, 2)
        for layer in self.blocks:
            x, _ = layer(x)
        return self.norm(x)


def whole_clip_flops(sizes: Sizes, snippets: int) -> int:
    """Operations of forward and backward of one clip through `WholeClip`, as `training_flops` counts."""
    first, tokens = forward_flops(sizes, Work(snippets)), snippets * (sizes.tube_tokens + sizes.patch_tokens)
    blocks = layers_of(sizes) * block(tokens, tokens, sizes.av_width, sizes.av_mlp)
    return 2 * (first["tubes"] + first["patches"]) + 3 * blocks


def encoder_flops(sizes: Sizes, snippets: int) -> int:
    """The same of Mirasol's encoder, up to the latents."""
    parts = training_flops(sizes, Work(snippets))
    return sum(parts[name] for name in AUDIO_VIDEO)
