"""Shards as webdataset tools write them: tar archives in which the files of one example follow each other under one
base name (`000123.mp4`, `000123.json`). No archive is unpacked; every example is reached by its place.

An example is known by where its first header lies and how many bytes it takes, 16 bytes each; its texts are read when
it is asked for. `mirasol prepare` writes those places beside a shard (`NAME.tar.index`); without that file the headers
are looked through once, contents skipped.
"""

from __future__ import annotations

import json
import re
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from mirasol.media.naming import quoted

from .decoding import read_bytes
from .endings import PICTURES, SOUNDS, STILLS
from .items import Bad, Item, Member
from .texts import Pairs, pairs_in

TEXTS = ("json", "txt", "caption", "cls")  # the first that is there counts
BESIDE = {*TEXTS, "__key__", "url", "id", "key", "md5", "sha256"}  # what a text without media may have beside it
INDEX = ".index"


def base_and_ending(name: str) -> tuple[str, str]:
    """`a/b.left.mp4` -> (`a/b`, `left.mp4`): up to the first dot of the file's own name, as webdataset groups."""
    folder, slash, file = name.rpartition("/")
    base, _, ending = file.partition(".")
    return f"{folder}{slash}{base}", ending.lower()


def scan(path: str) -> tuple[np.ndarray, str]:
    """Where the examples of a shard lie, (n, 2) int64: offset of the first header, bytes up to the next example; and
    what is wrong with it. A shard that breaks off gives the examples before that. `ValueError` for what is no tar."""
    places: list[list[int]] = []
    last, wrong = None, ""
    try:
        whole = Path(path).stat().st_size
        with tarfile.open(path, "r:") as archive:
            for member in members(archive):
                if isinstance(member, str):
                    wrong = f"{member}; the {len(places)} examples up to there are used"
                    break
                if not member.isfile():
                    last = None
                    continue
                if member.size > whole:
                    wrong = (
                        f"{quoted(member.name)} states more bytes than the shard has; the {len(places)} examples up to "
                    )
                    wrong += "there are used"
                    break
                end = member.offset_data + -(-member.size // 512) * 512
                base, _ = base_and_ending(member.name)
                if base == last:
                    places[-1][1] = end - places[-1][0]
                else:
                    places.append([member.offset, end - member.offset])
                last = base
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"cannot read the shard {path}: {error}; expected an uncompressed tar") from None
    return np.array(places, np.int64).reshape(-1, 2), wrong


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo | str]:
    """The members up to the end; where the archive is broken, last of all what is wrong."""
    while True:
        try:
            member = archive.next()
        except (tarfile.ReadError, ValueError, OverflowError):  # ... or it states a size beyond all files
            yield f"it ends at byte {Path(str(archive.name)).stat().st_size}, inside its last file"
            return
        if member is None:
            break
        archive.members = []  # type: ignore[attr-defined] # tarfile keeps all of them otherwise
        yield member
    # tarfile takes a header that it cannot read for the end: at the end there are zeros, or nothing any more.
    archive.fileobj.seek(archive.offset)
    header = archive.fileobj.read(tarfile.BLOCKSIZE)
    if any(header) or 0 < len(header) < tarfile.BLOCKSIZE:
        yield f"broken at byte {archive.offset}"


def index_of(path: str) -> tuple[np.ndarray, str]:
    """As `scan`, from the file beside the shard where it fits, else by looking through the shard."""
    beside = Path(path + INDEX)
    if beside.is_file():
        try:
            with beside.open(encoding="utf-8") as file:
                known = json.loads(file.readline())  # checksums of single files follow, which nobody needs here
            size = Path(path).stat().st_size
            if known["bytes"] == size:
                places = np.array(known["places"], np.int64).reshape(-1, 2)
                if (places >= 0).all() and (places <= size).all() and (places.sum(axis=1) <= size).all():
                    return places, ""
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            pass  # no index that can be read
    return scan(path)


class ShardItems(Sequence[Item]):
    """All examples of some shards, in their order. `blocks`: how many lie in each; `broken`: shards that are not whole.
    `prompt` goes with plain texts."""

    def __init__(self, paths: Sequence[str], prompt: str | None = None) -> None:
        self.paths, self.prompt = list(paths), prompt
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(index_of, self.paths))
        self._places = [places for places, _ in found]
        self.broken = [Bad(path, path, wrong) for path, (_, wrong) in zip(self.paths, found, strict=True) if wrong]
        self.blocks = [len(places) for places in self._places]
        self._ends = list(accumulate(self.blocks))
        if not len(self):
            raise ValueError(f"expected examples in {len(self.paths)} shards such as {self.paths[0]}, found none")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        shard = bisect_right(self._ends, at)
        offset, size = self._places[shard][at - (self._ends[shard - 1] if shard else 0)].tolist()
        return self._item(self.paths[shard], offset, size)

    def files(self, path: str, offset: int, size: int) -> tuple[str, dict[str, Member]]:
        """(base name, {ending: file}) of the example at a place."""
        found: dict[str, Member] = {}
        base = ""
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    for member in members(archive):
                        if isinstance(member, str) or member.offset >= offset + size:
                            break
                        base, ending = base_and_ending(member.name)
                        found[ending] = Member(path, member.name, member.offset_data, member.size)
        except tarfile.TarError as error:
            raise ValueError(
                f"expected an example at byte {offset} of {path}, found none ({error}): was the shard changed? Remove "
                f"{Path(path).name}{INDEX} beside it"
            ) from None
        return base, found

    def _item(self, path: str, offset: int, size: int) -> Item:
        base, files = self.files(path, offset, size)
        pick = {
            kind: next((file for ending, file in files.items() if ending.rpartition(".")[2] in endings), None)
            for kind, endings in (("picture", PICTURES), ("still", STILLS), ("sound", SOUNDS))
        }
        picture = pick["picture"] or pick["still"]
        media, sound = (picture, pick["sound"]) if picture else (pick["sound"], None)
        key = f"{path}:{base}"
        if media is None and (others := [file.name for ending, file in files.items() if ending not in BESIDE]):
            return Item(key, None, (), fault=f"none of its files is known as media: {', '.join(others[:4])}")
        try:
            return Item(key, media, self._pairs(files), sound=sound)
        except ValueError as error:
            return Item(key, media, (), sound=sound, fault=str(error))

    def _pairs(self, files: dict[str, Member]) -> Pairs:
        for ending in TEXTS:
            if (file := files.get(ending)) is not None:
                return pairs_in(file.name, read_bytes(file), self.prompt)
        return ()


def shard_paths(pattern: str) -> list[str]:
    """The shards that a folder, a path, a glob or a brace pattern (`{000..012}`) names; none: an empty list."""
    if Path(pattern).is_dir():
        return sorted(map(str, Path(pattern).rglob("*.tar")))
    paths = [
        path
        for expanded in expand(pattern)
        for path in (sorted(glob(expanded)) if any(mark in expanded for mark in "*?[") else [expanded])
    ]
    if missing := [path for path in paths if not Path(path).is_file()]:
        raise ValueError(f"no shard {quoted(missing[0])} ({len(missing)} of {len(paths)} are not there)")
    return paths


def expand(pattern: str) -> list[str]:
    """`a-{008..011}.tar` -> four names; `{a,b}` -> two."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    first, last, words = found.groups()
    middle = (
        words.split(",")
        if words is not None
        else [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    )
    return [name for part in middle for name in expand(pattern[: found.start()] + part + pattern[found.end() :])]
