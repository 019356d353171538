"""Data and measures: `data check`, and what the commands of `evaluate` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Chosen, Group, app, named, program, progress_bar

if TYPE_CHECKING:
    from mirasol.data.annotations.check import Checked
    from mirasol.evaluate.runner import Plan

WORLDS = ("toybox", "streams")
DEFAULT_ROWS = {"toybox": "both,picture,sound,swapped,question"}
SHOWN = 5  # names of each kind that are printed

data_app = typer.Typer(
    cls=Group, help="Data sets: what a file holds, and whether its media are in order.", no_args_is_help=True
)
app.add_typer(data_app, name="data")


@data_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An annotation file of a public data set.", show_default=False)],
    media: Annotated[Path | None, typer.Option(help="Folder with the media: look at each of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Say which format a file has, show its first row, count rows and missing, silent and damaged media."""
    from mirasol.data.annotations.check import check as check_file

    with progress_bar("looking at media", "films") as tick:
        found = check_file(file, media, tick)
    typer.echo(json.dumps(found.to_dict(), ensure_ascii=False) if as_json else checked_text(found))


def checked_text(found: Checked) -> str:
    def counts(values: dict[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in values.items())

    lines = [f"{found.path}: {found.name} ({found.format}), {found.rows:,} rows"]
    if found.rows:
        lines.append(f"  splits    {counts(found.splits)}")
    if found.types:
        lines.append(f"  types     {counts(found.types)}")
    if found.labels:
        lines.append(f"  labels    {found.labels:,}")
    if found.unanswered:
        lines.append(f"  without a published answer  {found.unanswered:,}")
    if found.first is not None:
        lines.append("first row")
        values = {name: value for name, value in found.first.items() if value is not None and value is not False}
        lines += [f"  {name:<9} {in_words(value)}" for name, value in values.items() if value not in ("", (), {})]
    if found.media is not None:
        kinds: dict[str, Sequence[Any]] = {
            "missing": found.missing, "silent (no sound track)": found.silent, "without a picture": found.blind,
            "damaged": [f"{name}: {why}" for name, why in found.damaged],
        }  # fmt: skip
        lines.append(f"media: {found.media:,} films or spans")
        for kind, names in kinds.items():
            lines.append(f"  {kind:<24} {len(names):,}")
            lines += [f"    {name}" for name in names[:SHOWN]]
            lines += ["    ..."] if len(names) > SHOWN else []
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"next: {line}" for line in found.advice]
    return "\n".join(lines)


def in_words(value: Any) -> str:
    """A value of a row as people write it: lists with commas, tables as name: value."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {in_words(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value))
    return str(value)


# -- benchmarks --------------------------------------------------------------------------------------------------------


def make_plan(
    name: str, data: Path | None, annotations: Path | None, split: str | None, rows: str, rule: str,
    vocabulary: str | None, numbers: tuple[float, int, int | None],
) -> Plan:  # fmt: skip
    from mirasol.data.annotations import MediaFolder, read_annotations
    from mirasol.evaluate.choices import RULES
    from mirasol.evaluate.films import ROWS
    from mirasol.evaluate.runner import Plan
    from mirasol.evaluate.tasks import TASKS
    from mirasol.evaluate.vocabulary import find_annotations, make_vocabulary

    if name not in TASKS:
        raise ValueError(f"no task {name!r}; expected one of {', '.join((*WORLDS, *TASKS))}")
    if rule not in RULES:
        raise ValueError(f"expected --rule {' or '.join(RULES)}, found {rule!r}")
    if data is None:
        raise ValueError(
            f"expected --data with the folder that holds {name}'s media; annotations may lie in it as well"
        )
    media = MediaFolder(data)
    source = annotations or find_annotations(data, name, split)
    found = read_annotations(source)
    if found.format != name:
        raise ValueError(f"expected annotations of {name} in {source}, found those of {found.format}")
    task, ways = TASKS[name], tuple(named(rows, ROWS, "row"))
    if task.online and "swapped" in ways:
        raise ValueError(f"{name} runs online, where --rows both,picture,sound are possible, not swapped")
    words = make_vocabulary(vocabulary, found) if task.answers != "choose" else ()
    coverage, batch, limit = numbers
    return Plan(task, found, source, media, split, ways, rule, words, batch, coverage, limit)


def evaluate_benchmark(plan: Plan, model: Chosen, out: Path | None, as_json: Path | None) -> None:
    from mirasol.evaluate.runner import run

    loaded = model.load()
    out = out or Path("evaluations") / f"{plan.task.name}-{plan.split or 'all'}-{loaded.name}"
    with progress_bar(f"evaluating {plan.task.name}", "questions") as tick:
        result = run(plan, loaded, out, tick)
    if as_json is not None:
        as_json.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(result_text(result))
    path = out / "result.json"
    typer.echo(f"result: {path}; check it: {program()} evaluate verify {path}")


def result_text(result: dict[str, Any]) -> str:
    """The figures as a table, a column for each row; then coverage, speed and memory."""
    from mirasol.evaluate.report import table

    settings, coverage, scores = result["configuration"], result["coverage"], result["scores"]
    names = list(dict.fromkeys(name for figures in scores.values() for name in figures))
    lines = [[name, *(f"{figures.get(name, float('nan')):.2f}" for figures in scores.values())] for name in names]
    parts = [f"{settings['task']}, {settings['split']}, model {settings['model']}: percent"]
    parts.append(table(["", *scores], lines) if lines else "no question with a published answer was answered")
    bad = ", ".join(f"{coverage[kind]:,} {kind}" for kind in ("missing", "damaged", "too long") if kind in coverage)
    parts.append(
        f"coverage: {coverage['answered']:,} of {coverage['listed']:,} questions ({100 * coverage['share']:.1f} %)"
        + (f"; {bad}" if bad else "")
    )
    if result["headline"] is not None:
        parts.append("headline: " + ", ".join(f"{name} {value:.2f}" for name, value in result["headline"].items()))
    elif settings["limit"] is not None:
        parts.append(f"no headline: these are the first {settings['limit']} questions alone")
    else:
        parts.append(
            f"no headline: less than {100 * coverage['least']:g} % of the questions could be asked, so these figures "
            "are none of the benchmark"
        )
    speed = ", ".join(f"{name} {value:g}" for name, value in result["speed"].items())
    parts.append(f"speed: {speed}; peak memory {result['peak_memory_mib']:.0f} MiB; {result['machine']['device']}")
    return "\n".join(parts)


def score_predictions(name: str, path: Path, annotations: Path | None, split: str | None) -> None:
    """A file of predictions against the annotations of its benchmark."""
    from mirasol.data.annotations import read_annotations
    from mirasol.evaluate.predictions import read_predictions
    from mirasol.evaluate.report import table
    from mirasol.evaluate.tasks import TASKS, score

    if name not in TASKS or annotations is None:
        raise ValueError(f"expected one of {', '.join(TASKS)} and --annotations FILE with --predictions")
    found = read_annotations(annotations)
    if found.format != name:
        raise ValueError(f"expected annotations of {name} in {annotations}, found those of {found.format}")
    rows = [row for row in found.rows if split in (None, row.split)]
    records, missing = read_predictions(path, rows)
    figures = score(TASKS[name], records, "mean").get("predictions", {})
    lines = [[figure, f"{value:.2f}"] for figure, value in figures.items()]
    typer.echo(f"{name}, {path.name}: percent of {len(rows):,} questions, {missing:,} of them without a prediction")
    typer.echo(table(["", "predictions"], lines))


def verify_result(path: Path, model: str | None, data: Path | None, annotations: Path | None, sample: int) -> None:
    """Figures from the predictions; with --data also some of the predictions from the media."""
    from dataclasses import replace

    from mirasol.evaluate.checking import answer_again, load_result, verify
    from mirasol.evaluate.tasks import TASKS

    result = load_result(path)
    settings = result["configuration"]
    if settings.get("task") not in TASKS:
        raise ValueError(f"{path} is of a task that this version does not know: {settings.get('task')!r}")
    wrong = verify(result, TASKS[settings["task"]])
    if wrong:
        raise ValueError(f"{path} does not hold what its predictions give: " + "; ".join(wrong[:5]))
    typer.echo(f"{path}: figures, coverage and headline are those of its {len(result['predictions']):,} predictions")
    if data is None:
        return
    from mirasol.inference.answer import load

    split = None if settings["split"].startswith("all ") else settings["split"]
    plan = make_plan(settings["task"], data, annotations, split, ",".join(settings["rows"]), settings["rule"], None,
                     (0.0, 1, settings["limit"]))  # fmt: skip
    if settings["vocabulary"]:
        options = next(tuple(one["options"]) for one in result["predictions"])
        plan = replace(plan, vocabulary=options)
    differ = answer_again(result, plan, load(model or settings["model"]), sample)
    if differ:
        raise ValueError(f"{len(differ)} answers are other ones now: " + "; ".join(differ[:5]))
    typer.echo(f"up to {sample} questions were answered again from the media: the same answers")


# -- streams ----------------------------------------------------------------------------------------------------------


def evaluate_streams(model: Chosen, streams: int, lengths: str, out: Path | None) -> None:
    """`mirasol evaluate streams`: really rendered, visits in the first 64 seconds, questions at the end."""
    from mirasol.evaluate.report import table
    from mirasol.evaluate.streams import WITHIN, score_streams
    from mirasol.media.toybox.streams import STREAM_TYPES

    try:
        seconds = [int(length) for length in lengths.split(",")]
    except ValueError:
        raise ValueError(f"expected --lengths as whole seconds with commas between, found {lengths!r}") from None
    if min(seconds) < WITHIN:
        raise ValueError(f"expected lengths of at least {WITHIN} s, as long as things come by; found {min(seconds)}")
    loaded, total = model.load(), streams * sum(seconds)
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
