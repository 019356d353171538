"""`MirasolProcessor`: questions, frames and sound -> the model's inputs, and generated ids -> answers.

    processor = MirasolProcessor.from_pretrained(folder)
    inputs = processor(text="what do you hear?", videos=frames, fps=25, audio=waveform, sampling_rate=16000)
    answers = processor.batch_decode(model.generate(**inputs))

Prompts are padded on the left, as generation wants it. A folder with config.json and tokenizer.json is enough: what is
seen and heard follows from the model's sizes. Importing this file tells the Auto classes of the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoProcessor,
    BatchFeature,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.utils import cached_file

from .configuration_mirasol import MirasolConfig
from .feature_extraction_mirasol import (
    MirasolFeatureExtractor,
    as_waveforms,
    check_tensors,
    clip_snippets,
    per_clip,
)
from .mirasol import IGNORE
from .sizes import Sizes
from .text import DESCRIBE, END, PAD, SPECIAL, START, Text, pad
from .video_processing_mirasol import MirasolVideoProcessor, as_clips, times_per_clip
from .vocabulary import read_tokenizer

HUB = ("cache_dir", "force_download", "proxies", "token", "revision", "local_files_only", "subfolder")
CAPTION = SPECIAL[DESCRIBE]  # as text: asks for a caption


def wrap_tokenizer(**source: Any) -> PreTrainedTokenizerFast:
    """The tokenizer of `text.py` in transformers' dress; `tokenizer_file=` or `tokenizer_object=`."""
    backend = source.pop("tokenizer_object", None) or read_tokenizer(source.pop("tokenizer_file"))
    text = Text(backend)  # raises where it is not one of ours
    special: dict[str, Any] = {
        "pad_token": backend.id_to_token(text.pad), "eos_token": backend.id_to_token(text.end),
    }  # fmt: skip
    if text.is_ours:
        others = [name for number, name in enumerate(SPECIAL) if number not in (PAD, START, END)]
        special |= {"bos_token": SPECIAL[START], "additional_special_tokens": others}
    tokenizer = PreTrainedTokenizerFast(
        **source, tokenizer_object=backend, **special, padding_side="left", clean_up_tokenization_spaces=False
    )
    assert Text(tokenizer.backend_tokenizer).layout == text.layout
    return tokenizer


class MirasolProcessor(ProcessorMixin):
    """A video processor, a feature extractor and a tokenizer under one roof, on one clock."""

    def __init__(
        self,
        video_processor: MirasolVideoProcessor | None = None,
        feature_extractor: MirasolFeatureExtractor | None = None,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        super().__init__(video_processor, feature_extractor, tokenizer)

    @classmethod
    def build(cls, sizes: Sizes | dict[str, Any], tokenizer: Any) -> MirasolProcessor:
        """From the sizes of a model and a `tokenizers.Tokenizer`."""
        wrapped = wrap_tokenizer(tokenizer_object=tokenizer)
        return cls(MirasolVideoProcessor(sizes), MirasolFeatureExtractor(sizes), wrapped)

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
        """transformers' own check would look for a class that needs torchvision."""
        kinds = {"video_processor": MirasolVideoProcessor, "feature_extractor": MirasolFeatureExtractor}
        kind = kinds.get(argument_name, PreTrainedTokenizerFast)
        if not isinstance(argument, kind):
            raise TypeError(f"expected a {kind.__name__} as {argument_name}, found a {type(argument).__name__}")
        return kind

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Any]:
        hub = {name: kwargs[name] for name in HUB if kwargs.get(name) is not None}
        saved = processor_dict or {}
        parts = [saved.get(name, {}).get("sizes") for name in ("video_processor", "feature_extractor")]
        if None in parts:
            parts = [MirasolConfig.from_pretrained(pretrained_model_name_or_path, **hub).sizes] * 2
        file = cached_file(pretrained_model_name_or_path, "tokenizer.json", **hub)
        return [MirasolVideoProcessor(parts[0]), MirasolFeatureExtractor(parts[1]), wrap_tokenizer(tokenizer_file=file)]

    @property
    def text(self) -> Text:
        """The layout of prompts."""
        return Text(self.tokenizer.backend_tokenizer)

    @property
    def model_input_names(self) -> list[str]:
        signals = [*self.video_processor.model_input_names, *self.feature_extractor.model_input_names]
        prompts = ["decoder_input_ids", "decoder_attention_mask", "labels", "prompt_ids", "prompt_attention_mask"]
        return [*signals, "snippet_mask", "rows", *prompts]

    def __call__(
        self,
        text: str | Sequence[Any] | None = None,
        videos: Any = None,
        audio: Any = None,
        *,
        answers: str | Sequence[Any] | None = None,
        video_times: Any = None,
        fps: float | Sequence[float] | None = None,
        sampling_rate: int | None = None,
        start: float | Sequence[float] = 0.0,
        end: float | Sequence[float] | None = None,
        audio_start: float | Sequence[float] | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """One clip, or lists with one entry for each clip (None where a clip has no picture, or no sound).

        text     a question or "<describe>" for a caption; for one clip also a list of them, for several clips a list
                 with one, or a list, for each
        answers  of the same shape as `text`, for training: they follow the prompts, `labels` are made, and the prompts
                 alone are kept as `prompt_ids`, from which `generate` begins
        The seconds are those of the source, see `MirasolVideoProcessor` and `MirasolFeatureExtractor`; `end` is that of
        the clip, by default of its picture or its sound, whichever is later.
        """
        check_tensors(return_tensors)
        clips = None if videos is None else as_clips(videos)
        waveforms = None if audio is None else as_waveforms(audio)
        numbers = {len(part) for part in (clips, waveforms) if part is not None}
        if len(numbers) > 1:
            found = f"{len(clips or ())} and {len(waveforms or ())}"
            raise ValueError(
                f"expected as many clips in videos as in audio, found {found}; None stands for an absent one"
            )
        count = max(numbers, default=0)
        batch: dict[str, Tensor] = {}
        if count:
            starts = [float(value) for value in per_clip(start, count, "start")]
            ends, begins = per_clip(end, count, "end"), per_clip(audio_start, count, "audio_start")
            times, rates = times_per_clip(video_times, count), per_clip(fps, count, "fps")
            clips, waveforms = clips or [None] * count, waveforms or [None] * count
            lengths = [
                self.snippets(*row) for row in zip(clips, times, rates, waveforms, begins, starts, ends, strict=True)
            ]
            common = {"start": starts, "snippets": lengths}
            if videos is not None:
                batch |= self.video_processor(clips, video_times=times, fps=rates, end=ends, **common)
            if audio is not None:
                batch |= self.feature_extractor(waveforms, sampling_rate, audio_start=begins, **common)
            batch["snippet_mask"] = torch.arange(max(*lengths, 1))[None] < torch.tensor(lengths)[:, None]
        if text is not None:
            batch |= self.prompts(text, answers, count)
        elif answers is not None:
            raise ValueError("expected text with answers, found answers alone; give the questions too")
        if not count and text is not None:  # nothing to watch
            batch["snippet_mask"] = torch.zeros(len(batch["decoder_input_ids"]), 1, dtype=torch.bool)
        return BatchFeature(batch)

    def snippets(self, clip: Any, times: Any, fps: Any, waveform: Any, begin: Any, start: float, end: Any) -> int:
        """How many snippets one clip has; none without picture and sound."""
        if clip is None and waveform is None:
            return 0
        if end is None:
            ends = [] if clip is None else [self.video_processor.times(clip, times, fps, start)[1]]
            if waveform is not None:
                ends.append(self.feature_extractor.end(waveform, start if begin is None else begin))
            end = max(ends)
        return clip_snippets(Sizes.from_dict(self.feature_extractor.sizes), start, end)

    def prompts(self, text: Any, answers: Any, clips: int) -> dict[str, Tensor]:
        """decoder_input_ids and decoder_attention_mask, left-padded; rows and labels where they are needed."""
        questions, rows = flatten(text, clips)
        layout = self.text
        ids = [layout.prompt(None if question in (None, CAPTION) else question) for question in questions]
        labels, batch = [[IGNORE] * len(prompt) for prompt in ids], {}
        if answers is not None:
            prompts, real = pad(ids, layout.pad, left=True)
            batch = {"prompt_ids": prompts, "prompt_attention_mask": real.long()}
            targets, _ = flatten(answers, clips)
            if len(targets) != len(ids):
                raise ValueError(f"expected an answer for each of the {len(ids)} questions, found {len(targets)}")
            for prompt, label, answer in zip(ids, labels, targets, strict=True):
                target = layout.target(answer)
                prompt += target
                label += target
        padded, mask = pad(ids, layout.pad, left=True)
        batch |= {"decoder_input_ids": padded, "decoder_attention_mask": mask.long()}
        if answers is not None:
            batch["labels"] = pad(labels, IGNORE, left=True)[0]
        if rows is not None:
            batch["rows"] = torch.tensor(rows)
        return batch

    def decode(self, token_ids: Any, **kwargs: Any) -> str:
        """The answer in generated ids: what stands after the prompt and before the end. With options of the
        tokenizer's own `decode` (such as skip_special_tokens=False) it is that."""
        if kwargs:
            return self.tokenizer.decode(token_ids, **kwargs)
        ids = torch.as_tensor(token_ids).flatten().tolist()
        return self.text.answer([number for number in ids if number >= 0])  # trainers pad with -100

    def batch_decode(self, sequences: Any, **kwargs: Any) -> list[str]:
        """`decode` for each row."""
        return [self.decode(row, **kwargs) for row in sequences]


def flatten(text: Any, clips: int) -> tuple[list[Any], list[int] | None]:
    """Texts as one list, and the clip of each where that is not simply one for each clip."""
    texts = [text] if isinstance(text, str) else list(text)
    if not texts:
        raise ValueError("expected at least one text, found none")
    if any(isinstance(entry, list | tuple) for entry in texts):
        groups = [[entry] if isinstance(entry, str) or entry is None else list(entry) for entry in texts]
        if len(groups) != clips:
            raise ValueError(f"expected a list of texts for each of {clips} clips, found {len(groups)}")
        return [entry for group in groups for entry in group], [at for at, group in enumerate(groups) for _ in group]
    if clips > 1 and len(texts) != clips:
        raise ValueError(f"expected a text for each of {clips} clips, found {len(texts)}; give a list for each clip")
    return texts, [0] * len(texts) if clips == 1 and len(texts) > 1 else None


if not __name__.startswith("transformers_modules."):  # code loaded from a model's folder leaves the Auto classes alone
    AutoConfig.register("mirasol", MirasolConfig, exist_ok=True)
    AutoFeatureExtractor.register(MirasolConfig, MirasolFeatureExtractor, exist_ok=True)
    AutoProcessor.register(MirasolConfig, MirasolProcessor, exist_ok=True)
