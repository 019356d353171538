"""A row of an annotation file, whatever the format: one question about one span of one file, with what is wanted.

Readers give `Annotations`; `to_items` makes training items of them, `folders.MediaFolder` finds the files they name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mirasol.data.items import Bad, Item, Listed

from .folders import Beside, MediaFolder

NO_MEDIA = "its media are missing"
NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """`files` are the names under which the media may lie in a folder, likeliest first, with or without a suffix.
    `start` and `end` are seconds of the whole film, which may lie there under one of the names `films`; `files` are
    then names of the span that was cut out of it. Without `films`, `files` are whole films.

    `answers`: any one is right (references), or all are (labels, where `many`); empty: not published.
    `options` are given without their letters, `correct` is the place of the right one.
    """

    key: str  # unique within the file; the official question id where there is one
    media: str  # names the film, for grouping
    files: tuple[str, ...]
    question: str | None
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    correct: int | None = None
    type: str = ""
    split: str | None = None
    start: float | None = None
    end: float | None = None
    films: tuple[str, ...] = ()
    sound: str | None = None  # a sound track in a file of its own
    at: float | None = None  # asked at this second of a stream, when nothing later may have been seen
    many: bool = False
    more: Mapping[str, Any] = field(default_factory=lambda: NOTHING)  # what only this format has
    fault: str = ""  # why it cannot be used, where that is known

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the media may lie."""
        return (*self.files, *self.films)

    @property
    def target(self) -> str:
        """What a model is to say: the first reference, or all labels with commas between."""
        return ", ".join(self.answers) if self.many else next(iter(self.answers), "")


@dataclass(frozen=True)
class Annotations:
    """`labels` is the closed list of answers in the official order, where the format has one. `notes` are lines for
    people: what was not found beside the file, what was left out."""

    format: str
    rows: Sequence[Row]
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def splits(self) -> dict[str, int]:
        return dict(Counter(row.split or "unstated" for row in self.rows))

    def types(self) -> dict[str, int]:
        return dict(Counter(row.type for row in self.rows if row.type))


def distinct(annotations: Annotations) -> Annotations:
    """The same with an id of its own for each row: `#2` is put to the second of two that share one."""
    seen: Counter[str] = Counter()
    rows = []
    for row in annotations.rows:
        seen[row.key] += 1
        rows.append(row if seen[row.key] == 1 else replace(row, key=f"{row.key}#{seen[row.key]}"))
    if not (doubled := [key for key, count in seen.items() if count > 1]):
        return annotations
    note = f"{len(doubled)} ids occur more than once, such as {doubled[0]!r}: later ones are numbered"
    return replace(annotations, rows=tuple(rows), notes=(*annotations.notes, note))


@lru_cache(256)
def split_of(path: Path) -> str | None:
    """From the file's name: `avqa-val.json` -> "val"; None where it says nothing."""
    words = "".join(c if c.isalpha() else " " for c in path.stem.lower()).split()
    for split, names in {"train": ("train",), "val": ("val", "validation", "validate"), "test": ("test",)}.items():
        if any(name in words for name in names):
            return split
    return None


def to_items(annotations: Annotations, folder: MediaFolder | Beside, prompt: str | None = None) -> Listed:
    """One item for each film or span, with all its questions; those put during a film have one that ends at their
    second. Rows whose media are missing, or that have no answer, are skipped and named in `broken`. `prompt` goes with
    texts that stand alone."""
    items = Listed(notes=annotations.notes)
    numbers: dict[tuple[Any, ...], int] = {}  # film, span, sound, second of asking -> place in the list
    several: dict[int, list[tuple[str | None, str]]] = {}  # the pairs of items that have more than one
    for row in annotations.rows:
        place = (row.media, row.start, row.end, row.sound, row.at)
        number, target = numbers.get(place), row.target
        found = folder.find(row) if number is None else None
        why = row.fault or ("" if target.strip() else "it has no answer")
        if why or (number is None and found is None):
            items.broken.append(Bad(row.key, row.media, why or absent(row)))
            continue
        pair = (prompt if row.question is None else row.question, target)
        if number is not None:
            several.setdefault(number, [*items[number].pairs]).append(pair)
            continue
        assert found is not None
        numbers[place] = len(items)
        end, key = found.end if row.at is None else row.at, row.key
        if isinstance(folder, Beside) and found.media is not None:  # a manifest's rows have no ids
            key = f"{found.media}{span_words(found.start, end)}"
        items.append(Item(key, found.media, (pair,), found.start, end, found.sound))
    for number, pairs in several.items():
        items[number] = replace(items[number], pairs=tuple(pairs))
    if any(place[-1] is not None for place in numbers):  # those of one film together
        films = {film: rank for rank, film in enumerate(dict.fromkeys(place[:-1] for place in numbers))}
        items[:] = [items[numbers[place]] for place in sorted(numbers, key=lambda place: films[place[:-1]])]
    return items


def span_words(start: float | None, end: float | None) -> str:
    return "" if start is None and end is None else f"[{start or 0:g}, {'' if end is None else f'{end:g}'})"


def absent(row: Row) -> str:
    """Why the media of a row were not found."""
    return f"{NO_MEDIA}: no file {' or '.join(dict.fromkeys((*row.names, *filter(None, (row.sound,)))))}"


def by_media(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows about one and the same span of one film together, in the order in which they first appear."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.media, row.start, row.end, row.sound), []).append(row)
    yield from groups.values()
