"""`memory`: the numbers of the official JAX module for its own weights, and what we add around its step."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers import difference, random_model, random_sizes
from mirasol.model.memory import QueryLearner, TokenLearner, TokenTuringMachine, make_learner
from mirasol.model.sizes import Sizes
from mirasol.model.state import FINE, CombinerState

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OFFERED = ("tl", "tl_positions", "mha", "mha_positions")


def as_ours(official: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The official parameters under our names, by the table in `memory`'s docstring. A name left over raises."""
    left, ours = dict(official), {}

    def move(theirs: str, name: str, change: str = "") -> None:
        value = torch.from_numpy(left.pop(theirs))
        if change == "kernel":  # inputs first; an attention's kernels have their heads apart
            outputs_apart = value.ndim == 3 and "/out/" not in theirs
            value = value.flatten(1) if outputs_apart else value.flatten(0, -2)
            value = value.T
        ours[name] = value.squeeze(0) if change == "table" else value.flatten() if change == "bias" else value

    def dense(theirs: str, name: str) -> None:
        move(f"{theirs}/kernel", f"{name}.weight", "kernel")
        move(f"{theirs}/bias", f"{name}.bias", "bias")

    def norm(theirs: str, name: str) -> None:
        move(f"{theirs}/scale", f"{name}.weight")
        move(f"{theirs}/bias", f"{name}.bias")

    def attention(theirs: str, name: str) -> None:
        for part in ("query", "key", "value", "out"):
            dense(f"{theirs}/{part}", f"{name}.{'o' if part == 'out' else part[0]}_proj")

    for number, name in enumerate(("read", "write")):
        if f"TokenLearnerMHA_{number}/tokens" in left:
            move(f"TokenLearnerMHA_{number}/tokens", f"{name}.query_tokens", "table")
            attention(f"TokenLearnerMHA_{number}/attn", f"{name}.attention")
        else:
            norm(f"TokenLearnerModuleV11_{number}/LayerNorm_0", f"{name}.norm")
            dense(f"TokenLearnerModuleV11_{number}/token_masking/Dense_0", f"{name}.mlp.up_proj")
            dense(f"TokenLearnerModuleV11_{number}/token_masking/Dense_1", f"{name}.mlp.down_proj")
        if f"{name}_pos_embed/pos_embedding" in left:
            move(f"{name}_pos_embed/pos_embedding", f"{name}_positions", "table")
    move("Encoder_0/posembed_input/pos_embedding", "process_positions", "table")
    norm("Encoder_0/encoder_norm", "process_norm")
    for layer in range(2):
        block, name = f"Encoder_0/encoderblock_{layer}", f"process.{layer}"
        norm(f"{block}/LayerNorm_0", f"{name}.attention_norm")
        norm(f"{block}/LayerNorm_1", f"{name}.mlp_norm")
        attention(f"{block}/MultiHeadDotProductAttention_0", f"{name}.attention")
        dense(f"{block}/MlpBlock_0/Dense_0", f"{name}.mlp.up_proj")
        dense(f"{block}/MlpBlock_0/Dense_1", f"{name}.mlp.down_proj")
    assert left == {}, f"official parameters without a place here: {sorted(left)}"
    return ours


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OFFERED)
@torch.no_grad()
def test_same_numbers_as_the_official_module(name: str, dtype: torch.dtype) -> None:
    with np.load(GOLDEN / f"ttm_{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    weights = {key.removeprefix("params/"): value for key, value in arrays.items() if key.startswith("params/")}
    heads = weights["Encoder_0/encoderblock_0/MultiHeadDotProductAttention_0/query/kernel"].shape[1]
    inputs, memory, outputs, memories = (
        torch.from_numpy(arrays[key]).to(dtype) for key in ("inputs", "memory", "outputs", "memories")
    )
    machine = TokenTuringMachine(
        inputs.shape[-1], heads, 20, 2, memory=memory.shape[1], inputs=inputs.shape[2], outputs=outputs.shape[2],
        select="mha" if "mha" in name else "tokenlearner", positions="positions" in name,
    )  # fmt: skip
    machine.load_state_dict(as_ours(weights))  # strict: nothing of ours is left at its first value
    machine.to(dtype)
    for step in range(inputs.shape[1]):
        memory, output, _ = machine(memory, inputs[:, step])
        assert difference(output, outputs[:, step]) < 1e-5
        assert difference(memory, memories[:, step]) < 1e-5


def random_machine(select: str, positions: bool) -> TokenTuringMachine:
    machine = TokenTuringMachine(
        24, 3, 20, 2, memory=5, inputs=9, outputs=4, select=select, hidden=11, positions=positions
    )
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter))
    return machine


@pytest.mark.parametrize("select", ["tokenlearner", "mha"])
@torch.no_grad()
def test_masked_tokens_are_never_selected(select: str) -> None:
    memory, tokens = torch.randn(2, 5, 24), torch.randn(2, 9, 24)
    mask = torch.tensor([True, False, True, True, False, False, True, True, False]).expand(2, -1)
    for positions in (False, True):
        machine = random_machine(select, positions)
        result = machine(memory, tokens, mask)
        dirty = machine(memory, torch.where(mask[..., None], tokens, 1e4), mask)
        for one, other in zip(result, dirty, strict=True):
            assert torch.equal(one, other)
        weights = result[2]
        assert not weights[:, :, 5:14][:, :, ~mask[0]].any()
        assert difference(weights.sum(dim=-1), torch.ones(2, 5)) < 1e-6
        assert difference(result[0], machine(memory, tokens)[0]) > 1e-3
        if not positions:  # without position tables, a masked token is as if it had not come
            fewer = machine(memory, tokens[:, mask[0]])
            assert difference(result[0], fewer[0]) < 1e-4
            assert difference(result[1], fewer[1]) < 1e-4


@torch.no_grad()
def test_learners_by_loops() -> None:
    """Each output is a sum of the tokens, not normalised, with weights that add up to one over the tokens."""
    tokens = torch.randn(2, 7, 24)
    learner = TokenLearner(24, 3, 11)
    selected, weights = learner(tokens)
    for row in range(2):
        logits = torch.stack([learner.mlp(learner.norm(token)) for token in tokens[row]])
        for out in range(3):
            share = logits[:, out].softmax(dim=0)
            assert difference(weights[row, out], share) < 1e-6
            assert difference(selected[row, out], sum(w * t for w, t in zip(share, tokens[row], strict=True))) < 1e-5


@torch.no_grad()
def test_query_learner_equals_the_attention_of_torch() -> None:
    tokens, learner = torch.randn(2, 7, 24), QueryLearner(24, 3)
    nn.init.normal_(learner.query_tokens)
    own = learner.attention
    theirs = nn.MultiheadAttention(24, 8, batch_first=True)
    theirs.in_proj_weight.copy_(torch.cat([own.q_proj.weight, own.k_proj.weight, own.v_proj.weight]))
    theirs.in_proj_bias.copy_(torch.cat([own.q_proj.bias, own.k_proj.bias, own.v_proj.bias]))
    theirs.out_proj.load_state_dict(own.o_proj.state_dict())
    mask = torch.rand(2, 7) < 0.6
    mask[:, 2] = True
    expected, share = theirs(learner.query_tokens.expand(2, -1, -1), tokens, tokens, key_padding_mask=~mask)
    selected, weights = learner(tokens, mask)
    assert difference(selected, expected) < 1e-5
    assert difference(weights, share) < 1e-6


@pytest.mark.parametrize("combiner", ["ttm tokenlearner", "ttm mha"])
@torch.no_grad()
def test_memory_tokens_carry_the_mean_time_of_what_they_were_made_of(combiner: str, seeds: int) -> None:
    """Against loops; the mean is convex, so a time never leaves what has been watched; padding changes nothing."""
    sizes = random_sizes(random.Random(seeds), combiner, 2, 7)
    combiner_model = random_model(sizes).encoder.combiner
    tokens = torch.randn(2, 7, sum(sizes.viewed_tokens) + 2, sizes.av_width)
    mask = torch.rand(tokens.shape[:3]) < 0.8
    snippets = torch.tensor([[4, 5, 6, 7, -1, 8, -1], [0, -1, 1, 2, 3, 4, 5]])
    state: CombinerState = combiner_model.start(2, tokens)
    times = [[None] * sizes.memory for _ in range(2)]
    for at in range(7):
        old = state.memory
        number = snippets[:, at : at + 1]
        _, _, weights = combiner_model.machine(old.tokens, tokens[:, at], mask[:, at])
        _, state = combiner_model(tokens[:, at : at + 1], mask[:, at : at + 1], number, state)
        for row, now in enumerate(number[:, 0].tolist()):
            if now < 0:
                assert torch.equal(state.memory.tokens[row], old.tokens[row])
                assert torch.equal(state.memory.numbers[row], old.numbers[row])
                continue
            past = [now if time is None else time for time in times[row]]
            shares = weights[row].double().tolist()
            times[row] = [
                sum(w * t for w, t in zip(share, past, strict=False)) + (1 - sum(share[: len(past)])) * now
                for share in shares
            ]
            found = (state.memory.numbers[row] / 2**FINE).tolist()
            assert found == pytest.approx(times[row], abs=1e-4)
            first = int(snippets[row][snippets[row] >= 0][0])
            assert all(first - 1e-5 <= time <= now + 1e-5 for time in found)
    assert state.memory.snippets() == [[round(time) for time in row] for row in times]
    assert state.memory.written.all()
    spread = state.memory.numbers.max(dim=1).values / 2**FINE - snippets[:, 0]
    assert (spread > 0.5).all(), "the times stand still"


def test_unknown_selection_is_refused() -> None:
    with pytest.raises(ValueError, match="'tokenlearner' or 'mha'"):
        make_learner("erase", 24, 3, 11)
    with pytest.raises(ValueError, match="width of each of the 8 heads"):
        Sizes(combiner="ttm", memory=5, ttm_select="mha", av_width=12, av_heads=3)
