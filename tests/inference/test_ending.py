"""How a run of `watch` ends: by Ctrl-C or SIGTERM on a source that sends nothing, by a broken line, by a recording."""

from __future__ import annotations

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from mirasol.inference.session import Session
from mirasol.media.clip import MediaError
from mirasol.media.live import Arrival, Live, Persistent
from mirasol.media.opening import Report


def sound(seconds: float, format: str) -> bytes:
    """A tone as a file: quick to make and to decode. Bytes in all that the watcher must not see as damage."""
    out = io.BytesIO()
    with av.open(out, "w", format=format) as file:
        stream = file.add_stream("mp2" if format == "mpegts" else "pcm_s16le", rate=16_000, layout="mono")
        wave = (9_000 * np.sin(np.arange(round(seconds * 16_000)) / 9)).astype(np.int16)
        for at in range(0, len(wave), 1152):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1152], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, at
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


@contextmanager
def serve(data: bytes, how: str) -> Iterator[str]:
    """A server of one answer: `reset`, `cut` (less than it said), `stall`, or `whole` (with or without its length)."""
    server = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def answer() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            line.recv(4096)
            length = f"Content-Length: {len(data)}\r\n" if how in ("cut", "whole") else ""
            line.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n{length}\r\n".encode())
            line.sendall(data if how.startswith("whole") else data[: len(data) * 2 // 3])
            time.sleep(0.2)
            if how == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how == "stall":
                kept.append(line)
            else:
                line.close()

    threading.Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/film.ts"
    server.close()
    for line in kept:
        line.close()


@contextmanager
def watching(*words: str, stdin: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mirasol", "watch", *words], stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(f"no line {start!r}: {process.stderr.read() if process.stderr else ''}")


def end(process: subprocess.Popen[str], number: int, seconds: float) -> tuple[str, str]:
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - began < seconds
    assert process.returncode == 0, err
    assert "Fatal" not in err
    assert "Traceback" not in err
    assert "watched 0.00 to" in out
    return out, err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["silent pipe", "stalled pipe", "stalled network", "typed"])
def test_a_signal_ends_a_source_that_sends_nothing(tmp_path: Path, number: int, how: str) -> None:
    """With the receipt and the saved session, soon."""
    saved, data = tmp_path / "session.safetensors", sound(9.0, "mpegts")
    words = ("what do you hear?", "--every", "2", "--save", str(saved))
    read_end, write_end = os.pipe()
    with serve(data, "stall") as address:
        source = address if how in ("stalled network", "typed") else "-"
        stdin = subprocess.PIPE if how == "typed" else read_end
        with watching(source, *words, stdin=stdin) as process:
            if how == "silent pipe":
                time.sleep(3.0)
            else:
                if how == "stalled pipe":
                    os.write(write_end, data[: len(data) * 2 // 3])
                lines_until(process, "[at 2.0 s]")
            # A second is what is promised; this machine may be busy.
            out, _ = end(process, number, 3.0)
    os.close(read_end)
    os.close(write_end)
    assert "session saved" in out
    seconds = Session.load(saved).seconds
    assert seconds == 0 if how == "silent pipe" else seconds >= 2.0


@pytest.mark.parametrize(
    ("how", "format", "words"),
    [("reset", "mpegts", "reset"), ("cut", "mpegts", "closed before its end"), ("cut", "wav", "closed before its end")],
)
def test_a_broken_line_is_an_error_and_no_damage(how: str, format: str, words: str) -> None:
    with serve(sound(5.0, format), how) as address:
        live = Live(address, sample_rate=8_000)
        parts: list[float] = []
        with pytest.raises(MediaError, match=words) as caught:
            parts.extend(len(arrival.waveform) / 8_000 for arrival in live)  # type: ignore[arg-type]
    assert sum(parts) == pytest.approx(5.0 * 2 / 3, abs=0.5)
    assert live.report.damaged <= 1  # the packet that was cut in two
    assert "\n" not in str(caught.value)


def test_a_server_that_states_no_length_may_close(tmp_path: Path) -> None:
    with serve(sound(3.0, "mpegts"), "whole, no length") as address:
        live = Live(address, sample_rate=8_000)
        assert sum(len(arrival.waveform) for arrival in live) == pytest.approx(24_000, abs=1_200)  # type: ignore[arg-type]
    assert live.report.damaged == 0


@pytest.mark.parametrize(
    ("how", "format"),
    [("whole", "mpegts"), ("cut", "mpegts"), ("reset", "mpegts"), ("whole", "wav"), ("cut", "wav")],
)
def test_a_recording_is_not_opened_for_ever(how: str, format: str) -> None:
    """Whether it states how long it is, or is only the same again."""
    opened = 0
    with serve(sound(3.0, format), how) as address:

        def make() -> Live:
            nonlocal opened
            opened += 1
            return Live(address, sample_rate=8_000)

        source, began = Persistent(make, 4.0), time.monotonic()
        try:
            for _ in source:
                pass
            assert how == "whole"
        except MediaError:
            assert how != "whole"
    assert time.monotonic() - began < 8.0
    assert opened == (1 if how == "whole" else 2)


def test_patience_is_all_there_is_between_healthy_connections() -> None:
    """A source that opens, sends a little that is never the same, and ends, again and again."""

    class Short:
        is_live, has_picture, has_sound, name = True, True, False, "camera"

        def __init__(self) -> None:
            self.report = Report()

        def __iter__(self) -> Iterator[Arrival]:
            yield Arrival("picture", 0.0)

        def close(self) -> None:
            pass

    began = time.monotonic()
    assert 1 <= len(list(Persistent(Short, 0.8))) <= 5  # type: ignore[arg-type]
    assert time.monotonic() - began < 4.0
