"""Contract 12, layering: who may import whom, and what nobody imports.

Every import is read from the source (also those inside functions, under TYPE_CHECKING, or by `import_module("name")`)
and held against the table. Nothing of the package is executed.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "mirasol"

# part of the project -> the parts that it may import besides itself
MAY_IMPORT = {
    "media": set(),
    "model": set(),
    "data": {"media", "model"},
    "inference": {"media", "model"},
    "train": {"data", "model"},
    "evaluate": {"data", "inference", "media", "model"},
    "serve": {"inference", "media"},
    "warm": {"model"},
    "cli": {"__init__", "media", "model", "data", "inference", "train", "evaluate", "serve", "warm", "recipes"},
    "__init__": {"media", "model", "inference"},  # the lazy public API
    "__main__": {"cli"},
    "recipes": {"train", "data", "model", "inference", "warm"},
}
# part -> outside packages that it may not import
NOT_FOR = {"media": {"torch", "transformers"}}
BROKEN = {"torchvision", "torchaudio", "decord", "librosa"}  # heavy, or unusable beside a CPU build of torch
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve"}  # run code when they load data
NOBODY = BROKEN | PICKLES
DISTRIBUTED = "torch.distributed"
MAY_DISTRIBUTE = "src/mirasol/train/distributed.py"


def dotted(node: ast.AST) -> str:
    """`a.b.c` for an attribute chain on a name, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def imports_of(tree: ast.AST, package: str) -> set[str]:
    """Absolute dotted names of everything imported in a file of `package` (the dotted name of its folder)."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                folder = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*folder, base]).rstrip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def faults(source: str, path: str) -> list[str]:
    """What is wrong with the file at `path`, relative to the repository, that holds `source`."""
    parts = Path(path).with_suffix("").parts
    inside = parts[:2] == ("src", "mirasol")
    part = parts[2] if inside else parts[0]
    tree = ast.parse(source)
    imported = imports_of(tree, ".".join(parts[1:-1]) if inside else "")
    wrong = []
    for name in sorted(imported):
        head = name.split(".")[0]
        if head == "mirasol" and part in MAY_IMPORT:
            other = name.split(".")[1] if "." in name else "__init__"
            other = "__init__" if other == "__version__" else other
            if other not in MAY_IMPORT[part] | {part}:
                wrong.append(f"{part} may not import {name}")
        if head in NOBODY | NOT_FOR.get(part, set()):
            wrong.append(f"{part} may not import {name}")
    return wrong + bad_calls(tree, imported, path) + bad_model_imports(tree, part)


def bad_calls(tree: ast.AST, imported: set[str], path: str) -> list[str]:
    """Code that runs or loads code: eval, exec, pickles; and process groups outside their one file."""
    wrong = []
    reached = set(imported)
    for node in ast.walk(tree):
        reached.add(dotted(node))
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if name in {"eval", "exec", "compile", "builtins.eval", "builtins.exec"}:
            wrong.append(f"line {node.lineno}: {name}()")
        if name == "torch.load" and given.get("weights_only") is not True:
            wrong.append(f"line {node.lineno}: torch.load without weights_only=True")
        if given.get("allow_pickle", False) is not False:
            wrong.append(f"line {node.lineno}: allow_pickle")
    if path != MAY_DISTRIBUTE and any(f"{name}.".startswith(f"{DISTRIBUTED}.") for name in reached):
        wrong.append(f"{DISTRIBUTED} outside {MAY_DISTRIBUTE}")
    return wrong


def bad_model_imports(tree: ast.AST, part: str) -> list[str]:
    """`model/` is loaded from the Hub as a flat folder of another name: there only `from .file import name` works."""
    if part != "model":
        return []
    own = sorted(name for name in imports_of(tree, "") if name.split(".")[0] == "mirasol")
    wrong = [f"model may not import {name} absolutely" for name in own]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and (node.level > 1 or "." in (node.module or "")):
            wrong.append(f"line {node.lineno}: model may only import from files beside it")
    return wrong


def sources(*folders: str) -> list[str]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@pytest.mark.parametrize("path", sources("src", "examples", "benchmarks"))
def test_file_keeps_the_table(path: str) -> None:
    assert faults((ROOT / path).read_text(encoding="utf-8"), path) == []


def test_every_part_is_in_the_table_and_model_is_flat() -> None:
    parts = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")}
    assert parts - set(MAY_IMPORT) - {"checkpoints"} == set()
    assert [path for path in (PACKAGE / "model").rglob("*.py") if path.parent != PACKAGE / "model"] == []


def test_outside_packages_are_declared() -> None:
    """What the package imports, pyproject.toml names: nothing arrives by luck with something else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    declared = {re.split(r"[\s\[<>=!~;]", line)[0].lower().replace("-", "_") for line in lines}
    declared |= {"PIL"} if "pillow" in declared else set()
    for path in sources("src"):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        heads = {name.split(".")[0] for name in imports_of(tree, ".".join(Path(path).parts[1:-1]))}
        assert heads - declared - set(sys.stdlib_module_names) - {"mirasol"} == set(), path


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("src/mirasol/media/reader.py", "def f():\n    import torch"),
        ("src/mirasol/media/toybox/scene.py", "from ...model.sizes import Sizes"),
        ("src/mirasol/media/clip.py", "from importlib import import_module\nimport_module('mirasol.model')"),
        ("src/mirasol/media/clip.py", "import mirasol"),
        ("src/mirasol/model/vit.py", "from ..media.clip import Clip"),
        ("src/mirasol/model/vit.py", "from mirasol.model.layers import Block"),
        ("src/mirasol/model/vit.py", "from .parts.layers import Block"),
        ("src/mirasol/data/collate.py", "if True:\n    from mirasol.train import loop"),
        ("src/mirasol/train/loop.py", "from torch import distributed"),
        ("src/mirasol/train/loop.py", "import torch\ntorch.distributed.barrier()"),
        ("src/mirasol/train/loop.py", "from mirasol import media"),
        ("src/mirasol/evaluate/runner.py", "from ..train import loop"),
        ("src/mirasol/cli/common.py", "eval('1')"),
        ("src/mirasol/train/checkpoint.py", "import torch\ntorch.load('x')"),
        ("src/mirasol/train/checkpoint.py", "import torch\ntorch.load('x', weights_only=False)"),
        ("src/mirasol/data/shards.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("examples/ask.py", "import librosa.filters"),
        ("src/mirasol/recipes/tiny.py", "from mirasol.media.reader import read"),
    ],
)
def test_the_test_can_fail(path: str, source: str) -> None:
    assert faults(source, path) != []


def test_what_is_allowed_passes() -> None:
    assert faults("model.eval()\ntorch.load('x', weights_only=True)", "src/mirasol/train/checkpoint.py") == []
    assert faults("import torch.distributed as dist", MAY_DISTRIBUTE) == []
    assert faults("from .layers import Block\nimport re\nre.compile('x')", "src/mirasol/model/vit.py") == []
    assert faults("from ..media.clip import Clip\nfrom mirasol.model.sizes import Sizes", "src/mirasol/data/x.py") == []
