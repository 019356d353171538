"""Asset packs with a file that is no good: one line that names it, or the rest of it is used."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from mirasol.media.clip import MediaError
from mirasol.media.toybox.assets import AssetPack
from packs import KINDS, save_pack


def png(width: int, height: int, head: bytes = b"\x08\x02\x00\x00\x00") -> bytes:
    """A PNG of a header and of no pixels."""
    bodies = (b"IHDR" + struct.pack(">II", width, height) + head, b"IDAT" + zlib.compress(b""))
    chunks = (struct.pack(">I", len(body) - 4) + body + zlib.crc32(body).to_bytes(4, "big") for body in bodies)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (png(9_000, 14_000), "9000 x 14000 pixels"), (png(2**20, 2**30), "pixels"),
        (png(3, 2, b"\x08"), "cannot be read"), (b"", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "cannot be read"),
    ],
    ids=["large", "gigantic", "short", "empty", "zeros"],
)  # fmt: skip
def test_a_picture_that_is_none_is_named_in_one_line(tmp_path: Path, picture: bytes, why: str) -> None:
    file = save_pack(tmp_path) / "pictures" / KINDS[0] / "a.png"
    file.write_bytes(picture)
    with pytest.raises(MediaError, match=why) as error:
        AssetPack(tmp_path).draw(KINDS[0], 20, np.random.default_rng(0))
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_captions_in_another_encoding_are_named(tmp_path: Path) -> None:
    (save_pack(tmp_path) / "captions").mkdir()
    (tmp_path / "captions" / f"{KINDS[3]}.txt").write_bytes("ein hübscher Hund\n".encode("latin-1"))
    with pytest.raises(MediaError, match=f"{KINDS[3]}.txt: expected UTF-8"):
        AssetPack(tmp_path)


def test_samples_that_are_no_numbers_do_not_silence_a_sound(tmp_path: Path) -> None:
    tone = np.sin(np.arange(6_000) * 0.2).astype("<f4")
    tone[[900, 1_900, 2_900]] = (np.nan, np.inf, 1e30)
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + tone.nbytes, b"WAVEfmt ", 16, 3, 1, 16_000, 64_000, 4, 32,
                       b"data", tone.nbytes)  # fmt: skip
    (save_pack(tmp_path) / "sounds" / KINDS[1] / "a.wav").write_bytes(head + tone.tobytes())
    sound = AssetPack(tmp_path).sound(KINDS[1], np.random.default_rng(0))
    assert np.isfinite(sound).all()
    assert 0.5 < np.sqrt(np.mean(sound[:2_000] ** 2)) < 0.8
