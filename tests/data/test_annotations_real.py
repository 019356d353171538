"""The files as their authors published them: everything is counted again here with nothing but csv and json."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from annotation_files import real_file
from mirasol.data.annotations import read_annotations


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def objects(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("named", ["val_q.json", "val_a.json"])
def test_activitynet_joins_two_lists(named: str) -> None:
    found = read_annotations(real_file(f"activitynet-qa/{named}"))
    questions = {one["question_id"]: one for one in json.loads(real_file("activitynet-qa/val_q.json").read_text())}
    answers = {one["question_id"]: one for one in json.loads(real_file("activitynet-qa/val_a.json").read_text())}
    assert found.format == "activitynet-qa"
    assert len(found.rows) == len(questions) == 18_000
    assert found.splits() == {"val": 18_000}
    for row in found.rows:
        assert row.question == questions[row.key]["question"].strip()
        assert row.answers == (answers[row.key]["answer"].strip(),)
        assert row.files[0] == "v_" + questions[row.key]["video_name"]
    assert Counter(found.types()) == Counter(
        ["motion", "spatial", "temporal", "yes/no", "color", "object", "location", "number", "other"][one["type"]]
        for one in answers.values()
    )
    assert any(row.media.startswith("-") for row in found.rows)


def test_next_qa_options_and_places() -> None:
    path = real_file("next-qa/val.csv")
    found, raw = read_annotations(path), objects(path)
    places = json.loads(real_file("next-qa/map_vid_vidorID.json").read_text())
    assert (found.format, len(found.rows)) == ("next-qa", 4996)
    for row, one in zip(found.rows, raw, strict=True):
        assert row.key == f"{one['video']}_{one['qid']}"
        assert row.options == tuple(one[f"a{at}"].strip() for at in range(5))
        assert row.correct == int(one["answer"])
        assert row.files[0] == places[one["video"]]
    assert found.types() == dict(Counter(one["type"] for one in raw))


def test_next_oe() -> None:
    path = real_file("next-oe/val.csv")
    found, raw = read_annotations(path), objects(path)
    assert (found.format, len(found.rows)) == ("next-oe", 5343)
    assert [row.answers for row in found.rows] == [(one["answer"].strip(),) for one in raw]
    assert found.types() == dict(Counter(one["type"] for one in raw))


def test_music_avqa_fills_every_placeholder() -> None:
    path = real_file("music-avqa/avqa-val.json")
    found, raw = read_annotations(path), json.loads(path.read_text())
    assert (found.format, len(found.rows), len(raw)) == ("music-avqa", 4568, 4568)
    assert [row.answers for row in found.rows] == [(one["anser"].strip(),) for one in raw]
    assert not any("<" in (row.question or "") for row in found.rows)
    assert len({row.answers for row in found.rows}) <= 42
    assert len(found.types()) == 9
    assert [row.media for row in found.rows] == [one["video_id"] for one in raw]


def test_vggsound_commas_and_carriage_returns() -> None:
    path = real_file("vggsound/test_head.csv")
    found, raw, classes = read_annotations(path), lines(path), lines(real_file("vggsound/stat.csv"))
    assert (found.format, len(found.rows)) == ("vggsound", 4799)
    assert b"\r\n" in path.read_bytes()
    assert [row.answers[0] for row in found.rows] == [label for _, label in raw]
    assert found.labels == tuple(sorted(line[0] for line in classes))
    assert len(found.labels) == 309
    assert sum("," in label for label in found.labels) == 23
    assert any(row.key.startswith("-") for row in found.rows)
    assert all(row.end == row.start + 10 for row in found.rows)  # type: ignore[operator]
    stat = read_annotations(real_file("vggsound/stat.csv"))
    assert (stat.format, stat.labels, stat.rows) == ("class-list", found.labels, ())


def test_epic_sounds_times_agree_with_sample_numbers() -> None:
    path = real_file("epic-sounds/EPIC_Sounds_validation_head.csv")
    found, raw = read_annotations(path), objects(path)
    assert (found.format, len(found.rows)) == ("epic-sounds", 2000)
    assert [row.answers[0] for row in found.rows] == [one["class"] for one in raw]
    assert len(found.labels) == len({one["class"] for one in raw})
    for row, one in zip(found.rows, raw, strict=True):
        assert abs(row.start * 24_000 - int(one["start_sample"])) < 1.5  # type: ignore[operator]
        assert abs(row.end * 24_000 - int(one["stop_sample"])) < 1.5  # type: ignore[operator]
    test = read_annotations(real_file("epic-sounds/EPIC_Sounds_recognition_test_timestamps.csv"))
    assert (len(test.rows), test.splits()) == (5131, {"test": 5131})
    assert not any(row.answers for row in test.rows)
