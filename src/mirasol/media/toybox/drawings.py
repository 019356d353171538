"""A sketch: shapes in a unit plane, gathered first and drawn once as a small RGBA sprite.

Coordinates: x grows to the right and y downwards, about -1 to 1 each; only proportions count, because the finished
sketch is scaled to the asked height. Things are sketched facing right and upright, then mirrored and turned whole.
Shapes are drawn into one plane of ink numbers at several times the asked size, which a table turns into colours at the
end: a quarter of the cost of drawing RGBA, and a texture is laid on the body alone by replacing its ink.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

# Inks. The first three follow the thing's colour, the others are neutral and the same for every colour.
EMPTY, BODY, DARK, LIGHT, BLACK, GREY, PALE, STEEL = range(8)
NEUTRALS = {BLACK: (28, 28, 32), GREY: (110, 110, 114), PALE: (232, 230, 224), STEEL: (172, 174, 180)}
OUTLINE = (24, 22, 26)

Points = Sequence[tuple[float, float]]

_TURNS = {n: np.stack([np.cos(a), np.sin(a)], 1) for n in (12, 20, 36) for a in [np.arange(n) * (2 * math.pi / n)]}


class Sketch:
    """Shapes of one thing, and the random numbers that vary them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._points: list[np.ndarray] = []  # (n, 2) each
        self._inks: list[int] = []
        self._widths: list[float] = []  # 0: a filled polygon, else a line of that width

    def vary(self, value: float, amount: float = 0.12) -> float:
        """The value, up to `amount` (a fraction of it) larger or smaller."""
        return value * (1.0 + amount * (2.0 * self.rng.random() - 1.0))

    def shift(self, amount: float) -> float:
        """A number between -amount and amount."""
        return amount * (2.0 * self.rng.random() - 1.0)

    def chance(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def poly(self, points: Points, ink: int = BODY) -> None:
        self._add(np.asarray(points, dtype=np.float64), ink, 0.0)

    def box(self, left: float, top: float, right: float, bottom: float, ink: int = BODY) -> None:
        self.poly([(left, top), (right, top), (right, bottom), (left, bottom)], ink)

    def oval(self, x: float, y: float, rx: float, ry: float, ink: int = BODY, turn: float = 0.0) -> None:
        """An ellipse; `turn` in degrees, clockwise."""
        circle = _TURNS[36 if max(rx, ry) > 0.3 else 20 if max(rx, ry) > 0.1 else 12] * (rx, ry)
        if turn:
            a = math.radians(turn)
            circle = circle @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        self._add(circle + np.array((x, y)), ink, 0.0)

    def line(self, points: Points, width: float, ink: int = BODY) -> None:
        """A line with round ends."""
        self._add(np.asarray(points, dtype=np.float64), ink, width)

    def curve(self, points: Points, width: float, ink: int = BODY, steps: int = 8) -> None:
        """A smooth line: the Bezier curve of its three or four points."""
        p = np.asarray(points, dtype=np.float64)
        t = np.linspace(0.0, 1.0, steps)[:, None]
        order = len(p) - 1
        mix = np.concatenate([math.comb(order, k) * t**k * (1 - t) ** (order - k) for k in range(order + 1)], 1)
        self._ribbon(mix @ p, width, ink)

    def smooth(self, points: Points, width: float, ink: int = BODY, steps: int = 4) -> None:
        """A smooth line through all of its points (a Catmull-Rom spline)."""
        p = np.asarray(points, dtype=np.float64)
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        t = (np.arange(steps) / steps)[None, :, None]
        a, b, c, d = (p[k : len(p) - 3 + k, None] for k in range(4))
        path = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        self._ribbon(np.concatenate([path.reshape(-1, 2), p[-2:-1]]), width, ink)

    def _ribbon(self, path: np.ndarray, width: float, ink: int) -> None:
        """A thick smooth line as one polygon (much quicker than a line with joints) with round ends; path (n, 2)."""
        ahead = np.empty_like(path)
        ahead[1:-1] = path[2:] - path[:-2]
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
        ahead *= 0.5 * width / np.sqrt((ahead**2).sum(1, keepdims=True))
        side = ahead[:, ::-1] * np.array((-1.0, 1.0))
        self._add(np.concatenate([path + side, (path - side)[::-1]]), ink, 0.0)
        for x, y in (path[0], path[-1]):
            self.oval(x, y, width / 2, width / 2, ink)

    def _add(self, points: np.ndarray, ink: int, width: float) -> None:
        self._points.append(points)
        self._inks.append(ink)
        self._widths.append(width)

    def draw(self, colour: tuple[int, int, int], height: int, turn: float, mirror: bool) -> np.ndarray:
        """(height, w, 4) uint8 with straight alpha; `turn` in degrees. Its width is at most 1.3 times its height."""
        fine = 4 if height <= 256 else 2
        edge = max(1, round(height / 32))
        points = np.concatenate(self._points)
        if mirror:
            points = points * (-1.0, 1.0)
        a = math.radians(turn)
        points = points @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        reach = np.repeat([w / 2 for w in self._widths], [len(p) for p in self._points])[:, None]
        low, high = (points - reach).min(0), (points + reach).max(0)
        span = high - low
        scale_y = (height - 2 * edge) / span[1]
        scale_x = min(scale_y, (int(1.3 * height) - 2 * edge) / span[0])  # a sketch that is too wide is squeezed
        width = math.ceil(span[0] * scale_x - 1e-6) + 2 * edge
        points = ((points - low) * (scale_x, scale_y) + edge) * fine
        plane = Image.new("L", (width * fine, height * fine), EMPTY)
        self._fill(ImageDraw.Draw(plane), points, scale_y * fine)
        inks = np.array(plane)
        lay_texture(inks, self.rng)
        rgba = palette(colour).view(np.uint32)[:, 0].take(inks).view(np.uint8).reshape(*inks.shape, 4)
        small = np.array(Image.fromarray(rgba).reduce(fine))
        sprite = add_outline(shade(small, self.rng), edge)
        used = np.flatnonzero(sprite[..., 3].max(0))
        return sprite[:, used[0] : used[-1] + 1]

    def _fill(self, pen: ImageDraw.ImageDraw, points: np.ndarray, scale: float) -> None:
        flat = points.ravel().tolist()
        at = 0
        for shape, ink, width in zip(self._points, self._inks, self._widths, strict=True):
            xy = flat[at : at + 2 * len(shape)]
            at += 2 * len(shape)
            if not width:
                pen.polygon(xy, fill=ink)
                continue
            thick = max(2, round(width * scale))
            pen.line(xy, fill=ink, width=thick, joint="curve" if len(shape) > 2 else None)
            r = thick / 2 - 0.5
            for x, y in (xy[:2], xy[-2:]):
                pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)


def palette(colour: tuple[int, int, int]) -> np.ndarray:
    """(8, 4) uint8: RGBA by ink."""
    table = np.zeros((8, 4), dtype=np.uint8)
    body = np.array(colour, dtype=np.float64)
    table[BODY, :3] = body
    table[DARK, :3] = 0.68 * body
    table[LIGHT, :3] = body + 0.3 * (255 - body)
    for ink, rgb in NEUTRALS.items():
        table[ink, :3] = rgb
    table[1:, 3] = 255
    return table


def lay_texture(inks: np.ndarray, rng: np.random.Generator) -> None:
    """Lays stripes, spots or nothing on the body, in place; inks (h, w)."""
    choice = rng.random()
    angle, period = rng.random() * math.pi, inks.shape[0] * (0.14 + 0.12 * rng.random())
    ink = DARK if rng.random() < 0.6 else LIGHT
    if choice < 0.5:
        return
    x = np.arange(inks.shape[1], dtype=np.float32)[None, :] / period
    y = np.arange(inks.shape[0], dtype=np.float32)[:, None] / period
    c, s = math.cos(angle), math.sin(angle)
    along = c * x + s * y
    along -= np.floor(along)
    if choice < 0.75:
        pattern = along < 0.35
    else:
        across = c * y - s * x
        across -= np.floor(across)
        pattern = (along - 0.5) ** 2 + (across - 0.5) ** 2 < 0.09
    inks[pattern & (inks == BODY)] = ink


def shade(sprite: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side: brightness changes evenly over the sprite by up to 15 percent each way."""
    dx, dy = (0.3 * (rng.random(2) - 0.5)).tolist()
    rows, columns = sprite.shape[:2]
    x = np.arange(columns, dtype=np.float32) * (2 * dx / columns) + (1.0 - dx - dy)
    y = np.arange(rows, dtype=np.float32) * (2 * dy / rows)
    light = sprite[..., :3] * (y[:, None] + x)[..., None]
    sprite[..., :3] = np.minimum(light, 255.0)
    return sprite


def add_outline(sprite: np.ndarray, edge: int) -> np.ndarray:
    """Puts a dark outline of `edge` pixels around what is drawn; (h, w, 4) with a margin of at least `edge`."""
    alpha = sprite[..., 3]
    grown = alpha.copy()
    for step in range(edge):
        last = grown.copy()
        np.maximum(grown[1:], last[:-1], out=grown[1:])
        np.maximum(grown[:-1], last[1:], out=grown[:-1])
        if step % 2:  # a cross and a square in turn grow into an octagon, which passes for a disc
            last = grown.copy()
        np.maximum(grown[:, 1:], last[:, :-1], out=grown[:, 1:])
        np.maximum(grown[:, :-1], last[:, 1:], out=grown[:, :-1])
    inside = (alpha / np.maximum(grown, 1)).astype(np.float32)[..., None]
    sprite[..., :3] = sprite[..., :3] * inside + np.array(OUTLINE, dtype=np.float32) * (1 - inside) + 0.5
    sprite[..., 3] = grown
    return sprite
