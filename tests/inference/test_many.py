"""Many files: each answered as it is alone, whatever lies beside it; bad ones named; devices and precisions by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mirasol
from mirasol.inference.answer import load
from mirasol.inference.devices import choose
from mirasol.media.toybox import make_scene, write_file

QUESTIONS = ["what do you hear?", "what do you see?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of unequal length, one of them damaged, and a text."""
    folder = tmp_path_factory.mktemp("films")
    for seed, seconds in enumerate((3, 2, 5)):
        write_file(make_scene(seed, "test", seconds=seconds), folder / f"{seed}.mp4")
    (folder / "broken.mp4").write_bytes((folder / "0.mp4").read_bytes()[:300])
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.mark.parametrize("together", [1, 2, 9])
def test_each_file_is_answered_as_alone(folder: Path, together: int) -> None:
    loaded = load("tiny")
    files = sorted(folder.glob("*.mp4"))
    found = {one.file: one for one in mirasol.ask_many(files, QUESTIONS, loaded, together=together)}
    assert sorted(found) == sorted(map(str, files))
    for file in files:
        one = found[str(file)]
        if file.stem == "broken":
            assert one.error
            assert "broken.mp4" in one.error
            assert not one.answers
            continue
        for ours, theirs in zip(one.answers, mirasol.ask(file, QUESTIONS, loaded), strict=True):
            assert (ours.question, ours.answer, ours.receipt) == (theirs.question, theirs.answer, theirs.receipt)
            assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
            assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)


def test_threads_end_when_nobody_listens(folder: Path) -> None:
    files = iter([folder / "2.mp4"] * 50)
    answers = mirasol.ask_many(files, "what do you hear?", together=2)
    next(answers)
    answers.close()
    assert len(list(files)) >= 46
    with pytest.raises(ValueError, match="at least one question"):
        mirasol.ask_many([], [])


def test_one_line_for_each_file(folder: Path) -> None:
    command = [sys.executable, "-m", "mirasol", "ask", str(folder), "-q", QUESTIONS[0], "--json", "--device", "cpu"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {Path(line["file"]).name for line in lines} == {"0.mp4", "1.mp4", "2.mp4", "broken.mp4"}
    assert [Path(line["file"]).name for line in lines if "error" in line] == ["broken.mp4"]
    assert ran.stderr.count("\n") == 0
    listed = f"{folder / '0.mp4'}\n\n{folder / '1.mp4'}\n"
    ran = subprocess.run(
        [*command[:4], "-", "-q", QUESTIONS[0]], input=listed, capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 2), ran.stderr


def test_a_device_by_name() -> None:
    assert choose("cpu") == (torch.device("cpu"), torch.float32)
    assert choose("cpu", "bfloat16") == (torch.device("cpu"), torch.bfloat16)
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert choose()[0] == torch.device("cpu")
    with pytest.raises(ValueError, match="expected a device that this machine has"):
        choose("cuda:99")
    with pytest.raises(ValueError, match="float32"):
        choose("cpu", "int8")


def test_half_precision_answers_alike(folder: Path) -> None:
    """Straight from the file in bfloat16: most words stay the same, and the confidence nearly so."""
    half = load("tiny", "cpu", "bfloat16")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    whole = load("tiny", "cpu")
    pairs = [
        (one, other)
        for file in ("0.mp4", "1.mp4", "2.mp4")
        for one, other in zip(*(mirasol.ask(folder / file, QUESTIONS, model) for model in (half, whole)), strict=True)
    ]
    same = [(one, other) for one, other in pairs if one.answer == other.answer]
    assert len(same) >= 5
    assert all(abs(one.confidence - other.confidence) < 0.15 for one, other in same)
