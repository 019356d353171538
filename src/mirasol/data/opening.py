"""Any data that Mirasol can learn from, by its path: the one way in for `train`, `prepare` and scores on the way."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path

from mirasol.media.naming import quoted

from .annotations import MediaFolder, format_of, read_annotations, to_items
from .annotations.folders import Beside
from .annotations.formats import MANIFEST
from .annotations.manifests import manifest_rows
from .annotations.rows import NO_MEDIA, Annotations, distinct
from .annotations.tables import read_table
from .folders import folder_items, metadata_files
from .items import Items, Listed
from .order import Mixture
from .shards import ShardItems, shard_paths

MANIFESTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".yaml", ".yml")
KINDS = "a manifest or annotations (.jsonl, .json, .csv, ...), shards (.tar, such as data-{000..099}.tar), or a folder"
SHOWN = 3  # names in a line for people
log = logging.getLogger(__name__)


def open_items(path: str | Path, prompt: str | None = None, media: str | Path | None = None) -> Items:
    """The items of a table (a manifest, or annotations of any format that `data check` knows), of shards (.tar, a
    pattern of them, or a folder that holds some), or of a folder of media.

    prompt  the question that goes with texts which stand alone; None makes them captions
    media   the folder in which the media that a table names are looked for; without it, that of the table

    What is skipped or guessed is logged as a warning. `ValueError` with one line for anything else.
    """
    name, place = str(path), Path(path)
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        raise ValueError(f"expected uncompressed shards, found {name}: unpack it (gunzip) first, media gain nothing")
    shards = shard_paths(name) if os.path.isdir(place) or name.endswith(".tar") else []
    if media is not None and (shards or not os.path.isfile(place)):
        raise ValueError(f"--media goes with a table that names media, found {quoted(name)}")
    items: Items
    if shards:
        items = ShardItems(shards, prompt)
    elif os.path.isdir(place):
        items = of_folder(place, prompt)
    elif os.path.isfile(place):
        items = of_table(place, prompt, media)
    elif place.suffix.lower() in MANIFESTS:
        raise ValueError(f"no manifest {quoted(name)}")
    else:
        raise ValueError(f"expected {KINDS}, found {quoted(name)}, which is not there")
    tell(name, items)
    return items


def of_folder(folder: Path, prompt: str | None) -> Listed:
    """The items that a folder's metadata.csv or metadata.jsonl list, as Hugging Face's do, else its media."""
    tables = metadata_files(folder)
    if not tables:
        return folder_items(folder, prompt)
    found = [of_table(table, prompt, None) for table in tables]
    items = Listed((item for part in found for item in part), (bad for part in found for bad in part.broken))
    items.notes = list(dict.fromkeys(note for part in found for note in part.notes))
    known = {str(place) for item in items for place in (item.media, item.sound) if place is not None}
    unlisted = [path for path in MediaFolder(folder).files if str(path) not in known]
    if unlisted:
        names = ", ".join(path.name for path in unlisted[:SHOWN])
        items.notes.append(f"{len(unlisted)} media files are not listed in {tables[0].name} and skipped: {names}")
    return items


def of_table(path: Path, prompt: str | None, media: str | Path | None) -> Listed:
    """The items of a manifest or an annotation file, with the media found. `ValueError` where none of them are."""
    try:
        table = read_table(path, skip=True)
        format = format_of(table)
        if format is MANIFEST:
            found = manifest_rows(table)
        else:
            found = read_annotations(path) if format is None else distinct(format.read(table))
    except ValueError as error:
        if path.suffix.lower() in MANIFESTS:
            raise
        raise ValueError(
            f"expected {KINDS}, found {quoted(path.name)}: {str(error).partition('. Known')[0]:.120}"
        ) from None
    if format is MANIFEST:
        items = to_items(found, Beside(path, found.rows, media), prompt)
        items.notes[:0] = table.notes
    else:
        folder = MediaFolder(path.parent if media is None else media)
        items = to_items(found, folder, prompt)
        if not items:
            raise ValueError(none_found(path, found, folder, media is None))
    items.broken[:0] = table.broken
    return items


def none_found(path: Path, found: Annotations, folder: MediaFolder, beside: bool) -> str:
    """Why a table of a known format has nothing to learn from."""
    named = [row for row in found.rows if row.names or row.sound]
    if not any(row.answers for row in found.rows):
        return f"nothing in {path.name} has an answer to learn"
    names = ", ".join((*named[0].names, *filter(None, (named[0].sound,)))[:SHOWN]) if named else "media"
    return (
        f"none of the media that {path.name} names are among the {folder.count} media files in {folder.folder}: they "
        f"should be named {names}" + ("; name their folder with --media" if beside else "")
    )


def tell(name: str, items: Items) -> None:
    """Says what was skipped or guessed, once however many processes train."""
    if os.environ.get("RANK", "0") != "0":
        return
    for line in lines_about(items):
        log.warning("%s: %s", name, line)


def lines_about(items: Items) -> list[str]:
    """What people should know of items before they are used."""
    lines = list(getattr(items, "notes", ()))
    if broken := list(getattr(items, "broken", ())):
        few = "; ".join(f"{bad.key}: {bad.reason}" for bad in broken[:SHOWN])
        more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        lines.append(f"{len(broken)} of {len(items) + len(broken)} are skipped: {few}{more}")
    if not isinstance(items, Listed):
        return lines
    there: dict[str, bool] = {}
    for item in items:
        if isinstance(item.media, str) and item.media not in there:
            there[item.media] = os.path.isfile(item.media)
    absent = [item.key for item in items if item.media is None or not there.get(str(item.media), True)]
    missing = [bad.key for bad in broken if NO_MEDIA in bad.reason]
    if count := len(absent) + len(missing):
        alone = sum(item.media is None for item in items)
        what = [f"{alone} are texts alone" if alone else ""]
        lost = [item.key for item in items if item.media is not None and not there.get(str(item.media), True)] + missing
        what.append(f"{len(lost)} name none that is there: {', '.join(lost[:SHOWN])}" if lost else "")
        lines.append(f"{count} of {len(items) + len(broken)} items have no media ({'; '.join(filter(None, what))})")
    return lines


def open_mixture(data: str, seed: int = 0, prompt: str | None = None, media: str | Path | None = None) -> Mixture:
    """What `--data` names, for every recipe: one source, or several with weights (`a.jsonl=0.7,shards=0.2`), whose
    shares then hold exactly. A path that is there is a path, whatever it holds. See `open_items` for the rest."""
    parts = [data] if os.path.exists(data) else re.split(r",(?![^{]*})", data)
    if len(parts) == 1 and (os.path.exists(data) or "=" not in data):
        return Mixture([(open_items(data, prompt, media), 1.0)], seed)
    sources = []
    for part in parts:
        path, equals, words = part.strip().rpartition("=")
        try:
            weight = float(words)
        except ValueError:
            weight = math.nan
        if not equals or not path or not (math.isfinite(weight) and weight > 0):
            raise ValueError(
                f"expected sources with weights above 0, such as a.jsonl=0.7,folder=0.3, found {part.strip()!r}"
            )
        sources.append((open_items(path, prompt, media if os.path.isfile(path) else None), weight))
    return Mixture(sources, seed)
