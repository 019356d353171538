"""Ctrl-C in a real process: the step in progress is finished, a checkpoint is written, and the run resumes from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
import sys
sys.path.insert(0, {folder!r})
import time
from mixed_run import mixed_run
from mirasol.train import loop
real = loop.Learner.follow
def follow(self, *given):
    time.sleep(0.05)  # a step takes long enough to be met
    return real(self, *given)
loop.Learner.follow = follow
def recipe():
    return mixed_run(steps=200, save_every=1000, log_every=1)
"""


@pytest.mark.slow
def test_ctrl_c_saves_says_one_line_and_resumes(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE.format(folder=str(Path(__file__).parent)))
    words = [sys.executable, "-m", "mirasol", "train", str(tmp_path / "recipe.py"), "--out", str(tmp_path / "run")]
    for first in (True, False):
        run = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert run.stdout is not None
        said = ""
        for line in run.stdout:
            said += line
            if line.startswith("step ") and "loss" in line:
                os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
                break
        said += run.communicate(timeout=60)[0]
        assert run.returncode == 130, said
        assert "of 200; the same command resumes there" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert ("resuming from" in said) is not first
        assert len(list((tmp_path / "run").glob("step-*"))) >= 1
