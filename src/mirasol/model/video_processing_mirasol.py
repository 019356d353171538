"""The Hugging Face dress of seeing: frames -> `pixel_values_videos` (B, S, F, C, H, W) and `frame_mask` (B, S, F).

Time is cut in `snippets.py`, pictures are scaled in `signals.py`; here only the names change. (transformers' own base
class for video needs torchvision, so this derives from the one for images.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .embeddings import CHANNELS
from .feature_extraction_mirasol import check_count, check_seconds, check_tensors, clip_snippets, per_clip, plain, stack
from .signals import as_floats, snippet_pixels
from .sizes import Sizes
from .snippets import cut

Frames = np.ndarray | list[np.ndarray]


def as_clips(videos: Any) -> list[Frames | None]:
    """One clip (frames (n, h, w, 3), or a list of frames), or a list of clips with None where there is no picture."""
    if isinstance(videos, list | tuple):
        first = next((clip for clip in videos if clip is not None), None)
        is_batch = first is None or isinstance(first, list | tuple) or np.ndim(first) == 4
        return [checked(clip) for clip in videos] if is_batch else [checked(videos)]
    return [checked(clip) for clip in videos] if np.ndim(videos) == 5 else [checked(videos)]


def checked(clip: Any) -> Frames | None:
    """The frames of one clip; `ValueError` where they are no uint8 RGB pictures."""
    if clip is None:
        return None
    frames: Frames = [np.asarray(frame) for frame in clip] if isinstance(clip, list | tuple) else np.asarray(clip)
    if isinstance(frames, np.ndarray) and frames.ndim != 4:
        raise ValueError(f"expected frames of shape (n, height, width, 3), found {frames.shape}")
    for frame in frames if isinstance(frames, list) else frames[:1]:
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"expected each frame as uint8 RGB (height, width, 3), found {frame.dtype} {frame.shape}")
    return frames


class MirasolVideoProcessor(BaseImageProcessor):
    """Frames with their times to the pictures of snippets; what it sees with follows from the model's `sizes`."""

    model_input_names = ["pixel_values_videos", "frame_mask"]  # noqa: RUF012 (the name is transformers')

    def __init__(self, sizes: Sizes | dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = plain(sizes)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        values.pop("image_processor_type", None)
        return {**values, "video_processor_type": type(self).__name__}

    def times(self, frames: Frames, times: Any, fps: float | None, start: float) -> tuple[np.ndarray, float]:
        """When each frame goes on screen, and when the last one leaves it; seconds of the source."""
        if fps is not None and not (isinstance(fps, Real) and 0 < fps < math.inf):
            raise ValueError(f"expected fps as a positive number of frames per second, found {fps}")
        if times is not None:
            shown = np.asarray(times, np.float64)
        elif fps is not None:
            shown = start + np.arange(len(frames)) / fps
        else:
            raise ValueError("expected video_times (seconds at which each frame goes on screen) or fps, found neither")
        if not np.isfinite(shown).all():
            raise ValueError("expected video_times and start as finite seconds, found NaN or infinity")
        if shown.shape != (len(frames),) or (np.diff(shown) < 0).any():
            raise ValueError(
                f"expected video_times as {len(frames)} rising seconds, one for each frame; found shape {shown.shape}"
            )
        if fps is not None:
            step = 1 / fps
        else:
            step = float(np.median(np.diff(shown))) if len(shown) > 1 else 1 / self.sizes["frame_rate"]
        return shown, float(shown[-1]) + step if len(shown) else start

    def __call__(
        self,
        videos: Any,
        *,
        video_times: Any = None,
        fps: float | Sequence[float] | None = None,
        start: float | Sequence[float] = 0.0,
        end: float | Sequence[float] | None = None,
        snippets: int | Sequence[int] | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """`videos`: frames (n, h, w, 3) uint8 of one clip, or a list of clips, None in it where one has no picture.

        All seconds are seconds of the source: `video_times` (n,) at which each frame goes on screen (for several clips
        a list), or `fps` where they are evenly spaced from `start` on; `end` of the picture (default: the last frame
        stays as long as the others). `snippets`: how many to cut from each clip (default: to the end of its picture).
        """
        check_tensors(return_tensors)
        sizes, clips = Sizes.from_dict(self.sizes), as_clips(videos)
        count = len(clips)
        wanted = per_clip(snippets, count, "snippets")
        parts = []
        for clip, times, rate, origin, stop, number in zip(
            clips, times_per_clip(video_times, count), per_clip(fps, count, "fps"), per_clip(start, count, "start"),
            per_clip(end, count, "end"), wanted, strict=True,
        ):  # fmt: skip
            if clip is None:
                nothing = torch.zeros(0, sizes.frames, CHANNELS, sizes.height, sizes.width)
                parts.append((nothing, torch.zeros(0, sizes.frames, dtype=torch.bool)))
                continue
            check_seconds(origin, stop)
            shown, last = self.times(clip, times, rate, origin)
            last = last if stop is None else stop
            number = clip_snippets(sizes, origin, last) if number is None else number
            check_count(sizes, number)
            pieces = cut(sizes, origin=origin, first=0, count=number, frame_times=shown, picture_end=last)
            pixels, mask = snippet_pixels(clip, pieces.frames, sizes)
            parts.append((as_floats(pixels), mask))
        return BatchFeature(stack(parts, self.model_input_names, [number or 0 for number in wanted]))


def times_per_clip(times: Any, count: int) -> list[Any]:
    """The times of one clip (n,), or a list with those of each clip (None where it has none), as a list of `count`."""
    if times is None:
        return [None] * count
    nested = isinstance(times, list | tuple) and any(time is None or np.ndim(time) == 1 for time in times)
    return per_clip(list(times), count, "video_times") if nested else per_clip([times], count, "video_times")
