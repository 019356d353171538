"""The 24 kinds of things of Toybox and their seven colours, and sprites of them."""

import numpy as np

from .drawings import Sketch
from .drawings_animals import ANIMALS
from .drawings_objects import OBJECTS

# The order is part of the format: answers, held-out tables and trained models depend on it.
KINDS: tuple[str, ...] = (
    "dog", "cat", "bird", "cow", "duck", "frog", "bee", "owl", "horse", "snake",
    "bell", "drum", "guitar", "trumpet", "piano", "whistle", "clock", "phone",
    "car", "train", "helicopter", "boat", "robot", "rocket",
)  # fmt: skip

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (218, 40, 44),
    "orange": (246, 138, 28),
    "yellow": (246, 222, 58),
    "green": (52, 170, 74),
    "blue": (48, 100, 222),
    "purple": (150, 62, 186),
    "white": (238, 238, 238),
}

_SKETCHES = {**ANIMALS, **OBJECTS}


def draw_thing(kind: str, colour: str, height: int, rng: np.random.Generator) -> np.ndarray:
    """One thing as a sprite, (height, w, 4) uint8 RGBA with straight alpha, cropped tightly, w <= 1.3 * height.

    The generator decides pose, proportions, texture, and the exact shade of the colour.
    """
    if kind not in _SKETCHES:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; found {kind!r}")
    if colour not in COLOURS:
        raise ValueError(f"colour must be one of {', '.join(COLOURS)}; found {colour!r}")
    if height < 8:
        raise ValueError(f"height must be at least 8 pixels to show a thing; found {height}")
    sketch = Sketch(rng)
    _SKETCHES[kind](sketch)
    shade = np.array(COLOURS[colour]) * (0.9 + 0.2 * rng.random()) + rng.uniform(-9.0, 9.0, 3)
    if colour == "white":  # a tint would turn it into another colour
        shade[:] = 226.0 + 26.0 * rng.random()
    red, green, blue = np.clip(shade, 0, 255).astype(int).tolist()
    turn = 24.0 * rng.random() - 12.0
    return sketch.draw((red, green, blue), height, turn, mirror=bool(rng.random() < 0.5))
