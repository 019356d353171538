"""Recomputation: blocks that keep their input alone and run a second time in the backward (gradient checkpointing).

    recompute_blocks(model)         every `Block` inside; before sharding, which wraps what it finds
    recompute_blocks(model, False)  as they were

Names of parameters, losses and gradients stay the same. Activations shrink from some 16 widths per token and block to
one, for one more forward of the blocks (`flops.training_flops(..., recompute=True)`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .layers import Block, Cache


class RecomputedBlock(Block):
    """A `Block` that forgets its activations in training. Blocks change their class, so that no wrapper stands between
    a name and its parameter, and a copy of a model is a copy."""

    gradient_checkpointing = True  # where transformers looks whether a model does this

    def forward(
        self, x: Tensor, mask: Tensor | None = None, caches: Any = (None, None), *rest: Any, **named: Any
    ) -> Any:
        """As `Block.forward`. A cache that changes in place (transformers') would be filled twice: not with those."""
        values = all(cache is None or isinstance(cache, Cache) for cache in caches)
        if not (self.training and torch.is_grad_enabled() and values):
            return super().forward(x, mask, caches, *rest, **named)
        return checkpoint(super().forward, x, mask, caches, *rest, use_reentrant=False, **named)

    def last(self, x: Tensor, count: int, mask: Tensor | None = None) -> Tensor:
        """As `Block.last`."""
        if not (self.training and torch.is_grad_enabled()):
            return super().last(x, count, mask)
        return checkpoint(super().last, x, count, mask, use_reentrant=False)


def recompute_blocks(model: nn.Module, on: bool = True, *, every: int = 1) -> int:
    """Switches recomputation on in every `every`-th block of `model` and off in the others; gives how many do it.
    `ValueError` where there is none to switch."""
    blocks = [module for module in model.modules() if type(module) in (Block, RecomputedBlock)]
    if not blocks:
        raise ValueError(
            "expected a model with blocks to recompute, found none as it was made; do this before sharding"
        )
    for at, block in enumerate(blocks):
        block.__class__ = RecomputedBlock if on and at % every == 0 else Block
    return sum(type(block) is RecomputedBlock for block in blocks)
