"""The 3b preset on paper: operations, hours, memory per GPU and communication. `bench_train.py --paper` prints it.

Every number follows from the sizes (`mirasol.model.flops`, `mirasol.model.footprint`) and from the assumptions here.
"""

from __future__ import annotations

from typing import Any

from whole_clip import AUDIO_VIDEO, encoder_flops, whole_clip_flops

from mirasol.model.flops import Work, forward_flops, optimizer_flops, training_flops
from mirasol.model.footprint import activation_bytes, held
from mirasol.model.layers import Block
from mirasol.model.mirasol import CHUNK, on_meta
from mirasol.model.sizes import PRESETS, Sizes

CLIPS, FRAMES = 3_000_000, 128
TEXTS, TEXT_TOKENS, TARGETS = 1, 64, 16
PEAK, SHARE = 989e12, 0.45  # bfloat16 without sparsity, of an H100 SXM or H200 by its data sheet; share that is reached
PLAIN = 67e12  # ... in float32, by the same sheet
GPUS, IN_A_NODE, CLIPS_PER_GPU, BATCH = (1, 8, 64), 8, 4, 256  # a batch in several rounds where the GPUs are few
NVLINK, NETWORK = 450e9, 50e9  # bytes per second of one GPU, one way: inside a node, and 400 Gbit/s between nodes
HALF, FLOAT, GIB = 2, 4, 2**30


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def work_of(sizes: Sizes, frames: int = FRAMES) -> Work:
    return Work(frames // sizes.frames, TEXTS, TEXT_TOKENS, TARGETS)


def operations(sizes: Sizes) -> str:
    """By component, of one clip."""
    work = work_of(sizes)
    columns = forward_flops(sizes, work), training_flops(sizes, work), training_flops(sizes, work, recompute=True)
    rows = [[name, *(f"{column[name] / 1e12:.3f}" for column in columns)] for name in columns[0]]
    rows.append(["all", *(f"{sum(column.values()) / 1e12:.2f}" for column in columns)])
    return table(["TFLOP of one clip", "forward", "training step", "... recomputing"], rows)


def hours(sizes: Sizes) -> str:
    """Of one pass over all clips."""
    rows = []
    for what, recompute in (("activations kept", False), ("blocks recomputed", True)):
        total = CLIPS * sum(training_flops(sizes, work_of(sizes), recompute=recompute).values())
        each = [total / (PEAK * SHARE * count) / 3600 for count in GPUS]
        rows.append([what, f"{total:.3g}", *(f"{value:,.1f}" for value in each)])
    return table(["", "FLOP in all", *(f"hours on {count} GPU{'s' * (count > 1)}" for count in GPUS)], rows)


def optimizer(sizes: Sizes) -> str:
    """Muon's part of a step of the whole batch: done by every GPU for all matrices, or by each for its share."""
    each = optimizer_flops(sizes)
    rows = []
    for count in GPUS:
        computing = BATCH / count * sum(training_flops(sizes, work_of(sizes)).values()) / (PEAK * SHARE)
        seconds = [each / rate / over for rate in (PLAIN, PEAK * SHARE) for over in (1, count)]
        rows.append([count, f"{computing:.2f}", *(f"{value:.2f}" for value in seconds)])
    head = ["GPUs", "s forward and backward", "s float32, each all", "shared", "s bfloat16, each all", "shared"]
    return f"{each / 1e12:.1f} TFLOP a step.\n\n" + table(head, rows)


def groups(sizes: Sizes) -> tuple[int, int]:
    """Parameters of the largest block, and of all that is in no block: what sharding by block gathers at a time."""
    model = on_meta(sizes)
    blocks = [sum(p.numel() for p in m.parameters()) for m in model.modules() if isinstance(m, Block)]
    return max(blocks), sum(p.numel() for p in model.parameters()) - sum(blocks)


def memory(sizes: Sizes) -> str:
    """Per GPU, with parameters, gradients and state sharded over all of them."""
    whole, (largest, outside) = held(sizes), groups(sizes)
    work, rows = work_of(sizes), []
    for count in GPUS:
        # In bfloat16 all weights on one GPU; sharded, what is at work and what comes next, with its whole gradients.
        alone, shared = (
            HALF * whole["parameters"] // FLOAT,
            HALF * (outside + 2 * largest) + FLOAT * (outside + largest),
        )
        gathered = alone if count == 1 else shared
        kept, again = (
            sum(activation_bytes(sizes, work, batch=CLIPS_PER_GPU, recompute=on, value_bytes=HALF).values())
            for on in (False, True)
        )
        logits = 3 * FLOAT * min(CHUNK, CLIPS_PER_GPU * TEXTS * TARGETS) * sizes.vocabulary
        parts = [*(value / count for value in whole.values()), gathered]
        totals = [sum(parts) + logits + kept, sum(parts) + logits + again]
        rows.append([count, *(f"{part / GIB:.1f}" for part in [*parts, kept, *totals[:1], again, *totals[1:]])])
    head = ["GPUs", "parameters", "gradients", "optimizer", "gathered", "activations", "sum", "... recomputing", "sum"]
    return table(head, rows)


def communication(sizes: Sizes) -> str:
    """Of one step, beside the time that the step computes."""
    parameters = held(sizes)["parameters"] // FLOAT
    compute = CLIPS_PER_GPU * sum(training_flops(sizes, work_of(sizes)).values()) / (PEAK * SHARE)
    rows = []
    for count in GPUS[1:]:
        # Weights are gathered in bfloat16 for the forward and for the backward, gradients scattered in float32.
        sent = parameters * (2 * HALF + FLOAT) * (count - 1) / count
        link = NVLINK if count <= IN_A_NODE else NETWORK
        rows.append([count, f"{sent / 1e9:.1f}", f"{link / 1e9:.0f}", f"{sent / link:.3f}", f"{compute:.3f}"])
    return table(["GPUs", "GB per GPU and step", "GB/s", "s sending", "s computing"], rows)


def against_frames(sizes: Sizes) -> str:
    """Audio-video side, forward and backward."""
    rows = []
    for frames in (16, 32, 64, 128, 256, 512):
        snippets = frames // sizes.frames
        alone = sizes.change(combiner="local", memory=0)
        values = encoder_flops(sizes, snippets), encoder_flops(alone, snippets), whole_clip_flops(sizes, snippets)
        rows.append([frames, *(f"{value / 1e12:,.1f}" for value in values)])
    return table(["frames", f"{sizes.combiner} combiner", "local combiner", "all tokens at once"], rows)


def paper(preset: str = "3b") -> str:
    """All of it as Markdown."""
    sizes = PRESETS[preset]
    parts = {
        f"Operations of one clip of {FRAMES} frames": operations(sizes),
        f"Hours for {CLIPS:,} clips": hours(sizes),
        f"Muon beside a step on {BATCH} clips": optimizer(sizes),
        f"Memory of one GPU at {CLIPS_PER_GPU} clips each, GiB": memory(sizes),
        f"Communication of a step at {CLIPS_PER_GPU} clips per GPU": communication(sizes),
        f"TFLOP of a training step of {', '.join(AUDIO_VIDEO)} against frames": against_frames(sizes),
    }
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in parts.items())
