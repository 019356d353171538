"""A run of 200 steps has the losses that it has always had: nothing in model, data or training changed in silence."""

from __future__ import annotations

import json
from pathlib import Path

from mirasol import cli
from mirasol.train.loop import train

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 0.02  # of each value: other processors add up in another order


def test_the_losses_of_the_smoke_recipe_are_the_stored_ones(tmp_path: Path) -> None:
    """After a change meant to alter them, train the recipe `smoke` and put its log into tests/golden/smoke.json."""
    golden = json.loads((ROOT / "tests/golden/smoke.json").read_text())
    train(cli.load_recipe("smoke"), tmp_path, report=lambda line: None)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [str(line["step"]) for line in lines] == list(golden["curve"])
    for line in lines:
        for name, value in zip(golden["names"], golden["curve"][str(line["step"])], strict=True):
            assert abs(line[name] - value) <= WITHIN * abs(value) + 1e-3, (line["step"], name, line[name], value)
