"""How `mirasol --help` is ordered: the commands in four groups, and an example in the help of each."""

from __future__ import annotations

import typer

from .common import Command, Group

GROUPS = {
    "Use": {
        "ask": 'mirasol ask film.mp4 "what do you hear?" "what is on the left?"',
        "describe": "mirasol describe film.mp4 --start 5 --end 12",
        "watch": 'mirasol watch rtsp://camera/stream "what do you hear?" --every 10',
        "demo": "mirasol demo",
    },
    "Train": {
        "train": "mirasol train finetune_qa --data videos/ --out runs/mine",
        "prepare": "mirasol prepare videos/ shards/ --size 224x224 --fps 8",
        "init": "mirasol init start --text models/smollm2-135m --vit models/dinov2-small",
        "push": "mirasol push runs/mine/model me/mirasol-mine --dry-run",
    },
    "Measure": {
        "evaluate": "mirasol evaluate toybox --model tiny --json report.json",
        "data": "mirasol data check val.csv --media videos/",
        "inspect": "mirasol inspect --preset 3b",
    },
    "Create": {
        "toybox": "mirasol toybox --out scenes --count 4 --split test",
        "docs": "mirasol docs training",
    },
}
INSIDE = {
    "toybox": "mirasol evaluate toybox --model runs/mine/model --scenes 50",
    "streams": "mirasol evaluate streams --model tiny-stream --lengths 64,640",
    "benchmark": "mirasol evaluate next-qa --data NEXTQA --split val",
    "verify": "mirasol evaluate verify evaluations/next-qa-val-tiny/result.json",
    "score": "mirasol evaluate score next-oe predictions.json --annotations val.csv",
    "check": "mirasol data check val.csv --media videos/",
}


def arrange(app: typer.Typer) -> None:
    """Puts every command into its group, in this order, with its example."""
    places = {name: (group, line) for group, names in GROUPS.items() for name, line in names.items()}
    order = list(places)
    for info in app.registered_commands:
        assert info.callback is not None
        info.rich_help_panel, line = places[info.name or info.callback.__name__]
        info.epilog, info.cls = f"Example: {line}", Command
    for group in app.registered_groups:
        assert group.name is not None
        assert group.typer_instance is not None
        group.rich_help_panel, line = places[group.name]
        group.epilog = f"Example: {line}"
        for inner in group.typer_instance.registered_commands:
            assert inner.callback is not None
            inner.epilog, inner.cls = f"Example: {INSIDE[inner.name or inner.callback.__name__]}", Command
    Group.order = order
