"""How parameters start, in one table, and who fills them: whatever is built outermost, all of its own, once.

    @fills_itself
    class Vit(nn.Module): ...        a `Vit` made alone is filled when its `__init__` ends

A part inside a larger one leaves this to that one: what a seed draws for a whole model does not depend on how the
model is divided into parts, and nothing is filled twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from torch import nn

Part = TypeVar("Part", bound=nn.Module)
_BUILDING: ContextVar[bool] = ContextVar("building", default=False)


@contextmanager
def building() -> Iterator[bool]:
    """Parts built inside are filled by whoever opened this; true for the outermost."""
    outermost = not _BUILDING.get()
    token = _BUILDING.set(True)
    try:
        yield outermost
    finally:
        _BUILDING.reset(token)


def fills_itself(kind: type[Part]) -> type[Part]:
    """Class decorator: an instance that is not built as a part of another is filled by `initialise_all`."""
    build: Any = kind.__init__

    @wraps(build)
    def init(self: Part, *args: Any, **kwargs: Any) -> None:
        with building() as outermost:
            build(self, *args, **kwargs)
        if outermost:
            initialise_all(self)

    kind.__init__ = init
    return kind


def initialise(module: nn.Module, init: Any = nn.init) -> None:
    """Fills one module's own parameters; `init` is `torch.nn.init` or anything with the same functions.

    | parameter                                  | start                              |
    |--------------------------------------------|------------------------------------|
    | weight of a linear layer                   | normal, deviation 1/sqrt(inputs)   |
    | o_proj and down_proj (end of a residual)   | the same, halved                   |
    | bias                                       | 0                                  |
    | norm weight                                | 1                                  |
    | text embedding                             | normal, deviation 1/sqrt(width)    |
    | learned tokens and queries (`*_tokens`)    | normal, deviation 0.5              |
    | learned position tables (`*_positions`)    | normal, deviation 0.02             |
    | gate of cross-attention (`cross_gate`)     | 0                                  |
    | layer scale (`*_scale`)                    | 1                                  |
    """
    ends = ("o_proj", "down_proj")
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            deviation = child.in_features**-0.5 * (0.5 if name in ends else 1.0)
            init.normal_(child.weight, std=deviation)
            if child.bias is not None:
                init.zeros_(child.bias)
        elif isinstance(child, nn.Embedding):
            init.normal_(child.weight, std=child.embedding_dim**-0.5)
        elif isinstance(child, nn.LayerNorm | nn.RMSNorm):
            init.ones_(child.weight)
            if getattr(child, "bias", None) is not None:
                init.zeros_(child.bias)
    for name, parameter in module.named_parameters(recurse=False):
        if name.endswith("_tokens"):
            init.normal_(parameter, std=0.5)
        elif name.endswith("_positions"):
            init.normal_(parameter, std=0.02)
        elif name.endswith("_gate"):
            init.zeros_(parameter)
        elif name.endswith("_scale"):
            init.ones_(parameter)


def initialise_all(model: nn.Module, init: Any = nn.init) -> None:
    """`initialise` on every module inside."""
    for module in model.modules():
        initialise(module, init)
