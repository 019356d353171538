"""Scores: `evaluate toybox`, `evaluate streams`, `evaluate BENCHMARK`, `evaluate verify`, `evaluate score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import Chosen, Device, Dtype, Group, app, check_folder, named
from .measuring import (
    DEFAULT_ROWS,
    evaluate_benchmark,
    evaluate_streams,
    make_plan,
    score_predictions,
    verify_result,
)
from .scenes import Shown, evaluate_toybox, toybox_splits


class Tasks(Group):
    """Every name that is no command is that of a benchmark: `evaluate next-qa` is `evaluate benchmark next-qa`, and
    `evaluate --verify FILE` is `evaluate verify FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] == "--verify":
            args = ["verify", *args[1:]]
        elif args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["benchmark", *args]
        return super().parse_args(ctx, args)


evaluate_app = typer.Typer(
    cls=Tasks,
    no_args_is_help=True,
    help="Score a model: on Toybox, on long streams, or on a public benchmark as its authors published it.",
)
app.add_typer(evaluate_app, name="evaluate")

Json = Annotated[Path | None, typer.Option("--json", help="Also write all numbers into this file.")]
Benchmark = Annotated[str, typer.Argument(help="next-qa, music-avqa, vggsound, ...: see mirasol docs evaluation.")]
Split = Annotated[str | None, typer.Option(help="train, val or test; else all of the file.")]
Data = Annotated[Path | None, typer.Option(help="The folder with annotations and media.")]
Annotations = Annotated[Path | None, typer.Option(help="This annotation file.")]
Sample = Annotated[int, typer.Option(min=1, help="With --data: questions that are answered again.")]


@evaluate_app.command()
def toybox(
    model: Annotated[str, typer.Option(help="Name or folder.")] = "tiny",
    scenes: Annotated[int, typer.Option(min=1, help="Scenes of each split.")] = 200,
    splits: Annotated[str, typer.Option(help="With commas between.")] = "test,compositional",
    rows: Annotated[
        str, typer.Option(help="What is shown: both, picture, sound, swapped (another's sound), question.")
    ] = DEFAULT_ROWS["toybox"],
    pack: Annotated[Path | None, typer.Option(help="An asset pack in the place of the drawn things.")] = None,
    trained_on: Annotated[
        Path | None, typer.Option(help="--pack: only kinds that this pack has, too, the one of training.")
    ] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="Length of every scene; else it varies.")] = None,
    as_json: Json = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Scenes by question type, and by what was shown."""
    check_json(as_json)
    shown = Shown(scenes, named(splits, toybox_splits(), "split"), pack, trained_on, seconds)
    evaluate_toybox(Chosen(model, device, dtype), shown, rows, as_json)


@evaluate_app.command()
def streams(
    model: Annotated[str, typer.Option(help="Name or folder.")] = "tiny-stream",
    streams: Annotated[int, typer.Option(min=1, help="How many of each length.")] = 20,
    lengths: Annotated[str, typer.Option(help="Seconds, with commas between.")] = "64,640,2560",
    as_json: Json = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Recall of the long past: visits in the first minute, questions at the end."""
    check_json(as_json)
    evaluate_streams(Chosen(model, device, dtype), streams, lengths, as_json)


@evaluate_app.command()
def benchmark(
    name: Benchmark,
    model: Annotated[str | None, typer.Option(help="Name or folder; `tiny` otherwise.")] = None,
    data: Data = None,
    annotations: Annotations = None,
    split: Split = None,
    rows: Annotated[str, typer.Option(help="both, picture, sound, swapped (another's sound).")] = "both",
    vocabulary: Annotated[
        str | None,
        typer.Option(help="Choose among `labels`, or the answers of an annotation file (FILE or FILE:N)."),
    ] = None,
    rule: Annotated[str, typer.Option(help="Likelihood of options: mean (per token) or sum.")] = "mean",
    least_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Below this share of listed questions there is no headline.")
    ] = 0.95,
    batch: Annotated[int, typer.Option(min=1, help="Films watched side by side.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="The first questions alone, so many.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the result; resumed, if begun.")] = None,
    verify: Annotated[Path | None, typer.Option(hidden=True)] = None,  # now `evaluate verify`
    sample: Annotated[int, typer.Option(min=1, hidden=True)] = 20,
    predictions: Annotated[Path | None, typer.Option(hidden=True)] = None,  # now `evaluate score`
    as_json: Json = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:  # fmt: skip
    """A public benchmark on its authors' files; `evaluate next-qa` is the same as `evaluate benchmark next-qa`."""
    check_json(as_json)
    if verify is not None:
        verify_result(verify, model, data, annotations, sample)
    elif predictions is not None:
        score_predictions(name, predictions, annotations, split)
    else:
        plan = make_plan(name, data, annotations, split, rows, rule, vocabulary, (least_coverage, batch, limit))
        evaluate_benchmark(plan, Chosen(model or "tiny", device, dtype), out, as_json)


@evaluate_app.command()
def verify(
    result: Annotated[Path, typer.Argument(help="A result.json that `evaluate` wrote.")],
    model: Annotated[str | None, typer.Option(help="With --data: name or folder, else the one of the result.")] = None,
    data: Data = None,
    annotations: Annotations = None,
    sample: Sample = 20,
) -> None:
    """Compute the figures of a result again from its predictions; with --data some of the predictions, too."""
    verify_result(result, model, data, annotations, sample)


@evaluate_app.command()
def score(
    name: Benchmark,
    predictions: Annotated[Path, typer.Argument(help="A file of predictions, as its authors' script takes it.")],
    annotations: Annotations = None,
    split: Split = None,
) -> None:
    """Score a file of predictions as the benchmark's authors do; no model is used."""
    score_predictions(name, predictions, annotations, split)


def check_json(path: Path | None) -> None:
    if path is not None:
        check_folder(path)
