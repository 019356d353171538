"""Recipes by name or by path: which ship, what each takes, and the run that it makes."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mirasol.media.naming import quoted

from .common import suggestion

if TYPE_CHECKING:
    from mirasol.train.config import Run


def shipped() -> dict[str, Path]:
    """The recipes of the package by name. Nothing of them is executed."""
    folder = Path(__file__).resolve().parents[1] / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def listing() -> str:
    """What `mirasol train --list` prints: each recipe, its first sentence, and what it takes."""
    lines = []
    for name, path in shipped().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
        takes = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "recipe").args
        optional = len(takes.args) - len(takes.defaults)
        given = [
            taken.arg + ("" if at < optional else f"={ast.unparse(takes.defaults[at - optional])}")
            for at, taken in enumerate(takes.args)
        ]
        first = words.split(". ")[0].rstrip(".:")
        lines += [f"{name:<24}{first}", *([f"{'':<24}takes {', '.join(given)}"] if given else [])]
    lines.append("a name of these, or a Python file of your own with a function recipe(): a copy of one of")
    return "\n".join([*lines, f"{Path(__file__).resolve().parents[1] / 'recipes'}"])


def load_recipe(name: str | Path, given: dict[str, Any] | None = None) -> Run:
    """The run of a recipe of the package (by name), or of a recipe file, which the user named and which is executed;
    `given` goes to its function."""
    from mirasol.train.config import Run

    module = loaded(str(name))
    recipe = getattr(module, "recipe", None)
    run = None if recipe is None else recipe(**as_recipe_takes(recipe, given or {}, Path(str(name)).name))
    if not isinstance(run, Run):
        raise ValueError(f"expected a function recipe() in {name} that returns a mirasol.train.config.Run, found none")
    return run


def loaded(name: str) -> ModuleType:
    """The module of a recipe, by its name in the package or its path."""
    import importlib.util

    own, path = shipped(), Path(name)
    if name in own:
        return importlib.import_module(f"mirasol.recipes.{name}")
    if not path.is_file():
        there = f"; {path.stem} is in the package: mirasol train {path.stem}" if path.stem in own else ""
        there = there or f"{suggestion(name, list(own))}; mirasol train --list names those of the package"
        raise ValueError(f"no recipe {quoted(name)}: expected a name or a Python file with a function recipe(){there}")
    called = f"mirasol_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(called, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"expected a recipe as a Python file (.py), found {quoted(name)}")
    module = sys.modules[called] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    except ImportError as error:
        raise ValueError(f"{path} imports what is not here: {error}") from error
    return module


def as_recipe_takes(recipe: Callable[..., Any], given: dict[str, Any], name: str) -> dict[str, Any]:
    """What was given on the command line in the types of the recipe's own defaults; `ValueError` for what it does not
    take. The number of steps is skipped where a recipe does not ask for it."""
    import inspect

    takes = inspect.signature(recipe).parameters
    found = {}
    for word, value in given.items():
        if word not in takes:
            if word == "steps":
                continue
            known = ", ".join(takes) or "nothing"
            raise ValueError(f"the recipe {name} takes no {word!r}: it takes {known}")
        default = takes[word].default
        kind = type(default) if default is not inspect.Parameter.empty and default is not None else str
        if kind is bool and isinstance(value, str):
            if value.lower() not in ("true", "false"):
                raise ValueError(f"expected {word}=true or {word}=false, found {value!r}")
            value = value.lower() == "true"
        try:
            found[word] = kind(value)
        except ValueError:
            raise ValueError(f"expected {word} as {kind.__name__}, such as {default!r}, found {value!r}") from None
    if missing := [n for n, p in takes.items() if p.default is inspect.Parameter.empty and n not in found]:
        options = {"start_from": "--from"}
        ways = " ".join(
            f"{options.get(n, f'--{n}' if n in given or n == 'data' else f'--set {n}=')} ..." for n in missing
        )
        raise ValueError(f"the recipe {name} needs {', '.join(missing)}: give {ways}")
    return found
