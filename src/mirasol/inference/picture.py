"""Answers as one picture: frames over time, the spectrogram on the same axis, what was asked and what was answered.

    view = SoundView()
    watched = watch(source, loaded, observe=view.add)
    draw_answers(source, put(watched, questions, loaded), view, 1.0).save("out.png")

The spectrogram is gathered while the model listens; the frames are read again, a few instants only, at a larger size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mirasol.media.clip import Clip, MediaError
from mirasol.media.reader import Media, open_media

if TYPE_CHECKING:
    from mirasol.inference.answer import Answer, Receipt

# All lengths are pixels of the picture.
WIDTH, MARGIN = 1600, 44
ACROSS = WIDTH - 2 * MARGIN
STRIP_HEIGHT, SOUND_HEIGHT, LOOK_HEIGHT = 150, 170, 10
FEWEST, MOST = 5, 14  # frames in the strip
CLOSEST = 7  # snippet bounds nearer to each other than this are not drawn
ONE_PASS = 90.0  # seconds: a longer span is not decoded again, each of its frames is sought

PAPER, CARD, INK, PALE, RULE = (250, 248, 243), (238, 235, 227), (34, 36, 44), (126, 128, 138), (214, 210, 200)
ACCENT, SURE, UNSURE = (23, 105, 125), (38, 132, 96), (196, 120, 40)
HEAT = np.array([(13, 14, 34), (32, 44, 92), (30, 96, 128), (52, 156, 132), (168, 206, 98), (252, 240, 170)], float)

PITCHES = 96  # rows of the spectrogram, evenly in octaves ...
LOWEST, HIGHEST = 60.0, 0.475  # ... from these hertz to this share of the sample rate
TRANSFORM, STEP = 1024, 320  # samples
COLUMNS = 4096  # the spectrogram holds fewer than twice as many, however long the sound is
DECIBELS = 60.0  # between the darkest and the brightest


class SoundView:
    """Loudness over time and pitch, gathered piece by piece. When it grows long, neighbours are merged (the louder
    one stays), so memory is bounded and short sounds stay visible."""

    def __init__(self) -> None:
        self.power = np.zeros((0, PITCHES + 1), np.float32)  # the last value of a column: how much of it was heard
        self.merged = 1  # columns of STEP samples in one column of `power`
        self.rate = 16_000
        self._loose = np.zeros((0, PITCHES + 1), np.float32)  # columns of STEP samples not yet in `power`
        self._wave: np.ndarray | None = None  # samples not yet in a column, and those that the next one reaches back to
        self._heard = np.zeros(0, bool)

    def add(self, clip: Clip) -> None:
        """The next piece of the stream; pieces follow each other without a gap."""
        self.rate = clip.sample_rate
        count = round(clip.end * self.rate) - round(clip.start * self.rate)
        wave, heard = np.zeros(count, np.float32), np.zeros(count, bool)
        if clip.waveform is not None and len(clip.waveform):
            offset = round((clip.waveform_start - clip.start) * self.rate)
            begin, stop = max(0, offset), min(count, offset + len(clip.waveform))
            if stop > begin:
                wave[begin:stop] = clip.waveform[begin - offset : stop - offset]
                heard[begin:stop] = True
        self._take(wave, heard)

    def _take(self, wave: np.ndarray, heard: np.ndarray) -> None:
        before = np.zeros((TRANSFORM - STEP) // 2, np.float32) if self._wave is None else self._wave
        wave, heard = np.concatenate([before, wave]), np.concatenate([self._heard, heard])
        count = max(0, min((len(wave) - TRANSFORM) // STEP + 1, len(heard) // STEP))
        if count:
            columns = np.empty((count, PITCHES + 1), np.float32)
            columns[:, :-1] = pitch_power(wave[: (count - 1) * STEP + TRANSFORM], self.rate)
            columns[:, -1] = heard[: count * STEP].reshape(count, STEP).mean(axis=1)
            self._merge(columns)
        self._wave, self._heard = wave[count * STEP :], heard[count * STEP :]

    def _merge(self, columns: np.ndarray) -> None:
        self._loose = np.concatenate([self._loose, columns])
        while True:
            whole = len(self._loose) // self.merged
            fresh = self._loose[: whole * self.merged].reshape(whole, self.merged, PITCHES + 1).max(axis=1)
            self.power = np.concatenate([self.power, fresh])
            self._loose = self._loose[whole * self.merged :]
            if len(self.power) < 2 * COLUMNS:
                return
            even = len(self.power) // 2 * 2
            self._loose = np.concatenate([self.power[even:].repeat(self.merged, axis=0), self._loose])
            self.power = self.power[:even].reshape(even // 2, 2, PITCHES + 1).max(axis=1)
            self.merged *= 2

    def picture(self, width: int, height: int, seconds: float) -> Image.Image | None:
        """(width, height) pixels for the `seconds` gathered; plain where no sound was, None if none was at all."""
        if self._wave is not None:
            self._take(np.zeros(TRANSFORM + STEP, np.float32), np.zeros(STEP, bool))  # what the last columns wait for
            self._wave, self._heard = None, np.zeros(0, bool)
        rows = self.power if not len(self._loose) else np.concatenate([self.power, self._loose.max(0, keepdims=True)])
        if not len(rows) or rows[:, -1].max() == 0:
            return None
        level, heard = 10 * np.log10(rows[:, :-1] + 1e-9), rows[:, -1]
        top = max(float(np.quantile(level[heard > 0], 0.999)), -30.0)
        level = np.clip((level - top) / DECIBELS + 1, 0, 1).astype(np.float32)
        # Column i of the picture begins at second i / width * seconds; of several columns to a pixel, the loudest.
        bounds = np.arange(width + 1) / width * seconds * self.rate / (STEP * self.merged)
        first = np.minimum(bounds[:-1].astype(int), len(level) - 1)
        level = np.stack([level[a : max(a + 1, int(b))].max(axis=0) for a, b in zip(first, bounds[1:], strict=True)])
        level = np.asarray(Image.fromarray(level.T[::-1]).resize((width, height), Image.Resampling.BICUBIC))
        spots = np.linspace(0, 1, len(HEAT))
        colours = np.stack([np.interp(level, spots, HEAT[:, c]) for c in range(3)], axis=-1)
        colours[:, heard[first] == 0] = CARD
        return Image.fromarray(colours.astype(np.uint8))


def pitch_power(wave: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) -> (columns, PITCHES): power around each pitch, a column every STEP samples."""
    pieces = np.lib.stride_tricks.sliding_window_view(wave, TRANSFORM)[::STEP]
    power = np.abs(np.fft.rfft(pieces * np.hanning(TRANSFORM).astype(np.float32))) ** 2 / (TRANSFORM / 4) ** 2
    bins = np.geomspace(LOWEST, HIGHEST * rate, PITCHES) * TRANSFORM / rate
    low = np.floor(bins).astype(int)
    share = (bins - low).astype(np.float32)
    return power[:, low] * (1 - share) + power[:, low + 1] * share


def read_frames(source: Any, instants: np.ndarray, end: float, fit: tuple[int, int]) -> list[np.ndarray | None]:
    """The frame on screen at each instant, scaled to lie within `fit`; None where there is none."""
    found: list[np.ndarray | None] = [None] * len(instants)
    with open_media(source) as media:
        if not media.has_picture:
            return found
        if end - instants[0] <= ONE_PASS:
            spans = [(float(instants[0]), end)]
        else:
            spans = [(float(instant), float(instant) + 0.02) for instant in instants]
        for start, stop in spans:
            for clip in _pieces(media, start, stop, instants, fit):
                assert clip.frames is not None
                assert clip.frame_instants is not None
                for frame, instant in zip(clip.frames, clip.frame_instants, strict=True):
                    found[int(np.abs(instants - instant).argmin())] = frame
    return found


def _pieces(media: Media, start: float, stop: float, instants: np.ndarray, fit: tuple[int, int]) -> list[Clip]:
    """The few frames of one span; nothing where the picture has ended before it."""
    try:
        return list(
            media.pieces(start, stop, instants=lambda a, b: instants, fit=fit, piece_seconds=stop - start, sound=False)
        )
    except MediaError:
        return []


def draw_answers(source: Any, answers: Sequence[Answer], view: SoundView, snippet_seconds: float) -> Image.Image:
    """One picture of what was watched, WIDTH pixels wide, and of the answers. `view` has heard what the model heard;
    `snippet_seconds` is the model's `sizes.snippet_seconds`."""
    receipt = answers[0].receipt
    sheet = Image.new("RGB", (WIDTH, 1600 + 140 * len(answers)), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = _title(draw, source, receipt)
    first = y
    whole, close = (receipt.start, receipt.end), (receipt.text_start, receipt.end)
    y, shown = _strip(sheet, draw, source, receipt, y, whole)
    top = y
    sound = view.picture(ACROSS, SOUND_HEIGHT, receipt.end - receipt.start)
    if sound is None:
        y = _nothing(draw, y, "no sound was heard")
    else:
        sheet.paste(sound, (MARGIN, y))
        y += SOUND_HEIGHT
    _bounds(sheet, receipt, snippet_seconds, first, top, y)
    y = _look(draw, receipt, y + 4)
    y = _axis(draw, receipt, y) + 16
    if receipt.frames and close[0] < close[1] and sum(instant >= close[0] for instant in shown) < FEWEST <= len(shown):
        words = f"what the answers could look at in full, {clock(close[0])} to {clock(close[1])}:"
        draw.text((MARGIN, y), words, PALE, font(16))
        y, shown = _strip(sheet, draw, source, receipt, y + 26, close)
        for at, instant in enumerate(shown):
            middle = MARGIN + (at + 0.5) * ACROSS / len(shown)
            draw.text((middle, y - 2), clock(round(float(instant), 1)), PALE, font(15), anchor="ma")
        y += 30
    for answer in answers:
        y = _answer(draw, answer, y)
    warnings = dict.fromkeys(warning for answer in answers for warning in answer.receipt.warnings)
    y = _small_print(draw, receipt, list(warnings), snippet_seconds, y + 10)
    return sheet.crop((0, 0, WIDTH, y + MARGIN // 2))


def font(size: int) -> Any:
    """The one typeface of all pictures."""
    return ImageFont.load_default(size)


def _place(receipt: Receipt, second: float) -> float:
    """The column of a second of the source."""
    return MARGIN + (second - receipt.start) / max(receipt.end - receipt.start, 1e-6) * ACROSS


def _title(draw: ImageDraw.ImageDraw, source: Any, receipt: Receipt) -> int:
    name = Path(str(source)).name if isinstance(source, str | Path) else "a stream"
    name = name if len(name) < 80 else name[:38] + "..." + name[-38:]
    draw.text((MARGIN, 30), name, INK, font(30))
    words = f"{clock(receipt.start)} to {clock(receipt.end)}"
    draw.text((WIDTH - MARGIN, 38), words, PALE, font(20), anchor="ra")
    return 84


def _strip(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, source: Any, receipt: Receipt, y: int, span: tuple[float, float]
) -> tuple[int, np.ndarray]:
    """Frames of a span side by side, each in the middle of the time that its cell stands for; gives the next free row,
    and the instants of the frames."""
    if not receipt.frames:
        return _nothing(draw, y, "no picture was seen") + 6, np.zeros(0)
    with open_media(source) as media:
        assert media.size is not None
        high, wide = media.size
        still = media.is_still
    count = 1 if still else min(MOST, max(FEWEST, round(ACROSS * high / (wide * STRIP_HEIGHT))), receipt.frames)
    cell = ACROSS / count
    scale = min(cell / wide, (STRIP_HEIGHT if count >= FEWEST else 2.4 * STRIP_HEIGHT) / high)
    if count >= FEWEST and cell / wide > scale:  # wide cells: a little higher rather than gaps
        scale = min(cell / wide, 1.7 * STRIP_HEIGHT / high)
    size = max(1, int(wide * scale)), max(1, int(high * scale))
    instants = span[0] + (np.arange(count) + 0.5) * (span[1] - span[0]) / count
    frames = read_frames(source, instants, span[1], (size[1], size[0]))
    for at, frame in enumerate(frames):
        left = round(MARGIN + (at + 0.5) * cell - size[0] / 2)
        if frame is None:
            draw.rectangle([left, y, left + size[0] - 2, y + size[1] - 1], CARD)
            if size[0] > 90:
                draw.text(
                    (left + size[0] / 2, y + size[1] / 2), "no picture", PALE, font(15), anchor="mm", align="center"
                )
            continue
        picture = Image.fromarray(np.ascontiguousarray(frame))
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        sheet.paste(picture, (left, y))
        draw.line([(left + size[0], y), (left + size[0], y + size[1])], PAPER, 3)
        middle, foot = MARGIN + (at + 0.5) * cell, y + size[1] + 3
        draw.polygon([(middle - 6, foot), (middle + 6, foot), (middle, foot + 7)], ACCENT)  # the frame's own instant
    return y + size[1] + 13, instants


def _nothing(draw: ImageDraw.ImageDraw, y: int, words: str) -> int:
    """A slim band that says what is not there."""
    draw.rectangle([MARGIN, y, MARGIN + ACROSS - 1, y + 43], CARD)
    draw.text((MARGIN + ACROSS / 2, y + 22), words, PALE, font(18), anchor="mm")
    return y + 44


def bounds_shown(receipt: Receipt, seconds: float) -> bool:
    """Whether lines between snippets of so many `seconds` are far enough from each other to be drawn."""
    return seconds / max(receipt.end - receipt.start, 1e-6) * ACROSS >= CLOSEST


def _bounds(sheet: Image.Image, receipt: Receipt, seconds: float, first: int, top: int, bottom: int) -> None:
    """Thin lines between snippets in the rows top to bottom; from the row `first` on, what lies before the seconds
    that the answers could look at becomes pale."""
    over = Image.new("RGBA", sheet.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    if receipt.text_start > receipt.start:
        draw.rectangle([MARGIN, first, _place(receipt, receipt.text_start), bottom - 1], (*PAPER, 150))
    if bounds_shown(receipt, seconds):
        for number in range(1, receipt.snippets):
            x = round(_place(receipt, receipt.start + number * seconds))
            draw.line([(x, top), (x, bottom - 1)], (255, 255, 255, 120))
    sheet.paste(over, (0, 0), over)


def _look(draw: ImageDraw.ImageDraw, receipt: Receipt, y: int) -> int:
    """A bar under the seconds whose latents the answers could attend to."""
    left = max(_place(receipt, receipt.text_start), MARGIN)
    draw.rounded_rectangle([MARGIN, y, MARGIN + ACROSS - 1, y + LOOK_HEIGHT - 1], 4, RULE)
    draw.rounded_rectangle([left, y, MARGIN + ACROSS - 1, y + LOOK_HEIGHT - 1], 4, ACCENT)
    return y + LOOK_HEIGHT


def clock(second: float) -> str:
    """Seconds for people: 7 s, 7.25 s, 12:05, 1:02:05."""
    if second < 120:
        return f"{round(second, 2):g} s"
    whole = round(second)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def tick_step(seconds: float, most: int = 14) -> float:
    """The smallest round step that cuts `seconds` into no more than `most` parts."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return next((step for step in steps if seconds / step <= most), 3600.0 * math.ceil(seconds / most / 3600))


def _axis(draw: ImageDraw.ImageDraw, receipt: Receipt, y: int) -> int:
    step = tick_step(receipt.end - receipt.start)
    for number in range(math.ceil(receipt.start / step - 1e-6), math.floor(receipt.end / step + 1e-6) + 1):
        x = _place(receipt, number * step)
        draw.line([(x, y + 2), (x, y + 8)], PALE, 2)
        words = clock(number * step)
        half = draw.textlength(words, font(16)) / 2
        draw.text((min(max(x, MARGIN + half), MARGIN + ACROSS - half), y + 12), words, PALE, font(16), anchor="ma")
    return y + 34


def wrap(draw: ImageDraw.ImageDraw, text: str, font: Any, width: float) -> list[str]:
    """Lines no wider than `width`, broken between words, or inside a word that is too long for a line."""
    lines = [""]
    for word in " ".join(text.split()).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if draw.textlength(lines[-1] + letter, font) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _answer(draw: ImageDraw.ImageDraw, answer: Answer, y: int) -> int:
    """The question small, the answer large, and a bar that says how sure."""
    gauge, left = 150, MARGIN + 22
    bar, right = WIDTH - MARGIN - gauge - 70, WIDTH - MARGIN
    top, width = y, bar - left - 30
    for line in wrap(draw, answer.question, font(20), width):
        draw.text((left, y), line, PALE, font(20))
        y += 26
    for line in wrap(draw, answer.answer or "(no words)", font(28), width):
        draw.text((left, y), line, INK, font(28))
        y += 36
    colour = SURE if answer.confidence >= 0.5 else UNSURE
    draw.rounded_rectangle([MARGIN, top + 2, MARGIN + 5, y - 4], 2, colour)
    middle = top + 44
    draw.rounded_rectangle([bar, middle - 6, bar + gauge, middle + 6], 6, RULE)
    filled = gauge * min(max(answer.confidence, 0.0), 1.0)
    if filled > 6:
        draw.rounded_rectangle([bar, middle - 6, bar + filled, middle + 6], 6, colour)
    draw.text((right, middle), f"{100 * answer.confidence:.0f} %", INK, font(20), anchor="rm")
    if not answer.is_calibrated:
        draw.text((right, middle + 12), "not calibrated", UNSURE, font(15), anchor="ra")
    return y + 16


def _small_print(
    draw: ImageDraw.ImageDraw, receipt: Receipt, warnings: Sequence[str], snippet_seconds: float, y: int
) -> int:
    """The receipt, and the warnings of all answers."""
    draw.line([(MARGIN, y), (WIDTH - MARGIN, y)], RULE, 1)
    y += 12
    how = "the bar marks the seconds that the answers could look at; small triangles are the instants of the frames"
    if bounds_shown(receipt, snippet_seconds):
        how += f"; thin lines are the bounds of snippets of {snippet_seconds:g} s"
    for text in (receipt.sentence(), how, *(f"note: {warning}" for warning in warnings)):
        for line in wrap(draw, text, font(16), ACROSS):
            draw.text((MARGIN, y), line, PALE, font(16))
            y += 22
    return y
