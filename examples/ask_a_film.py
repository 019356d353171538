"""Ask a film two questions: `python examples/ask_a_film.py [FILM]`. Without a film, Toybox makes one."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import mirasol
from mirasol.cli.errors import run_script
from mirasol.media import toybox


def main(film: Annotated[str | None, typer.Argument()] = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if film is None:
            film = str(Path(folder) / "toybox.mp4")
            toybox.write_file(toybox.demo_scene(), film)
        model = mirasol.load()
        for answer in mirasol.ask(film, ["what do you hear?", "what was the first thing to appear?"], model):
            print(f"{answer.question} {answer.answer} ({answer.confidence:.0%} sure)")
        print(answer.receipt.sentence())


if __name__ == "__main__":
    run_script(main, __doc__)
