"""Language models of the Llama family as Mirasol's text decoder: `load_text`.

Llama, SmolLM2, Mistral, Qwen2, Qwen2.5, Qwen3 and Gemma (the first) fit exactly; the cross-attention that Mirasol adds
starts behind gates at zero. What does not fit is refused with one line that names what differs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from .origin import Origin, Part, find
from .tokens import load_tokenizer

FAMILIES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma": "Gemma"}
DIFFERS = {
    "gemma2": "soft caps on logits and scores, norms after each half of a block, sliding windows",
    "gemma3": "norms after each half of a block, two rotary bases, sliding windows",
    "gemma3_text": "norms after each half of a block, two rotary bases, sliding windows",
    "smollm3": "blocks without rotary positions",
    "phi3": "queries, keys and values in one matrix",
    "gpt2": "learned positions and LayerNorm",
    "gpt_neox": "LayerNorm and attention beside the MLP",
    "mixtral": "a mixture of experts",
    "qwen2_moe": "a mixture of experts",
    "qwen3_moe": "a mixture of experts",
}
ACTIVATIONS = {
    "silu": "silu", "swish": "silu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh", "quick_gelu": "quick_gelu",
}  # fmt: skip
POSITIONS = 2_048  # prompt and answer at most, unless told otherwise or the model takes fewer
INSIDE = {
    "self_attn.": "attention.", "mlp.": "mlp.", "input_layernorm.": "attention_norm.",
    "post_attention_layernorm.": "mlp_norm.",
}  # fmt: skip
OUTSIDE = {
    "model.embed_tokens.weight": "decoder.embed.weight", "model.norm.weight": "decoder.norm.weight",
    "lm_head.weight": "lm_head.weight",
}  # fmt: skip


def load_text(model: str | Path, *, positions: int | None = None, licence: str = "") -> Part:
    """A folder, GGUF file or Hub name -> sizes, weights by our names, and the tokenizer (`tokenizer`).

    `positions`: how many tokens prompt and answer may have together; by default 2048, or fewer where the model was
    trained on fewer or looks back on fewer.
    """
    origin = find(model, licence)
    config = origin.config()
    tensors = origin.tensors()
    changes, notes = text_sizes(origin, config, set(tensors), positions)
    weights, left = text_weights(origin, tensors, changes, plus_one=config.model_type == "gemma")
    changes["vocabulary"] = len(weights["decoder.embed.weight"])
    tokenizer, more = load_tokenizer(origin, changes["vocabulary"])
    if origin.gguf:
        notes = (*notes, "GGUF: weights were dequantised to float32")
    source = {
        "part": "text", "name": origin.title, "family": FAMILIES[config.model_type], "licence": origin.licence,
    }  # fmt: skip
    return Part(changes, weights, left, (*notes, *more), source, tokenizer=tokenizer)


def refuse(origin: Origin, what: str) -> ValueError:
    return ValueError(f"{origin.name} does not fit Mirasol's text decoder: {what}")


def text_sizes(
    origin: Origin, config: Any, names: set[str], positions: int | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields of `Sizes` from a configuration of transformers, and notes; `ValueError` where something differs."""
    kind = config.model_type
    if kind not in FAMILIES:
        differs = DIFFERS.get(kind, f"{kind!r} is not one of {', '.join(FAMILIES)}")
        raise refuse(origin, differs if kind not in DIFFERS else f"{kind} has {differs}")
    if config.hidden_act not in ACTIVATIONS:
        raise refuse(origin, f"its MLP uses {config.hidden_act!r}")
    if getattr(config, "use_bidirectional_attention", None):
        raise refuse(origin, "its attention looks ahead")
    rope = dict(getattr(config, "rope_parameters", None) or {})
    scaling: tuple[float, ...] = ()
    if (rope_kind := rope.get("rope_type", "default")) == "llama3":
        keys = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        scaling = tuple(float(rope[key]) for key in keys)
    elif rope_kind != "default":
        raise refuse(origin, f"its rotary positions are scaled by {rope_kind!r}; expected none, or that of Llama 3")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise refuse(origin, "its rotary positions turn only a part of each head")
    longest, notes = allowed_positions(origin, config, positions)
    heads, width = config.num_attention_heads, config.hidden_size
    head_width = getattr(config, "head_dim", None) or width // heads
    first = "model.layers.0.self_attn."
    return {
        "text_width": width,
        "text_layers": config.num_hidden_layers,
        "text_heads": heads,
        "text_kv_heads": config.num_key_value_heads,
        "text_mlp": config.intermediate_size,
        "text_positions": longest,
        "tied": bool(config.tie_word_embeddings),
        "text_head_width": head_width,
        "text_rope_base": float(rope.get("rope_theta", 10_000.0)),
        "text_rope_scaling": scaling,
        "text_norm_eps": config.rms_norm_eps,
        "text_qkv_bias": f"{first}q_proj.bias" in names,
        "text_qk_norm": f"{first}q_norm.weight" in names,
        "text_activation": ACTIVATIONS[getattr(config, "hidden_activation", None) or config.hidden_act],
        "text_embed_scale": width**0.5 if kind == "gemma" else 1.0,
    }, notes


def allowed_positions(origin: Origin, config: Any, wanted: int | None) -> tuple[int, tuple[str, ...]]:
    """How many positions the decoder takes: where a window of attention would matter, fewer, or a refusal."""
    most = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is not None and (kinds is None or "sliding_attention" in kinds) and window < most:
        if wanted is not None and wanted > window:
            raise refuse(
                origin,
                f"it looks back on {window} tokens only (sliding window), {wanted} were asked for; ask for fewer",
            )
        most = window
    if wanted is not None and wanted > most:
        raise refuse(origin, f"it was made for {most} positions, {wanted} were asked for")
    longest = wanted or min(most, POSITIONS)
    return longest, (f"text holds {longest} tokens at most (the model was made for {most})",) if longest < most else ()


def text_weights(
    origin: Origin, tensors: dict[str, Tensor], changes: dict[str, Any], *, plus_one: bool
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights by our names, in float32, and the names left over. `plus_one`: norms are stored less 1 (Gemma)."""
    weights, left = {}, []
    for name, value in tensors.items():
        ours = our_name(name)
        if ours is None:
            left.append(name)
            continue
        weight = value.float()
        weights[ours] = weight + 1 if plus_one and ours.endswith("norm.weight") else weight
    if changes["tied"] and weights.pop("lm_head.weight", None) is not None:
        left.append("lm_head.weight")  # the embedding does its work
    inside = [name for name in left if name.startswith("model.layers.") and "rotary_emb" not in name]
    if inside:
        raise refuse(origin, f"its blocks hold {len(inside)} more parameters, such as {inside[0]}")
    if "decoder.embed.weight" not in weights or not (changes["tied"] or "lm_head.weight" in weights):
        raise ValueError(f"{origin.name} is incomplete: its embedding or its output layer (lm_head) is missing")
    return weights, tuple(left)


def our_name(name: str) -> str | None:
    """The name here of a parameter of transformers; None where it has no place."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name)
    if found is None:
        return None
    layer, rest = found.groups()
    for theirs, ours in INSIDE.items():
        if rest.startswith(theirs):
            known = re.fullmatch(r"[qkv]_proj\.(weight|bias)|(o|gate|up|down)_proj\.weight|([qk]_norm\.)?weight",
                                 rest.removeprefix(theirs))  # fmt: skip
            return f"decoder.blocks.{layer}.{ours}{rest.removeprefix(theirs)}" if known else None
    return None
