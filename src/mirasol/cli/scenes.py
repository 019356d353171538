"""Scores on Toybox scenes, drawn ones or those of an asset pack: what `mirasol evaluate toybox` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import Chosen, named, progress_bar

if TYPE_CHECKING:
    from mirasol.evaluate.toybox import Answered
    from mirasol.media.toybox import AssetPack


@dataclass(frozen=True)
class Shown:
    """Which scenes are shown: so many of each split, drawn, or of an asset pack, and then only those of its kinds that
    the pack `trained_on` has, too."""

    scenes: int
    splits: Sequence[str]
    pack: Path | None = None
    trained_on: Path | None = None
    seconds: int | None = None

    def assets(self) -> AssetPack | None:
        from mirasol.media.toybox import AssetPack

        if self.pack is None:
            if self.trained_on is not None:
                raise ValueError("expected --pack FOLDER with --trained-on: the pack whose scenes are shown")
            return None
        known = AssetPack(self.trained_on).world.kinds if self.trained_on is not None else ()
        return AssetPack(self.pack, known)


def toybox_splits() -> tuple[str, ...]:
    from mirasol.media.toybox import SPLITS

    return SPLITS


def evaluate_toybox(model: Chosen, shown: Shown, rows: str, out: Path | None) -> None:
    from mirasol.evaluate.report import tables
    from mirasol.evaluate.toybox import ROWS

    report = score_toybox(model, shown, named(rows, ROWS, "row"))
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(tables(report))
    of = f" of {shown.pack} ({report['kinds']} kinds)" if shown.pack else ""
    typer.echo(f"\nmodel {report['model']}, {shown.scenes} scenes of each split{of}, {report['seconds']:.0f} s")
    if out is not None:
        typer.echo(f"numbers: {out}")


def score_toybox(model: Chosen, shown: Shown, rows: Sequence[str]) -> dict[str, Any]:
    """Everything that `mirasol evaluate toybox` finds out, as plain values."""
    import time
    from importlib.metadata import version

    from mirasol.evaluate.report import summarise
    from mirasol.evaluate.toybox import score_scenes
    from mirasol.media.toybox import blind_figures

    assets, total = shown.assets(), shown.scenes * len(shown.splits)
    loaded, began, done = model.load(), time.monotonic(), [0]
    answered: list[Answered] = []
    with progress_bar("evaluating", "scenes") as tick:
        tick(0, total)

        def progress(more: int) -> None:
            done[0] += more
            tick(done[0], total)

        for split in shown.splits:
            answered += score_scenes(
                loaded.model, loaded.text, split, shown.scenes, rows, seconds=shown.seconds, pack=assets,
                progress=progress,
            )  # fmt: skip
    world = assets.world if assets else None
    report = summarise(answered, blind_figures(shown.splits[0], by_needs=True, seconds=shown.seconds, world=world))
    return {
        **report,
        "model": loaded.name,
        "scenes": shown.scenes,
        "blind_split": shown.splits[0],
        **({"pack": str(shown.pack), "kinds": len(world.kinds)} if world else {}),
        "seconds": round(time.monotonic() - began, 1),
        "versions": {name: version(name) for name in ("mirasol", "torch", "av", "numpy")},
    }
