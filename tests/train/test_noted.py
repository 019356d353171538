"""A file that is used although something in it is odd (samples that are no sound) is named by whoever uses it: training
through each kind of batches, and `prepare`."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_run import LEAST

from mirasol.cli.preparing import summary
from mirasol.data.batches import ItemBatches
from mirasol.data.bucketed import BucketedBatches
from mirasol.data.item_streams import ItemStreams
from mirasol.data.opening import open_items
from mirasol.data.preparing import How, prepare
from mirasol.model.text import Text, train_tokenizer
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import train

TOKENIZER = train_tokenizer(["a bell rings"], LEAST.vocabulary)
BAD = {"nan.wav": (float("nan"), 3), "infinite.wav": (float("-inf"), 1), "huge.wav": (3e38, 2)}
KINDS: dict[str, Callable[..., Any]] = {
    "in order": lambda items, text: ItemBatches(items, LEAST, text, clips=4),
    "bucketed": lambda items, text: BucketedBatches(items, LEAST, text, clips=4),
    "in chunks": lambda items, text: ItemStreams(items, LEAST, text, lanes=4, chunk=1, chunks=2),
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four WAV files of 32-bit floats with a text each; three with samples that are no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, (value, count) in {"good.wav": (0.0, 0), **BAD}.items():
        wave = 0.3 * np.sin(np.arange(8_800) / 9, dtype=np.float32)
        wave[700 : 700 + count] = value
        head = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
        body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", wave.nbytes)
        (folder / name).write_bytes(b"RIFF" + struct.pack("<I", len(body) + wave.nbytes) + body + wave.tobytes())
        (folder / name).with_suffix(".txt").write_text(f"a bell {name[:4]}")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_training_names_what_it_uses_with_a_note(kind: str, sounds: Path, tmp_path: Path) -> None:
    run = Run(
        name="noted", sizes=LEAST, optimisation=Optimisation(steps=2, warmup=1),
        batches=lambda first, last: KINDS[kind](open_items(sounds), Text(TOKENIZER)), tokenizer=lambda: TOKENIZER,
    )  # fmt: skip
    lines: list[str] = []
    assert train(run, tmp_path, report=lines.append) is not None
    noted = [json.loads(line) for line in (tmp_path / "noted.jsonl").read_text().splitlines()]
    assert {Path(one["place"]).name: one["notes"][0][0] for one in noted} == {
        name: str(count) for name, (_, count) in BAD.items()
    }
    assert all("not finite" in one["notes"][0] for one in noted)
    assert any("3 files are used with a note" in line and "noted.jsonl" in line for line in lines), lines
    assert not (tmp_path / "left_out.jsonl").exists()


def test_prepare_names_what_it_uses_with_a_note(sounds: Path, tmp_path: Path) -> None:
    report = prepare(sounds, tmp_path / "out", How())
    assert (report["examples"], report["left_out"]) == (4, 0)
    assert {Path(one["place"]).name for one in report["noted"]} == set(BAD)
    said = summary(report, tmp_path / "out")
    for word in ("3 files are used, with a note", "nan.wav: 3 samples of the sound were not finite"):
        assert word in said
