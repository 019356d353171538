"""Opening a source and decoding one of its streams: everything that can go wrong in a file is met here.

What may be opened at all is in `containers`, what packets become in `packets`.

Picture and sound of one file are decoded in two containers, so that each can be read as far as it is needed without
holding what the other has not used yet. A `Source` can therefore be opened several times.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import av.error
import av.stream

from . import stills
from .clip import MediaError
from .containers import FILE, NOTHING, open_address, open_container, scheme_of
from .naming import quoted
from .packets import Decoder, Skipped
from .timing import Packets, Steady

MOST_BOXES = 10_000  # of an mp4 that are looked at for a second film; fragments have two each
GIVE_UP_AFTER = 200  # packets in a row that cannot be read or decoded
SEEK_BACK = (0.0, 2.0, 8.0, 32.0)  # seconds before the target to try; then the file is decoded from its beginning
MOST_KEPT = 5_000  # packets since the last picture that needs no other
URL_TIMEOUT = 30.0  # seconds
KINDS = {"video": "picture", "audio": "sound"}  # FFmpeg's word -> ours
SILENT = 1e-6  # share of the loudness of the channels in their mix, below which they cancel each other
LOUD = 1e-4  # mean square of a sample, in seconds, above which that is worth a word


@dataclass
class Report:
    """What one pass over a source met: packets that could not be decoded, pictures of a live source for which there was
    no time, samples that are no sound, and one-line warnings."""

    damaged: int = 0
    left_out: int = 0
    unsound: int = 0  # samples that were not finite, or far beyond full scale
    channels: float = 0.0  # sum of squares of the samples of all channels, a mean over the channels, ...
    mixed: float = 0.0  # ... and of their mix
    warnings: list[str] = field(default_factory=list)

    def warn(self, line: str) -> None:
        """Keep a warning, once."""
        if line not in self.warnings:
            self.warnings.append(line)

    def lines(self) -> list[str]:
        """One line for each thing that a user should know."""
        lines = list(self.warnings)
        if self.damaged:
            lines.append(f"{self.damaged} damaged packets were skipped")
        if self.left_out:
            lines.append(f"{self.left_out} pictures came faster than they could be looked at and were skipped")
        if self.unsound:
            samples = "1 sample of the sound was" if self.unsound == 1 else f"{self.unsound} samples of the sound were"
            lines.append(f"{samples} not finite (or beyond full scale by far), and silence in their place")
        if self.channels > LOUD and self.mixed < SILENT * self.channels:
            lines.append("the channels of the sound cancel each other: mixed to one channel they are silent")
        return lines


class _View(io.RawIOBase):
    """A reader with its own position on a seekable file object that several readers share."""

    def __init__(self, file: Any) -> None:
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset = self._file.seek(offset, os.SEEK_END)
        self._position = max(0, offset)
        return self._position

    def tell(self) -> int:
        return self._position


class Beginning:
    """A stream that can be read once, whose first `size` bytes are known beforehand as `head`."""

    def __init__(self, stream: Any, size: int) -> None:
        self._stream, self._at = stream, 0
        parts: list[bytes] = []
        while size > 0 and (part := stream.read(size)):
            parts.append(part)
            size -= len(part)
        self.head = b"".join(parts)

    def read(self, size: int = -1) -> bytes:
        if self._at < len(self.head):
            part = self.head[self._at :] if size < 0 else self.head[self._at : self._at + size]
            self._at += len(part)
            return part + (self._stream.read() if size < 0 else b"")
        return self._stream.read(size)


class Source:
    """A path, a URL, bytes, a binary file object, or `-` (standard input), that can be opened again and again."""

    def __init__(self, source: Any, verb: str = "read") -> None:
        self._verb = verb
        self._file: Any = None
        self._address: str | None = None
        self.is_url = False
        self._temporary: Any = None
        self._head = b""
        self.kind: str | None = None  # webp, avif or heic: a picture that Pillow decodes
        self.pictures = 0  # how many pictures it holds then
        self.warnings: list[str] = []
        if isinstance(source, (bytes, bytearray, memoryview)):
            self.name, self._file = "bytes", io.BytesIO(source)
            if not len(source):
                raise MediaError(f"cannot {verb} the bytes given: they are empty")
        elif isinstance(source, (str, os.PathLike)):
            self._take_address(os.fspath(source))
        elif hasattr(source, "read"):
            name = getattr(source, "name", None)
            self.name = name if isinstance(name, str) else "the file object"
            seekable = getattr(source, "seekable", None)
            self._file = source if (seekable() if seekable else hasattr(source, "seek")) else self._spool(source)
        else:
            raise MediaError(f"expected a path, a URL, bytes or a binary file object, found {type(source).__name__}")
        if not self.is_url:
            self._look()

    def _take_address(self, address: str | bytes) -> None:
        address = os.fsdecode(address)
        self.name = address
        if address == "-" and not os.path.exists(address):
            self.name, self._file = "standard input", self._spool(sys.stdin.buffer)
            return
        if scheme_of(address) == "file" and not os.path.exists(address):
            address = url2pathname(urlsplit(address).path)
        if scheme_of(address) and not os.path.exists(address):
            self._address, self.is_url = address, True
            return
        cannot = f"cannot {self._verb} {quoted(address)}"
        if not os.path.exists(address):
            raise MediaError(f"{cannot}: no such file")
        if os.path.isdir(address):
            raise MediaError(f"{cannot}: it is a directory, expected a media file")
        try:
            mode = os.stat(address).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                with open(address, "rb") as pipe:
                    self._file = self._spool(pipe)
                return
            with open(address, "rb"):
                pass
        except OSError as error:
            raise MediaError(f"{cannot}: {error.strerror}") from error
        if os.path.getsize(address) == 0:
            raise MediaError(f"{cannot}: the file is empty")
        self._address = "file:" + address  # the prefix keeps a colon in a file name from being taken for a protocol

    def _spool(self, stream: Any) -> Any:
        """A pipe can be read once only: its bytes go to a temporary file on disk."""
        self._temporary = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        shutil.copyfileobj(stream, self._temporary)
        return self._temporary

    def _look(self) -> None:
        """What the first bytes say; pictures that FFmpeg does not show whole become a film (`stills`)."""
        file = self._file if self._address is None else open(self._address.removeprefix("file:"), "rb")  # noqa: SIM115
        try:
            file.seek(0)
            self._head = file.read(stills.HEAD)
            self.kind = stills.kind_of(self._head)
            if self.kind is not None:
                film, self.pictures = stills.as_film(file, self.kind, self.name, self.warnings.append)
                self.close()
                self._file = self._temporary = film
            elif self._head[4:8] == b"ftyp" and (at := second_film(file)) is not None:
                self.warnings.append(
                    f"another film begins at byte {at} of the file and is not read: join them with a tool that knows "
                    "their format, or name each alone"
                )
        finally:
            if self._address is not None:
                file.close()
        if self.kind is not None:
            self._address = None

    def open(self) -> Any:
        """A new container on the source, at its beginning."""
        if self.is_url:
            return open_address(str(self._address), self.name, self._verb, URL_TIMEOUT)
        if self._address is not None:
            return open_container(self._address, self.name, self._verb, FILE, head=self._head)
        return open_container(_View(self._file), self.name, self._verb, NOTHING, head=self._head)

    def close(self) -> None:
        """Drop what was kept for a source that can be read only once."""
        if self._temporary is not None:
            self._temporary.close()


def second_film(file: Any) -> int | None:
    """The byte at which a second mp4 begins behind the first one, as `cat` joins them; None in a file of one film."""
    at, seen, end = 0, False, file.seek(0, os.SEEK_END)
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind == b"ftyp" and seen:
            return at
        seen = seen or kind == b"moov"
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if size < 8 or at + size >= end:
            return None
        at += size
    return None


def choose_streams(container: Any) -> tuple[Any, Any]:
    """The picture stream and the sound stream to use, each or both None: the default one, else the first.

    Cover art (an attached picture) and thumbnails are not the picture of a film.
    """
    not_film = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    pictures = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & not_film]
    sounds = [s for s in container.streams.audio if s.codec_context is not None]
    return _default(pictures), _default(sounds)


def _default(streams: list[Any]) -> Any:
    """The default one; of several of them the first."""
    preferred = [s for s in streams if s.disposition & av.stream.Disposition.default]
    return (preferred or streams or [None])[0]


def set_threads(stream: Any, threads: str) -> None:
    """`threads`: AUTO, FRAME, SLICE, or NONE for one thread (in a worker process)."""
    stream.thread_type = threads
    if threads == "NONE":
        stream.codec_context.thread_count = 1


def decoded(
    container: Any, stream: Any, report: Report, packets: Iterator[Any] | None = None, *, line: bool = False
) -> Iterator[Any]:
    """Every frame of a stream in presentation order (of several, given as a list: in the order in which they are
    stored); what cannot be decoded is counted and skipped. `packets`: where they come from, if not as they are
    stored; those of other streams are passed by. `line`: the bytes come over a network, where an error of reading is
    the end and not damage: it is raised."""
    streams = stream if isinstance(stream, list) else [stream]
    wanted = {one.index for one in streams}
    packets, decode = Packets(container, streams, None) if packets is None else packets, Decoder(streams)
    failures = 0
    while failures < GIVE_UP_AFTER:
        try:
            packet = next(packets)
            frames = decode(packet) if packet.stream_index in wanted else []
        except StopIteration:
            return
        except Skipped as why:
            report.warn(f"the {KINDS.get(packet.stream.type, 'stream')} {why}")
            continue
        except (av.error.FFmpegError, ValueError) as error:
            if line and isinstance(error, (OSError, av.error.ExitError, av.error.HTTPError, av.error.HTTPClientError)):
                raise
            report.damaged += 1
            failures += 1
            continue
        if frames:
            failures = 0
        for frame in frames:
            report.damaged += bool(frame.is_corrupt)
            yield frame
    kind = " and ".join(one.type for one in stream) if isinstance(stream, list) else stream.type
    report.warn(f"gave up reading the {kind} stream after {GIVE_UP_AFTER} damaged packets in a row")


def raw_seconds(frame: Any, delay: float | None) -> float | None:
    """The timestamp of a frame in the file's own seconds, None if it has none.

    With a `delay`, decoding timestamps less the delay are taken in place of presentation timestamps: AVI stores none
    of the latter, and those that the demuxer makes up are out of order where there are B-frames.
    """
    stamp = frame.dts if delay is not None else frame.pts
    if stamp is None or frame.time_base is None:
        return None
    return float(stamp * frame.time_base) - (delay or 0.0)


@dataclass(frozen=True)
class Walk:
    """How the frames of one stream of a source are decoded."""

    source: Source
    index: int
    indexes: tuple[int, ...]  # of the streams that are placed together
    origin: float  # seconds of the first instant in the file's own count
    first: float | None  # of the stream's first frame; a target at or before it needs no seeking
    threads: str
    limit: float | None  # timestamps beyond this second are wrong
    seeks: bool  # whether timestamps say where in the file something lies: not where they start again
    delay: float | None = None

    def begin(self, target: float | None, report: Report) -> tuple[Any, Iterator[Any]]:
        """(container, frames), beginning at or before the second `target` of the file's own count.

        Seeking is checked and not believed: indexes may be wrong, and the first frame after a seek may come too late.
        """
        container, stream = self._open()
        if target is None or self.first is None or target <= self.first:
            return container, decoded(container, stream, report, self._packets(container, report))
        for back in SEEK_BACK if self.seeks else ():
            if target - back <= self.first:
                break
            try:
                container.seek(int((target - back) / stream.time_base), stream=stream, backward=True)
            except (av.error.FFmpegError, OSError):
                break
            trial = Report()
            frames = decoded(container, stream, trial, self._packets(container, trial))
            head = next(frames, None)
            raw = None if head is None else raw_seconds(head, self.delay)
            if raw is not None and raw <= target:
                return container, chain([head], _counted(frames, trial, report))
        container.close()
        container, stream = self._open()
        packets = _FromKey(self._packets(container, report), stream, target)
        return container, decoded(container, stream, report, packets)

    def _open(self) -> tuple[Any, Any]:
        container = self.source.open()
        stream = container.streams[self.index]
        set_threads(stream, self.threads)
        return container, stream

    def _packets(self, container: Any, report: Report) -> Packets:
        steady = Steady(report.warn, self.origin, self.limit)
        return Packets(container, [container.streams[index] for index in self.indexes], steady)


class _FromKey:
    """Packets, less those of a stream that are not needed to decode what it holds from second `target` on."""

    def __init__(self, packets: Packets, stream: Any, target: float) -> None:
        self._packets, self._index, self._target = packets, stream.index, target
        self._kept: deque[Any] = deque()
        self._arrived = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while not self._arrived and len(self._kept) < MOST_KEPT:
            packet = next(self._packets)
            if packet.stream_index != self._index:
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or stamp * packet.time_base > self._target:
                self._arrived = stamp is None or packet.dts is None or packet.dts * packet.time_base > self._target
            elif packet.is_keyframe:
                self._kept.clear()
            self._kept.append(packet)
        return self._kept.popleft() if self._kept else next(self._packets)


def _counted(frames: Iterator[Any], trial: Report, report: Report) -> Iterator[Any]:
    """The frames of a successful seek; from here on their damage counts."""
    trial.damaged = 0
    for frame in frames:
        report.damaged, trial.damaged = report.damaged + trial.damaged, 0
        yield frame
    report.damaged += trial.damaged
    for line in trial.warnings:
        report.warn(line)
