"""Small asset packs: each kind a colour and a pitch."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = tuple(f"kind{letter}" for letter in "abcdefghijklmn")


def save_pack(root: Path, kinds: Sequence[str] = KINDS) -> Path:
    for kind in kinds:
        at = KINDS.index(kind)
        for part in ("pictures", "sounds"):
            (root / part / kind).mkdir(parents=True)
        Image.new("RGB", (20, 16), (18 * at, 255 - 18 * at, 90)).save(root / "pictures" / kind / "a.png")
        tone = np.sin(np.arange(4_000) * 0.05 * (at + 1)) * 20_000
        with wave.open(str(root / "sounds" / kind / "a.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(tone.astype("<i2").tobytes())
    return root
