"""Preparing: what goes in comes out once, with its clock and its texts; what is broken is named; a run that is stopped
and gone on with, on any number of processes, gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import heard_beeps, make_film, read_clock
from mirasol import cli
from mirasol.data.decoding import read_bytes
from mirasol.data.encoding import Recoding, recode
from mirasol.data.items import Item, Member
from mirasol.data.opening import open_items
from mirasol.data.preparing import How, prepare
from mirasol.data.working import run_tasks
from mirasol.data.writing import faults
from mirasol.media.reader import read

UNEVEN = np.array([0.0, 0.04, 0.08, 0.5, 0.52, 0.9, 1.0, 1.1, 1.8, 2.0, 2.04])  # seconds of frames
HALF = 0.02  # seconds: half a frame at 25 frames per second


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films in a folder, and a manifest of them: doubles under other names, spans, a sound and a picture by itself, and
    what cannot be used."""
    folder = tmp_path_factory.mktemp("films")
    rows = []
    for number in range(5):
        film = folder / f"{number}.mp4"
        make_film(film, times=np.arange(18 + number) / 10, at=[0.3 + number / 10], seconds=2.0)
        rows.append({"file": film.name, "caption": f"film {number}"})
    shutil.copy(folder / "1.mp4", folder / "one.mp4")
    shutil.copy(folder / "0.mp4", folder / "zero.mp4")
    make_film(folder / "sound.m4a", times=None, at=[0.7], seconds=1.5, format="mp4")
    Image.fromarray(np.full((40, 56, 3), 90, np.uint8)).save(folder / "still.png")
    whole = (folder / "4.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "zeros.mp4").write_bytes(bytes(5_000))
    (folder / "empty.mp4").write_bytes(b"")
    rows += [
        {"file": "one.mp4", "caption": "film 1"},
        {"file": "one.mp4", "question": "which film?", "answer": "one"},
        {"file": "2.mp4", "start": 0.4, "end": 1.3, "question": "what?", "answer": "a part"},
        {"file": "sound.m4a", "caption": "a beep"},
        {"file": "still.png", "audio": "sound.m4a", "caption": "grey, and a beep"},
        {"file": "zero.mp4", "caption": "film 0"},
        *({"file": f"{name}.mp4", "caption": name} for name in ("half", "zeros", "empty", "missing")),
        {"file": "3.mp4", "start": 0.5, "end": 60, "caption": "states a length that it has not"},
        {"file": "3.mp4", "start": 50, "end": 60, "caption": "begins after its end"},
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "data.jsonl"


BROKEN = ("half.mp4", "zeros.mp4", "empty.mp4", "missing.mp4", "3.mp4[0.5, 60)", "3.mp4[50, 60)")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_content_comes_out_once_with_all_its_texts(source: Path, tmp_path: Path) -> None:
    report = prepare(source, tmp_path / "out", How(shard_bytes=20_000))
    before = [item for item in open_items(source) if not item.key.endswith(BROKEN)]
    after = list(open_items(tmp_path / "out"))
    assert {bad["key"].removeprefix(f"{source.parent}/") for bad in report["bad"]} == set(BROKEN)
    assert report["left_out"] == len(BROKEN)
    assert report["items"] - report["left_out"] - report["merged"] - report["duplicates"] == report["examples"]
    assert (report["merged"], report["duplicates"], report["recoded"]) == (1, 1, 1)
    assert report["examples"] == len(after) == len(before) - 2
    assert report["shards"] == len(list((tmp_path / "out").glob("*.tar"))) > 2
    assert report["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tar"))
    pairs = {pair for item in before for pair in item.pairs}
    assert sorted(pair for item in after for pair in item.pairs if pair[0]) == sorted(p for p in pairs if p[0])
    assert {pair for item in after for pair in item.pairs} == pairs
    one = next(item for item in after if (None, "film 1") in item.pairs)
    assert one.pairs == ((None, "film 1"), ("which film?", "one"))
    kept = {read_bytes(item.media) for item in after if isinstance(item.media, Member)}
    assert {(source.parent / f"{number}.mp4").read_bytes() for number in range(5)} < kept
    still = next(item for item in after if item.sound is not None)
    assert isinstance(still.sound, Member)
    assert read_bytes(still.sound) == (source.parent / "sound.m4a").read_bytes()


def test_the_bytes_are_the_same_however_it_was_stopped_and_shared(source: Path, tmp_path: Path) -> None:
    how = How(Recoding(size=(30, 52), rate=16_000), seconds=0.6, shard_bytes=3_000)
    whole = prepare(source, tmp_path / "whole", how)
    assert whole["shards"] > 12
    prepare(source, tmp_path / "shared", how, workers=3)
    left = [1, 1, 1]  # ticks until it is stopped

    def stop(what: str, done: int, total: int) -> None:
        left[0] -= what == "writing"
        if left[0] < 0:
            raise KeyboardInterrupt

    while left:
        with pytest.raises(KeyboardInterrupt):
            prepare(source, tmp_path / "stopped", how, workers=len(left), tick=stop)
        del left[0]
    assert len(list((tmp_path / "stopped").glob("*.index"))) > 2
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("*.tar")}
    prepare(source, tmp_path / "stopped", how, workers=2)
    assert sum(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items()) > 2  # not made again
    assert contents(tmp_path / "whole") == contents(tmp_path / "shared") == contents(tmp_path / "stopped")
    assert prepare(source, tmp_path / "whole", how) == whole
    with pytest.raises(ValueError, match="made in another way"):
        prepare(source, tmp_path / "whole", replace(how, seconds=None))


@pytest.mark.slow
def test_killed_outright_it_goes_on(source: Path, tmp_path: Path) -> None:
    options = ["--size", "30x52", "--shard-mb", "0.012", "--seconds", "0.3", "--workers", "2"]
    command = [sys.executable, "-m", "mirasol", "prepare", str(source)]
    chance = random.Random(4)
    out, kills = tmp_path / "killed", 0
    while kills < 5:
        running = subprocess.Popen([*command, str(out), *options], stderr=subprocess.DEVNULL, start_new_session=True)
        seen = len(list(out.glob("*.index")))
        while running.poll() is None and len(list(out.glob("*.index"))) <= seen:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.05)
        if running.poll() is not None:
            break
        (os.kill if kills % 2 else os.killpg)(running.pid, signal.SIGKILL)  # its workers end by themselves
        running.wait()
        kills += 1
    assert kills >= 2
    for folder in (out, tmp_path / "whole"):
        subprocess.run([*command, str(folder), *options], check=True, stdout=subprocess.DEVNULL)
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize(("picture", "sound"), [(0.0, 0.0), (0.0, 0.7), (0.9, 0.0)])
@pytest.mark.parametrize("span", [(None, None), (0.61, 1.87)])
@pytest.mark.parametrize("how", [Recoding(), Recoding(fps=25), Recoding(rate=16_000, size=(50, 112))])
def test_a_written_film_keeps_its_clock(
    tmp_path: Path, picture: float, sound: float, span: tuple[float | None, float | None], how: Recoding
) -> None:
    """Beside its source: the same frame on screen at every instant, the same beeps, each within half a frame."""
    path = tmp_path / "film.mp4"
    make_film(path, times=UNEVEN + picture, at=[0.5, 1.0, 1.7], seconds=2.4, audio_shift=sound)
    film, seconds, _ = recode(Item("film", str(path), (), *span), how)
    start = span[0] or 0.0
    one, other = read(path, *span), read(film)
    assert seconds == pytest.approx(one.duration, abs=0.001)
    assert one.duration - HALF <= other.duration <= one.duration + HALF + 1_024 / (how.rate or 44_100)
    assert one.waveform is not None
    assert other.waveform is not None
    beeps = [second - start for second in heard_beeps(one.waveform, 16_000, one.waveform_start)]
    assert heard_beeps(other.waveform, 16_000, other.waveform_start) == pytest.approx(beeps, abs=HALF)
    assert len(beeps) > 0
    grid = np.arange(0, one.duration - HALF, 0.01)
    shown = [read(path, *span, instants=lambda a, b: start + grid), read(film, instants=lambda a, b: grid)]
    clocks = []
    for clip, begun in zip(shown, (start, 0.0), strict=True):
        assert clip.frames is not None
        assert clip.frame_instants is not None
        clocks.append(
            {
                round(at - begun, 2): read_clock(frame)
                for at, frame in zip(clip.frame_instants, clip.frames, strict=True)
            }
        )
    here, there = clocks
    changes = [at for at in here if here[at] != here.get(round(at - 0.01, 2))] + [max(here) + 0.01, min(here)]
    far = [at for at in here.keys() | there.keys() if min(abs(at - change) for change in changes) > HALF + 0.001]
    assert len(far) > 20
    assert [here.get(at) for at in far] == [there.get(at) for at in far]


def test_the_same_media_give_the_same_bytes(source: Path) -> None:
    """Whatever else lies in memory. (With x264's macroblock tree one film of twenty differed.)"""
    junk: list[bytes] = []
    for name in ("1.mp4", "3.mp4"):
        item, made = Item("film", str(source.parent / name), (), 0.6, 1.2), set()
        for _ in range(60):
            junk = [*junk[-30:], *(random.randbytes(random.randrange(1, 60_000)) for _ in range(3))]
            made.add(recode(item, Recoding((30, 52), rate=16_000))[:2])
        assert len(made) == 1, name


def test_captions_are_cut_into_pieces_and_questions_are_not(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, asked in (("told", {"caption": "numbers"}), ("asked", {"question": "what?", "answer": "numbers"})):
        make_film(source / f"{name}.mp4", times=np.arange(0, 5, 0.1), at=[2.5], seconds=4.8 + len(asked) / 10)
        (source / f"{name}.json").write_text(json.dumps(asked))
    report = prepare(source, out, How(seconds=1.5))
    items = {item.key.rpartition(":")[2]: item for item in open_items(out)}
    assert [len(items), report["recoded"], report["shards"]] == [4, 3, 1]
    assert [item.pairs[0][0] for item in items.values()] == ["what?", None, None, None]
    clips = [read(read_bytes(item.media)) for item in items.values() if isinstance(item.media, Member)][1:]
    assert [clip.duration for clip in clips] == pytest.approx([1.5, 1.5, 1.94], abs=0.05)
    for number, clip in enumerate(clips):
        assert clip.frames is not None
        clocks = [read_clock(frame) for frame in clip.frames]
        assert clocks == pytest.approx(np.arange(len(clocks)) / 10 + number * 1.5, abs=0.051)
    assert report["seconds"] == pytest.approx(2 * 4.94, abs=0.1)


def test_checksums_name_what_has_changed(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path, How(shard_bytes=20_000))
    assert list(faults(tmp_path)) == []
    shard = sorted(tmp_path.glob("*.tar"))[1]
    with tarfile.open(shard) as archive:
        member = archive.getmembers()[0]
        assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
    data = bytearray(shard.read_bytes())
    data[member.offset_data + 100] ^= 1
    shard.write_bytes(data)
    found = list(faults(tmp_path))
    assert len(found) == 2
    assert shard.name in found[0]
    assert member.name in found[1]


def test_the_webdataset_package_reads_the_shards(source: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    prepare(source, tmp_path, How(shard_bytes=20_000))
    shards = sorted(map(str, tmp_path.glob("*.tar")))
    read = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    ours = list(open_items(tmp_path))
    assert [sample["__key__"] for sample in read] == [item.key.rpartition(":")[2] for item in ours]
    for sample, item in zip(read, ours, strict=True):
        pairs = [(pair["prompt"], pair["target"]) for pair in json.loads(sample["json"])["pairs"]]
        assert tuple(pairs) == item.pairs
        if isinstance(item.media, Member):
            assert sample[item.media.name.partition(".")[2]] == read_bytes(item.media)


class Crash:
    """Work at which one task kills its process."""

    def make(self, task: int) -> None:
        if task == 3:
            os._exit(9)


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^a worker process died .*--workers 1.*$"):
        list(run_tasks(Crash(), "make", range(5), workers=2))


@pytest.mark.slow
def test_ray_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    how = How(shard_bytes=20_000)
    prepare(source, tmp_path / "one", how)
    prepare(source, tmp_path / "other", how, workers=2, ray="local")
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_shards_may_be_prepared_again(source: Path, tmp_path: Path) -> None:
    """From shards to shards: the same examples."""
    prepare(source, tmp_path / "one", How())
    report = prepare(tmp_path / "one", tmp_path / "two", How(shard_bytes=20_000))
    assert report["left_out"] == report["duplicates"] == 0
    items = [list(open_items(tmp_path / name)) for name in ("one", "two")]
    assert [item.pairs for item in items[0]] == [item.pairs for item in items[1]]


def test_mistakes_are_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    for words, expected in (
        ([str(source), str(tmp_path / "full")], "holds something else"),
        ([str(source.parent), str(source.parent / "shards")], "outside"),
        ([str(source), str(tmp_path / "x"), "--size", "240"], "HxW"),
        ([str(source), str(tmp_path / "x"), "--keep", "--fps", "5"], "--keep"),
        ([str(source), str(tmp_path / "x"), "--rate", "12345"], "AAC"),
        ([str(tmp_path / "nothing.jsonl"), str(tmp_path / "x")], "no manifest"),
    ):
        monkeypatch.setattr(sys, "argv", ["mirasol", "prepare", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 2
        line = capsys.readouterr().err
        assert expected in line
        assert line.count("\n") == 1
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"
