"""Priority memory: keeps the R most salient snippets of a stream, each exactly as it was written.

Beside the Token Turing Machine (`memory`), behind the same signature, and not called by its name: that one selects its
whole memory anew at every step, which fades over some hundred steps. Here a slot is written once and then left alone.

    candidate   c_t = attention of one learned query over the snippet's latents, which know the snippets before it:
                that a thing has come, or is still there, or has left
    salience    s_t = sigmoid(MLP(LayerNorm(c_t)) + 1)
    memory      the R candidates of highest salience so far; of equals the earlier stays
    clock       ticks by s_t where that is at least LEAST: it counts events, not seconds, so a stamp means the same
                after a minute and after a day
    recall      s * LayerNorm(c) + MLP(stamp, how long ago by the clock, s)

The memory after any number of snippets is the top R of a set, so a call works on all of its snippets at once, and
streaming equals offline. The salience of what is kept learns from what text makes of it, without a step through time;
`effort`, the number of writes, is a loss that keeps the machine from writing whatever comes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from .combiner import LocalCombiner
from .initialising import fills_itself
from .layers import Attention, Mlp, layer_norm
from .positions import seconds_features
from .shapes import check_shape
from .sizes import Sizes
from .state import FINE, CombinerState, PriorityState

STAMP_WIDTH = 32
LEAST = 0.1  # salience below this does not move the clock: a day of dull seconds leaves no trace
EAGER = 1.0  # added to the logit of the salience: at the start much is worth keeping, until effort says otherwise


@fills_itself
class PriorityCombiner(LocalCombiner):
    """The local combiner, and a memory of R of its snippets."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = sizes.av_width
        self.candidate_tokens = nn.Parameter(torch.empty(1, width))
        self.candidate_norm = layer_norm(width)
        self.candidate_attention = Attention(width, sizes.av_heads, context_width=width)
        self.salience_norm = layer_norm(width)
        self.salience = Mlp(width, sizes.ttm_hidden, 1)
        self.recall_norm = layer_norm(width)
        self.recall_stamp = Mlp(2 * STAMP_WIDTH + 1, sizes.ttm_hidden, width)

    def start(self, batch: int, like: Tensor) -> CombinerState:
        """No slot is written, the clock is at nought."""
        slots = self.sizes.memory

        def times() -> Tensor:  # each in storage of its own, so that a state can be saved before its first snippet
            return torch.zeros(batch, slots, device=like.device, dtype=torch.long)

        return CombinerState(
            memory=PriorityState(
                tokens=like.new_zeros(batch, slots, self.sizes.av_width),
                numbers=times(),
                written=torch.zeros(batch, slots, dtype=torch.bool, device=like.device),
                salience=like.new_zeros(batch, slots),
                ticks=times(),
                clock=times()[:, 0].clone(),
            )
        )

    def remember(self, latents: Tensor, snippets: Tensor, state: CombinerState) -> CombinerState:
        """The state with what is worth keeping of the latents (B, S, K, D); padding leaves its row untouched."""
        assert isinstance(state.memory, PriorityState)
        candidates, salience = self.candidates(latents)
        return replace(state, memory=keep(state.memory, candidates, salience, snippets))

    def candidates(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, K, D) -> what each snippet would be remembered as (B, S, D), and its salience (B, S), 0 to 1."""
        axes = check_shape("latents", latents, "B S K D", D=self.sizes.av_width)
        batch, count = axes["B"], axes["S"]
        queries = self.candidate_tokens.expand(batch * count, -1, -1)
        found, _ = self.candidate_attention(queries, self.candidate_norm(latents.flatten(0, 1)))
        found = found[:, 0].unflatten(0, (batch, count))
        return found, (self.salience(self.salience_norm(found))[..., 0] + EAGER).sigmoid()

    def effort(self, latents: Tensor, real: Tensor, rows: Tensor | None = None) -> Tensor:
        """The salience of the real snippets (B, S), summed over each row, mean over rows (or over the number `rows`
        instead): how many writes it takes."""
        _, salience = self.candidates(latents)
        return (salience * real).sum() / (len(real) if rows is None else rows)

    def recall(self, memory: PriorityState) -> Tensor:
        """The slots as text sees them, (B, R, D)."""
        times = (memory.ticks, memory.clock[:, None] - memory.ticks)
        stamps = [seconds_features(time, 1.0, STAMP_WIDTH, FINE).to(memory.tokens) for time in times]
        salience = memory.salience.unsqueeze(-1)
        stamp = self.recall_stamp(torch.cat([*stamps, salience], dim=-1))
        return salience * self.recall_norm(memory.tokens) + stamp


def keep(memory: PriorityState, tokens: Tensor, salience: Tensor, snippets: Tensor) -> PriorityState:
    """The memory after the snippets (B, S): of old slots and new candidates the most salient, in the order of time."""
    slots, real = memory.tokens.shape[1], snippets >= 0
    salience = torch.where(real, salience, 0.0)
    ticks = torch.where(salience < LEAST, 0.0, salience * 2**FINE).detach().round().long()
    elapsed = memory.clock[:, None] + ticks.cumsum(dim=1)
    written = torch.cat([memory.written, real], dim=1)
    numbers = torch.cat([memory.numbers, snippets << FINE], dim=1)
    worth = torch.cat([memory.salience, salience], dim=1)
    best = torch.where(written, worth.detach(), -1.0).argsort(dim=1, descending=True, stable=True)[:, :slots]
    places = torch.where(written, numbers, -1).gather(1, best)
    best = best.gather(1, places.argsort(dim=1, stable=True))  # empty slots first, then the oldest
    everything = torch.cat([memory.tokens, tokens], dim=1)
    there = written.gather(1, best)
    return PriorityState(
        tokens=everything.gather(1, best.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])) * there.unsqueeze(-1),
        numbers=numbers.gather(1, best) * there,
        written=there,
        salience=worth.gather(1, best) * there,
        ticks=torch.cat([memory.ticks, elapsed], dim=1).gather(1, best) * there,
        clock=elapsed[:, -1],
    )
