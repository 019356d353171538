"""Help is for people: commands in groups, an example in each, flags without a type; recipes and pages by name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mirasol.cli import app
from mirasol.cli.groups import GROUPS
from mirasol.cli.pages import pages
from mirasol.cli.recipes import load_recipe, shipped


def commands() -> Iterator[tuple[str, ...]]:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", {}))


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert result.exit_code == 0, (words, result.output)
    return result.output


def test_every_command_is_in_a_group() -> None:
    out = said("--help")
    assert [out.index(f"─ {group} ─") for group in GROUPS] == sorted(out.index(f"─ {group} ─") for group in GROUPS)
    assert "─ Commands ─" not in out
    assert {words[0] for words in commands()} == {name for names in GROUPS.values() for name in names}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_has_an_example_that_it_takes_and_pages_that_are_there(words: tuple[str, ...]) -> None:
    out = " ".join(said(*words, "--help").split())
    assert "<bool>" not in out
    example = shlex.split(out.split("Example: mirasol ")[1])
    of_words = example[: len(words)]
    assert of_words == list(words) or words == ("evaluate", "benchmark")
    options = [word for word in example if word.startswith("--")]
    told = " ".join(said(*example[: 2 if len(get_or(words)) > 1 else 1], "--help").split())
    assert all(option in told for option in options)
    assert not re.search(r"docs/\w+\.md", out), "a page that an installed package does not have"
    assert set(re.findall(r"mirasol docs (\w+)", out)) <= set(pages())


def get_or(words: tuple[str, ...]) -> tuple[str, ...]:
    return (*words, "x") if words in (("evaluate",), ("data",)) else words


def test_recipes_are_listed_and_a_wrong_name_is_told_the_right_one() -> None:
    out = said("train", "--list")
    assert all(f"\n{name} " in f"\n{out}" for name in shipped())
    assert "takes data, media='', start_from='tiny'" in out
    with pytest.raises(ValueError, match="did you mean finetune_qa"):
        load_recipe("finetune-qa")
    with pytest.raises(ValueError, match="smoke is in the package: mirasol train smoke"):
        load_recipe("recipes/smoke.py")


def test_old_spellings_of_evaluate() -> None:
    for words in (["evaluate", "--verify", "none.json"], ["evaluate", "next-qa", "--verify", "none.json"]):
        result = CliRunner().invoke(app, words)
        assert "no result 'none.json'" in str(result.exception)
