"""Ask a film two questions: `python examples/ask_a_film.py [FILM]`. Without a film, Toybox makes one."""

import sys
import tempfile
from pathlib import Path

import mirasol
from mirasol.media import toybox


def main(film: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if film is None:
            film = str(Path(folder) / "toybox.mp4")
            toybox.write_file(toybox.demo_scene(), film)
        model = mirasol.load()
        for answer in mirasol.ask(film, ["what do you hear?", "what was the first thing to appear?"], model):
            print(f"{answer.question} {answer.answer} ({answer.confidence:.0%} sure)")
        print(answer.receipt.sentence())


if __name__ == "__main__":
    main(*sys.argv[1:])
