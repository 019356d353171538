"""README and docs against what is there: links, paths, the tree of folders, and every command line that they show."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HISTORY = {"CHANGELOG.md", "LOG.md"}  # tell of what was there
MADE = ("runs/", "demo/", "dist/", "build/")  # what commands make
PATH = re.compile(r"`([\w./*-]+/[\w.*-]+\.(?:py|md|svg|png)|[\w./-]+/)`")


def ids(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def anchor(heading: str) -> str:
    """As the pages of a repository name their headings."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{page.name}: {target} is not there"
        if part:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert part in map(anchor, headings), f"{page.name}: no heading {target}"


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_paths_in_texts_are_there(page: Path) -> None:
    """A path may stand as it is below the repository, the package or the page's own folder."""
    if page.name in HISTORY:
        pytest.skip("tells of what was there")
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    bases = (ROOT, ROOT / "src" / "mirasol", page.parent)
    own = {path.name for path in ROOT.iterdir()} | {path.name for path in (ROOT / "src" / "mirasol").iterdir()}
    for name in PATH.findall(text):
        if name.split("/")[0] in own and not name.startswith(MADE):
            assert any(list(base.glob(name.rstrip("/"))) for base in bases), f"{page.name}: {name} is not there"


# -- the tree ----------------------------------------------------------------------------------------------------------


def tree() -> set[str]:
    """All paths of the README's tree; a line may name several, indentation says where they lie."""
    block = re.search(r"^```\n(src/mirasol/\n.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert block is not None
    found, folders = set(), [""]
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"  +", line.strip())[0].split()
        for name in names:
            found.add("".join(folders[: depth + 1]) + name)
        folders[depth + 1 :] = [names[-1]]
    return found


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    return [name for name in listed if name and (ROOT / name).exists()]


def test_the_tree_names_what_is_there() -> None:
    told = tree()
    assert {name for name in told if not list(ROOT.glob(name.rstrip("/")))} == set()
    files = tracked()
    if not files:
        pytest.skip("no git repository here")
    folders = {
        name.split("/")[0] for name in files if "/" in name and name[0] != "." and not name.endswith("README.md")
    } - {"src"}
    folders |= {
        "/".join(name.split("/")[:3]) for name in files if name.startswith("src/mirasol/") and name.count("/") > 2
    }
    named = {name.rstrip("/") for name in told} | {"tests", "src/mirasol/tests"}
    assert folders - named == set(), "name these folders in the README's tree"
    model = {name for name in files if re.fullmatch(r"src/mirasol/model/(?!__init__)\w+\.py", name)}
    covered = {str(path.relative_to(ROOT)) for name in told for path in ROOT.glob(name) if path.is_file()}
    assert model - covered == set(), "name these files in the README's tree"


# -- command lines -----------------------------------------------------------------------------------------------------


def code_lines(page: Path) -> Iterator[str]:
    """The lines of fenced and of indented code, with lines that go on joined."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = [line[4:] for line in rest.splitlines() if re.match(r" {4}(mirasol|python|torchrun) ", line)]
    yield from ("\n".join(fenced).replace("\\\n", " ")).splitlines()
    yield from indented


def commands() -> list[tuple[str, str]]:
    """(page, command line) of everything that is called in README and docs."""
    found = []
    for page in PAGES:
        if page.name in HISTORY:
            continue
        for line in code_lines(page):
            words = re.split(r"\s#\s|\s{5,}", line.strip())[0].removeprefix("$ ")
            words = re.sub(r"^[^|]*\|\s*(?=mirasol)|^.*torchrun .*?-m (?=mirasol)", "", words)
            if re.match(r"(mirasol|python) ", words):
                found.append((page.name, words))
    return found


def parse(words: list[str]) -> None:
    """As the program does, up to the point at which it would begin to work."""
    from mirasol.cli import app

    command, name = typer.main.get_command(app), "mirasol"
    context = command.make_context(name, list(words), resilient_parsing=False)
    rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value)
def test_a_command_line_is_understood(page: str, line: str) -> None:
    words = shlex.split(line)
    for word in words:
        if re.fullmatch(r"(recipes|examples|tools|benchmarks)/[\w/]+\.py", word):
            assert (ROOT / word).is_file(), f"{page}: {word} is not there"
    if words[0] == "mirasol":
        parse(words[1:])
        return
    if words[1] in ("-m", "-c"):
        return
    script = ROOT / words[1]
    assert script.is_file(), f"{page}: {words[1]} is not there"
    text = script.read_text(encoding="utf-8")
    for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
        assert f'"{option}"' in text or f'"{option[2:]}"' in text, f"{page}: {words[1]} has no option {option}"


def test_commands_are_found() -> None:
    assert len(commands()) > 60
    with pytest.raises(Exception, match="no-such-option"):
        parse(["ask", "film.mp4", "who?", "--no-such-option"])
    with pytest.raises(Exception, match=r"(?i)file"):
        parse(["describe"])
