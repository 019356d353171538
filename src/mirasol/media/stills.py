"""Pictures that FFmpeg does not show whole are decoded by Pillow and kept as a small film without loss.

These are animated WebP, AVIF (transparent or animated), and HEIC, which phones store in tiles. Everything after this
file meets an ordinary container: frames that are upright, on white, with their times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from .clip import MediaError
from .limits import PIXELS, canvas_pixels
from .naming import quoted

HEAD = 512  # bytes that `kind_of` looks at
HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"})
AVIF = frozenset({b"avif", b"avis"})
SHOWN = 100  # milliseconds, where an animation does not say how long a picture is on screen
MOST_KEPT = 300_000_000  # pixels of a whole animation on disk (3 bytes each); larger ones are kept smaller
MILLI = Fraction(1, 1000)


def kind_of(head: bytes) -> str | None:
    """webp, avif or heic for the pictures that are read here, None for everything else."""
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2:
        return "webp"  # the flag of an animation
    if head[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}
    if brands & AVIF:
        return "avif"
    # A sequence in HEVC (major brands hevc, msf1) is a film, which FFmpeg reads.
    return "heic" if head[8:12] in HEIC and brands & HEIC else None


def as_film(file: Any, kind: str, name: str, warn: Any) -> tuple[Any, int]:
    """(a temporary file with the pictures of `file` as MOV, their number). `warn(line)` gets what was not kept."""
    from PIL import Image

    size = file.seek(0, 2)
    file.seek(0)
    try:
        with _opened(file, kind, name) as image:
            if image.width * image.height > PIXELS:
                raise MediaError(too_large(name, f"{image.width} x {image.height} pixels"))
            return _written(image, size, warn)
    except MediaError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise MediaError(too_large(name, "larger than that")) from error
    except Exception as error:  # Pillow and its plugins raise many kinds on damage
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MediaError(f"cannot read {quoted(name)}: the picture ({kind}) cannot be decoded ({reason})") from error


def too_large(name: str, found: str) -> str:
    """The one line about a picture above the limit."""
    return (
        f"cannot read {quoted(name)}: expected pictures of at most {PIXELS // 1_000_000} megapixels, found {found}; "
        "scale it down first"
    )


def _opened(file: Any, kind: str, name: str) -> Any:
    from PIL import Image, features

    if kind == "heic":
        try:
            import pillow_heif
        except ImportError as error:
            raise MediaError(
                f"cannot read {quoted(name)}: HEIC, which stores a picture in tiles, needs pillow-heif: "
                "pip install 'mirasol[heif]', or convert it to JPEG"
            ) from error
        return pillow_heif.open_heif(file, convert_hdr_to_8bit=True).to_pillow()
    if kind == "avif" and not features.check("avif"):
        raise MediaError(
            f"cannot read {quoted(name)}: this Pillow has no AVIF; install a newer one, or convert it to PNG"
        )
    return Image.open(file)


def _written(image: Any, size: int, warn: Any) -> tuple[Any, int]:
    pixels, stated = image.width * image.height, getattr(image, "n_frames", 1)
    most = max(1, canvas_pixels(size) // pixels)
    count = min(stated, most)
    if count < stated:
        warn(f"{count} of {stated} pictures were watched: the others claim more pixels than a file of its size may")
    scale = min(1.0, (MOST_KEPT / (pixels * count)) ** 0.5)
    kept = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    film = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the source
    with av.open(film, "w", format="mov", options={"video_track_timescale": "1000"}) as out:
        stream: Any = None
        begin = 0
        for picture, milliseconds in _pictures(image, count, kept):
            if stream is None:
                stream = out.add_stream("rawvideo", rate=25)
                stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
                stream.codec_context.time_base = MILLI
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = begin, MILLI
            for packet in stream.encode(frame):
                packet.duration = max(1, milliseconds * MILLI / packet.time_base)
                out.mux(packet)
            begin += milliseconds
        out.mux(stream.encode(None))
    return film, count


def _pictures(image: Any, count: int, kept: tuple[int, int]) -> Iterator[tuple[np.ndarray, int]]:
    """Each picture as (H, W, 3) uint8 on white, with the milliseconds for which it is shown."""
    from PIL import Image, ImageOps

    for place in range(count):
        if count > 1:
            image.seek(place)
        image.load()
        picture = image if count > 1 else ImageOps.exif_transpose(image)
        size = kept if picture.size == image.size else kept[::-1]
        if picture.mode != "RGB":
            clear = picture.has_transparency_data
            picture = picture.convert("RGBA" if clear else "RGB")
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BOX)
        if picture.mode == "RGBA":
            paper = Image.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = Image.alpha_composite(paper, picture).convert("RGB")
        yield np.ascontiguousarray(picture), max(1, round(image.info.get("duration") or SHOWN))
