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


@pytest.mark.parametrize("example", sorted(EXAMPLES[0].parent.glob("*.py")), ids=lambda path: path.stem)
def test_example_takes_help_and_ends_in_one_line(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"examples/{example.name}" in (example.parents[1] / "README.md").read_text(encoding="utf-8")
    for words, code in ((["--help"], 0), (["none.mp4", "none", "none", "too many"], 2), (["none.mp4"], 2)):
        monkeypatch.setattr("sys.argv", [str(example), *words])
        try:
            runpy.run_path(str(example), run_name="__main__")
            ended: object = 0
        except SystemExit as end:
            ended = end.code or 0
        said = capsys.readouterr()
        assert ended == code, (words, said)
        assert "Traceback" not in said.err
        assert example.stem in said.out or code
