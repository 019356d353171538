"""Limits on what one source may cost: the same for every way in. A file of some kB can claim pictures of any size."""

from __future__ import annotations

PIXELS = 50_000_000  # of one picture: 48 megapixels of a phone, 8K film; 400 MB at 8 bytes a pixel
AT_ONCE = 4_000_000  # pixels of a transparent picture that are laid on white as they are; larger ones are scaled first

# Pictures that move in a format in which a frame of some bytes can repaint a canvas of any size: pixels in all, ...
CANVAS_PIXELS = 1_000_000_000
CANVAS_PIXELS_PER_BYTE = 65_536  # ... and more for each byte of the file
CANVASES = frozenset({"gif", "apng", "png", "webp"})


def canvas_pixels(size: int) -> int:
    """How many pixels may be painted for `size` bytes."""
    return CANVAS_PIXELS + CANVAS_PIXELS_PER_BYTE * size
