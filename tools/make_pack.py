"""Real pictures and real sounds for Toybox: two asset packs out of five Debian packages, one of them held out.

    python tools/make_pack.py OUT [--strict] [--cache FOLDER]

    OUT/train      pictures and sounds of qabcs, gcompris, scratch and pysiogame
    OUT/held_out   those of tuxpaint (mostly photographs, other recordings), of kinds that OUT/train has, too
    OUT/about.json where every file came from

Each is an asset pack as `mirasol.media.toybox.AssetPack` reads it: transparent PNGs of at most 256 pixels, sounds as
they come. With --strict it has animals and instruments only: some of the other sounds of qabcs are jokes. Packages are
checked by their SHA-256. Their licences are GPL-2+, GPL-3+ and CC-BY-SA-3.0: use the packs, and do not put them into
this repository.

Needs apt-get and dpkg-deb; zstandard for gcompris, and resvg-py for drawings that are SVG (without them those are left
out, and it says so).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from mirasol.media.clip import MediaError
from mirasol.media.reader import read
from mirasol.media.toybox.assets import AssetPack

SHA = {
    "qabcs-data": "3484da4cf258e6f3a39a1fc99bbfcaddfd679cff96a8fa792f261ab0a2bf9d86",
    "gcompris-qt-data": "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
    "scratch": "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
    "pysiogame": "6b22766dfd8ef3a046c2665fe2598ac8a1ecee3d331bda38accf53de65bc59bf",
    "tuxpaint-stamps-default": "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
}
HELD_OUT = "tuxpaint-stamps-default"
PICTURES, SOUNDS = (".png", ".svg", ".gif", ".jpg", ".webp"), (".ogg", ".wav", ".mp3")
Kinds = dict[str, dict[str, list[tuple[str, Path]]]]  # kind -> "pictures" or "sounds" -> (package, file)
SIDE = 256  # pixels of the longer side of a picture, at most
GCOMPRIS = "unpacked/gcompris/src/activities"
# package -> folders inside it, and what their files are
PLACES: dict[str, list[tuple[str, str]]] = {
    "qabcs-data": [
        *((f"usr/share/qabcs/abcs/all/pics/{part}", "pictures") for part in ("animals", "instrument", "toys", "misc")),
        ("usr/share/qabcs/abcs/all/noises", "sounds"),
    ],
    "gcompris-qt-data": [
        (f"{GCOMPRIS}/explore_farm_animals/resource", "both"),
        (f"{GCOMPRIS}/instruments/resource", "both"),
        (f"{GCOMPRIS}/lang/resource/words_sample", "pictures"),
    ],
    "scratch": [
        *((f"usr/share/scratch/Media/Costumes/{part}", "pictures") for part in ("Animals", "Things", "Fantasy")),
        *((f"usr/share/scratch/Media/Sounds/{part}", "sounds") for part in ("Animal", "Instruments", "Percussion")),
        ("usr/share/scratch/Media/Sounds/Effects", "sounds"),
    ],
    "pysiogame": [("usr/share/games/pysiogame/res/images/art4apps", "pictures")],
    HELD_OUT: [
        (f"usr/share/tuxpaint/stamps/{part}", "both")
        for part in (
            "animals", "hobbies", "household", "people", "plants", "sports", "town", "vehicles", "space", "food",
            "naturalforces", "clothes", "medical", "military",
        )
    ],
}  # fmt: skip
DROPPED = {"badger", "camel", "mountaingoat", "dreidel", "christmas tree", "umbrella"}  # wrong, double, or jokes
POSES = "left right up down flying sitting standing lying front back side small big open closed photo cartoon"
SYNONYMS = {
    "rooster": "cock", "hen": "chicken chickens chick", "duck": "drake quack", "goose": "gander geese",
    "cow": "cows calf cattle", "sheep": "lamb ram ewe baa", "cat": "kitten meow blackcat kitty", "dog": "puppy pug",
    "horse": "pony foal", "chimpanzee": "chimp", "hippopotamus": "hippo", "cricket": "crickets",
    "toucan": "tucan",  # codespell:ignore tucan
    "rhea": "nandou", "wild boar": "boar", "deer": "doe stag fawn", "reindeer": "caribou",
    "lion": "lioness", "drums": "drum drumkit", "cymbals": "cymbal", "cello": "violoncello", "airplane": "plane",
    "fire truck": "firetruck", "bicycle": "bike", "wolf": "wolfhowl",
}  # fmt: skip
LONG_SYNONYMS = {
    "lion cub": "lion", "little monkey": "monkey", "drum set": "drums", "grand piano": "piano",
    "flute traversiere": "flute", "western concert flute": "flute", "cymbal crash": "cymbals",
    "drum tomtom floor": "tom drum", "fire engine": "fire truck", "wolf howl": "wolf", "mallet metal": "mallet",
    "eagle owl": "owl",
    "heron greatblue": "heron",
    "sheep lamb": "sheep",
}  # fmt: skip
SAME = {other: kind for kind, others in SYNONYMS.items() for other in others.split()} | LONG_SYNONYMS


def fetch(package: str, cache: Path) -> Path:
    """The package's files, unpacked under `cache`."""
    found = sorted(cache.glob(f"{package}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "download", "-q", package], check=True, cwd=cache, stdout=subprocess.DEVNULL)
        found = sorted(cache.glob(f"{package}_*.deb"))
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != SHA[package]:
        raise SystemExit(f"{found[0].name}: expected SHA-256 {SHA[package]}, found {digest}")
    folder = cache / package
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(found[0]), str(folder)], check=True)
    return folder


def unpack_resources(path: Path, out: Path) -> None:
    """A Qt resource file (rcc): a tree of nodes, names in UTF-16, data that may be compressed by zlib or zstd.

    Only files of the kinds that a pack holds are written, below `out`, under names without "..".
    """
    import zstandard

    data = path.read_bytes()
    version, tree, content, names = struct.unpack(">4I", data[4:20])
    step = 14 if version < 2 else 22

    def name_of(at: int) -> str:
        (length,) = struct.unpack(">H", data[names + at : names + at + 2])
        return data[names + at + 6 : names + at + 6 + 2 * length].decode("utf-16-be")

    waiting = [(0, Path())]
    while waiting:
        node, folder = waiting.pop()
        at = tree + node * step
        name, flags = struct.unpack(">IH", data[at : at + 6])
        here = folder / name_of(name) if node else folder
        if flags & 2:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            waiting += [(child, here) for child in range(first, first + count)]
            continue
        if here.suffix not in PICTURES + SOUNDS or ".." in here.parts:
            continue
        (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
        start = content + offset + 4
        (length,) = struct.unpack(">I", data[start - 4 : start])
        raw = data[start : start + length]
        if flags & 1:
            raw = zlib.decompress(raw[4:])
        elif flags & 4:
            raw = zstandard.ZstdDecompressor().decompress(raw, max_output_size=100_000_000)
        target = out / str(here).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)


def kind_of(name: str) -> str:
    """The kind that a file or a caption names."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = re.sub(r"[_\-.,]+", " ", name)
    words = re.sub(r"\d+.*$", "", words).strip()
    parts = [word for word in words.split() if word not in POSES.split()]
    words = " ".join(parts)
    return SAME.get(words, words)


def sentence_of(path: Path) -> str:
    """The English caption beside a stamp of tuxpaint, else nothing."""
    beside = path.with_suffix(".txt")
    lines = beside.read_text(encoding="utf-8", errors="replace").splitlines() if beside.is_file() else []
    return lines[0].strip() if lines else ""


def files_of(package: str, folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(kind, "pictures" or "sounds", file) of everything that a package has."""
    for place, what in PLACES[package]:
        for path in sorted((folder / place).rglob("*")):
            if not path.is_file() or path.suffix.lower() not in PICTURES + SOUNDS:
                continue
            role = "pictures" if path.suffix.lower() in PICTURES else "sounds"
            kind = kind_of(path.stem)
            if package == HELD_OUT:
                if "_desc" in path.stem or re.search(r"_[a-z]{2}(_[A-Z]{2})?$", path.stem):
                    continue  # spoken captions
                told = re.fullmatch(r"An? (?:\w+ )?(\w+)\.", sentence_of(path))
                kind = kind_of(told[1]) if told else kind
            if what in (role, "both") and kind not in DROPPED and len(kind) > 2:
                yield kind, role, path


def picture(path: Path) -> Image.Image | None:
    """RGBA, cropped to what is seen, with an even white border made transparent; None where there is nothing."""
    if path.suffix == ".svg":
        try:
            import resvg_py
        except ImportError:
            warnings.warn("drawings in SVG are left out: pip install resvg-py", stacklevel=2)
            return None
        try:
            opened = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_path=str(path)))))
        except ValueError:
            return None
    else:
        opened = Image.open(path)
    image = opened.convert("RGBA")
    image.thumbnail((2 * SIDE, 2 * SIDE))
    if image.getchannel("A").getextrema()[0] == 255:  # opaque: what touches the corners and is near white goes
        corners = [(0, 0), (image.width - 1, 0), (0, image.height - 1), (image.width - 1, image.height - 1)]
        for corner in corners:
            colour = image.getpixel(corner)
            if isinstance(colour, tuple) and min(colour[:3]) > 240 and colour[3] == 255:
                ImageDraw.floodfill(image, corner, (255, 255, 255, 0), thresh=24)
    box = image.getchannel("A").getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 12:
        return None
    image = image.crop(box)
    image.thumbnail((SIDE, SIDE))
    return image


def audible(path: Path) -> bool:
    """Whether the first seconds of a sound hold more than silence."""
    try:
        wave = read(str(path), end=5.0).waveform
    except MediaError:
        return False
    return wave is not None and len(wave) > 0 and float(abs(wave).max()) > 1e-3


def write_pack(kinds: Kinds, out: Path) -> dict[str, str]:
    """Writes a pack of the kinds that have a picture and a sound; gives where each file came from."""
    seen: set[bytes] = set()
    about: dict[str, str] = {}
    for kind, roles in sorted(kinds.items()):
        home, wrote = kind.replace(" ", "_"), {}
        for role, files in roles.items():
            for number, (package, path) in enumerate(files):
                digest = hashlib.sha256(path.read_bytes()).digest()
                target = out / role / home / f"{package.split('-')[0]}_{number:02d}{path.suffix.lower()}"
                target.parent.mkdir(parents=True, exist_ok=True)
                if digest in seen:
                    continue
                if role == "pictures" and (image := picture(path)) is not None:
                    target = target.with_suffix(".png")
                    image.save(target)
                elif role == "sounds" and audible(path):
                    shutil.copyfile(path, target)
                else:
                    continue
                seen.add(digest)
                wrote[target] = f"{package}: {path.name}"
        if {target.parent.parent.name for target in wrote} == {"pictures", "sounds"}:
            about |= {str(target.relative_to(out.parent)): source for target, source in wrote.items()}
        else:
            for role in roles:
                shutil.rmtree(out / role / home, ignore_errors=True)
    return about


def main() -> None:
    parser = argparse.ArgumentParser(description="Asset packs of real pictures and sounds.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, help="Where packages are kept; a temporary folder otherwise.")
    parser.add_argument("--strict", action="store_true", help="Animals and instruments only.")
    given = parser.parse_args()
    if given.out.exists():
        raise SystemExit(f"{given.out} is there already; choose another name")
    with tempfile.TemporaryDirectory() as temporary:
        cache = given.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        train, held = gather(cache, strict=given.strict)
        about = write_pack(train, given.out / "train")
        known = {path.name.replace("_", " ") for path in (given.out / "train" / "pictures").iterdir()}
        about |= write_pack({kind: roles for kind, roles in held.items() if kind in known}, given.out / "held_out")
    (given.out / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name in ("train", "held_out"):
        pack = AssetPack(given.out / name)
        pictures, sounds = (sum(map(len, files.values())) for files in (pack.pictures, pack.sounds))
        print(f"{name}: {len(pack.world.kinds)} kinds, {pictures} pictures, {sounds} sounds")


def gather(cache: Path, *, strict: bool = False) -> tuple[Kinds, Kinds]:
    """All packages fetched and sorted by kind: those to train with, and those held out."""
    packs: tuple[Kinds, Kinds] = ({}, {})
    for package in PLACES:
        folder = fetch(package, cache)
        if package == "gcompris-qt-data":
            try:
                for name in ("explore_farm_animals", "instruments", "lang"):
                    unpack_resources(folder / f"usr/share/gcompris-qt/rcc/{name}.rcc", folder / "unpacked")
            except ImportError:
                print("gcompris is left out: pip install zstandard")
        for kind, role, path in files_of(package, folder):
            if strict and path.parent.name in ("toys", "misc"):
                continue
            roles = packs[package == HELD_OUT].setdefault(kind, {"pictures": [], "sounds": []})
            roles[role].append((package, path))
    whole = [{kind: roles for kind, roles in pack.items() if all(roles.values())} for pack in packs]
    return whole[0], whole[1]


if __name__ == "__main__":
    main()
