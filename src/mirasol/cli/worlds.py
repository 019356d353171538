"""Sizes and scenes: `inspect`, `toybox`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import app, program, progress_bar


@app.command()
def inspect(
    preset: Annotated[str, typer.Option(help="tiny, small, base or 3b.")] = "tiny",
    model: Annotated[str | None, typer.Option(help="A model instead: its name or its folder.")] = None,
    snippets: Annotated[int, typer.Option(min=1, help="Operations are counted for a clip of so many snippets.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="The numbers as one JSON object.")] = False,
) -> None:
    """Parameters, operations and memory of training by component, tokens per snippet, bytes of a stream's state."""
    from mirasol.model.flops import Work
    from mirasol.model.inspection import inspect as numbers_of
    from mirasol.model.sizes import PRESETS, Sizes

    if model is not None:
        from mirasol.inference.answer import model_folder

        sizes, name = Sizes.load(model_folder(model)), f"model {model}"
    elif preset in PRESETS:
        sizes, name = PRESETS[preset], f"preset {preset}"
    else:
        raise ValueError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    numbers = numbers_of(sizes, Work(snippets))
    typer.echo(json.dumps(numbers) if as_json else inspection_text(name, numbers))


def inspection_text(name: str, numbers: dict[str, Any]) -> str:
    total = numbers["total"]
    parts = {**numbers["components"], "": None, "audio-video": numbers["audio_video"], "text": numbers["text"]}
    lines = [f"{name}: {total:,} parameters", ""]
    for part, count in parts.items():
        lines.append("" if count is None else f"  {part:<16}{count:>15,}{100 * count / total:>8.1f} %")
    tokens = ", ".join(f"{stage} {count}" for stage, count in numbers["tokens_per_snippet"].items())
    size = numbers["state_bytes"]
    shown = f"{size / 1e6:,.1f} MB" if size > 1e6 else f"{size / 1e3:,.1f} kB"
    context = f"the latents of {numbers['context_snippets']} snippets"
    context += " and the memory" if numbers["tokens_per_snippet"]["memory"] else ""
    lines += [
        "",
        f"tokens per snippet of {numbers['seconds_per_snippet']:g} s: {tokens}",
        f"text attends to at most {numbers['context_tokens']} tokens: {context}",
        f"state of a stream of any length: {shown} at float32",
        *training_lines(numbers),
    ]
    return "\n".join(lines)


def training_lines(numbers: dict[str, Any]) -> list[str]:
    """Operations and memory of a training step on one clip."""
    work, forward, held = numbers["work"], numbers["forward_flops"], numbers["training_bytes"]
    total = sum(forward.values())
    lines = [
        "",
        f"forward of a clip of {work['snippets']} snippets, {work['texts']} text of {work['text_tokens']} tokens: "
        f"{total / 1e9:,.1f} GFLOP",
        *(f"  {part:<16}{count / 1e9:>15,.2f}{100 * count / total:>8.1f} %" for part, count in forward.items()),
        f"training step: {numbers['training_flops'] / 1e9:,.1f} GFLOP, with recomputation at most "
        f"{numbers['recomputing_flops'] / 1e9:,.1f}; the optimizer's part, once a batch: "
        f"{numbers['optimizer_flops'] / 1e9:,.1f}",
    ]
    kept = ", ".join(f"{part.replace('_', ' ')} {size / 2**20:,.1f}" for part, size in held.items())
    return [*lines, f"memory of that step at float32, MiB: {kept}"]


@app.command()
def toybox(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; `toybox` unless only --blind is wanted.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Number of the first scene.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation, test or compositional.")] = "test",
    seconds: Annotated[int | None, typer.Option(help="Length of every scene, 1 to 8; else it varies.")] = None,
    format: Annotated[str, typer.Option(help="mp4 (H.264, AAC) or webm (VP9, Opus).")] = "mp4",
    sheet: Annotated[bool, typer.Option(help="Contact sheets with frames, spectrogram and answers.")] = True,
    blind: Annotated[bool, typer.Option("--blind", help="Print how far a blind guess gets, by question type.")] = False,
    stream: Annotated[
        int | None, typer.Option(min=9, help="Streams of so many seconds instead of scenes, for `mirasol watch`.")
    ] = None,
) -> None:
    """Make Toybox scenes: video files, their questions with answers (JSON), contact sheets."""
    from mirasol.media import toybox as world

    if split not in world.SPLITS:
        raise ValueError(f"no split {split!r}; expected one of {', '.join(world.SPLITS)}")
    if format not in ("mp4", "webm"):
        raise ValueError(f"expected --format mp4 or webm, found {format!r}")
    if stream is not None:
        write_streams(out or Path("toybox"), count, seed, split, stream, format)
        return
    if out is not None or not blind:
        folder = out or Path("toybox")
        kinds = "video, answers (.json) and contact sheet (.png)" if sheet else "video and answers (.json)"
        with progress_bar("making scenes", "scenes") as tick:
            for done in range(count):
                (path,) = world.write_scenes(folder, 1, seed + done, split, f".{format}", sheet, seconds)
                tick(done + 1, count)
                typer.echo(path)
        typer.echo(f"{count} scenes in {folder}: {kinds}")
    if blind:
        from mirasol.evaluate.report import table

        figures, shares = world.blind_figures(split), world.type_shares(split)
        rows = [[type, f"{shares.get(type, 100):.1f}", f"{figure:.1f}"] for type, figure in figures.items()]
        typer.echo(f"{split}: the best guess that neither sees nor hears, in percent")
        typer.echo(table(["type", "share of questions", "right"], rows))


def write_streams(folder: Path, count: int, seed: int, split: str, seconds: int, format: str) -> None:
    """Films of streams, and what can be asked at their end, with the answers (JSON)."""
    from mirasol.media.toybox.files import write_stream
    from mirasol.media.toybox.streams import Stream

    visits = max(3, min(8, seconds // 9))
    with progress_bar("making streams", "s") as tick:
        for number in range(count):
            path, before = folder / f"{split}-stream-{seed + number:05d}.{format}", number * seconds

            def progress(second: int, before: int = before) -> None:
                tick(before + second, count * seconds)

            write_stream(Stream(seed + number, split, seconds, visits=visits), path, progress)
            typer.echo(path)
    typer.echo(
        f"{count} streams in {folder} with their answers (.json); try: {program()} watch {path} --model tiny-stream"
    )
