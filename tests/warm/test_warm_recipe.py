"""The recipe that starts from pretrained parts: both stages build and run, and what should not learn does not."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from checkpoints import save_text, save_vit

from helpers import tool
from mirasol import cli
from mirasol.data.toybox import opened_pack
from mirasol.model.inputs import Tokenized
from mirasol.model.mirasol import Mirasol, count_parameters, on_meta
from mirasol.train.loop import train
from packs import KINDS, save_pack

RECIPE = "warm_start"
COMMON = {"pack": "pack", "scenes": 5, "clips": 2, "steps": 2}
PARAMETERS = 94_729  # of these small parts


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe with small sizes, in a folder with small models and a small pack of two sources."""
    monkeypatch.chdir(tmp_path)
    save_text("Llama", tmp_path / "text", chat=False, tie_word_embeddings=True, max_position_embeddings=300)
    save_vit("DINOv2", tmp_path / "vit")
    save_pack(tmp_path / "pack/train")
    save_pack(tmp_path / "pack/held_out", KINDS[:12])
    with pytest.raises(ValueError, match="no folder models/dinov2-small; make it by"):
        cli.load_recipe(RECIPE)  # the models are not there
    module = import_module("mirasol.recipes.warm_start")
    small = {"height": 40, "width": 30, "reconstruct_scale": 5, "reconstruct_patch": 2, "mels": 20}
    tubes = (((1, 5, 5), (1, 5, 5), (0, 0, 0)),)
    least = module.SIZES.change(
        **small, combined=3, combiner_cells=(1, 2), hop=320, window=640, patch=(4, 5), tubes=tubes, combiner_layers=1
    )
    monkeypatch.setattr(module, "SIZES", least)
    return module


def test_first_what_joins_the_parts_learns_then_the_rest(recipe: ModuleType) -> None:
    run = recipe.recipe(vit="vit", text="text", **COMMON)
    assert count_parameters(on_meta(run.sizes)) == PARAMETERS
    names = [name for name, _ in on_meta(run.sizes).named_parameters()]
    for start in run.frozen:
        assert any(name.startswith(start) for name in names), start
    batch = run.batches(0, 2).batch(1)
    assert isinstance(batch.inputs, Tokenized), "the frozen ViT saw the scenes beforehand"
    before = dict(Mirasol.load(run.start_from).named_parameters())
    model = train(run, Path("out"))
    assert model is not None
    assert run.limits in (model / "README.md").read_text(encoding="utf-8"), "the card says what it cannot do"
    after = dict(Mirasol.load(model).named_parameters())
    changed = {name for name in names if not torch.equal(before[name], after[name])}
    assert not [name for name in changed if name.startswith(run.frozen)]
    assert {"decoder.embed.weight", "encoder.combiner.query_tokens", "decoder.blocks.1.cross_gate"} <= changed
    assert before["decoder.blocks.1.cross_gate"].item() == recipe.GATE
    adds = [
        name
        for name in names
        if name.startswith(recipe.FUSING) and name.endswith(("o_proj.weight", "down_proj.weight"))
    ]
    assert len(adds) == 2 * (run.sizes.combiner_layers + run.sizes.latent_layers)
    assert not any(before[name].any() for name in adds), "at first a combined token is what is seen in its cell"
    assert set(adds) <= changed
    spread = before["encoder.combiner.query_tokens"].std().item()
    assert spread == pytest.approx(0.5 * recipe.QUERIES, rel=0.4), "half of what a combiner's queries begin with"
    assert run.optimisation.average == recipe.AVERAGE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "SIZES", recipe.SIZES.change(combined=4))
        with pytest.raises(ValueError, match="made by another state of this recipe; move it away"):
            recipe.recipe(vit="vit", text="text", **COMMON)
    assert not batch.inputs.tube_mask[batch.inputs.snippet_mask].all(), "a share of what was seen is hidden"
    for more in ({}, {"lora": 2}):
        tune = recipe.recipe(start_from=str(model), stage="tune", **more, **COMMON)
        assert not tune.frozen
        assert not tune.optimisation.average
        assert 0 < tune.optimisation.rate <= run.optimisation.rate / 50, "what is pretrained moves by little"
        assert not isinstance(tune.batches(0, 1).batch(0).inputs, Tokenized)
        tuned = train(tune, Path(f"tune{len(more)}"))
        assert tuned is not None
        weights = dict(Mirasol.load(tuned).named_parameters())
        assert not torch.equal(
            weights["encoder.vit.blocks.0.mlp.up_proj.weight"], after["encoder.vit.blocks.0.mlp.up_proj.weight"]
        )
        assert Mirasol.load(tuned).sources == Mirasol.load(run.start_from).sources


def test_a_run_on_other_scenes_is_not_gone_on_with(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train(replace(recipe.recipe(vit="vit", text="text", **COMMON), save_every=1), Path("out")) is not None
    longer = {**COMMON, "steps": 3}
    monkeypatch.setattr(recipe, "SECONDS", (2,))
    with pytest.raises(ValueError, match="holds a run of 2 steps with other batches"):
        train(recipe.recipe(vit="vit", text="text", **longer), Path("out"))


def test_cold_has_the_same_sizes_scenes_and_questions_and_nothing_pretrained(recipe: ModuleType) -> None:
    warm, cold = (recipe.recipe(vit="vit", text="text", warm=warm, **COMMON) for warm in (True, False))
    assert cold.sizes == warm.sizes
    assert cold.optimisation == warm.optimisation
    assert recipe.recipe(vit="vit", text="text", rate=3e-4, **COMMON).optimisation.rate == 3e-4
    assert (cold.start_from, cold.frozen) == ("", ())
    for step in range(2):
        one, other = warm.batches(0, 2).batch(step), cold.batches(0, 2).batch(step)
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.seeds, other.seeds)
        assert not isinstance(other.inputs, Tokenized)


def test_what_is_learned_from_lasts_longer_and_is_photographed_more_often(recipe: ModuleType) -> None:
    learned, asked = (recipe.scenes_of("pack", part, learned=part == "train") for part in ("train", "held_out"))
    scenes = [[shown.scene(number) for number in range(40)] for shown in (learned, asked)]
    lengths, others = ({scene.seconds for scene in found} for found in scenes)
    assert (lengths, others) == ({1, 2, 3}, {1})
    several = [sum(len(scene.things) > 1 for scene in found) for found in scenes]
    assert several == [24, 8]
    make_pack = tool("make_pack")
    names = {make_pack.ALSO, *(name.split("-")[0] for name in make_pack.PACKAGES)}
    assert tool("make_lessons").PHOTOGRAPHS == recipe.OFTEN, "lessons show photographs as often as the recipe does"
    assert {beginning for beginning, _ in recipe.OFTEN} <= names, "the files of a pack are called by their packages"
    beginning, times = recipe.OFTEN[0]
    folder = Path("pack/train/pictures") / KINDS[0]
    (folder / f"{beginning}_00.png").write_bytes((folder / "a.png").read_bytes())
    opened_pack.cache_clear()
    drawn = learned.assets.drawn[KINDS[0]]
    assert [sum(file.name.startswith(beginning) for file in drawn), len(drawn)] == [times, times + 1]


def test_the_card_tells_of_media_of_ones_own(recipe: ModuleType) -> None:
    shown = recipe.scenes_of("pack", "train")
    assert recipe.media_of_ones_own(shown) == ""
    folder = Path("pack/train/pictures") / KINDS[0]
    (folder / "also_07.png").write_bytes((folder / "a.png").read_bytes())
    opened_pack.cache_clear()
    assert "1 of its 25 files are media added by --also" in recipe.media_of_ones_own(shown)


def test_kinds_are_those_of_both_sources(recipe: ModuleType) -> None:
    assert recipe.scenes_of("pack", "held_out").assets.world.kinds == KINDS[:12]
    assert recipe.scenes_of("pack", "train").assets.world.kinds == KINDS[:12]
    assert recipe.scenes_of("pack", "train", "all").assets.world.kinds == KINDS
    with pytest.raises(ValueError, match="kinds=shared or kinds=all"):
        recipe.scenes_of("pack", "train", "some")
    with pytest.raises(ValueError, match="stage=join or stage=tune"):
        recipe.recipe(stage="both")
