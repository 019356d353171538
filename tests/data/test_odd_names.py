"""Names that are no UTF-8, texts that hold half a character, and an index that fits no more."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirasol.data.opening import open_items
from mirasol.data.preparing import How, prepare
from mirasol.data.shards import INDEX

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


def test_names_and_texts_that_utf_8_cannot_hold_are_prepared(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for at, (name, text) in enumerate(((b"caf\xe9", '"a \\ud83d dog"'), (b"bad\xff", '"a cat"'))):
        base = os.fsdecode(name)
        Image.fromarray(np.full((10, 14, 3), 90 + at, np.uint8)).save(source / f"{base}.png")
        (source / f"{base}.json").write_text(text)
    (source / os.fsdecode(b"bad\xff.png")).write_bytes(b"no picture")
    report = prepare(source, tmp_path / "out", How())
    assert (report["examples"], report["left_out"]) == (1, 1)
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert os.fsencode(told["bad"][0]["key"]).endswith(b"bad\xff.png")
    (item,) = open_items(tmp_path / "out")
    assert item.pairs == ((None, "a \ud83d dog"),)


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
