"""`MirasolConfig`: `Sizes` as a Hugging Face configuration. One field, `sizes`; everything else is derived from it.

`config.json` holds {"model_type": "mirasol", "sizes": {...}}, the same file that the inner ring reads and writes.
"""

from __future__ import annotations

import json
from typing import Any

from transformers import PreTrainedConfig

from .limits import check_sources, check_special_ids
from .sizes import PRESETS, Sizes
from .text import END, PAD, START


class MirasolConfig(PreTrainedConfig):
    """`sizes`: the fields of `Sizes` as plain values (missing ones take the defaults, the `tiny` preset).

    `sources`: where pretrained parts came from, a table for each: part, name, family, licence (see `mirasol.warm`).
    """

    model_type = "mirasol"
    # What a Trainer should not collect over a whole evaluation: all but the logits.
    keys_to_ignore_at_inference = [  # noqa: RUF012 (the name is transformers', and it must be a list)
        "text", "latent", "video", "audio", "effort", "spread", "past_key_values", "encoder_outputs",
        "decoder_hidden_states", "decoder_attentions", "cross_attentions",
    ]  # fmt: skip

    sizes: dict[str, Any] | None = None
    sources: list[dict[str, Any]] | None = None
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = True
    pad_token_id: int | None = PAD
    bos_token_id: int | None = START
    eos_token_id: int | list[int] | None = END
    decoder_start_token_id: int | None = START

    def __post_init__(self, **kwargs: Any) -> None:
        sizes = Sizes.from_dict(self.sizes or {})
        self.sizes = json.loads(json.dumps(sizes.to_dict()))  # lists for tuples, as they come back from a file
        self.tie_word_embeddings = sizes.tied
        check_sources(self.sources)
        check_special_ids(
            sizes.vocabulary, pad_token_id=self.pad_token_id, bos_token_id=self.bos_token_id,
            eos_token_id=self.eos_token_id, decoder_start_token_id=self.decoder_start_token_id,
        )  # fmt: skip
        super().__post_init__(**kwargs)

    @classmethod
    def preset(cls, name: str) -> MirasolConfig:
        """By the name of a preset: tiny, small, base, 3b."""
        if name not in PRESETS:
            raise ValueError(f"expected a preset, one of {', '.join(PRESETS)}; found {name!r}")
        return cls(sizes=PRESETS[name].to_dict())

    @property
    def model_sizes(self) -> Sizes:
        return Sizes.from_dict(self.sizes or {})

    # Names under which generate(), caches, PEFT and trainers ask for the text decoder's sizes.
    @property
    def num_hidden_layers(self) -> int:
        return self.model_sizes.text_layers

    @property
    def hidden_size(self) -> int:
        return self.model_sizes.text_width

    @property
    def intermediate_size(self) -> int:
        return self.model_sizes.text_mlp

    @property
    def num_attention_heads(self) -> int:
        return self.model_sizes.text_heads

    @property
    def num_key_value_heads(self) -> int:
        return self.model_sizes.text_kv_heads

    @property
    def head_dim(self) -> int:
        return self.model_sizes.text_head

    @property
    def max_position_embeddings(self) -> int:
        return self.model_sizes.text_positions

    @property
    def vocab_size(self) -> int:
        return self.model_sizes.vocabulary

    @vocab_size.setter
    def vocab_size(self, value: int) -> None:
        self.sizes = {**(self.sizes or {}), "vocabulary": value}
