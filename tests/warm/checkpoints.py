"""Small random checkpoints of other models, made by transformers: everything random, no two axes of equal length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mirasol.model.sizes import Sizes

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY, POSITIONS = 311, 90
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": POSITIONS,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 30,
}  # fmt: skip
# name -> class of transformers, what its configuration has beside SHAPE
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("Llama", {"tie_word_embeddings": False, "rms_norm_eps": 1e-5}),
    "Llama 3": ("Llama", {"tie_word_embeddings": False, "rope_parameters": LLAMA3}),
    "SmolLM2": ("Llama", {"tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1e5, "rope_type": "default"}}),
    "Mistral": ("Mistral", {"sliding_window": 70, "head_dim": 10}),
    "Qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "Qwen3": ("Qwen3", {"head_dim": 10}),
    "Gemma": ("Gemma", {"head_dim": 10}),
}
# A small Mirasol whose text side comes from one of these.
SIZES = Sizes(
    frames=4, frame_rate=4.0, height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner="priority", memory=5, combiner_layers=1, combined=3,
    latent_layers=1, context_snippets=4, clock="now", reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
)  # fmt: skip


def shake(model: Any) -> Any:
    """Biases and norms that start at nought or one become random, too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def save_tokenizer(folder: Path, *, chat: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE; with `chat` it has a chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["what do you hear? a dog and a bell, assistant user"] * 3, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[2],
        unk_token=SPECIAL[0],
    )  # fmt: skip
    if chat:
        wrapped.chat_template = CHATML
    wrapped.save_pretrained(folder)
    return wrapped


def save_text(name: str, folder: Path, *, chat: bool = True, **changes: Any) -> Any:
    """A language model of the family in `folder`, with its tokenizer."""
    kind, more = TEXTS[name]
    config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **more, **changes})
    model = shake(getattr(transformers, f"{kind}ForCausalLM")(config))
    if config.tie_word_embeddings:
        model.tie_weights()
    model.save_pretrained(folder)
    save_tokenizer(folder, chat=chat)
    return model


# name -> class of transformers, its configuration; the pictures are 6 x 6 patches of 5 pixels
VIT = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 44, "image_size": 30,
    "patch_size": 5,
}  # fmt: skip
VITS: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("ViT", {}),
    "ViT without biases": ("ViT", {"qkv_bias": False, "hidden_act": "gelu_new"}),
    "DeiT": ("DeiT", {}),
    "DINOv2": ("Dinov2", {"mlp_ratio": 2}),
    "DINOv2 with registers": ("Dinov2WithRegisters", {"mlp_ratio": 2, "num_register_tokens": 4}),
    "SigLIP": ("SiglipVision", {}),
    "CLIP": ("CLIPVision", {}),
}
SOUND = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 44, "patch_size": 5,
    "num_mel_bins": 16, "max_length": 40, "frequency_stride": 3, "time_stride": 4,
}  # fmt: skip


def save_vit(name: str, folder: Path, **changes: Any) -> Any:
    """A vision (or audio) Transformer of the family in `folder`."""
    kind, more = VITS.get(name, ("AST", {}))
    config = getattr(transformers, f"{kind}Config")(**{**(SOUND if name == "AST" else VIT), **more, **changes})
    model = shake(getattr(transformers, f"{kind}Model")(config))
    model.save_pretrained(folder)
    return model
