"""A ViT taught by two teachers: who learns, what is heard, and that nothing held out is among the lessons."""

from __future__ import annotations

import json
import random
import sys
import tarfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import SIZES, save_text, save_vit
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers import tool
from mirasol.model.mirasol import Mirasol
from mirasol.warm import join, loaded_names

TEACH, LESSONS = tool("teach_vit"), tool("make_lessons")
VIEWING = ("encoder.tubes", "encoder.patches", "encoder.vit")
SMALL = {
    "frame_rate": 1.0, "frames": 1, "height": 40, "width": 30, "reconstruct_scale": 5, "reconstruct_patch": 2,
    "mels": 20, "hop": 320, "window": 640, "patch": (4, 5), "tubes": (((1, 5, 5), (1, 5, 5), (0, 0, 0)),),
}  # fmt: skip


@pytest.fixture(params=["DINOv2", "CLIP"])
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    save_text("Llama", tmp_path / "text", chat=False)
    save_vit(request.param, tmp_path / "vit")
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
    words = ["teach_vit.py", str(start), str(lessons), str(out), "--pictures", "4", "--seconds", "6", *more]
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
    card = (out / "README.md").read_text(encoding="utf-8")
    assert all(
        name in card for name in ("| teacher | EfficientNet-lite2 (ImageNet) |", "| teacher | YAMNet (AudioSet) |")
    )
    lines = [json.loads(line) for line in (out / "lessons.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40]
    assert lines[1]["seen"] < lines[0]["seen"]
    assert lines[1]["heard"] < lines[0]["heard"]
    teach(out, lessons, tmp_path / "again", monkeypatch, "--steps", "1")
    assert Mirasol.load(tmp_path / "again").sources == Mirasol.load(out).sources, "taught twice, named once"
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
    slow = join(SIZES.change(vit_summary=True), vit=tmp_path / "vit", text=tmp_path / "text", hear=True)
    with pytest.raises(SystemExit, match="expected snippets of one frame"):
        teach(slow.save(tmp_path / "slow"), lessons, tmp_path / "out", monkeypatch)


def test_kinds_that_lessons_name_are_learned(
    start: Path, lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the teachers give is noise here; the kinds are told by colour and pitch, so the loss falls by them alone."""
    losses = {}
    for name, numbers in (("unnamed", lambda n: torch.full((n,), -1)), ("named", lambda n: torch.arange(n) % 3)):
        folder = tmp_path / name
        folder.mkdir()
        for part, what in (("pictures", "pixels"), ("sounds", "waves")):
            values = load_file(lessons / f"{part}.safetensors")
            values["taught"] = torch.randn(len(values[what]), 5, generator=torch.Generator().manual_seed(1)).half()
            kinds = numbers(len(values[what]))
            kinds[-2:] = -1  # some lessons have no name
            save_file({**values, "kinds": kinds.short()}, folder / f"{part}.safetensors")
        teach(start, folder, tmp_path / f"taught-{name}", monkeypatch, "--steps", "60", "--rate", "1e-3")
        lines = (tmp_path / f"taught-{name}" / "lessons.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["seen"] for line in lines]
    fall = {name: values[0] - values[-1] for name, values in losses.items()}
    assert losses["named"][0] > losses["unnamed"][0] + 0.2, "the kinds are asked for"
    assert fall["named"] > fall["unnamed"]


def test_lessons_with_names_are_of_the_pack(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    letters = "abcdefghijklm"
    for at, kind in enumerate(letters):
        for role in ("pictures", "sounds"):
            (tmp_path / role / kind).mkdir(parents=True)
        Image.new("RGB", (20, 30), (19 * at, 255 - 19 * at, 7)).save(tmp_path / f"pictures/{kind}/x.png")
        with wave.open(str(tmp_path / f"sounds/{kind}/x.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((3_000 * chance.standard_normal(5_000)).astype("<i2").tobytes())
    pack = LESSONS.AssetPack(tmp_path)
    pictures = LESSONS.named_pictures(pack, lambda pixels: pixels.mean(dim=(2, 3)), 29, 0)
    sounds = LESSONS.named_sounds(pack, lambda second: second[:7], 31, 0)
    assert pictures["pixels"].shape == (29, LESSONS.SIDE, LESSONS.SIDE, 3)
    assert sounds["waves"].shape == (31, LESSONS.RATE)
    for values in (pictures, sounds):
        assert values["kinds"].tolist() == [at % 13 for at in range(len(values["kinds"]))]
    for pixels, kind in zip(pictures["pixels"], pictures["kinds"].tolist(), strict=True):
        colour = torch.tensor([19 * kind, 255 - 19 * kind, 7])
        assert ((pixels - colour).abs().sum(dim=-1) == 0).float().mean() > 0.1, "its picture is there"
    assert (sounds["waves"].abs().amax(dim=1) > 0.05).all()
    both = LESSONS.together({"pixels": pictures["pixels"][:4], "taught": pictures["taught"][:4]}, pictures)
    assert both["kinds"].tolist() == [-1] * 4 + pictures["kinds"].tolist()
    again = LESSONS.named_sounds(pack, lambda second: second[:7], 31, 0)
    assert torch.equal(again["waves"], sounds["waves"])


def test_a_recording_is_found_inside_a_longer_one() -> None:
    chance = np.random.default_rng(1)
    calls = [chance.standard_normal(9_000).astype(np.float32) for _ in range(3)]
    known = [LESSONS.template(call) for call in calls[:2]]
    quiet = 0.1 * chance.standard_normal(40_000).astype(np.float32)
    inside = quiet.copy()
    inside[17_000:26_000] += 0.6 * calls[1]
    assert LESSONS.heard_in(inside, known) > 0.9
    assert LESSONS.heard_in(calls[1][800:], known) > LESSONS.ALIKE_SOUND, "a copy that begins 50 ms later"
    assert LESSONS.heard_in(calls[2], known) < LESSONS.ALIKE_SOUND
    assert LESSONS.heard_in(quiet, known) < LESSONS.ALIKE_SOUND


def test_a_step_varies_as_many_pictures_and_hides_parts_of_as_many_seconds_as_is_said(
    start: Path, lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"varied": 0, "partly_silenced": 0}
    for name in calls:
        whole = getattr(TEACH, name)

        def counted(*given: Any, name: str = name, whole: Any = whole) -> torch.Tensor:
            calls[name] += 1
            return whole(*given)

        monkeypatch.setattr(TEACH, name, counted)
    teach(start, lessons, tmp_path / "taught", monkeypatch, "--steps", "3")
    assert calls == {"varied": 3 * 4, "partly_silenced": 3 * 6}


def test_no_more_than_a_fifth_of_mels_and_columns_is_silenced() -> None:
    columns = torch.rand(20, 30) + 1.0
    columns[3, 4] = 0.5
    chance = torch.Generator().manual_seed(0)
    silenced = []
    for _ in range(60):
        found = TEACH.partly_silenced(columns, chance)
        changed = found != columns
        assert bool((found[changed] == 0.5).all())
        rows, steps = (changed.float().mean(dim=axis) > 0.5 for axis in (1, 0))
        assert rows.sum() <= 4
        assert steps.sum() <= 6
        assert not changed[~rows][:, ~steps].any()
        silenced.append(bool(changed.any()))
    assert 20 < sum(silenced) < 60
    assert columns[3, 4] == 0.5
    assert columns[columns != 0.5].min() >= 1.0, "what it is given stays as it is"


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


def test_only_packages_that_are_not_held_out_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    cache.mkdir()
    Image.new("RGB", (4, 5)).save(tmp_path / "one.png")

    def archive_of(name: str, folder: Path) -> Path:
        path = folder / f"{name}-1.0.tgz"
        with tarfile.open(path, "w:gz") as ball:
            for inner in ("package/one.png", "package/black/one.png", "package/one.txt"):
                ball.add(tmp_path / "one.png", inner)
        return path

    monkeypatch.setattr(LESSONS, "archive_of", archive_of)
    LESSONS.unpacked(cache, out)
    names = {path.name for path in out.iterdir()}
    assert names == {*LESSONS.PACKAGES, *LESSONS.LESSONS} - {LESSONS.HELD_OUT}
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"one.png"}
    seen = {path.relative_to(out).parts[0] for path in out.rglob("*") if LESSONS.worth_seeing(path)}
    assert "openclipart-png" in seen
    assert not seen & {"megaglest-data", "widelands-data"}, "no textures of games"
    assert not LESSONS.worth_seeing(out / "openmoji/package/black/one.png")


def test_a_sound_that_is_held_out_is_no_lesson(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(3)
    calls = [0.3 * chance.standard_normal(20_000) for _ in range(2)]
    for at, call in enumerate(calls):
        with wave.open(str(tmp_path / f"{at}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((call * 20_000).clip(-32_000, 32_000).astype("<i2").tobytes())
    heard: list[np.ndarray] = []

    def teacher(second: np.ndarray) -> np.ndarray:
        heard.append(second)
        return second[:7]

    paths = [tmp_path / "0.wav", tmp_path / "1.wav", tmp_path / "missing.wav"]
    held = [LESSONS.template(calls[0].astype(np.float32))]
    found = LESSONS.sound_lessons(paths, held, teacher, count=5, seed=0)
    assert found["waves"].shape == (5, LESSONS.RATE)
    assert found["taught"].shape == (5, 7)
    out = capsys.readouterr().out
    assert "left out, for it is held out: 0.wav" in out
    assert "1 sounds, 1 left out" in out
