"""A ViT taught by two teachers: who learns, what is heard, and that nothing held out is among the lessons."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import SIZES, save_text, save_vit
from PIL import Image
from safetensors.torch import save_file

from helpers import tool
from mirasol.model.mirasol import Mirasol
from mirasol.warm import join, loaded_names

TEACH, LESSONS = tool("teach_vit"), tool("make_lessons")
VIEWING = ("encoder.tubes", "encoder.patches", "encoder.vit")
SMALL = {
    "frame_rate": 1.0, "frames": 1, "height": 40, "width": 30, "reconstruct_scale": 5, "reconstruct_patch": 2,
    "mels": 20, "hop": 320, "window": 640, "patch": (4, 5), "tubes": (((1, 5, 5), (1, 5, 5), (0, 0, 0)),),
}  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Path:
    save_text("Llama", tmp_path / "text", chat=False)
    save_vit("DINOv2", tmp_path / "vit")
    joined = join(
        SIZES.change(**SMALL, vit_summary=True), vit=tmp_path / "vit", text=tmp_path / "text", hear=True
    )  # fmt: skip
    return joined.save(tmp_path / "start")


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Nine pictures of one colour each and eleven tones; the teachers give what can be told from them."""
    folder = tmp_path / "lessons"
    folder.mkdir()
    chance = np.random.default_rng(0)
    colours = chance.integers(0, 256, (9, 1, 1, 3), dtype=np.uint8)
    pixels = np.broadcast_to(colours, (9, 50, 50, 3)).copy()
    pitches = np.linspace(200, 4_000, 11)
    waves = 0.5 * np.sin(2 * np.pi * pitches[:, None] * np.arange(16_000) / 16_000)
    seen = np.repeat(colours[:, 0, 0] / 255, 2, axis=1) + chance.normal(0, 0.01, (9, 6))
    heard = np.stack([np.cos(pitches / 900 * k) for k in range(1, 8)], axis=1)
    for name, values in (
        ("pictures", {"pixels": pixels, "taught": seen}),
        ("sounds", {"waves": waves, "taught": heard}),
    ):
        tensors = {key: torch.from_numpy(value) for key, value in values.items()}
        save_file(
            {k: v if v.dtype == torch.uint8 else v.half() for k, v in tensors.items()}, folder / f"{name}.safetensors"
        )
    return folder


def teach(start: Path, lessons: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    words = ["teach_vit.py", str(start), str(lessons), str(out), "--each", "4", *more]
    monkeypatch.setattr(sys, "argv", words)
    TEACH.main()


def test_only_what_views_learns_and_the_teachers_are_named(
    start: Path, lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "taught"
    teach(start, lessons, out, monkeypatch, "--steps", "40", "--rate", "1e-3")
    before, after = (dict(Mirasol.load(folder).named_parameters()) for folder in (start, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(VIEWING)}, "gradients reach all that views, no more"
    assert loaded_names(out) == loaded_names(start), "the recipe knows what to freeze"
    parts = [source["part"] for source in Mirasol.load(out).sources]
    assert parts == ["text", "vit", "teacher", "teacher"]
    lines = [json.loads(line) for line in (out / "lessons.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40]
    assert lines[1]["seen"] < lines[0]["seen"]
    assert lines[1]["heard"] < lines[0]["heard"]
    with pytest.raises(SystemExit, match="is there already"):
        teach(start, lessons, out, monkeypatch)


def test_what_is_missing_is_said(start: Path, lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"expected .*init.json, found none"):
        teach(tmp_path / "nowhere", lessons, tmp_path / "out", monkeypatch)
    model = Mirasol.load(start)
    plain = Mirasol(model.sizes.change(vit_summary=False))
    folder = tmp_path / "plain"
    plain.save(folder, join(SIZES, text=tmp_path / "text").tokenizer)
    (folder / "init.json").write_bytes((start / "init.json").read_bytes())
    with pytest.raises(SystemExit, match="vit_summary=true"):
        teach(folder, lessons, tmp_path / "out", monkeypatch)


def test_a_recording_is_found_inside_a_longer_one() -> None:
    chance = np.random.default_rng(1)
    calls = [chance.standard_normal(9_000).astype(np.float32) for _ in range(3)]
    known = [LESSONS.template(call) for call in calls[:2]]
    quiet = 0.1 * chance.standard_normal(40_000).astype(np.float32)
    inside = quiet.copy()
    inside[17_000:26_000] += 0.6 * calls[1]
    assert LESSONS.heard_in(inside, known) > 0.9
    assert LESSONS.heard_in(calls[2], known) < LESSONS.ALIKE_SOUND
    assert LESSONS.heard_in(quiet, known) < LESSONS.ALIKE_SOUND


def test_seconds_are_one_second_and_the_same_for_a_seed() -> None:
    waves = [np.sin(np.arange(length) / 9).astype(np.float32) for length in (2_000, 17_000, 70_000)]
    for seed in range(20):
        one, again = (LESSONS.mixed(waves, random.Random(seed)) for _ in range(2))
        assert one.shape == (LESSONS.RATE,)
        assert np.isfinite(one).all()
        assert np.abs(one).max() <= 1
        assert np.array_equal(one, again)


def test_pictures_that_are_held_out_are_not_shown(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    images = [Image.fromarray(chance.integers(0, 200, (6, 5, 3), dtype=np.uint8)).resize((60, 50)) for _ in range(2)]
    held = [LESSONS.look(images[0].convert("RGBA"))]
    for at, image in enumerate(images):
        image.save(tmp_path / f"{at}.png")
    images[0].resize((120, 100)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "2.png")
    found = [LESSONS.shown(tmp_path / f"{at}.png", held) is not None for at in range(3)]
    assert found == [False, True, False]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert LESSONS.shown(tmp_path / "broken.png", held) is None
