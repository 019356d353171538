"""`mirasol evaluate` on a real data set's layout: a hundred small media files, some missing, silent or damaged."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from films import make_film
from mirasol import cli
from mirasol.data.annotations import MediaFolder, read_annotations
from mirasol.evaluate.checking import answer_again, load_result, verify
from mirasol.evaluate.films import Film, watch_together
from mirasol.evaluate.runner import Plan, run
from mirasol.evaluate.tasks import TASKS
from mirasol.inference.answer import Loaded, load, put
from mirasol.inference.files import watch
from mirasol.inference.session import Session
from mirasol.media.clip import Clip

FILMS = 100


@pytest.fixture(scope="module")
def encodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few distinct files, which many names share."""
    folder = tmp_path_factory.mktemp("encodes")
    times = np.arange(0, 1.5, 0.25)
    make_film(folder / "one.mp4", times=times, at=[0.3, 1.0], seconds=1.5, size=(32, 48))
    make_film(folder / "two.mp4", times=times[:4], at=[0.1], seconds=1.0, size=(48, 32))
    make_film(folder / "silent.mp4", times=times, at=None, size=(32, 48))
    make_film(folder / "sound.wav", times=None, at=[0.2], seconds=1.25, audio="pcm_s16le")
    (folder / "damaged.mp4").write_bytes((folder / "one.mp4").read_bytes()[:300])
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load("tiny")


def place(encodes: dict[str, Path], folder: Path, names: list[str], *, missing: int = 3) -> dict[str, int]:
    """Files of all kinds under these names; the last few stay away. Gives how many there are of each kind."""
    kinds = [kind for kind in ("one", "two", "silent", "sound") for _ in range(24)] + ["damaged"] * 4
    chance = np.random.default_rng(5)
    kept = names[: len(names) - missing]
    order = [kinds[at] for at in chance.permutation(len(kinds))][: len(kept)]
    order[0], order[1] = "damaged", "one"
    for name, kind in zip(kept, order, strict=True):
        path = folder / f"{name}{encodes[kind].suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(encodes[kind], path)
    return {kind: order.count(kind) for kind in set(order)}


@pytest.fixture(scope="module")
def music(encodes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MUSIC-AVQA's layout: two questions a film."""
    folder = tmp_path_factory.mktemp("music")
    names = [f"{number:08d}" for number in range(FILMS)]
    counts = place(encodes, folder / "videos", names)
    rows: list[dict[str, Any]] = []
    for at, name in enumerate(names):
        for kind, question, values, answer in (
            (["Audio", "Counting"], "How many sounds are there?", [], "two"),
            (["Visual", "Location"], "Where is the <Object>?", ["piano"], ("left", "right")[at % 2]),
        ):
            rows.append({
                "video_id": name, "question_id": len(rows), "type": json.dumps(kind), "question_content": question,
                "templ_values": json.dumps(values), "question_deleted": 0, "anser": answer,
            })  # fmt: skip
    (folder / "avqa-val.json").write_text(json.dumps(rows))
    (folder / "counts.json").write_text(json.dumps(counts))
    return folder


@pytest.fixture(scope="module")
def next_qa(encodes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NExT-QA's layout: films in VidOR's folders, five options."""
    folder = tmp_path_factory.mktemp("next")
    places = {str(4000 + n): f"{n % 7:04d}/{4000 + n}" for n in range(FILMS)}
    place(encodes, folder / "films", list(places.values()))
    (folder / "map_vid_vidorID.json").write_text(json.dumps(places))
    head = [
        "video",
        "frame_count",
        "width",
        "height",
        "question",
        "answer",
        "qid",
        "type",
        "a0",
        "a1",
        "a2",
        "a3",
        "a4",
    ]
    options = ["a dog", "the cat in the house, at night", "red", "two", "left"]
    with (folder / "val.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(head)
        lines.writerows([v, 9, 1, 1, "why does it move", n % 5, 0, "CW", *options] for n, v in enumerate(places))
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run_cli(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mirasol", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run_cli


def plan_of(folder: Path, task: str, name: str, **changes: Any) -> Plan:
    source = folder / name
    return Plan(TASKS[task], read_annotations(source), source, MediaFolder(folder), **changes)


def test_music_avqa_end_to_end(music: Path, tmp_path: Path, call) -> None:
    """Two questions a film, two ways of showing; the film that is missing or damaged is named, no headline below the
    stated coverage, and the result holds what its predictions give, until somebody improves it."""
    counts = json.loads((music / "counts.json").read_text())
    code, told, _ = call(
        "evaluate", "music-avqa", "--data", str(music), "--out", str(tmp_path), "--rows", "both,swapped"
    )
    assert code == 0, told
    result = json.loads((tmp_path / "result.json").read_text())
    coverage = result["coverage"]
    assert (coverage["listed"], coverage["missing"], coverage["damaged"]) == (200, 6, 2 * counts["damaged"])
    assert coverage["answered"] == 194 - 2 * counts["damaged"]
    assert result["silent"] == counts["silent"]
    assert len(result["predictions"]) == 2 * coverage["answered"]
    assert result["headline"] is None
    assert "no headline" in told
    for row, figures in result["scores"].items():
        records = [one for one in result["predictions"] if one["row"] == row]
        assert figures["accuracy"] == pytest.approx(
            100 * np.mean([one["answer"] == one["answers"][0] for one in records]), abs=1e-3
        )
        assert set(figures) == {"accuracy", "Audio", "Visual", "Audio Counting", "Visual Location"}
    assert {"versions", "speed", "peak_memory_mib", "machine"} <= set(result)

    path = str(tmp_path / "result.json")
    assert call("evaluate", "--verify", path, "--data", str(music), "--sample", "5")[0] == 0
    result["predictions"][0]["answers"] = [result["predictions"][0]["answer"] + "!"]
    result["scores"]["both"]["accuracy"] += 1
    (tmp_path / "result.json").write_text(json.dumps(result))
    code, _, why = call("evaluate", "--verify", path)
    assert (code, why.count("\n")) == (2, 1)
    assert "both accuracy" in why


def test_a_headline_where_enough_is_covered(music: Path, tmp_path: Path, call) -> None:
    words = ["evaluate", "music-avqa", "--data", str(music), "--least-coverage", "0.5", "--vocabulary"]
    code, told, _ = call(*words, str(music / "avqa-val.json"), "--out", str(tmp_path))
    assert code == 0
    assert "headline: both accuracy" in told
    for one in json.loads((tmp_path / "result.json").read_text())["predictions"]:
        assert one["options"] == ["two", "left", "right"]
        assert one["answer"] in one["options"]
    code, _, why = call(*words, str(music / "avqa-val.json") + ":1", "--out", str(tmp_path))
    assert (code, "another configuration" in why) == (2, True)


def whole_batches(lines: list[str]) -> str:
    """What stays of a file that was cut off: all up to the last batch that was finished."""
    last = max(at for at, line in enumerate(lines) if '"done"' in line)
    return "".join(lines[: last + 1])


def test_next_qa_goes_on_after_a_kill(next_qa: Path, tmp_path: Path) -> None:
    """Killed (SIGKILL) in the middle, the last line torn, and called again: the same predictions as in one go."""
    command = [sys.executable, "-m", "mirasol", "evaluate", "next-qa", "--data", str(next_qa), "--batch", "4"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    cut, ledger = tmp_path / "cut", tmp_path / "cut" / "predictions.jsonl"
    process = subprocess.Popen([*command, "--out", str(cut)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (ledger.exists() and ledger.read_text().count('"done"') >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cut / "result.json").exists()
    before = [line for line in ledger.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert before
    with ledger.open("a") as file:
        file.write('{"record": {"row": "bo')
    loaded = load("tiny")
    again = run(plan_of(next_qa, "next-qa", "val.csv", batch=4), loaded, cut)
    assert ledger.read_text().startswith(whole_batches(before))
    whole = run(plan_of(next_qa, "next-qa", "val.csv", batch=4), loaded, tmp_path / "whole")
    assert again["predictions"] == whole["predictions"]
    assert again["scores"] == whole["scores"]
    assert again["unused"] == whole["unused"]
    assert len({one["key"] for one in again["predictions"]}) == again["coverage"]["answered"]
    assert verify(load_result(cut / "result.json"), TASKS["next-qa"]) == []
    assert answer_again(again, plan_of(next_qa, "next-qa", "val.csv", batch=1), loaded, 4) == []


def test_films_side_by_side_are_each_as_if_alone(encodes: dict[str, Path], loaded: Loaded) -> None:
    """Films of unequal length and kind as one batch: the same answers as `mirasol ask`; the broken one has an error."""
    names = ("one", "silent", "sound", "damaged", "two")
    films = [Film(name, str(encodes[name])) for name in names]
    seen = watch_together(films, loaded, ("both", "picture", "sound"))
    assert [one.film.key for one in seen if one.error] == ["damaged"]
    for one in seen:
        if one.error is not None:
            continue
        clips: list[Clip] = []
        alone = {"both": watch(one.film.media, loaded, observe=clips.append)}
        for row, changes in (("picture", {"waveform": None}), ("sound", {"frames": None})):
            # The whole film with one of its streams taken away, and so of the film's full length.
            session = Session(loaded, start=0.0, picture=one.film.key != "sound" or row == "picture",
                              sound=one.film.key != "silent" or row == "sound")  # fmt: skip
            for clip in clips:
                session.push_clip(replace(clip, **changes))
            session.flush(clips[-1].end)
            alone[row] = session.snapshot()
        for row, watched in alone.items():
            for question in ("what do you hear?", None):
                (ours,), (theirs,) = (put(w, [question], loaded) for w in (one.rows[row], watched))
                assert ours.answer == theirs.answer
                assert replace(ours.receipt, warnings=()) == replace(theirs.receipt, warnings=())
                assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)


def test_swapped_sound_is_that_of_the_other_film(encodes: dict[str, Path], loaded: Loaded) -> None:
    one, two = (Film(name, str(encodes[name])) for name in ("one", "two"))
    swapped = watch_together([Film("one", one.media, other=two)], loaded, ("swapped", "both"))[0]
    by_hand = watch_together([Film("one", one.media, sound=two.media)], loaded, ("both",))[0]
    assert swapped.rows["swapped"].receipt.sound_seconds == pytest.approx(1.0, abs=0.05)
    for name in ("latents",):
        ours = getattr(swapped.rows["swapped"].state, name)
        assert (ours - getattr(by_hand.rows["both"].state, name)).abs().max() < 1e-4
        assert (ours - getattr(swapped.rows["both"].state, name)).abs().max() > 1e-3


def test_check_counts_what_is_there(music: Path, call) -> None:
    counts = json.loads((music / "counts.json").read_text())
    code, told, _ = call("data", "check", str(music / "avqa-val.json"), "--media", str(music), "--json")
    found = json.loads(told)
    assert code == 0
    assert (found["format"], found["rows"], found["media"]) == ("music-avqa", 200, 100)
    assert [len(found[kind]) for kind in ("missing", "silent", "blind", "damaged")] == [
        3, counts["silent"], counts["sound"], counts["damaged"],
    ]  # fmt: skip
    code, told, _ = call("data", "check", str(music / "avqa-val.json"))
    assert "MUSIC-AVQA (music-avqa), 200 rows" in told
    assert "Where is the piano?" in told or "How many sounds" in told
    assert call("data", "check", str(music / "counts.json"))[0] == 2


def test_what_cannot_be_evaluated_is_said_in_one_line(music: Path, tmp_path: Path, call) -> None:
    for words, line in (
        (["nothing", "--data", str(music)], "no task"),
        (["next-qa", "--data", str(music)], "found no annotation file"),
        (["music-avqa"], "expected --data"),
        (["music-avqa", "--data", str(music), "--split", "train"], "split train"),
        (["vggsound", "--data", str(music), "--annotations", str(music / "avqa-val.json")], "those of music-avqa"),
        (["--verify", str(tmp_path / "none.json")], "no result"),
    ):
        code, _, why = call("evaluate", *words)
        assert (code, why.count("\n")) == (2, 1)
        assert line in why


def test_films_that_come_later_are_taken_up(encodes: dict[str, Path], loaded: Loaded, tmp_path: Path) -> None:
    """A second call answers what was missing, and what was answered before stays as it is."""
    rows = [{"id": n, "video_name": f"film{n}", "question_text": "what is it?", "multi_choice": ["dog", "bell", "red"],
             "answer": n % 3} for n in range(4)]  # fmt: skip
    (tmp_path / "val_qa.json").write_text(json.dumps(rows))
    for n in (0, 2):
        os.link(encodes["one"], tmp_path / f"film{n}.mp4")
    first = run(plan_of(tmp_path, "avqa", "val_qa.json"), loaded, tmp_path / "out")
    assert (first["coverage"]["answered"], first["coverage"]["missing"], first["headline"]) == (2, 2, None)
    for n in (1, 3):
        os.link(encodes["two"], tmp_path / f"film{n}.mp4")
    second = run(plan_of(tmp_path, "avqa", "val_qa.json"), loaded, tmp_path / "out")
    assert second["coverage"]["share"] == 1.0
    assert second["headline"] == {"both accuracy": second["scores"]["both"]["accuracy"]}
    assert second["predictions"][:2] == first["predictions"]
    assert "missing" not in second["coverage"]
