"""Scenes of a pack: stored tokens take the place of rendered scenes, and nothing else changes."""

from __future__ import annotations

import shutil
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import REMEMBERING_SIZES, difference
from mirasol.data.scenes import PackScenes, SceneBatches, TokenStore, make_tokens
from mirasol.data.toybox import toybox_tokenizer
from mirasol.evaluate.toybox import ROWS, score_scenes, score_these
from mirasol.media.toybox import AssetPack, make_scene
from mirasol.media.toybox.questions import WORDINGS
from mirasol.media.toybox.rendering import Stage
from mirasol.model.inputs import Inputs, Tokenized
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import Text
from packs import KINDS, save_pack

TEXT = Text(toybox_tokenizer(300, scenes=40))
COUNT, CLIPS = 7, 3


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def model() -> Mirasol:
    torch.manual_seed(0)
    return Mirasol(REMEMBERING_SIZES).eval()


def test_scenes_are_as_the_plan_says(pack: Path) -> None:
    scenes = PackScenes(str(pack), kinds=KINDS[:12])
    found = [scenes.scene(number) for number in range(12)]
    for number, scene in enumerate(found):
        things, wanted = scenes.plan[number % len(scenes.plan)]
        assert len(scene.things) <= things
        assert wanted in {question.type for question in scene.questions}
        assert {thing.kind for thing in scene.things} | {event.kind for event in scene.sounds} <= set(KINDS[:12])
        assert scenes.questions(number) == [q for q in scene.questions if q.type in scenes.types]
    assert len({scene.seed for scene in found}) == 12


def test_from_near_one_thing_fills_the_picture_and_sounds_at_once(pack: Path) -> None:
    near = PackScenes(str(pack))
    far = replace(near, close=False)
    for number in range(15):
        scene, before = near.scene(number), far.scene(number)
        assert scene.seed == before.seed
        for one, other in zip(scene.questions, before.questions, strict=True):
            placeless = one.type == "seen" and len(scene.things) == 1
            assert one == (replace(other, text=one.text) if placeless else other)
            assert not placeless or one.text in WORDINGS["seen alone"]
        assert [one.kind for one in scene.sounds] == [one.kind for one in before.sounds]
        assert all(one.onset % 1 <= 0.1 for one in scene.sounds)
        if len(scene.things) == 1:
            assert 0.7 <= scene.things[0].size <= 0.98
            assert not scene.surroundings.occluders
            small, large = (Stage(one, 96, 96, near.assets).sprites[0][1].sum() for one in (before, scene))
            assert large > 2 * small
        else:
            assert scene.things == before.things


def test_varied_pictures_and_sounds_are_others_each_time_and_the_same_for_the_same_chance(pack: Path) -> None:
    plain, varied = AssetPack(pack), AssetPack(pack, vary=True)

    def made(assets: AssetPack, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return (
            assets.draw(KINDS[3], 32, np.random.default_rng(seed)),
            assets.sound(KINDS[3], np.random.default_rng(seed)),
        )

    for part in (0, 1):
        assert np.array_equal(made(varied, 4)[part], made(varied, 4)[part])
        assert len({made(varied, seed)[part].tobytes() for seed in range(6)}) == 6
        assert len({made(plain, seed)[part].tobytes() for seed in range(6)}) <= 2
    for seed in range(20):
        picture, sound = made(varied, seed)
        assert picture.shape[0] == 32
        assert picture[..., 3].max() == 255
        assert np.abs(sound).max() == pytest.approx(1.0, abs=0.01)
        assert 0.2 < len(sound) / 4_000 * 1.0 < 1.3


def test_a_long_sound_that_is_varied_begins_in_any_of_its_loud_parts(pack: Path, tmp_path: Path) -> None:
    """Three seconds of a tone, of silence, and of another tone: each is where it begins at times, silence never is."""
    shutil.copytree(pack, tmp_path / "pack")
    folder = tmp_path / "pack/sounds" / KINDS[3].replace(" ", "_")
    for file in folder.iterdir():
        file.unlink()
    at = np.arange(48_000) / 16_000
    parts = [np.sin(2 * np.pi * 300 * at), np.zeros(48_000), np.sin(2 * np.pi * 2_000 * at)]
    with wave.open(str(folder / "two.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((20_000 * np.concatenate(parts)).astype("<i2").tobytes())

    def crossings(assets: AssetPack, seed: int) -> int:
        first = assets.sound(KINDS[3], np.random.default_rng(seed))[:1_600]
        return int((np.diff(np.sign(first)) != 0).sum())

    varied, plain = AssetPack(tmp_path / "pack", vary=True), AssetPack(tmp_path / "pack")
    found = [crossings(varied, seed) for seed in range(40)]
    low, high = sum(40 <= one <= 90 for one in found), sum(280 <= one <= 560 for one in found)
    assert low + high == 40
    assert 4 <= high <= 16, "half of the times anywhere, of which half in the second tone"
    assert all(40 <= crossings(plain, seed) <= 90 for seed in range(5))


def test_a_picture_comes_as_often_as_is_said(pack: Path, tmp_path: Path) -> None:
    shutil.copytree(pack, tmp_path / "pack")
    folder = tmp_path / "pack/pictures" / KINDS[3].replace(" ", "_")
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (12, 9), colour).save(folder / f"{'often' if number else 'seldom'}_{number}.png")
    for file in [one for one in folder.iterdir() if "often" not in one.name and "seldom" not in one.name]:
        file.unlink()

    def blue(assets: AssetPack) -> float:
        drawn = [assets.draw(KINDS[3], 9, np.random.default_rng(seed))[4, 6, 2] for seed in range(400)]
        return sum(value == 255 for value in drawn) / len(drawn)

    assert blue(AssetPack(tmp_path / "pack")) == pytest.approx(0.5, abs=0.1)
    assert blue(AssetPack(tmp_path / "pack", often=(("often", 9),))) == pytest.approx(0.9, abs=0.06)


def test_a_scene_is_asked_one_question_of_each_type_and_each_answer(pack: Path, model: Mirasol) -> None:
    scenes = PackScenes(str(pack))
    batches = SceneBatches(scenes, model.sizes, TEXT, 0, 9, count=COUNT, clips=CLIPS)
    for step in range(3):
        answers = [{(q.type, q.answer) for q in scenes.questions(number)} for number in batches.numbers(step)]
        assert len(batches.batch(step).ids) == sum(map(len, answers))


def test_each_thing_is_asked_for_by_its_place_and_what_is_heard_too(pack: Path, model: Mirasol) -> None:
    """Where there are several; what is asked without that stays as it is, and every answer gets a row of its own."""
    plain = PackScenes(str(pack), plan=((1, "seen"), (3, "which")))
    scenes = replace(plain, each=True)
    ways = set()
    for number in range(0, 12, 2):
        assert scenes.questions(number) == plain.questions(number)
        several = scenes.scene(number + 1)
        before, asked = plain.questions(number + 1), scenes.questions(number + 1)
        assert asked[: len(before)] == before
        assert len(several.things) == 3
        *seen, heard = asked[len(before) :]
        for thing, question in zip(several.things, seen, strict=True):
            assert (question.type, question.answer) == ("seen", thing.kind)
            ways.add(thing.place in question.text)
            assert thing.place in question.text or question.text.split()[-1] == f"{thing.place.split()[1]}?"
        assert (heard.type, heard.answer) == ("heard", several.sounds[0].kind)
        only = replace(scenes, types=("heard",)).questions(number + 1)
        assert [(one.type, one.answer) for one in only] == [("heard", heard.answer)]
    assert ways == {True, False}, "by the place, or by the column alone"
    batches = SceneBatches(scenes, model.sizes, TEXT, 0, 9, count=COUNT, clips=CLIPS)
    for step in range(3):
        answers = [{(q.type, q.answer) for q in scenes.questions(number)} for number in batches.numbers(step)]
        assert len(batches.batch(step).ids) == sum(map(len, answers))


def test_as_much_of_a_sound_is_used_as_is_asked_for(pack: Path) -> None:
    chance = np.random.default_rng
    assert len(AssetPack(pack, longest=0.1).sound(KINDS[5], chance(0))) == 1_600
    assert len(AssetPack(pack).sound(KINDS[5], chance(0))) == pytest.approx(4_000, abs=5)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_stored_tokens_give_what_rendered_scenes_give(
    bfloat16: bool, pack: Path, model: Mirasol, tmp_path: Path
) -> None:
    """Also where scenes of several lengths share a batch."""
    scenes = PackScenes(str(pack), seconds=(1, 3), plan=((1, "seen"), (3, "which")))
    assert len({scenes.scene(number).seconds for number in range(COUNT)}) == 2
    make_tokens(model, scenes, COUNT, batch=4, bfloat16=bfloat16).save(tmp_path / "store.safetensors")
    common = {"count": COUNT, "clips": CLIPS, "seed": 5}
    path = tmp_path / "store.safetensors"
    stored = SceneBatches(scenes, model.sizes, TEXT, 0, 9, store=lambda: TokenStore.load(path), **common)  # type: ignore[arg-type]
    rendered = SceneBatches(scenes, model.sizes, TEXT, 0, 9, **common)  # type: ignore[arg-type]
    for step in (0, 4, 2):
        one, other = stored.batch(step), rendered.batch(step)
        assert torch.equal(one.inputs.snippet_mask, other.inputs.snippet_mask)  # type: ignore[arg-type]
        assert isinstance(one.inputs, Tokenized)
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.rows, other.rows)
        with torch.no_grad():
            losses = [model(b.inputs, b.ids, b.labels, b.text_mask, b.rows).text for b in (one, other)]
        assert difference(*losses) < (3e-2 if bfloat16 else 2e-3), "half precision"


def test_the_vit_is_shown_no_padding_and_computes_as_is_asked(
    pack: Path, model: Mirasol, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = PackScenes(str(pack), seconds=(1, 3), plan=((1, "seen"), (3, "which")))
    shown, view = [], model.encoder.view

    def watched(inputs: Inputs) -> Tokenized:
        assert inputs.snippet_mask is not None
        assert inputs.snippet_mask.all()
        shown.append(inputs.snippet_mask.numel())
        return view(inputs)

    monkeypatch.setattr(model.encoder, "view", watched)
    one, other = (make_tokens(model, scenes, COUNT, batch=4, bfloat16=bfloat16) for bfloat16 in (False, True))
    seconds = sum(scenes.scene(number).seconds for number in range(COUNT))
    snippets = round(seconds / model.sizes.snippet_seconds)
    assert sum(shown) == 2 * snippets == 2 * len(one.tubes) == 2 * int(one.snippets.sum())
    assert not torch.equal(one.tubes, other.tubes)
    assert not torch.equal(one.patches, other.patches)


def test_a_share_of_stored_tokens_is_hidden_and_summaries_never(pack: Path) -> None:
    """Others in each step, the same in the same step: whoever else is in the batch, and however long it is."""
    model = Mirasol(REMEMBERING_SIZES.change(vit_extra=1, vit_summary=True)).eval()
    scenes = PackScenes(str(pack), seconds=(1, 3), plan=((1, "seen"), (3, "which")))
    store = make_tokens(model, scenes, COUNT)
    batches = SceneBatches(scenes, model.sizes, TEXT, 0, 9, count=COUNT, clips=CLIPS, store=lambda: store, hide=0.3)
    every = list(range(COUNT))
    whole, kept = model.sizes.summary_tokens, batches.inputs(every)
    assert isinstance(kept, Tokenized)
    for name in ("tube_mask", "patch_mask"):
        all_of_it = getattr(kept, name)
        one, again, later = (getattr(batches.hidden(kept, every, step), name) for step in (2, 2, 3))
        assert torch.equal(one, again)
        assert not torch.equal(one, later)
        assert not (one & ~all_of_it).any()
        assert torch.equal(one[..., :whole], all_of_it[..., :whole])
        assert 0.15 < 1 - one[..., whole:].sum() / all_of_it[..., whole:].sum() < 0.45
        for number in every:
            alone = batches.inputs([number])
            assert isinstance(alone, Tokenized)
            mask = getattr(batches.hidden(alone, [number], 2), name)[0]
            assert torch.equal(one[number, : len(mask)], mask)
    with pytest.raises(ValueError, match="hides stored tokens: give a store"):
        SceneBatches(scenes, model.sizes, TEXT, 0, 9, count=COUNT, clips=CLIPS, hide=0.3)
    batch = batches.batch(4)
    assert isinstance(batch.inputs, Tokenized)
    numbers = batches.numbers(4)
    plain = batches.inputs(numbers)
    assert isinstance(plain, Tokenized)
    assert torch.equal(batch.inputs.patch_mask, batches.hidden(plain, numbers, 4).patch_mask)


def test_every_scene_comes_once_before_any_comes_again(pack: Path) -> None:
    batches = SceneBatches(PackScenes(str(pack)), REMEMBERING_SIZES, TEXT, 0, 14, count=COUNT, clips=CLIPS)
    numbers = [number for step in range(14) for number in batches.numbers(step)]
    for first in range(0, len(numbers), COUNT):
        assert sorted(numbers[first : first + COUNT]) == list(range(COUNT))


@torch.no_grad()
def test_tokens_without_one_modality_are_inputs_without_it(pack: Path, model: Mirasol) -> None:
    shown = PackScenes(str(pack)).inputs(1, model.sizes)
    whole = model.encoder.view(shown.complete(model.sizes, model.encoder.mask_tokens))
    values = dict(vars(whole))
    for lost, signal, mask in (("tube_mask", "pixel_values_videos", "frame_mask"),
                               ("patch_mask", "input_features", "column_mask")):  # fmt: skip
        less = Tokenized(**{**values, lost: torch.zeros_like(values[lost])})
        given = {name: getattr(shown, name) for name in Inputs.__dataclass_fields__}
        without = Inputs(**{**given, signal: None, mask: None})
        assert difference(model.encoder(less)[0], model.encoder(without)[0]) < 1e-5


def test_tokens_of_another_model_are_refused(pack: Path, model: Mirasol) -> None:
    tokens = make_tokens(model, PackScenes(str(pack)), 2).inputs([0, 1])
    other = Mirasol(REMEMBERING_SIZES.change(patch=(4, 5)))
    with pytest.raises(ValueError, match=r"expected .* patches of width 16 in each snippet, found .*make them with"):
        other.encoder(tokens)


def test_scenes_of_a_pack_are_scored_like_drawn_ones(pack: Path, model: Mirasol) -> None:
    assets = AssetPack(pack, KINDS[:12])
    made = [make_scene(seed, "test", seconds=1, world=assets.world) for seed in range(5)]
    rows = ("both", "picture")
    found = list(score_scenes(model, TEXT, "test", 5, rows, seconds=1, pack=assets, batch=3))
    assert set(rows) < set(ROWS)
    for row in rows:
        asked = [(one.seed, one.question, one.truth) for one in found if one.row == row]
        assert sorted(asked) == sorted((s.seed, q.text, q.answer) for s in made for q in s.questions)
    seen = list(score_these(model, TEXT, made, ("both",), types=("where", "heard"), pack=assets))
    assert {one.type for one in seen} <= {"where", "heard"}
    assert len(seen) == sum(q.type in ("where", "heard") for scene in made for q in scene.questions)
