"""Writes `names.json`: the names that others rely on, as they are now.

`python tests/golden/make_names.py` after a change that is meant, with a line in CHANGELOG.md.

parameters   of models of every combiner and style; the numbers of blocks are all N
options      of each command of the command line, with its arguments in capitals
python       what `mirasol` offers: functions, classes, their methods and fields, with their arguments
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "names.json"
STYLES: tuple[dict[str, Any], ...] = (
    {},
    {"combiner": "causal"},
    {"combiner": "ttm", "memory": 5},
    {"combiner": "ttm", "memory": 5, "ttm_select": "mha"},
    {"combiner": "local-ttm", "memory": 5},
    {"combiner": "priority", "memory": 5},
    {"tied": False, "vit_extra": 1, "vit_pre_norm": True, "vit_layer_scale": True},
    {"picture_grid": (2, 3), "sound_grid": (4, 5), "text_qkv_bias": True, "text_qk_norm": True, "cross_gate": True},
)


def parameters() -> list[str]:
    from mirasol.model.mirasol import on_meta
    from mirasol.model.sizes import Sizes

    names = (name for style in STYLES for name in on_meta(Sizes(**style)).state_dict())
    return sorted({re.sub(r"\.\d+\.", ".N.", name) for name in names})


def options() -> dict[str, list[str]]:
    import typer.main

    from mirasol.cli import app

    def walk(command: Any, path: str) -> Iterator[tuple[str, list[str]]]:
        found = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
        yield path, sorted(name if name.startswith("-") else name.upper() for name in found)
        for name, inner in sorted(getattr(command, "commands", {}).items()):
            yield from walk(inner, f"{path} {name}")

    return dict(walk(typer.main.get_command(app), "mirasol"))


def python() -> list[str]:
    import mirasol

    found = []
    for name in mirasol.__all__:
        value = getattr(mirasol, name)
        if inspect.isclass(value):
            found.append(f"{name}({made_of(value)})")
            for inner, kind in vars(value).items():
                if not inner.startswith("_"):
                    plain = kind.__func__ if isinstance(kind, classmethod | staticmethod) else kind
                    found.append(
                        f"{name}.{inner}({arguments(plain)})" if inspect.isfunction(plain) else f"{name}.{inner}"
                    )
        else:
            kept = f": {', '.join(value)}" if isinstance(value, dict) else ""
            found.append(f"{name}({arguments(value)})" if callable(value) else name + kept)
    return sorted(found)


def made_of(kind: type) -> str:
    """What a class is made of; for a class of transformers' kind its version would decide."""
    theirs = any(base.__module__.startswith("transformers") for base in kind.__mro__)
    return "..." if theirs else arguments(kind)


def arguments(value: Any) -> str:
    """The names of what is taken, without `self`."""
    try:
        taken = inspect.signature(value).parameters
    except ValueError:  # a built-in exception's
        return "..."
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return ", ".join(stars.get(one.kind, "") + name for name, one in taken.items() if name not in ("self", "cls"))


def names() -> dict[str, Any]:
    return {"parameters": parameters(), "options": options(), "python": python()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(names(), indent=1) + "\n", encoding="utf-8")
