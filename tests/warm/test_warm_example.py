"""The example that joins pretrained parts runs, here on small random ones."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from checkpoints import save_text, save_vit

from mirasol.inference.answer import load

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/join_pretrained.py"


def test_the_example_joins_asks_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_text("Qwen2", tmp_path / "text", max_position_embeddings=120)
    save_vit("DINOv2", tmp_path / "vit", patch_size=14, image_size=42)
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), *(str(tmp_path / name) for name in ("vit", "text", "joined"))])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    assert "vit: " in out
    assert "loaded: " in out
    assert out.count("sure)") == 2
    assert [source["family"] for source in load(str(tmp_path / "joined")).model.sources] == ["Qwen2", "DINOv2"]
