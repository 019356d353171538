"""Lists of labelled clips: VGGSound, VGGSounder, Kinetics, Kinetics-Sounds, EPIC-SOUNDS. The question is the same for
all clips of a data set and says what kind of label is wanted."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath

from .fields import Form, form
from .folders import SUFFIXES
from .rows import Annotations, Row, split_of
from .tables import Table, beside, clock_seconds, is_whole, number_of, read_table, text_of

HEAR, SEE, DO = "what do you hear?", "what do you see and hear?", "what is being done?"
CLIP_SECONDS = 10.0  # of VGGSound
MOST_CLASSES = 100_000
KINETICS_SECONDS = 10  # of a clip, at most
SAMPLE_RATE = 24_000  # of EPIC-SOUNDS' sample numbers
KINETICS_SOUNDS = (
    "blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing",
    "mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet", "playing drums",
    "playing guitar", "playing harmonica", "playing keyboard", "playing organ", "playing piano", "playing saxophone",
    "playing trombone", "playing trumpet", "playing violin", "playing xylophone", "ripping paper", "shoveling snow",
    "shuffling cards", "singing", "stomping grapes", "tap dancing", "tapping guitar", "tapping pen", "tickling",
)  # fmt: skip
KINETICS_CLIP = re.compile(r"(.{11})_(\d+)(?:_\d+)?")  # `-3Mwkq-7TV4_2`, `--4-0ihtnBU_000058_000068`
FLAGS = ("background_music", "static_image", "voice_over")  # of VGGSounder's films
EPIC = ("annotation_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "start_sample",
        "stop_sample")  # fmt: skip


# -- VGGSound ----------------------------------------------------------------------------------------------------------


VGGSOUND_FILE = re.compile(r".{11}_\d{6}(?:\.\w+)?")  # `---g-f_I2yQ_000001.mp4`


def is_vggsound(table: Table) -> bool:
    """Four columns without a header (id, second, label, split), or two (file, label)."""
    first = [field.strip() for field in table.lines[0]] if table.lines else []
    if len(first) == 4:
        return is_whole(first[1]) and first[3] in ("train", "test")
    return len(first) == 2 and bool(VGGSOUND_FILE.fullmatch(first[0])) and not is_whole(first[1])


VGGSOUND = (Form(when=is_vggsound),)


def read_vggsound(table: Table) -> Annotations:
    rows, path = [], table.path
    for line in table.lines:
        if len(line) == 4:
            film, second, label, split = (field.strip() for field in line)
            if split not in ("train", "test"):
                raise ValueError(f"expected train or test as the split of {film!r} in {path.name}, found {split!r}")
            start = number_of(second, "start second", path)
            key = f"{film}_{int(start):06d}"
        else:
            key, label = PurePosixPath(line[0].strip()).stem, line[1].strip()
            film, _, second = key.rpartition("_")
            if not film or not is_whole(second):
                raise ValueError(f"expected a name such as ---g-f_I2yQ_000001.mp4 in {path.name}, found {line[0]!r}")
            start, split = float(second), split_of(path) or "test"
        rows.append(
            Row(key, key, (key,), HEAR, (label,), split=split, start=start, end=start + CLIP_SECONDS, films=(film,))
        )
    names, notes = _class_names(path)
    labels = names or tuple(sorted({row.answers[0] for row in rows}))
    if names and (unknown := {row.answers[0] for row in rows} - set(names)):
        raise ValueError(f"expected a label of the class list beside {path.name}, found {min(unknown)!r}")
    return Annotations("vggsound", tuple(rows), labels, notes)


def _class_names(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class list: sorted names, as the authors' code numbers them (CAV-MAE's list has another order)."""
    if (stat := beside(path, ("stat.csv",))) is None:
        return (), ("no stat.csv beside it: the classes are those that occur",)
    return tuple(sorted(line[0] for line in read_table(stat).lines)), ()


def is_class_list(table: Table) -> bool:
    """VGGSound's three columns: class, count, group."""
    first = [field.strip() for field in table.lines[0]] if table.lines else []
    if len(first) != 3 or not is_whole(first[1]) or is_whole(first[2]):
        return False
    return "/" not in first[0] and not first[0].lower().endswith(SUFFIXES)


CLASS_LIST = (form("index, mid, display_name"), Form(when=is_class_list))


def read_class_list(table: Table) -> Annotations:
    """VGGSound's `stat.csv`, or a list `index,mid,display_name`: labels, no rows."""
    if table.header and "display_name" in table.header:
        return Annotations("class-list", (), tuple(one["display_name"] for one in table.objects))
    return Annotations("class-list", (), tuple(sorted(line[0] for line in table.lines)))


# -- VGGSounder --------------------------------------------------------------------------------------------------------


VGGSOUNDER = (form("video_id, label, modality", ", ".join(FLAGS)),)


def read_vggsounder(table: Table) -> Annotations:
    """Many lines a film: one row, with all its labels; `more["modality"]` is label -> A, V or AV."""
    path, films = table.path, defaultdict(dict)  # type: ignore[var-annotated]
    flags: dict[str, dict[str, bool]] = {}
    for one in table.objects:
        film, modality = text_of(one, "video_id", path), one["modality"].strip()
        if modality not in ("A", "V", "AV"):
            raise ValueError(f"expected the modality A, V or AV in {path.name}, found {modality!r} for {film!r}")
        films[film][text_of(one, "label", path)] = modality
        flags[film] = {flag: one[flag].strip().lower() == "true" for flag in FLAGS if flag in one}
    rows = []
    for film, labels in films.items():
        youtube, _, second = film.rpartition("_")
        start = float(second) if youtube and is_whole(second) else None
        rows.append(
            Row(film, film, (film,), SEE, tuple(labels), split="test", many=True, start=start,
                end=None if start is None else start + CLIP_SECONDS, films=(youtube,) if start is not None else (),
                more={"modality": labels, **flags[film]})
        )  # fmt: skip
    names, _ = _class_names(path)
    seen = tuple(sorted({label for labels in films.values() for label in labels}))
    return Annotations("vggsounder", tuple(rows), names or seen)


# -- Kinetics ----------------------------------------------------------------------------------------------------------


KINETICS = (form("youtube_id, time_start, time_end", "label, split, is_cc"),)


def read_kinetics(table: Table) -> Annotations:
    """Kinetics-400 (`is_cc`), -600 and -700; the test lists may have no labels."""
    path, rows = table.path, []
    for one in table.objects:
        film = text_of(one, "youtube_id", path)
        start, end = (number_of(one[name], name, path) for name in ("time_start", "time_end"))
        key, label = f"{film}_{int(start):06d}_{int(end):06d}", one.get("label", "").strip()
        split = one.get("split", "").strip() or split_of(path)
        split = "val" if split in ("validate", "validation") else split
        rows.append(
            Row(key, key, (key,), DO, (label,) if label else (), split=split, start=start, end=end, films=(film,))
        )
    labels = tuple(sorted({row.answers[0] for row in rows if row.answers}))
    return Annotations(_kinetics(table, len(labels)), tuple(rows), labels)


def _kinetics(table: Table, labels: int) -> str:
    """Which Kinetics: Kinetics-400 alone has `is_cc`. Else by the name of the file or of a folder above it, where one
    says it; else by the number of labels. The test lists have neither."""
    if "is_cc" in table.fields:
        return "kinetics-400"
    for part in reversed(table.path.parts[-3:]):
        if stated := re.search(r"(?<!\d)([467])00(?!\d)", part):
            return f"kinetics-{stated[1]}00"
    return "kinetics-600" if 400 < labels <= 600 else "kinetics-700"


def is_kinetics_sounds(table: Table) -> bool:
    """Names of clips of YouTube videos with their seconds, of which there are at most ten, and a number."""
    first = [field.strip() for field in table.lines[0]] if table.lines else []
    if len(first) != 3 or not (is_whole(first[1]) and is_whole(first[2])):
        return False
    return bool(KINETICS_CLIP.fullmatch(first[0])) and int(first[1]) <= KINETICS_SECONDS


KINETICS_SOUNDS_LIST = (Form(when=is_kinetics_sounds),)


def read_kinetics_sounds(table: Table) -> Annotations:
    """Name, seconds and class number of clips. The names of the classes are those of `KINETICS_SOUNDS`, where the
    numbers fit that list of 31; lists of 32 and 34 classes go round as well, and their labels stay numbers."""
    path, found = table.path, []
    for line in table.lines:
        name, seconds, number = (field.strip() for field in line)
        if not is_whole(number) or int(number) >= MOST_CLASSES:
            raise ValueError(
                f"expected a class number below {MOST_CLASSES:,} in the third field of {path.name}, found {number:.40}"
            )
        found.append((name, number_of(seconds, "seconds", path), int(number)))
    fits = max(number for _, _, number in found) < len(KINETICS_SOUNDS)
    names = KINETICS_SOUNDS if fits else tuple(str(n) for n in range(max(n for _, _, n in found) + 1))
    rows = []
    for name, length, place in found:
        row = Row(name, name, (name,), DO, (names[place],), split=split_of(path))
        if clip := KINETICS_CLIP.fullmatch(name):
            start = float(clip[2])
            key = f"{clip[1]}_{int(start):06d}_{int(start + length):06d}"
            files = tuple(dict.fromkeys((name, key)))
            row = replace(row, files=files, start=start, end=start + length, films=(clip[1],))
        rows.append(row)
    note = (
        f"class numbers are taken as places in the alphabetical list of {len(KINETICS_SOUNDS)} classes"
        if fits
        else f"{len(names)} class numbers do not fit the list of {len(KINETICS_SOUNDS)} classes: labels are numbers"
    )
    return Annotations("kinetics-sounds", tuple(rows), names, (note,))


# -- EPIC-SOUNDS -------------------------------------------------------------------------------------------------------


EPIC_SOUNDS = (form(", ".join(EPIC), "description, class, class_id"),)


def read_epic(table: Table) -> Annotations:
    """The test list has no labels; events that were not categorised have a description alone."""
    path, rows = table.path, []
    order: dict[int, str] = {}
    for one in table.objects:
        film, person = text_of(one, "video_id", path), text_of(one, "participant_id", path)
        start, end = (clock_seconds(one[name], name, path) for name in ("start_timestamp", "stop_timestamp"))
        label = one.get("class", "").strip()
        if label:
            place = one.get("class_id", "")
            if not is_whole(place) or order.setdefault(int(place), label) != label:
                raise ValueError(f"expected one 'class_id' for the class {label!r} in {path.name}, found {place!r}")
        more = {"description": one["description"]} if one.get("description") else {}
        rows.append(
            Row(text_of(one, "annotation_id", path), film, (), HEAR, (label,) if label else (), split=split_of(path),
                start=start, end=end, films=(f"{person}/videos/{film}", f"{person}/{film}", film), more=more)
        )  # fmt: skip
    return Annotations("epic-sounds", tuple(rows), tuple(order[number] for number in sorted(order)))
