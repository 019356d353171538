"""Where the media of a data set lie: names of annotation files -> files of a folder, found in one walk over it.

A name is looked for as it stands (a path below the folder, with or without its suffix), then by its last part anywhere
below. Nothing outside the folder is ever found, whatever a name says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .rows import Row

VIDEO = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".flv", ".gif")
SOUND = (".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".aac")
PICTURE = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SUFFIXES = (*VIDEO, *SOUND, *PICTURE)  # a film is taken before its sound track


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
            raise ValueError(f"expected a folder with the media, found no folder {str(folder)!r}")
        self._paths: dict[str, Path] = {}  # relative path, and without its suffix, in lower case
        self._names: dict[str, Path] = {}  # the last part alone
        self.count = 0
        files = [
            Path(root, name)
            for root, _, names in os.walk(self.folder, followlinks=True)
            for name in names
            if name.lower().endswith(SUFFIXES)
        ]
        for path in sorted(files, key=lambda path: (SUFFIXES.index(path.suffix.lower()), str(path))):
            relative = path.relative_to(self.folder)
            self.count += 1
            for index, whole in ((self._paths, relative.as_posix()), (self._names, path.name)):
                index.setdefault(whole, path)
                index.setdefault(whole.removesuffix(path.suffix), path)

    def find(self, row: Row) -> Placed | None:
        """Where the media of a row lie; None: nowhere. A span that was cut out goes before the whole film, and sound
        alone will do. Of a row without any media, the place is empty."""
        sound = self._look(row.sound) if row.sound else None
        track = None if sound is None else str(sound)
        for name in row.names:
            if (path := self._look(name)) is not None:
                whole = name in row.films or not row.films
                return Placed(str(path), track, *((row.start, row.end) if whole else (None, None)))
        if track is not None:
            return Placed(track, None, row.start, row.end)
        return None if row.names or row.sound else Placed(None)

    def _look(self, name: str) -> Path | None:
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", "..")]
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            if (path := self._paths.get(tail) or self._paths.get(_without_suffix(tail))) is not None:
                return path
        last = parts[-1] if parts else ""
        return self._names.get(last) or self._names.get(_without_suffix(last))


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else name
