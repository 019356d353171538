"""What fuzzing begins with: small good files of every kind, made by code. `make_seeds(folder)` writes

    folder/KIND/NAME/...     one input: a file alone (`media`), or a folder of files that belong together

Kinds: media, models, sessions, shards, folders, manifests, annotations, packs, predictions.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from fuzz_changes import in_order
from fuzz_texts import ANNOTATIONS, MANIFESTS, PREDICTIONS
from PIL import Image

SIZE = (64, 96)  # pixels, height and width
RATE = 16_000


def picture(second: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W, 3) uint8: a grey ramp with a red square that moves."""
    height, width = size
    made = np.empty((height, width, 3), np.uint8)
    made[:] = np.linspace(40, 200, width, dtype=np.uint8)[:, None]
    left = int(second * 30) % (width - 20)
    made[height // 4 : height // 2, left : left + 16] = (220, 30, 30)
    return made


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    """(n,) float32 with a beep in each second."""
    at = np.arange(int(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * 440 * at) * (at % 1 < 0.3)).astype(np.float32)


def film(
    path: Path | io.BytesIO, video: str | None = "libx264", audio: str | None = "aac", *, format: str | None = None,
    pixels: str = "yuv420p", size: tuple[int, int] = SIZE, rate: int = RATE, layout: str = "mono", seconds: float = 2.0,
    fps: int = 12, turn: int = 0, container: dict[str, str] | None = None, **options: str,
) -> None:  # fmt: skip
    """A film of two seconds, or a picture track or a sound track alone."""
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, "w", format=format, options=container or {}) as out:
        packets: list[Any] = []
        if video is not None:
            stream = out.add_stream(video, rate=fps, options={"g": "6", "threads": "1", **options})
            stream.height, stream.width, stream.pix_fmt = *size, pixels
            if turn:
                stream.set_display_rotation(turn)
        if audio is not None:
            heard = out.add_stream(audio, rate=rate, layout=layout)
            if audio == "wmav2":
                heard.bit_rate = 64_000
        if video is not None:
            for number in range(round(seconds * fps)):
                frame = av.VideoFrame.from_ndarray(picture(number / fps, size), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, fps)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        if audio is not None:
            packets += sound_packets(heard, tone(seconds, rate), rate)
        for packet in sorted((p for p in packets if p.size), key=lambda p: float((p.dts or 0) * p.time_base)):
            out.mux(packet)


def sound_packets(stream: Any, samples: np.ndarray, rate: int) -> list[Any]:
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = rate
    context = stream.codec_context
    resampler = av.AudioResampler(format=context.format.name, layout=context.layout, rate=rate)
    fifo, packets, at = av.AudioFifo(), [], 0
    for part in resampler.resample(frame) + resampler.resample(None):
        part.pts = None
        fifo.write(part)
    length = context.frame_size or 1_024
    while fifo.samples:
        part = fifo.read(min(length, fifo.samples))
        part.pts, part.time_base = at, Fraction(1, rate)
        at += part.samples
        packets += stream.encode(part)
    return packets + stream.encode(None)


# -- media -------------------------------------------------------------------------------------------------------------

QUIET = {"x265-params": "log-level=none"}
FILMS: dict[str, dict[str, Any]] = {
    "a.mp4": {}, "turned.mp4": {"turn": 90}, "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mov": {"video": "mjpeg", "audio": "pcm_s16le", "pixels": "yuvj420p"}, "hevc.mp4": {"video": "libx265", **QUIET},
    "a.mkv": {"audio": "libopus", "rate": 48_000}, "ffv1.mkv": {"video": "ffv1", "audio": "flac"},
    "a.webm": {"video": "libvpx-vp9", "audio": "libopus", "rate": 48_000, "deadline": "realtime", "cpu-used": "8"},
    "alpha.webm": {"video": "libvpx", "audio": None, "pixels": "yuva420p", "auto-alt-ref": "0"},
    "av1.mp4": {"video": "libsvtav1", "audio": None, "preset": "12", "seconds": 1.0},
    "a.ts": {"audio": "mp2", "format": "mpegts", "rate": 44_100},
    "a.mpg": {"video": "mpeg1video", "audio": "mp2", "rate": 44_100, "fps": 25},
    "a.m2ts": {"video": "mpeg2video", "audio": "ac3", "format": "mpegts", "rate": 48_000, "fps": 25},
    "a.avi": {"video": "mpeg4", "audio": "libmp3lame"},
    "a.flv": {"video": "flv", "audio": "libmp3lame", "rate": 44_100},
    "a.wmv": {"video": "wmv2", "audio": "wmav2", "rate": 44_100, "format": "asf"},
    "a.3gp": {"video": "h263", "audio": None, "size": (144, 176)},
    "a.nut": {"video": "rawvideo", "audio": "pcm_s16le", "seconds": 0.5},
    "raw.h264": {"audio": None, "format": "h264"},
    "raw.hevc": {"video": "libx265", "audio": None, "format": "hevc", **QUIET},
    "a.mjpeg": {"video": "mjpeg", "audio": None, "pixels": "yuvj420p", "format": "mjpeg"},
    "a.y4m": {"video": "wrapped_avframe", "audio": None, "format": "yuv4mpegpipe", "seconds": 0.5},
    "a.gif": {"video": "gif", "audio": None, "pixels": "rgb8", "seconds": 1.0},
    "a.apng": {"video": "apng", "audio": None, "pixels": "rgba", "seconds": 0.5, "format": "apng"},
    "a.wav": {"video": None, "audio": "pcm_s16le", "layout": "stereo"}, "a.aiff": {"video": None, "audio": "pcm_s16be"},
    "a.flac": {"video": None, "audio": "flac"}, "a.mp3": {"video": None, "audio": "libmp3lame", "rate": 44_100},
    "a.m4a": {"video": None, "format": "ipod"}, "a.aac": {"video": None, "format": "adts", "rate": 44_100},
    "a.opus": {"video": None, "audio": "libopus", "rate": 48_000, "format": "ogg"},
    "a.ogg": {"video": None, "audio": "flac", "format": "ogg"},
    "a.ac3": {"video": None, "audio": "ac3", "rate": 48_000},
    "a.amr": {"video": None, "audio": "libopencore_amrnb", "rate": 8_000},
    "a.caf": {"video": None, "audio": "alac"}, "adpcm.wav": {"video": None, "audio": "adpcm_ima_wav"},
}  # fmt: skip


def make_media(folder: Path) -> None:
    for name, how in FILMS.items():
        film(single(folder, name), **how)
    first = (folder / "a.ts" / "a.ts").read_bytes()
    single(folder, "joined.ts").write_bytes(first + first)
    first = (folder / "a.opus" / "a.opus").read_bytes()
    single(folder, "chained.ogg").write_bytes(first + first)
    floats = tone(1.0)
    floats[4_000:4_003] = (np.nan, np.inf, 1e30)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + floats.nbytes, b"WAVE", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4,
                       32, b"data", floats.nbytes)  # fmt: skip
    single(folder, "nan.wav").write_bytes(head + floats.tobytes())
    stills(folder)
    playlists(folder)


def single(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    return folder / name / name


def stills(folder: Path) -> None:
    still = Image.fromarray(picture(0.5))
    clear = still.convert("RGBA")
    clear.putalpha(120)
    exif = Image.Exif()
    exif[0x0112] = 6
    still.save(single(folder, "a.jpg"), exif=exif)
    still.save(single(folder, "progressive.jpg"), progressive=True)
    still.convert("CMYK").save(single(folder, "cmyk.jpg"))
    clear.save(single(folder, "a.png"))
    still.quantize(16).save(single(folder, "palette.png"))
    Image.fromarray(np.arange(64 * 96, dtype=np.uint16).reshape(SIZE) * 10).save(single(folder, "deep.png"))
    clear.save(single(folder, "a.webp"))
    more = [Image.fromarray(picture(at / 4)).convert("RGBA") for at in range(1, 5)]
    clear.save(single(folder, "moving.webp"), save_all=True, append_images=more, duration=250)
    still.save(single(folder, "moving.gif"), save_all=True, append_images=more, duration=300, loop=0)
    still.save(single(folder, "a.tif"), exif=exif)
    still.save(single(folder, "packed.tiff"), compression="tiff_lzw")
    still.save(single(folder, "a.bmp"))
    still.save(single(folder, "a.ppm"))
    still.save(single(folder, "a.tga"))
    still.save(single(folder, "a.jp2"))
    still.save(single(folder, "a.ico"), sizes=[(32, 32)])
    try:
        still.save(single(folder, "a.avif"))
        clear.save(single(folder, "moving.avif"), save_all=True, append_images=more, duration=250)
    except (OSError, ValueError, KeyError):  # a build of Pillow without AVIF
        shutil.rmtree(folder / "a.avif", ignore_errors=True)
        shutil.rmtree(folder / "moving.avif", ignore_errors=True)


def playlists(folder: Path) -> None:
    """Texts that name other files, or ask for a network."""
    single(folder, "list.ffconcat").write_text("ffconcat version 1.0\nfile 'a.wav'\nduration 2.0\nfile 'a.wav'\n")
    shutil.copy(folder / "a.wav" / "a.wav", folder / "list.ffconcat" / "a.wav")
    single(folder, "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\na.ts\n#EXT-X-ENDLIST\n")
    shutil.copy(folder / "a.ts" / "a.ts", folder / "list.m3u8" / "a.ts")
    single(folder, "a.sdp").write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 42734 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    single(folder, "a.txt").write_text("just some words, one after the other\n" * 40)


# -- what is made of media ---------------------------------------------------------------------------------------------


def make_shards(folder: Path) -> None:
    """Three examples as `prepare` writes them, with their index."""
    from mirasol.data.writing import ShardWriter

    films = [(folder.parent / "media" / name / name).read_bytes() for name in ("a.mp4", "a.wav", "a.jpg")]
    for name, endings in (("mixed", ("mp4", "wav", "jpg")), ("pairs", ("mp4", "wav", "png"))):
        (folder / name).mkdir(parents=True)
        writer = ShardWriter(folder / name / "data-000000.tar")
        for at, ending in enumerate(endings):
            data = films[2] if ending == "png" else films[at]
            media = [(ending, data)] if name == "mixed" else [("mp4", films[0]), ("wav", films[1])]
            writer.add(media, (("who is it?", "a dog"), (None, "a dog barks")), source=f"film {at}")
        writer.close()


def make_folders(folder: Path) -> None:
    """Media with texts beside them, and a folder for each label."""
    media = folder.parent / "media"
    beside = folder / "beside"
    beside.mkdir(parents=True)
    for name in ("a.mp4", "a.wav", "a.jpg"):
        shutil.copy(media / name / name, beside / f"{name[2:]}{name[1:]}")
    (beside / "mp4.json").write_text(
        json.dumps({"pairs": [{"question": "who?", "answer": "a dog"}], "caption": "it barks"})
    )
    (beside / "wav.txt").write_text("a bell rings\n")
    (beside / "jpg.json").write_text(json.dumps([{"prompt": "what?", "target": ["a cat", "an animal"]}]))
    for label, name in (("dog", "a.webm"), ("cat_meow", "a.flac")):
        (folder / "labels" / label).mkdir(parents=True)
        shutil.copy(media / name / name, folder / "labels" / label / name)


def make_texts(folder: Path, texts: dict[str, dict[str, Any]], media: Path) -> None:
    """Tables and annotation files; the media that they name lie beside them in `films`."""
    for name, files in texts.items():
        inner = folder / name
        (inner / "films").mkdir(parents=True)
        for path in ("a.mp4", "a.wav", "a.jpg"):
            shutil.copy(media / path / path, inner / "films" / path)
        for file, value in files.items():
            (inner / file).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def make_packs(folder: Path) -> None:
    for part, name in (("pictures", "a.png"), ("sounds", "a.wav")):
        for kind in ("dog", "cat", "bell", "cow", "hen", "car", "train", "clock", "drum", "door", "rain", "bird"):
            (folder / "pack" / part / kind).mkdir(parents=True)
            shutil.copy(folder.parent / "media" / name / name, folder / "pack" / part / kind / name)
    (folder / "pack" / "captions").mkdir()
    (folder / "pack" / "captions" / "dog.txt").write_text("a dog\na puppy\n")


# -- models and sessions -----------------------------------------------------------------------------------------------


def small_models() -> dict[str, Any]:
    """Sizes of two small models, one for each kind of memory."""
    from mirasol.model.sizes import Sizes

    base: dict[str, Any] = dict(  # noqa: C408, a table
        height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
        tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
        av_width=16, av_heads=2, av_mlp=20, vit_layers=1, memory=5, combiner_layers=1, combined=3,
        latent_layers=1, context_snippets=4, clock="now", reconstruct_scale=2, reconstruct_patch=6,
        vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
    )  # fmt: skip
    return {
        "priority": Sizes(combiner="priority", **base),
        "ttm": Sizes(**{**base, "combiner": "ttm", "clock": "start"}),
    }


def make_models(folder: Path) -> None:
    import torch

    from mirasol.model.mirasol import Mirasol
    from mirasol.model.text import train_tokenizer

    torch.manual_seed(0)
    words = ["what do you hear?", "who is it?", "a dog", "the bell", "what do you see?"]
    for name, sizes in small_models().items():
        Mirasol(sizes).save(folder / name, train_tokenizer(words, sizes.vocabulary))


def make_sessions(folder: Path) -> None:
    """A session of each model, in the middle of a snippet: some of it waits to be encoded."""
    from mirasol.inference.answer import load
    from mirasol.inference.session import Session

    for name in small_models():
        loaded = load(folder.parent / "models" / name)
        session, sizes = Session(loaded, start=0.0), loaded.model.sizes
        length = 5.4 * sizes.snippet_seconds
        times = np.arange(0, length, 1 / sizes.frame_rate)
        frames = [picture(float(second), (sizes.height, sizes.width)) for second in times]
        session.watch(frames, tone(length, sizes.sample_rate), at=0.0, times=times)
        (folder / name).mkdir(parents=True)
        session.save(path := folder / name / "session.safetensors")
        path.write_bytes(in_order(path.read_bytes()))


def make_seeds(folder: Path) -> None:
    """All of them, once: a folder that is there is whole."""
    if folder.is_dir():
        return
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    steps: dict[str, Callable[[Path], None]] = {
        "media": make_media, "models": make_models, "sessions": make_sessions, "shards": make_shards,
        "folders": make_folders, "packs": make_packs,
        "manifests": lambda path: make_texts(path, MANIFESTS, making / "media"),
        "annotations": lambda path: make_texts(path, ANNOTATIONS, making / "media"),
        "predictions": lambda path: make_texts(path, PREDICTIONS, making / "media"),
    }  # fmt: skip
    for kind, step in steps.items():
        step(making / kind)
    making.rename(folder)
