"""Many processes as one: who takes part, what they tell each other, and how a model is sharded among them.

The only file that knows `torch.distributed`. A run under `torchrun` has a process per device; without it everything
here is the identity. The model is sharded by FSDP2 (`fully_shard`): each process holds its share of every parameter,
gradient and optimizer state, and gathers a block's weights just before the block runs.

    PyTorch FSDP: https://arxiv.org/abs/2304.11277
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from mirasol.model.combiner import LocalCombiner
from mirasol.model.layers import Block
from mirasol.model.memory import LocalTuringCombiner
from mirasol.model.mirasol import Mirasol

PATIENCE = timedelta(hours=2)  # how long processes wait for one that evaluates or writes


@dataclass(frozen=True)
class World:
    """This process among all: number `rank` of `ranks`, working on `device`."""

    rank: int
    ranks: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Of the values of all processes."""
        if self.ranks > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
            values = values / self.ranks
        return values

    def gather(self, value: Any) -> list[Any]:
        """What every process gave, in their order; plain values, sent as JSON."""
        if self.ranks == 1:
            return [value]
        data = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8, device=self.device)
        sizes = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.ranks)]
        dist.all_gather(sizes, torch.tensor([len(data)], device=self.device))
        longest = int(max(sizes))
        padded = torch.cat([data, data.new_zeros(longest - len(data))])
        parts = [torch.zeros_like(padded) for _ in range(self.ranks)]
        dist.all_gather(parts, padded)
        return [json.loads(bytes(part[: int(size)].tolist())) for part, size in zip(parts, sizes, strict=True)]

    def wait(self) -> None:
        """Until every process is here."""
        if self.ranks > 1:
            self.mean(torch.zeros(1))


@contextmanager
def world() -> Iterator[World]:
    """The processes that `torchrun` started, each with a device of its own; one alone without it."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    # After an error nothing is taken down in good order: that waits for the others, who wait for this process. It ends,
    # and torchrun ends them.
    yield World(dist.get_rank(), dist.get_world_size(), device)
    dist.barrier()
    dist.destroy_process_group()


def shard(model: Mirasol, bfloat16: bool = False) -> None:
    """Shards the parameters among all processes, block by block; the rest, and whatever is not the same number of
    times in use by every process (a Token Turing Machine, once a snippet), as one group with the model itself.

    `bfloat16`: weights are gathered in bfloat16; kept, reduced and updated in float32 all the same.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    policy = MixedPrecisionPolicy()
    if bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in separate_blocks(model):
        fully_shard(block, mp_policy=policy)
        register_fsdp_forward_method(block, "last")
    fully_shard(model, mp_policy=policy)


def separate_blocks(model: Mirasol) -> list[Block]:
    """The blocks that run equally often in every forward, whatever a batch holds."""
    encoder = model.encoder
    parts: list[nn.Module] = [encoder.vit, encoder.latent_model, model.decoder, model.reconstruction]
    if isinstance(encoder.combiner, LocalCombiner) and not isinstance(encoder.combiner, LocalTuringCombiner):
        parts.append(encoder.combiner)
    return [block for part in parts for block in part.modules() if isinstance(block, Block)]


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (on every process; all must call it); any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_like(value: Tensor, like: Tensor) -> Tensor:
    """This process's share of `value`, which all have whole, where `like` is sharded; else `value`."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def in_shares(work: Callable[[Tensor], Tensor], stack: Tensor) -> Tensor:
    """`work(stack)`, (n, ...) -> the same shape, each of the n by itself: every process does its part of them, and all
    get all. The processes must have the same stack."""
    if not dist.is_initialized() or (ranks := dist.get_world_size()) == 1:
        return work(stack)
    each = -(-len(stack) // ranks)
    mine = stack[dist.get_rank() * each : (dist.get_rank() + 1) * each]
    done = stack.new_zeros(each, *stack.shape[1:])
    if len(mine):
        done[: len(mine)] = work(mine)
    parts = [torch.empty_like(done) for _ in range(ranks)]
    dist.all_gather(parts, done)
    return torch.cat(parts)[: len(stack)]


def save_shards(tensors: dict[str, Tensor], folder: Any) -> None:
    """Every process writes its shares into the folder: safetensors files, by PyTorch's distributed checkpoint."""
    from torch.distributed import checkpoint as dcp

    dcp.save(tensors, storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))


def load_shards(tensors: dict[str, Tensor], folder: Any) -> None:
    """Fills `tensors` in place from safetensors files, whole ones or shares, however many processes wrote them."""
    from torch.distributed import checkpoint as dcp

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process alone is no mistake
        dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(str(folder)), no_dist=not dist.is_initialized())
