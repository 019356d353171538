"""Sizes as numbers: parameters by component, tokens per snippet, operations, bytes of a streaming state.

Everything is built on the meta device: shapes without values, so that the largest preset takes no memory.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from .flops import Work, forward_flops, optimizer_flops, training_flops
from .footprint import activation_bytes, held
from .mirasol import on_meta
from .sizes import Sizes
from .state import MirasolState

# component -> the start of its parameters' names; the first that fits counts
COMPONENTS = {
    "tubes": "encoder.tubes.",
    "patches": "encoder.patches.",
    "vit": "encoder.vit.",
    "combiner": "encoder.combiner.",
    "latent_model": "encoder.latent_model.",
    "encoder_other": "encoder.",
    "reconstruction": "reconstruction.",
    "embedding": "decoder.embed.",
    "decoder": "decoder.",
    "lm_head": "lm_head.",
}
TEXT = ("embedding", "decoder", "lm_head")


def count_components(model: nn.Module) -> dict[str, int]:
    """Parameters by component. A weight that two components share counts once, for the first of its names."""
    counts = dict.fromkeys(COMPONENTS, 0)
    for name, parameter in model.named_parameters():  # leaves out the second name of a shared weight
        home = next((component for component, start in COMPONENTS.items() if name.startswith(start)), None)
        assert home is not None, name
        counts[home] += parameter.numel()
    return counts


def full_state(sizes: Sizes, batch: int = 1) -> MirasolState:
    """The state of a stream, of any length, on the meta device, at float32."""
    return on_meta(sizes).encoder.start(batch)


def inspect(sizes: Sizes, work: Work = Work(16)) -> dict[str, Any]:  # noqa: B008, a frozen value
    """The numbers of a model of these sizes.

    total, audio_video, text   parameters; audio_video + text = total
    components                 parameters by component, each counted once
    tokens_per_snippet         tokens of one snippet at each stage
    seconds_per_snippet        seconds
    state_bytes                of a stream of any length, for one viewer
    work                       the clip that the operations are counted for
    forward_flops              floating point operations of its forward, by component
    training_flops             ... of forward and backward, and `recomputing_flops` with recomputation in blocks
    optimizer_flops            of the optimizer's step, whatever the batch
    training_bytes             memory of a training step on that clip, float32
    """
    components = count_components(on_meta(sizes))
    activations, least = (sum(activation_bytes(sizes, work, recompute=on).values()) for on in (False, True))
    total, text = sum(components.values()), sum(components[name] for name in TEXT)
    return {
        "total": total,
        "audio_video": total - text,
        "audio_video_share": round((total - text) / total, 4),
        "text": text,
        "components": components,
        "tokens_per_snippet": sizes.tokens_per_snippet(),
        "seconds_per_snippet": sizes.snippet_seconds,
        "context_snippets": sizes.context_snippets,
        "context_tokens": sizes.context_tokens,
        "state_bytes": full_state(sizes).bytes(),
        "work": asdict(work),
        "forward_flops": forward_flops(sizes, work),
        "training_flops": sum(training_flops(sizes, work).values()),
        "recomputing_flops": sum(training_flops(sizes, work, recompute=True).values()),
        "optimizer_flops": optimizer_flops(sizes),
        "training_bytes": {**held(sizes), "activations": activations, "activations_recomputing": least},
    }
