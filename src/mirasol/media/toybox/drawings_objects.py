"""Sketches of the fourteen objects. Each function adds the shapes of one object, facing right, back to front."""

import math
from collections.abc import Callable

from .drawings import BLACK, BODY, DARK, GREY, LIGHT, PALE, STEEL, Sketch


def bell(s: Sketch) -> None:
    wide, swing = s.vary(0.8), s.shift(0.3)
    s.oval(0, -0.9, 0.17, 0.17, GREY)
    s.oval(0, -0.9, 0.08, 0.08, BLACK)
    s.oval(swing, 0.78, 0.2, 0.2, BLACK)
    s.poly([(-0.12, -0.8), (0.12, -0.8), (0.36, -0.62), (0.47, -0.2), (0.55, 0.25), (wide, 0.6), (wide, 0.72),
            (-wide, 0.72), (-wide, 0.6), (-0.55, 0.25), (-0.47, -0.2), (-0.36, -0.62)])  # fmt: skip
    s.box(-wide, 0.56, wide, 0.72, DARK)
    s.curve([(-0.25, -0.5), (-0.34, -0.1), (-0.38, 0.3)], 0.1, LIGHT, 5)


def drum(s: Sketch) -> None:
    wide, top, foot = s.vary(0.78, 0.08), -0.2, s.vary(0.72)
    s.oval(0, foot, wide, 0.24, DARK)
    s.box(-wide, top, wide, foot)
    s.oval(0, foot - 0.06, wide, 0.22)
    count = 5 + int(s.chance())
    zig = [(-wide + 2 * wide * k / count, top + 0.3 if k % 2 else foot) for k in range(count + 1)]
    s.line(zig, 0.07, BLACK)
    s.oval(0, top, wide + 0.04, 0.28, BLACK)
    s.oval(0, top - 0.03, wide - 0.07, 0.2, PALE)
    for side in (-1, 1):
        end = (side * (0.66 + s.shift(0.15)), -0.9 + s.shift(0.1))
        s.line([(side * 0.12, top - 0.05), end], 0.09, GREY)
        s.oval(side * 0.12, top - 0.05, 0.12, 0.09, BLACK)


def guitar(s: Sketch) -> None:
    lean = math.radians(s.vary(38))
    c, n = math.cos(lean), math.sin(lean)

    def at(along: float, across: float) -> tuple[float, float]:
        """A place on the guitar: along its neck, and across it."""
        return along * n - across * -c, -along * c + across * n

    neck, low = s.vary(1.05), s.vary(0.5)
    s.line([at(-0.1, 0), at(neck, 0)], 0.17, BLACK)
    s.line([at(neck, 0), at(neck + 0.22, 0)], 0.28, GREY)
    s.oval(*at(-0.55, 0), low, low)
    s.oval(*at(0.02, 0), s.vary(0.36), 0.36)
    s.oval(*at(-0.12, 0), 0.17, 0.17, BLACK)
    s.line([at(-0.75, -0.2), at(-0.75, 0.2)], 0.1, BLACK)
    s.line([at(-0.75, 0), at(neck, 0)], 0.04, PALE)


def trumpet(s: Sketch) -> None:
    lean = math.radians(-s.vary(28))
    c, n = math.cos(lean), math.sin(lean)

    def turn(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * c - y * n, x * n + y * c) for x, y in points]

    flare = s.vary(0.5)
    s.line(turn([(-0.5, 0.28), (0.3, 0.28)]), 0.13)
    s.curve(turn([(-0.5, 0.0), (-0.78, 0.0), (-0.78, 0.28), (-0.5, 0.28)]), 0.13)
    s.curve(turn([(0.3, 0.0), (0.58, 0.0), (0.58, 0.28), (0.3, 0.28)]), 0.13)
    s.line(turn([(-1.05, 0.0), (0.5, 0.0)]), 0.14)
    s.line(turn([(-1.1, -0.1), (-1.1, 0.1)]), 0.14, BLACK)
    s.poly(turn([(0.3, -0.09), (0.7, -0.16), (0.95, -flare), (1.08, -flare), (1.08, flare), (0.95, flare), (0.7, 0.16),
                 (0.3, 0.09)]))  # fmt: skip
    s.line(turn([(1.06, -flare), (1.06, flare)]), 0.12, DARK)
    for k, x in enumerate((-0.32, -0.1, 0.12)):
        up = -0.34 + (0.1 if s.chance(0.4) else 0.0)
        s.line(turn([(x, up), (x, 0.4)]), 0.15, GREY if k % 2 else STEEL)
        s.line(turn([(x - 0.05, up - 0.03), (x + 0.05, up - 0.03)]), 0.1, BLACK)


def piano(s: Sketch) -> None:
    lid, wide = s.vary(0.75), s.vary(0.95, 0.06)
    for x in (-wide + 0.15, 0.1, wide - 0.15):
        s.line([(x, 0.3), (x, 0.95)], 0.14, BLACK)
    s.line([(0.3, 0.1), (0.42, -0.5)], 0.07, GREY)
    s.poly([(-wide, -0.05), (-wide + 0.05, -0.25 - lid), (wide * 0.55, -0.1 - lid), (wide, -0.3), (wide, -0.05)], DARK)
    s.poly([(-wide + 0.16, -0.12), (-wide + 0.2, -0.1 - lid), (wide * 0.5, 0.02 - lid), (wide * 0.8, -0.25)], BLACK)
    s.box(-wide, -0.1, wide, 0.42)
    s.box(-wide - 0.05, 0.08, wide * 0.75, 0.32, PALE)
    count = 6 + int(s.rng.integers(3))
    for k in range(count):
        x = -wide + 0.08 + (1.7 * wide - 0.08) * k / count
        s.box(x, 0.08, x + 0.1, 0.23, BLACK)


def whistle(s: Sketch) -> None:
    round_, mouth = s.vary(0.5, 0.08), s.vary(0.85)
    s.oval(-0.3, -0.6, 0.17, 0.17, GREY)
    s.oval(-0.3, -0.6, 0.09, 0.09, PALE)
    s.poly([(-0.3, -round_ + 0.2), (mouth, -round_ + 0.2), (mouth, 0.12), (0.1, 0.3)])
    s.box(mouth - 0.12, -round_ + 0.18, mouth + 0.03, 0.14, BLACK)
    s.oval(-0.3, 0.2, round_ + 0.06, round_ + 0.06)
    s.oval(-0.3, 0.2, round_ * 0.6, round_ * 0.6, BLACK)
    s.oval(-0.3 + s.shift(0.1), 0.28 + s.shift(0.06), 0.15, 0.15, PALE)
    s.poly([(0.2, -round_ + 0.16), (0.5, -round_ + 0.16), (0.32, -0.04)], BLACK)


def clock(s: Sketch) -> None:
    size = s.vary(0.74, 0.06)
    for side in (-1, 1):
        s.line([(side * 0.4, 0.6), (side * 0.6, 0.98)], 0.16, BLACK)
        s.line([(side * 0.3, -0.5), (side * 0.5, -0.76)], 0.12, BLACK)
        s.oval(side * 0.52, -0.76, 0.28, 0.19, GREY, side * 38)
    s.line([(0, -0.7), (0, -0.95)], 0.12, BLACK)
    s.oval(0, 0.08, size, size)
    face = size * s.vary(0.64, 0.06)
    s.oval(0, 0.08, face, face, PALE)
    for reach, width in ((0.5, 0.13), (0.8, 0.09)):
        a = s.rng.random() * 2 * math.pi
        s.line([(0, 0.08), (reach * face * math.cos(a), 0.08 + reach * face * math.sin(a))], width, BLACK)


def phone(s: Sketch) -> None:
    wide, lift = s.vary(0.78, 0.08), s.shift(0.06)
    s.poly([(-0.4, -0.2), (0.4, -0.2), (wide, 0.62), (wide, 0.86), (-wide, 0.86), (-wide, 0.62)])
    s.box(-wide, 0.74, wide, 0.88, BLACK)
    for side in (-1, 1):
        s.box(side * 0.3 - 0.07, -0.42, side * 0.3 + 0.07, -0.1, GREY)
    s.oval(0, 0.3, 0.34, 0.34, PALE)
    s.oval(0, 0.3, 0.14, 0.14, BLACK)
    for k in range(6):
        a = 1.05 * k + 0.4
        s.oval(0.24 * math.cos(a), 0.3 + 0.24 * math.sin(a), 0.05, 0.05, BLACK)
    s.curve([(-0.8, -0.4 + lift), (-0.6, -0.78 + lift), (0.6, -0.78 - lift), (0.8, -0.4 - lift)], 0.24, BODY)
    for side in (-1, 1):
        s.oval(side * 0.8, -0.32 + lift * -side, 0.24, 0.17, DARK)


def car(s: Sketch) -> None:
    front, back, roof = s.vary(0.95, 0.05), s.vary(0.95, 0.05), -0.62 + s.shift(0.08)
    s.poly([(-0.72, -0.02), (-0.5, roof), (0.25, roof), (0.58, 0.0)])
    s.poly([(-back, 0.05), (-back + 0.1, -0.06), (0.55, -0.06), (front - 0.05, 0.08), (front, 0.45), (-back, 0.45)])
    s.poly([(-0.58, -0.06), (-0.42, roof + 0.12), (-0.16, roof + 0.12), (-0.16, -0.06)], PALE)
    s.poly([(-0.06, -0.06), (-0.06, roof + 0.12), (0.2, roof + 0.12), (0.42, -0.06)], PALE)
    s.box(-back - 0.03, 0.36, front + 0.03, 0.48, GREY)
    wheel = s.vary(0.27, 0.08)
    for x in (-0.52, 0.52):
        s.oval(x, 0.48, wheel, wheel, BLACK)
        s.oval(x, 0.48, wheel * 0.45, wheel * 0.45, STEEL)
    s.oval(front - 0.06, 0.18, 0.08, 0.09, PALE)


def train(s: Sketch) -> None:
    puff, cab = s.shift(0.08), s.vary(0.72)
    for k, r in enumerate((0.13, 0.18, 0.22)):
        s.oval(0.52 - 0.26 * k + puff, -0.76 - 0.05 * k, r, r * 0.85, STEEL)
    s.poly([(0.4, -0.15), (0.36, -0.58), (0.74, -0.58), (0.68, -0.15)], BLACK)
    s.oval(0.0, -0.24, 0.16, 0.16, DARK)
    s.box(-0.5, -0.24, 0.78, 0.32)
    s.oval(0.78, 0.04, 0.12, 0.28, DARK)
    s.box(-0.95, 0.3 - cab - 0.15, -0.3, 0.42)
    s.box(-1.02, 0.3 - cab - 0.26, -0.22, 0.3 - cab - 0.1, BLACK)
    s.box(-0.78, 0.3 - cab + 0.06, -0.46, -0.02, PALE)
    s.box(-0.95, 0.3, 0.85, 0.48, GREY)
    s.poly([(0.75, 0.34), (1.08, 0.82), (0.68, 0.82)], BLACK)
    for x, r in ((-0.62, 0.3), (0.0, 0.22), (0.46, 0.22)):
        s.oval(x, 0.86 - r, r, r, BLACK)
        s.oval(x, 0.86 - r, r * 0.5, r * 0.5, STEEL)


def helicopter(s: Sketch) -> None:
    spin, tail = s.vary(0.9), s.vary(0.95, 0.06)
    s.poly([(-0.1, -0.12), (-tail, -0.16), (-tail, 0.0), (0.0, 0.32)])
    s.poly([(-tail + 0.16, -0.1), (-tail - 0.1, -0.46), (-tail - 0.02, 0.02)], DARK)
    blade = s.shift(0.3)
    s.line([(-tail - 0.06 - 0.2 * blade, -0.42), (-tail - 0.06 + 0.2 * blade, 0.16)], 0.07, BLACK)
    s.oval(0.25, 0.1, s.vary(0.54, 0.08), 0.42)
    s.poly([(0.3, 0.04), (0.34, -0.24), (0.52, -0.22), (0.7, -0.02), (0.74, 0.12), (0.3, 0.12)], PALE)
    s.line([(0.2, -0.3), (0.2, -0.58)], 0.13, GREY)
    tilt = s.shift(0.06)
    s.line([(0.2 - spin, -0.6 - tilt), (0.2 + spin, -0.6 + tilt)], 0.1, BLACK)
    for x in (0.05, 0.45):
        s.line([(x, 0.45), (x, 0.72)], 0.07, GREY)
    s.line([(-0.25, 0.74), (0.7, 0.74), (0.84, 0.64)], 0.09, BLACK)


def boat(s: Sketch) -> None:
    mast, wide = s.shift(0.08), s.vary(0.85, 0.08)
    s.line([(mast, 0.45), (mast, -1.0)], 0.09, BLACK)
    s.poly([(mast - 0.08, -0.9), (mast - 0.08, 0.25), (mast - s.vary(0.72), 0.25)], LIGHT)
    s.poly([(mast + 0.1, -0.7), (mast + 0.1, 0.25), (mast + s.vary(0.55), 0.25)], PALE)
    s.poly([(-wide, 0.38), (wide, 0.38), (wide - 0.3, 0.9), (-wide + 0.25, 0.9)])
    s.poly([(-wide, 0.38), (wide, 0.38), (wide - 0.08, 0.5), (-wide + 0.06, 0.5)], BLACK)
    s.smooth([(-0.98, 0.92), (-0.5, 1.0), (0, 0.92), (0.5, 1.0), (0.98, 0.92)], 0.1, STEEL)
    if s.chance():
        s.poly([(mast, -1.0), (mast + 0.3, -0.9), (mast, -0.8)], GREY)


def robot(s: Sketch) -> None:
    wide = s.vary(0.42)
    s.line([(0, -0.6), (s.shift(0.08), -0.95)], 0.07, GREY)
    s.oval(0, -0.95, 0.1, 0.1, BLACK)
    for side in (-1, 1):
        s.line([(side * 0.22, 0.5), (side * 0.24, 0.85)], 0.2, GREY)
        s.box(side * 0.27 - 0.18, 0.84, side * 0.27 + 0.18, 1.0, BLACK)
        hand = (side * (wide + 0.34), s.shift(0.45) + 0.15)
        s.line([(side * wide, 0.0), (side * (wide + 0.24), 0.08), hand], 0.15, GREY)
        s.oval(*hand, 0.13, 0.13, BLACK)
    head = s.vary(0.4)
    s.box(-head, -0.72, head, -0.18)
    s.box(-0.14, -0.2, 0.14, -0.08, GREY)
    s.box(-wide - 0.04, -0.1, wide + 0.04, 0.58)
    s.box(-head + 0.08, -0.6, head - 0.08, -0.36, BLACK)
    for side in (-1, 1):
        s.box(side * 0.17 - 0.08, -0.56, side * 0.17 + 0.08, -0.4, PALE)
    s.box(-0.28, 0.05, 0.28, 0.38, STEEL)
    s.oval(-0.13, 0.2, 0.08, 0.08, BLACK)
    s.oval(0.13, 0.2, 0.08, 0.08, BLACK)


def rocket(s: Sketch) -> None:
    wide, burn = s.vary(0.34), s.vary(0.4, 0.3)
    s.poly([(-0.22, 0.5), (-0.13, 0.6 + burn * 0.7), (0, 0.6 + burn), (0.13, 0.6 + burn * 0.6), (0.22, 0.5)], PALE)
    s.poly([(-0.1, 0.5), (0, 0.6 + burn * 0.5), (0.1, 0.5)], STEEL)
    fin = s.vary(0.42)
    for side in (-1, 1):
        s.poly(
            [(side * wide * 0.8, 0.05), (side * (wide + fin), 0.48), (side * (wide + fin), 0.75), (side * 0.2, 0.52)],
            DARK,
        )
    s.poly([(0, -1.1), (wide * 0.55, -0.8), (wide, -0.35), (wide, 0.2), (wide * 0.7, 0.55), (-wide * 0.7, 0.55),
            (-wide, 0.2), (-wide, -0.35), (-wide * 0.55, -0.8)])  # fmt: skip
    s.poly([(0, -1.1), (wide * 0.6, -0.75), (-wide * 0.6, -0.75)], BLACK)
    s.oval(0, -0.3, 0.2, 0.2, GREY)
    s.oval(0, -0.3, 0.13, 0.13, PALE)
    s.box(-wide * 0.85, 0.38, wide * 0.85, 0.5, GREY)


OBJECTS: dict[str, Callable[[Sketch], None]] = {
    f.__name__: f
    for f in (bell, drum, guitar, trumpet, piano, whistle, clock, phone, car, train, helicopter, boat, robot, rocket)
}
