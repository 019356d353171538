"""Manifests: a row for each thing to learn, in a table of nobody's data set in particular.

    {"file": "a.mp4", "start": 3.5, "end": 9, "prompt": "what do you hear?", "target": "a dog"}

Columns go by the names that people use (see `FILES` and `texts`), metadata.csv of Hugging Face's folders included. A
table with a column that is not understood and could change what a row means is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mirasol.data.endings import is_media_name
from mirasol.data.texts import (
    LISTS,
    NUMBERED,
    PROMPTS,
    TARGETS,
    Pairs,
    first_of,
    names_in,
    pairs_of,
    plain_names,
    squashed,
)  # fmt: skip

from .choices import place_of, unletter
from .fields import LETTERED_OPTION, meaningful, words_of
from .lines import Again
from .rows import NO_MEDIA, Annotations, Row, span_words, split_of
from .tables import Table, clock_seconds, list_of

NAME = "a manifest"
FILES = names_in(
    """
    file filename filepath video videofile videofilename videopath videofilepath videoname media mediafile mediapath
    clip clipfile clippath clipname film movie path image imagefile imagefilename imagepath picture photo img imgpath
    """
)
STILL = ("image", "img", "picture", "photo")
SOUNDS = names_in(
    """
    sound audio audiofile audiofilename audiopath audiofilepath audioname soundfile soundpath wav wavfile wavpath
    wavfilename speech
    """
)
IDS = ("videoid", "youtubeid", "ytid", "clipid", "audioid", "soundid", "imageid", "filmid")  # names without an ending
STARTS = ("start", "begin", "starttime", "startseconds", "startsec", "starts", "timestart", "onset", "offset")
ENDS = ("end", "stop", "endtime", "endseconds", "endsec", "ends", "timeend", "stoptime")
DURATIONS = ("duration",)  # the length of the span, where a start stands beside it and no end
OPTIONS = ("options", "choices", "candidates")
NUMBERS = ("labelid", "classid", "categoryid", "targetid", "labelindex", "classindex", "classnumber")  # of words
KNOWN = {*FILES, *SOUNDS, *IDS, *STARTS, *ENDS, *OPTIONS, *NUMBERS, *PROMPTS, *TARGETS, *LISTS}
LIKE_MEDIA = {"file", "filename", "filepath", "path", "video", "audio", "image", "media", "clip", "wav", "url", "film",
              "movie", "sound", "youtube", "picture", "photo", "recording", "track"}  # fmt: skip
NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
MOSTLY = 0.9  # share of the cells that are names of media files, in a column that is taken for them
ROW_NUMBER = "row number"  # the column that pandas writes; see `tables`


@dataclass
class Columns:
    """The columns of a table by their squashed names, and what each is for."""

    table: Table
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """By squashed names; made again each time, for long tables."""
        return map(plain_names, self.table.objects)

    @cached_property
    def names(self) -> dict[str, str]:
        """Squashed name -> the name as it stands."""
        return {squashed(str(name)): str(name) for name in sorted(self.table.all_fields, key=str) if name != ROW_NUMBER}

    @cached_property
    def lettered(self) -> list[str]:
        """Options in columns of their own (`option_a`, `a0`), in their order."""
        return sorted(squashed(name) for name in self.names.values() if LETTERED_OPTION.fullmatch(name))

    @cached_property
    def guessed(self) -> str:
        """A column of another name whose cells are names of media files; an empty text without one."""
        if set(self.names) & {*FILES, *SOUNDS}:
            return ""
        for name in sorted(set(self.names) - KNOWN):
            cells = [row[name] for row in self.rows if row.get(name) not in (None, "")]
            if cells and sum(isinstance(one, str) and is_media_name(one) for one in cells) >= MOSTLY * len(cells):
                return name
        return ""

    @cached_property
    def media(self) -> tuple[str, ...]:
        """Those that name media, the likeliest first."""
        found = tuple(name for name in (*FILES, *SOUNDS, *IDS) if name in self.names)
        return found or ((self.guessed,) if self.guessed else ())

    @cached_property
    def like_media(self) -> list[str]:
        """Those that look as if they named media, and are not understood."""
        return [
            full
            for name, full in self.names.items()
            if name not in KNOWN and not NUMBERED.fullmatch(name) and set(words_of(full)) & LIKE_MEDIA
        ]  # fmt: skip

    @cached_property
    def numbers(self) -> set[str]:
        """Targets that are numbers of classes, where a column of media has another target in words beside them."""
        targets = [name for name in TARGETS if name in self.names]
        if len(targets) < 2 or not self.media or set(self.names) & {*PROMPTS, *OPTIONS}:
            return set()
        numeric = {name for name in targets if self._all_numbers(name)}
        return numeric if len(numeric) < len(targets) else set()

    def _all_numbers(self, name: str) -> bool:
        cells = [row[name] for row in self.rows if row.get(name) not in (None, "")]
        return all(not isinstance(one, bool) and NUMBER.fullmatch(str(one).strip()) for one in cells)

    @property
    def strange(self) -> list[str]:
        """Those that are not understood and could change what a row means."""
        known = {full for name, full in self.names.items()
                 if name in KNOWN or name == self.guessed or name in self.lettered or NUMBERED.fullmatch(name)
                 or (name in DURATIONS)}  # fmt: skip
        found = meaningful(self.names.values(), known)
        options = [self.names[name] for name in OPTIONS if name in self.names]
        if len(options) + bool(self.lettered) > 1 or len(self.lettered) == 1:  # which are they?
            found += [*options, *(self.names[name] for name in self.lettered)]
        if "labels" in self.names and set(self.names) & set(TARGETS):  # which is wanted?
            found.append(self.names["labels"])
        stills = [name for name in self.media if name.startswith(STILL) and name in FILES]
        if stills and any(
            name not in SOUNDS and not name.startswith(STILL) for name in self.media
        ):  # a film and a picture
            found += [self.names[name] for name in stills]
        return found if self.media else [name for name in found if name not in self.like_media]

    @property
    def has_texts(self) -> bool:
        return bool(set(self.names) & {*TARGETS, *LISTS}) or any(map(NUMBERED.fullmatch, self.names))


def fits(table: Table) -> bool:
    """Whether it is a manifest: rows with texts or media, and no column that could change what they mean."""
    if not table.objects:
        return False
    columns = Columns(table)
    return bool(columns.has_texts or columns.media) and not columns.strange


def read_manifest(table: Table) -> Annotations:
    """A row for each text, with a key of its own. What is wrong with a row is its `fault`; `ValueError` where no row
    can be used."""
    found = manifest_rows(table)
    seen: dict[tuple[Any, ...], int] = {}
    rows = []
    for row in found.rows:
        place = (row.files, row.start, row.end, row.sound)
        seen[place] = count = seen.get(place, 0) + 1
        rows.append(row if count == 1 or not row.files else replace(row, key=f"{row.key}#{count}"))
    return replace(found, rows=tuple(rows))


def manifest_rows(table: Table) -> Annotations:
    """The same with rows that are made again each time they are gone through, for long tables; several of one place
    share a key."""
    columns, path = Columns(table), table.path
    if not columns.media and columns.like_media:
        raise ValueError(
            f"no row of {path.name} has media, although {', '.join(columns.like_media[:4])} looks like it: expected a "
            "column file, video, audio, image, file_name, path or video_id"
        )
    if columns.media and all(first_of(row, columns.media) is None for row in columns.rows):
        names = ", ".join(columns.names[name] for name in columns.media)
        raise ValueError(f"no row of {path.name} has media: {names} is empty in every row")

    def rows() -> Iterator[Row]:
        for number, one in enumerate(columns.rows, 1):
            yield from _rows(one, f"row {number}", columns, path)

    if all(row.fault for row in rows()):
        first = next(rows())
        raise ValueError(f"{path}, {first.fault if first.files else f'row 1: {first.fault}'}")
    return Annotations("manifest", Again(rows), notes=tuple(_notes(columns)))


def _rows(one: Mapping[str, Any], where: str, columns: Columns, path: Path) -> list[Row]:
    """The rows of one line of the table: as many as it has texts, one with a fault where it cannot be used."""
    file, sound = first_of(one, (*FILES, columns.guessed)), first_of(one, SOUNDS)
    if file is None:
        file, sound = (first_of(one, IDS), None) if sound is None else (sound, None)
    files = () if file is None else (str(file).strip(),)
    key, start, end, fault = f"{path.name}, {where}", None, None, ""
    pairs: Pairs = ()
    try:
        if not isinstance(file, str | int | None) or isinstance(file, bool) or not isinstance(sound, str | None):
            files, sound = (), None
            raise ValueError(f"expected media as a path, found {file!r:.60}")
        start, end = _span(one)
        if files:
            key = files[0] + span_words(start, end)
        elif columns.media:  # rows of texts alone belong into a table of their own
            empty = [columns.names[name] for name in columns.media if name in one]
            what = f"its {empty[0]} is empty" if empty else f"it has no {columns.names[columns.media[0]]}"
            raise ValueError(f"{NO_MEDIA}: {what}")
        pairs = _pairs(one, columns, path)
        if not pairs or not all(target for _, target in pairs):
            raise ValueError("it has an empty text" if pairs else "it has no text")
    except ValueError as error:
        pairs, fault = ((None, ""),), f"{where}: {error}" if files else str(error)  # without files it is in the key
    return [
        Row(key, files[0] if files else where, files, asked, (target,) if target else (), split=split_of(path),
            start=start, end=end, sound=sound, fault=fault)
        for asked, target in pairs
    ]  # fmt: skip


def _span(one: Mapping[str, Any]) -> tuple[float | None, float | None]:
    start, end = _seconds(one, STARTS), _seconds(one, ENDS)
    if start is not None and end is None and (length := _seconds(one, DURATIONS)) is not None:
        end = start + length
    if (start is not None and start < 0) or (end is not None and not (start or 0.0) < end):
        raise ValueError(
            f"expected 0 <= start < end, found {start or 0:g} and {'nothing' if end is None else f'{end:g}'}"
        )
    return start, end


def _seconds(one: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """A time in a row, in seconds or as 0:05; None where it is not there."""
    value = first_of(one, names)
    try:
        return None if value is None else clock_seconds(str(value), names[0], Path())
    except ValueError:
        raise ValueError(f"expected {names[0]} in seconds, found {value!r:.60}") from None


def _pairs(one: Mapping[str, Any], columns: Columns, path: Path) -> Pairs:
    """What is asked and wanted; with options the words of the right one."""
    options = first_of(one, OPTIONS)
    if options is None and columns.lettered:
        options = [one[name] for name in columns.lettered if one.get(name) not in (None, "")]
    if not options:
        return pairs_of({name: value for name, value in one.items() if name not in columns.numbers})
    texts, letters = unletter([str(option) for option in list_of(options, "options", path)])
    right = first_of(one, TARGETS)
    if isinstance(right, str) and re.fullmatch(r"[a-z]", right.strip()) and right.strip() not in texts:
        right = right.strip().upper()
    place = place_of(right, texts, path, letters)
    if place is None:
        raise ValueError("its answer is empty")
    asked = first_of(one, PROMPTS)
    return ((None if asked is None else str(asked).strip(), texts[place]),)


def _notes(columns: Columns) -> list[str]:
    names, notes = columns.names, []
    if columns.guessed:
        notes.append(f"the column {names[columns.guessed]!r} is taken for the media")
    if columns.numbers:
        notes.append(
            f"{', '.join(sorted(names[name] for name in columns.numbers))}: numbers; the words beside them count"
        )
    if (media := set(columns.media) & set(FILES)) and len(media) > 1:
        first, *others = (names[name] for name in columns.media if name in FILES)
        notes.append(f"several columns of media: {first} counts, before {', '.join(others)}")
    read = {*columns.media, *STARTS, *ENDS, *DURATIONS, *PROMPTS, *TARGETS, *LISTS, *OPTIONS, *columns.lettered}
    if unread := [full for name, full in names.items() if name not in read and not NUMBERED.fullmatch(name)]:
        notes.append(f"columns that are not read: {', '.join(unread[:8])}{' and more' if len(unread) > 8 else ''}")
    return notes
