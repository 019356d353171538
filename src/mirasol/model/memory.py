"""The Token Turing Machine (arXiv 2211.09119): a memory of R tokens that is read, processed and written every snippet.

One step, `TokenTuringMachine`:  memory (B, R, D), input (B, N, D) -> memory (B, R, D), output (B, K, D)

    z = read([memory, input])            summarise R + N tokens to K
    o = process(z)                       a Transformer over the K tokens: the output
    memory = write([memory, input, o])   summarise R + N + K tokens to R: what is not selected is forgotten

Cost per step does not depend on how much has gone by, so a stream costs O(time), and the state has a fixed size.
The numbers equal those of the official JAX module (scenic, projects/token_turing) for the same weights. How its
parameters map to ours (a Flax kernel is the transpose of a weight; attention kernels are first flattened over heads):

| official                                              | here                                             |
|-------------------------------------------------------|--------------------------------------------------|
| TokenLearnerModuleV11_0 (read), _1 (write): LayerNorm_0 | read.norm, write.norm                          |
| .../token_masking/Dense_0, Dense_1                    | read.mlp.up_proj, .down_proj; write.mlp...       |
| TokenLearnerMHA_0 (read), _1 (write): tokens          | read.query_tokens, write.query_tokens            |
| .../attn/query, key, value, out                       | read.attention.q_proj k_proj v_proj o_proj; ...  |
| read_pos_embed, write_pos_embed                       | read_positions, write_positions                  |
| Encoder_0/posembed_input                              | process_positions                                |
| Encoder_0/encoderblock_l/LayerNorm_0, LayerNorm_1     | process.l.attention_norm, process.l.mlp_norm     |
| .../MultiHeadDotProductAttention_0 query key value out | process.l.attention.q_proj k_proj v_proj o_proj |
| .../MlpBlock_0/Dense_0, Dense_1                       | process.l.mlp.up_proj, process.l.mlp.down_proj   |
| Encoder_0/encoder_norm                                | process_norm                                     |

What we add stands outside the step: masked tokens are never selected, and every memory token carries its time, the
mean of the times of the tokens it was made of, weighted as they were selected (BLIP-3-Video found that stamps help).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from .combiner import LocalCombiner
from .initialising import fills_itself
from .layers import Attention, Block, Mlp, layer_norm
from .shapes import check_shape
from .sizes import Sizes
from .state import FINE, CombinerState, MemoryState


@fills_itself
class TokenLearner(nn.Module):
    """Selects `count` weighted sums of the tokens: an MLP scores each token, a softmax runs over tokens."""

    def __init__(self, width: int, count: int, hidden: int = 64) -> None:
        super().__init__()
        self.width = width
        self.norm = layer_norm(width)
        self.mlp = Mlp(width, hidden, count)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, N, D), mask (B, N) -> selected (B, count, D) and the weights (B, count, N)."""
        check_tokens(tokens, mask, D=self.width)
        logits = self.mlp(self.norm(tokens)).transpose(1, 2)
        if mask is not None:
            logits = logits.masked_fill(~mask.unsqueeze(1), float("-inf"))
        weights = logits.softmax(dim=-1)
        return weights @ tokens, weights


@fills_itself
class QueryLearner(nn.Module):
    """Selects by cross-attention from `count` learned queries, no residual (official name: TL-MHA)."""

    def __init__(self, width: int, count: int, heads: int = 8) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.empty(count, width))
        self.attention = Attention(width, heads, context_width=width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, N, D), mask (B, N) -> selected (B, count, D) and the mean weights over heads (B, count, N)."""
        check_tokens(tokens, mask, D=self.query_tokens.shape[1])
        queries = self.query_tokens.expand(tokens.shape[0], -1, -1)
        keys = None if mask is None else mask[:, None, None, :]
        selected, _ = self.attention(queries, tokens, mask=keys)
        return selected, self.attention.weights(queries, tokens, keys)


def check_tokens(tokens: Tensor, mask: Tensor | None, **sizes: int) -> None:
    """`ValueError` unless these are tokens (B, N, D) and, where there is one, their mask (B, N)."""
    axes = check_shape("tokens", tokens, "B N D", **sizes)
    if mask is not None:
        check_shape("mask", mask, "B N", **axes)


def make_learner(select: str, width: int, count: int, hidden: int) -> nn.Module:
    """What summarises tokens to `count`: the one place where `Sizes.ttm_select` is looked at."""
    if select == "tokenlearner":
        return TokenLearner(width, count, hidden)
    if select == "mha":
        return QueryLearner(width, count)
    raise ValueError(f"ttm_select must be 'tokenlearner' or 'mha'; found {select!r}")


@fills_itself
class TokenTuringMachine(nn.Module):
    """One step of the official machine; the same weights at every step. `inputs` is N, fixed by the position tables."""

    def __init__(
        self, width: int, heads: int, mlp: int, layers: int, *, memory: int, inputs: int, outputs: int,
        select: str = "tokenlearner", hidden: int = 64, positions: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.memory, self.takes = memory, {"N": inputs, "D": width} if positions else {"D": width}  # any N without
        self.read = make_learner(select, width, outputs, hidden)
        self.write = make_learner(select, width, memory, hidden)
        self.process = nn.ModuleList(Block(width, heads, mlp) for _ in range(layers))
        self.process_norm = layer_norm(width)
        self.process_positions = nn.Parameter(torch.zeros(outputs, width))
        if positions:
            self.read_positions = nn.Parameter(torch.zeros(memory + inputs, width))
            self.write_positions = nn.Parameter(torch.zeros(memory + inputs + outputs, width))
        else:
            self.read_positions = self.write_positions = None

    def forward(self, memory: Tensor, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """memory (B, R, D), tokens (B, N, D), mask (B, N) -> memory, output (B, K, D), write weights (B, R, R+N+K)."""
        axes = check_shape("memory", memory, "B R D", R=self.memory, D=self.takes["D"])
        check_tokens(tokens, mask, B=axes["B"], **self.takes)
        seen = torch.cat([memory, tokens], dim=1)
        seen_mask = None if mask is None else torch.cat([mask.new_ones(memory.shape[:2]), mask], dim=1)
        placed = seen if self.read_positions is None else seen + self.read_positions
        x = self.read(placed, seen_mask)[0] + self.process_positions
        for block in self.process:
            x, _ = block(x)
        output = self.process_norm(x)
        everything = torch.cat([seen, output], dim=1)
        mask = None if seen_mask is None else torch.cat([seen_mask, seen_mask.new_ones(output.shape[:2])], dim=1)
        placed = everything if self.write_positions is None else everything + self.write_positions
        memory, weights = self.write(placed, mask)
        return memory, output, weights


def make_machine(sizes: Sizes, layers: int, inputs: int) -> TokenTuringMachine:
    """The machine of these sizes, over `inputs` tokens per snippet."""
    return TokenTuringMachine(
        sizes.av_width, sizes.av_heads, sizes.av_mlp, layers, memory=sizes.memory, inputs=inputs,
        outputs=sizes.combined, select=sizes.ttm_select, hidden=sizes.ttm_hidden,
    )  # fmt: skip


def empty_memory(sizes: Sizes, batch: int, like: Tensor) -> CombinerState:
    """The state before the first snippet: zeros, as in the official module."""
    tokens = like.new_zeros(batch, sizes.memory, sizes.av_width)
    numbers = torch.zeros(batch, sizes.memory, dtype=torch.long, device=like.device)
    written = torch.zeros(batch, sizes.memory, dtype=torch.bool, device=like.device)
    return CombinerState(memory=MemoryState(tokens, numbers, written))


def unroll(
    machine: TokenTuringMachine, tokens: Tensor, mask: Tensor | None, snippets: Tensor, state: CombinerState
) -> tuple[Tensor, CombinerState]:
    """(B, S, N, D), (B, S, N), (B, S) -> outputs (B, S, K, D), state; padding leaves its row untouched."""
    memory, outputs = state.memory, []
    assert memory is not None
    axes = check_shape("tokens", tokens, "B S N D", B=len(memory.tokens), **machine.takes)
    check_shape("snippets", snippets, "B S", **axes)
    if mask is not None:
        check_shape("mask", mask, "B S N", **axes)
    for at in range(tokens.shape[1]):
        new, output, weights = machine(memory.tokens, tokens[:, at], None if mask is None else mask[:, at])
        outputs.append(output)
        memory = after_write(memory, new, weights.detach(), snippets[:, at])
    return torch.stack(outputs, dim=1), replace(state, memory=memory)


def after_write(old: MemoryState, tokens: Tensor, weights: Tensor, number: Tensor) -> MemoryState:
    """The memory after a write, where the row's snippet is real. `weights` (B, R, R+N+K) says what went where;
    what came from a memory not yet written counts as coming from this snippet."""
    real, kept = number >= 0, old.tokens.shape[1]
    now = (number << FINE)[:, None]
    weights = weights if weights.dtype == torch.float64 else weights.float()
    ago = torch.where(old.written, now - old.numbers, 0).to(weights)
    numbers = (now - (weights[:, :, :kept] * ago[:, None, :]).sum(-1).round().long()).clamp(min=0)
    return MemoryState(
        torch.where(real[:, None, None], tokens, old.tokens),
        torch.where(real[:, None], numbers, old.numbers),
        old.written | real[:, None],
    )


@fills_itself
class TuringCombiner(nn.Module):
    """The machine as a combiner: unrolled over the snippets of a call, its memory carried in the state."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.machine = make_machine(sizes, sizes.combiner_layers, sum(sizes.viewed_tokens) + 2)

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """An empty memory."""
        return empty_memory(self.sizes, batch, like)

    def forward(
        self, tokens: Tensor, mask: Tensor | None, snippets: Tensor, state: CombinerState | None
    ) -> tuple[Tensor, CombinerState]:
        """(B, S, N, D), (B, S, N), (B, S) -> combined (B, S, K, D), state; padding leaves its row untouched."""
        state = state or self.start(len(tokens), self.machine.process_positions.detach())
        return unroll(self.machine, tokens, mask, snippets, state)


@fills_itself
class LocalTuringCombiner(LocalCombiner):
    """The local combiner first, then the machine over its K tokens: the step through time is K + R tokens wide.

    The machine's Transformer has one block here, as the tokens have been through the local combiner's.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.machine = make_machine(sizes, 1, sizes.combined)

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """An empty memory."""
        return empty_memory(self.sizes, batch, like)

    def carry(self, fused: Tensor, snippets: Tensor, state: CombinerState | None) -> tuple[Tensor, CombinerState]:
        """Fused snippets (B, S, K, D) -> the machine's outputs (B, S, K, D), state."""
        state = state or self.start(len(fused), self.query_tokens.detach())
        return unroll(self.machine, fused, None, snippets, state)
