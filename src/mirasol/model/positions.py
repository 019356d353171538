"""Fixed positions: sine-cosine for tubes, patches and seconds, rotary angles for sequences. Functions, never buffers.

Sine-cosine positions follow TubeViT (arXiv 2212.03229): a token is placed at the centre of its tube in
video coordinates (kernel, stride and offset included), with frequencies 10000^(-j/J) for each axis.

Tables that depend on sizes alone are made once on the host, in float64, and stay on the device as float32
(`on_device`). Angles of growing counts (snippets of a day, positions of a text) are counted as fractions of a turn in
whole numbers (`angles`), so a device needs no float64 and an angle after a day is as exact as the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .sizes import Sizes, TubeShape

TURN_BITS = 40  # of a whole turn; snippet 2**23 (97 days of seconds) is the first whose product wraps, and may
KEPT_BITS = 24  # of them reach the sine: what float32 holds


@lru_cache(maxsize=256)
def _on_device(make: Callable[..., Tensor], device: str, *values: object) -> Tensor:
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        return make(*values).to(device)


@torch.compiler.assume_constant_result
def on_device(make: Callable[..., Tensor], device: str, *values: object) -> Tensor:
    """`make(*values)`, computed once for each device and kept there; a constant to a compiler. Never change it."""
    return _on_device(make, device, *values)


def sincos(coordinates: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """(..., axes) coordinates -> (..., width): sine and cosine of every axis at width // (2 axes) frequencies.

    What is left over of the width stays zero. Computed in float64, given back in float32.
    """
    axes = coordinates.shape[-1]
    count = width // (2 * axes)
    if count < 1:
        raise ValueError(f"a width of at least {2 * axes} is needed for {axes} axes; found {width}")
    steps = torch.arange(count, dtype=torch.float64, device=coordinates.device)
    angles = coordinates.double().unsqueeze(-1) * longest ** (-steps / count)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-3)
    return torch.nn.functional.pad(waves, (0, width - waves.shape[-1])).float()


def tube_centres(tube: TubeShape, lengths: tuple[int, int, int]) -> Tensor:
    """Centres (tokens, 3) of one tube shape on a (frames, height, width) clip: frames and pixels, time outermost."""
    axes = []
    for length, kernel, stride, offset in zip(lengths, *tube, strict=True):
        axes.append(torch.arange(offset, length - kernel + 1, stride, dtype=torch.float64) + kernel / 2)
    return torch.cartesian_prod(*axes)


def tube_positions(sizes: Sizes) -> Tensor:
    """(Nv, D) positions of all tubes of a snippet, in the order of their tokens."""
    lengths = (sizes.frames, sizes.height, sizes.width)
    centres = torch.cat([tube_centres(tube, lengths) for tube in sizes.tubes])
    return sincos(centres, sizes.av_width)


def patch_positions(sizes: Sizes) -> Tensor:
    """(Na, D) positions of the spectrogram patches of a snippet: centre in mel bins and in columns, mel outermost."""
    (rows, columns), (height, width) = sizes.patch_grid, sizes.patch
    down, across = sizes.patch_steps
    low = torch.arange(rows, dtype=torch.float64) * down + height / 2
    early = torch.arange(columns, dtype=torch.float64) * across + width / 2
    return sincos(torch.cartesian_prod(low, early), sizes.av_width)


def tube_centre_places(sizes: Sizes) -> Tensor:
    """Where the tubes of a snippet lie: their centres (Nv, 2) down and across as shares of the picture."""
    lengths = (sizes.frames, sizes.height, sizes.width)
    places = [tube_centres(tube, lengths)[:, 1:] / torch.tensor(lengths[1:]) for tube in sizes.tubes]
    return torch.cat(places)


def tube_shares(sizes: Sizes) -> Tensor:
    """What share each frame has in each tube of a snippet, (Nv, F)."""
    shares = []
    for at, (kernel, stride, offset) in enumerate(sizes.tubes):
        times, rows, columns = sizes.tube_grid(at)
        share = torch.zeros(times, sizes.frames, dtype=torch.float64)
        for time in range(times):
            start = offset[0] + time * stride[0]
            share[time, start : start + kernel[0]] = 1 / kernel[0]
        shares.append(share.repeat_interleave(rows * columns, dim=0))
    return torch.cat(shares)


def tube_cells(sizes: Sizes) -> Tensor:
    """Which tubes lie in which cell of `Sizes.combiner_cells`, cells row by row: (cells, Nv), of 0 and 1."""
    rows, columns = sizes.combiner_cells
    down, across = (tube_centre_places(sizes) * torch.tensor([rows, columns])).long().unbind(dim=-1)
    return F.one_hot(down * columns + across, rows * columns).T


def patch_places(sizes: Sizes) -> Tensor:
    """Centres (Na, 2) of spectrogram patches as shares of the learned grid: down over all mel bins, across patch for
    patch from its beginning."""
    rows, columns = sizes.patch_grid
    low = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    early = (torch.arange(columns, dtype=torch.float64) + 0.5) / sizes.sound_grid[1]
    return torch.cartesian_prod(low, early)


def sampled(table: Tensor, grid: tuple[int, ...], places: Tensor) -> Tensor:
    """Learned positions (rows * columns, D) of a grid, read between its points: at places (N, 2), shares from 0 to 1
    down and across, -> (N, D). Bicubic; the same numbers as scaling the grid gives, and exact at its own points."""
    rows, columns = grid
    picture = rearrange(table.float(), "(r c) d -> 1 d r c", r=rows, c=columns)
    across_down = places.flip(-1)[None, None].float() * 2 - 1
    found = torch.nn.functional.grid_sample(
        picture, across_down, mode="bicubic", padding_mode="border", align_corners=False
    )
    return rearrange(found, "1 d 1 n -> n d").to(table.dtype)


def turns(speeds: Tensor) -> Tensor:
    """Turns per step (J,) float64 -> the same in units of 2**-TURN_BITS, whole turns taken off, int64."""
    return ((speeds % 1.0) * 2.0**TURN_BITS).round().long()


def angles(steps: Tensor, speeds: Callable[..., Tensor], values: tuple[object, ...], bits: int = 0) -> Tensor:
    """(...) int64 steps, in units of 2**-bits -> (..., J) radians within about one turn, float32.

    `speeds(*values)` (J,): turns per step. However many whole steps, their angle is exact.
    """
    device = str(steps.device)
    whole = steps >> bits if bits else steps
    phases = (whole.unsqueeze(-1) * on_device(_turns, device, speeds, *values)) & (2**TURN_BITS - 1)
    share = (phases >> (TURN_BITS - KEPT_BITS)).float() / 2**KEPT_BITS
    if bits:
        rest = (steps & (2**bits - 1)).float() / 2**bits
        share = share + rest.unsqueeze(-1) * on_device(_floats, device, speeds, *values)
    return share * (2 * math.pi)


def seconds_speeds(seconds: float, width: int) -> Tensor:
    """Turns that each sine of `seconds_features` makes in one step of so many seconds, (width // 2,) float64."""
    count = width // 2
    periods = 2.0 * (130_000.0 ** (torch.arange(count, dtype=torch.float64) / max(1, count - 1)))
    return seconds / periods


def seconds_features(steps: Tensor, seconds: float, width: int, bits: int = 0) -> Tensor:
    """(...) steps of so many seconds each, int64 in units of 2**-bits -> (..., width): sines and cosines with periods
    from 2 seconds to about 3 days, exact after any time."""
    angle = angles(steps, seconds_speeds, (seconds, width), bits)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def rotary_speeds(head_width: int, base: float, scaling: tuple[float, ...]) -> Tensor:
    """Turns per position of each pair of a head, (head_width / 2,) float64.

    `scaling`, see `Sizes.text_rope_scaling`: angles that turn slowly (less than the low factor's rounds over the
    positions before scaling) are divided by the factor, fast ones stay, between them it is blended (Llama 3.1).
    """
    steps = torch.arange(head_width // 2, dtype=torch.float64)
    speeds = base ** (-2 * steps / head_width)
    if scaling:
        factor, low, high, before = scaling
        rounds = before * speeds / (2 * math.pi)
        keep = ((rounds - low) / (high - low)).clamp(0, 1)
        speeds = keep * speeds + (1 - keep) * speeds / factor
    return speeds / (2 * math.pi)


def rotary(
    positions: Tensor, head_width: int, base: float = 10_000.0, scaling: tuple[float, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, 1, Q, head_width / 2) for whole-number positions (B, Q); see `rotary_speeds`."""
    angle = rearrange(angles(positions, rotary_speeds, (head_width, base, scaling)), "b q d -> b 1 q d")
    return angle.cos(), angle.sin()


def _floats(speeds: Callable[..., Tensor], *values: object) -> Tensor:
    return speeds(*values).float()


def _turns(speeds: Callable[..., Tensor], *values: object) -> Tensor:
    return turns(speeds(*values))
