"""What may stand in a `config.json`: kinds and limits of every size, checked before anything is built.

A file from elsewhere may hold anything. Each size has a range (`RANGES`), and what follows from several of them, such
as the tokens of a snippet, a limit (`check_derived`): a model that passes can be built, and run in memory that its
weights foretell. The limits lie far above any model that we know.
"""

from __future__ import annotations

import json
import math
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sizes import Sizes

MOST_CONFIG_BYTES = 1 << 20
LAYERS, WIDTH, SIDE = (0, 512), (1, 65_536), (1, 16_384)
# size -> least and most; of a tuple, those of each number in it
RANGES: dict[str, tuple[float, float]] = {
    "frame_rate": (1e-3, 1_000), "frames": (1, 4_096), "height": SIDE, "width": SIDE, "sample_rate": (1, 1_000_000),
    "hop": (1, 1 << 20), "window": (1, 1 << 20), "mels": SIDE, "tubes": (0, 16_384), "patch": (1, 65_536),
    "av_width": WIDTH, "av_heads": (1, 1_024), "av_mlp": (1, 1 << 20), "vit_layers": LAYERS,
    "combiner_layers": (1, 512), "combiner_cells": (0, 1_024), "combined": (1, 16_384),
    "combiner_snippets": (1, 100_000), "memory": (0, 65_536), "ttm_hidden": WIDTH, "latent_layers": LAYERS,
    "context_snippets": (1, 100_000), "latent_snippets": (0, 100_000),
    "mask_rate": (0, 1), "latent_weight": (0, 1e6), "video_weight": (0, 1e6), "audio_weight": (0, 1e6),
    "effort_weight": (0, 1e6), "reconstruct_layers": LAYERS, "reconstruct_scale": SIDE, "reconstruct_patch": SIDE,
    "vocabulary": (1, 1 << 24), "text_width": WIDTH, "text_layers": (1, 512), "text_heads": (1, 1_024),
    "text_kv_heads": (1, 1_024), "text_mlp": (1, 1 << 20), "text_positions": (1, 1 << 24),
    "text_head_width": (0, 65_536), "text_rope_base": (1, 1e15), "text_rope_scaling": (-1e9, 1e9),
    "text_norm_eps": (0, 1), "text_embed_scale": (-1e6, 1e6), "cross_every": (0, 512), "vit_eps": (0, 1),
    "vit_extra": (0, 4_096), "picture_grid": (-16_384, 16_384), "sound_grid": (-16_384, 16_384),
    "patch_stride": (-65_536, 65_536),
}  # fmt: skip
SHAPES = 64  # of tubes at most


def check_kinds(sizes: Sizes) -> None:
    """`ValueError` where a size is of the wrong kind or outside of its range."""
    for name, kind in type(sizes).__annotations__.items():
        value = getattr(sizes, name)
        if name == "tubes":
            check_tubes(value)
        elif kind.startswith("tuple"):
            if not isinstance(value, list | tuple) or len(value) > 4 or (name == "patch" and len(value) != 2):
                wanted = "two numbers" if name == "patch" else "a short list of numbers"
                raise ValueError(f"expected {name} as {wanted}, found {short(value)}")
            for number in value:
                check_number(name, number, "float" in kind)
        elif kind in ("int", "float"):
            check_number(name, value, kind == "float")
        elif not isinstance(value, bool if kind == "bool" else str):
            wanted = "true or false" if kind == "bool" else "a word"
            raise ValueError(f"expected {name} as {wanted}, found {short(value)}")


def check_number(name: str, value: Any, broken: bool) -> None:
    """`ValueError` unless this is a number in the range of `name`, and a whole one unless it may be `broken`."""
    least, most = RANGES[name]
    fits = isinstance(value, Real if broken else Integral) and not isinstance(value, bool)
    if not fits or not least <= value <= most:  # false for NaN, too
        kind = "a number" if broken else "a whole number"
        raise ValueError(f"expected {name} as {kind} from {least:,} to {most:,}, found {short(value)}")


def check_tubes(value: Any) -> None:
    """`ValueError` unless these are shapes of kernel, stride and offset, each over frames, height and width."""
    good = isinstance(value, list | tuple) and 1 <= len(value) <= SHAPES
    for tube in value if good else ():
        axes: Any = tube if isinstance(tube, list | tuple) and len(tube) == 3 else [None]
        if not all(isinstance(axis, list | tuple) and len(axis) == 3 for axis in axes):
            raise ValueError(f"expected a tube as kernel, stride and offset of three numbers each, found {short(tube)}")
        for number in (number for axis in axes for number in axis):
            check_number("tubes", number, False)
        if min(*axes[0], *axes[1]) < 1:
            raise ValueError(f"expected kernel and stride of a tube of at least 1, found {short(tube)}")
    if not good:
        raise ValueError(f"expected tubes as a list of 1 to {SHAPES} shapes, found {short(value)}")


def check_derived(sizes: Sizes) -> None:
    """`ValueError` where what follows from the sizes would fill the memory."""
    tokens = sum(sizes.viewed_tokens) + math.prod(sizes.small_grid)
    bins = sizes.window // 2 + 1
    limits = {
        "seconds in a snippet": (sizes.snippet_seconds, 3_600),
        "numbers in the frames of a snippet": (sizes.frames * sizes.height * sizes.width * 3, 1 << 28),
        "samples in a snippet": (sizes.samples, 1 << 26),
        "numbers in the spectrogram of a snippet": (sizes.columns * max(sizes.mels, bins), 1 << 28),
        "numbers in the mel filters (mels times window / 2)": (sizes.mels * bins, 1 << 23),
        "tokens in a snippet": (tokens, 65_536),
        "numbers in the tokens of a snippet (tokens times av_width)": (tokens * sizes.av_width, 1 << 28),
        "tokens that text looks at (context_snippets times combined, and memory)": (sizes.context_tokens, 1 << 20),
    }
    for what, (found, most) in limits.items():
        if found > most:
            raise ValueError(f"expected at most {most:,} {what}, found {found:,}")


def check_sources(value: Any) -> None:
    """`ValueError` unless this is what a configuration says of pretrained parts."""
    if not isinstance(value, list | None) or not all(isinstance(source, dict) for source in value or ()):
        raise ValueError(f"expected 'sources' in config.json as a list of tables, found {short(value)}")


def check_special_ids(vocabulary: int, **ids: Any) -> None:
    """`ValueError` unless these are ids below `vocabulary`, lists of such, or none."""
    for name, value in ids.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            whole = isinstance(number, Integral) and not isinstance(number, bool)
            if number is not None and not (whole and 0 <= number < vocabulary):
                raise ValueError(
                    f"expected {name} as an id below the vocabulary of {vocabulary}, found {short(number)}"
                )


def short(value: Any) -> str:
    """What was found, in a few words of one line."""
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number of more than 18 digits"
    words = " ".join(repr(value).split())
    return words if len(words) <= 60 else f"{words[:57]}..."


def read_config(folder: str | Path) -> dict[str, Any]:
    """The values of the `config.json` in a model's folder, `sizes` and `sources` of the right kinds."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise ValueError(
            f"expected config.json in the model folder {folder}, found none; is this a Mirasol checkpoint?"
        )
    if (size := path.stat().st_size) > MOST_CONFIG_BYTES:
        raise ValueError(f"expected {path} of at most {MOST_CONFIG_BYTES:,} bytes, found {size:,}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, numbers of thousands of digits, too deep
        why = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as JSON ({why}); is it whole?") from None
    if not isinstance(values, dict) or not isinstance(values.get("sizes"), dict):
        raise ValueError(f"expected 'sizes' as a table in {path}: this is no Mirasol checkpoint")
    check_sources(values.get("sources"))
    return values
