"""Files: `ask`, `describe`, and the `demo` that makes one first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import (
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

if TYPE_CHECKING:
    from mirasol.inference.answer import Answer, Loaded, Watched
    from mirasol.inference.picture import SoundView


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
    if file == "-" and picture is not None:
        raise ValueError("expected a file for --picture, found standard input, which can be read once: save it first")
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
