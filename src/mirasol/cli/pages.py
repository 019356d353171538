"""The pages about it, in the terminal: `docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import app, suggestion


def pages() -> dict[str, Path]:
    """The pages by name: of the checkout that this is, else those that were installed."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "docs", package / "docs"):
        if found := {path.stem: path for path in sorted(folder.glob("*.md")) if path.stem != "LOG"}:
            return found
    return {}


@app.command()
def docs(page: Annotated[str, typer.Argument(help="Its name; without one they are listed.")] = "") -> None:
    """Show a page of the documentation: data formats, training, streaming, ..."""
    known = pages()
    if not page:
        for name, path in known.items():
            title = path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
            typer.echo(f"{name:<16}{title}")
        return
    if page not in known:
        raise ValueError(f"no page {page!r}; expected one of {', '.join(known)}{suggestion(page, list(known))}")
    typer.echo(known[page].read_text(encoding="utf-8"))
