"""Contract 9, names: parameters, command line and public API are those that `tests/golden/names.json` holds."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ADVICE = (
    "names are API. If the change is meant: run `python tests/golden/make_names.py`, and say in a line of CHANGELOG.md "
    "what it is called now"
)


def maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_names", GOLDEN / "make_names.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changes(held: Any, found: Any) -> Iterator[str]:
    """What is gone and what is new."""
    if isinstance(held, dict):
        for name in sorted({*held, *found}):
            if name not in found or name not in held:
                yield f"{'gone' if name in held else 'new'}: {name}"
            else:
                yield from (f"{name}: {line}" for line in changes(held[name], found[name]))
    else:
        yield from (f"gone: {name}" for name in sorted({*held} - {*found}))
        yield from (f"new: {name}" for name in sorted({*found} - {*held}))


@pytest.mark.parametrize("kind", ["parameters", "options", "python"])
def test_names_are_those_that_were_promised(kind: str) -> None:
    held, found = json.loads((GOLDEN / "names.json").read_text())[kind], getattr(maker(), kind)()
    lines = list(changes(held, found))
    assert not lines, "\n".join([*lines, ADVICE])
    assert held == found, ADVICE


def test_a_change_is_told() -> None:
    held = {"mirasol ask": ["--end", "FILE"], "mirasol watch": ["--save"]}
    found = {"mirasol ask": ["--end", "--stop"], "mirasol look": []}
    assert list(changes(held, found)) == [
        "mirasol ask: gone: FILE", "mirasol ask: new: --stop", "new: mirasol look", "gone: mirasol watch",
    ]  # fmt: skip


def test_every_public_name_is_there() -> None:
    import mirasol

    assert all(hasattr(mirasol, name) for name in mirasol.__all__)
    assert set(mirasol._MODULE_OF) | {"__version__"} == set(mirasol.__all__)
