"""Any data that Mirasol can learn from, by its path."""

from __future__ import annotations

from pathlib import Path

from .folders import folder_items
from .items import Items
from .manifests import manifest_items
from .shards import ShardItems, shard_paths

MANIFESTS = (".jsonl", ".csv", ".tsv", ".ndjson")


def open_items(path: str | Path, prompt: str | None = None) -> Items:
    """The items of a manifest (.jsonl, .csv), of shards (.tar, a pattern of them, or a folder that holds some), or of a
    folder of media. `prompt` is the question that goes with texts which stand alone; None makes them captions.

    `ValueError` with one line for anything else.
    """
    name, place = str(path), Path(path)
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        raise ValueError(f"expected uncompressed shards, found {name}: unpack it (gunzip) first, media gain nothing")
    if place.is_dir():
        shards = shard_paths(name)
        return ShardItems(shards, prompt) if shards else folder_items(place, prompt)
    if name.endswith(".tar"):
        return ShardItems(shard_paths(name), prompt)
    if place.suffix.lower() in MANIFESTS:
        if not place.is_file():
            raise ValueError(f"no manifest {name!r}")
        return manifest_items(place, prompt)
    kinds = f"a manifest ({', '.join(MANIFESTS)}), shards (.tar, such as data-{{000..099}}.tar), or a folder"
    raise ValueError(f"expected {kinds}, found {name!r}" + ("" if place.exists() else ", which is not there"))
