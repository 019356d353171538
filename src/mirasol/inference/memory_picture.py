"""What a stream's state holds and where answers looked, as one picture.

    draw_memory(watched, answers, loaded, "camera 1").save("memory.png")

On top a time line of all that was watched; below it a column for each memory token and each snippet of the window,
tied to the seconds that it was written from; below these a row for each answer, darker where it looked more. The
priority memory's tokens stem from one snippet each; those of the Token Turing Machine are mixtures, and stand at the
mean time of what went into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from mirasol.model.state import FINE, PriorityState

from .answer import Answer, Loaded, Watched
from .picture import ACCENT, ACROSS, CARD, INK, MARGIN, PALE, PAPER, RULE, SURE, WIDTH, clock, font, tick_step, wrap

LINE, FAN, CELL, BAR = 150, 110, 74, 34  # rows: the time line, the height of the ties, of a cell, of a row of looks
MOST_COLUMNS = 64


@dataclass(frozen=True)
class Held:
    """One thing that text can look at. `number`: the snippet it stems from (a mean where it is a mixture)."""

    kind: str  # memory or window
    number: float
    worth: float | None  # salience, where there is such a thing
    places: tuple[int, ...]  # its tokens in the context


def held(watched: Watched, loaded: Loaded) -> list[Held]:
    """Everything in the state of one stream that text can look at, memory first, each part in the order of time."""
    state, per_snippet = watched.state, loaded.model.sizes.combined
    found: list[Held] = []
    numbers = state.numbers[0].tolist()
    if (memory := state.combiner.memory) is not None:
        base = len(numbers) * per_snippet
        worth = memory.salience[0].tolist() if isinstance(memory, PriorityState) else [None] * memory.tokens.shape[1]
        for at, (number, written) in enumerate(
            zip((memory.numbers[0] / 2**FINE).tolist(), memory.written[0].tolist(), strict=True)
        ):
            if written:
                found.append(Held("memory", number, worth[at], (base + at,)))
        found.sort(key=lambda one: one.number)
    for at, number in enumerate(numbers):
        if number >= 0:
            found.append(Held("window", number, None, tuple(range(at * per_snippet, (at + 1) * per_snippet))))
    return found


@torch.inference_mode()
def looks(watched: Watched, answer: Answer, loaded: Loaded, asked: str | None) -> np.ndarray:
    """How much the words of an answer looked at each token of the context, (C,), summing to one."""
    context, mask = loaded.model.encoder.context(watched.state)
    prompt, target = loaded.text.prompt(asked), loaded.text.target(answer.answer)
    ids = torch.tensor([prompt + target], device=context.device)
    weights = loaded.model.decoder.looks(ids, context, mask)[0]
    return weights[len(prompt) - 1 : len(prompt) + len(target) - 1].float().mean(dim=0).cpu().numpy()


def draw_memory(
    watched: Watched, answers: Sequence[Answer], loaded: Loaded, name: str, *, captions: bool = False
) -> Image.Image:
    """The picture; `captions`: the answers are descriptions, without a question."""
    things, receipt = held(watched, loaded), watched.receipt
    if not things:
        raise ValueError("expected a stream of at least one snippet to draw its memory, found none; watch something")
    shown = things[-MOST_COLUMNS:]
    length = loaded.model.sizes.snippet_seconds
    sheet = Image.new("RGB", (WIDTH, LINE + FAN + CELL + 70 + len(answers) * (BAR + 36) + 150), PAPER)
    draw = ImageDraw.Draw(sheet)
    slots = sum(one.kind == "memory" for one in things)
    size = f"{loaded.model.sizes.memory} slots, {slots} written; " if loaded.model.sizes.memory else "no memory; "
    draw.text((MARGIN, 30), f"What {loaded.name} remembers of {Path(name).name}", INK, font(30))
    draw.text((WIDTH - MARGIN, 38), f"{size}state of {watched.state.bytes() / 1e3:.0f} kB", PALE, font(20), anchor="ra")
    y = _time_line(draw, watched, things, length)
    places = _columns(sheet, draw, watched, shown, y, length)
    y += FAN + CELL + 64
    for answer in answers:
        asked = None if captions else answer.question
        y = _looks_row(draw, looks(watched, answer, loaded, asked), answer, shown, places, y)
    words = (
        "Each column is something that text can look at: a token of the memory, or a snippet of the window (the last "
        f"{loaded.model.sizes.context_snippets}). The line above it leads to the seconds it was written from. Below, "
        "for each answer: the darker, the more its words looked there, in percent. Receipt: " + receipt.sentence() + "."
    )
    for line in wrap(draw, words, font(16), ACROSS):
        draw.text((MARGIN, y), line, PALE, font(16))
        y += 22
    return sheet.crop((0, 0, WIDTH, y + 24))


def _across(watched: Watched, number: float, length: float) -> float:
    """The column of the middle of a snippet on the time line."""
    whole = max(float(watched.state.count[0]), 1.0)
    return MARGIN + (number + 0.5) / whole * ACROSS


def _time_line(draw: ImageDraw.ImageDraw, watched: Watched, things: Sequence[Held], length: float) -> int:
    """Seconds with ticks, a mark wherever something was kept; gives the row of the line."""
    y, whole, start = LINE, float(watched.state.count[0]) * length, watched.receipt.start
    draw.rounded_rectangle([MARGIN, y - 7, WIDTH - MARGIN, y + 7], 7, CARD)
    step = tick_step(whole)
    for at in np.arange(0.0, whole + 1e-6, step):
        x = MARGIN + at / max(whole, 1e-6) * ACROSS
        draw.line([(x, y - 14), (x, y - 8)], PALE, 1)
        draw.text((x, y - 34), clock(start + at), PALE, font(15), anchor="ma")
    for one in things:
        x = _across(watched, one.number, length)
        colour = ACCENT if one.kind == "memory" else SURE
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], colour)
    return y


def _columns(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, watched: Watched, shown: Sequence[Held], y: int, length: float
) -> list[tuple[float, float]]:
    """A cell for each thing with its frame, seconds and salience, tied to the time line; gives their left and right."""
    step = ACROSS / len(shown)
    places = [(MARGIN + at * step + 3, MARGIN + (at + 1) * step - 3) for at in range(len(shown))]
    top = y + FAN
    labelled = max(1, round(64 / step))  # every so many columns have room for their seconds
    for at, (one, (left, right)) in enumerate(zip(shown, places, strict=True)):
        colour = ACCENT if one.kind == "memory" else SURE
        middle, x = (left + right) / 2, _across(watched, one.number, length)
        draw.line([(x, y + 6), (x, y + 16), (middle, top - 14), (middle, top)], colour, 1)
        draw.rectangle([left, top, right, top + CELL], CARD, colour)
        if (frame := watched.album.get(round(one.number))) is not None:
            room = (max(1, int(right - left) - 2), CELL - 2)
            small = Image.fromarray(frame)
            scale = min(room[0] / small.width, room[1] / small.height)
            small = small.resize((max(1, int(small.width * scale)), max(1, int(small.height * scale))))
            corner = int(middle - small.width / 2), int(top + CELL / 2 - small.height / 2)
            sheet.paste(small, corner)
        if at % labelled == 0:
            second = watched.receipt.start + one.number * length
            draw.text((middle, top + CELL + 6), clock(second), INK, font(15), anchor="ma")
            if one.worth is not None:
                draw.text((middle, top + CELL + 26), f"{one.worth:.2f}", PALE, font(13), anchor="ma")
    for kind, words in (("memory", "memory tokens"), ("window", "window")):
        inside = [place for one, place in zip(shown, places, strict=True) if one.kind == kind]
        if inside:
            words += ", with their salience" if kind == "memory" and shown[0].worth is not None else ""
            draw.text((inside[0][0], top + CELL + 44), words, ACCENT if kind == "memory" else SURE, font(15))
    return places


def _looks_row(
    draw: ImageDraw.ImageDraw, weights: np.ndarray, answer: Answer, shown: Sequence[Held],
    places: Sequence[tuple[float, float]], y: int,
) -> int:  # fmt: skip
    """One answer: the question, the answer, and how much it looked at each column; gives the next free row."""
    line = f"{answer.question}   "
    draw.text((MARGIN, y), line, PALE, font(19))
    draw.text((MARGIN + draw.textlength(line, font(19)), y), answer.answer or "(no words)", INK, font(19))
    y += 28
    for one, (left, right) in zip(shown, places, strict=True):
        share = float(weights[list(one.places)].sum())
        base = np.array(ACCENT if one.kind == "memory" else SURE, float)
        tint = tuple(int(value) for value in base * min(1.0, share**0.6) + np.array(CARD) * (1 - min(1.0, share**0.6)))
        draw.rectangle([left, y, right, y + BAR], tint, RULE)
        if share >= 0.05 and right - left > 26:
            ink = PAPER if share > 0.25 else INK
            draw.text(((left + right) / 2, y + BAR / 2), f"{100 * share:.0f}", ink, font(15), anchor="mm")
    return y + BAR + 10
