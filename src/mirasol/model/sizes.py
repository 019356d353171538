"""The sizes of a Mirasol model as plain values, and the named presets.

Everything else is derived from these numbers and never repeated: the clock (seconds per snippet), the columns of a
snippet's spectrogram, the tokens at each stage, the bytes of a streaming state. Divisions that must be exact raise.

Letters, the same in every file of this folder: `B` batch, `S` snippets, `F` frames per snippet, `C H W` pixels,
`M` mel bins, `L` spectrogram columns per snippet, `N` tokens per snippet (`Nv` tubes + `Na` patches), `K` combined
tokens per snippet, `R` memory tokens, `T` text positions, `V` vocabulary, `D` width.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from .limits import check_derived, check_kinds, read_config, short

COMBINERS = ("local", "causal", "ttm", "local-ttm", "priority")
REMEMBERING = ("ttm", "local-ttm", "priority")
CLOCKS = ("start", "now")
ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "silu")
TubeShape = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]  # kernel, stride, offset


def exact(numerator: float, denominator: float, what: str) -> int:
    """The quotient as a whole number of at least one; `ValueError` where it is not one."""
    quotient = numerator / denominator
    if quotient < 1 or abs(quotient - round(quotient)) > 1e-9:
        raise ValueError(f"{what} must be a whole number: {numerator} / {denominator} = {quotient:g}")
    return round(quotient)


@dataclass(frozen=True)
class Sizes:
    """All sizes of a model. Lengths of time are in seconds, of pictures in pixels, of sound in samples."""

    # Clock and signal.
    frame_rate: float = 4.0  # frames per second that the model sees
    frames: int = 4  # F
    height: int = 48  # H
    width: int = 72  # W
    sample_rate: int = 16_000
    hop: int = 320  # samples between two spectrogram columns
    window: int = 640  # samples under one column's Fourier transform
    mels: int = 64  # M
    tubes: tuple[TubeShape, ...] = (
        ((1, 8, 8), (4, 8, 8), (1, 0, 0)),
        ((4, 16, 16), (4, 16, 16), (0, 0, 0)),
        ((2, 24, 24), (2, 24, 24), (0, 0, 0)),
        ((4, 4, 4), (4, 12, 12), (0, 4, 4)),
    )
    patch: tuple[int, int] = (16, 10)  # mel bins and columns of one spectrogram patch

    # "start": tokens carry the second of the stream at which their snippet lies. "now": how many seconds ago it lies,
    # so that combiner, latents and window are the same however long a stream has run.
    clock: str = "start"

    # Audio-video side.
    av_width: int = 128  # D
    av_heads: int = 4
    av_mlp: int = 512
    vit_layers: int = 3
    combiner: str = "local"
    combiner_layers: int = 2
    combiner_cells: tuple[int, ...] = ()  # (rows, columns) of the picture: as many queries begin with one cell each
    combined: int = 8  # K
    combiner_snippets: int = 4  # how many snippets the causal combiner sees, this one included
    memory: int = 0  # R, memory tokens of the combiners that remember; 0 for the others
    ttm_select: str = "tokenlearner"  # how read and write summarise: "tokenlearner" or "mha"
    ttm_hidden: int = 64  # hidden width of the TokenLearner's MLP, and of the priority memory's
    latent_layers: int = 2
    context_snippets: int = 16  # how many snippets of latents text may look back on
    latent_snippets: int = 0  # ... and the latent model; 0: as many as text

    # Training signals.
    mask_rate: float = 0.1  # share of combined tokens replaced by the mask token in training
    latent_weight: float = 1.0  # weights of the losses; that of the text is 1
    video_weight: float = 1.0
    audio_weight: float = 1.0
    effort_weight: float = 0.006  # of writing, in the priority memory
    reconstruct_layers: int = 1
    reconstruct_video: bool = True
    reconstruct_audio: bool = True
    reconstruct_scale: int = 4  # the target picture is this many times smaller
    reconstruct_patch: int = 6  # pixels of the small picture per side of one target patch

    # Text side.
    vocabulary: int = 576  # V
    text_width: int = 128
    text_layers: int = 3
    text_heads: int = 4
    text_kv_heads: int = 4
    text_mlp: int = 384
    text_positions: int = 256  # T at most
    tied: bool = True  # the output layer shares the embedding's weights

    # What pretrained language models do differently (docs/warm_start.md).
    text_head_width: int = 0  # 0: text_width / text_heads
    text_rope_base: float = 10_000.0
    # Llama 3's scaling of rotary angles: factor, low and high frequency factor, positions before it; empty: none
    text_rope_scaling: tuple[float, ...] = ()
    text_norm_eps: float = 1e-6
    text_qkv_bias: bool = False
    text_qk_norm: bool = False  # RMSNorm of queries and keys, head by head
    text_activation: str = "silu"
    text_embed_scale: float = 1.0  # the embeddings are multiplied by it
    cross_every: int = 1  # every so-manieth block attends to the context: with 3 blocks 2, 5, 8, ... counted from 0
    cross_gate: bool = False  # what a block takes from the context is scaled by tanh of a learned gate, 0 at first

    # What pretrained vision and audio Transformers do differently.
    vit_eps: float = 1e-6
    vit_activation: str = "gelu_tanh"
    vit_layer_scale: bool = False  # a learned scale for each channel of what a block adds
    vit_pre_norm: bool = False  # a LayerNorm before the first block
    vit_extra: int = 0  # learned tokens (class, registers) beside those of a snippet
    vit_summary: bool = False  # the combiner reads what becomes of them, too; else they go no further than the ViT
    # Rows and columns of learned positions, and no LayerNorm on the tokens; empty: sine-cosine, and a LayerNorm.
    picture_grid: tuple[int, ...] = ()
    sound_grid: tuple[int, ...] = ()
    patch_stride: tuple[int, ...] = ()  # steps between spectrogram patches; empty: as large as they are

    def __post_init__(self) -> None:
        check_kinds(self)
        object.__setattr__(self, "tubes", tuple(tuple(tuple(axis) for axis in tube) for tube in self.tubes))
        for name in ("combiner_cells", "patch", "text_rope_scaling", "picture_grid", "sound_grid", "patch_stride"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.combiner not in COMBINERS:
            raise ValueError(f"combiner must be one of {', '.join(COMBINERS)}; found {self.combiner!r}")
        if self.clock not in CLOCKS:
            raise ValueError(f"clock must be one of {', '.join(CLOCKS)}; found {self.clock!r}")
        if (self.combiner in REMEMBERING) != (self.memory > 0):
            raise ValueError(
                f"memory tokens go with the combiners {', '.join(REMEMBERING)}: combiner={self.combiner!r}, "
                f"memory={self.memory}"
            )
        exact(self.av_width, self.av_heads, "width of an audio-video head")
        if self.combiner_cells and (
            len(self.combiner_cells) != 2
            or min(self.combiner_cells) < 1
            or math.prod(self.combiner_cells) > self.combined
            or self.combiner == "ttm"
        ):
            raise ValueError(
                f"combiner_cells must be empty or rows and columns of at most combined={self.combined} cells, and empty"
                f" for combiner='ttm'; found {list(self.combiner_cells)} and combiner={self.combiner!r}"
            )
        if self.combiner in ("ttm", "local-ttm") and self.ttm_select == "mha":
            exact(self.av_width, 8, "width of each of the 8 heads with which ttm_select='mha' reads and writes")
        if not self.text_head_width:
            exact(self.text_width, self.text_heads, "width of a text head")
        exact(self.text_head, 2, "half of a text head, which rotary positions turn,")
        exact(self.text_heads, self.text_kv_heads, "text heads per key-value head")
        for at in range(len(self.tubes)):
            if min(self.tube_grid(at)) < 1:
                raise ValueError(
                    f"tube {self.tubes[at]} gives no token on {self.frames}x{self.height}x{self.width}; make it smaller"
                )
        self._check_pretrained()
        check_derived(self)

    def _check_pretrained(self) -> None:
        """The fields that pretrained parts set."""
        for name in ("text_activation", "vit_activation"):
            if (value := getattr(self, name)) not in ACTIVATIONS:
                raise ValueError(f"{name} must be one of {', '.join(ACTIVATIONS)}; found {value!r}")
        lengths = {"text_rope_scaling": 4, "picture_grid": 2, "sound_grid": 2, "patch_stride": 2}
        for name, length in lengths.items():
            if len(value := getattr(self, name)) not in (0, length) or any(number <= 0 for number in value):
                raise ValueError(f"{name} must be empty or {length} positive numbers; found {list(value)}")
        if not 1 <= self.cross_every <= self.text_layers:
            raise ValueError(f"cross_every must lie between 1 and text_layers={self.text_layers}: {self.cross_every}")

    # The clock.
    @property
    def snippet_seconds(self) -> float:
        """Seconds that one snippet covers."""
        return self.frames / self.frame_rate

    @property
    def samples(self) -> int:
        """Samples of sound per snippet."""
        return exact(self.frames * self.sample_rate, self.frame_rate, "samples per snippet")

    @property
    def columns(self) -> int:
        """L, spectrogram columns per snippet."""
        return exact(self.samples, self.hop, "spectrogram columns per snippet")

    # Tokens.
    def tube_grid(self, at: int) -> tuple[int, int, int]:
        """Tokens of one tube shape along time, height and width, by floor arithmetic (a tube never hangs over)."""
        lengths = (self.frames, self.height, self.width)
        t, h, w = (
            (length - start - kernel) // stride + 1 if length >= start + kernel else 0
            for length, kernel, stride, start in zip(lengths, *self.tubes[at], strict=True)
        )
        return t, h, w

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Spectrogram patches along mel bins and along time."""
        if not self.patch_stride:
            mels, columns = self.patch
            return exact(self.mels, mels, "patches along mel bins"), exact(self.columns, columns, "patches along time")
        lengths = zip((self.mels, self.columns), self.patch, self.patch_stride, strict=True)
        rows, columns = ((length - patch) // stride + 1 for length, patch, stride in lengths)
        if min(rows, columns) < 1:
            raise ValueError(f"a patch of {self.patch} does not fit a spectrogram of {self.mels}x{self.columns}")
        return rows, columns

    @property
    def patch_steps(self) -> tuple[int, int]:
        """Mel bins and columns from one spectrogram patch to the next."""
        down, across = self.patch_stride or self.patch
        return down, across

    @property
    def tube_tokens(self) -> int:
        """Nv."""
        return sum(t * h * w for t, h, w in map(self.tube_grid, range(len(self.tubes))))

    @property
    def patch_tokens(self) -> int:
        """Na."""
        return self.patch_grid[0] * self.patch_grid[1]

    @property
    def summary_tokens(self) -> int:
        """Class and register tokens of each modality that leave the ViT."""
        return self.vit_extra if self.vit_summary else 0

    @property
    def viewed_tokens(self) -> tuple[int, int]:
        """Tokens of a snippet's picture and of its sound that leave the ViT."""
        return self.tube_tokens + self.summary_tokens, self.patch_tokens + self.summary_tokens

    @property
    def small_grid(self) -> tuple[int, int]:
        """Patches of the low-resolution reconstruction target along height and width."""
        side = self.reconstruct_scale * self.reconstruct_patch
        return exact(self.height, side, "target patches along height"), exact(
            self.width, side, "target patches along width"
        )

    @property
    def head_width(self) -> int:
        """Width of one head of the audio-video side."""
        return self.av_width // self.av_heads

    @property
    def text_head(self) -> int:
        """Width of one head of the text side."""
        return self.text_head_width or self.text_width // self.text_heads

    def crosses(self, layer: int) -> bool:
        """Whether this block of the text decoder, counted from 0, attends to the context."""
        return layer % self.cross_every == self.cross_every - 1

    @property
    def crossing_layers(self) -> int:
        """How many blocks of the text decoder do."""
        return sum(map(self.crosses, range(self.text_layers)))

    @property
    def latent_reach(self) -> int:
        """Snippets that the latent model looks back on, its own included."""
        return self.latent_snippets or self.context_snippets

    @property
    def context_tokens(self) -> int:
        """Tokens that text attends to at most: the latents kept and the memory."""
        return self.context_snippets * self.combined + self.memory

    def tokens_per_snippet(self) -> dict[str, int]:
        """How many tokens one snippet has at each stage."""
        return {
            "tubes": self.tube_tokens,
            "patches": self.patch_tokens,
            "vit": sum(self.viewed_tokens),
            "combined": self.combined,
            "latents": self.combined,
            "memory": self.memory,
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for `from_dict` and for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Sizes:
        """From plain values; unknown names raise, so that nothing is lost in silence."""
        if not isinstance(values, dict):
            raise ValueError(f"expected sizes as a table, found {short(values)}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(str(name)[:40] for name in set(values) - known):
            raise ValueError(f"unknown sizes {', '.join(unknown[:8])}; known are {', '.join(sorted(known))}")
        return cls(**values)

    @classmethod
    def load(cls, folder: str | Path) -> Sizes:
        """From the `config.json` of a model's folder."""
        return cls.from_dict(read_config(folder)["sizes"])

    def change(self, **values: Any) -> Sizes:
        """The same sizes but for these, checked again."""
        return replace(self, **values)


def _eight_frame_tubes() -> tuple[TubeShape, ...]:
    """The paper's tube shapes fitted to a snippet of 8 frames; their centres all differ."""
    return (
        ((1, 16, 16), (8, 16, 16), (0, 0, 0)),
        ((8, 8, 8), (8, 32, 32), (0, 0, 0)),
        ((8, 4, 4), (8, 32, 32), (0, 8, 8)),
        ((4, 12, 12), (4, 32, 32), (0, 16, 16)),
    )


_AT_224: dict[str, Any] = {
    "frame_rate": 8.0, "frames": 8, "height": 224, "width": 224, "hop": 160, "window": 400, "mels": 128,
    "patch": (16, 20), "tubes": _eight_frame_tubes(), "reconstruct_scale": 8, "reconstruct_patch": 7,
    "mask_rate": 0.25, "combined": 32,
}  # fmt: skip

PRESETS: dict[str, Sizes] = {
    "tiny": Sizes(),
    "small": Sizes(
        **{**_AT_224, "height": 112, "width": 112, "reconstruct_scale": 4, "combined": 16},
        av_width=384, av_heads=6, av_mlp=1536, vit_layers=8, combiner="ttm", combiner_layers=4, memory=64,
        latent_layers=4, context_snippets=32, reconstruct_layers=2,
        vocabulary=8_192, text_width=384, text_layers=8, text_heads=6, text_kv_heads=6, text_mlp=1_024,
        text_positions=1_024,
    ),
    "base": Sizes(
        **_AT_224,
        av_width=768, av_heads=12, av_mlp=3_072, vit_layers=12, combiner="ttm", combiner_layers=6, memory=96,
        latent_layers=6, context_snippets=64, reconstruct_layers=2,
        vocabulary=32_768, text_width=768, text_layers=12, text_heads=12, text_kv_heads=12, text_mlp=2_048,
        text_positions=2_048,
    ),
    "3b": Sizes(
        **_AT_224,
        av_width=1_280, av_heads=16, av_mlp=5_120, vit_layers=32, combiner="causal", combiner_layers=16,
        latent_layers=20, context_snippets=64, reconstruct_layers=4,
        vocabulary=65_536, text_width=2_048, text_layers=20, text_heads=16, text_kv_heads=16, text_mlp=5_504,
        text_positions=4_096,
    ),
}  # fmt: skip
