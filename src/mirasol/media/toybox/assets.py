"""An asset pack: a folder of pictures and sounds that takes the place of the drawn things.

```
pack/pictures/<kind>/*.png      (or jpg, webp); transparent pixels stay transparent
pack/sounds/<kind>/*.wav        (or ogg, flac, mp3); up to 0.75 s of each is used, from where it begins to sound
pack/captions/<kind>.txt        optional: other words for the kind in captions, one in each line
```
A kind needs at least one picture and one sound. Use: `pack = AssetPack(folder)`,
`scene = make_scene(seed, world=pack.world)`, `render(scene, pack=pack)`. There are no colour questions then.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageEnhance

from mirasol.media.clip import MediaError
from mirasol.media.opening import Report, Source, decoded
from mirasol.media.toybox.scene import World

PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
SOUNDS = {".wav", ".ogg", ".flac", ".mp3"}
LONGEST_SOUND = 0.75  # seconds
HEARD = 10.0  # seconds of a sound file that are read
FADE = 0.03  # seconds
LOUDEST = 1e3  # of samples that are a sound; 1 is full scale
MOST_PIXELS = 1 << 26  # of a picture: 256 MB when it is open


class AssetPack:
    """The files of a pack, by kind in alphabetical order, and the world they make."""

    def __init__(
        self,
        folder: str | Path,
        kinds: Collection[str] = (),
        *,
        vary: bool = False,
        longest: float = LONGEST_SOUND,
        often: Collection[tuple[str, int]] = (),
    ) -> None:
        """`kinds`: only these of the pack, such as those that another pack has, too; empty: all.

        vary     each time a picture or a sound is used it is a little another one: turned, squeezed, darker, its
                 colours paler; faster or slower, duller or brighter, from another place on where it is long. For
                 training on few of them.
        longest  seconds of a sound that are used
        often    (how the name of a file begins, n): such a picture comes n times as often as another of its kind
        """
        root = Path(folder)
        self.vary, self.longest = vary, longest
        if not (root / "pictures").is_dir() or not (root / "sounds").is_dir():
            raise MediaError(f"{root}: expected an asset pack with folders `pictures` and `sounds`, found none")
        self.pictures = _by_kind(root / "pictures", PICTURES)
        self.drawn = {  # what `draw` chooses from
            kind: [file for file in files for _ in range(_times(file, often))] for kind, files in self.pictures.items()
        }
        self.sounds = _by_kind(root / "sounds", SOUNDS)
        there = sorted(set(self.pictures) & set(self.sounds))
        there = [kind for kind in there if kind in kinds] if kinds else there
        captions = {}
        for kind in there:
            file = root / "captions" / f"{kind}.txt"
            try:
                lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
            except UnicodeDecodeError:
                raise MediaError(f"{file}: expected UTF-8 text; convert it (iconv -t utf-8) or remove it") from None
            if words := tuple(line.strip().lower() for line in lines if line.strip()):
                captions[kind] = words
        self.world = World(there, (), captions)

    def draw(self, kind: str, height: int, rng: np.random.Generator) -> np.ndarray:
        """One picture of the kind as (height, w, 4) uint8 RGBA, cropped to what is not transparent."""
        file = self.drawn[kind][int(rng.integers(len(self.drawn[kind])))]
        try:
            with Image.open(file) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise ValueError(f"{opened.width} x {opened.height} pixels are more than {MOST_PIXELS:,}")
                picture = opened.convert("RGBA")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise MediaError(
                f"{file}: expected a picture, but it cannot be read ({error}): mend or remove it"
            ) from None
        box = picture.getchannel("A").getbbox()
        if box is None:
            raise MediaError(f"{file}: expected something to see, found only transparent pixels: remove it")
        picture = picture.crop(box)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.vary:
            picture = varied_picture(picture, rng)
        width = min(max(1, round(picture.width * height / picture.height)), round(1.3 * height))
        rows = min(height, max(1, round(width * picture.height / picture.width)))
        sprite = np.zeros((height, width, 4), np.uint8)  # a wide picture sits in the middle of its height
        top = (height - rows) // 2
        sprite[top : top + rows] = np.asarray(picture.resize((width, rows), Image.Resampling.BOX))
        return sprite

    def sound(self, kind: str, rng: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
        """One sound of the kind as (n,) float32 of peak 1: its first `longest` seconds at most, faded out."""
        file = self.sounds[kind][int(rng.integers(len(self.sounds[kind])))]
        wave = _decode(file, sample_rate)
        peak = float(np.abs(wave).max()) if len(wave) else 0.0
        if peak < 1e-4:
            raise MediaError(f"{file}: expected something to hear, found silence: remove it")
        begin = int(np.argmax(np.abs(wave) > 0.05 * peak))
        if self.vary and rng.random() < 0.5:
            begin = loud_place(wave, begin, rng, sample_rate)
        wave = varied_sound(wave[begin:], rng) if self.vary else wave[begin:]
        wave = wave[: round(self.longest * sample_rate)]
        wave = wave / np.abs(wave).max()
        fade = min(len(wave), round(FADE * sample_rate))
        wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return wave


def varied_picture(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGBA picture turned by up to 20 degrees, squeezed, of other brightness, contrast and strength of colours."""
    picture = picture.rotate(rng.uniform(-20.0, 20.0), Image.Resampling.BILINEAR, expand=True)
    width = max(1, round(picture.width * float(np.exp(rng.uniform(-0.25, 0.25)))))
    picture = picture.resize((width, picture.height), Image.Resampling.BILINEAR)
    clear = picture.getchannel("A")
    colours = ImageEnhance.Color(picture.convert("RGB")).enhance(float(rng.choice((0.0, 0.4, 1.0, 1.0, 1.4))))
    colours = ImageEnhance.Contrast(ImageEnhance.Brightness(colours).enhance(rng.uniform(0.6, 1.4))).enhance(
        rng.uniform(0.7, 1.4)
    )
    picture = colours.convert("RGBA")
    picture.putalpha(clear)
    return picture.crop(clear.getbbox())


def loud_place(wave: np.ndarray, begin: int, rng: np.random.Generator, sample_rate: int = 16000) -> int:
    """Where one of the loud parts of a sound (n,) begins that are 0.5 s or more before its end; else `begin`."""
    block = sample_rate // 20
    count = (len(wave) - sample_rate // 2) // block
    loud = np.abs(wave[: max(0, count) * block]).reshape(-1, block).max(axis=1)
    places = np.flatnonzero(loud > 0.3 * np.abs(wave).max())
    return int(places[int(rng.integers(len(places)))]) * block if len(places) else begin


def varied_sound(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sound (n,) played at 0.8 to 1.25 of its speed, with its high or its low parts made stronger."""
    speed = float(np.exp(rng.uniform(-0.22, 0.22)))
    places = np.arange(0.0, len(wave) - 1, speed) if len(wave) > 1 else np.zeros(1)
    wave = np.interp(places, np.arange(len(wave)), wave).astype(np.float32)
    tilt = np.float32(rng.uniform(-0.7, 0.7))
    return wave + tilt * np.concatenate([wave[:1], wave[:-1]])


def _times(file: Path, often: Collection[tuple[str, int]]) -> int:
    """How many times as often as others the file comes."""
    return next((times for beginning, times in often if file.name.startswith(beginning)), 1)


def _by_kind(folder: Path, endings: set[str]) -> dict[str, list[Path]]:
    """Files with these endings in each folder inside `folder`, sorted."""
    found = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if files := sorted(path for path in inner.iterdir() if path.suffix.lower() in endings):
            found[inner.name.lower().replace("_", " ")] = files
    return found


def _decode(file: Path, sample_rate: int) -> np.ndarray:
    """The first seconds of a sound file as (n,) float32 mono, without the parts that are damaged."""
    pieces: list[np.ndarray] = []
    report = Report()
    try:
        with Source(file).open() as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
            for frame in decoded(container, container.streams.audio[0], report):
                pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
                if frame.time is not None and frame.time > HEARD:
                    break
            pieces += [part.to_ndarray()[0] for part in resampler.resample(None)]
    except (av.FFmpegError, IndexError) as error:
        raise MediaError(f"{file}: expected a sound file, but it cannot be read ({error}): mend or remove it") from None
    if report.damaged and not pieces:
        raise MediaError(f"{file}: expected a sound file, but nothing in it can be decoded: mend or remove it")
    wave = np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)
    wave[~(np.abs(wave) < LOUDEST)] = 0.0  # one sample that is not finite, or absurd, would silence all others
    return wave
