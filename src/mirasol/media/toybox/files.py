"""Scenes and streams as real video files: H.264 and AAC in .mp4, VP9 and Opus in .webm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from mirasol.media.clip import MediaError
from mirasol.media.toybox.families import make_scene
from mirasol.media.toybox.rendering import Stage, render_sound
from mirasol.media.toybox.scene import Scene

if TYPE_CHECKING:
    from mirasol.media.toybox.assets import AssetPack
    from mirasol.media.toybox.streams import Stream

# ending: video codec, its options, audio codec, audio sample format, audio bit rate
FORMATS = {
    ".mp4": ("libx264", {"crf": "18", "preset": "veryfast"}, "aac", "fltp", 128_000),
    ".webm": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "8"}, "libopus", "flt", 96_000),
}


def write_file(
    scene: Scene,
    path: str | Path,
    height: int = 480,
    width: int = 720,
    frame_rate: int = 25,
    sample_rate: int = 16000,
    with_picture: bool = True,
    with_sound: bool = True,
    pack: AssetPack | None = None,
) -> Path:
    """Write the scene to `path`, whose ending chooses the format; gives back the path."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise MediaError(
            f"{path}: expected a name ending in {' or '.join(FORMATS)}, found {path.suffix or 'no ending'!r}"
        )
    if height % 2 or width % 2:
        raise ValueError(f"expected an even height and width, found {height}x{width}: add or take away one pixel")
    if not with_picture and not with_sound:
        raise ValueError("expected picture or sound, found neither: switch one of them on")
    with _opened(path, height, width, frame_rate, sample_rate, with_picture, with_sound) as (container, video, audio):
        if audio is not None:
            _write_sound(container, audio, render_sound(scene, sample_rate, pack), sample_rate)
        if video is not None:
            _write_picture(container, video, Stage(scene, height, width, pack), frame_rate)
    return path


def write_stream(
    stream: Stream,
    path: Path,
    progress: Callable[[int], None] = lambda second: None,
    height: int = 240,
    width: int = 360,
    frame_rate: int = 10,
    sample_rate: int = 16000,
) -> None:
    """Write a stream second by second, and beside it (.json) its visits and what can be asked at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path, height, width, frame_rate, sample_rate, True, True) as (container, video, audio):
        for second, scene in enumerate(stream.moments()):
            _write_sound(container, audio, render_sound(scene, sample_rate), sample_rate, second)
            _write_picture(container, video, Stage(scene, height, width), frame_rate, second)
            progress(second + 1)
    told: dict[str, Sequence[Any]] = {"visits": stream.visits, "questions": stream.questions(stream.seconds)}
    values = {name: [asdict(value) for value in listed] for name, listed in told.items()}
    path.with_suffix(".json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _opened(
    path: Path, height: int, width: int, frame_rate: int, sample_rate: int, with_picture: bool, with_sound: bool
) -> Iterator[Any]:
    """The container with its video and its audio stream, None for what is not wanted; ended in good order."""
    video_codec, options, audio_codec, sample_format, bit_rate = FORMATS[path.suffix.lower()]
    try:
        with av.open(str(path), "w") as container:
            video = audio = None
            if with_picture:
                video = container.add_stream(video_codec, rate=frame_rate, options=options)
                video.height, video.width, video.pix_fmt = height, width, "yuv420p"
            if with_sound:
                audio = container.add_stream(audio_codec, rate=sample_rate, layout="mono", format=sample_format)
                audio.bit_rate = bit_rate
            yield container, video, audio
            for stream in (audio, video):
                if stream is not None:
                    container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise MediaError(
            f"{path}: the file cannot be written ({error}): check the folder and its permissions"
        ) from None


def _write_picture(container: Any, stream: Any, stage: Stage, frame_rate: int, second: int = 0) -> None:
    """Frame k goes on screen at k / frame_rate and shows the instant (k + 0.5) / frame_rate, as in `render`."""
    for k in range(round(stage.scene.seconds * frame_rate)):
        picture = stage.frames(np.array([(k + 0.5) / frame_rate]))[0]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = second * frame_rate + k
        container.mux(stream.encode(frame))


def _write_sound(container: Any, stream: Any, wave: np.ndarray, rate: int, second: int = 0) -> None:
    """One second at a time; the encoder cuts frames of its own size out of them."""
    for start in range(0, len(wave), rate):
        samples = np.ascontiguousarray(wave[None, start : start + rate])
        frame = av.AudioFrame.from_ndarray(samples, format=stream.format.name, layout="mono")
        frame.sample_rate, frame.pts = rate, second * rate + start
        container.mux(stream.encode(frame))


def write_scenes(
    folder: str | Path,
    count: int = 4,
    seed: int = 0,
    split: str = "test",
    ending: str = ".mp4",
    sheets: bool = True,
    seconds: int | None = None,
    family: str | None = None,
) -> list[Path]:
    """Scenes `seed`, `seed + 1`... as files with their answers (.json) and, if wanted, contact sheets (.png).

    Gives back the paths of the video files.
    """
    from mirasol.media.toybox.preview import contact_sheet

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(seed, seed + count):
        scene = make_scene(number, split, seconds=seconds, family=family)
        path = write_file(scene, folder / f"{split}_{number:06d}{ending}")
        path.with_suffix(".json").write_text(json.dumps(scene.to_dict(), indent=2) + "\n", encoding="utf-8")
        if sheets:
            contact_sheet(scene).save(path.with_suffix(".png"))
        paths.append(path)
    return paths
