"""Streams: `watch`."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    SOURCE_HELP,
    Chosen,
    Device,
    Dtype,
    Model,
    NoPicture,
    NoSound,
    app,
    check_folder,
    check_picture_name,
    percent,
    print_receipt,
    seconds_from,
)
from .leaving import WAITS

if TYPE_CHECKING:
    from mirasol.inference.answer import Loaded
    from mirasol.inference.follow import Event, Follow, Pulse

PULSE_SECONDS = 10.0  # between two lines that say how it goes


@app.command()
def watch(
    source: Annotated[str, typer.Argument(help=SOURCE_HELP, show_default=False)],
    questions: Annotated[list[str] | None, typer.Argument(help="Asked every so often.", show_default=False)] = None,
    model: Model = "tiny",
    every: Annotated[
        float,
        typer.Option(parser=seconds_from(0.1), metavar="SECONDS", help="Seconds between two askings of the questions."),
    ] = 10.0,
    events: Annotated[
        Path | None, typer.Option(help="Also write answers into this file, a JSON object a line.")
    ] = None,
    pace: Annotated[bool, typer.Option("--pace", help="A file at its own pace, not as fast as possible.")] = False,
    sound_from: Annotated[str | None, typer.Option(help="Another source for the sound, such as alsa:default.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save the session into this file at the end.")] = None,
    go_on: Annotated[Path | None, typer.Option("--continue", help="Go on with a saved session.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="At the end, draw what the memory holds and where answers looked (PNG).")
    ] = None,
    most_lag: Annotated[
        float,
        typer.Option(
            parser=seconds_from(1), metavar="SECONDS", help="Live: seconds behind before snippets are left out."
        ),
    ] = 8.0,
    reconnect: Annotated[
        float,
        typer.Option(
            parser=seconds_from(0),
            metavar="SECONDS",
            help="Seconds for which a network source that ends or breaks is opened again.",
        ),
    ] = 0.0,
    no_sound: NoSound = False,
    no_picture: NoPicture = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Watch a file, a camera, a network stream or a pipe without end; type questions while it runs."""
    for path in (events, save):
        if path is not None:
            check_folder(path)
    if picture is not None:
        check_picture_name(picture)
    loaded = Chosen(model, device, dtype).load()
    ended = Ended()
    with ExitStack() as stack:
        out = None if events is None else stack.enter_context(events.open("a", encoding="utf-8"))
        stack.enter_context(ended)
        follow = make_follow(
            source, sound_from, loaded, go_on, questions or [], every, pace, most_lag, not no_picture, not no_sound,
            picture is not None, reconnect, ended,
        )  # fmt: skip
        ended.call(follow.stop)
        show = stack.enter_context(watching_lines(follow, out))
        if source != "-":
            stack.callback(read_questions(follow, show))
        broken: ValueError | OSError | None = None
        try:
            watched = follow.run()
        except (ValueError, OSError) as error:  # a source that breaks off: what was watched is not lost
            broken, watched = error, follow.session.snapshot()
            if not watched.receipt.snippets:
                raise
        if save is not None:
            size = follow.session.save(save)
            typer.echo(f"session saved: {save}, {size / 1000:.0f} kB")
    print_receipt(watched.receipt)
    if picture is not None and watched.receipt.snippets:
        from mirasol.inference.answer import put
        from mirasol.inference.memory_picture import draw_memory

        asked: list[str | None] = list(questions) if questions else [None]
        final = put(watched, asked, loaded)
        draw_memory(watched, final, loaded, source, captions=not questions).save(picture)
        typer.echo(f"picture: {picture}")
    if events is not None:
        typer.echo(f"events: {events}")
    if broken is not None:
        raise broken


class Ended:
    """Ctrl-C and the like (SIGTERM, a terminal that closes) end the run in good order. A second Ctrl-C ends at once."""

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

    def __init__(self) -> None:
        self.event = threading.Event()
        self._then: list[Callable[[], None]] = []
        self._before: list[tuple[int, Any]] = []

    def call(self, then: Callable[[], None]) -> None:
        """`then` is called when the end is wished for, now if it was before."""
        self._then.append(then)
        if self.event.is_set():
            then()

    def __enter__(self) -> Ended:
        import signal

        if threading.current_thread() is not threading.main_thread():  # Python hears signals there alone
            return self
        for name in self.NAMES:
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):  # nohup
                continue
            self._before.append((number, signal.signal(number, self._wish)))
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self._before:
            signal.signal(number, handler)

    def _wish(self, number: int, frame: object) -> None:
        import signal

        if number == signal.SIGINT and self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()
        for then in self._then:
            then()


def make_follow(
    source: str, sound_from: str | None, loaded: Loaded, go_on: Path | None, questions: list[str], every: float,
    pace: bool, most_lag: float, picture: bool, sound: bool, album: bool = False,
    reconnect: float = 0.0, ended: Ended | None = None,
) -> Follow:  # fmt: skip
    """Opens the sources and the session, and puts them together."""
    from mirasol.inference.answer import check_questions
    from mirasol.inference.follow import Follow
    from mirasol.inference.session import Session
    from mirasol.media.live import Live, Persistent

    if not (picture or sound):
        raise ValueError("expected picture or sound, found --no-picture with --no-sound: leave one of them out")
    check_questions(questions, loaded)
    session = None if go_on is None else Session.load(go_on, loaded, album=album)
    sizes, zero = loaded.model.sizes, None if sound_from is None else time.monotonic()  # one clock for two devices

    def open_live(name: str, sight: bool, hearing: bool) -> Live | Persistent:
        def make() -> Live:
            return Live(
                name, sample_rate=sizes.sample_rate, fit=(sizes.height, sizes.width), picture=sight, sound=hearing,
                zero=zero,
            )  # fmt: skip

        if reconnect and "://" in name and zero is None:
            return Persistent(make, reconnect, lambda words: typer.secho(f"note: {words}", fg="yellow", err=True))
        return make()

    def open_all() -> list[Live | Persistent]:
        lives = [open_live(source, picture, sound and sound_from is None)]
        return lives if sound_from is None else [*lives, open_live(sound_from, False, True)]

    lives = open_all() if ended is None else until(open_all, ended.event) or []
    if session is None:
        # A source that was not open yet when the end was wished for had nothing to say of its kinds.
        has_picture = any(live.has_picture for live in lives) or (picture and not lives)
        has_sound = any(live.has_sound for live in lives) or (sound and not lives)
        session = Session(loaded, start=0.0, picture=has_picture, sound=has_sound, album=album)
    return Follow(session, lives, tuple(questions), every, pace, most_lag)


def until(work: Callable[[], Any], stop: threading.Event) -> Any:
    """What `work` returns, done in a thread so that a signal is heard meanwhile; None where `stop` is set before."""
    found: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name=WAITS)
    thread.start()
    while thread.is_alive() and not stop.is_set():
        thread.join(0.05)
    if failed and not stop.is_set():
        raise failed[0]
    return found[0] if found else None


@contextmanager
def watching_lines(follow: Follow, out: Any) -> Iterator[Callable[[str], None]]:
    """Prints answers, and how it goes: a live line where stderr is a terminal and nobody types on it, else a line now
    and then, which cannot be mixed up with what is typed. Gives `show(line)`."""
    from rich.console import Console
    from rich.status import Status

    from mirasol.inference.answer import new_words_note

    console, status_to = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    status = Status("waiting for the first snippet", console=status_to)
    told = time.monotonic()
    said: set[tuple[str, ...]] = set()

    def show(line: str) -> None:
        console.print(line, markup=False)

    def on_event(event: Event) -> None:
        answer = event.answer
        if out is not None:
            out.write(json.dumps(event.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")
            out.flush()
        words = f"{answer.question}  {answer.answer or '(no words)'}   {percent(answer)}"
        show(f"[at {event.end:.1f} s] {words}")
        if not answer.is_calibrated and answer.receipt.new_words not in said:
            said.add(answer.receipt.new_words)
            show(f"note: {new_words_note(answer.receipt.new_words)}")

    def on_pulse(pulse: Pulse) -> None:
        nonlocal told
        if not sys.stdin.isatty():
            status.update(pulse.sentence())
        elif time.monotonic() - told >= PULSE_SECONDS:
            told = time.monotonic()
            status_to.print(pulse.sentence(), style="dim", highlight=False)

    follow.on_event = on_event
    follow.on_note = lambda second, words: show(f"[{second:.1f} s] note: {words}")
    if status_to.is_terminal:
        follow.on_pulse = on_pulse
        if not sys.stdin.isatty():
            status.start()
    try:
        yield show
    finally:
        status.stop()


def read_questions(follow: Follow, show: Callable[[str], None]) -> Callable[[], None]:
    """Questions typed on standard input, a line each, until it ends; gives what stops it."""
    from mirasol.inference.answer import check_questions
    from mirasol.media.pipe import Pipe, standard_input

    typed = standard_input()
    if not isinstance(typed, Pipe):
        return lambda: None

    def read() -> None:
        for line in typed.lines():
            if not (question := line.strip()):
                continue
            try:
                check_questions([question], follow.session.loaded)
            except ValueError as error:
                show(str(error))
            else:
                follow.ask(question)

    threading.Thread(target=read, daemon=True).start()
    return typed.stop
