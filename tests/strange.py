"""Media of every strange kind, by chance: late, short, turned, mirrored, anamorphic, interlaced, jittering, joined,
with transparent parts, without one of the streams."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from films import make_film

KINDS = ("film", "joined", "alpha", "ogg", "still", "animation")
SIZES = [(48, 84), (66, 44)]


@dataclass(frozen=True)
class Strange:
    """A file, how many recordings are joined in it, and whether its picture has transparent parts that are white."""

    path: Path
    parts: int = 1
    white: bool = False
    even: bool = True  # whether timestamps do not jitter


def strange(folder: Path, seed: int) -> Strange:
    """One by chance."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    return {"film": film, "joined": joined, "alpha": alpha, "ogg": ogg, "still": still, "animation": animation}[kind](
        folder, chance
    )


def facts(chance: random.Random, size: tuple[int, int]) -> dict:
    interlaced = size[0] % 16 == 0 and chance.random() < 0.5
    return {
        "size": size,
        "at": chance.choice([[0.5], [0.3, 0.8], None]),
        "audio_shift": chance.choice([0.0, 0.6]),
        "audio_rate": chance.choice([44_100, 22_050]),
        "channels": chance.choice([1, 2]),
        "options": {"flags": "+ildct+ilme"} if interlaced else None,
        "aspect": chance.choice([None, Fraction(3, 2), Fraction(8, 9)]),
        "jitter": chance.choice([0.0, 0.03]),
        "seed": chance.randrange(1000),
    }


def times(chance: random.Random) -> np.ndarray:
    begin, length = chance.choice([0.0, 0.4]), chance.uniform(0.9, 2.0)
    return begin + np.arange(0, length, 0.04)


def film(folder: Path, chance: random.Random) -> Strange:
    path = folder / f"film.{chance.choice(['mp4', 'mov', 'mkv'])}"
    turned = path.suffix != ".mkv"
    more = facts(chance, chance.choice(SIZES))
    picture = None if more["at"] and chance.random() < 0.2 else times(chance)
    make_film(
        path, times=picture, seconds=chance.uniform(0.9, 3.0), turn=chance.choice([0, 90, 180, 270]) if turned else 0,
        mirror=turned and chance.random() < 0.5, **more,
    )  # fmt: skip
    return Strange(path, even=not more["jitter"])


def joined(folder: Path, chance: random.Random) -> Strange:
    parts, data, more = chance.choice([2, 3]), b"", facts(chance, chance.choice(SIZES))
    more["at"] = more["at"] and [0.3]
    for _ in range(parts):
        make_film(folder / "part.ts", times=times(chance), seconds=chance.uniform(0.9, 2.0), **more)
        data += (folder / "part.ts").read_bytes()
    (folder / "film.ts").write_bytes(data)
    return Strange(folder / "film.ts", parts, even=not more["jitter"])


def alpha(folder: Path, chance: random.Random) -> Strange:
    """The lower half is transparent."""
    name, codec, pixels = chance.choice(
        [("film.webm", "libvpx-vp9", "yuva420p"), ("film.mkv", "ffv1", "bgra"),
         ("film.mov", "png", "rgba")]
    )  # fmt: skip
    height, width = size = chance.choice(SIZES)
    with av.open(str(folder / name), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        if name.endswith("webm"):
            stream.metadata["alpha_mode"] = "1"
        for at in range(chance.choice([1, 9, 30])):
            rgba = np.zeros((*size, 4), np.uint8)
            rgba[: height // 2] = (30, 8 * at, 90, 255)
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Strange(folder / name, white=True)


def ogg(folder: Path, chance: random.Random) -> Strange:
    parts, data = chance.choice([1, 2, 3]), b""
    codec = chance.choice([("libopus", 48_000), ("flac", 44_100)])
    for number in range(parts):
        make_film(
            folder / "part.ogg", times=None, at=[0.2 + 0.1 * number], seconds=chance.uniform(0.9, 2.0), audio=codec[0],
            audio_rate=codec[1], channels=1,
        )  # fmt: skip
        data += (folder / "part.ogg").read_bytes()
    (folder / "sound.ogg").write_bytes(data)
    return Strange(folder / "sound.ogg", parts)


def pictures(chance: random.Random, count: int) -> list[Image.Image]:
    height, width = chance.choice(SIZES)
    made = []
    for at in range(count):
        rgba = np.zeros((height, width, 4), np.uint8)
        rgba[: height // 2] = (30, 8 * at, 90, 255)
        made.append(Image.fromarray(rgba))
    return made


def still(folder: Path, chance: random.Random) -> Strange:
    form = chance.choice(["png", "webp", "tiff", "jpg"])
    (picture,) = pictures(chance, 1)
    exif = picture.getexif()
    exif[0x0112] = chance.choice([1, 2, 3, 4, 5, 6, 7, 8])
    path = folder / f"photo.{form}"
    more = {"lossless": True} if form == "webp" else {}
    (picture.convert("RGB") if form == "jpg" else picture).save(path, exif=exif, **more)
    return Strange(path, white=form in ("png", "webp") and exif[0x0112] in (1, 2))


def animation(folder: Path, chance: random.Random) -> Strange:
    form = chance.choice(["GIF", "PNG", "WEBP"])
    first, *others = pictures(chance, chance.choice([2, 7]))
    shown = [chance.choice([40, 100, 700]) for _ in range(1 + len(others))]
    more = {"disposal": 2} if form == "GIF" else {"lossless": True} if form == "WEBP" else {}
    first.save(folder / f"moving.{form.lower()}", form, save_all=True, append_images=others, duration=shown, **more)
    return Strange(folder / f"moving.{form.lower()}", white=form != "WEBP")  # not every libwebp keeps it
