"""Training: a resumed run equals an unbroken one, the optimizer does what it says, the curriculum is followed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mixed_run import mixed_run

from mirasol.data.fused import FusedStreamBatches, SnippetStore, Walk, make_store
from mirasol.data.streams import StreamBatches
from mirasol.data.toybox import Stage, ToyboxBatches, toybox_tokenizer
from mirasol.media.toybox.streams import Visit
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.state import map_tensors, tensors
from mirasol.model.text import Text
from mirasol.train import checkpoint
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import begin, effort_share, train
from mirasol.train.lora import LoraHow
from mirasol.train.optimizer import Optimizers, orthogonalise

SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combiner_layers=1, combined=3, latent_layers=1,
    context_snippets=5, reconstruct_scale=2, reconstruct_patch=6, mask_rate=0.3,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_layers=1, text_mlp=24, text_positions=160,
)  # fmt: skip
STAGES = (Stage(0, (1, 1), 3, things=1, silent=True), Stage(2, (1, 3), 2))
TOKENIZER = toybox_tokenizer(SIZES.vocabulary, scenes=20)


def run(workers: int = 0) -> Run:
    return Run(
        name="least",
        sizes=SIZES,
        optimisation=Optimisation(steps=6, warmup=2, rate=1e-2, other_rate=1e-2),
        batches=lambda first, last: ToyboxBatches(SIZES, Text(TOKENIZER), STAGES, first, last),
        tokenizer=lambda: TOKENIZER,
        workers=workers,
        log_every=1,
        save_every=3,
        keep=5,
    )


def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    whole = train(run(), tmp_path / "whole", report=lambda line: None)
    broken = tmp_path / "broken"
    train(run(workers=2), broken, report=lambda line: None)
    (broken / "step-0000006" / "progress.json").unlink()  # as if it had been killed while it wrote the last one
    again = train(run(), broken, report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [[json.loads(line) for line in (tmp_path / name / "log.jsonl").open()] for name in ("whole", "broken")]
    losses = [[line["loss"] for line in log if "loss" in line] for log in logs]
    assert losses[0] == losses[1]  # the lines after the checkpoint are cut off: no step stands there twice


def test_a_run_through_time_carries_the_state_and_resumes_inside_a_stream(tmp_path: Path) -> None:
    """Broken off between two chunks, it goes on as if nothing had happened; and what came before a chunk counts."""
    through = replace(
        run(),
        sizes=SIZES.change(combiner="priority", memory=7),
        batches=lambda first, last: StreamBatches(
            SIZES, Text(TOKENIZER), first, last, streams=2, chunk=5, chunks=4, visits=3
        ),
        through_time=True,
    )
    whole = train(through, tmp_path / "whole", report=lambda line: None)
    train(through, tmp_path / "broken", report=lambda line: None)
    assert len(list((tmp_path / "broken").glob("*/states/0.safetensors"))) == 2
    (tmp_path / "broken" / "step-0000006" / "progress.json").unlink()  # left: step 3, before the last of four chunks
    again = train(through, tmp_path / "broken", report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    forgetful = train(replace(through, through_time=False), tmp_path / "forgetful", report=lambda line: None)
    third = Mirasol.load(forgetful).state_dict()
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batch = ToyboxBatches(SIZES, Text(TOKENIZER), STAGES, 0, 1).batch(2)
    model = Mirasol(SIZES).train()
    optimizers, losses = Optimizers(model, Optimisation(steps=1_000, warmup=1, rate=1e-2, other_rate=1e-2)), []
    for _ in range(40):
        output = model(batch.inputs, batch.ids, batch.labels, batch.text_mask, batch.rows)
        output.loss.backward()
        optimizers.step(1)
        losses.append(output.text.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(7, 31), (31, 7), (12, 13)])
def test_orthogonalise_keeps_directions_and_levels_sizes(rows: int, columns: int, bfloat16: bool) -> None:
    matrices = torch.randn(3, rows, columns)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(matrices, bfloat16=bfloat16)
    assert found.dtype == torch.float32
    levelled = torch.linalg.svdvals(found)
    assert levelled.min() > 0.3
    assert levelled.max() < 1.4
    alone = left.mT @ found @ right.mT
    off = alone - torch.diag_embed(torch.diagonal(alone, dim1=1, dim2=2))
    assert off.abs().max() < (0.1 if bfloat16 else 1e-3)


def test_a_run_in_bfloat16_orthogonalises_in_it() -> None:
    """What Muon moves goes elsewhere by a little, and from the same gradients nothing else does."""
    moved = []
    for bfloat16 in (False, True):
        learner = begin(replace(run(), bfloat16=bfloat16), checkpoint.ALONE, lambda line: None)
        torch.manual_seed(1)
        for parameter in learner.model.parameters():
            parameter.grad = torch.randn_like(parameter)
        learner.optimizers.step(1)
        moved.append(dict(learner.model.named_parameters()))
    one, other = moved
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert {"decoder.blocks.0.mlp.up_proj.weight", "encoder.vit.blocks.0.attention.q_proj.weight"} <= changed
    assert not changed & {"decoder.embed.weight", "lm_head.weight", "encoder.combiner.query_tokens"}
    for name in changed:
        assert (one[name] - other[name]).abs().max() < 5e-3, name


def test_every_parameter_has_one_optimizer_and_its_state_comes_back() -> None:
    model = Mirasol(SIZES)
    optimizers = Optimizers(model, Optimisation(steps=10))
    held = [p for part, _ in optimizers.parts for group in part.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(model.parameters()))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizers.step(0)
    state = optimizers.state()
    other = Optimizers(model, Optimisation(steps=10))
    other.restore(state)
    assert state.keys() == other.state().keys()
    assert all(torch.equal(state[key], value) for key, value in other.state().items())


def test_the_rate_warms_up_holds_and_falls_to_nothing() -> None:
    how = Optimisation(steps=100, warmup=10, decay=0.2)
    factors = [how.factor(step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:80] == [1.0] * 70
    assert factors[100] == 0
    assert factors[80:] == sorted(factors[80:], reverse=True)


def test_the_curriculum_is_followed() -> None:
    batches = ToyboxBatches(SIZES, Text(TOKENIZER), STAGES, 0, 9)
    early, late = batches.batch(1), batches.batch(3)
    assert early.inputs.snippet_mask.shape == (3, 1)
    assert not early.inputs.column_mask.any()
    assert early.inputs.frame_mask.all()
    assert len(late.inputs.snippet_mask) == 2
    assert late.inputs.snippet_mask.shape[1] <= 3
    again = batches.batch(3)
    assert torch.equal(late.ids, again.ids)
    assert torch.equal(late.inputs.pixel_values_videos, again.inputs.pixel_values_videos)


def test_checkpoints_are_whole_or_not_there(tmp_path: Path) -> None:
    model = Mirasol(SIZES)
    learner = checkpoint.Learner(model, Optimizers(model, Optimisation(steps=10)), {})
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    learner.optimizers.step(0)
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, learner, TOKENIZER, {"hours": 0.5}, keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-0000002", "step-0000003"]
    (tmp_path / ".making-0000004").mkdir()
    found = checkpoint.latest(tmp_path)
    assert found is not None
    fresh = Mirasol(SIZES)
    other = checkpoint.Learner(fresh, Optimizers(fresh, Optimisation(steps=10)), {})
    checkpoint.restore(found, other)
    assert checkpoint.progress_of(found) == {"step": 3, "hours": 0.5, "processes": 1}
    assert learner.tensors().keys() == other.tensors().keys()
    assert all(torch.equal(value, other.tensors()[name]) for name, value in learner.tensors().items())


def test_a_restart_begins_the_rate_anew_and_forgets() -> None:
    how = Optimisation(steps=160, warmup=10, decay=0.5, restarts=(100,), restart_rate=0.4)
    factors = [how.factor(step) for step in range(161)]
    assert factors[99] < 0.03
    assert factors[100] == pytest.approx(0.04)
    assert factors[110:130] == [0.4] * 20
    assert factors[160] == 0
    assert factors[:100] == [replace(how, steps=100, restarts=()).factor(step) for step in range(100)]
    short = replace(how, steps=60)  # a restart that is never reached changes nothing
    assert [short.factor(step) for step in range(60)] == [
        replace(short, restarts=()).factor(step) for step in range(60)
    ]
    model = Mirasol(SIZES)
    optimizers = Optimizers(model, how)
    for step in (98, 99, 100):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizers.step(step)
        counts = {float(value) for name, value in optimizers.state().items() if name.endswith("|step")}
        assert counts == {1.0 if step == 100 else step - 97}


def test_begins_with_a_checkpoint_and_leaves_the_frozen_as_it_is(tmp_path: Path) -> None:
    first = train(run(), tmp_path / "first", report=lambda line: None)
    said: list[str] = []
    frozen = ("encoder.tubes", "encoder.combiner.blocks")
    second = replace(run(), sizes=SIZES.change(combiner="priority", memory=7), start_from=str(first), frozen=frozen)
    again = train(second, tmp_path / "second", report=said.append)
    before, after = Mirasol.load(first).state_dict(), Mirasol.load(again).state_dict()
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith(frozen), name
    new = len(after) - len(before)
    assert new > 5
    assert f"new {new} (encoder.combiner.candidate_attention" in said[0]
    assert "left over 0" in said[0]


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Nothing begins from nothing in silence: not with weights of another model, nor without whole weights."""
    other = Mirasol(SIZES)
    other.save(tmp_path / "other", TOKENIZER, {"model.layers.0.weight": torch.ones(3, 5)})
    with pytest.raises(ValueError, match=r"no weight of .* fits this model"):
        checkpoint.begin_with(tmp_path / "other", other)
    with pytest.raises(ValueError, match=r"expected model\.safetensors in .*\(the folder model/\)"):
        checkpoint.begin_with(tmp_path, other)


def test_the_loss_of_effort_comes_in_between_two_steps() -> None:
    ramp = replace(run(), effort_ramp=(100, 300))
    assert [effort_share(ramp, step) for step in (0, 100, 200, 300, 900)] == [0, 0, 0.5, 1, 1]
    assert effort_share(run(), 0) == 1


def test_a_kill_at_any_moment_loses_at_most_the_newest_checkpoint(tmp_path: Path) -> None:
    """Killed after a step, then while a checkpoint is written, then between two: in the end every loss is the same,
    bit for bit, and so is the model."""
    whole = train(mixed_run(steps=7, save_every=2), tmp_path / "whole", report=lambda line: None)
    program = Path(__file__).with_name("mixed_run.py")
    for option, step, newest in (("--kill-at", 3, 2), ("--kill-saving", 4, 2), ("--kill-at", 5, 4)):
        command = [sys.executable, str(program), str(tmp_path / "killed"), "--steps", "7", "--save-every", "2"]
        done = subprocess.run([*command, option, str(step)], check=False, capture_output=True, timeout=200)
        assert done.returncode == -signal.SIGKILL
        assert checkpoint.latest(tmp_path / "killed") == tmp_path / f"killed/step-{newest:07d}"
    again = train(mixed_run(steps=7, save_every=2), tmp_path / "killed", report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [[json.loads(line) for line in (tmp_path / name / "log.jsonl").open()] for name in ("whole", "killed")]
    curves = [{line["step"]: (line["loss"], line["norm"]) for line in log} for log in logs]
    assert curves[0] == curves[1]
    assert not list((tmp_path / "killed").glob(".making-*"))


def test_a_run_ends_in_time_and_goes_on(tmp_path: Path) -> None:
    """Out of time, or asked to end: a checkpoint is there, and no model yet; the next call goes on from it."""
    short = replace(run(), max_hours=1e-9)
    said: list[str] = []
    assert train(short, tmp_path / "broken", report=said.append) is None
    assert "ended after step 1 of 6" in said[-1]

    def ask(done: int, steps: int) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(run(), tmp_path / "broken", report=said.append, tick=ask) is None
    assert "ended after step 4 of 6" in said[-1]
    assert not (tmp_path / "broken" / "model").exists()
    whole = train(run(), tmp_path / "whole", report=said.append)
    again = train(run(), tmp_path / "broken", report=said.append)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_moving_average_is_what_users_get(tmp_path: Path) -> None:
    """Its share of the old decides; kept through a resume."""
    how = replace(run().optimisation, average=0.7)
    averaged = replace(run(), optimisation=how)
    learner = begin(averaged, checkpoint.ALONE, lambda line: None)
    expected = {name: parameter.detach().clone() for name, parameter in learner.model.named_parameters()}
    for _ in range(3):
        for name, parameter in learner.model.named_parameters():
            parameter.data += 1
            expected[name] = 0.7 * expected[name] + 0.3 * parameter.data
        learner.follow(0.7)
    found = learner.best_weights()
    assert all(torch.allclose(value, expected[name], atol=1e-5) for name, value in found.items())
    whole = train(averaged, tmp_path / "whole", report=lambda line: None)
    train(replace(averaged, max_hours=1e-9), tmp_path / "broken", report=lambda line: None)
    again = train(averaged, tmp_path / "broken", report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    plain = Mirasol.load(train(run(), tmp_path / "plain", report=lambda line: None)).state_dict()
    assert any(not torch.equal(first[name], plain[name]) for name in first)


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    train(replace(run(), max_hours=1e-9), tmp_path, report=lambda line: None)
    others = {
        "sizes": replace(run(), sizes=SIZES.change(mask_rate=0.2)),
        "optimizers": replace(run(), optimisation=replace(run().optimisation, muon=False)),
        "learning": replace(run(), frozen=("encoder.vit",)),
        "seed": replace(run(), seed=3),
        "batches": replace(run(), accumulate=2),
    }
    for name, other in others.items():
        with pytest.raises(ValueError, match=f"holds a run of 1 steps with other {name}: .* another --out"):
            train(other, tmp_path, report=lambda line: None)
    assert train(replace(run(), optimisation=replace(run().optimisation, steps=5)), tmp_path) is not None


def test_a_run_on_fused_snippets_resumes(tmp_path: Path) -> None:
    """Heads that have nothing to reconstruct take part all the same."""
    sizes = SIZES.change(clock="now", combiner="priority", memory=7)

    class Few(SnippetStore):
        def pick(self, chance: random.Random, kind: str) -> Visit:
            return chance.choice(self.visits)[0]

    made = make_store(Mirasol(sizes).eval(), "train", 12)
    store = Few(made.tokens, made.visits, made.calm, made.disturbed or made.calm)
    walks = (Walk(0, chunk=6, chunks=2, visits=(3, 3), streams=2),)
    fused = replace(
        run(),
        sizes=sizes,
        frozen=("encoder.tubes", "encoder.vit", "encoder.combiner.blocks"),
        batches=lambda first, last: FusedStreamBatches(lambda: store, Text(TOKENIZER), walks, first, last),
        through_time=True,
    )
    whole = train(fused, tmp_path / "whole", report=lambda line: None)
    train(replace(fused, max_hours=1e-9), tmp_path / "broken", report=lambda line: None)
    again = train(fused, tmp_path / "broken", report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_state_in_bfloat16_comes_back(tmp_path: Path) -> None:
    """As sharded runs in bfloat16 carry it."""
    model = Mirasol(SIZES.change(combiner="priority", memory=7)).eval()
    learner = checkpoint.Learner(model, Optimizers(model, Optimisation(steps=10)), {})
    state = model.encoder.start(2)
    half = map_tensors(state, lambda tensor: tensor.bfloat16() if tensor.dtype == torch.float32 else tensor)
    path = checkpoint.save(tmp_path, 1, learner, TOKENIZER, {}, keep=1, state=half)
    found = checkpoint.restore_state(path, model)
    assert found is not None
    assert [t.dtype for t in tensors(found)] == [t.dtype for t in tensors(half)]


def test_a_signal_to_all_processes_ends_a_run_with_a_checkpoint(tmp_path: Path) -> None:
    """Also to those that make its batches."""
    program = Path(__file__).with_name("mixed_run.py")
    command = [sys.executable, str(program), str(tmp_path), "--steps", "500", "--workers", "2", "--terminate-at", "4"]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert checkpoint.latest(tmp_path) == tmp_path / "step-0000005"


def test_adapters_with_dropout_resume_exactly(tmp_path: Path) -> None:
    how = LoraHow(rank=2, targets=("decoder",), dropout=0.3)
    dropped = replace(run(), lora=how, optimisation=replace(run().optimisation, muon=False))
    whole = train(dropped, tmp_path / "whole", report=lambda line: None)
    train(replace(dropped, max_hours=1e-9), tmp_path / "broken", report=lambda line: None)
    again = train(dropped, tmp_path / "broken", report=lambda line: None)
    first, second = Mirasol.load(whole).state_dict(), Mirasol.load(again).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def losses_of(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").open()]


def test_ways_of_computing_change_no_loss(tmp_path: Path) -> None:
    """Recomputed blocks: bit for bit. bfloat16: nearly."""
    plain, again, half = (
        mixed_run("priority", 3, **options) for options in ({}, {"recompute": True}, {"bfloat16": True})
    )
    for name, way in (("plain", plain), ("again", again), ("half", half)):
        train(way, tmp_path / name, report=lambda line: None)
    assert losses_of(tmp_path / "plain") == losses_of(tmp_path / "again")
    assert losses_of(tmp_path / "half") == pytest.approx(losses_of(tmp_path / "plain"), rel=0.02)
    assert losses_of(tmp_path / "half") != losses_of(tmp_path / "plain")


@pytest.mark.slow
def test_compiled_blocks_change_no_loss(tmp_path: Path) -> None:
    for name, way in (("plain", mixed_run("causal", 3)), ("compiled", mixed_run("causal", 3, compile=True))):
        train(way, tmp_path / name, report=lambda line: None)
    assert losses_of(tmp_path / "compiled") == pytest.approx(losses_of(tmp_path / "plain"), abs=1e-3)


def test_adapters_train_resume_and_are_merged(tmp_path: Path) -> None:
    """The base stays as it is but for the merged layers; the adapter lies beside the result; a resume is exact."""
    base = train(run(), tmp_path / "base", report=lambda line: None)
    how = LoraHow(rank=2, targets=("decoder.attention",))
    adapted = replace(run(), start_from=str(base), lora=how, optimisation=replace(run().optimisation, muon=False))
    whole = train(adapted, tmp_path / "whole", report=lambda line: None)
    train(replace(adapted, max_hours=1e-9), tmp_path / "broken", report=lambda line: None)
    again = train(adapted, tmp_path / "broken", report=lambda line: None)
    before, first, second = (Mirasol.load(folder).state_dict() for folder in (base, whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in before:
        inside = name.startswith("decoder.blocks") and ".attention." in name and name.endswith("_proj.weight")
        assert torch.equal(before[name], first[name]) != inside, name
    assert {path.name for path in (tmp_path / "whole" / "adapter").iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
