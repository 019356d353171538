"""Bare folders of media: captions beside them (`a.mp4`, `a.txt` or `a.json`), or a folder for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .endings import PICTURES, SOUNDS, STILLS, ending_of_name
from .items import Bad, Item, Listed
from .texts import pairs_in

TEXTS = ("json", "txt", "caption")  # the first that is there counts
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # of Hugging Face's folders


def metadata_files(folder: Path) -> list[Path]:
    """The tables that list the media of a folder, or of folders below it."""
    return sorted(path for path in folder.rglob("metadata.*") if path.name.lower() in METADATA and path.is_file())


def folder_items(folder: Path, prompt: str | None = None) -> Listed:
    """All media under a folder that have a text. Where not one has a file beside it, the name of the folder in which a
    file lies is its label. A sound beside a picture of the same name is its sound track. `prompt` goes with both. What
    is skipped is in `broken` (media), or counted in `notes` (other files)."""
    files = sorted(path for path in folder.rglob("*") if not path.name.startswith(".") and path.is_file())
    by_base: dict[Path, dict[str, Path]] = {}
    for path in files:
        by_base.setdefault(path.with_suffix(""), {})[ending_of_name(path.name)] = path
    told, untold = Listed(), []
    for base, endings in by_base.items():
        media = [path for kind in (PICTURES, STILLS) for ending, path in endings.items() if ending in kind]
        sounds = [path for ending, path in endings.items() if ending in SOUNDS]
        if not media:
            media, sounds = sounds[:1], sounds[1:]
            doubled, sound = sounds, None
        else:
            doubled, sound = [*media[1:], *sounds[1:]], str(sounds[0]) if sounds else None
        if not media:
            continue
        told.broken += [Bad(str(path), str(path), f"it lies beside {media[0].name}, which counts") for path in doubled]
        text = next((endings[ending] for ending in TEXTS if ending in endings), None)
        if text is None:
            label = base.parent.name.replace("_", " ") if base.parent != folder else ""
            untold.append(Item(str(media[0]), str(media[0]), ((prompt, label),) if label else (), sound=sound))
        else:
            try:
                pairs, fault = pairs_in(str(text), text.read_bytes(), prompt), ""
            except ValueError as error:
                pairs, fault = (), f"{text.name}: {error}"
            told.append(Item(str(media[0]), str(media[0]), pairs, sound=sound, fault=fault))
    told.notes = other_files(files)
    if not told:
        told.extend(item for item in untold if item.pairs)
        untold = [item for item in untold if not item.pairs]
    told.broken += [Bad(item.key, item.key, "it has no text beside it (.txt or .json)") for item in untold]
    if not told:
        raise ValueError(
            f"expected media with texts in {folder}, such as a.mp4 beside a.txt, or label/a.mp4; found "
            f"{len(untold)} media files without a text" + "".join(f"; {note}" for note in told.notes)
        )
    return told


def other_files(files: Iterable[Path]) -> list[str]:
    """A line that counts what is neither media nor text, by ending."""
    known = {*PICTURES, *STILLS, *SOUNDS, *TEXTS}
    others = Counter(f".{ending}" if (ending := ending_of_name(path.name)) else path.name for path in files
                     if ending_of_name(path.name) not in known)  # fmt: skip
    if not others:
        return []
    few = ", ".join(f"{name} ({count})" for name, count in others.most_common(8))
    return [f"{sum(others.values())} files are neither media nor texts that are known, and skipped: {few}"]
