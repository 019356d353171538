"""Making data ready for training: `prepare`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import app, progress_bar

SHOWN = 5  # skipped items that are named


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A manifest, annotations, a folder of media, or shards (mirasol docs data).", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the shards.", show_default=False)],
    media: Annotated[
        Path | None, typer.Option(help="Folder with the media that a table names; that of the table otherwise.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the bytes of media as they are (the default).")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Encode pictures anew, within so many pixels.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Encode anew, so many frames per second.")] = None,
    rate: Annotated[int | None, typer.Option(help="Encode anew, so many samples of sound per second.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Cut what has captions alone into pieces as long.")] = None,
    shard_mb: Annotated[float, typer.Option(help="About how large a shard becomes, in megabytes.")] = 256,
    prompt: Annotated[str | None, typer.Option(help="The question that goes with texts which stand alone.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as there are cores otherwise.")] = None,
    ray: Annotated[str | None, typer.Option(help="Work on a Ray cluster: its address, or `local`.")] = None,
) -> None:
    """Make shards for training: each content once, what cannot be used is skipped and named (OUT/report.json).

    May be stopped at any time: the same command goes on, and the result is the same.
    """
    from mirasol.data.encoding import Recoding
    from mirasol.data.preparing import How
    from mirasol.data.preparing import prepare as make

    if keep and (size, fps, rate) != (None, None, None):
        raise ValueError("--keep leaves media as they are: give it, or some of --size, --fps and --rate")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"expected --seconds above 0, found {seconds:g}")
    if not shard_mb > 0:
        raise ValueError(f"expected --shard-mb above 0, found {shard_mb:g}")
    recoding = Recoding(None if size is None else height_and_width(size), fps, rate)
    how = How(None if recoding == Recoding() else recoding, seconds, round(shard_mb * 1e6), prompt,
              None if media is None else str(media))  # fmt: skip
    with stages("items") as tick:
        report = make(source, out, how, workers=workers or os.cpu_count() or 1, ray=ray, tick=tick)
    typer.echo(summary(report, out))
    if not report["examples"]:
        raise ValueError(f"nothing of {source} can be used; {out / 'report.json'} says why")


def height_and_width(words: str) -> tuple[int, int]:
    """`240x426` as (240, 426)."""
    found = re.fullmatch(r"(\d+)[xX](\d+)", words.strip())
    if found is None:
        raise ValueError(f"expected --size HxW, such as 240x426, found {words!r}")
    return int(found[1]), int(found[2])


@contextmanager
def stages(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """Gives `tick(what, done, total)`: a bar for each thing that is done, one after the other."""
    with ExitStack() as stack:
        shown: dict[str, Any] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in shown:
                stack.close()
                shown[what] = stack.enter_context(progress_bar(what, unit))
            shown[what](done, total)

        yield tick


def summary(report: dict[str, Any], out: Path) -> str:
    """What was made, in a line or two."""
    length = f"{report['seconds'] / 3600:.2f} h" if report["seconds"] >= 3600 else f"{report['seconds']:.1f} s"
    lines = [
        f"{report['examples']} examples ({length}, {report['bytes'] / 1e6:.1f} MB) in {report['shards']} shards, of "
        f"{report['items']} items; {report['duplicates']} doubles, {report['merged']} merged",
    ]
    if count := report.get("without_media"):
        lines.append(f"{count} of {report['items']} items have no media")
    if report["left_out"]:
        lines.append(f"{report['left_out']} items cannot be used and are skipped; {out / 'report.json'} names them")
        lines += [f"  {bad['key']}: {bad['reason']}" for bad in report["bad"][:SHOWN]]
    if noted := report.get("noted"):
        lines.append(f"{len(noted)} files are used, with a note; {out / 'report.json'} names them")
        lines += [f"  {one['place']}: {'; '.join(one['notes'])}" for one in noted[:SHOWN]]
    return "\n".join(lines)
