"""Sketches of the ten animals. Each function adds the shapes of one animal, facing right, back to front."""

from collections.abc import Callable

from .drawings import BLACK, BODY, DARK, GREY, LIGHT, PALE, STEEL, Sketch


def dog(s: Sketch) -> None:
    leg, long, tail = s.vary(0.5), s.vary(0.62), s.shift(0.15)
    for x in (-long, -long + 0.3, long - 0.4, long - 0.1):
        s.line([(x, 0.3), (x + s.shift(0.12), 0.4 + leg)], 0.17, BODY)
    s.curve([(-long, 0.05), (-long - 0.35, -0.1), (-long - 0.3 + tail, -0.6)], 0.13)
    s.oval(-0.02, 0.15, long + 0.14, s.vary(0.29))
    s.line([(long - 0.15, 0.05), (long, -0.4)], 0.36)
    nod = s.shift(0.06)
    s.oval(long + 0.05, -0.5 + nod, 0.33, 0.28)
    s.oval(long + 0.38, -0.4 + nod, 0.25, 0.15, LIGHT)
    s.oval(long + 0.58, -0.46 + nod, 0.09, 0.08, BLACK)
    s.oval(long - 0.14, -0.4 + nod, 0.13, s.vary(0.32), BLACK, 12)
    s.oval(long + 0.16, -0.57 + nod, 0.06, 0.07, BLACK)
    if s.chance():
        s.line([(long - 0.22, -0.12), (long + 0.18, -0.08)], 0.09, GREY)


def cat(s: Sketch) -> None:
    wide, lean = s.vary(0.44), s.shift(0.08)
    s.curve([(wide - 0.1, 0.85), (wide + 0.65, 0.9), (wide + 0.15, 0.1), (wide + 0.5, s.vary(-0.12, 2.0))], 0.15)
    s.oval(0, 0.5, wide, 0.52)
    s.oval(0, 0.62, wide * 0.5, 0.36, LIGHT)
    for side in (-1, 1):
        s.oval(side * 0.22, 0.95, 0.17, 0.1, BODY)
        ear = s.vary(0.5)
        s.poly([(lean + side * 0.06, -0.62), (lean + side * 0.47, -0.3), (lean + side * 0.44, -0.56 - ear)])
        s.poly([(lean + side * 0.2, -0.6), (lean + side * 0.4, -0.45), (lean + side * 0.38, -0.46 - ear * 0.8)], BLACK)
    s.oval(lean, -0.3, s.vary(0.5, 0.08), 0.4)
    for side in (-1, 1):
        s.oval(lean + side * 0.2, -0.36, 0.09, 0.12, PALE)
        s.oval(lean + side * 0.2, -0.36, 0.045, 0.11, BLACK)
        s.line([(lean + side * 0.2, -0.12), (lean + side * 0.72, -0.2)], 0.035, BLACK)
        s.line([(lean + side * 0.2, -0.07), (lean + side * 0.72, -0.02)], 0.035, BLACK)
    s.oval(lean, -0.17, 0.07, 0.05, BLACK)


def bird(s: Sketch) -> None:
    flap, tail = s.shift(0.2), s.vary(0.5)
    s.poly([(-0.35, 0.1), (-0.5 - tail, -0.05), (-0.45 - tail, 0.2), (-0.5 - tail, 0.4), (-0.3, 0.35)], DARK)
    s.poly([(-0.25, 0.1), (-0.45 + flap, -0.8), (-0.1 + flap, -0.7), (0.3, 0.05)], GREY)
    s.oval(0, 0.2, s.vary(0.52), s.vary(0.3))
    s.oval(0.5, -0.05, 0.27, 0.25)
    s.poly([(0.72, -0.16), (1.12, -0.02), (0.72, 0.09)], STEEL)
    s.oval(0.58, -0.1, 0.07, 0.07, BLACK)
    s.poly([(-0.3, 0.2), (-0.75 + flap, s.vary(-0.85)), (-0.4 + flap, -0.85), (0.0 + flap * 0.5, -0.5), (0.25, 0.15)])
    for x in (0.0, 0.18):
        s.line([(x, 0.45), (x - 0.12, 0.75)], 0.06, BLACK)


def cow(s: Sketch) -> None:
    low, long = s.shift(0.1), s.vary(0.68, 0.08)
    for x in (-long + 0.08, -long + 0.3, long - 0.4, long - 0.16):
        s.box(x - 0.09, 0.2, x + 0.09, 0.82, DARK)
        s.box(x - 0.1, 0.8, x + 0.1, 0.95, BLACK)
    s.line([(-long, -0.25), (-long - 0.13, 0.35)], 0.07, BODY)
    s.oval(-long - 0.13, 0.4, 0.08, 0.14, BLACK)
    s.oval(-long + 0.45, 0.4, 0.2, 0.18, PALE)
    s.poly([(-long, -0.4), (long, -0.44), (long, 0.3), (long - 0.2, 0.42), (-long + 0.1, 0.42), (-long - 0.05, 0.2)])
    for x, y, r in ((-0.4, -0.15, 0.22), (0.12, 0.12, 0.24), (0.38, -0.3, 0.13)):
        s.oval(x + s.shift(0.08), y + s.shift(0.06), s.vary(r), s.vary(r * 0.85), BLACK, 30)
    for side in (-0.16, 0.26):
        s.curve([(long + 0.1 + side, -0.5 + low), (long + 0.05 + side * 2.2, -0.6 + low),
                 (long + 0.05 + side * 1.9, -0.9 + low)], 0.1, PALE)  # fmt: skip
    s.oval(long - 0.18, -0.36 + low, 0.18, 0.09, DARK, 20)
    s.poly([(long - 0.12, -0.58 + low), (long + 0.36, -0.58 + low), (long + 0.36, 0.05 + low), (long, 0.05 + low)])
    s.oval(long + 0.22, 0.05 + low, 0.25, 0.17, PALE)
    s.oval(long + 0.3, 0.03 + low, 0.05, 0.06, BLACK)
    s.oval(long + 0.16, -0.35 + low, 0.07, 0.08, BLACK)


def duck(s: Sketch) -> None:
    neck, tail = s.vary(0.62), s.vary(0.45)
    s.poly([(-0.95, -0.05 - tail * 0.6), (-0.6, 0.05), (0.1, 0.02), (0.62, 0.1), (0.7, 0.4), (0.5, 0.72), (0.1, 0.85),
            (-0.45, 0.82), (-0.8, 0.5)])  # fmt: skip
    top = 0.1 - neck
    s.curve([(0.45, 0.3), (0.25, 0.0), (0.4, top)], 0.32)
    s.oval(0.42, top - 0.1, 0.31, 0.29)
    s.poly([(0.66, top - 0.2), (1.12, top - 0.1), (1.14, top + 0.04), (0.66, top + 0.1)], BLACK)
    s.oval(0.5, top - 0.17, 0.07, 0.07, BLACK)
    s.line([(0.25, top + 0.28), (0.56, top + 0.3)], 0.1, PALE)
    s.oval(-0.2, 0.42, 0.45, 0.22, DARK, s.shift(10) - 8)
    wave = s.shift(0.05)
    s.smooth(
        [(-1.05, 0.86 + wave), (-0.6, 0.93), (-0.2, 0.86), (0.25, 0.93), (0.65, 0.86), (0.98, 0.92 + wave)], 0.12, STEEL
    )


def frog(s: Sketch) -> None:
    wide, high = s.vary(0.72, 0.08), s.vary(0.46)
    for side in (-1, 1):
        s.oval(side * (wide + 0.02), 0.42, 0.32, 0.34, DARK)
        s.oval(side * (wide + 0.15), 0.78, s.vary(0.36), 0.11, BODY)
        s.line([(side * 0.3, 0.5), (side * 0.36, 0.8)], 0.16, BODY)
        s.oval(side * 0.38, 0.82, 0.2, 0.09, LIGHT)
    s.oval(0, 0.3, wide, high)
    s.oval(0, 0.52, wide * 0.55, 0.24, PALE)
    apart, eye = s.vary(0.42), s.vary(0.25)
    for side in (-1, 1):
        s.oval(side * apart, -0.18, eye + 0.05, eye + 0.05)
        s.oval(side * apart, -0.2, eye * 0.75, eye * 0.75, PALE)
        s.oval(side * apart, -0.2, eye * 0.42, eye * 0.42, BLACK)
    s.curve([(-wide * 0.72, 0.16), (0, s.vary(0.48)), (wide * 0.72, 0.16)], 0.07, BLACK)


def bee(s: Sketch) -> None:
    lift, long = s.shift(0.12), s.vary(0.66)
    s.oval(-0.3, -0.5 + lift, 0.26, s.vary(0.46), STEEL, -32)
    s.poly([(-long, 0.1), (-long - 0.34, 0.25), (-long + 0.05, 0.32)], BLACK)
    s.oval(0, 0.2, long + 0.05, s.vary(0.42))
    for x, h in ((-0.42, 0.29), (-0.1, 0.4), (0.22, 0.38)):
        s.box(x - 0.08, 0.2 - h, x + 0.08, 0.2 + h, BLACK)
    s.oval(long, 0.1, 0.29, 0.29, BLACK)
    s.oval(long + 0.1, 0.04, 0.09, 0.1, PALE)
    for x in (0.02, 0.25):
        s.curve([(long + x, -0.1), (long + x, -0.4), (long + x + 0.2, -0.48)], 0.06, BLACK, 5)
    s.oval(0.12, -0.48 + lift, 0.27, s.vary(0.48), PALE, 18)
    for x in (-0.2, 0.05, 0.3):
        s.line([(x, 0.55), (x + 0.06, 0.76)], 0.06, BLACK)


def owl(s: Sketch) -> None:
    wide = s.vary(0.56, 0.08)
    for side in (-1, 1):
        s.line([(side * 0.2, 0.85), (side * 0.22, 1.0)], 0.16, BLACK)
    s.poly([(-wide, -0.35), (-wide + 0.02, -1.0 + s.shift(0.08)), (-0.18, -0.66), (0.18, -0.66),
            (wide - 0.02, -1.0 + s.shift(0.08)), (wide, -0.35)])  # fmt: skip
    s.oval(0, 0.2, wide + 0.04, 0.78)
    s.oval(0, -0.3, wide, 0.45)
    s.oval(0, 0.45, wide * 0.62, 0.42, LIGHT)
    for y in (0.3, 0.5, 0.7):
        s.line([(-0.22, y), (-0.1, y + 0.08), (0, y), (0.1, y + 0.08), (0.22, y)], 0.045, GREY)
    for side in (-1, 1):
        s.oval(side * wide, 0.3, 0.15, s.vary(0.48), DARK, side * -8)
    eye, gaze = s.vary(0.27, 0.08), s.shift(0.07)
    for side in (-1, 1):
        s.oval(side * 0.27, -0.32, eye, eye, PALE)
        s.oval(side * 0.27 + gaze, -0.32, eye * 0.5, eye * 0.5, BLACK)
    s.poly([(-0.1, -0.2), (0.1, -0.2), (0, 0.06)], BLACK)


def horse(s: Sketch) -> None:
    stride, long = s.shift(0.25), s.vary(0.5)
    for x, way in ((-long, -1.0), (-long + 0.16, 0.6), (long - 0.25, -0.5), (long - 0.06, 1.0)):
        knee = (x + way * (0.1 + stride * 0.5), 0.55)
        foot = (knee[0] - 0.1 + way * (0.08 + stride * 0.5), 0.95)
        s.line([(x, 0.15), knee, foot], 0.13, BODY if way > 0 else DARK)
        s.oval(*foot, 0.09, 0.06, BLACK)
    s.curve([(-long - 0.1, -0.02), (-long - 0.45, -0.1), (-long - 0.4, s.vary(0.6))], 0.17, BLACK)
    s.oval(-0.02, 0.08, long + 0.16, s.vary(0.25))
    top = -0.82 + s.shift(0.07)
    s.poly([(long - 0.35, 0.1), (long + 0.12, 0.12), (long + 0.42, top + 0.2), (long + 0.1, top)])
    s.poly([(long - 0.38, -0.1), (long - 0.12, top + 0.05), (long + 0.12, top - 0.08), (long + 0.2, top + 0.15),
            (long - 0.05, -0.05)], BLACK)  # fmt: skip
    s.poly([(long + 0.12, top), (long + 0.16, top - 0.2), (long + 0.28, top)])
    s.poly([(long + 0.1, top - 0.02), (long + 0.38, top), (long + 0.72, top + 0.36), (long + 0.6, top + 0.5),
            (long + 0.2, top + 0.38)])  # fmt: skip
    s.oval(long + 0.34, top + 0.15, 0.05, 0.06, BLACK)


def snake(s: Sketch) -> None:
    sway, width = s.vary(0.5), s.vary(0.25)
    back = [(-0.85, 0.6), (-0.55, 0.88), (-0.1, 0.9), (0.3, 0.78), (0.52, 0.5), (0.4, 0.24), (0.0, 0.14), (-0.36, 0.0),
            (-0.5, -0.28), (-0.34, -0.6), (0.0, -0.76), (0.38, -0.78)]  # fmt: skip
    points = [(x + s.shift(0.03) + (sway - 0.5) * y * 0.5, y + s.shift(0.03)) for x, y in back]
    s.line([(-1.0, 0.3), points[0], points[1]], width * 0.6)
    s.smooth(points, width)
    for x, y in points[2:-1:2]:
        s.oval(x, y, width * 0.26, width * 0.26, BLACK)
    x, y = points[-1]
    s.line([(x + 0.2, y), (x + 0.5, y + 0.06)], 0.06, BLACK)
    s.line([(x + 0.5, y + 0.06), (x + 0.64, y - 0.04)], 0.05, BLACK)
    s.line([(x + 0.5, y + 0.06), (x + 0.62, y + 0.18)], 0.05, BLACK)
    s.oval(x + 0.06, y, 0.31, 0.21)
    s.oval(x + 0.14, y - 0.07, 0.07, 0.07, PALE)
    s.oval(x + 0.15, y - 0.07, 0.04, 0.05, BLACK)


ANIMALS: dict[str, Callable[[Sketch], None]] = {
    f.__name__: f for f in (dog, cat, bird, cow, duck, frog, bee, owl, horse, snake)
}
