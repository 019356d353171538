"""What an annotation file and its media are worth, before a run finds out: counts, and what to do about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mirasol.media.reader import open_media

from .folders import Beside, MediaFolder, Placed
from .formats import MANIFEST, recognise
from .rows import Annotations, by_media, distinct
from .tables import Table, read_table

SHOWN = 5  # names of missing and damaged media that are shown
LOOK = 1.0  # seconds that are decoded of each file


@dataclass(frozen=True)
class Checked:
    """`media` counts distinct films and spans; None: no folder was given. `damaged` and `missing` hold (name, why)."""

    path: str
    format: str
    name: str
    rows: int
    splits: dict[str, int]
    types: dict[str, int]
    labels: int
    unanswered: int
    first: dict[str, Any] | None
    notes: tuple[str, ...]
    media: int | None = None
    missing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()  # without a picture
    damaged: tuple[tuple[str, str], ...] = ()
    advice: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(
    path: Path, folder: Path | None = None, tick: Callable[[int, int], None] = lambda done, total: None
) -> Checked:
    """Reads the file, looks for its media and decodes the first second of each; see `Checked`."""
    table = read_table(path, skip=True)
    format = recognise(table)
    found = distinct(format.read(table))
    groups = list(by_media(found.rows))
    missing, silent, blind, damaged = [], [], [], []
    media: MediaFolder | Beside | None = None if folder is None else MediaFolder(folder)
    if format is MANIFEST:  # paths are relative to the manifest
        media = Beside(path, found.rows, folder)
    for at, group in enumerate(groups if media is not None else []):
        tick(at, len(groups))
        row, place = group[0], media.find(group[0])  # type: ignore[union-attr]
        if place is None or (place.media is not None and not Path(place.media).is_file()):
            missing.append(next(iter(row.names), row.sound or row.media))
        elif place.media is not None:
            has_picture, has_sound, why = look(place)
            if why is not None:
                damaged.append((place.media, why))
                continue
            if not has_sound:
                silent.append(place.media)
            if not has_picture:
                blind.append(place.media)
    return Checked(
        str(path), found.format, format.name, len(found.rows), found.splits(), found.types(), len(found.labels),
        sum(not row.answers for row in found.rows), asdict(found.rows[0]) if found.rows else None, found.notes,
        None if media is None else len(groups), tuple(missing), tuple(silent), tuple(blind), tuple(damaged),
        (*broken_lines(table), *advice(found, len(groups), media, len(missing), len(damaged))),
    )  # fmt: skip


def look(place: Placed) -> tuple[bool, bool, str | None]:
    """Whether a film has picture and sound, and why it cannot be read, if so."""
    assert place.media is not None
    try:
        with open_media(place.media) as media:
            start = place.start or 0.0
            end = start + LOOK if place.end is None else min(place.end, start + LOOK)
            next(iter(media.pieces(start, end)), None)
            sound = media.has_sound
            picture = media.has_picture
        if place.sound is not None:
            with open_media(place.sound) as track:
                sound = track.has_sound
    except (ValueError, OSError) as error:
        return False, False, " ".join(str(error).split())
    return picture, sound, None


def broken_lines(table: Table) -> list[str]:
    """A line about the lines of the file that cannot be read, if there are any."""
    if not table.broken:
        return []
    few = "; ".join(f"{bad.key}: {bad.reason}" for bad in table.broken[:SHOWN])
    return [f"{len(table.broken)} lines cannot be read; training skips them, evaluation wants a whole file: {few}"]


def advice(
    found: Annotations, groups: int, media: MediaFolder | Beside | None, missing: int, damaged: int
) -> list[str]:
    """What to do next, a line each."""
    rows = found.rows
    if not rows and not found.labels:
        return ["nothing in it has an answer to learn or to score: give another file"]
    if not rows:
        return ["a list of classes: give the file that lists the clips; this one is read when it lies beside it"]
    lines = []
    if faults := [row for row in rows if row.fault]:
        lines.append(f"{len(faults)} of {len(rows)} rows cannot be used, such as {faults[0].key}: {faults[0].fault}")
    if alone := sum(not (row.names or row.sound or row.fault) for row in rows):
        lines.append(f"{alone} of {len(rows)} items have no media: they are texts alone")
    if media is None:
        return [*lines, "look for the media too: --media FOLDER"]
    if missing and missing == groups:
        names = ", ".join(dict.fromkeys(rows[0].names)) or str(rows[0].sound)
        lines.append(
            f"none of the media were found among {media.count} files in {media.folder}: they should be named "
            f"{names} (.mp4, .webm, .mkv, ...), in any folder below"
        )
    elif missing:
        lines.append(f"{missing} of {groups} are missing: figures will state it, training skips them")
    if damaged:
        lines.append(f"fetch the {damaged} damaged files again, or leave them: they count as not covered")
    return lines or ["all there: train on it, or evaluate"]
