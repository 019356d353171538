"""`watch`, `put`, `ask`: true receipts, the same answers however the file is cut, and errors before work is done."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mirasol
from mirasol.inference import files
from mirasol.inference.answer import Loaded, load, put
from mirasol.inference.files import watch
from mirasol.inference.picture import COLUMNS, STEP, WIDTH, SoundView, draw_answers, tick_step, wrap
from mirasol.media import toybox
from mirasol.media.clip import Clip, MediaError
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.text import train_tokenizer
from mirasol.train.checkpoint import save_model

# A snippet is 0.8 s: 4 frames at 5 per second, 6400 samples at 8 kHz.
SIZES = Sizes(
    frame_rate=5.0, frames=4, height=16, width=24, sample_rate=8_000, hop=160, window=400, mels=20, patch=(10, 8),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 6, 6), (4, 6, 6), (0, 0, 0))),
    av_width=28, av_heads=2, av_mlp=36, vit_layers=1, combiner_layers=1, combined=3, latent_layers=2,
    context_snippets=5, reconstruct_scale=4, reconstruct_patch=2,
    vocabulary=280, text_width=20, text_heads=2, text_kv_heads=1, text_layers=2, text_mlp=44, text_positions=90,
)  # fmt: skip
QUESTIONS = ["what do you hear?", "which way does the dog move?", "who?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("models") / "random"
    save_model(Mirasol(SIZES).eval(), train_tokenizer(QUESTIONS, SIZES.vocabulary), path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    return load(folder)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = toybox.make_scene(4, "test", seconds=8)
    return toybox.write_file(scene, tmp_path_factory.mktemp("films") / "film.mp4", height=64, width=96, frame_rate=10)


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.7 s of a tone, without a picture."""
    path = tmp_path_factory.mktemp("sounds") / "tone.wav"
    samples = 12_000 * np.sin(2 * np.pi * 440 * np.arange(int(1.7 * 8_000)) / 8_000)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8_000, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def test_a_range_gives_a_true_receipt(film: Path, loaded: Loaded) -> None:
    receipt = watch(film, loaded, 0.5, 2.5).receipt
    assert (receipt.start, receipt.end, receipt.snippets) == (0.5, 2.5, 3)
    assert (receipt.frames, receipt.picture_seconds) == (10, 2.0)
    assert receipt.sound_seconds == pytest.approx(2.0, abs=1 / SIZES.sample_rate)
    assert (receipt.text_start, receipt.model, receipt.warnings) == (0.5, "random", ())


def test_what_text_can_no_longer_look_at_is_stated(film: Path, loaded: Loaded) -> None:
    receipt = watch(film, loaded, 0.4, 7.6).receipt
    assert receipt.snippets == 9
    assert receipt.text_start == pytest.approx(0.4 + (9 - SIZES.context_snippets) * 0.8)
    assert f"only from {receipt.text_start:.2f} s on" in receipt.sentence()


def test_an_end_beyond_the_file_is_cut_to_it(film: Path, loaded: Loaded) -> None:
    receipt = watch(film, loaded, 6.0, 100.0).receipt
    assert 8.0 <= receipt.end < 8.2
    assert receipt.frames == 10


@pytest.mark.parametrize("snippets", [1, 3])
def test_pieces_of_any_length_give_the_same_state(
    film: Path, loaded: Loaded, snippets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = watch(film, loaded, 0.3, 7.0)
    monkeypatch.setattr(files, "MOST", snippets)
    pieces = watch(film, loaded, 0.3, 7.0)
    assert pieces.receipt == whole.receipt
    torch.testing.assert_close(pieces.state.latents, whole.state.latents, atol=2e-5, rtol=0)


def test_questions_together_are_answered_as_alone(film: Path, loaded: Loaded) -> None:
    watched = watch(film, loaded, 0, 2)
    together = put(watched, [*QUESTIONS, None], loaded)
    alone = [put(watched, [question], loaded)[0] for question in [*QUESTIONS, None]]
    assert [a.answer for a in together] == [a.answer for a in alone]
    assert [a.confidence for a in together] == pytest.approx([a.confidence for a in alone], abs=1e-3)
    assert len({a.question for a in together}) == 4
    assert put(watched, [], loaded) == []


def test_what_is_absent_or_unwanted_is_not_counted(film: Path, tone: Path, loaded: Loaded) -> None:
    heard = watch(tone, loaded).receipt
    assert (heard.frames, heard.picture_seconds, heard.sound_seconds, heard.snippets) == (0, 0.0, 1.7, 3)
    blind = watch(film, loaded, 0, 2, picture=False)
    deaf = watch(film, loaded, 0, 2, sound=False)
    assert (blind.receipt.frames, blind.receipt.sound_seconds) == (0, 2.0)
    assert (deaf.receipt.frames, deaf.receipt.sound_seconds) == (10, 0.0)
    assert not torch.allclose(blind.state.latents, deaf.state.latents, atol=1e-3)
    with pytest.raises(MediaError):
        watch(tone, loaded, sound=False)


def test_observer_and_progress_see_all_of_it(film: Path, loaded: Loaded) -> None:
    clips: list[Clip] = []
    seconds: list[float] = []
    receipt = watch(film, loaded, 1.0, progress=lambda done, total: seconds.append(done), observe=clips.append).receipt
    assert clips[0].start == 1.0
    assert [a.end for a in clips[:-1]] == [b.start for b in clips[1:]]
    assert sum(clip.sound_seconds for clip in clips) == pytest.approx(receipt.sound_seconds, abs=1e-3)
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(receipt.end - 1.0, abs=1e-3)


def test_python_in_five_lines(film: Path, folder: Path) -> None:
    one = mirasol.ask(film, "what do you hear?", folder, end=1.0)
    assert mirasol.ask(film, ["what do you hear?"], folder, end=1.0) == [one]
    assert one.question == "what do you hear?"
    assert 0 <= one.confidence <= 1
    assert set(one.to_dict()) == {"question", "answer", "confidence", "receipt", "logprobs", "ended"}
    assert mirasol.describe(film, folder, 0, 1.0).receipt == one.receipt


@pytest.mark.parametrize(
    ("source", "questions", "start", "end", "says"),
    [
        ("film", ["what?"], 2.0, 2.0, "start < end"),
        ("film", ["what?"], -1.0, 2.0, "start < end"),
        ("film", ["what?"], float("nan"), None, "finite"),
        ("film", ["what?"], 1.0, float("inf"), "finite"),
        ("film", ["what?"], 30.0, None, "it ends at 8"),
        ("missing", ["what?"], None, None, "missing"),
        ("missing", ["what?", " ? "], None, None, "empty"),  # refused before the file is looked for
        ("missing", ["what " * 99], None, None, "tokens"),
    ],
)
def test_errors_say_what_to_mend(
    film: Path, loaded: Loaded, source: str, questions: list[str], start: float, end: float, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        mirasol.ask(film if source == "film" else source, questions, loaded, start, end)
    assert "\n" not in str(caught.value)


def test_a_damaged_model_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model 'huge'"):
        load("huge")
    wrong = {"model.safetensors": "x" * 40, "tokenizer.json": "{}", "config.json": '{"sizes": {}, '}
    for name, text in wrong.items():
        copy = tmp_path / name.replace(".", "-")
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).write_bytes(text.encode() if file.name == name else file.read_bytes())
        with pytest.raises(ValueError):  # noqa: PT011 (the words differ from file to file)
            load(copy)


def heard_clip(start: float, wave: np.ndarray, offset: int = 0) -> Clip:
    rate = 8_000
    count = len(wave)
    return Clip(None, None, wave[offset:], rate, start + offset / rate, start, start + count / rate)


def test_sound_view_is_the_same_in_pieces() -> None:
    wave = np.random.default_rng(3).normal(size=24_000).astype(np.float32)
    whole, pieces = SoundView(), SoundView()
    whole.add(heard_clip(2.0, wave))
    for begin, end in ((0, 5_000), (5_000, 5_100), (5_100, 24_000)):
        pieces.add(heard_clip(2.0 + begin / 8_000, wave[begin:end]))
    a, b = whole.picture(300, 40, 3.0), pieces.picture(300, 40, 3.0)
    assert a is not None
    assert b is not None
    assert np.array_equal(np.asarray(a), np.asarray(b))


def test_sound_view_puts_a_click_at_its_second_and_leaves_silence_empty() -> None:
    view = SoundView()
    wave = np.full(40_000, 1e-4, np.float32)
    wave[24_000:24_080] = 0.8  # second 3 of 5
    view.add(heard_clip(0.0, wave, offset=8_000))  # sound begins at second 1
    image = np.asarray(view.picture(500, 30, 5.0)).astype(int)
    assert abs(int(image.sum(axis=(0, 2))[110:].argmax()) + 110 - 300) <= 6
    assert (image[:, 5:90] == image[0, 5]).all()
    assert SoundView().picture(50, 10, 1.0) is None


def test_sound_view_stays_small() -> None:
    view = SoundView()
    second = np.random.default_rng(0).normal(size=STEP * 1_000).astype(np.float32)
    for number in range(19):
        view.add(heard_clip(number * STEP / 8, second))
    assert len(view.power) < 2 * COLUMNS
    assert view.merged == 4
    assert len(view.power) * view.merged == pytest.approx(19_000, abs=12)


@pytest.mark.parametrize("kind", ["film", "tone", "still", "end", "blind"])
def test_answers_can_be_drawn(film: Path, tone: Path, tmp_path: Path, loaded: Loaded, kind: str) -> None:
    still = tmp_path / "tall.png"
    Image.new("RGB", (30, 70), (200, 30, 30)).save(still)
    source, start = {"tone": tone, "still": still}.get(kind, film), 7.9 if kind == "end" else None
    view = SoundView()
    watched = watch(source, loaded, start, picture=kind != "blind", observe=view.add)
    image = draw_answers(source, put(watched, ["what is it?", None], loaded), view, SIZES.snippet_seconds)
    assert image.width == WIDTH
    assert 300 < image.height < 1_500
    assert len(np.unique(np.asarray(image.resize((60, 40))).reshape(-1, 3), axis=0)) > 40


def test_axis_and_wrapping() -> None:
    from PIL import ImageDraw, ImageFont

    for seconds in (0.3, 1, 7.9, 61, 3_000, 86_400, 400_000):
        assert 1 <= seconds / tick_step(seconds) <= 14
    draw, font = ImageDraw.Draw(Image.new("RGB", (9, 9))), ImageFont.load_default(20)
    lines = wrap(draw, "one two " + "x" * 90, font, 200)
    assert "".join(lines).replace(" ", "") == "onetwo" + "x" * 90
    assert max(draw.textlength(line, font) for line in lines) <= 200
