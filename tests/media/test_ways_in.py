"""Every way in is guarded alike: what may be opened, what is no sound, and what is said of what cannot be read."""

from __future__ import annotations

import http.server
import io
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import make_film
from mirasol.media.clip import MediaError
from mirasol.media.live import Live
from mirasol.media.opening import Source
from mirasol.media.reader import join, open_media, read

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 96\r\n"
SDP += "a=rtpmap:96 H264/90000\r\n"
LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile {file}\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "hls of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{file}\n#EXT-X-ENDLIST\n",
    "sdp": SDP,
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ways") / "secret.ts"
    make_film(path, times=np.arange(0, 1, 0.1), at=[0.5], seconds=1.0, format="mpegts")
    return path


@pytest.fixture
def server() -> Iterator[tuple[str, list[str], dict[str, bytes]]]:
    """(address, paths that were asked for, what is served)."""
    asked: list[str] = []
    pages: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(pages.get(self.path, b""))))
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked, pages
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", LISTS)
def test_a_playlist_opens_no_file_and_no_socket(
    kind: str, film: Path, server: tuple[str, list[str], dict[str, bytes]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url, asked, pages = server
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = LISTS[kind].format(file=film.name, url=f"{url}/film.ts", port=port).encode()
    pages["/list"], pages["/film.ts"] = text, film.read_bytes()
    (tmp_path / "list.mp4").write_bytes(text)
    (tmp_path / film.name).write_bytes(film.read_bytes())
    monkeypatch.chdir(tmp_path)
    for source in ("list.mp4", text, io.BytesIO(text), f"{url}/list"):
        for way in (open_media, Live):
            remote = isinstance(source, str) and source.startswith("http")
            with pytest.raises(MediaError, match="cannot" if remote else "playlist") as caught:
                way(source)
            assert "\n" not in str(caught.value)
    assert set(asked) == {"/list"}
    assert len(read(f"{url}/film.ts").frames) == 10


@pytest.mark.parametrize("address", ["concat://a.ts|b.ts", "cache:http://x/a.mp4", "subfile,,start,0,end,9,,:file://a"])
def test_addresses_that_wrap_others_are_refused(address: str) -> None:
    for way in (open_media, Live):
        with pytest.raises(MediaError, match="address"):
            way(address)


def test_a_file_may_be_named_by_its_address_and_by_any_name(film: Path, tmp_path: Path) -> None:
    assert len(read(film.as_uri()).frames) == 10
    assert sum(arrival.frame is not None for arrival in Live(film.as_uri())) == 10
    Image.new("RGB", (60, 40), (220, 20, 20)).save(tmp_path / "shot%03d.jpg")
    Image.new("RGB", (60, 40), (20, 20, 220)).save(tmp_path / "shot001.jpg")
    assert read(tmp_path / "shot%03d.jpg").frames[0, 20, 30, 0] > 200
    frame = next(iter(Live(str(tmp_path / "shot%03d.jpg")))).frame
    assert frame is not None
    assert frame()[20, 30, 0] > 200


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    """(n, channels) float32 as a WAV file of floats."""
    data, channels = samples.astype("<f4").tobytes(), samples.shape[1]
    form = struct.pack("<IHHIIHH", 16, 3, channels, rate, 4 * channels * rate % 2**32, 4 * channels, 32)
    body = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, -1e6])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_sound_are_silence_and_are_counted(bad: float, channels: int) -> None:
    tone = 0.5 * np.sin(np.arange(16000) * 0.3).astype(np.float32)
    hurt = np.repeat(tone[:, None], channels, 1)
    hurt[4000, 0] = hurt[9000, 0] = bad
    live = Live(io.BytesIO(wav(hurt)))
    heard = np.concatenate([arrival.waveform for arrival in live if arrival.waveform is not None])
    with open_media(wav(hurt)) as media:
        wave = join(media.pieces()).waveform
        lines = media.warnings
    for samples, said in ((wave, lines), (heard, live.report.lines())):
        assert np.isfinite(samples).all()
        keep = np.ones(16000, bool)
        keep[[4000, 9000]] = False
        np.testing.assert_allclose(samples[keep], tone[keep], atol=1e-6)
        assert any(line.startswith("2 samples of the sound were not finite") for line in said)


def test_sound_that_cancels_itself_and_impossible_rates_have_a_word(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(16000) * 0.3).astype(np.float32)
    for samples, silent in ((np.stack([tone, -tone], 1), True), (np.stack([tone, tone], 1), False)):
        live = Live(io.BytesIO(wav(samples)))
        assert list(live)
        with open_media(wav(samples)) as media:
            list(media.pieces())
            for lines in (media.warnings, live.report.lines()):
                assert any("cancel" in line for line in lines) == silent
    fast = wav(tone[:, None], 2147483647)
    with pytest.raises(MediaError, match="samples per second"):
        read(fast)
    with pytest.raises(MediaError, match="samples per second"):
        list(Live(io.BytesIO(fast)))


def test_encrypted_films_are_called_encrypted(tmp_path: Path) -> None:
    import av

    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    keys["encryption_kid"] = "a7e61c373e219033c21091fa607bf3b8"
    with av.open(str(tmp_path / "locked.mp4"), "w", options=keys) as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    with pytest.raises(MediaError, match="encrypted"):
        open_media(tmp_path / "locked.mp4")
    with pytest.raises(MediaError, match="encrypted"):
        list(Live(str(tmp_path / "locked.mp4")))


def test_a_second_film_behind_the_first_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_film(tmp_path / f"{name}.mp4", times=np.arange(0, 1, 0.1), at=[0.5], seconds=1.0)
    joined = (tmp_path / "a.mp4").read_bytes() + (tmp_path / "b.mp4").read_bytes()
    with open_media(joined) as media:
        assert any("another film begins" in line for line in media.warnings)
    assert any("another film begins" in line for line in Live(io.BytesIO(joined)).report.lines())
    assert not Source(tmp_path / "a.mp4").warnings


def test_only_a_film_from_a_pipe_is_told_to_have_its_index_at_the_end(film: Path) -> None:
    class Pipe:
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._data.read(size)

    assert sum(arrival.frame is not None for arrival in Live(Pipe(film.read_bytes()))) == 10
    bmp = io.BytesIO()
    Image.new("RGB", (60, 40)).save(bmp, "BMP")
    for data in (wav(np.zeros((0, 1))), bmp.getvalue()[:30] + bytes(24) + b"\xff" * 40):
        for source in (io.BytesIO(data), Pipe(data)):
            with pytest.raises(MediaError) as caught:
                list(Live(source))
            assert "its index" not in str(caught.value)
