"""The harness of `make fuzz`: the same number is the same input, and nothing that goes wrong passes unseen."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import tool


@pytest.fixture(scope="module")
def fuzz():
    pytest.importorskip("av")
    return tool("fuzz")


@pytest.fixture(scope="module")
def seeds(fuzz, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    fuzz.make_seeds(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_number_is_always_the_same_input(fuzz, seeds: Path, tmp_path: Path) -> None:
    damaged = 0
    for number in range(40):
        one = fuzz.make_case(number, 5, seeds, tmp_path / "one")
        again = fuzz.make_case(number, 5, seeds, tmp_path / "again")
        assert (one.kind, one.name, one.changes) == (again.kind, again.name, again.changes)
        assert contents(tmp_path / "one") == contents(tmp_path / "again")
        damaged += bool(one.changes)
    assert damaged > 30


def test_seeds_are_read_when_nothing_is_damaged(fuzz, seeds: Path, tmp_path: Path) -> None:
    from fuzz_feeds import Feeder  # beside the tool

    feeder = Feeder(seeds, tmp_path)
    for kind, name in (("media", "a.mp4"), ("watch", "a.ts"), ("models", "ttm"), ("sessions", "priority"),
                       ("shards", "pairs"), ("folders", "labels"), ("manifests", "csv"), ("annotations", "next-qa"),
                       ("packs", "pack"), ("predictions", "next-oe"), ("command", "media/a.mkv")):  # fmt: skip
        of = {"watch": "media", "command": "media"}.get(kind, kind)
        folder = seeds / of / name.rpartition("/")[2]
        feeder.feed(kind, random.Random(3), folder, name)


def test_only_lines_of_our_own_count_as_refused(fuzz, tmp_path: Path) -> None:
    from mirasol.inference.answer import load
    from mirasol.media.reader import open_media

    for good in (lambda: open_media(str(tmp_path / "gone.mp4")), lambda: (tmp_path / "gone").read_bytes(),
                 lambda: load(tmp_path / "gone")):  # fmt: skip
        with pytest.raises((ValueError, OSError)) as found:
            good()
        assert fuzz.in_own_words(found.value)
    for bad in (lambda: int("x"), lambda: [][0], lambda: list(zip([1], [], strict=True)), lambda: {}["x"]):
        with pytest.raises((ValueError, LookupError)) as found:
            bad()
        assert not fuzz.in_own_words(found.value)


@pytest.mark.slow
def test_what_is_over_a_limit_is_kept_and_fails(fuzz, tmp_path: Path) -> None:
    words = [sys.executable, fuzz.__file__, "--files", "3", "--workers", "1", "--mib", "1", "--out"]
    words += [str(tmp_path / "out"), "--results", str(tmp_path / "fuzz.json")]
    ended = subprocess.run(words, capture_output=True, timeout=200, check=False)
    assert ended.returncode == 1, ended.stderr[-2000:]
    assert '"big": 3' in (tmp_path / "fuzz.json").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"0", "1", "2", "seeds"}
