"""How a file is recognised: as one format and no other, and as none where a field is not understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotation_samples import samples

from annotation_files import real_file
from mirasol.data.annotations import FORMATS, read_annotations, recognise
from mirasol.data.annotations.tables import read_table

SAMPLES = samples()
REAL = (
    "activitynet-qa/val_a.json", "activitynet-qa/val_q.json", "epic-sounds/EPIC_Sounds_validation_head.csv",
    "epic-sounds/EPIC_Sounds_recognition_test_timestamps.csv", "music-avqa/avqa-val.json", "next-oe/val.csv",
    "next-qa/val.csv", "vggsound/stat.csv", "vggsound/test_head.csv",
)  # fmt: skip


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_file_is_of_one_format(kind: str, tmp_path: Path) -> None:
    name, text, format = SAMPLES[kind]
    path = written(tmp_path, name, text)
    table = read_table(path)
    assert [one.name for one in FORMATS if one.fits(table)] == [recognise(table).name]
    found = read_annotations(path)
    assert found.format == format
    assert found.rows or found.labels
    for ends, mark in (("\r\n", ""), ("\n", "\ufeff")):  # Windows line ends, a byte order mark
        plain = text.replace("\r\n", "\n")
        assert read_annotations(written(tmp_path, name, mark + plain.replace("\n", ends))) == found


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_of_one_format(name: str) -> None:
    table = read_table(real_file(name))
    assert [one.name for one in FORMATS if one.fits(table)] == [recognise(table).name]


STRANGE = ("options", "distractor_2", "start", "segment_end", "timestamps", "correct_answer_idx", "labels",
           "image_path", "second_video", "is_deleted", "a7")  # fmt: skip


def error_of(path: Path) -> str:
    """The one line that reading ends in, "" where it does not."""
    try:
        read_annotations(path)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", [kind for kind, (_, text, _) in SAMPLES.items() if text[0] == "["])
def test_a_field_that_could_change_the_meaning_is_refused(kind: str, tmp_path: Path) -> None:
    """In the second row alone, too; another field is read past, and named."""
    name, text, format = SAMPLES[kind]
    (row, *_) = json.loads(text)
    for field in STRANGE:
        if field in row or (field == "start" and format in ("llava", "messages", "video-choices")):
            continue
        why = error_of(written(tmp_path, name, json.dumps([row, {**row, field: 3}])))
        assert field in why
        assert "\n" not in why
        if kind == "StreamingBench":  # among the fields of a question, too
            inside = json.dumps([{**row, "questions": [*row["questions"], {**row["questions"][0], field: 3}]}])
            assert field == "options" or field in error_of(written(tmp_path, name, inside))
    found = read_annotations(written(tmp_path, name, json.dumps([{**row, "license": "x"}])))
    assert found.format == format
    assert "fields that are not read: license" in found.notes


WITH_HEADER = [
    kind for kind, (_, text, _) in SAMPLES.items()
    if text[0] not in "[{#-" and "\t" not in text and ".mp4" not in text and len(text.split("\n")[0].split(",")) > 2
]  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in WITH_HEADER if not kind.startswith(("UCF", "Video", "class list"))])
def test_a_column_that_could_change_the_meaning_is_refused(kind: str, tmp_path: Path) -> None:
    name, text, format = SAMPLES[kind]
    lines = text.replace("\r", "").strip("\n").split("\n")
    for field in (*STRANGE, "license"):
        if field in lines[0].split(",") or (field == "start" and format == "questions"):
            continue
        wide = "".join(f"{line},{field if at == 0 else 3}\n" for at, line in enumerate(lines))
        why = error_of(written(tmp_path, name, wide))
        assert (field in why) is (field != "license"), why
        assert "\n" not in why
