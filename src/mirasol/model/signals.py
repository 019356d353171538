"""From frames and waveform to what the encoder reads: scaled pictures and a causal log-mel spectrogram.

Nothing here depends on what comes later in the stream or on its loudness: a snippet's pictures and spectrogram are the
same whether the file is whole or arrives in pieces. The spectrogram needs `left_samples` of sound from before the
snippet; a stream carries them along, at the start they are zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .sizes import Sizes

# Pixels from 0 to 255 become (pixel - 128) / 64: the same as this mean and deviation of pixels from 0 to 1.
PIXEL_MEAN, PIXEL_STD = 128 / 255, 64 / 255
# log10 of mel power, brought to about mean 0 and deviation 1 on Toybox; fixed, so that loudness keeps its meaning.
FLOOR, CENTRE, SPREAD = 1e-4, -2.2, 1.2
SILENCE = (math.log10(FLOOR) - CENTRE) / SPREAD  # what `log_mel` says of no sound at all


def left_samples(sizes: Sizes) -> int:
    """Samples from before a snippet that its first columns reach back to."""
    return max(0, sizes.window - sizes.hop)


@lru_cache(maxsize=8)
def mel_filters(bins: int, mels: int, sample_rate: int) -> np.ndarray:
    """(mels, bins) triangular filters, equal steps on Slaney's mel scale up to half the rate, each of area one.

    Slaney's scale is linear up to 1000 Hz (15 mels) and logarithmic above (27 steps per factor 6.4).
    """
    step = np.log(6.4) / 27

    def to_mel(hertz: np.ndarray) -> np.ndarray:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) / step)

    def to_hertz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))

    edges = to_hertz(np.linspace(0.0, to_mel(np.array(sample_rate / 2)), mels + 2))
    bands = np.linspace(0.0, sample_rate / 2, bins)
    rise = (bands[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bands[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def log_mel(waveform: Tensor, sizes: Sizes) -> Tensor:
    """(..., left_samples + n * hop) waveform -> (..., M, n); column j ends at sample (j + 1) * hop of the new sound."""
    window = torch.hann_window(sizes.window, dtype=waveform.dtype, device=waveform.device)
    lead = sizes.window - sizes.hop - left_samples(sizes)  # negative only where the hop is longer than the window
    columns = waveform[..., -lead if lead < 0 else 0 :].unfold(-1, sizes.window, sizes.hop)
    power = torch.fft.rfft(columns * window).abs().square()
    filters = torch.from_numpy(mel_filters(power.shape[-1], sizes.mels, sizes.sample_rate)).to(power)
    mel = power @ filters.T
    return (((mel + FLOOR).log10() - CENTRE) / SPREAD).transpose(-1, -2)


def snippet_spectrograms(waveform: np.ndarray, before: np.ndarray, sizes: Sizes) -> Tensor:
    """(S, samples) consecutive snippets and the `left_samples` before them -> (S, M, L)."""
    whole = torch.from_numpy(np.concatenate([before, waveform.reshape(-1)]).astype(np.float32))
    return log_mel(whole, sizes).unflatten(-1, (len(waveform), sizes.columns)).transpose(0, 1)


def column_mask(heard: np.ndarray, sizes: Sizes) -> Tensor:
    """(S, samples) real samples -> (S, L): a column is real where any of its own hop's samples is."""
    return torch.from_numpy(heard.reshape(len(heard), sizes.columns, sizes.hop).any(axis=-1))


def letterbox(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (height, width, 3): scaled to fit with its proportions kept, the rest mid-grey."""
    h, w = frame.shape[:2]
    if (h, w) == (height, width):
        return frame
    scale = min(height / h, width / w)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    if size != (w, h):
        frame = np.asarray(
            Image.fromarray(frame).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
        )
    canvas = np.full((height, width, 3), 128, np.uint8)
    top, left = (height - frame.shape[0]) // 2, (width - frame.shape[1]) // 2
    canvas[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return canvas


def snippet_pixels(
    frames: np.ndarray | Sequence[np.ndarray], chosen: np.ndarray, sizes: Sizes
) -> tuple[Tensor, Tensor]:
    """Frames (n, h, w, 3) and the choice (S, F) of each snippet -> pixels (S, F, C, H, W) uint8 and mask (S, F).

    A missing frame inside a snippet that has others is filled with its nearest neighbour, and stays marked as missing.
    """
    count = chosen.shape[0]
    pixels = np.full((count, sizes.frames, sizes.height, sizes.width, 3), 128, np.uint8)
    scaled: dict[int, np.ndarray] = {}
    for snippet in range(count):
        there = np.flatnonzero(chosen[snippet] >= 0)
        for frame in range(sizes.frames) if len(there) else ():
            index = int(chosen[snippet, there[np.abs(there - frame).argmin()]])
            if index not in scaled:
                scaled[index] = letterbox(frames[index], sizes.height, sizes.width)
            pixels[snippet, frame] = scaled[index]
    return torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).contiguous(), torch.from_numpy(chosen >= 0)


def as_floats(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 pixels -> (pixel - 128) / 64, in -2..2, exact in every dtype with 8 bits; floats stay as they are."""
    return pixels.to(dtype) / 64 - 2 if pixels.dtype == torch.uint8 else pixels
