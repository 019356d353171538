"""The reader on files of many kinds: true times, the same in pieces as at once, and a defined answer to oddities."""

from __future__ import annotations

import io
import random
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from films import heard_beeps, make_film, read_clock
from mirasol.media.clip import MediaError
from mirasol.media.reader import join, open_media, read

T25 = np.arange(75) / 25
T10 = np.arange(30) / 10
VARIABLE = np.array([0, 0.04, 0.2, 0.5, 0.54, 0.58, 1.3, 1.34, 1.9, 2.5, 2.52])
BEEPS = [0.5, 1.7]
VP9 = {"deadline": "realtime", "cpu-used": "8"}

KINDS = {
    "a.mp4": {"times": T25, "at": BEEPS},
    "variable.mp4": {"times": VARIABLE, "at": BEEPS},
    "b.mov": {"times": T10, "at": BEEPS, "base": 600, "rate": 10, "audio_rate": 22050, "channels": 1},
    "variable.mkv": {"times": VARIABLE, "at": BEEPS, "channels": 6, "audio_rate": 48000},
    "c.webm": {
        "times": T10,
        "at": BEEPS,
        "video": "libvpx-vp9",
        "audio": "libopus",
        "audio_rate": 48000,
        "options": VP9,
    },
    "d.avi": {"times": T25, "at": BEEPS, "video": "mpeg4", "audio": "pcm_s16le", "base": 25},
    "e.gif": {"times": T10, "at": None, "video": "gif", "pixels": "rgb8", "base": 100, "rate": 10},
    "late.mp4": {"times": T25, "at": BEEPS, "audio_shift": 0.7},
    "early.mkv": {"times": T25 + 0.3, "at": BEEPS},
    "odd.mkv": {"times": T10, "at": BEEPS, "size": (33, 47), "pixels": "yuv444p"},
    "tenbit.mkv": {"times": T10, "at": None, "pixels": "yuv420p10le"},
    "grey.mkv": {"times": T10, "at": None, "video": "ffv1", "pixels": "gray"},
    "g.wav": {"times": None, "at": BEEPS, "audio": "pcm_s16le"},
    "h.flac": {"times": None, "at": BEEPS, "audio": "flac", "audio_rate": 32000},
    "i.mp3": {"times": None, "at": BEEPS, "audio": "libmp3lame"},
    "j.ogg": {"times": None, "at": BEEPS, "audio": "libopus", "audio_rate": 48000},
}


def quarters(a: float, b: float) -> np.ndarray:
    """Four instants per second, in the middle of their quarters."""
    return (np.arange(np.ceil(a * 4 - 0.5), np.ceil(b * 4 - 0.5)) + 0.5) / 4


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    for name, facts in KINDS.items():
        make_film(folder / name, **facts)
    return {name: folder / name for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_and_beep_has_its_true_time(films: dict[str, Path], name: str) -> None:
    facts = KINDS[name]
    with open_media(films[name]) as media:
        clip = join(media.pieces(piece_seconds=0.9))
        assert not media.warnings
        assert (media.has_picture, media.has_sound) == (facts["times"] is not None, facts["at"] is not None)
        assert media.duration == pytest.approx(clip.end, abs=0.1)
        assert media.size == (None if facts["times"] is None else facts.get("size", (64, 112)))
    if facts["times"] is not None:
        assert len(clip.frames) == len(facts["times"])
        np.testing.assert_allclose([read_clock(frame) for frame in clip.frames], facts["times"], atol=0.0011)
        np.testing.assert_allclose(clip.frame_times, facts["times"], atol=0.0011)
    else:
        assert clip.frames is None
        assert clip.frame_times is None
    if facts["at"] is not None:
        expected = np.array(facts["at"]) + facts.get("audio_shift", 0.0)
        np.testing.assert_allclose(heard_beeps(clip.waveform, 16000, clip.waveform_start), expected, atol=0.002)
        assert np.abs(clip.waveform).max() < 0.75
    else:
        assert clip.waveform is None


@pytest.mark.parametrize("name", KINDS)
def test_pieces_joined_equal_the_whole(films: dict[str, Path], name: str, seeds: int) -> None:
    chance = random.Random(seeds)
    with open_media(films[name]) as media:
        for _ in range(3):
            start = chance.choice([0.0, chance.uniform(0, 1.5)])
            end = chance.choice([None, start + chance.uniform(0.2, 1.5)])
            instants = chance.choice([quarters, None])
            ask = {"instants": instants, "fit": (30, 50)}
            whole = join(media.pieces(start, end, piece_seconds=100.0, **ask))
            pieces = list(media.pieces(start, end, piece_seconds=chance.uniform(0.05, 1.2), **ask))
            assert [p.start for p in pieces[1:]] == [p.end for p in pieces[:-1]]
            parts = join(pieces)
            assert (parts.start, parts.end) == (whole.start, whole.end)
            for field in ("frames", "frame_times", "frame_instants", "waveform"):
                left, right = getattr(parts, field), getattr(whole, field)
                assert (left is None) == (right is None), field
                if left is not None:
                    np.testing.assert_allclose(left, right, atol=1e-6, err_msg=field)
            assert parts.waveform_start == whole.waveform_start


@pytest.mark.parametrize("name", ["a.mp4", "variable.mp4", "variable.mkv", "late.mp4", "d.avi", "h.flac"])
def test_a_range_holds_what_the_whole_holds_there(films: dict[str, Path], name: str, seeds: int) -> None:
    chance = random.Random(seeds)
    whole = read(films[name], instants=quarters)
    for _ in range(4):
        start = chance.uniform(0, 2.2)
        end = start + chance.uniform(0.3, 0.7)
        part = read(films[name], start, end, instants=quarters)
        if whole.frames is not None:
            inside = (whole.frame_instants >= start) & (whole.frame_instants < end)
            np.testing.assert_array_equal(part.frame_times, whole.frame_times[inside])
            np.testing.assert_array_equal(part.frames, whole.frames[inside])
        offset = round((part.waveform_start - whole.waveform_start) * 16000)
        same = whole.waveform[offset : offset + len(part.waveform)]
        assert np.abs(same - part.waveform).max(initial=0) < (0.3 if name.endswith("mkv") else 2e-3)


def test_the_frame_on_screen_is_the_last_one_that_began(films: dict[str, Path], seeds: int) -> None:
    asked = np.sort(np.random.default_rng(seeds).uniform(0, 3.5, 40))
    asked = np.r_[asked, VARIABLE[3]]  # an instant at which a frame begins
    asked.sort()
    clip = read(films["variable.mp4"], instants=lambda a, b: asked[(asked >= a) & (asked < b)])
    served = asked[asked < clip.frame_instants[-1] + 1e-9]
    np.testing.assert_array_equal(clip.frame_instants, served)
    np.testing.assert_allclose(clip.frame_times, VARIABLE[np.searchsorted(VARIABLE, served + 1e-6) - 1], atol=1e-4)
    assert served[-1] < 3.0  # nothing is shown after the last frame has gone


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pictures_come_upright(tmp_path: Path, turn: int) -> None:
    make_film(tmp_path / "turned.mp4", times=T10, turn=turn if turn < 270 else -90)
    with open_media(tmp_path / "turned.mp4") as media:
        clip = join(media.pieces(fit=None))
        assert media.size == ((64, 112) if turn == 180 else (112, 64))
    upright = [np.rot90(frame, -turn // 90) for frame in clip.frames]
    np.testing.assert_allclose([read_clock(frame) for frame in upright], T10, atol=0.001)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_still_is_on_screen_for_a_second(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    Image.new("RGB", (61, 37), (10, 200, 60)).save(tmp_path / f"still.{suffix}")
    clip = read(tmp_path / f"still.{suffix}", instants=quarters, fit=(48, 72))
    assert clip.frames.shape == (4, 44, 72, 3)
    assert (clip.start, clip.end, clip.waveform) == (0.0, 1.0, None)
    np.testing.assert_array_equal(clip.frame_times, 0.0)
    assert np.abs(clip.frames[0, 20, 30].astype(int) - (10, 200, 60)).max() < 8


def test_one_frame_and_one_pixel_and_transparency(tmp_path: Path) -> None:
    from PIL import Image

    make_film(tmp_path / "one.mp4", times=np.array([0.0]), at=[0.5], seconds=2.0)
    clip = read(tmp_path / "one.mp4", instants=quarters)
    assert len(clip.frames) == 8  # it stays for as long as there is sound
    Image.new("RGBA", (1, 1), (0, 0, 0, 0)).save(tmp_path / "dot.png")
    for fit in (None, (48, 72)):
        assert read(tmp_path / "dot.png", instants=quarters, fit=fit).frames.min() > 250
    make_film(tmp_path / "tall.mkv", times=T10, size=(67, 3), video="ffv1", pixels="bgr0")
    assert read(tmp_path / "tall.mkv", instants=quarters, fit=(5, 9)).frames.shape[1:] == (5, 1, 3)


def test_cover_art_is_not_a_film(tmp_path: Path) -> None:
    from PIL import Image

    with av.open(str(tmp_path / "song.mp3"), "w") as out:
        sound = out.add_stream("libmp3lame", rate=44100, layout="mono")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 48, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        still = av.VideoFrame.from_image(Image.new("RGB", (48, 32), (200, 0, 0)))
        for packet in cover.encode(still) + cover.encode(None):
            out.mux(packet)
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=44100, frame_size=1152)
        for part in resampler.resample(frame) + resampler.resample(None):
            out.mux(sound.encode(part))
        out.mux(sound.encode(None))
    with open_media(tmp_path / "song.mp3") as media:
        assert (media.has_picture, media.has_sound) == (False, True)
        assert join(media.pieces()).frames is None


def test_paths_bytes_and_file_objects_are_the_same(films: dict[str, Path]) -> None:
    data = films["late.mp4"].read_bytes()
    expected = read(films["late.mp4"], instants=quarters)

    class Pipe(io.RawIOBase):
        """Can be read once, forward only."""

        def __init__(self) -> None:
            self._rest = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:
            return self._rest.readinto(buffer)

    for source in (str(films["late.mp4"]), data, io.BytesIO(data), Pipe()):
        clip = read(source, instants=quarters)
        np.testing.assert_array_equal(clip.frames, expected.frames)
        np.testing.assert_array_equal(clip.waveform, expected.waveform)


def test_loud_sound_in_many_channels_does_not_clip(tmp_path: Path) -> None:
    for channels in (1, 2, 6):
        with wave.open(str(tmp_path / "loud.wav"), "wb") as out:
            out.setnchannels(channels)
            out.setsampwidth(2)
            out.setframerate(16000)
            tone = (32000 * np.sin(np.arange(16000) * 0.05)).astype("<i2")
            out.writeframes(np.repeat(tone[:, None], channels, 1).tobytes())
        clip = read(tmp_path / "loud.wav")
        np.testing.assert_allclose(clip.waveform, tone / 32768, atol=2e-4)


def test_holes_in_the_sound_are_silent_and_keep_the_rest_in_place(tmp_path: Path, films: dict[str, Path]) -> None:
    with av.open(str(films["a.mp4"])) as film, av.open(str(tmp_path / "hole.mkv"), "w") as out:
        sound = out.add_stream_from_template(film.streams.audio[0])
        for packet in film.demux(film.streams.audio[0]):
            if packet.dts is not None and not 0.8 < packet.pts * packet.time_base < 1.4:
                packet.stream = sound
                out.mux(packet)
    clip = read(tmp_path / "hole.mkv")
    # Copying the packets loses how much of the first one the encoder put in front: all is later by as much (23 ms).
    heard = heard_beeps(clip.waveform, 16000, clip.waveform_start)
    np.testing.assert_allclose(np.diff(heard), np.diff(BEEPS), atol=0.003)
    assert heard[0] == pytest.approx(BEEPS[0], abs=0.03)
    assert not np.abs(clip.waveform[int(0.95 * 16000) : int(1.35 * 16000)]).max() > 1e-4
    assert len(clip.waveform) == pytest.approx(3.0 * 16000, abs=1600)


def test_damage_is_counted_and_a_torn_file_says_so(tmp_path: Path, films: dict[str, Path]) -> None:
    make_film(tmp_path / "long.mkv", times=np.arange(0, 8, 0.1), at=[1.0, 6.0], seconds=8.0)
    data = bytearray((tmp_path / "long.mkv").read_bytes())
    torn = bytes(data[: len(data) // 2])
    with open_media(torn) as media:
        clip = join(media.pieces(instants=quarters))
        assert clip.end < 6
        assert any("states 8" in line for line in media.warnings)
    with av.open(str(tmp_path / "long.mkv")) as film, av.open(str(tmp_path / "hurt.mkv"), "w") as out:
        stream = out.add_stream_from_template(film.streams.audio[0])
        for place, packet in enumerate(film.demux(film.streams.audio[0])):
            if packet.dts is None:
                continue
            if 100 <= place < 120:
                broken = av.Packet(b"\xff" * packet.size)
                broken.pts, broken.dts, broken.time_base = packet.pts, packet.dts, packet.time_base
                packet = broken
            packet.stream = stream
            out.mux(packet)
    with open_media(tmp_path / "hurt.mkv") as media:
        clip = join(media.pieces())
        assert media.damaged > 0
        assert any("damaged" in line for line in media.warnings)
        np.testing.assert_allclose(heard_beeps(clip.waveform, 16000, 0.0)[-1], 6.0, atol=0.003)


def test_what_cannot_be_read_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.txt").write_text("Not a film, but a text.\n" * 40)
    (tmp_path / "text.mp4").write_text("Not a film, but a text.\n" * 40)
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(3).bytes(5000))
    (tmp_path / "words.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n")
    names = ["missing.mp4", "empty.mp4", "text.txt", "text.mp4", "noise.mkv", "words.srt", "."]
    for source in [*(tmp_path / name for name in names), b"", b"nonsense", 7]:
        with pytest.raises(MediaError) as caught:
            open_media(source)
        assert "\n" not in str(caught.value)
        assert 10 < len(str(caught.value)) < 400


def test_spans_that_cannot_be_meant_are_refused(films: dict[str, Path]) -> None:
    with open_media(films["a.mp4"]) as media:
        for start, end in ((-1, 2), (2, 2), (2, 1)):
            with pytest.raises(ValueError, match="start"):
                media.pieces(start, end)
        with pytest.raises(MediaError, match="ends at"):
            list(media.pieces(9.0))
        assert join(media.pieces(2.5, 100)).end == pytest.approx(3.0, abs=0.05)
