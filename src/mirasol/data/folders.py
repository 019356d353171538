"""Bare folders of media: captions beside them (`a.mp4`, `a.txt` or `a.json`), or a folder for each label."""

from __future__ import annotations

from pathlib import Path

from .items import Item
from .shards import PICTURES, SOUNDS, STILLS
from .texts import pairs_in


def folder_items(folder: Path, prompt: str | None = None) -> list[Item]:
    """All media under a folder that have a text. Where not one has a file beside it, the name of the folder in which a
    file lies is its label. A sound beside a picture of the same name is its sound track. `prompt` goes with both."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    by_base: dict[Path, dict[str, Path]] = {}
    for path in files:
        by_base.setdefault(path.with_suffix(""), {})[path.suffix.lower().lstrip(".")] = path
    items, untold = [], []
    for base, endings in by_base.items():
        media = [path for ending, path in endings.items() if ending in PICTURES | STILLS]
        sounds = [path for ending, path in endings.items() if ending in SOUNDS]
        if not media:
            media, sounds = sounds, []
        if not media:
            continue
        text = next((endings[ending] for ending in ("json", "txt", "caption") if ending in endings), None)
        sound = str(sounds[0]) if sounds else None
        if text is None:
            label = base.parent.name.replace("_", " ") if base.parent != folder else ""
            untold.append(Item(str(media[0]), str(media[0]), ((prompt, label),) if label else (), sound=sound))
        else:
            try:
                pairs, fault = pairs_in(str(text), text.read_bytes(), prompt), ""
            except ValueError as error:
                pairs, fault = (), f"{text.name}: {error}"
            items.append(Item(str(media[0]), str(media[0]), pairs, sound=sound, fault=fault))
    items = items or [item for item in untold if item.pairs]
    if not items:
        raise ValueError(
            f"expected media with texts in {folder}, such as a.mp4 beside a.txt, or label/a.mp4; found "
            f"{len(untold)} media files without a text"
        )
    return items
