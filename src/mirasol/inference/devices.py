"""Where a model computes and in which precision: by name, or the best that this machine has."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """`device`: auto (CUDA, then MPS, then CPU) or PyTorch's name of one. `dtype`: auto (bfloat16 on a GPU that is good
    at it, else float32) or a name in `DTYPES`. `ValueError` for what this machine does not have."""
    found = ["cpu", *(["mps"] if torch.backends.mps.is_available() else [])]
    found += [f"cuda:{at}" for at in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if device == "auto":
        device = next((name for name in ("cuda:0", "mps") if name in found), "cpu")
    name = "cuda:0" if device == "cuda" else device
    if name not in found:
        raise ValueError(f"expected a device that this machine has ({', '.join(found)}) or auto, found {device!r}")
    if dtype == "auto":
        good = name.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.device(name), torch.bfloat16 if good else torch.float32
    if dtype not in DTYPES:
        raise ValueError(f"expected auto, {', '.join(DTYPES)} as the dtype, found {dtype!r}")
    return torch.device(name), DTYPES[dtype]
