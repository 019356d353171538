"""A scene in one picture: frames over time, the spectrogram below on the same time axis, and what is true of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mirasol.media.toybox.rendering import Stage, render_sound
from mirasol.media.toybox.scene import Scene
from mirasol.media.toybox.things import COLOURS

if TYPE_CHECKING:
    from mirasol.media.toybox.assets import AssetPack

RATE = 16000
PAPER, INK, PALE = (250, 249, 246), (32, 33, 38), (128, 130, 138)
HEAT = np.array([(10, 8, 30), (66, 24, 110), (165, 44, 120), (240, 110, 70), (252, 216, 130), (255, 252, 230)], float)
BAR = 22  # pixels
EDGE = 24


def contact_sheet(
    scene: Scene, columns: int | None = None, width: int = 1440, pack: AssetPack | None = None
) -> Image.Image:
    """`columns` frames (one per second, at least six, unless given), about `width` pixels wide together."""
    columns = columns or max(6, scene.seconds)
    wide = max(48, width // columns)
    high = round(wide * 2 / 3)
    total = wide * columns
    instants = (np.arange(columns) + 0.5) * scene.seconds / columns
    frames = Stage(scene, high, wide, pack).frames(instants)
    spectrogram = spectrogram_picture(render_sound(scene, RATE, pack), total, 130)
    lines = 1 + len(scene.questions)
    tall = (
        EDGE * 3
        + 46
        + high
        + BAR * (len(scene.things) + len({event.kind for event in scene.sounds}))
        + 150
        + 26 * lines
    )
    sheet = Image.new("RGB", (total + 2 * EDGE, tall), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = EDGE
    title = f"Toybox  {scene.split} {scene.seed}   {scene.family}, {scene.seconds} s"
    draw.text((EDGE, y), title, INK, _font(22))
    y += 46
    sheet.paste(Image.fromarray(np.concatenate(list(frames), axis=1)), (EDGE, y))
    for column in range(1, columns):
        draw.line([(EDGE + column * wide, y), (EDGE + column * wide, y + high)], PAPER, 2)
    y = _spans(draw, scene, total, y + high + 4)
    sheet.paste(Image.fromarray(spectrogram), (EDGE, y))
    y += 130
    _ticks(draw, scene, total, y)
    y += EDGE + 8
    _words(draw, scene, total, y)
    return sheet


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _spans(draw: ImageDraw.ImageDraw, scene: Scene, total: int, y: int) -> int:
    """A bar for the time of each thing and a mark for each sound; gives back the next free row."""
    scale = total / scene.seconds
    for thing in scene.things:
        left, right = EDGE + thing.enter * scale, EDGE + min(thing.leave, scene.seconds) * scale
        colour = COLOURS.get(thing.colour, PALE)
        draw.rounded_rectangle([left, y + 2, right - 1, y + BAR - 3], 5, colour, INK)
        words = f"{thing.colour} {thing.kind} {(thing.way and 'moves ' + thing.way) or thing.place}".strip()
        dark = sum(colour) < 420 and right - left > 150
        draw.text((left + 8, y + 3), words, PAPER if dark else INK, _font(13))
        y += BAR
    for kind in dict.fromkeys(event.kind for event in scene.sounds):
        onsets = [event.onset for event in scene.sounds if event.kind == kind]
        for onset in onsets:
            left = EDGE + onset * scale
            draw.polygon([(left, y + 3), (left, y + BAR - 4), (left + 13, y + BAR / 2 - 0.5)], INK)
        words = f"{kind} sounds"
        left = EDGE + onsets[0] * scale
        if left + 19 + draw.textlength(words, _font(13)) > EDGE + total:
            draw.text((left - 8, y + 3), words, INK, _font(13), anchor="ra")
        else:
            draw.text((left + 19, y + 3), words, INK, _font(13))
        y += BAR
    return y + 4


def _ticks(draw: ImageDraw.ImageDraw, scene: Scene, total: int, y: int) -> None:
    for second in range(scene.seconds + 1):
        x = EDGE + second * total / scene.seconds
        draw.line([(x, y), (x, y + 5)], PALE, 1)
        draw.text((x, y + 6), f"{second} s", PALE, _font(12), anchor="ra" if second == scene.seconds else "la")


def _words(draw: ImageDraw.ImageDraw, scene: Scene, total: int, y: int) -> None:
    """Caption, then every question with its answer, in one column."""
    font = _font(17)
    caption = scene.caption
    while draw.textlength(caption, font) > total and " " in caption:
        caption = caption.rsplit(" ", 2)[0] + " ..."
    draw.text((EDGE, y), caption, INK, font)
    y += 34
    for question in scene.questions:
        draw.text((EDGE, y), question.type, PALE, _font(14))
        draw.text((EDGE + 90, y), question.text, INK, font)
        x = EDGE + 90 + max(draw.textlength(question.text, font) + 24, 470)
        draw.text((x, y), question.answer, (176, 52, 40), font)
        draw.text((x + 200, y + 2), f"needs {question.needs}", PALE, _font(14))
        y += 26


def spectrogram_picture(wave: np.ndarray, width: int, height: int, rate: int = RATE) -> np.ndarray:
    """(height, width, 3) uint8: loudness over time (left to right) and pitch (60 Hz to 7.6 kHz, evenly in octaves)."""
    size, hop = 1024, 128
    padded = np.pad(wave, (size // 2, size))
    starts = np.arange(0, len(wave), hop)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[starts] * np.hanning(size)
    power = np.log10(np.abs(np.fft.rfft(pieces)) ** 2 + 1e-7)  # (columns, bins)
    pitches = np.geomspace(60.0, 0.95 * rate / 2, height)[::-1] * size / rate
    low = np.floor(pitches).astype(int)
    share = (pitches - low)[:, None]
    rows = power.T[low] * (1 - share) + power.T[low + 1] * share
    top = max(float(rows.max()), -2.0)
    level = np.clip((rows - top + 5.5) / 5.5, 0.0, 1.0)  # 55 decibels
    level = np.asarray(Image.fromarray(level.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    spots = np.linspace(0.0, 1.0, len(HEAT))
    return np.stack([np.interp(level, spots, HEAT[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
