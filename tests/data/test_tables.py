"""Annotation files that are not in order, and tables in other clothes: one line, or the same rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mirasol.data.annotations import read_annotations
from mirasol.data.annotations.tables import read_table

ROW = {"answer": "couch", "category_id": 14, "id": 1, "question": "what is it?", "video_id": 6513}
TEXT = json.dumps(ROW)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.json", f'[{TEXT[:-1]}, "answer": "bed"}}]', "'answer' stands twice"),
        ("a.jsonl", f'{TEXT}\n{TEXT[:-1]}, "id": 2}}\n', "'id' stands twice in one object, in line 2"),
        ("a.json", f'[{TEXT[:-1]}, "start": NaN}}]', "NaN is no value of JSON"),
        ("a.json", f'[{TEXT[:-1]}, "x": -Infinity}}]', "-Infinity is no value"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.json", '{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deep"),
        ("a.json", f'[{TEXT[:-1]}, "x": {"9" * 5000}}}]', "thousands of digits"),
        ("a.json", f'[{TEXT[:-1]}, "x": "\\ud800"}}]', "half of a character"),
        ("a.jsonl", f"{TEXT}\n[{TEXT}\n", "line 2"),
        ("a.json", TEXT.encode("utf-16"), "UTF-16"),
        ("a.json", b"\x80abc", "UTF-8"),
        ("a.json", "[]", "an empty list"),
        ("a.json", "7", "is no JSON"),
        ("a.json", '{"a": 1}', "no known format"),
        ("a.csv", "video,text\na.mp4," + "x" * 200_000 + "\n", "a field of more than 131,072 characters"),
        ("a.csv", 'video,text\na.mp4,"open\n', "no CSV"),
        ("a.parquet", "PAR1 and nothing more", "no whole parquet file"),
        ("a.csv", "gif_name\tquestion\tanswer\tvid_id\nx\ty\n", "expected 4 fields in row 2"),
    ],
)  # fmt: skip
def test_one_line_for_what_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, line: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=line) as error:
        read_annotations(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 2000


def test_files_beside_are_read_as_carefully(tmp_path: Path) -> None:
    head = "video,frame_count,width,height,question,answer,qid,type\n"
    (tmp_path / "val.csv").write_text(head + "57,1,2,3,where,house,2,DL\n")
    for content in ("[1, 2]", '{"57": NaN}', "[" * 9999, ""):
        (tmp_path / "map_vid_vidorID.json").write_text(content)
        with pytest.raises(ValueError, match="map_vid_vidorID"):
            read_annotations(tmp_path / "val.csv")


def test_line_ends_within_texts_do_not_end_lines(tmp_path: Path) -> None:
    rows = [{**ROW, "id": at, "question": f"what{mark}is it?"} for at, mark in enumerate("\u2028\u0085\x0b")]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows[:2]).encode())
    assert [row.question for row in read_annotations(tmp_path / "a.jsonl").rows] == [
        one["question"] for one in rows[:2]
    ]


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_columns_are_parted_by_what_parts_the_header(tmp_path: Path, mark: str) -> None:
    """Also with the column of row numbers that pandas writes, and with a mark in quotes."""
    lines = [
        ["question", "answer", "category_id", "video_id", "id"],
        ["what is it?", f'"couch{mark} red"', "14", "6513", "1"],
    ]
    for first in ([], ["", "0"]):
        text = "\n".join(mark.join([*first[at : at + 1], *line]) for at, line in enumerate(lines)) + "\n"
        (tmp_path / "t.csv").write_text(text)
        (row,) = read_annotations(tmp_path / "t.csv").rows
        assert (row.question, row.answers, row.files[0]) == ("what is it?", (f"couch{mark} red",), "video6513")


# -- parquet -----------------------------------------------------------------------------------------------------------


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(rows), path)
    return path


def test_parquet_is_the_same_table(tmp_path: Path) -> None:
    rows = [
        {"video": 4010069381 + at, "frame_count": 369, "width": 640, "height": 480, "question": "who?", "answer": at,
         "qid": at, "type": "CH", **{f"a{place}": f"option {place}" for place in range(5)}} for at in range(3)
    ]  # fmt: skip
    lines = "\n".join(",".join(map(str, one)) for one in (rows[0], *(row.values() for row in rows)))
    (tmp_path / "test.csv").write_text(lines + "\n")
    assert read_annotations(parquet(tmp_path / "test.parquet", rows)) == read_annotations(tmp_path / "test.csv")
    (tmp_path / "test-00000").write_bytes((tmp_path / "test.parquet").read_bytes())  # known by what it holds
    assert read_table(tmp_path / "test-00000").objects == rows


def test_media_inside_parquet_are_named_and_not_read(tmp_path: Path) -> None:
    media = {"bytes": b"RIFF" * 9, "path": "clips/a.wav"}
    rows = [
        {"filename": "a.wav", "fold": 1, "target": 0, "category": "dog", "esc10": True, "audio": media, "raw": b"x"}
    ]
    table = read_table(parquet(tmp_path / "t.parquet", rows))
    assert table.objects[0]["audio"] == "clips/a.wav"
    assert "raw" not in table.objects[0]
    assert table.notes == ("media inside t.parquet are not read (columns audio, raw): save them as files",)


def test_a_missing_number_in_parquet_is_none(tmp_path: Path) -> None:
    rows = [{"video_id": "x", "question": "who?", "answer": "a dog", "start": start, "end": 9.5}
            for start in (3.0, float("nan"))]  # fmt: skip
    found = read_annotations(parquet(tmp_path / "t.parquet", rows))
    assert [(row.start, row.end) for row in found.rows] == [(3.0, 9.5), (None, 9.5)]


def test_parquet_without_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r'pip install "mirasol\[parquet\]"'):
        read_annotations(tmp_path / "t.parquet")
