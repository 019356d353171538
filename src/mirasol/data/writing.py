"""Writing shards: tar archives whose bytes depend on what is in them alone, each with its index beside it.

data-000012.tar          000012-00000.mp4, 000012-00000.json, 000012-00001.mp4, ...
data-000012.tar.index    {"bytes", "sha256", "places": [[offset, bytes], ...], "members": {name: sha256}}
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from .decoding import Slice
from .items import Member, Place
from .shards import INDEX, members, shard_paths
from .texts import Pairs

BLOCK = 1 << 20  # bytes read at a time
UNFINISHED = ".making"  # how names of files in the making end
ESCAPED = "backslashreplace"  # names of files may hold what UTF-8 cannot: it becomes \udcff, which JSON reads as it was


@contextmanager
def reading(place: Place) -> Iterator[tuple[BinaryIO, int]]:
    """(the bytes of a file or of a file in a shard, how many)."""
    if isinstance(place, Member):
        with Slice(place) as file:
            yield file, place.size  # type: ignore[misc]
    else:
        with open(place, "rb") as plain:
            yield plain, os.fstat(plain.fileno()).st_size


def digest_of(place: Place) -> str:
    """The SHA-256 of a file, in hex; `ValueError` where it lies in a shard that ends before it."""
    found, done = hashlib.sha256(), 0
    with reading(place) as (file, size):
        while part := file.read(BLOCK):
            found.update(part)
            done += len(part)
    if done < size:
        raise ValueError(f"the shard ends inside it: {done} of {size} bytes are there")
    return found.hexdigest()


def making_name(path: Path) -> Path:
    """Under which name a file is made before it is renamed: another one each time, so that two never write one file."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{UNFINISHED}")


def write_whole(path: Path, text: str) -> None:
    """A file that is there complete or not at all."""
    making = making_name(path)
    making.write_text(text, encoding="utf-8", errors=ESCAPED)
    os.replace(making, path)


class ShardWriter:
    """A shard in the making; it and its index appear under their names when it is closed."""

    def __init__(self, path: Path) -> None:
        self.path, self._making = path, making_name(path)
        self._tar = tarfile.open(self._making, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115, closed by close
        self._places: list[list[int]] = []
        self._members: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def base(self) -> str:
        """The name of the next example."""
        return f"{self.path.stem.rpartition('-')[2]}-{len(self):05d}"

    def add(self, media: Sequence[tuple[str, Place | bytes]], pairs: Pairs, **more: Any) -> None:
        """One example: (ending, contents) of each of its files, then its texts; `more` stands beside them."""
        base, start = self.base, self._tar.offset
        for ending, contents in media:
            self._file(f"{base}.{ending}", contents)
        told: dict[str, Any] = {"pairs": [{"prompt": prompt, "target": target} for prompt, target in pairs]}
        told |= {key: value.encode(errors=ESCAPED).decode() if isinstance(value, str) else value
                 for key, value in more.items()}  # fmt: skip
        self._file(f"{base}.json", (json.dumps(told, ensure_ascii=False) + "\n").encode(errors=ESCAPED))
        self._places.append([start, self._tar.offset - start])

    def _file(self, name: str, contents: Place | bytes) -> None:
        member = tarfile.TarInfo(name)  # time and owner are 0
        if isinstance(contents, bytes):
            member.size = len(contents)
            self._tar.addfile(member, BytesIO(contents))
            self._members[name] = hashlib.sha256(contents).hexdigest()
            return
        with reading(contents) as (file, member.size):
            hashing = Hashing(file)
            self._tar.addfile(member, hashing)
        self._members[name] = hashing.found.hexdigest()

    def close(self) -> int:
        """Ends the shard; gives its bytes."""
        self._tar.close()
        size = self._making.stat().st_size
        index = {"bytes": size, "sha256": digest_of(str(self._making)), "places": self._places}
        os.replace(self._making, self.path)
        write_whole(Path(f"{self.path}{INDEX}"), f"{json.dumps(index)}\n{json.dumps(self._members)}\n")
        return size


class Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.found = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.found.update(data)
        return data


def faults(folder: str | Path) -> Iterator[str]:
    """What is wrong with the shards in a folder, held against the checksums beside them; one line each."""
    for path in shard_paths(str(folder)):
        beside = Path(path + INDEX)
        if not beside.is_file():
            yield f"{path} has no index"
            continue
        index, digests = map(json.loads, beside.read_text(encoding="utf-8").splitlines())
        if digest_of(path) == index["sha256"]:
            continue
        yield f"{path} is not as it was written"
        there = {}
        with tarfile.open(path, "r:") as archive:
            for member in members(archive):
                if isinstance(member, str):
                    break
                try:
                    there[member.name] = digest_of(Member(path, member.name, member.offset_data, member.size))
                except ValueError:  # the shard ends in it
                    there[member.name] = ""
        for name, digest in digests.items():
            if there.get(name) != digest:
                yield f"{path}: {name} is " + ("not as it was written" if name in there else "missing")
