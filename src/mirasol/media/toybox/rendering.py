"""A scene as arrays: frames (n, H, W, 3) uint8 and waveform (samples,) float32, at any size and rate.

Each thing is drawn once per scene and each voice is made once; frames are then only copied together.
"""

from __future__ import annotations

from math import pi, sin
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mirasol.media.clip import Clip
from mirasol.media.toybox.scene import Scene, Surroundings, Thing
from mirasol.media.toybox.sounds import make_sound
from mirasol.media.toybox.things import draw_thing

if TYPE_CHECKING:
    from mirasol.media.toybox.assets import AssetPack

WIDEST = 0.36  # of the frame width: a wider thing is made smaller
CLOSE = 0.6  # of the frame height: a thing that is larger may take all of the width
FADE = 0.08  # seconds in which a thing comes into view
LOUDEST = 0.4  # peak of an event of gain 0
MOST_HIDDEN = 0.3  # of a thing by what stands in front of it


def render(
    scene: Scene,
    height: int = 48,
    width: int = 72,
    frame_rate: float = 4.0,
    sample_rate: int = 16000,
    with_picture: bool = True,
    with_sound: bool = True,
    pack: AssetPack | None = None,
) -> Clip:
    """The whole scene; frame k is on screen from k / frame_rate on and shows the instant (k + 0.5) / frame_rate."""
    frames = times = None
    if with_picture:
        count = max(1, round(scene.seconds * frame_rate))
        times = np.arange(count) / frame_rate
        frames = Stage(scene, height, width, pack).frames(times + 0.5 / frame_rate)
    waveform = render_sound(scene, sample_rate, pack) if with_sound else None
    return Clip(frames, times, waveform, sample_rate, 0.0, 0.0, float(scene.seconds))


class Stage:
    """The drawn parts of one scene at one frame size: sprites, background, what stands in front, grain."""

    def __init__(self, scene: Scene, height: int, width: int, pack: AssetPack | None = None) -> None:
        if height < 24 or width < 24:
            raise ValueError(f"expected frames of at least 24x24 pixels, found {height}x{width}: ask for larger ones")
        self.scene, self.height, self.width = scene, height, width
        around = scene.surroundings
        rng = np.random.default_rng((around.seed, 1))
        self.margin = max(1, round(0.04 * height))
        self.background = draw_background(around, height + 2 * self.margin, width + 2 * self.margin, rng)
        self.sprites = [draw_sprite(thing, height, width, pack) for thing in scene.things]
        self.phases = rng.uniform(0.0, 2 * np.pi, (len(scene.things) + 1, 2)).tolist()
        self.specks = rng.uniform(0.0, 1.0, (around.specks, 5)).tolist()
        self.speck_size = max(1, round(height / 48))
        self.front = self.draw_front(rng)
        noise = rng.standard_normal((height + 8, width + 8, 3), np.float32) * around.grain
        self.grain = noise.astype(np.int16)

    def frames(self, instants: np.ndarray) -> np.ndarray:
        """(n, H, W, 3) uint8: the scene at these seconds."""
        out = np.empty((len(instants), self.height, self.width, 3), np.uint8)
        for frame, instant in zip(out, instants, strict=True):
            self.draw(frame, float(instant))
        return out

    def draw(self, frame: np.ndarray, time: float) -> None:
        """Fill `frame` (H, W, 3) with the scene at `time`."""
        height, width, margin = self.height, self.width, self.margin
        shake = self.scene.surroundings.shake * height
        down = round(shake * sin(2 * pi * 0.9 * time + self.phases[-1][0]))
        right = round(shake * sin(2 * pi * 0.7 * time + self.phases[-1][1]))
        down, right = (min(max(value, -margin), margin) for value in (down, right))
        canvas = self.background[margin + down : margin + down + height, margin + right : margin + right + width]
        frame[:] = canvas
        for thing, sprite, phase in zip(self.scene.things, self.sprites, self.phases, strict=False):
            if not thing.enter <= time < thing.leave:
                continue
            x, y = thing.position(time)
            x = x * width + 0.012 * height * sin(2 * pi * 0.8 * time + phase[0])
            y = y * height + 0.018 * height * sin(2 * pi * 0.6 * time + phase[1])
            rows, columns = sprite[0].shape[:2]
            seen = 1.0 if thing.enter == 0 else min(1.0, 0.3 + (time - thing.enter) / FADE)
            paste(frame, sprite, round(y - rows / 2) - down, round(x - columns / 2) - right, seen)
        for x, y, across, along, grey in self.specks:
            row = int((y + 0.3 * (along - 0.5) * time) % 1.0 * height)
            column = int((x + 0.3 * (across - 0.5) * time) % 1.0 * width)
            frame[row : row + self.speck_size, column : column + self.speck_size] = int(60 + 150 * grey)
        for sprite, top, left in self.front:
            paste(frame, sprite, top, left, 1.0)
        if self.scene.surroundings.grain > 0:
            step = int(time * 1000)
            top, left = step * 5 % 9, step * 7 % 8
            total = frame + self.grain[top : top + height, left : left + width]
            frame[:] = np.minimum(np.maximum(total, 0, out=total), 255, out=total)

    def draw_front(self, rng: np.random.Generator) -> list[tuple[tuple[np.ndarray, np.ndarray], int, int]]:
        """What stands in front: (sprite, top, left) each; left out where it would hide too much of a thing."""
        front = []
        for name in self.scene.surroundings.occluders:
            picture, top, left = draw_occluder(name, self.height, self.width, rng)
            sprite = split_alpha(picture)
            if not self.hides_too_much(sprite, top, left):
                front.append((sprite, top, left))
        return front

    def hides_too_much(self, sprite: tuple[np.ndarray, np.ndarray], top: int, left: int) -> bool:
        """Whether an occluder covers more than `MOST_HIDDEN` of the body of a thing that stays."""
        cover = np.zeros((self.height, self.width, 3), np.uint8)
        paste(cover, (np.full_like(sprite[0], 255.0) * sprite[1], sprite[1]), top, left, 1.0)
        for thing, (_, alpha) in zip(self.scene.things, self.sprites, strict=True):
            if thing.way:
                continue
            rows, columns = alpha.shape[:2]
            y, x = round(thing.y * self.height - rows / 2), round(thing.x * self.width - columns / 2)
            y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + rows, self.height), min(x + columns, self.width)
            body = alpha[y0 - y : y1 - y, x0 - x : x1 - x, 0]
            hidden = float((cover[y0:y1, x0:x1, 0] * body).sum()) / 255.0
            if hidden > MOST_HIDDEN * float(alpha[..., 0].sum()):
                return True
        return False


def split_alpha(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGBA uint8 -> colours times alpha (h, w, 3) float32, and alpha (h, w, 1) float32 from 0 to 1."""
    alpha = picture[..., 3:].astype(np.float32) / 255.0
    return picture[..., :3] * alpha, alpha


def paste(frame: np.ndarray, sprite: tuple[np.ndarray, np.ndarray], top: int, left: int, share: float) -> None:
    """Lay a sprite over `frame` with its top left corner at (top, left), cut at the edges."""
    colours, alpha = sprite
    rows, columns = alpha.shape[:2]
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + rows, frame.shape[0]), min(left + columns, frame.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    own = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    under = frame[y0:y1, x0:x1]
    if share < 1.0:
        under[:] = under * (1.0 - alpha[own] * share) + colours[own] * share
    else:
        under[:] = under * (1.0 - alpha[own]) + colours[own]


def draw_sprite(thing: Thing, height: int, width: int, pack: AssetPack | None) -> tuple[np.ndarray, np.ndarray]:
    """The thing as (colours times alpha, alpha), within its share of the frame."""
    rows = max(8, round(thing.size * height))
    rng = np.random.default_rng((thing.look, 2))
    picture = pack.draw(thing.kind, rows, rng) if pack else draw_thing(thing.kind, thing.colour, rows, rng)
    widest = round(WIDEST * width) if thing.size < CLOSE else width
    if picture.shape[1] > widest:
        fitted = (widest, max(1, round(picture.shape[0] * widest / picture.shape[1])))
        picture = np.asarray(Image.fromarray(picture).resize(fitted, Image.Resampling.BILINEAR))
    return split_alpha(picture)


def draw_background(around: Surroundings, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8 in two muted colours of like brightness."""
    level = rng.uniform(70.0, 165.0)
    first = level + rng.uniform(-22.0, 22.0, 3)
    second = first + rng.uniform(-16.0, 16.0) + rng.uniform(-12.0, 12.0, 3)
    y = np.arange(height, dtype=np.float32)[:, None] / height
    x = np.arange(width, dtype=np.float32)[None, :] / height
    turn = rng.uniform(0.0, np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    across = np.cos(turn) * y - np.sin(turn) * x
    cycles = rng.uniform(3.0, 6.0)
    if around.background == "flat":
        mix = np.zeros((height, width), np.float32)
    elif around.background == "gradient":
        mix = 2.0 * (along - along.min()) / (along.max() - along.min())
    elif around.background == "checks":
        mix = ((np.floor(along * cycles) + np.floor(across * cycles)) % 2).astype(np.float32)
    elif around.background == "stripes":
        mix = (np.sin(2 * np.pi * cycles * along) > 0).astype(np.float32)
    elif around.background == "dots":
        near = np.cos(2 * np.pi * cycles * along) + np.cos(2 * np.pi * cycles * across)
        mix = (near > 0.9).astype(np.float32)
    else:  # soft noise
        coarse = rng.uniform(-0.5, 1.5, (5, 7)).astype(np.float32)
        mix = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    picture = first + (second - first) * mix[..., None]
    return np.clip(picture, 25, 200).astype(np.uint8)


def draw_occluder(name: str, height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """(RGBA uint8, top, left) of something thin or low that stands in front."""
    colour = rng.uniform(30.0, 80.0) + rng.uniform(-12.0, 12.0, 3)
    if name == "pole":
        thick = max(2, round(0.045 * width))
        picture = np.full((height, thick, 4), 255, np.uint8)
        picture[..., :3] = colour
        between = (0.34, 0.66)[int(rng.integers(2))] + rng.uniform(-0.02, 0.02)
        return picture, 0, round(between * width - thick / 2)
    rows = round(rng.uniform(0.1, 0.15) * height)
    if name == "fence":
        picture = np.zeros((rows, width, 4), np.uint8)
        picture[..., :3] = colour
        gap = max(4, round(0.07 * width))
        for shift in range(max(1, gap // 3)):
            picture[:, shift::gap, 3] = 255
        rail = max(1, rows // 5)
        picture[rail : 2 * rail, :, 3] = 255
        return picture, height - rows, 0
    columns = round(rng.uniform(0.25, 0.4) * width)  # a bush
    y = np.linspace(1.0, 0.0, rows)[:, None]
    x = np.linspace(-1.0, 1.0, columns)[None, :]
    leaves = 0.12 * np.sin(9 * x + rng.uniform(0, 6)) * np.cos(5 * y)
    picture = np.zeros((rows, columns, 4), np.uint8)
    picture[..., :3] = colour + np.array([-10.0, 25.0, -10.0])
    picture[..., 3] = 255 * (x**2 + (y * 0.9) ** 2 + leaves < 0.9)
    return picture, height - rows, int(rng.integers(0, width - columns + 1))


def render_sound(scene: Scene, sample_rate: int = 16000, pack: AssetPack | None = None) -> np.ndarray:
    """(samples,) float32 in [-1, 1]: background sound and events."""
    around = scene.surroundings
    total = scene.seconds * sample_rate
    rng = np.random.default_rng((around.seed, 3))
    wave = background_sound(around.noise, total, sample_rate, rng)
    wave *= 0.2 * LOUDEST * 10.0 ** (-around.noise_below / 20.0)
    voices: dict[tuple[str, int], np.ndarray] = {}
    for event in scene.sounds:
        key = (event.kind, event.voice)
        if key not in voices:
            voice_rng = np.random.default_rng((event.voice, 4))
            make = pack.sound if pack else make_sound
            voices[key] = make(event.kind, voice_rng, sample_rate)
        start = round(event.onset * sample_rate)
        voice = voices[key][: total - start]
        level = np.float32(LOUDEST * 10.0 ** (event.gain / 20.0))
        wave[start : start + len(voice)] += voice * level
    return np.clip(wave, -1.0, 1.0, out=wave)


def background_sound(noise: str, total: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """(total,) float32 of about unit root mean square: "hum", "hiss" or "clicks" over a little hiss."""
    hiss = rng.standard_normal(total, np.float32)
    if noise == "hiss":
        return hiss
    if noise == "hum":
        pitch = rng.uniform(50.0, 110.0)
        period = max(2, round(sample_rate / pitch))
        phase = 2 * np.pi * np.arange(period, dtype=np.float32) / period
        tones = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.3 * np.sin(3 * phase)
        return np.resize(tones.astype(np.float32), total) + np.float32(0.15) * hiss
    wave = np.float32(0.3) * hiss
    long = max(1, sample_rate // 200)
    decay = np.exp(-np.arange(long, dtype=np.float32) * 5.0 / long)
    for start in rng.integers(0, max(1, total - long), max(1, 3 * total // sample_rate)):
        wave[start : start + long] += 4.0 * decay * hiss[start : start + long]
    return wave
