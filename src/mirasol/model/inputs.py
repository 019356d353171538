"""What the encoder reads: signals of a batch of clips with masks that say what is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .embeddings import CHANNELS
from .shapes import check_shape
from .signals import SILENCE, column_mask, left_samples, snippet_pixels, snippet_spectrograms
from .sizes import Sizes
from .snippets import Cut


@dataclass(frozen=True)
class Inputs:
    """What the encoder reads. Absent picture or sound: None for the batch, or false in the mask for a row.

    pixel_values_videos  (B, S, F, C, H, W) float in -2..2, or uint8  frame_mask    (B, S, F) bool, real frames
    input_features       (B, S, M, L) float log-mel                   column_mask   (B, S, L) bool, real columns
    snippet_mask         (B, S) bool, false for the padding at the end of a shorter row
    """

    pixel_values_videos: Tensor | None = None
    frame_mask: Tensor | None = None
    input_features: Tensor | None = None
    column_mask: Tensor | None = None
    snippet_mask: Tensor | None = None

    def complete(self, sizes: Sizes, like: Tensor) -> Complete:
        """Fills what is None or masked, so that every parameter takes part and nothing under a mask is ever read.

        Missing pictures are zeros; a missing frame copies its nearest neighbour; missing sound is silence. All goes to
        the device of `like`, pixels that are uint8 as they are. Nothing is read back from a device.
        """
        first = next((value for value in (self.pixel_values_videos, self.input_features) if value is not None), None)
        if first is None and self.snippet_mask is None:
            raise ValueError("nothing to watch: give pixel_values_videos, input_features or both (or a snippet_mask)")
        shape = first.shape[:2] if first is not None else self.snippet_mask.shape  # type: ignore[union-attr]
        if len(shape) < 2:
            axes = "B S F C H W" if self.pixel_values_videos is not None else "B S M L" if first is not None else "B S"
            check_shape("what the model reads", first if first is not None else self.snippet_mask, axes)
        if 0 in shape:
            raise ValueError(
                f"expected at least one clip and one snippet, found {shape[0]} and {shape[1]}; mask what is absent"
            )

        lengths = {
            "B": shape[0], "S": shape[1], "F": sizes.frames, "C": CHANNELS, "H": sizes.height, "W": sizes.width,
            "M": sizes.mels, "L": sizes.columns,
        }  # fmt: skip

        def checked(name: str, axes: str) -> Tensor | None:
            if (given := getattr(self, name)) is not None:
                check_shape(name, given, axes, **{axis: lengths[axis] for axis in axes.split()})
            return given

        def mask(name: str, axes: str, present: Tensor | None) -> Tensor:
            if (given := checked(name, axes)) is not None:
                return given.to(like.device).bool()
            whole = [lengths[axis] for axis in axes.split()]
            return torch.full(whole, present is not None, dtype=torch.bool, device=like.device)

        def signal(name: str, axes: str) -> Tensor:
            given = checked(name, axes)
            if given is None:
                return like.new_zeros([lengths[axis] for axis in axes.split()])
            return given.to(like.device) if given.dtype == torch.uint8 else given.to(like)

        pixels = signal("pixel_values_videos", "B S F C H W")
        spectrogram = signal("input_features", "B S M L")
        snippet_mask = mask("snippet_mask", "B S", like)
        frame_mask = mask("frame_mask", "B S F", self.pixel_values_videos) & snippet_mask[..., None]
        column_mask = mask("column_mask", "B S L", self.input_features) & snippet_mask[..., None]
        ordered = self.snippet_mask is None
        seen = ordered and self.frame_mask is None and self.pixel_values_videos is not None
        heard = ordered and self.column_mask is None and self.input_features is not None
        pixels = pixels if seen else nearest_frames(pixels, frame_mask)
        spectrogram = spectrogram if heard else spectrogram.masked_fill(~column_mask.unsqueeze(2), SILENCE)
        return Complete(pixels, frame_mask, spectrogram, column_mask, snippet_mask, (seen, heard), ordered)

    def snippets(self, first: int, end: int) -> Inputs:
        """The snippets [first, end) of every row."""
        values = {name: getattr(self, name) for name in Inputs.__dataclass_fields__}
        cut = {name: None if value is None else value[:, first:end] for name, value in values.items()}
        return replace(self, **cut)


@dataclass(frozen=True)
class Complete(Inputs):
    """Inputs with nothing missing and nothing to read under a mask: `complete` has been, once, on the host or later.

    Pixels may be uint8, (pixel - 128) / 64 as floats: a quarter of the bytes on their way to a device. `whole` says
    whether all of the picture and all of the sound is known to be real, so that attention needs no mask.
    """

    whole: tuple[bool, bool] = (False, False)
    in_order: bool = True  # in each row, padding stands behind what is real

    def complete(self, sizes: Sizes, like: Tensor) -> Complete:
        """On the device of `like`, sound in its dtype; pixels too, where they are not uint8."""
        assert self.pixel_values_videos is not None
        assert self.input_features is not None
        pixels, sound = self.pixel_values_videos, self.input_features
        expected = ((sizes.frames, CHANNELS, sizes.height, sizes.width), (sizes.mels, sizes.columns))
        for given, rest in zip((pixels, sound), expected, strict=True):
            if given.shape[2:] != rest:
                raise ValueError(f"expected (batch, snippets, {', '.join(map(str, rest))}), found {tuple(given.shape)}")
        masks = (self.frame_mask, self.column_mask, self.snippet_mask)
        frames, columns, snippets = (mask.to(like.device, non_blocking=True) for mask in masks if mask is not None)
        kind = pixels.dtype if pixels.dtype == torch.uint8 else like.dtype
        pixels, sound = pixels.to(like.device, kind, non_blocking=True), sound.to(like, non_blocking=True)
        return Complete(pixels, frames, sound, columns, snippets, self.whole, self.in_order)


@dataclass(frozen=True)
class Fused:
    """Snippets that `Encoder.fuse` has been through before: they take the place of `Inputs`, without their signals.

    tokens  (B, S, K, D)      snippet_mask  (B, S) bool, false for the padding at the end of a shorter row
    """

    tokens: Tensor
    snippet_mask: Tensor
    in_order = True

    def complete(self, sizes: Sizes, like: Tensor) -> Fused:
        """In the dtype and on the device of `like`; `ValueError` for tokens of other sizes."""
        if self.tokens.ndim != 4 or self.tokens.shape[2:] != (sizes.combined, sizes.av_width):
            raise ValueError(
                f"expected fused snippets (batch, snippets, {sizes.combined}, {sizes.av_width}), found "
                f"{tuple(self.tokens.shape)}: fuse them with this model"
            )
        check_shape("snippet_mask", self.snippet_mask, "B S", B=self.tokens.shape[0], S=self.tokens.shape[1])
        return Fused(self.tokens.to(like), self.snippet_mask.to(like.device))


@dataclass(frozen=True)
class Tokenized:
    """Clips that `Encoder.view` has been through before, tubes, patches and ViT: they take the place of `Inputs`,
    without their signals.

    tubes         (B, S, Nv, D)    tube_mask   (B, S, Nv) bool, all false in a row without picture
    patches       (B, S, Na, D)    patch_mask  (B, S, Na) bool, all false in a row without sound
    With `Sizes.vit_summary` the first of each are class and register tokens.
    snippet_mask  (B, S) bool, false for the padding at the end of a shorter row
    """

    tubes: Tensor
    tube_mask: Tensor
    patches: Tensor
    patch_mask: Tensor
    snippet_mask: Tensor
    in_order = True

    def complete(self, sizes: Sizes, like: Tensor) -> Tokenized:
        """In the dtype and on the device of `like`; `ValueError` for tokens of other sizes."""
        found = (*self.tubes.shape[2:], *self.patches.shape[2:])
        tubes, patches = sizes.viewed_tokens
        if found != (tubes, sizes.av_width, patches, sizes.av_width):
            raise ValueError(
                f"expected {tubes} tubes and {patches} patches of width {sizes.av_width} in each snippet, found "
                f"{found}: make them with this model"
            )
        axes = {"B": self.tubes.shape[0], "S": self.tubes.shape[1]}
        check_shape("patches", self.patches, "B S N D", **axes)
        check_shape("tube_mask", self.tube_mask, "B S N", N=tubes, **axes)
        check_shape("patch_mask", self.patch_mask, "B S N", N=patches, **axes)
        check_shape("snippet_mask", self.snippet_mask, "B S", **axes)
        values = (getattr(self, f.name).to(like.device) for f in fields(self))
        return Tokenized(*(value.to(like) if value.is_floating_point() else value for value in values))


def nearest_frames(pixels: Tensor, mask: Tensor) -> Tensor:
    """(B, S, F, C, H, W), mask (B, S, F): a missing frame becomes the nearest real one of its snippet, the earlier of
    two as near (as `signals.snippet_pixels` does); where a snippet has none, mid-grey (zero as a float)."""
    places = torch.arange(mask.shape[-1], device=mask.device)
    distance = 2 * (places[:, None] - places).abs() + (places > places[:, None])
    chosen = distance.masked_fill(~mask.unsqueeze(-2), 3 * len(places)).argmin(dim=-1)
    filled = pixels.gather(2, chosen[..., None, None, None].expand_as(pixels))
    return filled.masked_fill(~mask.any(dim=-1)[..., None, None, None, None], nothing("", pixels))


def nothing(name: str, like: Tensor) -> float:
    """What stands for no signal: mid-grey (zero as a float) or silence; false in a mask."""
    if name == "input_features":
        return SILENCE
    return 128 if like.dtype == torch.uint8 else 0


def silence_before(sizes: Sizes) -> np.ndarray:
    """The sound before the first snippet of a stream."""
    return np.zeros(left_samples(sizes), np.float32)


def snippet_inputs(
    frames: np.ndarray | Sequence[np.ndarray] | None, pieces: Cut, before: np.ndarray, sizes: Sizes
) -> Complete:
    """Cut snippets as inputs (1, S, ...). `before` is the sound just before them, see `signals.left_samples`."""
    pixels, frame_mask = snippet_pixels([] if frames is None else frames, pieces.frames, sizes)
    spectrogram = snippet_spectrograms(pieces.waveform, before, sizes)
    columns = column_mask(pieces.heard, sizes)
    spectrogram = spectrogram.masked_fill(~columns.unsqueeze(1), SILENCE)
    real = torch.ones(1, len(pixels), dtype=torch.bool)
    whole = bool(frame_mask.all()), bool(columns.all())
    return Complete(pixels[None], frame_mask[None], spectrogram[None], columns[None], real, whole)


def without(inputs: Inputs, *, picture: bool = False, sound: bool = False) -> Inputs:
    """The same inputs with picture or sound taken away."""
    gone = {"pixel_values_videos": "frame_mask"} if picture else {}
    gone |= {"input_features": "column_mask"} if sound else {}
    changed: dict[str, Any] = {}
    for signal, mask in gone.items():
        value = getattr(inputs, signal)
        changed |= {
            signal: torch.full_like(value, nothing(signal, value)),
            mask: torch.zeros_like(getattr(inputs, mask)),
        }
    if isinstance(inputs, Complete):
        changed["whole"] = (inputs.whole[0] and not picture, inputs.whole[1] and not sound)
    return replace(inputs, **changed)


def join_inputs(parts: Sequence[Inputs]) -> Inputs:
    """Clips of different lengths as one batch, padded at the end under false masks."""
    longest = max(part.snippet_mask.shape[1] for part in parts)  # type: ignore[union-attr]
    complete = all(isinstance(part, Complete) for part in parts)

    def join(name: str) -> Tensor:
        values = []
        for part in parts:
            value = getattr(part, name)
            missing = longest - value.shape[1]
            if missing:
                padding = value.new_full((1, missing, *value.shape[2:]), nothing(name, value))
                value = torch.cat([value, padding], dim=1)
            values.append(value)
        return torch.cat(values)

    joined = {name: join(name) for name in Inputs.__dataclass_fields__}
    if not complete:
        return Inputs(**joined)
    ordered = all(part.in_order for part in parts)  # type: ignore[attr-defined]
    even = all(part.snippet_mask.shape[1] == longest for part in parts)  # type: ignore[union-attr]
    seen, heard = (even and all(part.whole[at] for part in parts) for at in range(2))  # type: ignore[attr-defined]
    return Complete(**joined, whole=(seen, heard), in_order=ordered)
