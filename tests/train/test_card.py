"""The card says what the run, its log and people say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from helpers import REMEMBERING_SIZES
from mirasol.model.mirasol import Mirasol, count_parameters
from mirasol.train.card import About, Part, card, read_log, write_card
from mirasol.train.config import Optimisation, Run

LOG = [
    {"step": 20, "loss": 6.5, "text": 6.25, "latent": 0.125, "hours": 0.5},
    {"step": 40, "loss": 3.0625, "text": 2.03125, "latent": 0.515625, "hours": 1.25},
    {"step": 40, "score/overall": 51.25, "score/heard": 75.0, "score/heard/questions": 32},
]


def make_run(**changes: object) -> Run:
    values: dict[str, object] = {"start_from": "", "frozen": (), "seed": 7} | changes
    return Run("trial", REMEMBERING_SIZES, Optimisation(steps=60), None, None, **values)  # type: ignore[arg-type]


def test_what_was_measured_is_there(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LOG))
    text = write_card(tmp_path, make_run(), read_log(tmp_path)).read_text()
    assert text == (tmp_path / "README.md").read_text()
    for told in (
        f"{count_parameters(Mirasol(REMEMBERING_SIZES)):,} parameters", "steps: 40 of 60 planned", "hours: 1.25",
        "| text | 2.0312 |", "| latent | 0.5156 |", "| heard | 75.0 |", "| heard/questions | 32 |",
        f"torch {torch.__version__}", "seed 7",
        "`priority` combiner, a memory of 5 tokens", "36x24 pixels",
    ):  # fmt: skip
        assert told in text, told
    assert "6.5" not in text  # an old loss
    assert "video |" not in text  # a loss that the log has not


def test_what_nobody_stated_is_not_made_up() -> None:
    text = card(make_run(), LOG[:2], About())
    assert yaml.safe_load(text.split("---")[1])["license"] == "unknown"
    for told in (
        "What it was trained on is not stated",
        "hardware: not stated",
        "None were taken",
        "## Licence\n\nnot st",
    ):
        assert told in text, told
    assert "apache" not in text.lower()


def test_what_people_add_is_printed() -> None:
    parts = (Part("tokenizer", "made | by us", "apache-2.0"), Part("old model", "runs/a"))
    about = About("Ten *clips*.", "cc-by-4.0", "two cores", "Cannot count.", parts)
    text = card(make_run(start_from="runs/a/model", frozen=("encoder.vit",)), LOG, about)
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["library_name"]) == ("cc-by-4.0", "mirasol")
    for told in (
        "Ten *clips*.", "Cannot count.", "two cores", "| tokenizer | made \\| by us | apache-2.0 |",
        "| old model | runs/a | not stated |", "`encoder.vit`", "`a/model`",
    ):  # fmt: skip
        assert told in text, told


def test_many_frozen_parameters_are_told_in_short() -> None:
    blocks = [f"decoder.blocks.{number}.{part}.weight" for number in range(13) for part in ("norm", "mlp.up")]
    frozen = (*blocks, "encoder.vit.blocks.3.mlp.up.weight", "encoder.tubes", "encoder.tubes_more", "encoder.vit")
    line = next(one for one in card(make_run(frozen=frozen), LOG, About()).splitlines() if "did not learn" in one)
    assert line.split(": ")[1].replace("`", "").split(", ") == [
        "decoder.blocks.*.norm.weight", "decoder.blocks.*.mlp.up.weight", "encoder.tubes", "encoder.tubes_more",
        "encoder.vit",
    ]  # fmt: skip


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"log\.jsonl"):
        read_log(tmp_path)
    with pytest.raises(ValueError, match="train first"):
        card(make_run(), LOG[2:], About())
    with pytest.raises(ValueError, match="licence"):
        About(license="apache\nevil: yes")
