"""The command line, run inside this process: what it prints, what it writes, how it fails."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mirasol import cli
from mirasol.inference import files
from mirasol.inference.session import Session
from mirasol.media import toybox
from mirasol.media.clip import MediaError
from mirasol.media.live import Live
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import train_tokenizer
from mirasol.train.checkpoint import save_model
from packs import KINDS, save_pack

RECEIPT = {"start", "end", "picture_seconds", "sound_seconds", "frames", "snippets", "model"}
SIZES: dict[str, Any] = dict(  # noqa: C408
    frame_rate=4.0, frames=4, height=24, width=36, mels=32, hop=640, window=640, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner_layers=1, combined=3, latent_layers=1,
    context_snippets=5, reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=120,
)  # fmt: skip
RECIPE = f"""
from mirasol.data.toybox import Stage, ToyboxBatches, toybox_tokenizer
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text
from mirasol.train.config import Optimisation, Run

SIZES = Sizes(**{SIZES!r})

def tokenizer():
    return toybox_tokenizer(SIZES.vocabulary, scenes=20)

def recipe():
    return Run(
        name="least", sizes=SIZES, optimisation=Optimisation(steps=2), tokenizer=tokenizer,
        batches=lambda a, b: ToyboxBatches(SIZES, Text(tokenizer()), (Stage(0, (1, 1), 2),), a, b),
        evaluate={{"split": "validation", "scenes": 2}}, workers=0, log_every=1, evaluate_every=2,
    )
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a model of random weights."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("models") / "random"
    words = [question.text for seed in range(20) for question in toybox.make_scene(seed, "train").questions]
    save_model(Mirasol(Sizes(**SIZES)).eval(), train_tokenizer(words, SIZES["vocabulary"]), path)
    return str(path)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    scene = toybox.make_scene(1, "test", seconds=3)
    return str(toybox.write_file(scene, tmp_path_factory.mktemp("films") / "film.mp4", 48, 80, frame_rate=12))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """run("ask", ...) -> (exit code, stdout, stderr)."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # so that `main` changes nothing that outlives the test

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mirasol", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_help_of_every_command_loads_nothing_heavy() -> None:
    code = """
import sys
from mirasol.cli import app
for command in ("ask", "describe", "inspect", "toybox", "train", "evaluate", "demo"):
    try:
        app([command, "--help"])
    except SystemExit as stop:
        assert not stop.code
print([name for name in ("torch", "transformers", "numpy", "av", "PIL") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert result.stdout.endswith("[]\n"), result.stderr[-2000:]


def test_ask_gives_one_json_object_for_each_question(run, model: str, film: str) -> None:
    code, out, err = run("ask", film, "what do you hear?", "who?", "--model", model, "--end", 2, "--json")
    assert (code, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["question"] for answer in answers] == ["what do you hear?", "who?"]
    for answer in answers:
        assert set(answer) == {"question", "answer", "confidence", "receipt", "logprobs", "ended"}
        assert set(answer["receipt"]) >= RECEIPT
        assert 0 <= answer["confidence"] <= 1
    receipt = answers[0]["receipt"]
    assert {name: receipt[name] for name in RECEIPT} == {
        "start": 0.0, "end": 2.0, "picture_seconds": 2.0, "sound_seconds": 2.0, "frames": 8, "snippets": 2,
        "model": "random",
    }  # fmt: skip


def test_ask_prints_answers_and_one_receipt_and_draws(run, model: str, film: str, tmp_path: Path) -> None:
    picture = tmp_path / "out.png"
    code, out, _ = run("ask", film, "who?", "why?", "--model", model, "--picture", picture, "--no-sound")
    assert code == 0
    assert out.count("% sure") == 2
    assert out.count("watched 0.00 to 3.00 s: 3.00 s of picture (12 frames), 0.00 s of sound") == 1
    assert out.index("who?") < out.index("why?") < out.index("watched")
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_describe(run, model: str, film: str) -> None:
    code, out, _ = run("describe", film, "--model", model, "--json", "--start", 0.5, "--no-picture")
    (line,) = out.splitlines()
    assert code == 0
    assert json.loads(line)["receipt"]["frames"] == 0
    assert json.loads(line)["receipt"]["start"] == 0.5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ask", "FILM", "who?", "--model", "huge"], "no model 'huge'"),
        (["ask", "FILM", " ", "--model", "MODEL"], "empty"),
        (["ask", "FILM", "who?", "--model", "MODEL", "--start", "2", "--end", "1"], "start < end"),
        (["ask", "FILM", "who?", "--model", "MODEL", "--start", "20"], "it ends at 3"),
        (["ask", "TEXT", "who?", "--model", "MODEL"], "note.mp4"),
        (["ask", "missing.mp4", "who?", "--model", "MODEL"], "missing.mp4"),
        (["ask", "FILM", "who?", "--model", "MODEL", "--no-sound", "--no-picture"], "--no-picture with --no-sound"),
        (["ask", "FILM", "who?", "--model", "MODEL", "--picture", "nowhere/out.png"], "does not exist"),
        (["ask", "FILM", "who?", "--model", "MODEL", "--picture", "out.txt"], "ending in .png"),
        (["describe", "missing.mp4", "--model", "MODEL"], "missing.mp4"),
        (["inspect", "--preset", "huge"], "tiny, small, base, 3b"),
        (["inspect", "--model", "TEXT"], "no model"),
        (["toybox", "--split", "exam"], "no split 'exam'"),
        (["toybox", "--format", "gif"], "mp4 or webm"),
        (["toybox", "--seconds", "99", "--out", "OUT"], "seconds"),
        (["train", "missing.py"], "no recipe"),
        (["train", "TEXT"], "Python file"),
        (["evaluate", "exam", "--model", "MODEL"], "no task 'exam'"),
        (["evaluate", "toybox", "--model", "MODEL", "--rows", "both,smell"], "no row 'smell'"),
        (["evaluate", "toybox", "--model", "MODEL", "--splits", ","], "at least one split"),
        (["evaluate", "toybox", "--model", "MODEL", "--json", "nowhere/out.json"], "does not exist"),
        (["demo", "--model", "huge"], "no model 'huge'"),
    ],
)
def test_errors_are_one_line_and_code_2(
    run, model: str, film: str, tmp_path: Path, words: list[str], says: str
) -> None:
    text = tmp_path / "note.mp4"
    text.write_text("this is no film\n")
    places = {"FILM": film, "MODEL": model, "TEXT": text, "OUT": tmp_path / "out"}
    code, out, err = run(*(places.get(word, word) for word in words))
    assert code == 2
    assert out == ""
    assert err.startswith("mirasol: ")
    assert err.count("\n") == 1
    assert says in err


def test_interrupted(run, model: str, film: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "watch", interrupt)
    assert run("ask", film, "who?", "--model", model)[0] == 130


def test_inspect(run, model: str) -> None:
    code, out, _ = run("inspect", "--model", model, "--json")
    assert code == 0
    numbers = json.loads(out)
    assert set(numbers) >= {"total", "audio_video", "text", "components", "tokens_per_snippet", "state_bytes"}
    code, out, _ = run("inspect", "--preset", "small")
    assert code == 0
    assert "latent_model" in out
    assert "and the memory" in out


def test_toybox_writes_films_truth_and_sheets(run, tmp_path: Path) -> None:
    words = ("toybox", "--out", tmp_path / "a", "--count", 2, "--seed", 5, "--seconds", 1, "--split", "compositional")
    code, out, _ = run(*words, "--format", "webm")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert [name.partition(".")[2] for name in names] == ["json", "png", "webm"] * 2
    scene = json.loads((tmp_path / "a" / names[0]).read_text())
    assert (scene["seconds"], scene["split"], scene["seed"]) == (1, "compositional", 5)
    assert "2 scenes" in out


def test_toybox_writes_streams_that_can_be_watched(
    run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, _ = run("toybox", "--stream", 12, "--count", 1, "--seed", 3, "--out", tmp_path / "s")
    assert code == 0
    film = tmp_path / "s" / "test-stream-00003.mp4"
    assert str(film) in out
    told = json.loads(film.with_suffix(".json").read_text())
    assert len(told["visits"]) == 3
    assert {"first", "last"} <= {question["type"] for question in told["questions"]}
    picture = tmp_path / "memory.png"
    code, out, err = run("watch", film, "what do you hear?", "--model", model, "--every", 5, "--picture", picture)
    assert code == 0, err
    assert "watched 0.00 to 12" in out
    assert Image.open(picture).size[0] == 1600


def test_what_was_watched_is_not_lost_when_the_source_breaks_off(
    run, model: str, film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    inner = Live.__iter__

    def broken(self: Live) -> Any:
        for arrival in inner(self):
            if arrival.time > 2.2:
                raise MediaError("cannot go on with 'film': the line is dead")
            yield arrival

    monkeypatch.setattr(Live, "__iter__", broken)
    saved = tmp_path / "session.safetensors"
    code, out, err = run("watch", film, "what do you hear?", "--model", model, "--save", saved)
    assert code == 2
    assert err.strip().splitlines()[-1] == "mirasol: cannot go on with 'film': the line is dead"
    assert "watched 0.00 to" in out
    assert Session.load(saved, model).seconds == 3  # all that had come, the last snippet in part


def test_ask_draws_the_memory(run, model: str, film: str, tmp_path: Path) -> None:
    code, out, _ = run("ask", film, "what do you hear?", "--model", model, "--memory-picture", tmp_path / "memory.png")
    assert code == 0
    assert f"picture: {tmp_path / 'memory.png'}" in out
    assert Image.open(tmp_path / "memory.png").size[0] == 1600
    code, _, err = run("ask", film, "what do you hear?", "--model", model, "--memory-picture", tmp_path / "memory.pdf")
    assert code == 2
    assert "expected a picture name" in err


def test_evaluate_streams(run, model: str, tmp_path: Path) -> None:
    words = ("--model", model, "--streams", 2, "--lengths", "64,70")
    code, out, _ = run("evaluate", "streams", *words, "--json", tmp_path / "out.json")
    assert code == 0
    assert "70 s" in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["recall"]) == {"64", "70"}
    assert report["recall"]["70"]["questions"] > 10
    for wrong in ("10", "a,b"):
        assert run("evaluate", "streams", "--model", model, "--lengths", wrong)[0] == 2


def test_toybox_blind_alone_writes_nothing(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("blind_figures", "type_shares"):
        whole = getattr(toybox, name)
        monkeypatch.setattr(toybox, name, lambda split, scenes=60, whole=whole, **more: whole(split, scenes, **more))
    code, out, _ = run("toybox", "--blind")
    assert code == 0
    assert all(type in out for type in toybox.QUESTION_TYPES)
    assert list(tmp_path.iterdir()) == []


def test_train_goes_on_where_it_was_and_makes_a_model(run, tmp_path: Path, film: str) -> None:
    (tmp_path / "least.py").write_text(RECIPE)
    words = ("train", tmp_path / "least.py", "--out", tmp_path / "run")
    assert run(*words)[0] == 0
    code, _, err = run(*words, "--steps", 3)
    assert code == 0
    assert "resuming from" in err
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert any("score/overall" in line for line in lines)
    assert run("describe", film, "--model", tmp_path / "run" / "model")[0] == 0


def test_evaluate_toybox(run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = toybox.blind_figures
    monkeypatch.setattr(toybox, "blind_figures", lambda split, **more: whole(split, 80, **more))
    words = ("--model", model, "--scenes", 3, "--splits", "test,compositional", "--rows", "both,picture,sound,swapped")
    code, out, _ = run("evaluate", "toybox", *words, "--json", tmp_path / "out.json")
    assert code == 0
    assert "compositional: percent right" in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert list(report["rows"]) == ["both", "picture", "sound", "swapped"]
    asked = report["questions"]["test"]
    for row in report["rows"].values():
        assert set(row) == {"test", "compositional"}
        assert 0 <= row["test"]["overall"] <= 100
        assert set(row["test"]["types"]) == set(asked) - {"overall"}
    assert set(report["blind"]) == set(toybox.QUESTION_TYPES)
    assert sum(count for type, count in asked.items() if type != "overall") == asked["overall"]
    assert {(line["needs"], line["row"]) for line in report["without"]} <= {
        ("sound", "picture"), ("picture", "sound"), ("both", "picture"), ("both", "sound"),
    }  # fmt: skip
    assert report["needs"]["picture"]["both"]["test"].keys() <= report["blind_needs"]["picture"].keys()


def test_evaluate_toybox_on_a_pack(run, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = toybox.blind_figures
    monkeypatch.setattr(toybox, "blind_figures", lambda split, **more: whole(split, 40, **more))
    held_out, trained_on = save_pack(tmp_path / "held_out"), save_pack(tmp_path / "train", KINDS[1:])
    words = ("evaluate", "toybox", "--model", model, "--scenes", 3, "--splits", "test", "--rows", "both")
    shown = ("--pack", held_out, "--trained-on", trained_on, "--seconds", 1)
    code, out, _ = run(*words, *shown, "--json", tmp_path / "out.json")
    assert code == 0
    assert f"of {held_out} (13 kinds)" in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["kinds"] == 13
    assert "colour" not in report["blind"], "things of a pack have no colours"
    assert 0 < report["blind"]["seen"] < 40
    world = toybox.AssetPack(held_out, KINDS[1:]).world
    asked = [q for seed in range(3) for q in toybox.make_scene(seed, "test", seconds=1, world=world).questions]
    assert report["questions"]["test"]["overall"] == len(asked)
    code, _, err = run(*words, "--trained-on", trained_on)
    assert code != 0
    assert "expected --pack FOLDER with --trained-on" in err


def test_demo_counts_honestly(run, model: str, tmp_path: Path) -> None:
    code, out, _ = run("demo", "--out", tmp_path / "demo", "--model", model)
    assert code == 0
    assert f"{out.count('   right')} of 5 right" in out
    assert out.count("WRONG") + out.count("   right") == 5
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"demo.mp4", "demo.png", "demo.json"}


def test_watch_a_pipe_with_standing_questions(model: str, film: Path, tmp_path: Path) -> None:
    """A real pipe into a real process; answers at their moments, events as JSON lines, the session saved and gone on
    with."""
    import av

    matroska = tmp_path / "film.mkv"
    with av.open(str(film)) as source, av.open(str(matroska), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    events, saved = tmp_path / "events.jsonl", tmp_path / "session.safetensors"
    command = [sys.executable, "-m", "mirasol", "watch", "-", "what do you hear?", "--model", model, "--every", "1"]
    command += ["--events", str(events), "--save", str(saved)]
    with matroska.open("rb") as pipe:
        ran = subprocess.run(command, stdin=pipe, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    ends = [line["end"] for line in lines]
    assert ends[:-1] == [1.0, 2.0, 3.0]
    assert {line["start"] for line in lines} == {0.0}  # each may rest on everything so far
    assert 3.0 < ends[-1] < 3.2  # where the sound ends (its codec adds a little), not where the snippet would
    assert set(lines[0]) == {"start", "end", "question", "answer", "confidence", "receipt", "logprobs", "ended"}
    assert "what do you hear?" in ran.stdout
    assert "session saved" in ran.stdout
    assert ran.stderr == ""
    again = subprocess.run(
        [sys.executable, "-m", "mirasol", "watch", str(film), "--model", model, "--continue", str(saved)],
        input="what do you see?\n", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    # All of the second film comes after the first, its last tenth of a second as a snippet of its own.
    assert f"{lines[-1]['receipt']['snippets'] + 4} snippets" in again.stdout


@pytest.mark.parametrize("source", ["nothing.mp4", "v4l2:/dev/no-such-camera", "-"])
def test_watch_what_cannot_be_watched(model: str, source: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mirasol", "watch", source, "--model", model],
        input="no film", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("mirasol: cannot")


def test_ask_standard_input(model: str, film: Path) -> None:
    """A film through a pipe is answered as the file is."""
    command = [sys.executable, "-m", "mirasol", "ask", "-", "what do you hear?", "--model", model, "--json"]
    piped = subprocess.run(command, input=Path(film).read_bytes(), capture_output=True, timeout=120)
    assert piped.returncode == 0, piped.stderr
    command[4] = str(film)
    named = subprocess.run(command, capture_output=True, timeout=120)
    assert json.loads(piped.stdout) == json.loads(named.stdout)
