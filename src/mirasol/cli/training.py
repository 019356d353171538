"""Making models: `train`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import app, program, progress_bar

if TYPE_CHECKING:
    from mirasol.train.config import Run


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
