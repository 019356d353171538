"""Lists of clips and classes without a header: UCF101, HMDB51, VideoMAE and the like.

UCF101     `Archery/v_Archery_g01_c01.avi 3`, of the test lists without a number; names in `classInd.txt`
HMDB51     `April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1` in `brush_hair_test_split1.txt`; 1 learn, 2 test, 0 neither
VideoMAE   `clips/0001.mp4 3`, or with a comma, or with the number of frames between; names in `labels.csv` and others
any        `clips/0001.mp4,a dog barks`
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .fields import Form
from .folders import SUFFIXES
from .labels import DO, KINETICS_CLIP, KINETICS_SECONDS, VGGSOUND_FILE
from .rows import Annotations, Row, split_of
from .tables import Table, beside, is_whole, read_table

LOOK = 50  # lines that are looked at
UCF101_CLIP = re.compile(r"v_(\w+?)_g\d+_c\d+")
HMDB51_LIST = re.compile(r"(.+)_test_split\d")
LIST_NAME = re.compile(r"(train|val|test)list")
HMDB51_SPLIT = {"0": None, "1": "train", "2": "test"}
CLASS_NAMES = ("classInd.txt", "label_map.txt", "labels.csv", "label_map.csv", "classes.txt")


def is_clip_list(table: Table) -> bool:
    """Paths alone, or with a class, or with a number of frames and a class."""
    lines = [[field.strip() for field in line] for line in table.lines[:LOOK]]
    if not lines or not 1 <= len(lines[0]) <= 3 or not all(_is_clip(line[0]) for line in lines):
        return False
    if len(lines[0]) == 1:
        return all(_class_by_path(line[0]) for line in lines)
    if len(lines[0]) == 2:  # VGGSound's test list is of names of a kind of its own
        return not VGGSOUND_FILE.fullmatch(lines[0][0]) or is_whole(lines[0][1])
    numbers = is_whole(lines[0][1]) and is_whole(lines[0][2])
    of_kinetics = numbers and KINETICS_CLIP.fullmatch(lines[0][0]) and int(lines[0][1]) <= KINETICS_SECONDS
    return is_whole(lines[0][1]) and not of_kinetics


CLIP_LIST = (Form(when=is_clip_list),)


def _is_clip(name: str) -> bool:
    """A path, a file of media, or a name as UCF101 has them."""
    plain = bool(name) and "://" not in name
    return plain and (
        "/" in name or name.lower().endswith(SUFFIXES) or bool(UCF101_CLIP.fullmatch(name)) or _is_id(name)
    )


def _is_id(name: str) -> bool:
    return bool(re.fullmatch(r"[\w-]{11}_\d+(_\d+)?", name))


def _class_by_path(name: str) -> str | None:
    """`Archery/v_Archery_g01_c01.avi` -> Archery"""
    match = UCF101_CLIP.match(PurePosixPath(name).name)
    return match[1] if match else None


def read_clip_list(table: Table) -> Annotations:
    path = table.path
    lines = [[field.strip() for field in line] for line in table.lines]
    if (
        len(lines[0]) == 2
        and (hmdb := HMDB51_LIST.fullmatch(path.stem))
        and {line[1] for line in lines} <= {"0", "1", "2"}
    ):
        return _hmdb51(lines, hmdb[1])
    labels, notes = _labels(lines, path)
    named = LIST_NAME.match(path.stem.lower())  # `trainlist01.txt`
    split = named[1] if named else split_of(path)
    rows = tuple(
        Row(line[0], line[0], (line[0],), DO, (label,), split=split) for line, label in zip(lines, labels, strict=True)
    )
    if len(lines[0]) == 3:
        notes += ("the second column is taken as the number of frames and not read",)
    ucf = all(_class_by_path(line[0]) for line in lines)
    return Annotations("ucf101" if ucf else "clip-list", rows, tuple(sorted(set(labels), key=_place)), notes)


def _place(label: str) -> tuple[int, str]:
    return (int(label), "") if is_whole(label) and len(label) < 9 else (0, label)


def _hmdb51(lines: list[list[str]], label: str) -> Annotations:
    """The class is the name of the list; clips marked 0 belong to no split of it."""
    rows = tuple(
        Row(name, name, (f"{label}/{name}", name), DO, (label,), split=HMDB51_SPLIT[mark])
        for name, mark in lines if mark != "0"
    )  # fmt: skip
    neither = len(lines) - len(rows)
    notes = (
        (f"skipped {neither} clips marked 0, which are neither of the training nor of the test set",) if neither else ()
    )
    return Annotations("hmdb51", rows, (label,), notes)


def _labels(lines: list[list[str]], path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The label of each line: words as they stand; of a number the name in a list beside the file, else the class in
    the names of the clips or of their folders, else the number."""
    if len(lines[0]) == 1 or all(_class_by_path(line[0]) for line in lines):
        return [str(_class_by_path(line[0])) for line in lines], ()
    told = [line[-1] for line in lines]
    if not all(is_whole(label) for label in told):
        return told, ()
    if names := _class_names(path):
        if unknown := [number for number in told if int(number) not in names]:
            raise ValueError(f"expected class numbers of the list beside {path.name}, found {unknown[0]}")
        return [names[int(number)] for number in told], ()
    folders = [PurePosixPath(line[0]).parent.name for line in lines]
    pairs = set(zip(told, folders, strict=True))
    if len(pairs) == len(set(told)) == len(set(folders)) > 1:
        return folders, ("the classes are the folders of the clips, which agree with the numbers",)
    lists = ", ".join(CLASS_NAMES)
    return told, (f"no names of the classes: labels are numbers; a list beside it ({lists}) would name them",)


def _class_names(path: Path) -> dict[int, str]:
    """`1 ApplyEyeMakeup` (UCF101), `id,name` (Kinetics), or a name a line, counted from 0."""
    if (other := beside(path, CLASS_NAMES)) is None:
        return {}
    lines = [[field.strip() for field in line] for line in read_table(other).lines]
    if lines and len(lines[0]) == 1:
        spaced = [re.fullmatch(r"(\d+) +(.+)", line[0]) for line in lines]
        if all(spaced):
            return {int(match[1]): match[2] for match in spaced if match is not None}
        return dict(enumerate(line[0] for line in lines))
    if lines and len(lines[0]) == 2:
        return {int(number): name for number, name in lines if is_whole(number)}
    raise ValueError(f"expected the names of classes in {other}, a line each or with numbers before them")
