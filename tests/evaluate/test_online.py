"""Questions while a film runs: nothing later than a question's second reaches its answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from films import make_film
from mirasol.data.annotations import MediaFolder, Row, by_media, read_annotations
from mirasol.evaluate.films import Film
from mirasol.evaluate.online import watch_online
from mirasol.evaluate.runner import Plan, run
from mirasol.evaluate.tasks import TASKS
from mirasol.inference.answer import Loaded, load


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load("tiny")


def row(at: float) -> Row:
    return Row(str(at), "f", ("f",), "what do you hear?", ("dog",), ("dog", "cat", "bell"), 0, at=at)


def test_what_comes_later_changes_nothing(tmp_path: Path, loaded: Loaded) -> None:
    """Two films that are the same up to second 4 and differ after it; one is asked at its end as well."""
    times = np.arange(0, 6, 0.25)
    make_film(tmp_path / "a.mkv", times=times, at=[1.0, 5.0], seconds=6.0, size=(32, 48), audio="pcm_s16le",
              video="ffv1", pixels="bgr0")  # fmt: skip
    make_film(tmp_path / "b.mkv", times=times[:16], at=[1.0], seconds=4.0, size=(32, 48), audio="pcm_s16le",
              video="ffv1", pixels="bgr0")  # fmt: skip
    asked = [row(at) for at in (0.2, 2.5, 3.0, 60.0)]
    one, two = (
        watch_online(Film(n, str(tmp_path / f"{n}.mkv")), asked, ("both", "sound"), loaded, "mean") for n in "ab"
    )
    assert not one.unused
    ours, theirs = ({(r.row, r.key): r for r in found.records} for found in (one, two))
    assert len(ours) == 8
    for key in ours:
        if key[1] != "60.0":
            assert np.allclose(np.array(ours[key].scores), np.array(theirs[key].scores), atol=1e-4)
    late = [ours["both", "60.0"], theirs["both", "60.0"]]
    assert not np.allclose(np.array(late[0].scores), np.array(late[1].scores), atol=1e-4)
    for (_, key), record in ours.items():
        assert record.more["fed_until"] <= min(float(key), 6.1)
        assert record.more["state_bytes"] > 0
        assert record.more["delay"] >= 0
    assert ours["both", "3.0"].more["fed_until"] > ours["both", "0.2"].more["fed_until"]


def test_a_benchmark_that_runs_online(tmp_path: Path, loaded: Loaded) -> None:
    films = tmp_path / "videos"
    films.mkdir()
    make_film(films / "sample_1.mp4", times=np.arange(0, 3, 0.25), at=[1.0], seconds=3.0, size=(32, 48))
    (films / "sample_2.mp4").write_bytes(b"no film")
    question = {"task_type": "Object", "question": "what is it?", "answer": "B", "options": ["A. dog", "B. cat"]}
    questions = [{**question, "time_stamp": f"00:00:0{at}"} for at in (1, 2)]
    listed = [{"video_path": f"./videos/sample_{n}.mp4", "questions": questions} for n in (1, 2, 3)]
    source = tmp_path / "questions_real.json"
    source.write_text(json.dumps(listed))
    plan = Plan(
        TASKS["streamingbench"], read_annotations(source), source, MediaFolder(tmp_path), rows=("both", "picture")
    )
    result = run(plan, loaded, tmp_path / "out")
    assert (result["coverage"]["answered"], result["coverage"]["missing"], result["coverage"]["damaged"]) == (2, 2, 2)
    assert set(result["scores"]) == {"both", "picture"}
    assert {"delay_mean_s", "delay_p95_s"} <= set(result["speed"])
    assert run(plan, loaded, tmp_path / "out")["predictions"] == result["predictions"]
    assert len(list(by_media([replace(r, at=1.0) for r in plan.listed()]))) == 3
