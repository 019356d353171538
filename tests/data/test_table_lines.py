"""Tables row by row: a row that cannot be read costs no other, rows without media are alike however it is written, and
a long table is never held as values."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from mirasol.data.annotations import lines, read_annotations
from mirasol.data.annotations.check import check
from mirasol.data.annotations.tables import read_table
from mirasol.data.batches import ItemBatches
from mirasol.data.opening import open_items
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text, train_tokenizer

GOOD = [f'{{"file": "{name}.mp4", "caption": "a {name}"}}' for name in ("dog", "cat", "cow", "hen")]
BROKEN = {
    "cut.jsonl": ('{"file": "x.mp4", "capt', "line 3"),
    "list.jsonl": ('["x.mp4", "a fox"]', "line 3: holds list, not an object"),
    "number.jsonl": ("17", "line 3: holds int, not an object"),
    "nan.jsonl": ('{"file": "x.mp4", "caption": NaN}', "line 3"),
    "twice.jsonl": ('{"file": "x.mp4", "caption": "a", "caption": "b"}', "'caption' stands twice"),
    "many.csv": ("x.mp4,a fox, and more,7", "line 4: expected 2 fields, found 4"),
    "few.csv": ("x.mp4", "line 4: expected 2 fields, found 1"),
    "few.tsv": ("x.mp4", "line 4: expected 2 fields, found 1"),
}


def table(name: str, rows: list[str]) -> str:
    """Rows of JSON as they are, or as a CSV."""
    if name.endswith(".jsonl"):
        return "\n".join(rows) + "\n"
    mark = "\t" if name.endswith(".tsv") else ","
    plain = [mark.join(json.loads(row).values()) if row in GOOD else row for row in rows]
    return "\n".join([f"file{mark}caption", *plain]) + "\n"


@pytest.mark.parametrize("kept", [lines.KEPT, 0])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_row_is_named_and_the_others_kept(
    name: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also of a file whose rows are not held; one that is broken for the most part, or is scored, is refused."""
    monkeypatch.setattr(lines, "KEPT", kept)
    row, says = BROKEN[name]
    path = tmp_path / name
    path.write_text(table(name, [*GOOD[:2], row, *GOOD[2:]]))
    items = open_items(path)
    assert [item.pairs[0][1] for item in items] == ["a dog", "a cat", "a cow", "a hen"]
    (bad,) = items.broken
    assert says in f"{bad.key}: {bad.reason}"
    assert f"1 of 5 are skipped: {bad.key}" in caplog.text
    assert any("1 lines cannot be read" in line for line in check(path).advice)
    with pytest.raises(ValueError, match=r"line 3|row 4|stands twice|expected objects"):
        read_annotations(path)
    path.write_text(table(name, [GOOD[0], row, row]))
    with pytest.raises(ValueError, match=name) as error:
        open_items(path)
    assert "\n" not in str(error.value)


def test_empty_cells_beyond_the_columns_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("file,caption\na.mp4,a dog,,\nb.mp4,a cat\n")
    assert [item.pairs[0][1] for item in open_items(tmp_path / "m.csv")] == ["a dog", "a cat"]


@pytest.mark.parametrize("column", ["file", "video_id", "audio"])
def test_null_nothing_and_an_empty_cell_are_alike(column: str, tmp_path: Path) -> None:
    """Where other rows have media the row is skipped and named; a table of texts alone has no such column."""
    rows = [{column: "a", "caption": "kept"}]
    rows += [{**row, "caption": "lost"} for row in ({}, {column: None}, {column: ""}, {column: " "})]  # type: ignore[dict-item]
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (item,) = items = open_items(tmp_path / "m.jsonl")
    assert item.pairs == ((None, "kept"),)
    assert [bad.key for bad in items.broken] == [f"m.jsonl, row {number}" for number in (2, 3, 4, 5)]
    assert all(f"its media are missing: it{word}" in bad.reason for bad, word in
               zip(items.broken, [" has no " + column, *[f"s {column} is empty"] * 3], strict=True))  # fmt: skip
    (tmp_path / "m.csv").write_text(f"{column},caption\na,kept\n,lost\n  ,lost\n")
    items = open_items(tmp_path / "m.csv")
    assert (len(items), [bad.key for bad in items.broken]) == (1, ["m.csv, row 2", "m.csv, row 3"])
    (tmp_path / "t.jsonl").write_text('{"question": "q", "answer": "a"}\n{"caption": "b"}\n')
    assert [item.media for item in open_items(tmp_path / "t.jsonl")] == [None, None]


def test_what_was_skipped_while_listing_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("\n".join([*GOOD, '{"caption": "lost"}']))
    text = Text(train_tokenizer(["a dog"], 300))
    report = ItemBatches(open_items(tmp_path / "m.jsonl"), PRESETS["tiny"], text, clips=2).report()
    assert (report["listed"], [bad["key"] for bad in report["bad"]]) == (1, ["m.jsonl, row 5"])


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_long_table_is_not_held_as_values(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the text is held beside the items at the peak: no rows of a table (some 500 bytes each and more)."""
    monkeypatch.setattr(lines, "KEPT", 0)
    count, path = 4_000, tmp_path / f"m.{ending}"
    head = "file,start,end,text\n" if ending == "csv" else ""
    one = (
        "v/%d.mp4,%d,%d,a dog %d\n"
        if ending == "csv"
        else '{"file": "v/%d.mp4", "start": %d, "end": %d, "text": "a dog %d"}\n'
    )
    path.write_text(head + "".join(one % (n // 4, n, n + 1, n) for n in range(count)))
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "0.mp4").write_bytes(b"x")
    open_items(path)  # what is kept for good is kept now
    tracemalloc.start()
    items = open_items(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(items) == count
    assert isinstance(read_table(path).objects, lines.Again)
    assert peak - held < 350 * count + 3 * path.stat().st_size


def test_data_check_calls_a_missing_file_missing(tmp_path: Path) -> None:
    """Not damaged; and a row that is skipped is no text alone."""
    (tmp_path / "m.csv").write_text("file,caption\ngone.mp4,a dog\n,a cat\n")
    found = check(tmp_path / "m.csv")
    assert (found.missing, found.damaged) == (("gone.mp4",), ())
    assert not any("texts alone" in line for line in found.advice)
