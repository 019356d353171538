"""The Hugging Face dress of hearing: waveforms -> `input_features` (B, S, M, L) and `column_mask` (B, S, L).

Time is cut in `snippets.py`, the spectrogram made in `signals.py`; here only the names change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor

from .inputs import silence_before
from .signals import column_mask, snippet_spectrograms
from .sizes import Sizes
from .snippets import cut, snippet_count

LOUDEST = 100.0  # samples beyond are no sound in -1 to 1 that somebody made too loud
MOST_BYTES = 8 << 30  # of a clip's pictures or sound


def plain(sizes: Sizes | dict[str, Any] | None) -> dict[str, Any]:
    """Sizes as values that come back from a JSON file unchanged."""
    known = sizes if isinstance(sizes, Sizes) else Sizes.from_dict(sizes or {})
    return json.loads(json.dumps(known.to_dict()))


def per_clip(value: Any, count: int, name: str) -> list[Any]:
    """One value for all clips, or a list with one for each, as a list of `count`."""
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"expected one {name} for all clips or a list of {count}, one for each; found {len(value)}")
    return list(value)


def as_waveforms(audio: Any) -> list[np.ndarray | None]:
    """One waveform (samples,), or a list of them with None for a clip without sound, as a list."""
    is_list = isinstance(audio, list | tuple) and not (len(audio) and isinstance(audio[0], float | int))
    waveforms: list[np.ndarray | None] = []
    for wave in audio if is_list else [audio]:
        if wave is not None:
            wave = np.asarray(wave)
            if wave.ndim != 1:
                raise ValueError(
                    f"expected mono sound of shape (samples,) or a list of such, found shape {wave.shape}; "
                    "take the mean of the channels, give a batch as a list"
                )
            if not np.issubdtype(wave.dtype, np.floating):
                raise ValueError(f"expected samples as floats in -1 to 1, found {wave.dtype}; scale them first")
            wave = wave.astype(np.float32)
            if bad := int((~(np.abs(wave) <= LOUDEST)).sum()):
                raise ValueError(
                    f"expected samples as floats in -1 to 1, found {bad} of {len(wave)} that are NaN or beyond "
                    f"{LOUDEST:g}; mend the sound first (np.nan_to_num), or scale it"
                )
        waveforms.append(wave)
    return waveforms


def clip_snippets(sizes: Sizes, start: float, end: float) -> int:
    """How many snippets a clip of these seconds has; `ValueError` for seconds that make no sense, or for more snippets
    than fit into `MOST_BYTES`."""
    check_seconds(start, end)
    if end < start:
        raise ValueError(f"expected a clip that ends after its start, found start {start} and end {end} seconds")
    check_count(sizes, (end - start) / sizes.snippet_seconds)
    return snippet_count(sizes, end - start)


def check_seconds(*seconds: float | None) -> None:
    """`ValueError` where seconds of a clip are not finite."""
    if not all(math.isfinite(second) for second in seconds if second is not None):
        found = ", ".join(str(second) for second in seconds if second is not None)
        raise ValueError(f"expected start and end of a clip as finite seconds, found {found}")


def check_count(sizes: Sizes, count: float) -> None:
    """`ValueError` where so many snippets of one clip would fill the memory."""
    each = 4 * max(3 * sizes.frames * sizes.height * sizes.width, sizes.mels * sizes.columns, sizes.samples)
    if not 0 <= count <= MOST_BYTES // each:
        raise ValueError(
            f"expected a clip of 0 to {MOST_BYTES // each} snippets of {sizes.snippet_seconds:g} s, found "
            f"{count:.0f}; check fps, times, start and end, or watch it piece by piece (mirasol.Session)"
        )


class MirasolFeatureExtractor(SequenceFeatureExtractor):
    """Waveforms to the spectrograms of snippets; what it hears with follows from the model's `sizes`."""

    model_input_names = ["input_features", "column_mask"]  # noqa: RUF012 (the name is transformers')

    def __init__(self, sizes: Sizes | dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.sizes = plain(sizes)
        fixed = {"feature_size": self.sizes["mels"], "sampling_rate": self.sizes["sample_rate"], "padding_value": 0.0}
        super().__init__(**{**kwargs, **fixed})

    def end(self, waveform: np.ndarray, audio_start: float) -> float:
        """The second of the source at which the sound ends."""
        return audio_start + len(waveform) / self.sampling_rate

    def __call__(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        *,
        start: float | Sequence[float] = 0.0,
        audio_start: float | Sequence[float] | None = None,
        snippets: int | Sequence[int] | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """`audio`: a waveform (samples,) of floats or a list of them, None in it where a clip has no sound.

        All seconds are seconds of the source: `start` of each clip, `audio_start` of its first sample (default: the
        clip's). `snippets`: how many to cut from each clip (default: to the end of its sound).
        """
        check_tensors(return_tensors)
        if sampling_rate != self.sampling_rate:
            raise ValueError(
                f"expected sampling_rate={self.sampling_rate}, found {sampling_rate}; resample the sound first "
                "(mirasol.read does)"
            )
        sizes, waveforms = Sizes.from_dict(self.sizes), as_waveforms(audio)
        count = len(waveforms)
        starts = [float(value) for value in per_clip(start, count, "start")]
        begins = [
            clip if own is None else float(own)
            for clip, own in zip(starts, per_clip(audio_start, count, "audio_start"), strict=True)
        ]
        check_seconds(*starts, *begins)
        wanted = per_clip(snippets, count, "snippets")
        parts = []
        for wave, origin, begin, number in zip(waveforms, starts, begins, wanted, strict=True):
            if wave is None:
                nothing = torch.zeros(0, sizes.mels, sizes.columns)
                parts.append((nothing, torch.zeros(0, sizes.columns, dtype=torch.bool)))
                continue
            if number is None:
                number = clip_snippets(sizes, origin, max(origin, self.end(wave, begin)))
            check_count(sizes, number)
            pieces = cut(sizes, origin=origin, first=0, count=number, waveform=wave, waveform_start=begin)
            spectrogram = snippet_spectrograms(pieces.waveform, silence_before(sizes), sizes)
            parts.append((spectrogram, column_mask(pieces.heard, sizes)))
        return BatchFeature(stack(parts, self.model_input_names, [number or 0 for number in wanted]))


def check_tensors(kind: Any) -> None:
    """`ValueError` for any `return_tensors` but "pt"."""
    if str(getattr(kind, "value", kind)) != "pt":
        raise ValueError(f'expected return_tensors="pt", found {kind!r}: only PyTorch tensors are made')


def stack(
    parts: Sequence[tuple[torch.Tensor, ...]], names: Sequence[str], lengths: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Clips of different numbers of snippets as one batch, zeros (false in a mask) at the end of the shorter ones."""
    longest = max([*lengths, *(len(part[0]) for part in parts), 1])
    batch = {}
    for name, values in zip(names, zip(*parts, strict=True), strict=True):
        padded = [torch.cat([value, value.new_zeros(longest - len(value), *value.shape[1:])]) for value in values]
        batch[name] = torch.stack(padded)
    return batch
