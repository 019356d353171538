"""Packets -> frames, with what the decoders alone do not do: limits, transparency of VP8 and VP9, mirrored photos."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import av
import av.codec.codec
import av.error

from .limits import CANVASES, PIXELS, canvas_pixels

WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # codec -> the decoder that decodes its transparency, too
PHOTOS = frozenset({"mjpeg", "png", "apng", "webp", "tiff"})  # codecs whose packets may carry EXIF
EXIF_WITHIN = 1 << 17  # bytes of a packet that are searched for EXIF
ORIENTATION = 0x0112  # the tag


class Skipped(ValueError):
    """A packet that is not decoded on purpose. The message says why, in words that follow the name of its stream."""


ENCRYPTED = "is encrypted: it cannot be decoded without its key"
SPENT = "claims more pixels than a file of its size may: what follows is not watched"


class Photo:
    """What goes with a frame that is a photo, as `frame.opaque`; each has its own: PyAV keeps it by its identity."""

    def __init__(self, orientation: int) -> None:
        self.orientation = orientation  # EXIF, 1 to 8


class Decoder:
    """Decodes the packets of one container; `frame.opaque` of a photo is a `Photo`, of any other frame None."""

    def __init__(self, streams: Iterable[Any]) -> None:
        """`streams`: those of the packets, as the container was opened."""
        self._kinds = {one.index: av.VideoFrame if one.type == "video" else av.AudioFrame for one in streams}
        self._known: set[int] = set()
        self._alpha: dict[int, Any] = {}  # stream index -> a decoder of its own
        self._turned: dict[int, int] = {}  # stream index -> EXIF orientation of its latest packet
        self._painted = self._bytes = 0  # pixels, bytes
        self._refused: set[int] = set()  # streams of which nothing more is decoded

    def __call__(self, packet: Any) -> list[Any]:
        """The frames that a packet completes; raises what `packet.decode()` does, `Skipped`, and `ValueError` for
        frames of another kind than the stream's, as a damaged file may make its decoder give."""
        frames = self._decoded(packet)
        kind = self._kinds.get(packet.stream_index, object)
        if any(not isinstance(frame, kind) for frame in frames):
            raise ValueError(f"expected frames of the kind {kind.__name__}, found others")
        return frames

    def _decoded(self, packet: Any) -> list[Any]:
        stream = packet.stream
        if stream.index not in self._known:
            self._known.add(stream.index)
            self._prepare(stream)
        if not packet.size and packet.pts is not None:
            return []  # the frame before is shown again: it is on screen still
        if packet.size and packet.has_sidedata("encryption_info"):
            raise Skipped(ENCRYPTED)
        if stream.type != "video":
            return packet.decode()
        codec = stream.codec_context.name
        if stream.index in self._refused:
            return []
        if packet.size and codec in PHOTOS:
            self._turned[stream.index] = orientation(packet)
        try:
            decode = self._alpha.get(stream.index)
            frames = packet.decode() if decode is None else decode.decode(packet if packet.size else None)
        except av.error.ArgumentError:
            width, height = stream.codec_context.width, stream.codec_context.height
            if not width or width * height > PIXELS:
                self._refused.add(stream.index)
                found = f", found {width} x {height}" if width else ""
                raise Skipped(f"has more than {PIXELS // 1_000_000} megapixels{found}: scale it down first") from None
            raise
        if stream.index in self._turned:
            for frame in frames:
                frame.opaque = Photo(self._turned[stream.index])
        if codec in CANVASES:
            self._bytes += packet.size
            self._painted += sum(frame.width * frame.height for frame in frames)
            if self._painted > canvas_pixels(self._bytes):
                self._refused.add(stream.index)
                raise Skipped(SPENT)
        return frames

    def _prepare(self, stream: Any) -> None:
        if stream.type != "video":
            return
        context = stream.codec_context
        if not context.is_open:
            context.options = {**context.options, "max_pixels": str(PIXELS)}
        name = WITH_ALPHA.get(context.name)
        if name is not None and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
            try:
                decoder = av.CodecContext.create(name, "r")
            except (
                av.codec.codec.UnknownCodecError
            ):  # not in every build of FFmpeg: then the picture is shown without it
                return
            decoder.options = {"max_pixels": str(PIXELS)}
            if context.extradata:
                decoder.extradata = context.extradata
            self._alpha[stream.index] = decoder


def orientation(packet: Any) -> int:
    """The EXIF orientation of a photo, 1 (upright) where it states none."""
    from PIL import Image

    data = bytes(packet)
    head = data[:EXIF_WITHIN]
    if b"Exif\0\0" not in head and b"eXIf" not in data and b"EXIF" not in data and head[:2] not in (b"II", b"MM"):
        return 1
    try:
        with Image.open(io.BytesIO(data)) as image:
            found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whatever a torn photo makes of it: the picture itself may still be decoded
        return 1
    return found if found in range(1, 9) else 1
