"""Sessions: pieces of any size, the same as the whole; late, missing and jumping input; states as values."""

from __future__ import annotations

import dataclasses
import math
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import COMBINERS, answer, largest, random_model, random_sizes, values_of
from mirasol.inference.answer import Loaded
from mirasol.inference.session import Session, step_together
from mirasol.model.inputs import silence_before, snippet_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import Cut
from mirasol.model.state import MirasolState, tensors
from mirasol.model.text import Text, train_tokenizer

ORIGIN = 5.37
WORDS = ["what do you hear?", "who is it?", "a dog", "the bell"]


@dataclasses.dataclass
class Stream:
    """Raw media: frames of several sizes at uneven times, samples of which some are not there; seconds from 0."""

    times: np.ndarray
    frames: list[np.ndarray]
    waveform: np.ndarray
    heard: np.ndarray
    seconds: float


def make_stream(chance: random.Random, sizes: Sizes, snippets: float) -> Stream:
    """Some snippets long; picture and sound pause in places."""
    seconds = snippets * sizes.snippet_seconds
    count = round(seconds * sizes.frame_rate * chance.uniform(0.7, 2.5))
    times = np.sort(np.array([chance.uniform(0, seconds) for _ in range(count)]))
    quiet = chance.uniform(0, seconds)
    times = times[(times < quiet) | (times > quiet + seconds / 4)]
    noise = np.random.default_rng(chance.randrange(10**6))
    shapes = [(sizes.height, sizes.width), (sizes.height + 7, sizes.width + 3), (sizes.width + 9, sizes.height)]
    frames = [noise.integers(0, 256, (*chance.choice(shapes), 3), dtype=np.uint8) for _ in times]
    samples = round(seconds * sizes.sample_rate)
    heard = np.ones(samples, bool)
    for _ in range(2):
        begin = chance.randrange(samples)
        heard[begin : begin + chance.randrange(min(40, samples // 4), samples // 3)] = False
    return Stream(times, frames, noise.standard_normal(samples).astype(np.float32) * heard, heard, seconds)


def offline(stream: Stream, model: Mirasol, hold: float) -> MirasolState:
    """The state after the whole stream in one call, cut here by hand."""
    sizes = model.sizes
    count = math.ceil(stream.seconds / sizes.snippet_seconds - 1e-6)
    asked = (np.arange(count * sizes.frames) + 0.5) / sizes.frame_rate
    frames = np.full(len(asked), -1)
    for at, instant in enumerate(asked.tolist()):
        begun = np.flatnonzero(stream.times <= instant + 1e-6)
        if len(begun) and instant <= stream.times[begun[-1]] + hold and instant + 1e-6 < stream.seconds:
            frames[at] = begun[-1]
    missing = count * sizes.samples - len(stream.waveform)
    cut = Cut(
        frames.reshape(count, sizes.frames),
        np.pad(stream.waveform, (0, missing)).reshape(count, sizes.samples),
        np.pad(stream.heard, (0, missing)).reshape(count, sizes.samples),
        np.zeros((count, 2)),
    )
    with torch.no_grad():
        return model.encoder(snippet_inputs(stream.frames, cut, silence_before(sizes), sizes))[2]


def pieces(stream: Stream, sizes: Sizes, chance: random.Random, lag: float) -> list[dict]:
    """Arguments of `watch` that bring the stream in pieces of any size; picture and sound up to `lag` s apart."""
    arrivals = []
    for kind, shift in (("picture", chance.uniform(0, lag)), ("sound", 0.0)):
        at = 0.0
        while at < stream.seconds:
            end = min(stream.seconds, at + chance.uniform(0.01, 3) * sizes.snippet_seconds * chance.choice((0.2, 1)))
            arrivals.append((end + shift, kind, at, end))
            at = end
    found = []
    for _, kind, at, end in sorted(arrivals):
        if kind == "picture":
            chosen = np.flatnonzero((stream.times >= at) & (stream.times < end))
            frames = [stream.frames[i] for i in chosen]
            found.append({"frames": frames, "times": ORIGIN + stream.times[chosen], "at": ORIGIN + at})
            continue
        first, last = round(at * sizes.sample_rate), round(end * sizes.sample_rate)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], stream.heard[first:last], [0]]).astype(int)))
        for a, b in zip(edges[::2] + first, edges[1::2] + first, strict=True):
            found.append({"waveform": stream.waveform[a:b], "at": ORIGIN + a / sizes.sample_rate})
    return found


def load_random(chance: random.Random, combiner: str, **changes: object) -> Loaded:
    text = Text(train_tokenizer(WORDS, 280))
    sizes = random_sizes(chance, combiner, **{"vocabulary": 280, **changes})
    return Loaded(random_model(sizes), text, "random")


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    torch.manual_seed(3)
    return load_random(random.Random(3), "ttm tokenlearner")


@pytest.mark.parametrize("combiner", COMBINERS)
def test_raw_pieces_of_any_size_equal_the_whole(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(3):
        loaded = load_random(chance, combiner, context_snippets=17)
        sizes, model = loaded.model.sizes, loaded.model
        stream = make_stream(chance, sizes, chance.uniform(9, 14))
        hold = chance.choice((math.inf, 1.7 * sizes.snippet_seconds))
        lag = 2.5 * sizes.snippet_seconds
        expected = offline(stream, model, hold)
        session = Session(loaded, start=ORIGIN, patience=lag + 4 * sizes.snippet_seconds, hold=hold)
        for piece in pieces(stream, sizes, chance, lag):
            session.watch(**piece)
        session.flush(ORIGIN + stream.seconds)
        assert session.intake.counts.late_frames == session.intake.counts.late_samples == 0
        pairs = list(zip(values_of(expected), values_of(session.state), strict=True))
        ids = torch.randint(sizes.vocabulary, (1, 6))
        pairs.append((answer(model, expected, ids), answer(model, session.state, ids)))
        assert largest(pairs) < 1e-5
        receipt = session.snapshot().receipt
        assert receipt.end == pytest.approx(ORIGIN + stream.seconds, abs=1e-3)
        assert receipt.sound_seconds == pytest.approx(stream.heard.sum() / sizes.sample_rate, abs=1e-3)


def watch_some(session: Session, seed: int, snippets: float, at: float = ORIGIN) -> None:
    chance, sizes = random.Random(seed), session.loaded.model.sizes
    stream = make_stream(chance, sizes, snippets)
    for piece in pieces(stream, sizes, chance, sizes.snippet_seconds):
        times = {"times": piece["times"] - ORIGIN + at} if "times" in piece else {}
        session.watch(**{**piece, "at": piece["at"] - ORIGIN + at, **times})


def test_saved_and_loaded_goes_on_bit_for_bit(loaded: Loaded, tmp_path: Path) -> None:
    """At any moment, also with half a snippet waiting."""
    for seed in range(5):
        session = Session(loaded, patience=1.0)
        watch_some(session, seed, 4.0 + 0.37 * seed)
        session.save(tmp_path / "some.safetensors")
        other = Session.load(tmp_path / "some.safetensors", loaded)
        assert other.snapshot().receipt == session.snapshot().receipt
        at = session.intake.origin + session.intake.clock
        for both in (session, other):
            watch_some(both, 50 + seed, 5.3, at=at)
            both.flush()
        assert all(torch.equal(a, b) for a, b in zip(tensors(session.state), tensors(other.state), strict=True))
        assert session.ask(WORDS[0]) == other.ask(WORDS[0])
        assert list(session.intake.notes) == list(other.intake.notes)


def test_a_saved_session_is_refused_by_another_model(loaded: Loaded, tmp_path: Path) -> None:
    session = Session(loaded)
    watch_some(session, 1, 3.0)
    path = tmp_path / "state.safetensors"
    session.save(path)
    other = Loaded(random_model(loaded.model.sizes), loaded.text, "other")
    with pytest.raises(ValueError, match="another model"):
        Session.load(path, other)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match="no saved session"):
        Session.load(path, loaded)
    with pytest.raises(ValueError, match="no saved session"):
        Session.load(tmp_path / "nothing.safetensors", loaded)
    with pytest.raises(ValueError, match="make it first"):
        session.save(tmp_path / "nowhere" / "state.safetensors")


def test_the_file_stays_the_same_size(loaded: Loaded, tmp_path: Path) -> None:
    session, found = Session(loaded, start=0.0), set()
    sizes = loaded.model.sizes
    wave = np.zeros(sizes.samples * 5 + 3, np.float32)
    for piece in range(40):
        at = piece * len(wave) / sizes.sample_rate
        session.watch([np.full((9, 13, 3), piece, np.uint8)], wave, at=at)
        if session.seconds > 2 * sizes.context_snippets * sizes.snippet_seconds:
            found.add((session.save(tmp_path / "state"), session.state.bytes()))
    assert len(found) == 1


def test_a_fork_goes_its_own_way(loaded: Loaded) -> None:
    session = Session(loaded)
    watch_some(session, 4, 4.5)
    kept, receipt = [tensor.clone() for tensor in tensors(session.state)], session.snapshot().receipt
    fork = session.fork()
    watch_some(fork, 5, 4.5, at=ORIGIN + session.intake.clock)
    assert session.snapshot().receipt == receipt != fork.snapshot().receipt
    assert all(torch.equal(a, b) for a, b in zip(kept, tensors(session.state), strict=True))
    session.reset()
    assert session.snapshot().receipt.snippets == 0
    assert fork.snapshot().receipt.snippets > 4


@pytest.mark.parametrize("combiner", COMBINERS)
def test_fifty_sessions_in_one_batch_answer_as_alone(combiner: str) -> None:
    """Streams of fifty different lengths, pieces and pauses, so that batches are uneven all the time."""
    chance = random.Random(11)
    loaded = load_random(chance, combiner)
    sizes = loaded.model.sizes
    alone, together = [], []
    for seed in range(50):
        stream = make_stream(random.Random(seed), sizes, 2.0 + seed / 7)
        found = pieces(stream, sizes, random.Random(seed), sizes.snippet_seconds)
        single, shared = Session(loaded, start=ORIGIN), Session(loaded, start=ORIGIN)
        for piece in found:
            single.watch(**piece)
        alone.append(single)
        together.append((shared, iter(found)))
    going = list(together)
    while going:
        for session, left in list(going):
            piece = next(left, None)
            if piece is None:
                going.remove((session, left))
            else:
                session.push(**piece)
        step_together([session for session, _ in together], most=chance.randint(1, 4))
    while step_together([session for session, _ in together]):
        pass
    for single, (shared, _) in zip(alone, together, strict=True):
        assert shared.snapshot().receipt == single.snapshot().receipt
        ids = torch.randint(sizes.vocabulary, (1, 6))
        assert largest([(answer(loaded.model, single.state, ids), answer(loaded.model, shared.state, ids))]) < 1e-5
        assert shared.ask(WORDS[1]).answer == single.ask(WORDS[1]).answer
    strangers = [Session(loaded, picture=False), Session(load_random(chance, combiner), picture=False)]
    for session in strangers:
        session.push(waveform=np.zeros(session.loaded.model.sizes.samples, np.float32), at=0.0)
    with pytest.raises(ValueError, match="share one"):
        step_together(strangers)


def test_what_comes_too_late_is_left_out_and_counted(loaded: Loaded) -> None:
    sizes = loaded.model.sizes
    d, rate = sizes.snippet_seconds, sizes.sample_rate
    session = Session(loaded, start=0.0, patience=2 * d)
    picture = np.full((5, 8, 3), 200, np.uint8)
    wave = np.ones(sizes.samples, np.float32)
    session.watch([picture], wave, at=0.0)
    for snippet in range(1, 6):  # the sound stops, the picture goes on
        session.watch([picture], at=snippet * d)
    assert session.snapshot().receipt.snippets == 3
    assert session.snapshot().receipt.sound_seconds == pytest.approx(d, abs=1e-3)
    session.watch(waveform=np.ones(3 * sizes.samples, np.float32), at=2 * d)  # of snippets 2, 3 and 4
    assert session.intake.counts.late_samples == sizes.samples
    assert any("no sound from here" in words for _, words in session.intake.notes)
    session.watch(waveform=np.ones(3 * sizes.samples, np.float32), at=5 * d)
    session.watch([picture], at=8 * d)
    session.flush(8 * d)
    assert session.snapshot().receipt.snippets == 8
    assert session.snapshot().receipt.sound_seconds == pytest.approx(6 * d, abs=2 / rate + 1e-3)
    assert any(words == "sound again" for _, words in session.intake.notes)


def test_times_that_jump_back_do_not_end_or_shift_the_stream(loaded: Loaded) -> None:
    """A camera that starts counting again: both go on together where they were."""
    sizes = loaded.model.sizes
    d = sizes.snippet_seconds
    session = Session(loaded, patience=2 * d)
    steps = 40
    for part, base in enumerate((1000.0, 3.0, 90_000.0)):
        for step in range(steps):
            at = base + step * d / 4
            wave = np.full(round((step + 1) * d / 4 * sizes.sample_rate) - round(step * d / 4 * sizes.sample_rate), 0.5)
            session.watch([np.full((4, 6, 3), 50 * part, np.uint8)], wave.astype(np.float32), at=at)
    session.flush()
    counts, receipt = session.intake.counts, session.snapshot().receipt
    assert counts.jumps == 4  # picture and sound, twice
    assert receipt.start == 1000.0
    assert receipt.end == pytest.approx(1000.0 + 3 * steps * d / 4, abs=1.5 * d)
    assert receipt.sound_seconds == pytest.approx(3 * steps * d / 4, abs=d)
    assert counts.late_samples <= sizes.samples


def test_left_out_snippets_keep_the_time(loaded: Loaded) -> None:
    sizes = loaded.model.sizes
    d = sizes.snippet_seconds
    session = Session(loaded, start=0.0)
    wave = np.random.default_rng(0).standard_normal(6 * sizes.samples).astype(np.float32)
    session.push([np.zeros((4, 6, 3), np.uint8)] * 6, wave, at=0.0)
    session.intake.known(6 * d)
    assert session.step(2) == 2
    assert session.drop(3) == 3
    assert session.catch_up() == 1
    receipt = session.snapshot().receipt
    assert receipt.left_out == (pytest.approx((2 * d, 5 * d)),)
    assert (receipt.snippets, receipt.end) == (3, pytest.approx(6 * d, abs=1e-3))
    assert session.state.numbers[0].tolist()[-1] == 5
    assert "left out" in receipt.sentence()


def test_questions_do_not_wait_for_watching(loaded: Loaded) -> None:
    """While one thread watches (and holds the lock), another asks, and reads a state that is whole."""
    session = Session(loaded, start=0.0)
    sizes = loaded.model.sizes
    wave = np.zeros(sizes.samples, np.float32)
    with session._lock:
        done: list[str] = []
        asking = threading.Thread(target=lambda: done.append(session.ask(WORDS[0]).answer))
        asking.start()
        asking.join(20)
    assert done
    watching = threading.Thread(
        target=lambda: [session.watch(waveform=wave, at=s * sizes.snippet_seconds) for s in range(60)]
    )
    session._told["picture"] = False
    session.reset(0.0)
    watching.start()
    while watching.is_alive():
        seen = session.snapshot()
        assert seen.receipt.snippets == int(seen.state.count[0])
        assert seen.receipt.sound_seconds == pytest.approx(seen.receipt.snippets * sizes.snippet_seconds, abs=1e-3)
    watching.join()
    assert session.snapshot().receipt.snippets == 60


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ({"waveform": np.zeros((2, 9), np.float32), "at": 0.0}, "waveform"),
        ({"waveform": np.zeros(9, np.int16), "at": 0.0}, "floats"),
        ({"frames": np.zeros((2, 9, 9, 3), np.uint8), "at": 0.0}, "times of 2 frames"),
        ({"frames": np.zeros((1, 9, 9, 3), np.uint8), "times": [0.0, 1.0], "at": 0.0}, "one time for each"),
        ({"waveform": np.zeros(9, np.float32), "at": math.nan}, "finite"),
    ],
)
def test_pieces_that_make_no_sense(loaded: Loaded, piece: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Session(loaded).watch(**piece)


def test_frames_of_a_wrong_kind(loaded: Loaded) -> None:
    session = Session(loaded, sound=False)
    with pytest.raises(ValueError, match="uint8"):
        session.watch(np.zeros((2, 9, 9, 3), np.float32), at=0.0, times=[0.0, 9.0])


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_session_that_has_seen_nothing_is_saved_too(combiner: str, tmp_path: Path) -> None:
    loaded = load_random(random.Random(7), combiner)
    Session(loaded, start=2.0).save(tmp_path / "new.safetensors")
    again = Session.load(tmp_path / "new.safetensors", loaded)
    assert again.seconds == 2.0
    assert not again.snapshot().receipt.remembers
    again.push(waveform=np.zeros(loaded.model.sizes.samples, np.float32), at=2.0)
    again.flush()
    receipt = again.snapshot().receipt
    assert receipt.remembers == (loaded.model.sizes.memory > 0)
