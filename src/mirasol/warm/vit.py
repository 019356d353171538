"""Vision and audio Transformers as Mirasol's ViT: `load_vit`.

ViT, DeiT, DINOv2 (with and without registers), the vision towers of CLIP and SigLIP fill the ViT and the tubes, the
audio spectrogram transformer (AST) fills the ViT and the patches. What does not fit is refused with one line.

The image case is kept: a still through a tube of one frame and the model's own patch size gives exactly its patch
features. The difference between our scaling of pixels and the model's is folded into the linear layer.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirasol.model.embeddings import CHANNELS
from mirasol.model.positions import sampled
from mirasol.model.signals import PIXEL_MEAN, PIXEL_STD
from mirasol.model.sizes import Sizes, TubeShape

from .origin import Origin, Part, find
from .text import ACTIVATIONS

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# model_type -> name, mean and deviation of pixels where the folder has no preprocessor_config.json
FAMILIES: dict[str, tuple[str, Any]] = {
    "vit": ("ViT", HALF), "deit": ("DeiT", IMAGENET), "dinov2": ("DINOv2", IMAGENET),
    "dinov2_with_registers": ("DINOv2 with registers", IMAGENET), "siglip_vision_model": ("SigLIP", HALF),
    "clip_vision_model": ("CLIP", CLIP), "audio-spectrogram-transformer": ("AST", None),
}  # fmt: skip
DIFFERS = {
    "dinov3_vit": "positions that turn queries and keys (rotary), for pictures",
    "siglip2": "patches of many sizes", "siglip2_vision_model": "patches of many sizes",
    "swin": "windows and merged patches", "beit": "relative positions",
}  # fmt: skip
INSIDE = {
    r"(norm1|layer_norm1|layernorm_before)": "attention_norm",
    r"(norm2|layer_norm2|layernorm_after)": "mlp_norm",
    r"attention\.attention\.query|self_attn\.q_proj": "attention.q_proj",
    r"attention\.attention\.key|self_attn\.k_proj": "attention.k_proj",
    r"attention\.attention\.value|self_attn\.v_proj": "attention.v_proj",
    r"attention\.output\.dense|self_attn\.out_proj": "attention.o_proj",
    r"mlp\.fc1|intermediate\.dense": "mlp.up_proj",
    r"mlp\.fc2|output\.dense": "mlp.down_proj",
}
INFLATIONS = ("average", "centre")


def load_vit(
    model: str | Path, sizes: Sizes, *, tubes: tuple[TubeShape, ...] | None = None, inflate: str = "average",
    licence: str = "", hear_mels: int = 0,
) -> Part:  # fmt: skip
    """A folder or Hub name -> sizes and weights by our names.

    `sizes`: the clock and the signals that it is fitted to. `tubes`: the shapes; by default one still of each snippet
    and tubes of all its frames, both with the model's own patches. `hear_mels`: a spectrogram of so many mel bins is
    read as a grey picture by the same patches, too (0: the sound side is new).
    """
    if inflate not in INFLATIONS:
        raise ValueError(f"inflate must be one of {', '.join(INFLATIONS)}; found {inflate!r}")
    origin = find(model, licence)
    config = origin.config()
    config = getattr(config, "vision_config", config)  # of a model of pictures and words
    kind = config.model_type
    if kind not in FAMILIES:
        known = ", ".join(sorted({name for name, _ in FAMILIES.values()}))
        what = f"{kind} has {DIFFERS[kind]}" if kind in DIFFERS else f"{kind!r} is not one of {known}"
        raise ValueError(f"{origin.name} does not fit Mirasol's ViT: {what}")
    if config.hidden_act not in ACTIVATIONS:
        raise ValueError(f"{origin.name} does not fit Mirasol's ViT: its MLP uses {config.hidden_act!r}")
    name, pixels = FAMILIES[kind]
    tensors, left = stripped(origin, origin.tensors())
    weights, unused = block_weights(origin, tensors, config)
    changes: dict[str, Any] = {
        "av_width": config.hidden_size,
        "av_heads": config.num_attention_heads,
        "av_mlp": len(weights["encoder.vit.blocks.0.mlp.up_proj.weight"]),
        "vit_layers": config.num_hidden_layers,
        "vit_eps": config.layer_norm_eps,
        "vit_activation": ACTIVATIONS[config.hidden_act],
        "vit_layer_scale": "encoder.vit.blocks.0.attention_scale" in weights,
        "vit_pre_norm": "encoder.vit.pre_norm.weight" in weights,
    }
    extra, table = positions(tensors)
    if len(extra):
        weights["encoder.vit.extra_tokens"] = extra
        changes["vit_extra"] = len(extra)
    if pixels is None:
        if hear_mels:
            raise ValueError(f"{origin.name} hears already: leave out hear, which is for a ViT made for pictures")
        side = sound_side(origin, config, tensors, table)
    else:
        kernel, bias = repainted(*patch_layer(tensors), *pixel_scaling(origin, pixels))
        tubes = tubes or still_and_tubes(sizes.frames, kernel.shape[-1])
        side = picture_side(origin, kernel, bias, table, sizes, tubes, inflate)
        if hear_mels:
            side = with_spectrogram(side, kernel, bias, table, hear_mels, sizes.columns)
    source = {"part": "vit", "name": origin.title, "family": name, "licence": origin.licence}
    return Part(
        {**changes, **side.changes}, {**weights, **side.weights}, (*left, *unused), side.notes, source, zeros=side.zeros
    )


def stripped(origin: Origin, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of the encoder under names without what stands before `embeddings.`, and the names of all others."""
    ends = ("embeddings.patch_embeddings.projection.weight", "embeddings.patch_embedding.weight")
    starts = [name.removesuffix(end) for name in tensors for end in ends if name.endswith(end)]
    if len(starts) != 1:
        raise ValueError(f"expected one layer that embeds patches in {origin.name}, found {len(starts)}")
    own = {name.removeprefix(starts[0]): value.float() for name, value in tensors.items() if name.startswith(starts[0])}
    return own, tuple(name for name in tensors if not name.startswith(starts[0]))


def block_weights(origin: Origin, tensors: dict[str, Tensor], config: Any) -> tuple[dict[str, Tensor], list[str]]:
    """Blocks and norms by our names, and the names left over. A model without biases on queries gets zeros."""
    weights, left = {}, []
    for name, value in tensors.items():
        if name.startswith("embeddings."):
            if not re.fullmatch(r"embeddings\.((cls|distillation|register)_tokens?|class_embedding|position_embeddings"
                                r"|position_embedding\.weight|patch_embeddings?\..+)", name):  # fmt: skip
                left.append(name)
        elif (ours := our_name(name)) is not None:
            weights[ours] = value
        elif re.match(r"encoder\.layers?\.", name):
            raise ValueError(f"{origin.name} does not fit Mirasol's ViT: its blocks hold {name}")
        else:
            left.append(name)
    for layer in range(config.num_hidden_layers):
        for part in "qkv":
            name = f"encoder.vit.blocks.{layer}.attention.{part}_proj"
            if f"{name}.weight" in weights:
                weights.setdefault(f"{name}.bias", torch.zeros(len(weights[f"{name}.weight"])))
    if "encoder.vit.norm.weight" not in weights or "encoder.vit.blocks.0.mlp.up_proj.weight" not in weights:
        raise ValueError(f"{origin.name} is incomplete: blocks or the last norm are missing")
    return weights, left


def our_name(name: str) -> str | None:
    """The name here of a parameter of transformers outside the embeddings; None where it has no place."""
    if (found := re.fullmatch(r"(layernorm|post_layernorm|pre_layrnorm)\.(weight|bias)", name)) is not None:
        return f"encoder.vit.{'pre_norm' if found[1] == 'pre_layrnorm' else 'norm'}.{found[2]}"
    if (found := re.fullmatch(r"encoder\.layers?\.(\d+)\.(.+)", name)) is None:
        return None
    start, rest = f"encoder.vit.blocks.{found[1]}.", found[2]
    if (scale := re.fullmatch(r"layer_scale([12])\.lambda1", rest)) is not None:
        return start + {"1": "attention_scale", "2": "mlp_scale"}[scale[1]]
    for theirs, ours in INSIDE.items():
        if (inside := re.fullmatch(rf"(?:{theirs})\.(weight|bias)", rest)) is not None:
            return f"{start}{ours}.{inside.group(inside.lastindex or 0)}"
    return None


def positions(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Learned tokens (E, D) with their positions in them, and the positions of the patches (N, D)."""
    table = tensors.get("embeddings.position_embeddings", tensors.get("embeddings.position_embedding.weight"))
    if table is None:
        raise ValueError("expected learned positions, found none")
    table = table.reshape(-1, table.shape[-1])
    names = ("embeddings.cls_token", "embeddings.class_embedding", "embeddings.distillation_token")
    first = [tensors[name].reshape(1, -1) for name in names if name in tensors]
    extra = [token + table[at] for at, token in enumerate(first)]
    if "embeddings.register_tokens" in tensors:  # these have no positions
        extra.append(tensors["embeddings.register_tokens"][0])
    return torch.cat([*extra, table[:0]]), table[len(first) :]


def patch_layer(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Kernel (D, C, h, w) and bias (D) of the layer that embeds patches."""
    names = ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding")
    start = next(name for name in names if f"{name}.weight" in tensors)
    kernel = tensors[f"{start}.weight"]
    return kernel, tensors.get(f"{start}.bias", torch.zeros(len(kernel)))


def picture_side(
    origin: Origin,
    kernel: Tensor,
    bias: Tensor,
    table: Tensor,
    sizes: Sizes,
    tubes: tuple[TubeShape, ...],
    inflate: str,
) -> Part:
    """Tubes: kernels inflated from the patches, positions, and what starts at zero so that stills stay as they were."""
    side = kernel.shape[-1]
    rows = columns = round(len(table) ** 0.5)
    if rows * columns != len(table) or kernel.shape[2] != side or kernel.shape[1] != CHANNELS:
        raise ValueError(f"{origin.name} does not fit Mirasol's ViT: it was not made for square RGB pictures")
    weights = {"encoder.tubes.picture_positions": table}
    for at, (shape, _, _) in enumerate(tubes):
        inflated = inflate_kernel(kernel, shape, inflate)
        weights[f"encoder.tubes.shapes.{at}.weight"] = inflated.flatten(1)
        weights[f"encoder.tubes.shapes.{at}.bias"] = bias
    notes = [f"tubes {[list(shape) for shape, _, _ in tubes]} inflated from {side}x{side} patches by {inflate}"]
    if (sizes.height, sizes.width) != (rows * side, columns * side):
        notes.append(f"positions of {rows * side}x{columns * side} pixels are read for {sizes.height}x{sizes.width}")
    notes.append("positions of frames and the modality token of pictures start at zero; the sound side is new")
    zeros = (("encoder.tubes.frame_positions", None), ("encoder.vit.modality_tokens", 0))
    return Part({"tubes": tubes, "picture_grid": (rows, columns)}, weights, (), tuple(notes), {}, zeros=zeros)


def with_spectrogram(side: Part, kernel: Tensor, bias: Tensor, table: Tensor, mels: int, columns: int) -> Part:
    """The spectrogram of a snippet as one more picture: grey, so that the three colours' kernels add up, and with the
    positions of a picture of its own size. Log-mel values and pixels have the same scale here, about -2 to 2."""
    patch = kernel.shape[-1]
    rows, across = mels // patch, columns // patch
    if not rows or not across:
        raise ValueError(f"a spectrogram of {mels} mel bins and {columns} columns holds no patch of {patch}x{patch}")
    places = torch.cartesian_prod((torch.arange(rows) + 0.5) / rows, (torch.arange(across) + 0.5) / across)
    weights = {
        "encoder.patches.linear.weight": kernel.sum(dim=1).flatten(1),
        "encoder.patches.linear.bias": bias,
        "encoder.patches.sound_positions": sampled(table, side.changes["picture_grid"], places),
    }
    changes = {"mels": mels, "patch": (patch, patch), "patch_stride": (patch, patch), "sound_grid": (rows, across)}
    return replace(
        side,
        changes={**side.changes, **changes},
        weights={**side.weights, **weights},
        notes=(
            *side.notes[:-1],
            "a spectrogram is read as a grey picture; positions of frames, modality tokens: zero",
        ),
        zeros=(*side.zeros, ("encoder.vit.modality_tokens", 1)),
    )


def sound_side(origin: Origin, config: Any, tensors: dict[str, Tensor], table: Tensor) -> Part:
    """Patches of an audio spectrogram transformer: kernel, strides and positions as they are."""
    kernel, bias = patch_layer(tensors)
    stride = (config.frequency_stride, config.time_stride)
    rows = (config.num_mel_bins - config.patch_size) // stride[0] + 1
    columns = len(table) // rows
    if rows * columns != len(table):
        raise ValueError(f"{origin.name} is incomplete: {len(table)} positions are no {rows} rows")
    weights = {
        "encoder.patches.linear.weight": kernel.flatten(1),
        "encoder.patches.linear.bias": bias,
        "encoder.patches.sound_positions": table,
    }
    grid, patch = (rows, columns), tuple(kernel.shape[2:])
    changes = {"mels": config.num_mel_bins, "patch": patch, "patch_stride": stride, "sound_grid": grid}
    notes = (
        "the spectrogram is Mirasol's own (Slaney mels, fixed level), not the one this model was trained on",
        "the modality token of sound starts at zero; the picture side is new",
    )
    return Part(changes, weights, (), notes, {}, zeros=(("encoder.vit.modality_tokens", 1),))


def still_and_tubes(frames: int, side: int) -> tuple[TubeShape, ...]:
    """The image case, one frame of the snippet in patches, and tubes of all frames at every second patch."""
    still: TubeShape = ((1, side, side), (frames, side, side), (frames // 2, 0, 0))
    tube: TubeShape = ((frames, side, side), (frames, 2 * side, 2 * side), (0, 0, 0))
    return (still, tube) if frames > 1 else (still,)


def pixel_scaling(origin: Origin, default: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3) that the model was trained with, of pixels from 0 to 1."""
    path = origin.folder / "preprocessor_config.json"
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if values.get("do_normalize") is False:
        return torch.zeros(3), torch.ones(3)
    found = (values.get("image_mean", default[0]), values.get("image_std", default[1]))
    mean, deviation = (torch.tensor(value, dtype=torch.float32).expand(3) for value in found)
    return mean, deviation


def repainted(kernel: Tensor, bias: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """The same layer for our scaling of pixels: theirs is (ours * our deviation + our mean - mean) / deviation."""
    ours = kernel.double()
    shift = (PIXEL_MEAN - mean.double()) / deviation.double()
    bias = bias.double() + (ours.sum(dim=(2, 3)) * shift).sum(dim=1)
    return (ours * (PIXEL_STD / deviation.double())[:, None, None]).float(), bias.float()


def inflate_kernel(kernel: Tensor, shape: tuple[int, int, int], how: str = "average") -> Tensor:
    """A 2D kernel (D, C, h, w) as one of a tube (D, C, t, h', w').

    Over time, "average": each frame gets the t-th part, so that a still gives what its picture gives; "centre": the
    middle frame gets all of it, the others nothing. A tube of another size in space gives what the kernel gives of the
    tube's picture scaled to the size of the patch.
    """
    frames, height, width = shape
    down, across = area_scaling(height, kernel.shape[2]), area_scaling(width, kernel.shape[3])
    kernel = torch.einsum("dchw,hi,wj->dcij", kernel.double(), down, across).to(kernel.dtype)
    if how == "average":
        return (kernel / frames).unsqueeze(2).repeat(1, 1, frames, 1, 1)
    inflated = kernel.new_zeros(*kernel.shape[:2], frames, height, width)
    inflated[:, :, frames // 2] = kernel
    return inflated


def area_scaling(length: int, to: int) -> Tensor:
    """(to, length) float64: means of `length` pixels over equal spans, `to` of them; each row sums to one."""
    edges, spans = torch.arange(length + 1).double() / length, torch.arange(to + 1).double() / to
    overlap = torch.minimum(edges[1:], spans[1:, None]) - torch.maximum(edges[:-1], spans[:-1, None])
    return overlap.clamp(min=0) * to
