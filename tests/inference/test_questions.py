"""Questions that a model cannot be asked, or not with sense: files, and words that it was never shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import mirasol
from helpers import tool
from mirasol.cli import app
from mirasol.cli.common import seconds_from
from mirasol.inference.answer import is_path, load, run_name, shipped_models
from mirasol.inference.picture import FEWEST, SoundView, draw_answers
from mirasol.inference.session import Session
from mirasol.media import toybox
from mirasol.media.toybox.streams import Stream
from mirasol.model.words import load_words, new_words, save_words, words_of
from mirasol.train.words import Words, words_beside


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = toybox.make_scene(4, "test", seconds=3)
    return toybox.write_file(scene, tmp_path_factory.mktemp("films") / "film.mp4", height=48, width=72, frame_rate=5)


def test_the_shipped_lists_are_those_of_the_templates() -> None:
    """Every question of many scenes and streams is made of known words."""
    known = tool("known_words")
    for name, folder in shipped_models().items():
        assert load_words(folder) == {word for text in known.texts_of(name) for word in words_of(text)}
    tiny, stream = (load_words(shipped_models()[name]) for name in ("tiny", "tiny-stream"))
    for seed in range(150):
        scene = toybox.make_scene(seed, "train")
        assert [new_words(question.text, tiny) for question in scene.questions if new_words(question.text, tiny)] == []
    for seed in range(8):
        for question in Stream(seed, "train", 40, visits=4).questions(40):
            assert new_words(question.text, stream) == ()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what color is the duck", ("color",)),
        ("What COLOUR is the Duck?!", ()),
        ("Was siehst du?", ("siehst", "du")),
        ("你看到什么", ("你看到什么",)),
        ("is the dog's colour red-green", ("dog's",)),
        ("describe the giraffe, the giraffe", ("describe", "giraffe")),
        (" ?! ", ()),
    ],
)
def test_words_that_are_new(question: str, words: tuple[str, ...]) -> None:
    assert new_words(question, load_words(shipped_models()["tiny"])) == words
    assert new_words(question, frozenset()) == ()  # a model without a list says nothing


def test_new_words_are_said_with_the_answer(film: Path) -> None:
    known, new = mirasol.ask(film, ["what do you see?", "what color is the dog?"])
    assert known.is_calibrated
    assert known.receipt.new_words == known.receipt.warnings == ()
    assert not new.is_calibrated
    assert new.receipt.new_words == ("color",)
    assert "new to this model: color" in new.receipt.warnings[0]
    out = CliRunner().invoke(app, ["ask", str(film), "what do you see?", "what color is the dog?"]).output
    assert out.count("these words are new to this model: color") == 1
    assert out.count("(not calibrated)") == 1
    out = CliRunner().invoke(app, ["ask", str(film), "what color is the dog?", "--json"]).output
    assert json.loads(out)["receipt"]["new_words"] == ["color"]
    out = CliRunner().invoke(app, ["watch", str(film), "what color is the dog?", "--every", "0:01"], input="").output
    assert out.count("these words are new to this model: color") == 1
    assert "[at 1.0 s]" in out


def test_lists_of_words_from_anywhere(tmp_path: Path) -> None:
    save_words(tmp_path, ["Where is IT?", "where's the bell"])
    assert load_words(tmp_path) == {"where", "is", "it", "where's", "the", "bell"}
    for text in ("{", "[1]", '{"a": 2}', "[" * 20_000):
        (tmp_path / "words.json").write_text(text)
        with pytest.raises(ValueError, match="words"):
            load_words(tmp_path)


def test_a_run_writes_no_list_that_is_not_whole(tmp_path: Path) -> None:
    """Of what a pretrained model was shown, nobody knows the words."""
    (tmp_path / "old").mkdir()
    assert words_beside("") == frozenset()
    assert words_beside(str(tmp_path / "old")) is None
    Words(None, None, ["dog"]).save(tmp_path)
    assert load_words(tmp_path) == frozenset()
    save_words(tmp_path / "old", ["a bell"])
    Words(None, words_beside(str(tmp_path / "old")), ["dog"]).save(tmp_path)
    assert load_words(tmp_path) == {"a", "bell", "dog"}


def test_a_file_is_no_question(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(film.parent)
    (film.parent / "my second film").write_bytes(b"x")
    session = Session(load("tiny"), start=0.0)
    session.watch(waveform=np.zeros(16_000, np.float32), at=0.0)
    for question in (str(film), "film.mp4", "./film.mp4", "my second film", "https://a.b/c.mp4", str(film.parent)):
        with pytest.raises(ValueError, match="expected a question"):
            mirasol.ask(film, ["what?", question])
        with pytest.raises(ValueError, match="expected a question"):
            session.ask(question)
    for question in ("what is at 3:05?", "where?", "a/b", "x" * 9_000, "a\0b", "gone.mp4"):
        assert not is_path(question)
    for command in ("ask", "watch"):
        result = subprocess.run(
            [sys.executable, "-m", "mirasol", command, "film.mp4", "film.mp4", "what?"], capture_output=True, text=True,
            env=os.environ, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert "expected a question, found the path" in result.stderr


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("5", 5.0), ("0:05", 5.0), ("1:30.5", 90.5), ("1:02:03", 3723.0), ("00:07.25", 7.25), ("-1", -1.0), ("1e2", 1e2)],
)  # fmt: skip
def test_seconds_as_a_clock_shows_them(words: str, seconds: float) -> None:
    assert seconds_from()(words) == seconds


@pytest.mark.parametrize("words", ["", "x", "1:75", "1:2:3:4", "1.5:30", ":30", "1:-5", "--5"])
def test_what_is_no_time_is_refused(words: str) -> None:
    with pytest.raises(Exception, match="expected seconds"):
        seconds_from()(words)
    with pytest.raises(Exception, match="at least"):
        seconds_from(0.5)("0:00")


def test_a_run_names_its_model(tmp_path: Path) -> None:
    assert run_name(tmp_path / "dogs" / "model") == "dogs"
    assert run_name(tmp_path / "dogs" / "step-0000500") == "dogs"
    assert run_name(tmp_path / "dogs") == "dogs"
    (tmp_path / "dogs" / "model").mkdir(parents=True)
    (tmp_path / "dogs" / "model" / "config.json").write_text('{"run": "barks"}')
    assert run_name(tmp_path / "dogs" / "model") == "barks"
    assert run_name(shipped_models()["tiny"]) == "tiny"


def test_the_picture_shows_what_the_answers_could_look_at(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the film is."""
    from dataclasses import replace

    from mirasol.inference import picture

    asked: list[np.ndarray] = []
    read = picture.read_frames

    def watch_reading(source: object, instants: np.ndarray, end: float, fit: tuple[int, int]) -> list:
        asked.append(instants)
        return [np.zeros((fit[0], fit[1], 3), np.uint8)] * len(instants)

    monkeypatch.setattr(picture, "read_frames", watch_reading)
    answer = mirasol.ask(film, "what do you see?")
    for end, text_start in ((600.0, 584.0), (30.0, 14.0), (3.0, 0.0)):
        asked.clear()
        receipt = replace(answer.receipt, end=end, text_start=text_start, frames=2400)
        draw_answers(film, [replace(answer, receipt=receipt)], SoundView(), 1.0)
        shown = np.concatenate(asked)
        assert sum(text_start <= instant < end for instant in shown) >= FEWEST
    assert len(asked) == 1
    assert read is not picture.read_frames
