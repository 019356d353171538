"""What the commands share: the application, their options, progress, and how errors and receipts are shown."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from mirasol.inference.answer import Answer, Loaded, Receipt

QUIET = 10.0  # seconds after which work without a progress bar says how far it is


def without_type(parameters: list[Any]) -> list[Any]:
    """A flag takes no value, so help names no type of it."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command whose help says what people need, and no more."""

    def get_params(self, ctx: Any) -> list[Any]:
        return without_type(super().get_params(ctx))


class Group(TyperGroup):
    """The same for a group of commands, which are listed in the order of `order`, then as they were made."""

    order: ClassVar[list[str]] = []

    def get_params(self, ctx: Any) -> list[Any]:
        return without_type(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        names = list(self.commands)
        return sorted(names, key=lambda name: self.order.index(name) if name in self.order else len(self.order))


app = typer.Typer(
    name="mirasol",
    cls=Group,
    help="Watches and listens to video of any length and answers in text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FILE_HELP = "A video, a sound or a picture: a path, a URL, or - for standard input."
File = Annotated[str, typer.Argument(help=FILE_HELP, show_default=False)]
SOURCE_HELP = "A file, a URL (http, rtsp, ...), - for standard input, or a device such as v4l2:/dev/video0."
Model = Annotated[str, typer.Option(help="A model of the package by its name, or a folder with a checkpoint.")]

DEVICE_HELP = "Where to compute: cpu, cuda, mps; auto takes the best there is."
Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
DTYPE_HELP = "Precision: float32, bfloat16, float16; auto takes what the device is good at."
Dtype = Annotated[str, typer.Option(help=DTYPE_HELP)]


@dataclass(frozen=True)
class Chosen:
    """A model by its name or folder, with the device and the precision to load it in."""

    name: str
    device: str = "auto"
    dtype: str = "auto"

    def load(self) -> Loaded:
        from mirasol.inference.answer import load

        return load(self.name, self.device, self.dtype)


def seconds_from(least: float | None = None) -> Callable[[str], float]:
    """Reads seconds, as a number or as a clock shows them (90.5, 1:30.5, 1:02:03): for options."""

    def read(value: str) -> float:
        words = str(value).strip()
        sign, parts = -1 if words.startswith("-") else 1, words.removeprefix("-").split(":")
        try:
            found = [] if parts[0][:1] in ("-", "+") else [float(part) for part in parts]
        except ValueError:
            found = []
        clock = all(part.isdigit() for part in parts[:-1]) and all(0 <= part < 60 for part in found[1:])
        if not 1 <= len(found) <= 3 or not (clock or len(found) == 1):
            raise typer.BadParameter(f"expected seconds or a time such as 90, 1:30 or 1:02:03.5, found {value!r}")
        seconds = sign * sum(part * 60**place for place, part in enumerate(reversed(found)))
        if least is not None and not seconds >= least:
            raise typer.BadParameter(f"expected at least {least:g} s, found {value!r}")
        return seconds

    return read


Start = Annotated[
    float | None,
    typer.Option(
        parser=seconds_from(),
        metavar="SECONDS",
        help="Second to start at (90 or 1:30); answers count seconds from there.",
    ),
]
End = Annotated[
    float | None, typer.Option(parser=seconds_from(), metavar="SECONDS", help="Second to end at (90 or 1:30).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per answer, for programs.")]
Picture = Annotated[Path | None, typer.Option(help="Also draw frames, sound and answers into this PNG.")]
MemoryPicture = Annotated[
    Path | None, typer.Option(help="Also draw what the memory holds and where answers looked (PNG).")
]
NoSound = Annotated[bool, typer.Option("--no-sound", help="Leave the sound out.")]
NoPicture = Annotated[bool, typer.Option("--no-picture", help="Leave the picture out.")]


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


def check_picture_name(path: Path) -> None:
    """Before the work is done, not after it."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"expected a picture name ending in .png, found '{path}'")
    check_folder(path)


def check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"the folder '{path.parent}' for '{path.name}' does not exist; make it first")


def percent(answer: Answer) -> str:
    """How sure the model is, in words."""
    return f"{100 * answer.confidence:.0f} % sure" + ("" if answer.is_calibrated else " (not calibrated)")


def print_new_words(answer: Answer) -> None:
    """Beside the answer whose question has them."""
    from mirasol.inference.answer import new_words_note

    if not answer.is_calibrated:
        typer.secho(f"  note: {new_words_note(answer.receipt.new_words)}", fg="yellow")


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
        said = [time.monotonic()]  # where no bar can be drawn a line now and then says how far it is

        def tick(done: float, total: float | None = None, say: str | None = None) -> None:
            speed = bar.tasks[0].speed
            rate = f"  {speed:.3g} {unit}/s" if speed else ""
            of = "" if total is None else f"/{total:.0f}"
            bar.update(task, completed=done, total=total, count=f"{done:.0f}{of} {unit}{rate}")
            if not console.is_terminal and (say is not None or time.monotonic() - said[0] >= QUIET):
                said[0] = time.monotonic()
                if say is None:
                    print(f"{label}: {done:.0f}{of} {unit}", file=sys.stderr, flush=True)
            if say is not None:
                bar.console.print(say, highlight=False, markup=False, soft_wrap=True)

        yield tick


def named(words: str, known: Sequence[str], what: str) -> list[str]:
    """Names from `a,b`, each of which is known."""
    found = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if unknown := [word for word in found if word not in known]:
        raise ValueError(f"no {what} {unknown[0]!r}; expected some of {', '.join(known)}")
    if not found:
        raise ValueError(f"expected at least one {what} of {', '.join(known)}, found none")
    return found


def program() -> str:
    """How this program can be called again from here."""
    import shutil

    if shutil.which("mirasol"):
        return "mirasol"
    return "python -m mirasol" if sys.argv[0].endswith("__main__.py") else os.path.relpath(sys.argv[0])


def suggestion(word: str, known: Sequence[str]) -> str:
    """`; did you mean ...?` where one of the known words is much like it."""
    import difflib

    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
