"""Join a pretrained ViT and a pretrained language model, and ask the result about a film:

    python examples/join_pretrained.py models/dinov2-small models/stories15m [OUT]

What joins the two is new, so it answers as its language model does until `mirasol train warm_start` has trained it.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import mirasol
from mirasol.cli.errors import run_script
from mirasol.media import toybox
from mirasol.warm import join


def main(vit: str, text: str, out: Annotated[str | None, typer.Argument()] = None) -> None:
    joined = join("small", vit=vit, text=text, hear=True, combiner="local", memory=0, context_snippets=8)
    print(joined.report.summary())
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "toybox.mp4"
        toybox.write_file(toybox.demo_scene(), film)
        model = mirasol.load(joined.save(out or Path(folder) / "joined"))
        for answer in mirasol.ask(film, ["What do you see?", "What do you hear?"], model):
            print(f"{answer.question} {answer.answer} ({answer.confidence:.0%} sure)")


if __name__ == "__main__":
    run_script(main, __doc__)
