"""Memory of training on paper: parameters, gradients, optimizer state and activations, in bytes, from the sizes alone.

Parameters, gradients and the optimizers' state are float32: 4 bytes of each for every parameter; of state 4 for the
matrices of linear layers (Muon: a momentum) and 8 for everything else (AdamW: two). Activations are what a forward
keeps for its backward; counted is what grows with tokens or with their square (masks), not the statistics of norms.
Attention is the fused one, which keeps its inputs and its output and no weights.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .flops import Work, banded, combiner_inputs
from .mirasol import CHUNK, on_meta
from .sizes import Sizes

FLOAT = 4  # bytes


def held(sizes: Sizes) -> dict[str, int]:
    """Bytes of parameters, gradients and optimizers' state."""
    model = on_meta(sizes)
    total = sum(parameter.numel() for parameter in model.parameters())
    layers = (m for name, m in model.named_modules() if isinstance(m, nn.Linear) and name != "lm_head")
    matrices = sum(layer.weight.numel() for layer in layers)
    optimizer = FLOAT * matrices + 2 * FLOAT * (total - matrices)
    return {"parameters": FLOAT * total, "gradients": FLOAT * total, "optimizer": optimizer}


def attention_values(
    queries: int, keys: int, width: int, kv_width: int | None = None, inside: int | None = None
) -> int:
    """Its norm's input and output, queries, keys, values and what comes of them. `inside`: all heads together."""
    inside = inside or width
    return 2 * queries * (width + inside) + 2 * keys * (kv_width or inside)


def mlp_values(tokens: int, width: int, hidden: int, *, gated: bool = False) -> int:
    """The norm's input and output, and the hidden values before and after their nonlinearity (and the gate)."""
    return tokens * (2 * width + (4 if gated else 2) * hidden)


def vit_values(sizes: Sizes, tokens: int) -> int:
    """One block of the ViT: as ours, and what a layer scale multiplies; quick GELU keeps its sigmoid."""
    more = 2 * sizes.av_width * sizes.vit_layer_scale + sizes.av_mlp * (sizes.vit_activation == "quick_gelu")
    return block_values(tokens, sizes.av_width, sizes.av_mlp) + tokens * more


def decoder_values(sizes: Sizes, work: Work, context: int) -> tuple[int, int]:
    """A block of the text decoder over the texts of a clip, and what cross-attention adds to those that have it.

    An RMSNorm keeps its values once more, before they are scaled, and self-attention its result in another order.
    """
    text, width, inside = work.texts * work.text_tokens, sizes.text_width, sizes.text_heads * sizes.text_head
    kept = sizes.text_kv_heads * sizes.text_head
    own = attention_values(text, text, width, kept, inside) + 2 * text * (inside + kept) * sizes.text_qk_norm
    own += mlp_values(text, width, sizes.text_mlp, gated=True) + text * (2 * width + inside + work.text_tokens)
    cross = attention_values(text, work.texts * context, width, inside=inside) + text * width * (1 + sizes.cross_gate)
    return own, cross


def block_values(tokens: int, width: int, hidden: int) -> int:
    """An audio-video block over `tokens` that look at each other."""
    return attention_values(tokens, tokens, width) + mlp_values(tokens, width, hidden)


def summary_values(sizes: Sizes, tokens: int, count: int) -> int:
    """`tokens` to `count`, as the Token Turing Machine reads and writes."""
    width = sizes.av_width
    if sizes.ttm_select == "mha":
        return tokens * width + attention_values(count, tokens, width)
    return 2 * tokens * width + 2 * tokens * sizes.ttm_hidden + tokens * count + count * width


def machine_parts(sizes: Sizes, inputs: int, layers: int) -> tuple[int, list[int]]:
    """Values of a step of the machine beside its blocks, and of each block."""
    kept, memory = sizes.combined, sizes.memory
    beside = summary_values(sizes, memory + inputs, kept) + summary_values(sizes, memory + inputs + kept, memory)
    return beside, [block_values(kept, sizes.av_width, sizes.av_mlp)] * layers


def combiner_parts(sizes: Sizes, snippets: int) -> tuple[int, list[int], int]:
    """Values beside the blocks, values of each block, and the tokens that each block of the snippets is given."""
    width, hidden, kept, layers = sizes.av_width, sizes.av_mlp, sizes.combined, sizes.combiner_layers
    tokens = combiner_inputs(sizes) + kept
    if sizes.combiner == "ttm":
        beside, blocks = machine_parts(sizes, combiner_inputs(sizes), layers)
        return snippets * beside, [snippets * values for values in blocks], snippets * kept
    whole = snippets * tokens
    if sizes.combiner == "causal":
        masks = banded(snippets, tokens, sizes.combiner_snippets)
        return whole * width, [block_values(whole, width, hidden) + masks] * layers, whole
    last = attention_values(kept, tokens, width) + 2 * (tokens - kept) * width + mlp_values(kept, width, hidden)
    blocks = [block_values(tokens, width, hidden)] * (layers - 1) + [last]
    beside = kept * width
    if sizes.combiner == "local-ttm":
        more, machine = machine_parts(sizes, kept, 1)
        beside, blocks = beside + more, blocks + machine
    return snippets * beside, [snippets * values for values in blocks], whole


def activation_bytes(
    sizes: Sizes, work: Work, *, batch: int = 1, recompute: bool = False, value_bytes: int = FLOAT
) -> dict[str, int]:
    """Bytes kept for the backward of a batch of clips, by component. With `recompute` a block keeps its input alone;
    what the largest one makes while it runs again is `again`. `value_bytes`: 2 where activations are bfloat16."""
    width, hidden, snippets = sizes.av_width, sizes.av_mlp, work.snippets
    media = sizes.tube_tokens + sizes.patch_tokens
    pixels = sum(
        3 * kernel[0] * kernel[1] * kernel[2] * t * h * w
        for (kernel, _, _), (t, h, w) in zip(sizes.tubes, map(sizes.tube_grid, range(len(sizes.tubes))), strict=True)
    )
    masks = banded(snippets, sizes.combined, sizes.latent_reach)
    seen = snippets * (media + 2 * sizes.vit_extra)
    normed = sizes.tube_tokens * (not sizes.picture_grid) + sizes.patch_tokens * (not sizes.sound_grid)
    heard = sizes.patch_tokens * sizes.patch[0] * sizes.patch[1]
    latents, context = snippets * sizes.combined, min(snippets, sizes.context_snippets) * sizes.combined + sizes.memory
    beside_combiner, combiner, fused = combiner_parts(sizes, snippets)
    queries = (sizes.small_grid[0] * sizes.small_grid[1] if sizes.reconstruct_video else 0) + (
        sizes.patch_tokens if sizes.reconstruct_audio else 0
    )
    predicted = snippets * queries
    predicting = block_values(predicted, width, hidden) + attention_values(predicted, latents, width)
    text, text_width = work.texts * work.text_tokens, sizes.text_width
    own, cross = decoder_values(sizes, work, context)
    decoding = [own + cross * sizes.crosses(layer) for layer in range(sizes.text_layers)]
    targets = work.texts * work.targets
    # component -> (values beside the blocks, values of each block, values of each block's input)
    parts = {
        "signals": (snippets * (pixels + normed * width + heard), [], 0),
        "vit": (seen * width * (1 + sizes.vit_pre_norm), [vit_values(sizes, seen)] * sizes.vit_layers, seen * width),
        "combiner": (beside_combiner, combiner, fused * width),
        "latents": (
            latents * width, [block_values(latents, width, hidden) + masks] * sizes.latent_layers, latents * width,
        ),
        "reconstruction": (
            predicted * width + latents * (width + 2 * hidden) + reconstructed(sizes, snippets),
            [predicting] * (sizes.reconstruct_layers if queries else 0), predicted * width,
        ),
        "decoder": (
            2 * text * text_width + work.texts * context * width, decoding, text * text_width,
        ),
    }  # fmt: skip
    found = {
        name: beside + (len(blocks) * given if recompute else sum(blocks))
        for name, (beside, blocks, given) in parts.items()
    }
    found["output"] = targets * text_width + (0 if batch * targets > CHUNK else 2 * targets * sizes.vocabulary)
    if recompute:
        found["again"] = max(max(blocks, default=0) for _, blocks, _ in parts.values())
    return {name: batch * value_bytes * values for name, values in found.items()}


def reconstructed(sizes: Sizes, snippets: int) -> int:
    """Values of the differences between what was predicted and what came."""
    small = sizes.frames * 3 * sizes.height * sizes.width // sizes.reconstruct_scale**2
    pictures = small if sizes.reconstruct_video else 0
    return snippets * (pictures + (sizes.mels * sizes.columns if sizes.reconstruct_audio else 0))


class _Kept:
    """A tensor that some backward waits for; gone when nobody does any more."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def kept_bytes(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Measured: bytes that a forward keeps for its backward, each storage once, parameters left out."""
    kept: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def keep(tensor: Tensor) -> _Kept:
        kept.add(found := _Kept(tensor.detach()))  # with its history, a node's own output would hold on to the node
        return found

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda found: found.tensor):
        result = forward()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found = storage_bytes((one.tensor for one in kept), own)
    del result  # until here it held on to all of them
    return found


def storage_bytes(tensors: Iterable[Tensor], but: set[int] = frozenset()) -> int:  # type: ignore[assignment]
    """Bytes of these tensors, each storage once, those at the addresses `but` left out."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(size for address, size in storages.items() if address not in but)
