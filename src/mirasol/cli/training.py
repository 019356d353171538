"""Making and measuring models: `train`, `evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import app, check_folder, named, program, progress_bar

if TYPE_CHECKING:
    from mirasol.evaluate.toybox import Answered
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
    with progress_bar(f"training {run.name}", "steps") as tick:
        at = [0]

        def count(done: int, steps: int) -> None:
            at[0] = done
            tick(done, steps)

        def report(line: str) -> None:
            tick(at[0], run.optimisation.steps, say=line)

        model = train_run(run, out, evaluate=evaluation(run), report=report, tick=count)
    if model is not None:
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


@app.command()
def evaluate(
    task: Annotated[str, typer.Argument(help="toybox, or streams: recall of the long past.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="Name or folder; `tiny`, and for streams `tiny-stream`.")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="toybox: scenes of each split.")] = 200,
    streams: Annotated[int, typer.Option(min=1, help="streams: how many of each length.")] = 20,
    lengths: Annotated[str, typer.Option(help="streams: seconds, with commas between.")] = "64,640,2560",
    splits: Annotated[str, typer.Option(help="With commas between.")] = "test,compositional",
    rows: Annotated[
        str, typer.Option(help="How scenes are shown: both, picture, sound, swapped (another's sound), question.")
    ] = "both,picture,sound,swapped,question",
    out: Annotated[Path | None, typer.Option("--json", help="Also write all numbers into this file.")] = None,
) -> None:
    """Score a model: exact match of generated answers, by question type, with and without picture and sound."""
    if task not in ("toybox", "streams"):
        raise ValueError(f"no task {task!r}; expected toybox or streams")
    if out is not None:
        check_folder(out)
    if task == "streams":
        evaluate_streams(model or "tiny-stream", streams, lengths, out)
        return
    from mirasol.evaluate.report import tables
    from mirasol.evaluate.toybox import ROWS
    from mirasol.media.toybox import SPLITS

    report = score_toybox(model or "tiny", scenes, named(splits, SPLITS, "split"), named(rows, ROWS, "row"))
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(tables(report))
    typer.echo(f"\nmodel {report['model']}, {scenes} scenes of each split, {report['seconds']:.0f} s")
    if out is not None:
        typer.echo(f"numbers: {out}")


def evaluate_streams(model: str, streams: int, lengths: str, out: Path | None) -> None:
    """`mirasol evaluate streams`: really rendered, visits in the first 64 seconds, questions at the end."""
    from mirasol.evaluate.report import table
    from mirasol.evaluate.streams import WITHIN, score_streams
    from mirasol.inference.answer import load
    from mirasol.media.toybox.streams import STREAM_TYPES

    try:
        seconds = [int(length) for length in lengths.split(",")]
    except ValueError:
        raise ValueError(f"expected --lengths as whole seconds with commas between, found {lengths!r}") from None
    if min(seconds) < WITHIN:
        raise ValueError(f"expected lengths of at least {WITHIN} s, as long as things come by; found {min(seconds)}")
    loaded, total = load(model), streams * sum(seconds)
    with progress_bar("watching", "s") as tick:
        report = score_streams(loaded.model, loaded.text, seconds, streams, lambda done: tick(done, total))
    report = {**report, "model": loaded.name}
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    names = ("overall", *STREAM_TYPES, "questions")
    rows = [
        [f"{length} s", *(f"{figures.get(name, 0):g}" for name in names)]
        for length, figures in report["recall"].items()
    ]
    rows.append(["blind", *(f"{report['blind'].get(name, 0):g}" for name in names[:-1]), ""])
    typer.echo(f"{loaded.name}: percent right about the first {WITHIN} s of test streams, asked at the end")
    typer.echo(table(["after", *names], rows))
    if out is not None:
        typer.echo(f"numbers: {out}")


def score_toybox(model: str, scenes: int, splits: Sequence[str], rows: Sequence[str]) -> dict[str, Any]:
    """Everything that `mirasol evaluate toybox` finds out, as plain values."""
    import time
    from importlib.metadata import version

    from mirasol.evaluate.report import summarise
    from mirasol.evaluate.toybox import score_scenes
    from mirasol.inference.answer import load
    from mirasol.media.toybox import blind_figures

    loaded, began, done = load(model), time.monotonic(), [0]
    answered: list[Answered] = []
    with progress_bar("evaluating", "scenes") as tick:
        tick(0, scenes * len(splits))

        def progress(more: int) -> None:
            done[0] += more
            tick(done[0], scenes * len(splits))

        for split in splits:
            answered += score_scenes(loaded.model, loaded.text, split, scenes, rows, progress=progress)
    report = summarise(answered, blind_figures(splits[0], by_needs=True))
    return {
        **report,
        "model": loaded.name,
        "scenes": scenes,
        "blind_split": splits[0],
        "seconds": round(time.monotonic() - began, 1),
        "versions": {name: version(name) for name in ("mirasol", "torch", "av", "numpy")},
    }
