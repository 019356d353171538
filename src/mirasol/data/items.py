"""What data files list: items, each something to watch or hear with what is asked and wanted of it.

Readers of all formats (manifests, folders, shards, annotations of public datasets) return a sequence of `Item`;
training, preparing and evaluation take one. An item says where its media lie and never holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A file inside a tar archive, by its place: no archive is unpacked and none is read from its start."""

    archive: str
    name: str
    offset: int  # bytes from the start of the archive to the file's first byte
    size: int  # bytes


Place = str | Member  # a path, or a file inside a shard


@dataclass(frozen=True, slots=True)
class Item:
    """`media` is a video, a picture or a sound; None: text alone. `sound` is the sound track where it lies in a file of
    its own. `start` and `end` are seconds of the media; None: from its beginning, to its end.

    `pairs` are (prompt, target): a prompt of None asks for a caption. The media are decoded once for all of them.
    `fault`: why it cannot be used, where that is known before it is opened.
    """

    key: str  # names the item in logs and reports; unique within its source
    media: Place | None
    pairs: tuple[tuple[str | None, str], ...]
    start: float | None = None
    end: float | None = None
    sound: Place | None = None
    fault: str = ""


Items = Sequence[Item]


@dataclass(frozen=True)
class Bad:
    """An item that could not be used."""

    key: str
    place: str
    reason: str


class Listed(list[Item]):
    """Items, with what stands beside them and is none: `broken` names what is skipped and why, `notes` are lines for
    people about what was guessed or not read."""

    def __init__(self, items: Iterable[Item] = (), broken: Iterable[Bad] = (), notes: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.broken, self.notes = list(broken), list(notes)
