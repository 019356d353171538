"""When two pictures are one, whatever their size and format, and when one recording is heard in another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

ALIKE = 0.22  # two pictures whose looks differ by less than this part are one
ALIKE_SOUND = 0.5  # cross-correlation from which on two sounds count as one recording
QUIET = 0.1  # ... where it is at least so loud beside the loudest part
RATE = 16_000  # samples a second of sounds that are compared


def look(image: Image.Image) -> np.ndarray:
    """What two copies of a picture have in common, whatever their size and format: (16, 16, 3) around a grey of 0."""
    on_grey = Image.new("RGBA", image.size, (128, 128, 128, 255))
    on_grey.alpha_composite(image)
    return np.asarray(on_grey.convert("RGB").resize((16, 16), Image.Resampling.BOX), np.float32) - 128


def alike(one: np.ndarray, others: list[np.ndarray]) -> bool:
    """Whether the picture, or its mirror image, differs from one of the others by a small part of what is seen: a flute
    and a hammer are both little on much grey."""
    if not others:
        return False
    known = np.stack(others)
    most = np.maximum(abs(known).mean(axis=(1, 2, 3)), abs(one).mean())
    return any((abs(known - view).mean(axis=(1, 2, 3)) < ALIKE * most).any() for view in (one, one[:, ::-1]))


class Copies:
    """What was written already: files byte for byte, pictures also by their look."""

    def __init__(self) -> None:
        self.files: set[bytes] = set()
        self.looks: list[np.ndarray] = []

    def new(self, path: Path, image: Image.Image | None = None) -> bool:
        digest = hashlib.sha256(path.read_bytes()).digest()
        seen = digest in self.files
        self.files.add(digest)
        if image is not None and not seen:
            this = look(image)
            seen = alike(this, self.looks)
            self.looks.append(this)
        return not seen


def template(wave: np.ndarray) -> np.ndarray:
    """The first second of a sound, of length 1."""
    loud = int(np.argmax(np.abs(wave) > 0.05 * np.abs(wave).max()))
    part = wave[loud : loud + RATE]
    return part / max(1e-9, float(np.linalg.norm(part)))


def heard_in(wave: np.ndarray, templates: list[np.ndarray]) -> float:
    """How much the sound holds one of the templates: the largest cross-correlation, 1 where they are the same."""
    wave = np.pad(wave, RATE)  # a copy may begin later, or end earlier
    size = 1 << (len(wave) + RATE).bit_length()
    spectrum, power = np.fft.rfft(wave, size), np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    most = 0.0
    for part in templates:
        found = np.abs(np.fft.irfft(spectrum * np.fft.rfft(part, size).conj(), size)[: len(wave)])
        ends = np.minimum(np.arange(len(wave)) + len(part), len(wave))
        energy = np.sqrt((power[ends] - power[: len(wave)]).clip(0))
        most = max(most, float((found / np.maximum(energy, QUIET * energy.max() + 1e-9)).max()))
    return most
