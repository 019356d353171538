"""The model that ships: its card states what it does, and it does what its card states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirasol import cli
from mirasol.evaluate.streams import (
    DISTURBED,
    VISITS,
    WITHIN,
    blind_recall,
    recall,
    recall_figures,
    rendered,
)
from mirasol.evaluate.toybox import percentages, score_scenes
from mirasol.inference.answer import load, shipped_models
from mirasol.media.toybox.streams import Stream

pytestmark = pytest.mark.skipif("tiny" not in shipped_models(), reason="the trained checkpoint is not in this tree")
SCENES = 40


def test_the_figures_of_the_card_are_those_of_the_model() -> None:
    folder = shipped_models()["tiny"]
    stated = json.loads((folder / "evaluation.json").read_text())["rows"]
    loaded = load("tiny")
    answered = list(score_scenes(loaded.model, loaded.text, "test", SCENES, ("both", "question")))
    for row in ("both", "question"):
        scores = percentages([one for one in answered if one.row == row])
        assert abs(scores["overall"] - stated[row]["test"]["overall"]) < 8  # 300 questions: 2.9 is one deviation
    card = (folder / "README.md").read_text()
    for split in ("test", "compositional"):
        assert f"{stated['both'][split]['overall']:.1f}" in card


def test_the_checkpoint_is_small_enough_to_ship() -> None:
    files = list(shipped_models()["tiny"].iterdir())
    assert sum(file.stat().st_size for file in files) < 40e6
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "log.jsonl"} <= {f.name for f in files}


def test_the_demo_is_answered_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At least four of the five: what a newcomer sees first."""
    cli.app(["demo", "--out", str(tmp_path / "demo")], standalone_mode=False)
    assert capsys.readouterr().out.count("WRONG") <= 1


def test_tiny_stream_remembers_what_its_card_states() -> None:
    """Really rendered streams, asked long after all has left the window; the state does not grow."""
    folder = shipped_models()["tiny-stream"]
    stated = json.loads((folder / "evaluation.json").read_text())["recall"]
    loaded = load("tiny-stream")
    streams = [Stream(seed, "test", 128, visits=VISITS, within=WITHIN, distractions=DISTURBED) for seed in range(4)]
    figures = recall_figures(list(recall(loaded.model, loaded.text, streams, rendered(loaded.model))))
    assert figures["overall"] > stated["64"]["overall"] - 15  # 40 questions: 4 points are one deviation
    assert figures["overall"] > 3 * blind_recall("test", streams=60)["overall"]
    card = (folder / "README.md").read_text()
    for length, figures in stated.items():
        assert f"| {length} " in card
        assert f"{figures['overall']:.1f}" in card
    assert sum(file.stat().st_size for file in folder.iterdir()) < 40e6
