"""Making models: `train`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import app, program, progress_bar
from .recipes import listing, load_recipe

if TYPE_CHECKING:
    from mirasol.train.config import Run


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe of the package, or a Python file with a function recipe().")
    ] = "",
    names: Annotated[bool, typer.Option("--list", help="Name the recipes of the package and what each takes.")] = False,
    data: Annotated[
        str | None,
        typer.Option(help="What to learn from: a manifest, a folder of videos, or shards (mirasol docs data)."),
    ] = None,
    media: Annotated[str | None, typer.Option(help="The folder with the media that a table names.")] = None,
    start_from: Annotated[str | None, typer.Option("--from", help="A model to begin with: a name or a folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME otherwise.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for so many steps instead.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="End after so many hours, ready to resume.")] = None,
    save_every: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints.")] = None,
    save_minutes: Annotated[
        float | None, typer.Option(min=0, help="A checkpoint at least so often; 0: by steps alone. Else 10 minutes.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that make batches.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Anything else that the recipe takes.")
    ] = None,
) -> None:
    """Train a model by a recipe; resumes if the folder holds checkpoints.

    On several devices: torchrun --nproc-per-node 8 -m mirasol train RECIPE
    """
    from dataclasses import replace

    if names:
        typer.echo(listing())
        return
    if not recipe:
        raise ValueError("expected a recipe: its name (mirasol train --list) or a Python file with a function recipe()")
    given = {"data": data, "media": media, "start_from": start_from, "steps": steps}
    given = {name: value for name, value in given.items() if value is not None}
    run = load_recipe(recipe, {**given, **dict(map(setting, settings or ()))})
    if steps is not None:
        run = replace(run, optimisation=replace(run.optimisation, steps=steps))
    told: dict[str, Any] = {
        "max_hours": max_hours,
        "workers": workers,
        "save_every": save_every,
        "save_minutes": save_minutes,
    }
    run = replace(run, **{name: value for name, value in told.items() if value is not None})
    from mirasol.train.loop import train as train_run

    out = out or Path("runs") / run.name
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started: one talks
    with progress_bar(f"training {run.name}", "steps") if first else nullcontext(lambda *a, **k: None) as tick:
        at = [0]

        def count(done: int, steps: int) -> None:
            at[0] = done
            tick(done, steps)

        def report(line: str) -> None:
            tick(at[0], run.optimisation.steps, say=line)

        try:
            model = train_run(run, out, evaluate=evaluation(run), report=report, tick=count)
        except KeyboardInterrupt:  # the checkpoint is written, and that is said
            raise typer.Exit(130) from None
    if model is not None and first:
        typer.echo(f'the model is in {model}; try: {program()} ask FILE "question" --model {model}')


def setting(words: str) -> tuple[str, str]:
    """`name=value` in two."""
    name, equals, value = words.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"expected --set NAME=VALUE, found {words!r}")
    return name, value


def evaluation(run: Run) -> Callable[[Any, Any], dict[str, float]] | None:
    """What `run.evaluate` asks to score during training: {"split", "scenes"} of Toybox, or {"data", "longest"}."""
    if not run.evaluate:
        return None
    from mirasol.evaluate.toybox import percentages, score_scenes
    from mirasol.model.text import Text

    if "data" in run.evaluate:
        from mirasol.data.opening import open_items
        from mirasol.evaluate.items import score_items

        items = open_items(run.evaluate["data"], run.evaluate.get("prompt"), run.evaluate.get("media"))
        return lambda model, tokenizer: score_items(model, Text(tokenizer), items, longest=run.evaluate["longest"])

    def evaluate(model: Any, tokenizer: Any) -> dict[str, float]:
        wanted = run.evaluate
        return percentages(list(score_scenes(model, Text(tokenizer), wanted["split"], wanted["scenes"], ("both",))))

    return evaluate
