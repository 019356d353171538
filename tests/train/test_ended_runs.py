"""Runs that end in other ways than planned: killed, two in one folder, a full disk, a clip that is no number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mixed_run import mixed_run

from mirasol.data.examples import Batch
from mirasol.data.stepped import SteppedBatches
from mirasol.model.mirasol import Mirasol
from mirasol.train import checkpoint
from mirasol.train.card import read_log
from mirasol.train.holding import held
from mirasol.train.loop import train

HOLD = """
import sys, time
from pathlib import Path
from mirasol.train.holding import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def steps_of(out: Path) -> list[int]:
    return [line["step"] for line in read_log(out) if "loss" in line]


def killed(out: Path, at: int, **options: Any) -> None:
    """A run that ends without a word after step `at`."""

    def tick(done: int, steps: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(mixed_run(**options), out, report=lambda line: None, tick=tick)


def test_a_folder_is_held_by_one_run_and_free_after_a_kill(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    try:
        with pytest.raises(ValueError, match=rf"in use by another run \(process {other.pid} on \S+, since 20"):
            train(mixed_run(steps=1), tmp_path, report=lambda line: None)
        assert not (tmp_path / "log.jsonl").exists()
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with held(tmp_path):
        pass


def test_the_log_is_cut_back_to_the_checkpoint_torn_lines_too(tmp_path: Path) -> None:
    killed(tmp_path, at=5, steps=7, save_every=3)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')
    lines: list[str] = []
    model = train(mixed_run(steps=7, save_every=3), tmp_path, report=lines.append)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    assert any("lines after step 3" in line for line in lines), lines
    assert model is not None
    assert (model / "README.md").is_file()


def test_a_torn_last_line_does_not_cost_the_card(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.0}]


def test_a_run_that_begins_again_says_so(tmp_path: Path) -> None:
    killed(tmp_path, at=2, steps=3, save_every=9)
    lines: list[str] = []
    train(mixed_run(steps=3, save_every=9), tmp_path, report=lines.append)
    assert any("ended before its first checkpoint: it begins again at step 0" in line for line in lines), lines
    assert steps_of(tmp_path) == [1, 2, 3]


def test_checkpoints_by_time(tmp_path: Path) -> None:
    killed(tmp_path, at=3, steps=5, save_every=100, save_minutes=1e-6)
    assert checkpoint.latest(tmp_path) == tmp_path / "step-0000002"
    killed(tmp_path / "never", at=3, steps=5, save_every=100, save_minutes=0.0)
    assert checkpoint.latest(tmp_path / "never") is None


def test_a_full_disk_costs_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = checkpoint.save_file

    def full(tensors: Any, path: Path) -> None:
        if "0000004" in str(path):
            Path(path).write_bytes(b"half of it")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    said = r"checkpoint of step 4 cannot be written \(No space left on device\); .*step-0000002 is whole"
    with pytest.raises(ValueError, match=said):
        train(mixed_run(steps=6, save_every=2), tmp_path, report=lambda line: None)
    assert not list(tmp_path.glob(".making-*"))
    monkeypatch.setattr(checkpoint, "save_file", real)
    assert train(mixed_run(steps=6, save_every=2), tmp_path, report=lambda line: None) is not None
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("known", [False, True])
def test_a_loss_that_is_no_number_names_the_files(tmp_path: Path, known: bool) -> None:
    """Those whose samples are none; where all are, those of the batch."""
    run = mixed_run(steps=4)
    source = run.batches(0, 4)

    class Spoilt(SteppedBatches):
        first, last = 0, 4

        def batch(self, step: int) -> Batch:
            batch = source.batch(step)
            batch = replace(batch, names=tuple(f"step{step}-clip{row}.mp4" for row in range(len(batch.seeds))))
            if step == 2 and known:
                batch.inputs.input_features[0] = float("nan")  # a clip of sound
            return batch

    def poison(done: int, steps: int) -> None:
        if done == 2 and not known:
            for model in models:
                with torch.no_grad():
                    next(model.parameters()).fill_(float("inf"))

    models: list[Mirasol] = []
    run = replace(run, batches=lambda a, b: Spoilt(), build=lambda sizes: models.append(Mirasol(sizes)) or models[-1])
    with pytest.raises(ValueError, match=r"not a number at step 2.*step2-clip0\.mp4") as error:
        train(run, tmp_path, report=lambda line: None, tick=poison)
    assert ("step2-clip1.mp4" in str(error.value)) is not known


def test_the_model_knows_the_name_of_its_run_and_the_words_of_its_questions(tmp_path: Path) -> None:
    model = train(mixed_run(steps=2), tmp_path, report=lambda line: None)
    assert model is not None
    assert json.loads((model / "config.json").read_text())["run"] == "mixed"
    words = json.loads((model / "words.json").read_text())
    assert words == sorted(words)
    assert (
        {"what", "is"}
        <= set(words)
        <= {"what", "is", *["bell", "dog", "blue", "left", "two", "the", "horn", "and", "drum"]}
    )
    Mirasol.load(model)
