"""Where the media of a data set lie: names of annotation files -> files of a folder, found in one walk over it.

A name is looked for as it stands (a path below the folder, with or without its suffix), then by its last part anywhere
below. Nothing outside the folder is ever found, whatever a name says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mirasol.data.endings import PICTURES, SOUNDS, STILLS, is_media_name
from mirasol.media.naming import quoted

if TYPE_CHECKING:
    from .rows import Row

VIDEO = tuple(f".{ending}" for ending in sorted(PICTURES))
SOUND = tuple(f".{ending}" for ending in sorted(SOUNDS))
PICTURE = tuple(f".{ending}" for ending in sorted(STILLS))
SUFFIXES = (*VIDEO, *SOUND, *PICTURE)
LOOK = 1_000  # paths of a manifest that are looked for, to see whether they are relative to it
RANK = {suffix: rank for rank, kind in enumerate((VIDEO, SOUND, PICTURE)) for suffix in kind}  # a film before its sound


@dataclass(frozen=True)
class Placed:
    """The media of a row: paths, and the seconds of them that the row is about. `media` None: text alone."""

    media: str | None
    sound: str | None = None  # the sound track, where it lies in a file of its own
    start: float | None = None
    end: float | None = None


class MediaFolder:
    """An index of the media below a folder; `ValueError` where there is none."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ValueError(f"expected a folder with the media, found no folder {quoted(folder)}")
        self._paths: dict[str, Path] = {}  # relative path, and without its suffix, in lower case
        self._names: dict[str, Path] = {}  # the last part alone
        files = [
            Path(root, name)
            for root, _, names in os.walk(self.folder, followlinks=True)
            for name in names
            if Path(name).suffix.lower() in RANK
        ]
        self.files = sorted(files, key=lambda path: (RANK[path.suffix.lower()], str(path)))
        self.count = len(self.files)
        for path in self.files:
            relative = path.relative_to(self.folder)
            for index, whole in ((self._paths, relative.as_posix()), (self._names, path.name)):
                index.setdefault(whole, path)
                index.setdefault(whole.removesuffix(path.suffix), path)

    def find(self, row: Row) -> Placed | None:
        """Where the media of a row lie; None: nowhere. A span that was cut out goes before the whole film, and sound
        alone will do. Of a row without any media, the place is empty."""
        sound = self.look(row.sound) if row.sound else None
        track = None if sound is None else str(sound)
        for name in row.names:
            if (path := self.look(name)) is not None:
                whole = name in row.films or not row.films
                return Placed(str(path), track, *((row.start, row.end) if whole else (None, None)))
        if track is not None:
            return Placed(track, None, row.start, row.end)
        return None if row.names or row.sound else Placed(None)

    def look(self, name: str) -> Path | None:
        """The file of a name; None where there is none."""
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", "..")]
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            if (path := self._paths.get(tail) or self._paths.get(_without_suffix(tail))) is not None:
                return path
        last = parts[-1] if parts else ""
        return self._names.get(last) or self._names.get(_without_suffix(last))


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in RANK else name


class Beside:
    """Where the media of a manifest lie: paths relative to its folder, or in `media`, a folder of their own.

    A name without an ending, and every name where not one of the first paths is there, is looked for below the folder.
    A path that is not there stays one: it is a fault of its item when that is opened.
    """

    def __init__(self, path: Path, rows: Iterable[Row], media: str | Path | None = None) -> None:
        self.folder = path.parent
        self.media = None if media is None else MediaFolder(media)
        self.count = 0 if self.media is None else self.media.count
        names = [row.files[0] for row in islice((row for row in rows if row.files), LOOK)]
        self.relative = self.media is not None or any(os.path.isfile(os.path.join(path.parent, one)) for one in names)
        if self.media is None and not self.relative and names:
            self.media = MediaFolder(self.folder)

    def find(self, row: Row) -> Placed | None:
        """Where the media of a row lie; None: nowhere. Of a row without any, the place is empty."""
        if not row.files:
            return Placed(None)
        media, sound = self._place(row.files[0]), None if row.sound is None else self._place(row.sound)
        if media is None or (row.sound is not None and sound is None):
            return None
        return Placed(media, sound, row.start, row.end)

    def _place(self, name: str) -> str | None:
        if self.media is not None and (found := self.media.look(name)) is not None:
            return str(found)
        if is_media_name(name) or os.path.isfile(os.path.join(self.folder, name)):
            return str(self.folder / name)
        if self.media is None:
            self.media = MediaFolder(self.folder)
            return self._place(name)
        return None
