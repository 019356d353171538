"""The text loss by chunks equals the naive one, which is here, in value and gradient, in less memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from mirasol.model.mirasol import CHUNK, IGNORE, text_loss


def naive(lm_head: nn.Module, hidden: Tensor, labels: Tensor, count: Tensor | None = None) -> Tensor:
    """All logits at once."""
    logits = lm_head(hidden)[:, :-1].float()
    total = F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="sum")
    return total / ((labels[:, 1:] != IGNORE).sum().clamp(min=1) if count is None else count)


def example(rows: int, length: int, width: int, vocabulary: int, share: float) -> tuple[nn.Module, Tensor, Tensor]:
    """An output layer, hidden states and labels of which `share` count."""
    labels = torch.randint(vocabulary, (rows, length))
    labels[torch.rand(rows, length) >= share] = IGNORE
    return nn.Linear(width, vocabulary, bias=False), torch.randn(rows, length, width), labels


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("chunk", "share"), [(1, 0.3), (7, 0.6), (19, 1.0), (1_000, 0.5), (5, 0.0)])
def test_value_and_gradients_are_those_of_the_naive_one(chunk: int, share: float, half: bool) -> None:
    lm_head, hidden, labels = example(3, 23, 11, 47, share)
    for count in (None, torch.tensor(17.0)):
        found = []
        for loss in (naive, lambda *given: text_loss(*given, chunk=chunk)):
            given = hidden.clone().requires_grad_()
            lm_head.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                value = loss(lm_head, given, labels, count)
            value.backward()
            found.append((value.detach(), given.grad, lm_head.weight.grad.clone()))
        assert found[1][0].dtype == torch.float32
        for one, other in zip(*found, strict=True):
            # In bfloat16 the sum over chunks of the weights' gradient is rounded in another order.
            bound = 1e-5 if not half else 2e-2 * float(one.abs().max()) + 1e-6
            assert (one - other).abs().max() <= bound
        if half:
            assert abs(found[0][0] - found[1][0]) < 1e-5


def peak_bytes(loss: object, lm_head: nn.Module, hidden: Tensor, labels: Tensor) -> int:
    """The most that forward and backward held at one time beyond what there was, by PyTorch's record of its memory."""
    lm_head.zero_grad(set_to_none=True)
    given = hidden.clone().requires_grad_()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        loss(lm_head, given, labels).backward()  # type: ignore[operator]
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.slow
def test_memory_at_a_vocabulary_of_65536() -> None:
    """4 chunks of targets: naively 3 times their logits in float32, here those of 3 chunks and some weights' size."""
    lm_head, hidden, labels = example(4, CHUNK + 1, 16, 65_536, 1.0)
    chunk, weights = CHUNK * 65_536 * 4, lm_head.weight.numel() * 4
    light, heavy = (peak_bytes(loss, lm_head, hidden, labels) for loss in (text_loss, naive))
    print(f"peak {light / 2**20:.0f} MiB against {heavy / 2**20:.0f} MiB")
    assert heavy > 3 * 4 * chunk
    assert light < 3.2 * chunk + 4 * weights
    assert light < 0.3 * heavy
