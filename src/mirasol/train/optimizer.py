"""Two optimizers as one: Muon for the matrices of all linear layers, AdamW for embeddings, learned tokens, norms
and biases.

Muon steps along the orthogonalised momentum of a matrix; small Transformers learn in markedly fewer steps. PyTorch has
one too, but it works in bfloat16, which many a CPU only emulates (measured on one: three quarters of a training step).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import torch
from torch import Tensor, nn

from .config import Optimisation
from .distributed import in_shares, shared_like, whole

# Coefficients of the quintic iteration that pulls all singular values towards 1 (Keller Jordan's Muon, 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor, rounds: int = 5, *, bfloat16: bool = False) -> Tensor:
    """(n, rows, columns) -> the same singular vectors with all singular values near 1. On a GPU always in bfloat16."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16() if bfloat16 or matrices.is_cuda else matrices
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = QUINTIC
    for _ in range(rounds):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled to the size of an AdamW step; matrices of one shape go together.

    Sharded matrices are put together for that, and each process orthogonalises its part of those of one shape.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        rate: float,
        weight_decay: float,
        momentum: float = 0.95,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(matrices, {"lr": rate, "weight_decay": weight_decay, "momentum": momentum})
        self.level = partial(orthogonalise, bfloat16=bfloat16)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for (rows, columns), parameters in alike.items():
                updates = []
                for parameter in parameters:
                    state = self.state[parameter]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(parameter)
                    state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                    updates.append(whole(parameter.grad.lerp(state["momentum"], group["momentum"])))
                scale = 0.2 * max(rows, columns) ** 0.5
                level = in_shares(self.level, torch.stack(updates))
                for parameter, update in zip(parameters, level, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(shared_like(update, parameter), alpha=-group["lr"] * scale)


class Optimizers:
    """Both as one, over the parameters of a model, sharded or not (shard before, not after). `bfloat16`: orthogonalise
    in it on a CPU, too."""

    def __init__(self, model: nn.Module, how: Optimisation, *, bfloat16: bool = False) -> None:
        self.how = how
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        linear = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear)]
        inside = [m.weight for name, m in linear if how.muon and name != "lm_head"]
        rest = [p for p in self.names if all(p is not matrix for matrix in inside)]
        self.on_gpu = any(parameter.is_cuda for parameter in self.names)
        decayed = {"params": [p for p in rest if p.ndim > 1], "weight_decay": how.weight_decay}
        free = {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0}
        self.parts: list[tuple[torch.optim.Optimizer, float]] = [
            (
                torch.optim.AdamW([decayed, free], lr=how.other_rate, betas=(0.9, 0.98), fused=self.on_gpu),
                how.other_rate,
            ),
        ]
        if inside:
            self.parts.insert(0, (Muon(inside, how.rate, how.weight_decay, bfloat16=bfloat16), how.rate))

    def step(self, step: int) -> float:
        """One update at the rate of `step`; gives the share of the full rate."""
        factor = self.how.factor(step)
        if step in self.how.restarts:
            for optimizer, _ in self.parts:
                optimizer.state.clear()
        for optimizer, rate in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return factor

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the optimizers' state by `parameter name|kind`."""
        found = {}
        for optimizer, _ in self.parts:
            for parameter, values in optimizer.state.items():
                for kind, value in values.items():
                    found[f"{self.names[parameter]}|{kind}"] = torch.as_tensor(value)
        return found

    def blank_state(self) -> dict[str, Tensor]:
        """As `state` after the first step, all zeros, of whatever is trained: to be filled from a file."""
        blank: dict[str, Tensor] = {}
        for optimizer, _ in self.parts:
            kinds = ("momentum",) if isinstance(optimizer, Muon) else ("exp_avg", "exp_avg_sq")
            for parameter in (p for group in optimizer.param_groups for p in group["params"] if p.requires_grad):
                name = self.names[parameter]
                blank |= {f"{name}|{kind}": torch.zeros_like(parameter.detach()) for kind in kinds}
                if len(kinds) > 1:
                    device = parameter.device if self.on_gpu else torch.device("cpu")
                    blank[f"{name}|step"] = torch.zeros((), device=device)
        return blank

    def restore(self, state: dict[str, Tensor]) -> None:
        """What `state` gave goes back to where it was."""
        parameters = {name: parameter for parameter, name in self.names.items()}
        for optimizer, _ in self.parts:
            members = {id(p) for group in optimizer.param_groups for p in group["params"]}
            for key, value in state.items():
                name, kind = key.split("|")
                if id(parameters[name]) in members:
                    optimizer.state[parameters[name]][kind] = value.clone()
