"""The examples with pretrained parts run, here on small random ones."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from checkpoints import save_text, save_vit

from mirasol.inference.answer import load
from packs import KINDS, save_pack

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_example(name: str, monkeypatch: pytest.MonkeyPatch, *words: Path) -> None:
    monkeypatch.setattr("sys.argv", [name, *map(str, words)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_the_example_joins_asks_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_text("Qwen2", tmp_path / "text", max_position_embeddings=120)
    save_vit("DINOv2", tmp_path / "vit", patch_size=14, image_size=42)
    run_example("join_pretrained.py", monkeypatch, *(tmp_path / name for name in ("vit", "text", "joined")))
    out = capsys.readouterr().out
    assert "vit: " in out
    assert "loaded: " in out
    assert out.count("sure)") == 2
    assert [source["family"] for source in load(str(tmp_path / "joined")).model.sources] == ["Qwen2", "DINOv2"]
    save_pack(tmp_path / "pack/train")
    save_pack(tmp_path / "pack/held_out", KINDS[:12])
    run_example("ask_real_things.py", monkeypatch, tmp_path / "joined", tmp_path / "pack")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 20
    assert all(line.startswith(("right: ", "wrong: ")) for line in lines[:-1])
    assert lines[-1].endswith(f" of {len(lines) - 1} right")
