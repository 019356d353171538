"""The benchmark of training runs from end to end, and what it counts is what PyTorch counts."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from helpers import COMBINERS, random_sizes
from mirasol.data.examples import Batch
from mirasol.model.flops import Work
from mirasol.model.mirasol import IGNORE, Mirasol
from mirasol.model.sizes import PRESETS

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize("combiner", COMBINERS)
def test_operations_of_both_sides_of_the_sweep(combiner: str, seeds: int) -> None:
    from bench_train import noise
    from whole_clip import WholeClip, encoder_flops, whole_clip_flops

    sizes, snippets = random_sizes(random.Random(seeds), combiner, 2, 7, vit_layers=3), 7
    encoder, whole, inputs = Mirasol(sizes).encoder.train(), WholeClip(sizes).train(), noise(sizes, 2, snippets, CPU)
    counts = []
    for forward in (lambda: encoder(inputs)[0], lambda: whole(inputs)):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            forward().square().mean().backward()
        counts.append(counter.get_total_flops() / 2)
    assert counts[1] == whole_clip_flops(sizes, snippets)
    assert counts[0] == pytest.approx(encoder_flops(sizes, snippets), rel=0.05)  # without the layers of times


def test_operations_of_a_batch_that_is_padded(seeds: int) -> None:
    """Three texts of one clip and none of the other, targets of several lengths."""
    from bench_train import count_work, loss_of, synthetic

    sizes = random_sizes(random.Random(seeds), "causal", 2, 7)
    batch = synthetic(sizes, 2, Work(7, 2, 9, 5), CPU)
    labels = batch.labels.clone()
    labels[0, :6], labels[1] = IGNORE, IGNORE
    batch = Batch(batch.inputs, batch.ids[:3], labels[:3], batch.text_mask[:3], torch.tensor([0, 0, 0]))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss_of(Mirasol(sizes).train(), batch, CPU).backward()
    assert count_work(sizes, batch) == counter.get_total_flops()


def test_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import bench_train

    monkeypatch.setattr(bench_train, "matrix_rate", lambda device: 1e12)  # it takes two seconds
    common = ["bench_train.py", "--out", str(tmp_path), "--device", "cpu"]
    for words in (
        ["--batch", "2", "--snippets", "3", "--steps", "1", "--profile"],
        ["--batch", "2", "--snippets", "3", "--steps", "1", "--recompute"],
        ["--frames", "4,12"],
    ):
        monkeypatch.setattr(sys, "argv", common + words)
        bench_train.main()
    (report,) = tmp_path.glob("train_*.json")
    runs = json.loads(report.read_text())["runs"]
    assert list(runs) == ["tiny", "tiny recomputing", "tiny sweep"]
    plain, again = runs["tiny"], runs["tiny recomputing"]
    assert plain["bytes"]["parameters"] == plain["bytes"]["gradients"] == 4 * plain["parameters"]
    assert 0 < again["bytes"]["activations"] < 0.5 * plain["bytes"]["activations"]
    assert plain["utilisation"] == pytest.approx(plain["flops_per_step"] / plain["step_s"] / 1e12)
    assert plain["snippets_per_s"] == pytest.approx(2 * 3 / plain["step_s"])
    assert [row["frames"] for row in runs["tiny sweep"]["sweep"]] == [4, 12]
    told = report.with_suffix(".md").read_text()
    assert all(f"## {name}" in told for name in runs)
    assert "aten::" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*common, "--largest"])
    with pytest.raises(SystemExit, match="GPU"):
        bench_train.main()


def test_the_paper_costs_follow_from_the_sizes() -> None:
    import paper_cost

    text = paper_cost.paper("small")
    assert "hours on 64 GPUs" in text
    first = next(line for line in text.splitlines() if line.startswith("| activations kept")).split("|")
    alone, many = float(first[3].replace(",", "")), float(first[5].replace(",", ""))
    assert many == pytest.approx(alone / 64, abs=0.06)
    largest, outside = paper_cost.groups(PRESETS["tiny"])
    model = Mirasol(PRESETS["tiny"])
    assert largest == sum(p.numel() for p in model.decoder.blocks[0].parameters())
    assert outside > model.decoder.embed.weight.numel()


def test_the_tables_in_the_docs_are_what_the_command_prints() -> None:
    import paper_cost

    assert paper_cost.paper() in (BENCHMARKS.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
