"""`Follow` and `Live`: the same as watching the file, true times on every event, and what if all is too slow."""

from __future__ import annotations

import functools
import http.server
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from films import make_film
from mirasol.inference.answer import Loaded
from mirasol.inference.files import watch
from mirasol.inference.follow import Event, Follow, clock
from mirasol.inference.session import Session
from mirasol.media import toybox
from mirasol.media.clip import MediaError
from mirasol.media.live import Live, Persistent
from mirasol.media.opening import Report
from mirasol.media.playback import Arrival
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.state import tensors
from mirasol.model.text import Text, train_tokenizer

# A snippet is 0.8 s: 4 frames at 5 per second, 6400 samples at 8 kHz.
SIZES = Sizes(
    frame_rate=5.0, frames=4, height=16, width=24, sample_rate=8_000, hop=160, window=400, mels=20, patch=(10, 8),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 6, 6), (4, 6, 6), (0, 0, 0))),
    av_width=28, av_heads=2, av_mlp=36, vit_layers=1, combiner="ttm", memory=9, combiner_layers=1, combined=3,
    latent_layers=2, context_snippets=5, reconstruct_scale=4, reconstruct_patch=2,
    vocabulary=280, text_width=20, text_heads=2, text_kv_heads=1, text_layers=2, text_mlp=44, text_positions=90,
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    torch.manual_seed(5)
    return Loaded(Mirasol(SIZES).eval(), Text(train_tokenizer(["what do you hear?"], 280)), "random")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = toybox.make_scene(4, "test", seconds=8)
    return toybox.write_file(scene, tmp_path_factory.mktemp("films") / "film.mp4", height=64, width=96, frame_rate=10)


class Pipe(io.RawIOBase):
    """Bytes that can be read once, forward, a few at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 700) if size > 0 else size)


def follow(source: object, loaded: Loaded, **options: object) -> tuple[Follow, list[Event]]:
    live = Live(source, sample_rate=SIZES.sample_rate, fit=(SIZES.height, SIZES.width))
    session = Session(loaded, start=0.0, picture=live.has_picture, sound=live.has_sound)
    events: list[Event] = []
    run = Follow(session, [live], **options)  # type: ignore[arg-type]
    run.on_event = events.append
    run.run()
    return run, events


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_a_stream_is_seen_and_heard_as_the_file_is(film: Path, loaded: Loaded, how: str) -> None:
    """One container read once gives what two containers and the reader's own grid give."""
    source, whole = (str(film), film) if how == "file" else (Pipe(as_stream(film)), as_stream(film))
    run, _ = follow(source, loaded)
    expected = watch(whole, loaded)
    receipt = run.session.snapshot().receipt
    assert receipt.snippets == expected.receipt.snippets
    assert receipt.frames == pytest.approx(expected.receipt.frames, abs=1)  # the last one: its end is not stated
    assert receipt.end == pytest.approx(expected.receipt.end, abs=0.11)  # true to a frame, not to a snippet
    assert receipt.sound_seconds == pytest.approx(expected.receipt.sound_seconds, abs=0.03)
    for one, other in zip(tensors(run.session.state), tensors(expected.state), strict=True):
        assert one.shape == other.shape
    distance = (run.session.state.latents - expected.state.latents)[:, :-1].abs().max()  # the last is partial
    assert distance < 1e-2 * expected.state.latents.std()


@pytest.mark.parametrize(("shown", "heard"), [(1.3, 7.0), (3.1, 3.5), (2.5, 0.9), (0.1, 2.2)])
def test_the_last_frame_leaves_the_screen_when_it_ends_although_the_sound_goes_on(
    tmp_path: Path, loaded: Loaded, shown: float, heard: float
) -> None:
    make_film(tmp_path / "film.mp4", times=np.arange(0, shown, 0.1), rate=10, at=[0.5, heard - 0.2], seconds=heard)
    expected = watch(tmp_path / "film.mp4", loaded)
    run, _ = follow(str(tmp_path / "film.mp4"), loaded)
    assert run.session.snapshot().receipt == expected.receipt
    assert expected.receipt.picture_seconds == pytest.approx(heard if shown == 0.1 else shown, abs=0.2)
    for one, other in zip(tensors(run.session.state), tensors(expected.state), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def as_stream(film: Path) -> bytes:
    """The same packets in Matroska, which needs no seeking."""
    import av

    out = io.BytesIO()
    with av.open(str(film)) as source, av.open(out, "w", format="matroska") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return out.getvalue()


def test_a_film_over_http_is_watched_as_the_file_is(film: Path, loaded: Loaded) -> None:
    """From a server on this machine; it cannot seek, so an mp4 with its index at the end is refused in one line."""
    film.with_suffix(".mkv").write_bytes(as_stream(film))
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *words: None})
    handler = functools.partial(quiet, directory=str(film.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/film"
        run, events = follow(f"{address}.mkv", loaded, standing=["what?"], every=4.0)
        with pytest.raises(MediaError, match="nothing in it could be decoded"):
            follow(f"{address}.mp4", loaded)
        server.shutdown()
    expected = watch(film.with_suffix(".mkv"), loaded).receipt
    receipt = run.session.snapshot().receipt
    assert run.sources[0].is_live
    assert receipt.snippets + sum(round((end - start) / 0.8) for start, end in receipt.left_out) == expected.snippets
    assert receipt.end == pytest.approx(expected.end, abs=0.11)
    assert events[-1].answer.receipt.end == pytest.approx(receipt.end, abs=0.11)


def test_standing_questions_are_asked_at_their_moment(film: Path, loaded: Loaded) -> None:
    run, events = follow(str(film), loaded, standing=["what?", "who?"], every=1.6)
    assert [event.answer.question for event in events] == ["what?", "who?"] * 5
    assert [event.end for event in events[::2]] == pytest.approx([1.6, 3.2, 4.8, 6.4, 8.0])
    assert {event.start for event in events} == {0.0}  # this model has a memory: each answer rests on all before it
    for event in events:
        assert event.answer.receipt.end == event.end
        assert event.to_dict()["receipt"]["snippets"] == round(event.end / 0.8)
    assert run.session.snapshot().receipt.snippets == 10


class Camera:
    """A live source without a device: snippets of noise, as fast as they are taken."""

    is_live, has_picture, has_sound, name = True, True, True, "camera"

    def __init__(self, snippets: int, broken: bool = False, then: Callable[[int], None] = lambda at: None) -> None:
        self.report, self.snippets, self.broken, self.then = Report(), snippets, broken, then

    def __iter__(self) -> Iterator[Arrival]:
        for snippet in range(self.snippets):
            at = snippet * 0.8
            self.then(snippet)
            yield Arrival("picture", at, frame=lambda: np.full((20, 30, 3), 99, np.uint8))
            yield Arrival("sound", at, waveform=np.ones(SIZES.samples, np.float32))
        if self.broken:
            raise MediaError("the camera is gone")

    def close(self) -> None:
        pass


def test_a_network_source_that_breaks_is_opened_again_and_time_stays_true(loaded: Loaded) -> None:
    opened: list[float] = []
    notes: list[str] = []

    def make() -> Camera:
        opened.append(time.monotonic())
        if len(opened) == 2:
            raise MediaError("not yet")
        return Camera(4, broken=len(opened) == 1)

    source = Persistent(make, 1.2, notes.append)
    arrivals: list[Arrival] = []

    def take_all() -> None:
        for arrival in source:
            arrivals.append(arrival)
            if len(opened) == 3:  # from now on it stays away, after it has ended in good order
                source._make = lambda: (_ for _ in ()).throw(MediaError("the camera is gone for good"))

    with pytest.raises(MediaError, match="gone for good"):
        take_all()
    assert len(opened) == 3
    assert [words.split(" ", 1)[1] for words in notes] == [
        "broke off; opening it again", "is open again", "has ended; opening it again",
    ]  # fmt: skip
    first, second = arrivals[:8], arrivals[8:]
    assert len(second) == 8
    assert [arrival.time for arrival in first[::2]] == pytest.approx([0.0, 0.8, 1.6, 2.4])
    gap = second[0].time
    assert gap == pytest.approx(opened[2] - opened[0], abs=0.2)
    assert [arrival.time - gap for arrival in second[::2]] == pytest.approx([0.0, 0.8, 1.6, 2.4])


def test_what_a_source_sent_before_it_broke_is_watched(loaded: Loaded) -> None:
    session = Session(loaded, start=0.0)
    with pytest.raises(MediaError, match="the camera is gone"):
        Follow(session, [Camera(12, broken=True)], most_lag=1e9).run()
    assert session.snapshot().receipt.snippets == 12


def test_a_device_counts_from_the_moment_that_it_is_told(film: Path) -> None:
    """Not from the start of the machine."""
    live = Live(str(film), zero=time.monotonic() - 5.0)
    assert next(iter(live)).time == pytest.approx(5.0, abs=2.0)


def test_pictures_for_which_there_is_no_time_are_counted(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be looked at has a bound, however long a live source runs."""
    monkeypatch.setattr("mirasol.inference.follow.MOST_WAITING", 3)
    inner = Session.push

    def slow(self: Session, *values: Any, **named: Any) -> None:
        time.sleep(0.01)
        inner(self, *values, **named)

    monkeypatch.setattr(Session, "push", slow)
    run = Follow(Session(loaded, start=0.0), [Camera(40)])
    receipt = run.run().receipt
    assert any("pictures came faster" in line for line in receipt.warnings)
    assert receipt.sound_seconds + 0.8 * sum(round((b - a) / 0.8) for a, b in receipt.left_out) == pytest.approx(32.0)


def test_who_cannot_keep_up_leaves_out_whole_snippets_and_says_so(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, notes = Session(loaded, start=0.0), []
    inner = Session._encode

    def slow(self: Session, count: int) -> int:
        time.sleep(0.05)
        return inner(self, count)

    monkeypatch.setattr(Session, "_encode", slow)
    run = Follow(session, [Camera(60)], most_lag=4.0, on_note=lambda second, words: notes.append(words))  # type: ignore[list-item]
    receipt = run.run().receipt
    lost = sum(round((end - start) / 0.8) for start, end in receipt.left_out)
    assert lost > 10
    assert receipt.snippets + lost == 60 == session.intake.next
    assert receipt.end == pytest.approx(48.0)
    assert any("cannot keep up" in words for words in notes)


def test_an_error_of_a_source_comes_out(loaded: Loaded) -> None:
    with pytest.raises(MediaError, match="camera is gone"):
        Follow(Session(loaded, start=0.0), [Camera(3, broken=True)]).run()  # type: ignore[list-item]


def test_questions_while_it_runs(loaded: Loaded) -> None:
    """Asked from another thread, answered about the moment of asking."""
    events: list[Event] = []
    session = Session(loaded, start=0.0)

    def then(snippet: int) -> None:
        if snippet == 30:
            while session.seconds < 4.0:
                time.sleep(0.01)
            run.ask("what?")

    run = Follow(session, [Camera(40, then=then)], on_event=events.append)  # type: ignore[list-item]
    run.run()
    (event,) = events
    assert event.answer.question == "what?"
    assert 4.0 <= event.end <= 24.0
    assert event.end == event.answer.receipt.end


def test_a_question_before_the_first_snippet_waits_for_it(film: Path, loaded: Loaded) -> None:
    live = Live(str(film), sample_rate=SIZES.sample_rate, fit=(SIZES.height, SIZES.width))
    events: list[Event] = []
    run = Follow(Session(loaded, start=0.0), [live], on_event=events.append)
    asking = threading.Thread(target=run.ask, args=("what?",))
    asking.start()
    time.sleep(0.2)
    run.run()
    asking.join(20)
    assert not asking.is_alive()
    assert all(event.answer.receipt.snippets >= 1 for event in events)


def test_a_source_of_neither_picture_nor_sound(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot"):
        Live(str(tmp_path / "nothing.mp4"))
    (tmp_path / "words.txt").write_text("no film")
    with pytest.raises(MediaError):
        Live(str(tmp_path / "words.txt"))
    with pytest.raises(MediaError, match="cannot watch"):
        Live("v4l2:/dev/no-such-camera")


def test_clock() -> None:
    assert (clock(59.9), clock(61), clock(3_723)) == ("0:59", "1:01", "1:02:03")
