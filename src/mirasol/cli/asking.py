"""Files: `ask`, `describe`, and the `demo` that makes one first."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import (
    Chosen,
    Device,
    Dtype,
    End,
    File,
    Json,
    MemoryPicture,
    Model,
    NoPicture,
    NoSound,
    Picture,
    Start,
    app,
    check_picture_name,
    percent,
    print_new_words,
    print_receipt,
    program,
    progress_bar,
)

ASK_HELP = (
    "A video, a sound or a picture (a path, a URL, or - for standard input), then one or several questions. With -q: "
    "files, folders, or - for a list of files on standard input."
)

if TYPE_CHECKING:
    from mirasol.inference.answer import Answer, Loaded, Watched
    from mirasol.inference.picture import SoundView


@app.command()
def ask(
    file: Annotated[list[str], typer.Argument(metavar="FILE", help=ASK_HELP, show_default=False)],
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Ask this of many files: all FILEs are files then.")
    ] = None,
    model: Model = "tiny",
    start: Start = None,
    end: End = None,
    as_json: Json = False,
    picture: Picture = None,
    memory_picture: MemoryPicture = None,
    no_sound: NoSound = False,
    no_picture: NoPicture = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Ask a file one or several questions, or many files with -q; each is watched once."""
    chosen = Chosen(model, device, dtype)
    if question:
        whole = {"--start": start, "--end": end, "--picture": picture, "--memory-picture": memory_picture}
        whole |= {"--no-sound": no_sound or None, "--no-picture": no_picture or None}
        if given := [name for name, value in whole.items() if value is not None]:
            raise ValueError(f"expected {given[0]} with one file and its questions, found it with -q for many files")
        ask_files(file, question, chosen, as_json)
        return
    first, *questions = file
    if not questions:
        raise ValueError(
            f"expected a file and a question, found {first!r} alone; for example: mirasol ask film.mp4 "
            '"what do you hear?"'
        )
    answer_file(
        first, questions, chosen, start, end, as_json, picture, memory_picture, sound=not no_sound, sight=not no_picture
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
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Describe a file in a sentence or two."""
    chosen = Chosen(model, device, dtype)
    answer_file(file, [None], chosen, start, end, as_json, picture, sound=not no_sound, sight=not no_picture)


def ask_files(files: Sequence[str], questions: Sequence[str], chosen: Chosen, as_json: bool) -> None:
    """A line for each file as soon as it is done; exit code 1 where one could not be watched."""
    from mirasol.inference.many import ask_many

    broken = 0
    for one in ask_many(listed(files), questions, chosen.load()):
        broken += one.error is not None
        if as_json:
            said = {"error": one.error} if one.error else {"answers": [answer.to_dict() for answer in one.answers]}
            typer.echo(json.dumps({"file": one.file, **said}, ensure_ascii=False, allow_nan=False))
        elif one.error is not None:
            typer.echo(f"{one.file}: {one.error}", err=True)
        else:
            typer.echo(f"{one.file}: " + "; ".join(f"{answer.answer} ({percent(answer)})" for answer in one.answers))
            for warning in dict.fromkeys(line for answer in one.answers for line in answer.receipt.warnings):
                typer.echo(f"{one.file}: note: {warning}", err=True)
    if broken:
        raise typer.Exit(1)


def listed(files: Sequence[str]) -> Iterator[str]:
    """Every file named: a folder stands for what can be watched in it, - for a list on standard input, a line each."""
    from mirasol.data.endings import PICTURES, SOUNDS, STILLS

    kinds = PICTURES | SOUNDS | STILLS
    for name in files:
        if name == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        elif Path(name).is_dir():
            found = sorted(path for path in Path(name).rglob("*") if path.suffix[1:].lower() in kinds)
            if not found:
                raise ValueError(f"expected videos, sounds or pictures in the folder {name}, found none")
            yield from map(str, found)
        else:
            yield name


def answer_file(
    file: str, questions: Sequence[str | None], chosen: Chosen, start: float | None, end: float | None, as_json: bool,
    picture: Path | None, memory_picture: Path | None = None, *, sound: bool = True, sight: bool = True,
) -> None:  # fmt: skip
    if not (sound or sight):
        raise ValueError("expected picture or sound, found --no-picture with --no-sound: leave one of them out")
    for path in (picture, memory_picture):
        if path is not None:
            check_picture_name(path)
    if file == "-" and picture is not None:
        raise ValueError("expected a file for --picture, found standard input, which can be read once: save it first")
    loaded = chosen.load()
    watched, answers, view = watch_and_answer(file, questions, loaded, start, end, sound=sound, sight=sight)
    if picture is not None:
        draw_picture(file, answers, view, loaded, picture)
    if memory_picture is not None:
        from mirasol.inference.memory_picture import draw_memory

        draw_memory(watched, answers, loaded, Path(file).name).save(memory_picture)
    if as_json:
        for answer in answers:
            typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False))
        return
    for answer in answers:
        typer.secho(answer.question, dim=True)
        typer.echo(f"  {typer.style(answer.answer or '(no words)', bold=True)}   {percent(answer)}")
        print_new_words(answer)
    typer.echo()
    print_receipt(watched.receipt)
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


def draw_picture(file: str, answers: Sequence[Answer], view: SoundView, loaded: Loaded, path: Path) -> None:
    from mirasol.inference.picture import draw_answers

    draw_answers(file, answers, view, loaded.model.sizes.snippet_seconds).save(path)


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
        typer.echo(f"  {typer.style(answer.answer, bold=True)}   {percent(answer)}   {verdict}")
    typer.echo(f"\n{right} of {len(answers)} right")
    print_receipt(answers[0].receipt)
    typer.echo(f"\nthe film     {film}\nthe picture  {out / 'demo.png'}\nthe truth    {out / 'demo.json'}")
    typer.echo(f'try next     {program()} ask {film} "what was the last thing you saw?"')
