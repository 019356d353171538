"""Photos and animations as they are meant to be seen: upright, on white, whole; the same in `ask` and `watch`."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from mirasol.media import limits
from mirasol.media.clip import MediaError
from mirasol.media.live import Live
from mirasol.media.reader import join, open_media, read

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


def quarters() -> np.ndarray:
    """(40, 60, 3) uint8: another colour in each quarter, so that each of the eight orientations looks different."""
    picture = np.zeros((40, 60, 3), np.uint8)
    for place, colour in enumerate(COLOURS):
        picture[20 * (place // 2) :, 30 * (place % 2) :] = colour
    return picture


def both(source: bytes) -> list[np.ndarray]:
    """The first picture as `ask` and as `watch` see it."""
    live = next(iter(Live(io.BytesIO(source)))).frame
    assert live is not None
    return [read(source).frames[0], live()]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_and_mirrored_as_exif_says(form: str, orientation: int) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    more = {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(quarters()).save(file, form, exif=exif, **more)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
    for picture in both(file.getvalue()):
        assert picture.shape == wanted.shape
        assert np.abs(picture.astype(int) - wanted).mean() < 12


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "GIF", "PNG"])
def test_animations_show_all_their_pictures_at_their_times(form: str) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    pictures = [Image.new("RGB", (60, 40), (0, 20 * place, 255)) for place in range(8)]
    file, shown = io.BytesIO(), [100, 200, 100, 300, 100, 100, 100, 500]
    more = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "AVIF" else {}
    pictures[0].save(file, form, save_all=True, append_images=pictures[1:], duration=shown, **more)
    clip = read(file.getvalue())
    times = np.cumsum([0, *shown[:-1]]) / 1000
    np.testing.assert_allclose(clip.frame_times, times, atol=0.011)
    np.testing.assert_allclose(clip.frames[:, 20, 30, 1], np.arange(8) * 20, atol=8)
    assert clip.end == pytest.approx(1.5, abs=0.02)
    arrived = [arrival.time for arrival in Live(io.BytesIO(file.getvalue()))]
    np.testing.assert_allclose(arrived, [*times, clip.end], atol=0.011)  # at last, nothing is on screen


def transparent(codec: str, path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=10, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[:, :32], picture[:, 32:] = (255, 0, 0, 255), (0, 0, 255, 0)
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        out.mux(stream.encode(None))


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9", "AVIF", "PNG"])
def test_what_is_transparent_lies_on_white(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "clear.webm"
    if codec.startswith("libvpx"):
        transparent(codec, path)
    else:
        picture = Image.new("RGBA", (64, 48), (0, 0, 255, 0))
        picture.paste((255, 0, 0, 255), (0, 0, 32, 48))
        picture.save(path, codec)
    for picture in both(path.read_bytes()):
        assert picture[24, 50].min() > 240
        assert np.abs(picture[24, 10].astype(int) - (255, 0, 0)).max() < 12


def test_a_photo_in_tiles_is_seen_whole_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[:45, 60:] = (255, 0, 0)
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(picture)).save(file, quality=95)
    for seen in both(file.getvalue()):
        assert seen.shape == picture.shape
        assert np.abs(seen.astype(int) - picture).mean() < 12
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for way in (open_media, Live):
        with pytest.raises(MediaError, match=r"mirasol\[heif\]"):
            way(io.BytesIO(file.getvalue()))


def png(width: int, height: int, bits: int) -> bytes:
    """An RGBA picture of zeros: a file of some kB that claims any size."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pack, row = zlib.compressobj(9), bytes(1 + width * 4 * bits // 8)
    data = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")


def test_pictures_beyond_the_limit_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("packets", "stills", "containers"):
        monkeypatch.setattr(f"mirasol.media.{module}.PIXELS", 10_000)
    webp = io.BytesIO()
    Image.new("RGB", (130, 90)).save(webp, "WEBP", save_all=True, append_images=[Image.new("RGB", (130, 90), "red")])
    gif = io.BytesIO()
    Image.new("RGB", (130, 90)).save(gif, "GIF", save_all=True, append_images=[Image.new("RGB", (130, 90), "red")])
    for data in (png(130, 90, 8), png(130, 90, 16), webp.getvalue(), gif.getvalue()):
        with pytest.raises(MediaError, match="megapixels"):
            open_media(data)
        with pytest.raises(MediaError, match="megapixels"):
            list(Live(io.BytesIO(data)))
    assert read(png(64, 90, 16)).frames.min() > 250


def test_an_animation_that_claims_more_than_its_bytes_allow_ends_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CANVAS_PIXELS", 60 * 40 * 3)
    monkeypatch.setattr(limits, "CANVAS_PIXELS_PER_BYTE", 0)
    pictures = [Image.new("RGB", (60, 40), (0, 20 * place, 255)) for place in range(8)]
    for form in ("GIF", "WEBP"):
        file = io.BytesIO()
        pictures[0].save(file, form, save_all=True, append_images=pictures[1:], duration=100)
        with open_media(file.getvalue()) as media:
            assert len(join(media.pieces()).frames) == 3
            assert any("claim" in line for line in media.warnings)
        live = Live(io.BytesIO(file.getvalue()))
        assert sum(arrival.frame is not None for arrival in live) == 3
        assert any("claim" in line for line in live.report.lines())


def test_large_transparent_pictures_are_scaled_before_they_are_laid_on_white(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGBA", (640, 400), (0, 0, 255, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 320, 400))
    file = io.BytesIO()
    picture.save(file, "PNG")
    exact = read(file.getvalue(), fit=(40, 72)).frames[0].astype(int)
    sizes: list[int] = []
    from mirasol.media import pictures

    on_white = pictures._on_white
    monkeypatch.setattr(pictures, "AT_ONCE", 10_000)
    monkeypatch.setattr(
        pictures, "_on_white", lambda frame: (sizes.append(frame.width * frame.height), on_white(frame))[1]
    )
    scaled = read(file.getvalue(), fit=(40, 72)).frames[0].astype(int)
    assert max(sizes) < 11_000
    assert np.abs(exact - scaled).mean() < 3
