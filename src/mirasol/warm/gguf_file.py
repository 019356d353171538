"""GGUF files of language models: metadata, and dequantised weights under their names in transformers.

llama.cpp stores two things differently: queries and keys of `llama` files are reordered for its own rotary code, and
norms of `gemma` files carry the 1 that transformers adds. Both are undone here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip


def reader(path: Path) -> Any:
    """The `gguf` package's reader of a file."""
    try:
        from gguf import GGUFReader
    except ImportError:
        raise ValueError("reading GGUF files needs the package gguf: pip install gguf") from None
    try:
        return GGUFReader(path)
    except (ValueError, OSError, IndexError) as error:
        raise ValueError(f"{path} is no GGUF file, or a damaged one ({error})") from error


def metadata(path: Path) -> dict[str, Any]:
    """The values that are single numbers or strings (not the vocabulary)."""
    return scalars(reader(path))


def scalars(opened: Any) -> dict[str, Any]:
    return {name: field.contents() for name, field in opened.fields.items() if len(field.types) == 1}


def unpermute(weight: Tensor, heads: int) -> Tensor:
    """Rows of a query or key matrix from llama.cpp's order (pairs side by side) to transformers' (in halves)."""
    halves = weight.unflatten(0, (heads, weight.shape[0] // heads // 2, 2))
    return halves.transpose(1, 2).reshape(weight.shape)


def read_gguf(path: Path) -> dict[str, Tensor]:
    """All tensors in float32. Names that are not in the table stay as they are, for whoever reports what is left."""
    from gguf import dequantize

    opened = reader(path)
    values = scalars(opened)
    kind = values.get("general.architecture", "")
    heads = int(values.get(f"{kind}.attention.head_count", 0))
    kv_heads = int(values.get(f"{kind}.attention.head_count_kv", heads))
    weights = {}
    for tensor in opened.tensors:
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).astype("float32"))
        found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", tensor.name)
        name = tensor.name
        if found and found[2] in NAMES:
            name = f"{NAMES[found[2]]}.{found[3]}"
            name = name if found[1] is None else f"model.layers.{found[1]}.{name}"
            if kind == "llama" and found[2] in ("attn_q", "attn_k"):
                weight = unpermute(weight, heads if found[2] == "attn_q" else kv_heads)
            if kind == "gemma" and found[2].endswith("norm"):
                weight = weight - 1
        weights[name] = weight
    return weights
