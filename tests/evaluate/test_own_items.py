"""Exact match on items of a user's own: the shipped model on films that `mirasol toybox` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirasol.data.opening import open_items
from mirasol.evaluate.items import same, score_items
from mirasol.inference.answer import load, shipped_models
from mirasol.media.toybox.files import write_scenes


def test_what_counts_as_the_same() -> None:
    assert same(" A  dog. ", "a dog")
    assert not same("a dog", "two dogs")
    assert not same("", "a dog")


@pytest.mark.skipif("tiny" not in shipped_models(), reason="the trained checkpoint is not in this tree")
def test_right_and_wrong_and_bad_items_are_told_apart(tmp_path: Path) -> None:
    """Films with their own texts are mostly right, with another film's texts mostly wrong; a broken one is counted."""
    tiny = load("tiny")
    films = write_scenes(tmp_path, 3, 5, "test", ".mp4", False, 2)
    right = score_items(tiny.model, tiny.text, open_items(tmp_path))
    texts = [film.with_suffix(".json").read_text() for film in films]
    for film, text in zip(films, texts[1:] + texts[:1], strict=True):
        film.with_suffix(".json").write_text(text)
    films[0].write_bytes(b"broken")
    wrong = score_items(tiny.model, tiny.text, open_items(tmp_path))
    assert right["exact"] > 60 > 40 > wrong["exact"]
    assert (right["bad"], wrong["bad"]) == (0, 1)
    assert right["asked"] > wrong["asked"] > 0
