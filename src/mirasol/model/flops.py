"""Floating point operations of a forward and of a training step, by component, from the sizes alone.

    forward_flops(sizes, Work(snippets=16)) -> {"tubes": ..., "vit": ..., "decoder_self": ..., ...}   of one clip

Counted are matrix products, a multiplication and an addition as two operations, as `torch.utils.flop_counter` counts
them and as a GPU's peak is stated; norms, nonlinearities, softmax and rotary angles are left out.
Attention counts as the model computes it: all queries against all keys of a call (of their `Band`, over snippets), also
where a mask hides them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from .embeddings import CHANNELS
from .encoder import SECONDS_WIDTH
from .layers import Band
from .mirasol import on_meta
from .priority import STAMP_WIDTH
from .sizes import Sizes

PRESENCE = 2  # presence tokens per snippet, one for each modality
COMPONENTS = (
    "tubes", "patches", "times", "vit", "combiner", "latents", "reconstruction",
    "decoder_self", "decoder_cross", "decoder_mlp", "output",
)  # fmt: skip
RECOMPUTED = COMPONENTS[3:]  # made of blocks, or the output layer
FIRST = COMPONENTS[:3]  # their input has no gradient: the backward makes that of the weights alone


@dataclass(frozen=True)
class Work:
    """What one clip brings in training: `snippets`, and `texts` of `text_tokens` ids each (prompt, answer and padding),
    of which `targets` per text are learned from."""

    snippets: int
    texts: int = 1
    text_tokens: int = 64
    targets: int = 16

    def __post_init__(self) -> None:
        if min(self.snippets, self.texts, self.text_tokens) < 1 or self.targets < 0:
            raise ValueError(f"expected at least one snippet, one text and one token, found {self}")


def linear(rows: int, inputs: int, outputs: int) -> int:
    """A linear layer on `rows` vectors."""
    return 2 * rows * inputs * outputs


def attention(
    queries: int,
    keys: int,
    width: int,
    *,
    inside: int | None = None,
    kv_width: int | None = None,
    context_width: int | None = None,
) -> int:
    """One `layers.Attention` of `queries` positions over `keys`, its four projections included. `inside`: all heads
    together, where that is not the width."""
    inside = inside or width
    projections = linear(2 * queries, width, inside) + linear(2 * keys, context_width or width, kv_width or inside)
    return projections + 2 * linear(queries, inside, keys)


def block(tokens: int, keys: int, width: int, hidden: int) -> int:
    """An audio-video `layers.Block` of which `tokens` positions ask and `keys` positions are looked at."""
    return attention(tokens, keys, width) + linear(2 * tokens, width, hidden)


def banded(snippets: int, per_snippet: int, reach: int) -> int:
    """Pairs of positions that `layers.Band` compares in one call from an empty state."""
    numbers = torch.arange(snippets).repeat_interleave(per_snippet)[None]
    band = Band(numbers, numbers, reach, per_snippet)
    return sum((some.stop - some.start) * (seen.stop - seen.start) for some, seen in band.spans())


def causal_block(snippets: int, per_snippet: int, reach: int, width: int, hidden: int) -> int:
    """An audio-video block over the positions of all snippets of a call, each looking back `reach` snippets."""
    tokens = snippets * per_snippet
    return (
        block(tokens, 0, width, hidden)
        + linear(2 * tokens, width, width)
        + 4 * width * banded(snippets, per_snippet, reach)
    )


def mlp(rows: int, inputs: int, hidden: int, outputs: int) -> int:
    """`layers.Mlp`."""
    return linear(rows, inputs, hidden) + linear(rows, hidden, outputs)


def summary(sizes: Sizes, tokens: int, count: int) -> int:
    """`tokens` to `count`, as the Token Turing Machine reads and writes."""
    width = sizes.av_width
    if sizes.ttm_select == "tokenlearner":
        return mlp(tokens, width, sizes.ttm_hidden, count) + linear(count, tokens, width)
    return attention(count, tokens, width) + weights(sizes, tokens, count)


def weights(sizes: Sizes, tokens: int, count: int) -> int:
    """The attention weights of such a summary by queries: made beside it for the memory's clock, without a gradient."""
    if sizes.ttm_select != "mha":
        return 0
    width = sizes.av_width
    return linear(count, width, width) + linear(tokens, width, width) + linear(count, width, tokens)


def machine(sizes: Sizes, inputs: int, layers: int) -> int:
    """One step of the Token Turing Machine over `inputs` tokens."""
    kept, memory = sizes.combined, sizes.memory
    process = layers * block(kept, kept, sizes.av_width, sizes.av_mlp)
    return summary(sizes, memory + inputs, kept) + process + summary(sizes, memory + inputs + kept, memory)


def machine_weights(sizes: Sizes, inputs: int) -> int:
    """The part of `machine` that has no backward."""
    kept, memory = sizes.combined, sizes.memory
    return weights(sizes, memory + inputs, kept) + weights(sizes, memory + inputs + kept, memory)


def combiner_inputs(sizes: Sizes) -> int:
    """Tokens of one snippet that the combiner reads, its own queries left out."""
    return sum(sizes.viewed_tokens) + PRESENCE


def cells_flops(sizes: Sizes) -> int:
    """What the combiner's queries begin with, of one snippet."""
    return linear(math.prod(sizes.combiner_cells), sizes.tube_tokens, sizes.av_width) if sizes.combiner_cells else 0


def combiner_flops(sizes: Sizes, snippets: int) -> int:
    """The combiner over all snippets of a clip, in one call from an empty state."""
    width, hidden, kept, layers = sizes.av_width, sizes.av_mlp, sizes.combined, sizes.combiner_layers
    inputs = combiner_inputs(sizes)
    if sizes.combiner == "ttm":
        return snippets * machine(sizes, inputs, layers)
    tokens = inputs + kept
    cells = cells_flops(sizes)
    if sizes.combiner == "causal":
        return snippets * cells + layers * causal_block(snippets, tokens, sizes.combiner_snippets, width, hidden)
    local = cells + (layers - 1) * block(tokens, tokens, width, hidden) + block(kept, tokens, width, hidden)
    if sizes.combiner == "local-ttm":
        local += machine(sizes, kept, 1)
    if sizes.combiner == "priority":  # candidates twice: for what is kept, and for the loss of effort
        local += 2 * (attention(1, kept, width) + mlp(1, width, sizes.ttm_hidden, 1))
    recall = mlp(sizes.memory, 2 * STAMP_WIDTH + 1, sizes.ttm_hidden, width) if sizes.combiner == "priority" else 0
    return snippets * local + recall


def reconstruction_flops(sizes: Sizes, snippets: int) -> int:
    """The heads that predict the next snippet."""
    width, kept = sizes.av_width, sizes.combined
    found = mlp(kept, width, sizes.av_mlp, width)
    pictures = sizes.small_grid[0] * sizes.small_grid[1] if sizes.reconstruct_video else 0
    sounds = sizes.patch_tokens if sizes.reconstruct_audio else 0
    if queries := pictures + sounds:
        each = block(queries, queries, width, sizes.av_mlp) + attention(queries, kept, width)
        found += sizes.reconstruct_layers * each
    found += linear(pictures, width, sizes.frames * CHANNELS * sizes.reconstruct_patch**2)
    return snippets * (found + linear(sounds, width, sizes.patch[0] * sizes.patch[1]))


def forward_flops(sizes: Sizes, work: Work) -> dict[str, int]:
    """Operations of the forward of one clip in training, by component (`COMPONENTS`); a batch of B costs B times as
    much. Text attends to the latents kept and to the memory; logits are made for the targets alone."""
    snippets, width = work.snippets, sizes.av_width
    tubes = sum(
        linear(t * h * w, CHANNELS * kernel[0] * kernel[1] * kernel[2], width)
        for (kernel, _, _), (t, h, w) in zip(sizes.tubes, map(sizes.tube_grid, range(len(sizes.tubes))), strict=True)
    )
    each = [tokens + sizes.vit_extra for tokens in (sizes.tube_tokens, sizes.patch_tokens)]
    vit = sum(block(n, n, width, sizes.av_mlp) for n in each)
    kept = min(snippets, sizes.context_snippets) * sizes.combined
    timed = kept + (0 if sizes.combiner == "priority" else sizes.memory)  # the priority memory has its own clock
    text, text_width = work.text_tokens, sizes.text_width
    inside, kv_width = sizes.text_heads * sizes.text_head, sizes.text_kv_heads * sizes.text_head
    layers, crossing = work.texts * sizes.text_layers, work.texts * sizes.crossing_layers
    attending = attention(text, kept + sizes.memory, text_width, inside=inside, context_width=width)
    return {
        "tubes": snippets * tubes,
        "patches": snippets * linear(sizes.patch_tokens, sizes.patch[0] * sizes.patch[1], width),
        "times": linear(snippets + timed, SECONDS_WIDTH, width),
        "vit": snippets * sizes.vit_layers * vit,
        "combiner": combiner_flops(sizes, snippets),
        "latents": sizes.latent_layers
        * causal_block(snippets, sizes.combined, sizes.latent_reach, width, sizes.av_mlp),
        "reconstruction": reconstruction_flops(sizes, snippets),
        "decoder_self": layers * attention(text, text, text_width, inside=inside, kv_width=kv_width),
        "decoder_cross": crossing * attending,
        "decoder_mlp": layers * linear(3 * text, text_width, sizes.text_mlp),
        "output": work.texts * linear(work.targets, text_width, sizes.vocabulary),
    }


def position_flops(sizes: Sizes) -> int:
    """Of the learned positions of frames, which a call makes once for all of its clips: so little that nothing else
    here counts them. A training step: twice as many."""
    return linear(sizes.tube_tokens, sizes.frames, sizes.av_width) if sizes.picture_grid else 0


def training_flops(sizes: Sizes, work: Work, *, recompute: bool = False) -> dict[str, int]:
    """Operations of a training step of one clip, by component: forward and backward.

    The backward of a matrix product is two more, so a step costs 3 forwards; 2 for what reads the signals, whose own
    gradient nobody needs. This is what model FLOPs utilisation counts. With `recompute` the forward of blocks and of
    the output layer runs twice, 4: an upper bound, as PyTorch leaves out a block's last product the second time.
    """
    forward = forward_flops(sizes, work)
    found = {name: (2 if name in FIRST else 3) * forward[name] for name in COMPONENTS}
    if sizes.combiner in ("ttm", "local-ttm"):
        inputs = combiner_inputs(sizes) if sizes.combiner == "ttm" else sizes.combined
        found["combiner"] -= 2 * work.snippets * machine_weights(sizes, inputs)
    found["combiner"] -= work.snippets * cells_flops(sizes)  # which tubes lie in a cell is not learned
    if recompute:
        found.update({name: found[name] + forward[name] for name in RECOMPUTED})
    return found


def optimizer_flops(sizes: Sizes, rounds: int = 5) -> int:
    """Operations of one step of the optimizer, whatever the batch: Muon pulls the singular values of every linear
    layer's matrix together in so many rounds of three products. AdamW has none."""
    total = 0
    for name, module in on_meta(sizes).named_modules():
        if isinstance(module, nn.Linear) and name != "lm_head":
            short, long = sorted(module.weight.shape)
            total += rounds * (2 * linear(short, long, short) + linear(short, short, short))
    return total
