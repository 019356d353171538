"""Sounds and their labels or captions: AudioSet (its own CSV, and the JSON of CAV-MAE and AST), ESC-50, UrbanSound8K,
AudioCaps and Clotho."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from .fields import Form, form
from .folders import SUFFIXES
from .labels import CLIP_SECONDS, HEAR, SEE
from .rows import Annotations, Row, split_of
from .tables import Table, is_whole, list_of, number_of, objects_of, read_table, require, text_of

CODE = re.compile(r"/[a-z]/[0-9a-z_]+")  # of AudioSet's labels: /m/068hy


# -- AudioSet, CSV -----------------------------------------------------------------------------------------------------


def is_audioset_csv(table: Table) -> bool:
    """Id, two seconds, label codes; the names of the columns are in a comment."""
    first = [field.strip() for field in table.lines[0]] if table.lines else []
    return len(first) == 4 and bool(CODE.match(first[3])) and bool(re.fullmatch(r"[\d.]+", first[1]))


AUDIOSET_CSV = (Form(when=is_audioset_csv),)


def read_audioset_csv(table: Table) -> Annotations:
    """Label codes become names where a list `index,mid,display_name` lies beside the file."""
    path, rows, names = table.path, [], _label_names(table.path)
    for film, first, last, codes in ([field.strip() for field in line] for line in table.lines):
        start, end = number_of(first, "start_seconds", path), number_of(last, "end_seconds", path)
        labels = _named(codes.split(","), names, path)
        rows.append(
            Row(f"{film}_{start:g}", film, _cuts(film, start, end), SEE, labels, many=True, split=_audioset_split(path),
                start=start, end=end, films=(film,))
        )  # fmt: skip
    return Annotations("audioset", tuple(rows), _in_order(rows, names), _codes_note(names))


def _audioset_split(path: Path) -> str | None:
    """`eval_segments.csv` is the test set, `balanced_train_segments.csv` says so itself."""
    return "test" if "eval" in path.stem.lower().split("_") else split_of(path)


def _cuts(film: str, start: float, end: float) -> tuple[str, ...]:
    """Names under which a span of a YouTube video is shared, likeliest first."""
    first, last = int(start), int(end)
    return (
        f"{film}_{first:06d}", f"{film}_{first:06d}_{last:06d}", f"{film}_{first}_{last}", f"{film}_{first}",
        f"{film}_{1000 * first}_{1000 * last}", f"Y{film}",
    )  # fmt: skip


def _named(codes: list[Any], names: dict[str, str], path: Path) -> tuple[str, ...]:
    plain = [str(code).strip() for code in codes if str(code).strip()]
    if names and (unknown := [code for code in plain if code not in names]):
        raise ValueError(f"expected label codes of the list beside {path.name}, found {unknown[0]!r}")
    return tuple(names.get(code, code) for code in plain)


def _in_order(rows: list[Row], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(names.values()) or tuple(sorted({label for row in rows for label in row.answers}))


def _codes_note(names: dict[str, str]) -> tuple[str, ...]:
    return () if names else ("no list index,mid,display_name beside it: labels stay codes",)


def _label_names(path: Path) -> dict[str, str]:
    for folder in (path.parent, path.parent.parent):
        for other in sorted(folder.glob("*class_labels_indices*.csv")):
            table = read_table(other)
            for one in table.objects:
                require(("mid", "display_name"), one, other)
            return {one["mid"]: one["display_name"] for one in table.objects}
    return {}


# -- AudioSet, JSON ----------------------------------------------------------------------------------------------------


def _data(table: Table) -> Table:
    data = table.value.get("data") if isinstance(table.value, dict) else None
    return Table(table.path, data if isinstance(data, list) else None)


AUDIOSET_JSON = (form("wav, labels", "video_id, video_path", seen=_data),)


def read_audioset(table: Table) -> Annotations:
    """`{"data": [{"video_id", "wav", "video_path", "labels"}]}`; AST's own files have `wav` and `labels` alone. Label
    codes become names where a list `index,mid,display_name` lies beside the file."""
    path, rows, names = table.path, [], _label_names(table.path)
    for one in objects_of(table.value["data"], "data", path):
        require(("wav", "labels"), one, path)
        sound = text_of(one, "wav", path)
        film = str(one.get("video_id") or PurePosixPath(sound).stem)
        labels = one["labels"]
        codes = labels.split(",") if isinstance(labels, str) else list_of(labels, "labels", path)
        rows.append(
            Row(film, film, _frames(one, film), SEE, _named(codes, names, path), many=True, split=split_of(path),
                sound=sound)
        )  # fmt: skip
    return Annotations("audioset-json", tuple(rows), _in_order(rows, names), _codes_note(names))


def _frames(one: dict[str, Any], film: str) -> tuple[str, ...]:
    """The film itself, else one of the ten frames that CAV-MAE's preparation takes out of it, from the middle on."""
    folder = str(one.get("video_path") or "").rstrip("/")
    if not folder:
        return (film,)
    if folder.lower().endswith(SUFFIXES):
        return (folder, film)
    return tuple(f"{folder}/frame_{number}/{film}.jpg" for number in (5, 4, 6, 3, 7, 2, 8, 1, 9, 0))


# -- ESC-50 and UrbanSound8K -------------------------------------------------------------------------------------------

ESC50 = (form("filename, target, category", "fold, esc10, src_file, take",
              when=lambda table: bool(table.all_fields & {"fold", "esc10"})),)  # fmt: skip
URBANSOUND = (form("slice_file_name, fold, classID, class", "fsID, start, end, salience"),)


def read_esc50(table: Table) -> Annotations:
    """The label is the `category`; `target` is its number."""
    path, rows, order = table.path, [], {}  # type: ignore[var-annotated]
    for one in table.objects:
        name, label = text_of(one, "filename", path), text_of(one, "category", path)
        _settle(order, text_of(one, "target", path), label, path)
        rows.append(Row(name, name, (name,), HEAR, (label,), split=split_of(path), more={"fold": str(one.get("fold"))}))
    return Annotations("esc-50", tuple(rows), tuple(order[number] for number in sorted(order)))


def read_urbansound(table: Table) -> Annotations:
    """Files are slices; `start` and `end` are seconds of the recording `fsID` that they were cut out of."""
    path, rows, order = table.path, [], {}  # type: ignore[var-annotated]
    for one in table.objects:
        name, label, fold = (text_of(one, key, path) for key in ("slice_file_name", "class", "fold"))
        _settle(order, text_of(one, "classID", path), label, path)
        span = [number_of(one[key], key, path) if key in one else None for key in ("start", "end")]
        films = (text_of(one, "fsID", path),) if "fsID" in one and None not in span else ()
        rows.append(
            Row(name, name, (f"fold{fold}/{name}", name), HEAR, (label,), split=split_of(path), start=span[0],
                end=span[1], films=films, more={"fold": fold})
        )  # fmt: skip
    return Annotations("urbansound8k", tuple(rows), tuple(order[number] for number in sorted(order)))


def _settle(order: dict[int, str], number: str, label: str, path: Path) -> None:
    if not is_whole(number) or order.setdefault(int(number), label) != label:
        raise ValueError(f"expected one number for the class {label!r} in {path.name}, found {number!r}")


# -- AudioCaps and Clotho ----------------------------------------------------------------------------------------------

AUDIOCAPS = (form("youtube_id, start_time, caption", "audiocap_id, row number"),)
CLOTHO = (form("file_name, caption_1, caption_2", numbered=r"caption_\d+"),)
CLOTHO_SPLITS = {"development": "train", "validation": "val", "evaluation": "test"}


def read_audiocaps(table: Table) -> Annotations:
    """A row for each caption; clips are of ten seconds."""
    path, rows = table.path, []
    for number, one in enumerate(table.objects):
        film, start = text_of(one, "youtube_id", path), number_of(one.get("start_time"), "start_time", path)
        key = str(one.get("audiocap_id", number))
        rows.append(
            Row(key, film, (*_cuts(film, start, start + CLIP_SECONDS), key), None, (text_of(one, "caption", path),),
                split=split_of(path), start=start, end=start + CLIP_SECONDS, films=(film,))
        )  # fmt: skip
    return Annotations("audiocaps", tuple(rows))


def read_clotho(table: Table) -> Annotations:
    """A row for each of the five captions."""
    path, rows = table.path, []
    split = next((split for word, split in CLOTHO_SPLITS.items() if word in path.stem.lower()), split_of(path))
    for one in table.objects:
        name = text_of(one, "file_name", path)
        captions = {key: text_of(one, key, path) for key in one if re.fullmatch(r"caption_\d+", key)}
        rows += [Row(f"{name}/{key.removeprefix('caption_')}", name, (name,), None, (caption,), split=split)
                 for key, caption in captions.items() if caption]  # fmt: skip
    return Annotations("clotho", tuple(rows))
