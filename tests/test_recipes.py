"""Every recipe builds: sizes that hold, parameters that its docstring or its README states, frozen names that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirasol import cli
from mirasol.model.mirasol import count_parameters, on_meta

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
PARAMETERS = {"smoke": 275_848, "tiny": 3_698_640, "tiny_stream": 3_786_449}


def test_no_recipe_is_forgotten() -> None:
    assert {path.stem for path in RECIPES.glob("*.py")} == set(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_recipe_builds(name: str) -> None:
    run = cli.load_recipe(RECIPES / f"{name}.py")
    model = on_meta(run.sizes)
    assert count_parameters(model) == PARAMETERS[name]
    names = [parameter for parameter, _ in model.named_parameters()]
    for start in run.frozen:
        assert any(parameter.startswith(start) for parameter in names), start
    assert sum(not parameter.startswith(run.frozen or ("*",)) for parameter in names) > 50
    assert run.tokenizer().get_vocab_size() <= run.sizes.vocabulary
