"""The Hugging Face skin of the model: the parts of `mirasol.py` under the same names, in the dress of transformers.

    model = MirasolForConditionalGeneration.from_pretrained(folder)
    model(**inputs, labels=...) -> MirasolOutput: loss and its four named parts, or logits and caches
    model.generate(**inputs, decoder_input_ids=prompts, decoder_attention_mask=mask) -> ids, the prompt included

It translates names and does nothing else. To transformers this is an encoder-decoder: the encoder is the audio-video
side, its output the context that text attends to; so a question about something already watched is
`generate(encoder_outputs=..., decoder_input_ids=prompts)`. Attention always runs on PyTorch's SDPA. Caches are dynamic.
Importing this file tells the Auto classes of the model.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMultimodalLM,
    AutoModelForSeq2SeqLM,
    DynamicCache,
    EncoderDecoderCache,
    GenerationMixin,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
    initialization,
)
from transformers.utils import ModelOutput

from .configuration_mirasol import MirasolConfig
from .decoder import Decoder
from .encoder import Encoder
from .initialising import building, initialise
from .inputs import Inputs
from .mirasol import Mirasol, text_loss
from .prompts import take_prompts
from .recompute import recompute_blocks
from .reconstruction import Reconstruction
from .recording import recorded
from .state import MirasolState

AUTO_MODELS = ("AutoModel", "AutoModelForSeq2SeqLM", "AutoModelForMultimodalLM")
MOST_NEW_TOKENS = 48  # of an answer, unless the caller says otherwise
PASSED_ON = ("tokenizer", "assistant_tokenizer", "num_items_in_batch", "task_ids")  # by generate(), a Trainer, PEFT
OTHER_NAMES = {
    "input_ids": "prompts as decoder_input_ids", "attention_mask": "the mask of prompts as decoder_attention_mask",
    "inputs_embeds": "signals as pixel_values_videos and input_features",
    "decoder_inputs_embeds": "prompts as decoder_input_ids",
}  # fmt: skip


@dataclass
class MirasolEncoderOutput(ModelOutput):
    """What was watched. The context that text attends to: `last_hidden_state` (B, C, D), true where `attention_mask`
    (B, C) is. `latents` and `combined` (B, S, K, D) are those of this call; `state` goes into the next one."""

    last_hidden_state: Tensor | None = None
    attention_mask: Tensor | None = None
    latents: Tensor | None = None
    combined: Tensor | None = None
    state: MirasolState | None = None


@dataclass
class MirasolOutput(ModelOutput):
    """`loss` is the weighted sum of the named losses; `spread` tells of collapse when near zero (see
    `mirasol.Output`). With labels, logits (B, T, V) are made in evaluation only: training does not need them.

    On request, of the text decoder: `decoder_hidden_states` (B, T, D) before each block and at the end, and of each
    block `decoder_attentions` (B, heads, T, positions), `cross_attentions` (B, heads, T, C)."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    text: Tensor | None = None
    latent: Tensor | None = None
    video: Tensor | None = None
    audio: Tensor | None = None
    effort: Tensor | None = None
    spread: Tensor | None = None
    past_key_values: EncoderDecoderCache | None = None
    encoder_outputs: MirasolEncoderOutput | None = None
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class CacheView:
    """One layer of a Hugging Face cache as the `KeyValues` that `Attention` asks for; `empty` (B, heads, 0, width)."""

    cache: DynamicCache
    layer: int
    empty: Tensor

    def kept(self, name: str) -> Tensor:
        if self.cache.get_seq_length(self.layer) == 0:
            return self.empty
        return getattr(self.cache.layers[self.layer], name)

    @property
    def keys(self) -> Tensor:
        return self.kept("keys")

    @property
    def values(self) -> Tensor:
        return self.kept("values")

    def append(self, keys: Tensor, values: Tensor) -> CacheView:
        self.cache.update(keys, values, self.layer)
        return self


class PositionsUsed(StoppingCriteria):
    """Ends a generation when the decoder's positions are used up, as `Mirasol.generate` does (the last is not fed)."""

    def __init__(self, positions: int) -> None:
        self.positions = positions

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        full = input_ids.shape[1] > self.positions
        return torch.full((len(input_ids),), full, dtype=torch.bool, device=input_ids.device)


class MirasolEncoder(Encoder):
    """The encoder under the names of its inputs, as `generate()` and users of `get_encoder()` call it."""

    main_input_name = "pixel_values_videos"

    def forward(  # type: ignore[override]
        self,
        pixel_values_videos: Tensor | None = None,
        frame_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        column_mask: Tensor | None = None,
        snippet_mask: Tensor | None = None,
        state: MirasolState | None = None,
        inputs: Inputs | None = None,
        return_dict: bool = True,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> MirasolEncoderOutput:
        """See `Inputs` for the shapes; either modality may be None. `inputs` take the place of all five. generate()
        gives the last three, unused."""
        inputs = inputs or Inputs(pixel_values_videos, frame_mask, input_features, column_mask, snippet_mask)
        before, (latents, combined, state) = state, super().forward(inputs, state)
        context, mask = self.context(state, latents.shape[1] if before is None else None)
        return MirasolEncoderOutput(context, mask, latents, combined, state)


class MirasolPreTrainedModel(PreTrainedModel):
    """What transformers wants to know of the model."""

    config_class = MirasolConfig
    config: MirasolConfig
    main_input_name = "pixel_values_videos"
    input_modalities = ("video", "audio", "text")
    accepts_loss_kwargs = False  # each batch's loss is its own mean; a Trainer averages over steps and processes
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ("Block",)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        initialise(module, initialization)

    def _set_gradient_checkpointing(self, enable: bool = True, every_n_layers: int = 1, **kwargs: Any) -> None:
        """What `gradient_checkpointing_enable()` comes to; always without re-entry, whatever its other options say."""
        recompute_blocks(self, enable, every=every_n_layers)


class MirasolForConditionalGeneration(MirasolPreTrainedModel, GenerationMixin):
    """`mirasol.Mirasol` for transformers: the same parts under the same names, and `generate()`."""

    _tied_weights_keys = {"lm_head.weight": "decoder.embed.weight"}  # noqa: RUF012 (the name is transformers')

    def __init__(self, config: MirasolConfig) -> None:
        super().__init__(config)
        self.sizes = sizes = config.model_sizes
        with building():  # `post_init` fills what it holds
            self.encoder = MirasolEncoder(sizes)
            self.decoder = Decoder(sizes)
            self.lm_head = nn.Linear(sizes.text_width, sizes.vocabulary, bias=False)
            self.reconstruction = Reconstruction(sizes)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> MirasolEncoder:
        return self.encoder

    def get_input_embeddings(self) -> nn.Module:
        return self.decoder.embed

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.decoder.embed = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        pixel_values_videos: Tensor | None = None,
        frame_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        column_mask: Tensor | None = None,
        snippet_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        rows: Tensor | None = None,
        encoder_outputs: ModelOutput | None = None,
        past_key_values: EncoderDecoderCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        return_dict: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        prompt_ids: Tensor | None = None,
        prompt_attention_mask: Tensor | None = None,
        **others: Any,
    ) -> MirasolOutput | tuple:
        """The signals are those of `Inputs` (B clips).

        decoder_input_ids, labels  (B', T), aligned: labels are shifted here, -100 counts for nothing
        decoder_attention_mask     (B', T so far), false on padding, at either end
        rows                       (B') which clip each text belongs to; without it B' = B, one text each
        logits_to_keep             of the last n positions only; 0 means of all
        prompt_ids, ..._mask       of a batch for training; `generate` alone reads them
        others                     what wrappers give under names of other models; None, or refused
        """
        refuse_others(others)
        if decoder_input_ids is None:
            raise ValueError("expected decoder_input_ids (prompts, in training with their answers), found none")
        inputs = None
        if encoder_outputs is None:
            inputs = Inputs(pixel_values_videos, frame_mask, input_features, column_mask, snippet_mask)
            inputs = inputs.complete(self.sizes, self.encoder.mask_tokens)
            encoder_outputs = self.encoder(inputs=inputs)
        watched = self.select(encoder_outputs, rows)
        if past_key_values is None and (use_cache or (use_cache is None and labels is None and not self.training)):
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        wanted = {"hidden": bool(output_hidden_states), "attentions": bool(output_attentions)}
        with recorded(self.decoder, **wanted) as record:
            hidden = self.decode(decoder_input_ids, watched, past_key_values, decoder_attention_mask)
        output = MirasolOutput(past_key_values=past_key_values, encoder_outputs=encoder_outputs)
        if output_hidden_states:
            output.decoder_hidden_states = (*record.hidden_states, hidden)
        if output_attentions:
            output.decoder_attentions = tuple(record.attentions)
            output.cross_attentions = tuple(record.cross_attentions)
        if labels is None or not self.training:
            output.logits = self.lm_head(hidden[:, -logits_to_keep:])
        if labels is not None:
            self.add_losses(output, text_loss(self.lm_head, hidden, labels), inputs)
        return output.to_tuple() if return_dict is False else output

    def select(self, watched: ModelOutput, rows: Tensor | None) -> MirasolEncoderOutput:
        """The context alone, of the clip that each row of text belongs to. A new object: generate() changes it."""
        context, mask = watched.last_hidden_state, getattr(watched, "attention_mask", None)
        if rows is not None:
            context, mask = context[rows], None if mask is None else mask[rows]
        return MirasolEncoderOutput(context, mask)

    def decode(
        self, ids: Tensor, watched: MirasolEncoderOutput, cache: EncoderDecoderCache | None, text_mask: Tensor | None
    ) -> Tensor:
        """Hidden states (B, T, D) of the decoder, through a Hugging Face cache where there is one."""
        context, mask = watched.last_hidden_state, watched.attention_mask
        if cache is None:
            return self.decoder(ids, context, mask, text_mask=text_mask)[0]
        if cache.is_compileable:
            raise ValueError("expected a dynamic cache, found a static one: leave cache_implementation out")
        empty: Any = self.decoder.start(len(ids), context)
        views: Any = []  # pairs of `KeyValues`, changed in place as transformers' caches are
        looking = 0  # blocks that look at the context have a layer of its cache each
        for at, (own, other) in enumerate(empty):
            view = None if other is None else CacheView(cache.cross_attention_cache, looking, other.keys)
            views.append((CacheView(cache.self_attention_cache, at, own.keys), view))
            looking += other is not None
        filled = cache.is_updated.get(0, False)  # the context's keys and values are in the cache already
        hidden, _ = self.decoder(ids, None if filled else context, mask, views, text_mask)
        cache.is_updated.update(dict.fromkeys(range(len(views)), True))
        return hidden

    def add_losses(self, output: MirasolOutput, text: Tensor, inputs: Inputs | None) -> None:
        """The named losses and their sum; of the text alone where `encoder_outputs` replaced the signals."""
        output.text = output.loss = text
        if inputs is None:
            return
        watched = output.encoder_outputs
        assert watched is not None
        losses = Mirasol.losses(self, text, watched.latents, watched.combined, inputs, watched.state)  # type: ignore[arg-type]
        for name in ("loss", "latent", "video", "audio", "effort", "spread"):
            output[name] = getattr(losses, name)

    @torch.no_grad()
    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """`GenerationMixin.generate` with `rows`, and with either modality absent: clips are encoded here, once each.

        Give prompts as `decoder_input_ids` (left-padded; without a mask the padding is found by its id). A batch made
        for training will do: with `labels`, or the processor's `prompt_ids`, the answers in it are left aside.
        """
        take_prompts(kwargs, self.config.pad_token_id or 0, self.config.eos_token_id)
        names = ("frame_mask", "input_features", "column_mask", "snippet_mask")
        signals = {name: kwargs.pop(name, None) for name in names}
        signals["pixel_values_videos"] = kwargs.pop("pixel_values_videos", inputs)
        watched = kwargs.pop("encoder_outputs", None)
        if watched is None:
            watched = self.encoder(**signals)
        kwargs["encoder_outputs"] = self.select(watched, kwargs.pop("rows", None))
        self.fill_generation_config(kwargs)
        criteria = StoppingCriteriaList([PositionsUsed(self.sizes.text_positions)])
        criteria.extend(kwargs.pop("stopping_criteria", None) or [])
        return super().generate(stopping_criteria=criteria, **kwargs)

    def fill_generation_config(self, kwargs: dict[str, Any]) -> None:
        """What a folder without generation_config.json leaves open: special ids, and the length of an answer."""
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"):
            if getattr(self.generation_config, name, None) is None:
                setattr(self.generation_config, name, getattr(self.config, name))
        configs = [config for config in (self.generation_config, kwargs.get("generation_config")) if config is not None]
        lengths = ("max_length", "max_new_tokens")
        if not any(name in kwargs or any(getattr(config, name) for config in configs) for name in lengths):
            kwargs["max_new_tokens"] = MOST_NEW_TOKENS


def refuse_others(others: dict[str, Any]) -> None:
    """`ValueError` or `TypeError` for arguments that the forward does not take, but for those that are None or in
    `PASSED_ON`."""
    for name in (name for name, value in others.items() if value is not None and name not in PASSED_ON):
        if name in OTHER_NAMES:
            raise ValueError(f"expected {OTHER_NAMES[name]}, found {name}")
        raise TypeError(f"forward() got an unexpected keyword argument {name!r}")


def save_code(folder: str | Path) -> None:
    """Puts the code of this folder beside a saved model, so that it loads where this package is not installed:
    `AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=True)`, likewise AutoConfig and AutoProcessor."""
    folder = Path(folder)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name != "__init__.py" and source.parent.resolve() != folder.resolve():
            shutil.copyfile(source, folder / source.name)
    classes = {
        "AutoConfig": "configuration_mirasol.MirasolConfig",
        **dict.fromkeys(AUTO_MODELS, "modeling_mirasol.MirasolForConditionalGeneration"),
        "AutoFeatureExtractor": "feature_extraction_mirasol.MirasolFeatureExtractor",
        "AutoProcessor": "processing_mirasol.MirasolProcessor",
    }
    for name in ("config.json", "processor_config.json"):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text(encoding="utf-8")) | {"auto_map": classes}
            (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


if not __name__.startswith("transformers_modules."):  # code loaded from a model's folder leaves the Auto classes alone
    AutoConfig.register("mirasol", MirasolConfig, exist_ok=True)
    for auto in (AutoModel, AutoModelForSeq2SeqLM, AutoModelForMultimodalLM):
        auto.register(MirasolConfig, MirasolForConditionalGeneration, exist_ok=True)
