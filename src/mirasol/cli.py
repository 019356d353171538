"""The command line: `mirasol ask`, `describe`, `watch`, `inspect`, `toybox`, `train`, `evaluate`, `demo`.

Everything heavy is imported inside the commands, so that `mirasol --help` starts at once. What a user can mend comes
back as one line on stderr and exit code 2.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mirasol.evaluate.toybox import Answered
    from mirasol.inference.answer import Answer, Loaded, Receipt, Watched
    from mirasol.inference.follow import Event, Follow
    from mirasol.inference.picture import SoundView
    from mirasol.train.config import Run

app = typer.Typer(
    name="mirasol",
    help="Watches and listens to video of any length and answers in text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[str, typer.Argument(help="A video, a sound or a picture: a path or a URL.", show_default=False)]
SOURCE_HELP = "A file, a URL (http, rtsp, ...), - for standard input, or a device such as v4l2:/dev/video0."
Model = Annotated[str, typer.Option(help="A model of the package by its name, or a folder with a checkpoint.")]
Start = Annotated[float | None, typer.Option(help="Second to start at; answers count seconds from there.")]
End = Annotated[float | None, typer.Option(help="Second to end at.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per answer, for programs.")]
Picture = Annotated[Path | None, typer.Option(help="Also draw frames, sound and answers into this PNG.")]
MemoryPicture = Annotated[
    Path | None, typer.Option(help="Also draw what the memory holds and where answers looked (PNG).")
]
NoSound = Annotated[bool, typer.Option("--no-sound", help="Leave the sound out.")]
NoPicture = Annotated[bool, typer.Option("--no-picture", help="Leave the picture out.")]


def main() -> None:
    """The entry point: errors that a user can mend become one line."""
    # Threads that wait shall sleep, not spin: on a busy machine spinning makes small models many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except ValueError as error:
        fail(str(error))


def fail(message: str) -> None:
    print("mirasol:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


def show_version(wanted: bool) -> None:
    if wanted:
        import mirasol

        typer.echo(f"mirasol {mirasol.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None: ...


@app.command()
def ask(
    file: File,
    questions: Annotated[list[str], typer.Argument(help="One or several questions.", show_default=False)],
    model: Model = "tiny",
    start: Start = None,
    end: End = None,
    as_json: Json = False,
    picture: Picture = None,
    memory_picture: MemoryPicture = None,
    no_sound: NoSound = False,
    no_picture: NoPicture = False,
) -> None:
    """Ask a file one or several questions; it is watched once."""
    answer_file(
        file, questions, model, start, end, as_json, picture, memory_picture, sound=not no_sound, sight=not no_picture
    )


@app.command()
def describe(
    file: File,
    model: Model = "tiny",
    start: Start = None,
    end: End = None,
    as_json: Json = False,
    picture: Picture = None,
    no_sound: NoSound = False,
    no_picture: NoPicture = False,
) -> None:
    """Describe a file in a sentence or two."""
    answer_file(file, [None], model, start, end, as_json, picture, sound=not no_sound, sight=not no_picture)


def answer_file(
    file: str, questions: Sequence[str | None], model: str, start: float | None, end: float | None, as_json: bool,
    picture: Path | None, memory_picture: Path | None = None, *, sound: bool = True, sight: bool = True,
) -> None:  # fmt: skip
    if not (sound or sight):
        raise ValueError("expected picture or sound, found --no-picture with --no-sound: leave one of them out")
    for path in (picture, memory_picture):
        if path is not None:
            check_picture_name(path)
    from mirasol.inference.answer import load

    loaded = load(model)
    watched, answers, view = watch_and_answer(file, questions, loaded, start, end, sound=sound, sight=sight)
    if picture is not None:
        draw_picture(file, answers, view, loaded, picture)
    if memory_picture is not None:
        from mirasol.inference.memory_picture import draw_memory

        draw_memory(watched, answers, loaded, Path(file).name).save(memory_picture)
    if as_json:
        for answer in answers:
            typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
        return
    for answer in answers:
        typer.secho(answer.question, dim=True)
        typer.echo(f"  {typer.style(answer.answer or '(no words)', bold=True)}   {percent(answer.confidence)}")
    typer.echo()
    print_receipt(answers[0].receipt)
    for path in (picture, memory_picture):
        if path is not None:
            typer.echo(f"picture: {path}")


def watch_and_answer(
    file: str, questions: Sequence[str | None], loaded: Loaded, start: float | None = None, end: float | None = None,
    *, sound: bool = True, sight: bool = True,
) -> tuple[Watched, list[Answer], SoundView]:  # fmt: skip
    """One pass over the file with a progress bar, then the answers, and what the pictures want."""
    from mirasol.inference.answer import check_questions, put
    from mirasol.inference.files import watch
    from mirasol.inference.picture import SoundView

    check_questions(questions, loaded)
    view = SoundView()
    with progress_bar("watching", "s") as tick:
        watched = watch(
            file, loaded, start, end, picture=sight, sound=sound, progress=tick, observe=view.add, album=True
        )
    return watched, put(watched, questions, loaded), view


def check_picture_name(path: Path) -> None:
    """Before the work is done, not after it."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"expected a picture name ending in .png, found {str(path)!r}")
    check_folder(path)


def check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"the folder {str(path.parent)!r} for {path.name!r} does not exist; make it first")


def draw_picture(file: str, answers: Sequence[Answer], view: SoundView, loaded: Loaded, path: Path) -> None:
    from mirasol.inference.picture import draw_answers

    draw_answers(file, answers, view, loaded.model.sizes.snippet_seconds).save(path)


def percent(share: float) -> str:
    return f"{100 * share:.0f} % sure"


def print_receipt(receipt: Receipt) -> None:
    typer.secho(receipt.sentence(), dim=True)
    for warning in receipt.warnings:
        typer.secho(f"note: {warning}", fg="yellow")


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Callable[..., None]]:
    """Gives `tick(done, total or None)`; a bar with rate and time left on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None, count="")

        def tick(done: float, total: float | None = None, say: str | None = None) -> None:
            speed = bar.tasks[0].speed
            rate = f"  {speed:.3g} {unit}/s" if speed else ""
            of = "" if total is None else f"/{total:.0f}"
            bar.update(task, completed=done, total=total, count=f"{done:.0f}{of} {unit}{rate}")
            if say is not None:
                bar.console.print(say, highlight=False, markup=False, soft_wrap=True)

        yield tick


@app.command()
def watch(
    source: Annotated[str, typer.Argument(help=SOURCE_HELP, show_default=False)],
    questions: Annotated[list[str] | None, typer.Argument(help="Asked every so often.", show_default=False)] = None,
    model: Model = "tiny",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two askings of the questions.")] = 10.0,
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
    most_lag: Annotated[float, typer.Option(min=1, help="Live: seconds behind before snippets are left out.")] = 8.0,
    reconnect: Annotated[
        float, typer.Option(min=0, help="Seconds for which a network source that ends or breaks is opened again.")
    ] = 0.0,
    no_sound: NoSound = False,
    no_picture: NoPicture = False,
) -> None:
    """Watch a file, a camera, a network stream or a pipe without end; type questions while it runs."""
    import signal

    from mirasol.inference.answer import load

    for path in (events, save):
        if path is not None:
            check_folder(path)
    if picture is not None:
        check_picture_name(picture)
    loaded = load(model)
    with ExitStack() as stack:
        out = None if events is None else stack.enter_context(events.open("a", encoding="utf-8"))
        follow = make_follow(
            source, sound_from, loaded, go_on, questions or [], every, pace, most_lag, not no_picture, not no_sound,
            picture is not None, reconnect,
        )  # fmt: skip
        show = stack.enter_context(watching_lines(follow, out))
        signal.signal(signal.SIGINT, lambda *_: follow.stop())
        if source != "-":
            read_questions(follow, show)
        broken: ValueError | OSError | None = None
        try:
            watched = follow.run()
        except (ValueError, OSError) as error:  # a source that breaks off: what was watched is not lost
            broken, watched = error, follow.session.snapshot()
            if not watched.receipt.snippets:
                raise
    if save is not None:
        size = follow.session.save(save)
        typer.echo(f"session saved: {save}, {size / 2**10:.0f} KiB")
    print_receipt(watched.receipt)
    if picture is not None:
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


def make_follow(
    source: str, sound_from: str | None, loaded: Loaded, go_on: Path | None, questions: list[str], every: float,
    pace: bool, most_lag: float, picture: bool, sound: bool, album: bool = False,
    reconnect: float = 0.0,
) -> Follow:  # fmt: skip
    """Opens the sources and the session, and puts them together."""
    from mirasol.inference.answer import check_questions
    from mirasol.inference.follow import Follow
    from mirasol.inference.session import Session
    from mirasol.media.live import Live, Persistent

    if not (picture or sound):
        raise ValueError("expected picture or sound, found --no-picture with --no-sound: leave one of them out")
    check_questions(questions, loaded)
    session = None if go_on is None else Session.load(go_on, loaded)
    sizes = loaded.model.sizes

    def open_live(name: str, sight: bool, hearing: bool) -> Live | Persistent:
        def make() -> Live:
            return Live(
                name, sample_rate=sizes.sample_rate, fit=(sizes.height, sizes.width), picture=sight, sound=hearing,
                own_time=sound_from is None,
            )  # fmt: skip

        if reconnect and "://" in name:
            return Persistent(make, reconnect, lambda words: typer.secho(f"note: {words}", fg="yellow", err=True))
        return make()

    lives = [open_live(source, picture, sound and sound_from is None)]
    if sound_from is not None:
        lives.append(open_live(sound_from, False, True))
    if session is None:
        has_picture, has_sound = any(live.has_picture for live in lives), any(live.has_sound for live in lives)
        session = Session(loaded, start=0.0, picture=has_picture, sound=has_sound, album=album)
    return Follow(session, lives, tuple(questions), every, pace, most_lag)


@contextmanager
def watching_lines(follow: Follow, out: Any) -> Iterator[Callable[[str], None]]:
    """Prints answers, and a live line with lag, speed and memory where stderr is a terminal. Gives `show(line)`."""
    from rich.console import Console
    from rich.status import Status

    console, status_to = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    status = Status("waiting for the first snippet", console=status_to)

    def show(line: str) -> None:
        console.print(line, markup=False)

    def on_event(event: Event) -> None:
        answer = event.answer
        if out is not None:
            out.write(json.dumps(event.to_dict(), ensure_ascii=False) + "\n")
            out.flush()
        span = f"[{event.start:.1f} to {event.end:.1f} s]"
        show(f"{span} {answer.question}  {answer.answer or '(no words)'}   {percent(answer.confidence)}")

    follow.on_event = on_event
    follow.on_note = lambda second, words: show(f"[{second:.1f} s] note: {words}")
    follow.on_pulse = lambda pulse: status.update(pulse.sentence())
    if status_to.is_terminal:
        status.start()
    try:
        yield show
    finally:
        status.stop()


def read_questions(follow: Follow, show: Callable[[str], None]) -> None:
    """Questions typed on standard input, a line each, until it ends."""
    import threading

    from mirasol.inference.answer import check_questions

    def read() -> None:
        for line in sys.stdin:
            if not (question := line.strip()):
                continue
            try:
                check_questions([question], follow.session.loaded)
            except ValueError as error:
                show(str(error))
            else:
                follow.ask(question)

    threading.Thread(target=read, daemon=True).start()


@app.command()
def inspect(
    preset: Annotated[str, typer.Option(help="tiny, small, base or 3b.")] = "tiny",
    model: Annotated[str | None, typer.Option(help="A model instead: its name or its folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The numbers as one JSON object.")] = False,
) -> None:
    """Parameters by component, tokens per snippet and bytes of a stream's state; no weights are made."""
    from mirasol.model.inspection import inspect as numbers_of
    from mirasol.model.sizes import PRESETS, Sizes

    if model is not None:
        from mirasol.inference.answer import model_folder

        sizes, name = Sizes.load(model_folder(model)), f"model {model}"
    elif preset in PRESETS:
        sizes, name = PRESETS[preset], f"preset {preset}"
    else:
        raise ValueError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    numbers = numbers_of(sizes)
    typer.echo(json.dumps(numbers) if as_json else inspection_text(name, numbers))


def inspection_text(name: str, numbers: dict[str, Any]) -> str:
    total = numbers["total"]
    parts = {**numbers["components"], "": None, "audio-video": numbers["audio_video"], "text": numbers["text"]}
    lines = [f"{name}: {total:,} parameters", ""]
    for part, count in parts.items():
        lines.append("" if count is None else f"  {part:<16}{count:>15,}{100 * count / total:>8.1f} %")
    tokens = ", ".join(f"{stage} {count}" for stage, count in numbers["tokens_per_snippet"].items())
    size = numbers["state_bytes"]
    shown = f"{size / 2**20:,.1f} MiB" if size > 2**20 else f"{size / 2**10:,.1f} KiB"
    context = f"the latents of {numbers['context_snippets']} snippets"
    context += " and the memory" if numbers["tokens_per_snippet"]["memory"] else ""
    lines += [
        "",
        f"tokens per snippet of {numbers['seconds_per_snippet']:g} s: {tokens}",
        f"text attends to at most {numbers['context_tokens']} tokens: {context}",
        f"state of a stream of any length: {shown} at float32",
    ]
    return "\n".join(lines)


@app.command()
def toybox(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; `toybox` unless only --blind is wanted.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Number of the first scene.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation, test or compositional.")] = "test",
    seconds: Annotated[int | None, typer.Option(help="Length of every scene, 1 to 8; else it varies.")] = None,
    format: Annotated[str, typer.Option(help="mp4 (H.264, AAC) or webm (VP9, Opus).")] = "mp4",
    sheet: Annotated[bool, typer.Option(help="Contact sheets with frames, spectrogram and answers.")] = True,
    blind: Annotated[bool, typer.Option("--blind", help="Print how far a blind guess gets, by question type.")] = False,
    stream: Annotated[
        int | None, typer.Option(min=9, help="Streams of so many seconds instead of scenes, for `mirasol watch`.")
    ] = None,
) -> None:
    """Make Toybox scenes: video files, their questions with answers (JSON), contact sheets."""
    from mirasol.media import toybox as world

    if split not in world.SPLITS:
        raise ValueError(f"no split {split!r}; expected one of {', '.join(world.SPLITS)}")
    if format not in ("mp4", "webm"):
        raise ValueError(f"expected --format mp4 or webm, found {format!r}")
    if stream is not None:
        write_streams(out or Path("toybox"), count, seed, split, stream, format)
        return
    if out is not None or not blind:
        folder = out or Path("toybox")
        kinds = "video, answers (.json) and contact sheet (.png)" if sheet else "video and answers (.json)"
        with progress_bar("making scenes", "scenes") as tick:
            for done in range(count):
                (path,) = world.write_scenes(folder, 1, seed + done, split, f".{format}", sheet, seconds)
                tick(done + 1, count)
                typer.echo(path)
        typer.echo(f"{count} scenes in {folder}: {kinds}")
    if blind:
        from mirasol.evaluate.report import table

        figures, shares = world.blind_figures(split), world.type_shares(split)
        rows = [[type, f"{shares.get(type, 100):.1f}", f"{figure:.1f}"] for type, figure in figures.items()]
        typer.echo(f"{split}: the best guess that neither sees nor hears, in percent")
        typer.echo(table(["type", "share of questions", "right"], rows))


def write_streams(folder: Path, count: int, seed: int, split: str, seconds: int, format: str) -> None:
    """Films of streams, and what can be asked at their end, with the answers (JSON)."""
    from mirasol.media.toybox.files import write_stream
    from mirasol.media.toybox.streams import Stream

    visits = max(3, min(8, seconds // 9))
    with progress_bar("making streams", "s") as tick:
        for number in range(count):
            path, before = folder / f"{split}-stream-{seed + number:05d}.{format}", number * seconds

            def progress(second: int, before: int = before) -> None:
                tick(before + second, count * seconds)

            write_stream(Stream(seed + number, split, seconds, visits=visits), path, progress)
            typer.echo(path)
    typer.echo(
        f"{count} streams in {folder} with their answers (.json); try: {program()} watch {path} --model tiny-stream"
    )


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A Python file with a function recipe().", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME otherwise.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for so many steps instead.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that make batches.")] = None,
) -> None:
    """Train a model by a recipe; a folder that holds checkpoints is gone on with."""
    from dataclasses import replace

    run = load_recipe(recipe)
    if steps is not None:
        run = replace(run, optimisation=replace(run.optimisation, steps=steps))
    if workers is not None:
        run = replace(run, workers=workers)
    from mirasol.train.loop import train as train_run

    out = out or Path("runs") / run.name
    with progress_bar(f"training {run.name}", "steps") as tick:
        at = [0]

        def count(done: int, steps: int) -> None:
            at[0] = done
            tick(done, steps)

        def report(line: str) -> None:
            tick(at[0], run.optimisation.steps, say=line)

        model = train_run(run, out, evaluate=evaluation(run), report=report, tick=count)
    typer.echo(f'the model is in {model}; try: {program()} ask FILE "question" --model {model}')


def load_recipe(path: Path) -> Run:
    """Runs a recipe file, which the user named, and gives its run."""
    import importlib.util

    from mirasol.train.config import Run

    if not path.is_file():
        raise ValueError(f"no recipe {str(path)!r}: expected a Python file with a function recipe()")
    name = f"mirasol_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"expected a recipe as a Python file (.py), found {str(path)!r}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    run = module.recipe() if hasattr(module, "recipe") else None
    if not isinstance(run, Run):
        raise ValueError(f"expected a function recipe() in {path} that gives a mirasol.train.config.Run, found none")
    return run


def evaluation(run: Run) -> Callable[[Any, Any], dict[str, float]] | None:
    """What `run.evaluate` ({"split", "scenes"}) asks to score during training."""
    if not run.evaluate:
        return None
    from mirasol.evaluate.toybox import percentages, score_scenes
    from mirasol.model.text import Text

    def evaluate(model: Any, tokenizer: Any) -> dict[str, float]:
        wanted = run.evaluate
        return percentages(list(score_scenes(model, Text(tokenizer), wanted["split"], wanted["scenes"], ("both",))))

    return evaluate


@app.command()
def evaluate(
    task: Annotated[str, typer.Argument(help="toybox, or streams: recall of the long past.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="Name or folder; `tiny`, and for streams `tiny-stream`.")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="toybox: scenes of each split.")] = 200,
    streams: Annotated[int, typer.Option(min=1, help="streams: how many of each length.")] = 20,
    lengths: Annotated[str, typer.Option(help="streams: seconds, with commas between.")] = "64,640,2560",
    splits: Annotated[str, typer.Option(help="With commas between.")] = "test,compositional",
    rows: Annotated[
        str, typer.Option(help="How scenes are shown: both, picture, sound, swapped (another's sound), question.")
    ] = "both,picture,sound,swapped,question",
    out: Annotated[Path | None, typer.Option("--json", help="Also write all numbers into this file.")] = None,
) -> None:
    """Score a model: exact match of generated answers, by question type, with and without picture and sound."""
    if task not in ("toybox", "streams"):
        raise ValueError(f"no task {task!r}; expected toybox or streams")
    if out is not None:
        check_folder(out)
    if task == "streams":
        evaluate_streams(model or "tiny-stream", streams, lengths, out)
        return
    from mirasol.evaluate.report import tables
    from mirasol.evaluate.toybox import ROWS
    from mirasol.media.toybox import SPLITS

    report = score_toybox(model or "tiny", scenes, named(splits, SPLITS, "split"), named(rows, ROWS, "row"))
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(tables(report))
    typer.echo(f"\nmodel {report['model']}, {scenes} scenes of each split, {report['seconds']:.0f} s")
    if out is not None:
        typer.echo(f"numbers: {out}")


def evaluate_streams(model: str, streams: int, lengths: str, out: Path | None) -> None:
    """`mirasol evaluate streams`: really rendered, visits in the first 64 seconds, questions at the end."""
    from mirasol.evaluate.report import table
    from mirasol.evaluate.streams import WITHIN, score_streams
    from mirasol.inference.answer import load
    from mirasol.media.toybox.streams import STREAM_TYPES

    try:
        seconds = [int(length) for length in lengths.split(",")]
    except ValueError:
        raise ValueError(f"expected --lengths as whole seconds with commas between, found {lengths!r}") from None
    if min(seconds) < WITHIN:
        raise ValueError(f"expected lengths of at least {WITHIN} s, as long as things come by; found {min(seconds)}")
    loaded, total = load(model), streams * sum(seconds)
    with progress_bar("watching", "s") as tick:
        report = score_streams(loaded.model, loaded.text, seconds, streams, lambda done: tick(done, total))
    report = {**report, "model": loaded.name}
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    names = ("overall", *STREAM_TYPES, "questions")
    rows = [
        [f"{length} s", *(f"{figures.get(name, 0):g}" for name in names)]
        for length, figures in report["recall"].items()
    ]
    rows.append(["blind", *(f"{report['blind'].get(name, 0):g}" for name in names[:-1]), ""])
    typer.echo(f"{loaded.name}: percent right about the first {WITHIN} s of test streams, asked at the end")
    typer.echo(table(["after", *names], rows))
    if out is not None:
        typer.echo(f"numbers: {out}")


def named(words: str, known: Sequence[str], what: str) -> list[str]:
    """Names from `a,b`, each of which is known."""
    found = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if unknown := [word for word in found if word not in known]:
        raise ValueError(f"no {what} {unknown[0]!r}; expected some of {', '.join(known)}")
    if not found:
        raise ValueError(f"expected at least one {what} of {', '.join(known)}, found none")
    return found


def score_toybox(model: str, scenes: int, splits: Sequence[str], rows: Sequence[str]) -> dict[str, Any]:
    """Everything that `mirasol evaluate toybox` finds out, as plain values."""
    import time
    from importlib.metadata import version

    from mirasol.evaluate.report import summarise
    from mirasol.evaluate.toybox import score_scenes
    from mirasol.inference.answer import load
    from mirasol.media.toybox import blind_figures

    loaded, began, done = load(model), time.monotonic(), [0]
    answered: list[Answered] = []
    with progress_bar("evaluating", "scenes") as tick:
        tick(0, scenes * len(splits))

        def progress(more: int) -> None:
            done[0] += more
            tick(done[0], scenes * len(splits))

        for split in splits:
            answered += score_scenes(loaded.model, loaded.text, split, scenes, rows, progress=progress)
    report = summarise(answered, blind_figures(splits[0], by_needs=True))
    return {
        **report,
        "model": loaded.name,
        "scenes": scenes,
        "blind_split": splits[0],
        "seconds": round(time.monotonic() - began, 1),
        "versions": {name: version(name) for name in ("mirasol", "torch", "av", "numpy")},
    }


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the video and the picture.")] = Path("demo"),
    model: Model = "tiny",
) -> None:
    """Make a video with sound, ask it five questions, and show the answers beside the truth."""
    from mirasol.inference.answer import load
    from mirasol.media.toybox import demo_scene, write_file

    loaded, scene = load(model), demo_scene()
    out.mkdir(parents=True, exist_ok=True)
    film = write_file(scene, out / "demo.mp4")
    (out / "demo.json").write_text(json.dumps(scene.to_dict(), indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{film}: {scene.seconds} s of picture and sound. What happens: {scene.caption}\n")
    _, answers, view = watch_and_answer(str(film), [question.text for question in scene.questions], loaded)
    draw_picture(str(film), answers, view, loaded, out / "demo.png")
    right = 0
    for question, answer in zip(scene.questions, answers, strict=True):
        good = answer.answer == question.answer
        right += good
        verdict = typer.style("right" if good else f"WRONG, it is: {question.answer}", fg="green" if good else "red")
        needs = "picture and sound" if question.needs == "both" else question.needs
        typer.echo(f"{question.text}   " + typer.style(f"({question.type}; needs {needs})", dim=True))
        typer.echo(f"  {typer.style(answer.answer, bold=True)}   {percent(answer.confidence)}   {verdict}")
    typer.echo(f"\n{right} of {len(answers)} right")
    print_receipt(answers[0].receipt)
    typer.echo(f"\nthe film     {film}\nthe picture  {out / 'demo.png'}\nthe truth    {out / 'demo.json'}")
    typer.echo(f'try next     {program()} ask {film} "what was the last thing you saw?"')


def program() -> str:
    """How this program can be called again from here."""
    import shutil

    return "mirasol" if shutil.which("mirasol") else os.path.relpath(sys.argv[0])
