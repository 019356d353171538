"""Every example runs."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mirasol.inference.answer import shipped_models

ELSEWHERE = {"join_pretrained", "ask_real_things"}  # tests/warm/test_warm_example.py: they need pretrained parts
EXAMPLES = sorted(p for p in (Path(__file__).parent.parent / "examples").glob("*.py") if p.stem not in ELSEWHERE)


@pytest.mark.skipif("tiny" not in shipped_models(), reason="the trained checkpoint is not in this tree")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert "sure" in capsys.readouterr().out
