"""Names that are no UTF-8, texts that hold half a character, and an index that fits no more."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirasol.data.annotations import read_annotations
from mirasol.data.decoding import read_bytes
from mirasol.data.items import Member
from mirasol.data.opening import open_items
from mirasol.data.preparing import How, prepare
from mirasol.data.shards import INDEX
from mirasol.media.clip import MediaError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


def test_names_that_utf_8_cannot_hold_are_prepared_and_texts_are_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for at, (name, text) in enumerate(((b"caf\xe9", '"a dog"'), (b"half", '"a \\ud83d dog"'), (b"bad\xff", '"a cat"'))):
        base = os.fsdecode(name)
        Image.fromarray(np.full((10, 14, 3), 90 + at, np.uint8)).save(source / f"{base}.png")
        (source / f"{base}.json").write_text(text)
    (source / os.fsdecode(b"bad\xff.png")).write_bytes(b"no picture")
    report = prepare(source, tmp_path / "out", How())
    assert (report["examples"], report["left_out"]) == (1, 2)
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert {os.fsencode(Path(one["key"]).name) for one in told["bad"]} == {b"bad\xff.png", b"half.png"}
    (item,) = open_items(tmp_path / "out")
    assert item.pairs == ((None, "a dog"),)


def test_an_index_that_fits_no_more_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for at in range(2):
        Image.fromarray(np.full((10, 14, 3), 90 + at, np.uint8)).save(tmp_path / "in" / f"{at}.png")
        (tmp_path / "in" / f"{at}.txt").write_text("a dog")
    prepare(tmp_path / "in", tmp_path / "out", How())
    shard = tmp_path / "out" / "data-000000.tar"
    shard.write_bytes(b"\x07" * 512 + shard.read_bytes()[512:])
    items = open_items(tmp_path / "out")
    assert items[1].pairs == ((None, "a dog"),)
    with pytest.raises(ValueError, match=rf"at byte 0 of .*, found none .* Remove {shard.name}{INDEX}") as error:
        items[0]
    assert "\n" not in str(error.value)


def test_a_file_that_states_a_size_beyond_all_files_ends_its_shard_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for at in range(2):
        Image.fromarray(np.full((10, 14, 3), 90 + at, np.uint8)).save(tmp_path / "in" / f"{at}.png")
        (tmp_path / "in" / f"{at}.txt").write_text("a dog")
    prepare(tmp_path / "in", tmp_path / "out", How())
    shard = tmp_path / "out" / "data-000000.tar"
    data = bytearray(shard.read_bytes())
    data[124:136] = b"\x80" + bytes(3) + (2**63 - 1).to_bytes(8, "big")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    shard.write_bytes(data)
    item = open_items(tmp_path / "out")[0]  # with its index: the sizes there are believed, those of the tar are not
    assert item.media is not None or not item.pairs
    Path(f"{shard}{INDEX}").unlink()
    with pytest.raises(ValueError, match="found none"):
        open_items(tmp_path / "out")[5]


def test_a_shard_that_claims_more_than_it_holds_is_named(tmp_path: Path) -> None:
    """Whatever the header of a file in it says, up to what no machine could hold."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"x" * 1000)
    for offset, size in ((0, 1001), (512, 2**62), (512, 2**70), (5000, 1)):
        with pytest.raises(MediaError, match=r"a\.tar ends inside 'b\.mp4'"):
            read_bytes(Member(str(archive), "b.mp4", offset, size))
    assert read_bytes(Member(str(archive), "b.mp4", 990, 10)) == b"x" * 10


def test_a_table_of_questions_without_a_row_is_one_line(tmp_path: Path) -> None:
    table = tmp_path / "test.csv"
    table.write_text("video,frame_count,width,height,question,answer,qid,type\n,,,,,,,\n")
    with pytest.raises(ValueError, match=r"found none|rows"):
        read_annotations(table)
