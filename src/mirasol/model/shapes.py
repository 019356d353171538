"""One line for a tensor of the wrong shape: the axes that a part expects, by their letters, and what it found.

    axes = check_shape("tokens", tokens, "B N D", D=128)        -> {"B": 2, "N": 7, "D": 128}
    check_shape("mask", mask, "B N", **axes)
    ValueError: expected mask of shape (B=2, N=7), found (2, 8)

Letters as in `sizes`. Only shapes are looked at: nothing is read from the device.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def check_shape(what: str, value: Any, axes: str, **sizes: int) -> dict[str, int]:
    """`ValueError` unless `value` is a tensor with these axes; a letter in `sizes` has that length, others any. All
    lengths known then. "..." in front stands for any number of axes."""
    letters = axes.split()
    if not isinstance(value, Tensor):
        raise ValueError(f"expected {what} as a tensor of shape {written(letters, sizes)}, found {kind(value)}")
    shape = tuple(value.shape)
    if letters[0] == "...":
        fits, named = len(shape) >= len(letters) - 1, letters[1:]
        shape = shape[len(shape) - len(named) :] if fits else shape
    else:
        fits, named = len(shape) == len(letters), letters
    if not fits or any(sizes.get(letter, length) != length for letter, length in zip(named, shape, strict=True)):
        raise ValueError(f"expected {what} of shape {written(letters, sizes)}, found {tuple(value.shape)}")
    return {**sizes, **dict(zip(named, shape, strict=True))}


def written(letters: list[str], sizes: dict[str, int]) -> str:
    """(B=2, N, D=128), with the lengths that are known."""
    words = [f"{letter}={sizes[letter]}" if letter in sizes else letter for letter in letters]
    return f"({', '.join(words)}{',' * (len(words) == 1)})"


def kind(value: Any) -> str:
    """What something is that is no tensor."""
    return "none" if value is None else f"a {type(value).__name__}"
