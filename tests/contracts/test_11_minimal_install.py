"""Contract 11, minimal install: every module imports with the core dependencies alone, and what the README tells works.

Each test looks at a fresh interpreter, since this one has imported everything already.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "numpy")
NEVER_NEEDED = {"datasets", "soundfile", "torchaudio", "torchcodec", "torchvision", "webdataset", "xdist"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A wide terminal: the help is read below, and must not be broken in the middle of an option.
    environment = os.environ | {"COLUMNS": "240", "TERMINAL_WIDTH": "240", "NO_COLOR": "1"}
    environment.pop("FORCE_COLOR", None)
    words = [sys.executable, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=200, cwd=ROOT, env=environment, check=False)


def run(code: str) -> str:
    result = python("-c", code)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def optional_packages() -> set[str]:
    """Import names of everything in an extra of pyproject.toml and in no other list of it, and some never declared."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    names = {re.split(r"[\s\[<>=!~;]", line)[0].replace("-", "_") for line in extras}
    return (names | NEVER_NEEDED) - {"mirasol"}


def test_every_module_imports_with_the_core_alone() -> None:
    """`sys.modules[name] = None` is Python's own way to say that a module does not exist."""
    run(f"""
import importlib, pkgutil, sys
for name in {sorted(optional_packages())!r}:
    sys.modules[name] = None
import mirasol
names = [module.name for module in pkgutil.walk_packages(mirasol.__path__, "mirasol.")]
assert len(names) > 5, names
for name in names:
    if name != "mirasol.__main__":
        importlib.import_module(name)
""")


def test_import_mirasol_imports_nothing_heavy() -> None:
    assert run(f"import sys, mirasol; dir(mirasol); print([name for name in {HEAVY} if name in sys.modules])") == "[]\n"


def test_media_needs_no_torch() -> None:
    code = "import sys, mirasol; mirasol.read, mirasol.Clip; print({'torch', 'transformers'} & set(sys.modules))"
    assert run(code) == "set()\n"


def test_every_public_name_is_there() -> None:
    code = "import mirasol; print([name for name in mirasol.__all__ if getattr(mirasol, name) is None])"
    assert run(code) == "[]\n"


def test_unknown_name_is_an_attribute_error() -> None:
    result = python("-c", "import mirasol; mirasol.tubelet")
    assert result.returncode != 0
    assert "AttributeError: module 'mirasol' has no attribute 'tubelet'" in result.stderr


def test_help_starts_without_torch() -> None:
    out = run("""
import sys
sys.argv = ["mirasol", "--help"]
from mirasol.cli import main
try:
    main()
except SystemExit as error:
    assert not error.code
print("heavy:", [name for name in ("torch", "transformers", "av") if name in sys.modules])
""")
    assert "ask" in out
    assert out.endswith("heavy: []\n")


def readme_commands() -> list[list[str]]:
    """Every line of the README's fenced bash blocks that starts with `mirasol`, as words."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines = [re.sub(r"^\s*(\$ )?(\.venv/bin/)?", "", line) for line in lines]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("mirasol ")]


@functools.cache
def help_of(*command: str) -> str:
    result = python("-m", "mirasol", *command, "--help")
    assert result.returncode == 0, f"mirasol {' '.join(command)} --help: {result.stderr[-2000:]}"
    return result.stdout


def test_readme_shows_commands() -> None:
    assert {"ask", "describe"} <= {words[1] for words in readme_commands()}


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_readme_command_exists_with_its_options(words: list[str]) -> None:
    command = () if words[1].startswith("-") else tuple(words[1 : 3 if words[1] in ("data", "evaluate") else 2])
    told = help_of(*command)
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    assert {option for option in options if not re.search(rf"{option}(?![\w-])", told)} == set()
