"""Annotations as their authors published them, through `finetune_qa` with `--media`: what is learned is what the file
asks and wants, of the films that it names."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from test_tables_learned import END_TO_END

from mirasol.media.toybox.files import write_scenes
from mirasol.model.mirasol import IGNORE
from mirasol.model.text import Text
from mirasol.recipes.finetune_qa import recipe
from mirasol.train.loop import train

KINDS = ["MSRVTT-QA", "NExT-QA", "LLaVA", "ShareGPT", "messages", "VGGSound", "EPIC-SOUNDS"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    (path,) = write_scenes(tmp_path_factory.mktemp("film"), 1, 1, "train", ".mp4", False, 1)
    return path.read_bytes()


@pytest.mark.parametrize(
    "kind", [kind if kind == "NExT-QA" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_annotations_train(kind: str, film: bytes, tmp_path: Path) -> None:
    name, text, media, (asked, wanted) = END_TO_END[kind]
    (tmp_path / name).write_text(text)
    path = tmp_path / "videos" / f"{media}.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(film)
    run = replace(recipe(str(tmp_path / name), media=str(tmp_path / "videos"), steps=2, clips=2), log_every=1)
    batch = next(run.batches(0, 2).feed(workers=0))
    words = Text(run.tokenizer())
    (target, _) = batch.labels
    assert words.tokenizer.decode(target[target != IGNORE].tolist()).strip() == wanted.lower()
    assert (asked or "").lower() in words.tokenizer.decode(batch.ids[0].tolist())
    assert batch.names == (str(path), str(path))
    assert batch.inputs.pixel_values_videos is not None
    assert float(batch.inputs.pixel_values_videos.float().std()) > 0
    assert train(run, tmp_path / "run", report=lambda line: None) is not None
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(line["text"] > 0 for line in lines)
    assert not (tmp_path / "run" / "left_out.jsonl").exists()
