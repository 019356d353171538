"""Paths in messages stand as they are, backslashes too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mirasol.data.opening import open_items
from mirasol.data.shards import shard_paths
from mirasol.inference.answer import model_folder
from mirasol.media.naming import quoted
from mirasol.media.reader import open_media

NAME = "C:\\films\\new one"
CASES: dict[str, Callable[[str], object]] = {
    "media": lambda name: open_media(name + ".mp4"),
    "data": lambda name: open_items(name),
    "manifest": lambda name: open_items(name + ".csv"),
    "shards": lambda name: shard_paths(name + ".tar"),
    "model": model_folder,
}


@pytest.mark.parametrize("case", CASES)
def test_backslashes_are_not_doubled(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r".") as error:
        CASES[case](NAME)
    assert NAME in str(error.value)
    assert "\\\\" not in str(error.value)


def test_one_line_whatever_the_name() -> None:
    assert quoted("a\nb\\c") == "'a\\nb\\c'"
    assert quoted(Path("it's")) == '"it\'s"'
