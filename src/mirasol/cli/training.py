"""Making models: `train`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import app, program, progress_bar

if TYPE_CHECKING:
    from mirasol.train.config import Run


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A Python file with a function recipe().", show_default=False)],
    data: Annotated[
        str | None,
        typer.Option(help="What to learn from: a manifest, a folder of videos, or shards; see docs/data.md."),
    ] = None,
    start_from: Annotated[str | None, typer.Option("--from", help="A model to begin with: a name or a folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME otherwise.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for so many steps instead.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="End after so many hours, ready to go on.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that make batches.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Anything else that the recipe takes.")
    ] = None,
) -> None:
    """Train a model by a recipe; a folder that holds checkpoints is gone on with.

    On several devices: torchrun --nproc-per-node 8 -m mirasol train RECIPE
    """
    from dataclasses import replace

    given = {"data": data, "start_from": start_from, "steps": steps}
    given = {name: value for name, value in given.items() if value is not None}
    run = load_recipe(recipe, {**given, **dict(map(setting, settings or ()))})
    if steps is not None:
        run = replace(run, optimisation=replace(run.optimisation, steps=steps))
    if max_hours is not None:
        run = replace(run, max_hours=max_hours)
    if workers is not None:
        run = replace(run, workers=workers)
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

        model = train_run(run, out, evaluate=evaluation(run), report=report, tick=count)
    if model is not None and first:
        typer.echo(f'the model is in {model}; try: {program()} ask FILE "question" --model {model}')


def setting(words: str) -> tuple[str, str]:
    """`name=value` in two."""
    name, equals, value = words.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"expected --set NAME=VALUE, found {words!r}")
    return name, value


def as_recipe_takes(recipe: Callable[..., Any], given: dict[str, Any], path: Path) -> dict[str, Any]:
    """What was given on the command line in the types of the recipe's own defaults; `ValueError` for what it does not
    take. The number of steps is left out where a recipe does not ask for it."""
    import inspect

    takes = inspect.signature(recipe).parameters
    found = {}
    for name, value in given.items():
        if name not in takes:
            if name == "steps":
                continue
            known = ", ".join(takes) or "nothing"
            raise ValueError(f"{path.name} takes no {name!r}: recipe() there takes {known}")
        default = takes[name].default
        kind = type(default) if default is not inspect.Parameter.empty and default is not None else str
        if kind is bool and isinstance(value, str):
            if value.lower() not in ("true", "false"):
                raise ValueError(f"expected {name}=true or {name}=false, found {value!r}")
            value = value.lower() == "true"
        try:
            found[name] = kind(value)
        except ValueError:
            raise ValueError(f"expected {name} as {kind.__name__}, such as {default!r}, found {value!r}") from None
    if missing := [n for n, p in takes.items() if p.default is inspect.Parameter.empty and n not in found]:
        raise ValueError(f"{path.name} needs {', '.join(missing)}: give " + " ".join(f"--{n} ..." for n in missing))
    return found


def load_recipe(path: Path, given: dict[str, Any] | None = None) -> Run:
    """Runs a recipe file, which the user named, and gives its run; `given` goes to its function."""
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
    run = module.recipe(**as_recipe_takes(module.recipe, given or {}, path)) if hasattr(module, "recipe") else None
    if not isinstance(run, Run):
        raise ValueError(f"expected a function recipe() in {path} that gives a mirasol.train.config.Run, found none")
    return run


def evaluation(run: Run) -> Callable[[Any, Any], dict[str, float]] | None:
    """What `run.evaluate` asks to score during training: {"split", "scenes"} of Toybox, or {"data", "longest"}."""
    if not run.evaluate:
        return None
    from mirasol.evaluate.toybox import percentages, score_scenes
    from mirasol.model.text import Text

    if "data" in run.evaluate:
        from mirasol.data.opening import open_items
        from mirasol.evaluate.items import score_items

        items = open_items(run.evaluate["data"], run.evaluate.get("prompt"))
        return lambda model, tokenizer: score_items(model, Text(tokenizer), items, longest=run.evaluate["longest"])

    def evaluate(model: Any, tokenizer: Any) -> dict[str, float]:
        wanted = run.evaluate
        return percentages(list(score_scenes(model, Text(tokenizer), wanted["split"], wanted["scenes"], ("both",))))

    return evaluate
