"""The experiments of the recipe `ablations`: each builds, differs from what it is compared with only as it says, and a
least one runs from training to its line of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import bench_ablations as bench  # noqa: E402

from helpers import greedy, random_inputs  # noqa: E402
from mirasol.data.toybox import toybox_tokenizer  # noqa: E402
from mirasol.model.mirasol import Mirasol, _Unfilled  # noqa: E402
from mirasol.model.sizes import Sizes  # noqa: E402
from mirasol.model.text import END  # noqa: E402
from mirasol.recipes.ablations import EXPERIMENTS, PrefixDecoder, WholeEncoder, rebuilt  # noqa: E402

BATCH, SNIPPETS = 3, 4
SIZES: Sizes = EXPERIMENTS["scenes"].all_sizes().change(mask_rate=0.0)


def parameters(name: str) -> int:
    run = bench.ablations.recipe(name)
    with torch.device("meta"), _Unfilled():
        model = run.build(run.sizes)
    left_out = run.frozen or ("*",)
    return sum(value.numel() for key, value in model.named_parameters() if not key.startswith(left_out))


def words(rows: int, length: int = 7) -> torch.Tensor:
    return torch.randint(6, SIZES.vocabulary, (rows, length))


@pytest.mark.parametrize("name", [name for name, one in EXPERIMENTS.items() if one.against])
def test_parameters_are_as_equal_as_stated(name: str) -> None:
    experiment = EXPERIMENTS[name]
    other = EXPERIMENTS[experiment.against]
    assert experiment.world == other.world
    share = parameters(name) / parameters(experiment.against)
    if experiment.equal in ("parameters", "both"):
        assert share == pytest.approx(1, abs=0.02)
    if experiment.equal == "both":  # of the same shapes throughout, so a step costs the same
        mine, its = experiment.all_sizes(), other.all_sizes()
        assert mine.tokens_per_snippet() == its.tokens_per_snippet()
        assert mine.text_mlp == its.text_mlp
    if experiment.equal in ("neither", "compute"):  # if it were equal the table should say so
        assert share != 1 or experiment.all_sizes() != other.all_sizes()


def test_every_experiment_is_one_change() -> None:
    assert {one.equal for one in EXPERIMENTS.values()} <= {"parameters", "compute", "both", "neither"}
    for name, one in EXPERIMENTS.items():
        if one.against:
            other = EXPERIMENTS[one.against]
            assert (one.sizes, one.build, one.seconds) != (other.sizes, other.build, other.seconds), name


@pytest.mark.parametrize("whole", [False, True])
def test_only_the_whole_clip_looks_ahead(whole: bool) -> None:
    torch.manual_seed(5)
    model = (rebuilt(SIZES, WholeEncoder) if whole else Mirasol(SIZES)).eval()
    inputs = random_inputs(SIZES, BATCH, SNIPPETS)
    with torch.inference_mode():
        latents = model.encoder(inputs)[0]
        assert inputs.pixel_values_videos is not None
        inputs.pixel_values_videos[:, -1] += 1.0
        after = model.encoder(inputs)[0]
    moved = (latents - after).abs().amax(dim=(0, 2, 3)) > 1e-5
    assert bool(moved[-1])
    assert moved[:-1].tolist() == [whole] * (SNIPPETS - 1)


def test_a_prefix_is_read_and_decodes_step_by_step() -> None:
    """What the engine says with caches is what one full pass says, whatever padding stands before prompt or context."""
    torch.manual_seed(6)
    model = rebuilt(SIZES, decoder=PrefixDecoder).eval()
    prompts, mask = words(BATCH), torch.ones(BATCH, 7, dtype=torch.bool)
    context, seen = torch.randn(BATCH, 9, SIZES.av_width), torch.ones(BATCH, 9, dtype=torch.bool)
    mask[1, :2], seen[2, :4] = False, False
    shown = [row[real].tolist() for row, real in zip(prompts, mask, strict=True)]
    answers = greedy(model, context, seen, shown, end=END, most=5)
    full, real = prompts, mask
    for _ in range(5):
        hidden, _ = model.decoder(full, context, seen, text_mask=real)
        assert hidden.shape == (*full.shape, SIZES.text_width)
        full = torch.cat([full, model.lm_head(hidden[:, -1:]).argmax(-1)], dim=1)
        real = torch.cat([real, real.new_ones(BATCH, 1)], dim=1)
    for row, answer in enumerate(answers):
        assert answer == full[row, 7 : 7 + len(answer)].tolist()
    changed = context.clone()
    changed[0, 0] += 1.0
    before, after = (model.decoder(prompts, given, seen, text_mask=mask)[0] for given in (context, changed))
    moved = after - before
    assert moved[0].abs().max() > 1e-4
    assert moved[1:].abs().max() == 0


def test_least_run_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    tokenizer = toybox_tokenizer(400, scenes=20)
    monkeypatch.setattr(bench.ablations, "scene_tokenizer", lambda: tokenizer)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "ablations.jsonl")
    asked: list[str] = []
    real = bench.measure

    def least(name: str, seed: int, out: Path) -> dict[str, Any]:
        asked.append(f"{name} {seed}")
        return real(name, seed, out, steps=2, clips=3)

    monkeypatch.setattr(bench, "measure", least)
    command = ["bench", "scenes", "scenes-two-vits", "--seeds", "0,4", "--out", str(tmp_path), "--table"]
    for _ in range(2):  # the second time there is nothing left to do
        monkeypatch.setattr(sys, "argv", command)
        bench.main()
    assert asked == ["scenes 0", "scenes-two-vits 0", "scenes 4", "scenes-two-vits 4"]
    runs = bench.read()
    one, two = runs["scenes"][4], runs["scenes-two-vits"][4]
    assert one["gflop"] == two["gflop"] > 0
    assert two["parameters"] - one["parameters"] == 33_728  # a ViT of one block
    assert one["clips"] == 16
    assert one["text_loss"] > 1
    assert capsys.readouterr().out.count("| `scenes-two-vits` |") == 4  # two tables, twice
