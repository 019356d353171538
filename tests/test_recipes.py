"""Every recipe builds: sizes that hold, parameters that its docstring or its README states, frozen names that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirasol import cli
from mirasol.cli.recipes import shipped
from mirasol.model.mirasol import count_parameters, on_meta

PARAMETERS = {
    "smoke": 275_848, "tiny": 3_698_640, "tiny_stream": 3_786_449, "small": 59_020_712, "pretrain_3b": 2_883_214_552,
    "ablations": 1_583_296, "finetune_qa": 3_698_640, "finetune_classification": 3_698_640,
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"video": "a.mp4", "answer": "a dog barks"}\n{"video": "b.mp4", "answer": "a bell rings"}\n')
    return str(path)


def test_no_recipe_is_forgotten() -> None:
    elsewhere = {"warm_start"}  # tests/warm/test_warm_recipe.py: it needs pretrained parts
    assert set(shipped()) == set(PARAMETERS) | elsewhere


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_recipe_builds(name: str, data: str) -> None:
    run = cli.load_recipe(name, {"data": data} if "data: str" in shipped()[name].read_text() else {})
    model = on_meta(run.sizes)
    assert count_parameters(model) == PARAMETERS[name]
    names = [parameter for parameter, _ in model.named_parameters()]
    for start in run.frozen:
        assert any(parameter.startswith(start) for parameter in names), start
    assert sum(not parameter.startswith(run.frozen or ("*",)) for parameter in names) > 50
    assert run.tokenizer().get_vocab_size() <= run.sizes.vocabulary


def test_a_mixture_is_given_in_words(data: str, tmp_path: Path) -> None:
    (tmp_path / "stills.jsonl").write_text('{"image": "a.png", "caption": "a red thing"}\n')
    run = cli.load_recipe("small", {"data": f"{data}=0.75,{tmp_path}/stills.jsonl=0.25"})
    mixture = run.batches(0, 1).mixture
    assert mixture.counts == [750, 250]
    assert len(mixture) == 3
    with pytest.raises(ValueError, match="needs data: give --data"):
        cli.load_recipe("small")


@pytest.mark.parametrize("name", ["finetune_qa", "finetune_classification"])
def test_adapters_alone_may_be_tuned(name: str, data: str) -> None:
    lora = cli.load_recipe(name, {"data": data, "lora": "4"}).lora
    assert lora is not None
    assert lora.rank == 4


def test_every_recipe_on_own_data_takes_mixtures(data: str, tmp_path: Path) -> None:
    (tmp_path / "stills.jsonl").write_text('{"image": "a.png", "caption": "a red thing"}\n')
    both = f"{data}=0.75,{tmp_path}/stills.jsonl=0.25"
    for name in ("finetune_qa", "finetune_classification", "small", "pretrain_3b"):
        run = cli.load_recipe(name, {"data": both})
        assert run.batches(0, 1).mixture.counts == [750, 250], name
        assert "pairs" in run.name
        assert str(tmp_path) not in run.data, "a card names no folder of this machine"
