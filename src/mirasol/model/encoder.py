"""The audio-video side: one forward for a whole file and for a live stream (Figure 1 of the paper).

    encoder(inputs, state=None) -> (latents (B, S, K, D), combined (B, S, K, D), state)

A whole file is one call with all its snippets; a stream is the same call with one snippet and the last state.
`context(state)` is what text attends to: the latents kept and the memory, each token with its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .combiner import CausalCombiner, LocalCombiner
from .embeddings import Patches, Tubes
from .initialising import fills_itself
from .inputs import Complete, Fused, Inputs, Tokenized
from .latents import LatentModel
from .layers import layer_norm
from .memory import LocalTuringCombiner, TuringCombiner
from .positions import seconds_features
from .priority import PriorityCombiner
from .shapes import check_shape
from .sizes import Sizes
from .state import FINE, MirasolState, PriorityState, Rolling, pick, real_first
from .vit import PICTURE, SOUND, Vit

SECONDS_WIDTH = 64
# The class of each combiner's name. Others ask for the name, too: which norm a memory needs (below), what a combiner
# costs (flops, footprint), what `inspect` prints.
COMBINER: dict[str, Callable[[Sizes], nn.Module]] = {
    "local": LocalCombiner, "causal": CausalCombiner, "ttm": TuringCombiner, "local-ttm": LocalTuringCombiner,
    "priority": PriorityCombiner,
}  # fmt: skip


@fills_itself
class Encoder(nn.Module):
    """Tubes, patches, ViT, combiner and latent model in one, with the times and the kinds of what text attends to."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.av_width
        self.tubes = Tubes(sizes)
        self.patches = Patches(sizes)
        self.vit = Vit(sizes)
        self.presence_tokens = nn.Parameter(torch.empty(2, 2, width))  # (picture or sound, absent or present)
        self.seconds = nn.Linear(SECONDS_WIDTH, width)  # of a snippet, into the combiner
        self.combiner = COMBINER[sizes.combiner](sizes)
        self.mask_tokens = nn.Parameter(torch.empty(width))
        self.latent_model = LatentModel(sizes)
        self.context_norm = layer_norm(width)
        self.context_seconds = nn.Linear(SECONDS_WIDTH, width)
        self.kind_tokens = nn.Parameter(torch.empty(2, width))  # latents, memory
        if sizes.combiner in ("ttm", "local-ttm"):
            self.memory_norm = layer_norm(width)

    def start(self, batch: int) -> MirasolState:
        """The state before the first snippet."""
        like, keep = self.mask_tokens.detach(), self.sizes.context_snippets
        return MirasolState(
            count=torch.zeros(batch, dtype=torch.long, device=like.device),
            combiner=self.combiner.start(batch, like),
            latent=self.latent_model.start(batch, like),
            latents=like.new_zeros(batch, keep, self.sizes.combined, self.sizes.av_width),
            numbers=torch.full((batch, keep), -1, dtype=torch.long, device=like.device),
        )

    def view(self, inputs: Inputs) -> Tokenized:
        """Inputs as tubes and patches, through the one ViT. What it gives can be computed once, too, where
        these parts do not learn (`Tokenized`)."""
        inputs = inputs.complete(self.sizes, self.mask_tokens)
        assert inputs.snippet_mask is not None
        batch = len(inputs.snippet_mask)
        found: list[tuple[Tensor, Tensor]] = []
        for modality, embed, signal, real in (
            (PICTURE, self.tubes, inputs.pixel_values_videos, inputs.frame_mask),
            (SOUND, self.patches, inputs.input_features, inputs.column_mask),
        ):
            mask = embed.mask(real)
            tokens = embed(signal)
            seen = None if inputs.whole[modality] else rearrange(mask, "b s n -> (b s) n")
            tokens = self.vit(rearrange(tokens, "b s n d -> (b s) n d"), seen, modality)
            if summary := self.sizes.summary_tokens:  # they say something where there is something to see or to hear
                mask = torch.cat([repeat(mask.any(dim=-1), "b s -> b s e", e=summary), mask], dim=2)
            found.append((rearrange(tokens, "(b s) n d -> b s n d", b=batch), mask))
        return Tokenized(*found[PICTURE], *found[SOUND], inputs.snippet_mask)

    def tokenize(self, inputs: Complete | Tokenized) -> tuple[Tensor, Tensor | None]:
        """Tubes and patches of the ViT: tokens (B, S, N, D) and mask (None: all real), two presence tokens at the end.

        A presence token says whether its modality is there at all; it is never masked, so no snippet is empty.
        """
        seen = inputs if isinstance(inputs, Tokenized) else self.view(inputs)
        whole = isinstance(inputs, Complete) and all(inputs.whole)
        masks = [seen.tube_mask, seen.patch_mask]
        here = torch.stack([mask.any(dim=-1) for mask in masks], dim=-1).unsqueeze(-1)
        presence = torch.where(here, self.presence_tokens[:, 1], self.presence_tokens[:, 0])
        tokens = torch.cat([seen.tubes, seen.patches, presence], dim=2)
        return tokens, None if whole else torch.cat([*masks, torch.ones_like(here[..., 0])], dim=2)

    def forward(
        self, inputs: Inputs | Tokenized | Fused, state: MirasolState | None = None, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor, MirasolState]:
        """Signals and the last state (None: a new stream) -> latents and combined (B, S, K, D), new state.

        `hidden` (B, S, K) says which combined tokens are masked in training; None: a random share.
        """
        inputs = inputs.complete(self.sizes, self.mask_tokens)
        real = inputs.snippet_mask
        assert real is not None
        before = state
        state = state or self.start(real.shape[0])
        check_shape("count of the state", state.count, "B", B=real.shape[0])
        order = None if inputs.in_order else real_first(real)
        snippets = torch.where(real, state.count[:, None] + real.long().cumsum(dim=1) - 1, -1)
        if not isinstance(inputs, Fused):
            tokens, mask = self.timed(inputs, snippets)
            tokens, mask, snippets, hidden = in_order(order, tokens, mask, snippets, hidden)
            combined, combiner_state = self.combiner(tokens, mask, snippets, before and before.combiner)
        else:
            self._check_apart()
            combined, combiner_state = self.combiner.carry(inputs.tokens, snippets, before and before.combiner)
        latents, latent_state = self.latent_model(self.hide(combined, hidden), snippets, before and before.latent)
        if isinstance(self.combiner, PriorityCombiner):
            combiner_state = self.combiner.remember(latents, snippets, combiner_state)
        known = torch.cat([state.numbers, snippets], dim=1)
        rolling = Rolling(known, self.sizes.context_snippets)
        state = replace(
            state,
            count=state.count + real.sum(dim=1),
            combiner=combiner_state,
            latent=latent_state,
            latents=rolling.of(torch.cat([state.latents, latents.to(state.latents)], dim=1)),
            numbers=rolling.of(known, -1),
        )
        latents, combined = in_order(None if order is None else order.argsort(dim=1), latents, combined)
        return latents, combined, state

    def timed(self, inputs: Complete | Tokenized, snippets: Tensor) -> tuple[Tensor, Tensor | None]:
        """Complete inputs -> tokens (B, S, N, D) that carry their snippet's seconds, and their mask."""
        tokens, mask = self.tokenize(inputs)
        places = snippets.clamp(min=0)
        if self.sizes.clock == "now":  # a snippet is combined when it comes
            places = torch.zeros_like(places)
        features = seconds_features(places, self.sizes.snippet_seconds, SECONDS_WIDTH)
        return tokens + self.seconds(features.to(tokens)).unsqueeze(2), mask

    def fuse(self, inputs: Inputs) -> Tensor:
        """What the combiner makes of each snippet by itself, (B, S, K, D): computed once, it takes the signals' place
        (`Fused`) wherever the same clip is watched again."""
        self._check_apart()
        inputs = inputs.complete(self.sizes, self.mask_tokens)
        real = inputs.snippet_mask
        assert real is not None
        return self.combiner.fuse(*self.timed(inputs, real.long()))

    def _check_apart(self) -> None:
        alone = isinstance(self.combiner, LocalCombiner) and not isinstance(self.combiner, CausalCombiner)
        if not alone or self.sizes.clock != "now":
            raise ValueError(
                "expected a combiner that fuses each snippet by itself (local, local-ttm, priority) and clock='now' to "
                f"fuse snippets beforehand, found {self.sizes.combiner} and clock={self.sizes.clock!r}"
            )

    def hide(self, combined: Tensor, hidden: Tensor | None) -> Tensor:
        """In training, puts the learned mask token in the place of the hidden ones of the combined tokens."""
        if not self.training:
            return combined
        if hidden is None:
            hidden = torch.rand(combined.shape[:-1], device=combined.device) < self.sizes.mask_rate
        return torch.where(hidden.unsqueeze(-1), self.mask_tokens, combined)

    def context(self, state: MirasolState, most: int | None = None) -> tuple[Tensor, Tensor]:
        """What text attends to: (B, C, D) and its mask (B, C); C = `context_snippets` * K + R.

        `most`: as no row has watched more snippets than that, C is made no longer than they need.
        """
        per_snippet = self.sizes.combined
        if most is not None and most < self.sizes.context_snippets:
            first = self.sizes.context_snippets - most
            state = replace(state, latents=state.latents[:, first:], numbers=state.numbers[:, first:])
        kept = rearrange(self.context_norm(state.latents), "b s k d -> b (s k) d") + self.kind_tokens[0]
        numbers = repeat(state.numbers, "b s -> b (s k)", k=per_snippet)
        mask = numbers >= 0
        numbers, count = numbers.clamp(min=0), state.count[:, None]
        if (memory := state.combiner.memory) is not None:
            mask = torch.cat([mask, memory.written], dim=1)
            if isinstance(memory, PriorityState):  # it has a clock of its own
                assert isinstance(self.combiner, PriorityCombiner)
                recalled = self.combiner.recall(memory) + self.kind_tokens[1]
                return torch.cat([self.in_time(kept, numbers, count), recalled], dim=1), mask
            kept = torch.cat([kept, self.memory_norm(memory.tokens) + self.kind_tokens[1]], dim=1)
            numbers = torch.cat([numbers << FINE, memory.numbers], dim=1)
            return self.in_time(kept, numbers, count << FINE, FINE), mask
        return self.in_time(kept, numbers, count), mask

    def in_time(self, tokens: Tensor, numbers: Tensor, count: Tensor, bits: int = 0) -> Tensor:
        """Tokens (B, C, D) with the seconds of their snippets (B, C), by the clock of `Sizes.clock`; count (B, 1). Both
        in units of 2**-bits."""
        places = count - numbers if self.sizes.clock == "now" else numbers
        features = seconds_features(places, self.sizes.snippet_seconds, SECONDS_WIDTH, bits)
        return tokens + self.context_seconds(features.to(tokens))


def in_order(order: Tensor | None, *values: Tensor | None) -> list[Any]:
    """Each of `values` (B, S, ...) with its snippets in another order (B, S); None: as they are."""
    return [value if order is None or value is None else pick(value, order) for value in values]
