"""Opening a source and decoding one of its streams: everything that can go wrong in a file is met here.

Picture and sound of one file are decoded in two containers, so that each can be read as far as it is needed without
holding what the other has not used yet. A `Source` can therefore be opened several times.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import av
import av.error
import av.stream

from .clip import MediaError

GIVE_UP_AFTER = 200  # packets in a row that cannot be read or decoded
SEEK_BACK = (0.0, 2.0, 8.0, 32.0)  # seconds before the target to try; then the file is decoded from its beginning
JUMP = 1.0  # seconds: timestamps that go back by more than this are a new count, not a small disorder
URL_TIMEOUT = 30.0  # seconds
TEXT_FORMATS = {"tty"}  # a demuxer that draws any text file as a terminal: not what anybody means here


@dataclass
class Report:
    """What one pass over a source met: packets that could not be decoded, pictures of a live source for which there was
    no time, and one-line warnings."""

    damaged: int = 0
    left_out: int = 0
    warnings: list[str] = field(default_factory=list)

    def warn(self, line: str) -> None:
        """Keep a warning, once."""
        if line not in self.warnings:
            self.warnings.append(line)


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


class Source:
    """A path, a URL, bytes or a binary file object, that can be opened again and again."""

    def __init__(self, source: Any) -> None:
        self._file: Any = None
        self._bytes: bytes | None = None
        self._address: str | None = None
        self._is_url = False
        self._temporary: Any = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self.name, self._bytes = "bytes", bytes(source)
            if not self._bytes:
                raise MediaError("cannot read the bytes given: they are empty")
        elif isinstance(source, (str, os.PathLike)):
            self._take_address(os.fspath(source))
        elif hasattr(source, "read"):
            name = getattr(source, "name", None)
            self.name = name if isinstance(name, str) else "the file object"
            seekable = getattr(source, "seekable", None)
            self._file = source if (seekable() if seekable else hasattr(source, "seek")) else self._spool(source)
        else:
            raise MediaError(f"expected a path, a URL, bytes or a binary file object, found {type(source).__name__}")

    def _take_address(self, address: str | bytes) -> None:
        address = os.fsdecode(address)
        self.name = address
        if "://" in address and not os.path.exists(address):
            self._address, self._is_url = address, True
            return
        if not os.path.exists(address):
            raise MediaError(f"cannot read {address!r}: no such file")
        if os.path.isdir(address):
            raise MediaError(f"cannot read {address!r}: it is a directory, expected a media file")
        try:
            mode = os.stat(address).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                with open(address, "rb") as pipe:
                    self._file = self._spool(pipe)
                return
            with open(address, "rb"):
                pass
        except OSError as error:
            raise MediaError(f"cannot read {address!r}: {error.strerror}") from error
        if os.path.getsize(address) == 0:
            raise MediaError(f"cannot read {address!r}: the file is empty")
        self._address = "file:" + address  # the prefix keeps a colon in a file name from being taken for a protocol

    def _spool(self, stream: Any) -> Any:
        """A pipe can be read once only: its bytes go to a temporary file on disk."""
        self._temporary = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        shutil.copyfileobj(stream, self._temporary)
        return self._temporary

    def open(self) -> Any:
        """A new container on the source, at its beginning."""
        try:
            if self._is_url:
                container = av.open(self._address, timeout=URL_TIMEOUT, metadata_errors="replace")
            elif self._address is not None:
                # A playlist in a local file may name other local files, but nothing on a network.
                options = {"protocol_whitelist": "file,crypto,data"}
                container = av.open(self._address, container_options=options, metadata_errors="replace")
            else:
                file = io.BytesIO(self._bytes) if self._bytes is not None else _View(self._file)
                container = av.open(file, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise MediaError(f"cannot read {self.name!r}: not a media file that can be opened ({reason})") from error
        if container.format.name in TEXT_FORMATS:
            container.close()
            raise MediaError(f"cannot read {self.name!r}: it is text, expected picture or sound")
        return container

    def close(self) -> None:
        """Drop what was kept for a source that can be read only once."""
        if self._temporary is not None:
            self._temporary.close()


def choose_streams(container: Any) -> tuple[Any, Any]:
    """The picture stream and the sound stream to use, each or both None: the default one, else the first.

    Cover art (an attached picture) and thumbnails are not the picture of a film.
    """
    not_film = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    pictures = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & not_film]
    sounds = [s for s in container.streams.audio if s.codec_context is not None]
    return _default(pictures), _default(sounds)


def _default(streams: list[Any]) -> Any:
    preferred = [s for s in streams if s.disposition & av.stream.Disposition.default]
    return (preferred or streams or [None])[0]


def set_threads(stream: Any, threads: str) -> None:
    """`threads`: AUTO, FRAME, SLICE, or NONE for one thread (in a worker process)."""
    stream.thread_type = threads
    if threads == "NONE":
        stream.codec_context.thread_count = 1


def decoded(container: Any, stream: Any, report: Report, *, line: bool = False) -> Iterator[Any]:
    """Every frame of a stream in presentation order (of several, given as a list: in the order in which they are
    stored); what cannot be decoded is counted and left out. `line`: the bytes come over a network, where an error
    of reading is the end and not damage: it is raised."""
    packets = container.demux(stream)
    failures = 0
    while failures < GIVE_UP_AFTER:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except (av.error.FFmpegError, ValueError) as error:
            if line and isinstance(error, (OSError, av.error.ExitError, av.error.HTTPError, av.error.HTTPClientError)):
                raise
            report.damaged += 1
            failures += 1
            packets = container.demux(stream)
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


def decode_from(
    source: Source,
    index: int,
    target: float | None,
    first: float | None,
    threads: str,
    report: Report,
    delay: float | None = None,
) -> tuple[Any, Iterator[Any]]:
    """(container, frames of stream `index`), beginning at or before the second `target` of the file's own count.

    `first` is the timestamp of the stream's first frame; a target at or before it needs no seeking. Seeking is
    checked and not believed: indexes may be wrong, and the first frame after a seek may come too late.
    """
    container = source.open()
    stream = container.streams[index]
    set_threads(stream, threads)
    if target is None or first is None or target <= first:
        return container, decoded(container, stream, report)
    for back in SEEK_BACK:
        if target - back <= first:
            break
        try:
            container.seek(int((target - back) / stream.time_base), stream=stream, backward=True)
        except (av.error.FFmpegError, OSError):
            break
        trial = Report()
        frames = decoded(container, stream, trial)
        head = next(frames, None)
        raw = None if head is None else raw_seconds(head, delay)
        if raw is not None and raw <= target:
            return container, chain([head], _counted(frames, trial, report))
    container.close()
    container = source.open()
    stream = container.streams[index]
    set_threads(stream, threads)
    return container, decoded(container, stream, report)


def _counted(frames: Iterator[Any], trial: Report, report: Report) -> Iterator[Any]:
    """The frames of a successful seek; from here on their damage counts."""
    trial.damaged = 0
    for frame in frames:
        report.damaged, trial.damaged = report.damaged + trial.damaged, 0
        yield frame
    report.damaged += trial.damaged
    for line in trial.warnings:
        report.warn(line)


class Steady:
    """Turns the raw timestamps of a stream into seconds that do not jump back and are never missing."""

    def __init__(self, kind: str, origin: float, limit: float | None, report: Report) -> None:
        self._kind, self._origin, self._limit, self._report = kind, origin, limit, report
        self._shift = 0.0

    def place(self, raw: float | None, expected: float | None) -> float:
        """Seconds from the file's first instant, from the `raw` timestamp and where the last frame ended."""
        if raw is None:
            return 0.0 if expected is None else expected
        time = raw - self._origin + self._shift
        if expected is None:
            return time
        limit = expected + 3600.0 if self._limit is None else self._limit
        if time < expected - JUMP or time > max(limit, expected):
            self._report.warn(
                f"the timestamps of the {self._kind} jump at {expected:.2f} s; they are counted on from there"
            )
            self._shift += expected - time
            return expected
        return time
