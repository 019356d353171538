"""The paper's questions as runs that differ in one thing: `mirasol train ablations --set name=streams-whole
--set seed=1`. `benchmarks/bench_ablations.py` trains and scores them, `mirasol docs experiments` says what came of it.

Two worlds, each small enough for a minute or two of one CPU core:

scenes   one thing in four seconds of picture (24 x 36 pixels) and sound, learned from the signals on, first without
         sound: what is heard, how often, which way the thing moves, which colour it has
streams  three or four visits in 12 seconds, in snippets that the encoder of the shipped `tiny` fused beforehand (see
         `tiny_stream.store`; made where it is missing, some minutes): latent model and text decoder learn from nothing.
         The parts before them take no part: these models are for comparing, they cannot watch a film.

Every experiment names what it is compared with (`against`) and what the two share (`equal`). What the model has no
switch for is a variant here, built by `Run.build`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import torch
from einops import rearrange, repeat
from tokenizers import Tokenizer
from torch import Tensor, nn

from mirasol.data.fused import FusedStreamBatches, Walk
from mirasol.data.single_scenes import SingleSceneBatches, SingleScenes
from mirasol.data.stepped import SteppedBatches
from mirasol.data.toybox import toybox_tokenizer
from mirasol.model.decoder import Decoder
from mirasol.model.encoder import Encoder
from mirasol.model.initialising import building, initialise_all
from mirasol.model.inputs import Complete, Tokenized
from mirasol.model.latents import LatentModel
from mirasol.model.layers import Block, Cache
from mirasol.model.mirasol import Mirasol
from mirasol.model.positions import rotary
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.state import LatentState, MirasolState
from mirasol.model.text import Text
from mirasol.model.vit import SOUND, Vit
from mirasol.recipes import tiny_stream
from mirasol.train.config import Optimisation, Run

# The worlds.
SINGLE = SingleScenes(4, ("heard", "often", "way", "colour"))
STREAM_VISITS, SNIPPETS, QUESTIONS = (3, 4), 144, 60  # the last two: in all streams of a batch
SCENES = Sizes(
    height=24, width=36, mels=16, hop=800, window=1_000, patch=(8, 5),
    tubes=(((2, 6, 6), (2, 6, 6), (0, 0, 0)), ((2, 12, 12), (2, 12, 12), (0, 0, 0))),
    av_width=64, av_heads=4, av_mlp=128, vit_layers=1, combiner_layers=1, combined=4, latent_layers=1,
    context_snippets=8, mask_rate=0.0, latent_weight=0.1, video_weight=0.1, audio_weight=0.1, reconstruct_scale=2,
    reconstruct_video=False, reconstruct_audio=False,
    vocabulary=400, text_width=64, text_heads=4, text_kv_heads=4, text_layers=1, text_mlp=192,
)  # fmt: skip
STREAMS = PRESETS["tiny"].change(
    clock="now", context_snippets=128, av_mlp=256, vit_layers=1, combiner_layers=1, latent_layers=1, mask_rate=0.0,
    latent_weight=0.1, reconstruct_video=False, reconstruct_audio=False,
    text_width=64, text_layers=2, text_mlp=192,
)  # fmt: skip


# Variants that the model has no switch for.
class TwoVits(nn.Module):
    """A ViT for each modality in the place of the one that reads both."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.picture, self.sound = Vit(sizes), Vit(sizes)

    def forward(self, tokens: Tensor, mask: Tensor, modality: int) -> Tensor:
        return (self.sound if modality == SOUND else self.picture)(tokens, mask, modality)


class TwoVitEncoder(Encoder):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.vit = TwoVits(sizes)


class WholeLatents(LatentModel):
    """Every snippet of a call sees every other: the clip at once, without the arrow of time. No stream can be followed
    with it, and there is no next snippet to predict (`latent_weight` must be 0)."""

    def forward(self, combined: Tensor, snippets: Tensor, state: LatentState | None) -> tuple[Tensor, LatentState]:
        count, per_snippet = combined.shape[1:3]
        seen = repeat(snippets >= 0, "b s -> b 1 1 (s k)", k=per_snippet)
        turn = rotary(repeat(snippets, "b s -> b (s k)", k=per_snippet), self.sizes.head_width)
        x = rearrange(combined, "b s k d -> b (s k) d")
        for block in self.blocks:
            x, _ = block(x, mask=seen, turn=turn)
        return rearrange(self.norm(x), "b (s k) d -> b s k d", s=count), state or self.start(len(combined), combined)


class WholeEncoder(Encoder):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.latent_model = WholeLatents(sizes)


class UntimedEncoder(Encoder):
    """What text attends to does not say when it was."""

    def in_time(self, tokens: Tensor, numbers: Tensor, count: Tensor, bits: int = 0) -> Tensor:
        return super().in_time(tokens, 0 * numbers, 0 * count, bits)


def masked(tokens: Tensor, with_token: Tensor, rate: float) -> Tensor:
    """A share of the tokens (..., D) replaced by another token (D)."""
    hidden = torch.rand(tokens.shape[:-1], device=tokens.device) < rate
    return torch.where(hidden.unsqueeze(-1), with_token, tokens)


class InputMaskedEncoder(Encoder):
    """Masks what goes into the combiner, instead of what comes out of it, at the rate of 0.25."""

    def timed(self, inputs: Complete | Tokenized, snippets: Tensor) -> tuple[Tensor, Tensor | None]:
        tokens, mask = super().timed(inputs, snippets)
        return (masked(tokens, self.mask_tokens, 0.25) if self.training else tokens), mask


class LatentMaskedEncoder(Encoder):
    """Masks the latents that text looks at, instead of the combined tokens, at the rate of 0.25."""

    def context(self, state: MirasolState, most: int | None = None) -> tuple[Tensor, Tensor]:
        if self.training:
            state = replace(state, latents=masked(state.latents, self.mask_tokens, 0.25))
        return super().context(state, most)


@dataclass(frozen=True)
class After:
    """Keys and values of a text that stands behind a prefix; `KeyValues` to an attention."""

    prefix: Cache
    own: Any

    @property
    def keys(self) -> Tensor:
        return torch.cat([self.prefix.keys, self.own.keys], dim=2)

    @property
    def values(self) -> Tensor:
        return torch.cat([self.prefix.values, self.own.values], dim=2)

    def append(self, keys: Tensor, values: Tensor) -> After:
        return After(self.prefix, self.own.append(keys, values))


class PrefixDecoder(Decoder):
    """Encode, project, prepend: the context goes through a linear layer and stands before the text, in one causal
    self-attention; no block has a cross-attention."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.project = nn.Linear(sizes.av_width, sizes.text_width)
        self.blocks = nn.ModuleList(
            Block(sizes.text_width, sizes.text_heads, sizes.text_mlp, kv_heads=sizes.text_kv_heads, gated=True)
            for _ in range(sizes.text_layers)
        )

    def start(self, batch: int, like: Tensor) -> list[Any]:
        own = Cache.empty(batch, self.sizes.text_kv_heads, self.sizes.text_head, like)
        return [(own, None)] * self.sizes.text_layers

    def forward(
        self, ids: Tensor, context: Tensor | None, context_mask: Tensor | None, caches: Any = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, list[Any]]:  # fmt: skip
        """As `Decoder.forward`; with caches that are filled, `context` is None and its mask is still given."""
        assert context_mask is not None
        x, prefix = self.embedded(ids), 0
        if context is not None:
            prefix = context.shape[1]
            x = torch.cat([self.project(context), x], dim=1)
        before = 0 if caches is None or caches[0][0] is None else caches[0][0].keys.shape[2]
        real = torch.ones_like(ids, dtype=torch.bool) if text_mask is None else text_mask.bool()
        real = torch.cat([context_mask.bool(), real], dim=1)
        places = torch.arange(real.shape[1], device=ids.device)
        allowed = (places[None, :] <= places[before:, None])[None, None] & real[:, None, None, :]
        turn = self.turn((real.long().cumsum(dim=1) - 1).clamp(min=0)[:, before:])
        kept = []
        for at, block in enumerate(self.blocks):
            x, pair = block(x, allowed, (None, None) if caches is None else caches[at], turn)
            kept.append(pair)
        return self.norm(x[:, prefix:]), kept

    def look(self, context: Tensor, context_mask: Tensor) -> list[Any]:
        """Keys and values of the prefix."""
        nothing = torch.zeros(len(context), 0, dtype=torch.long, device=context.device)
        _, kept = self(nothing, context, context_mask, self.start(len(context), context))
        return [own for own, _ in kept]

    def step(self, ids: Tensor, places: Tensor, caches: Any, context_mask: Tensor) -> Tensor:
        real = context_mask.bool()
        x, turn = self.embedded(ids), self.turn(places + real.sum(dim=1, keepdim=True))
        own = torch.arange(caches[0][0].keys.shape[2], device=ids.device) <= places[:, None, :, None]
        before = real[:, None, None, :].expand(-1, -1, ids.shape[1], -1)
        mask = torch.cat([before, own], dim=-1)
        for block, (slots, prefix) in zip(self.blocks, caches, strict=True):
            x, _ = block(x, mask, (After(prefix, slots), None), turn)
        return self.norm(x)


def rebuilt(sizes: Sizes, encoder: type[Encoder] = Encoder, decoder: type[Decoder] = Decoder) -> Mirasol:
    """A Mirasol with other parts in the place of its own."""
    model = Mirasol(sizes)
    with building():
        model.encoder, model.decoder = encoder(sizes), decoder(sizes)
    initialise_all(model)
    if sizes.tied:
        model.lm_head.weight = model.decoder.embed.weight
    return model


# The experiments.
@dataclass(frozen=True)
class Experiment:
    """`sizes` differ from those of the world; `equal`: parameters, compute or both, as in `against`; `words`: what it
    is, for tables."""

    world: str
    words: str
    against: str = ""
    equal: str = "both"
    sizes: dict[str, Any] = field(default_factory=dict)
    build: Callable[[Sizes], Mirasol] = Mirasol
    seconds: int = 12  # of a stream

    def all_sizes(self) -> Sizes:
        return (SCENES if self.world == "scenes" else STREAMS).change(**self.sizes)


def _streams(words: str, against: str = "streams", equal: str = "both", **rest: Any) -> Experiment:
    return Experiment("streams", words, against, equal, **rest)


def _scenes(words: str, against: str = "scenes", equal: str = "both", **rest: Any) -> Experiment:
    return Experiment("scenes", words, against, equal, **rest)


def _memory(combiner: str, memory: int) -> dict[str, Any]:
    return {**_WINDOW, "combiner": combiner, "memory": memory, "effort_weight": 0.0}  # writing costs nothing here


_WINDOW = {"context_snippets": 4, "latent_snippets": 4}
_NO_LATENT = {"latent_weight": 0.0}
EXPERIMENTS: dict[str, Experiment] = {
    # Autoregressive or at once; latents or combined; losses and masking.
    "streams": _streams("causal latents over all snippets, text looks at them", ""),
    "streams-no-latent-loss": _streams("... without the loss of the latents", sizes=_NO_LATENT),
    "streams-latent-loss-1": _streams("... with ten times that loss", sizes={"latent_weight": 1.0}),
    "streams-whole": _streams(
        "all snippets see each other", "streams-no-latent-loss", sizes=_NO_LATENT,
        build=partial(rebuilt, encoder=WholeEncoder),
    ),
    "streams-combined": _streams(
        "text looks at each snippet by itself", "streams-no-latent-loss", sizes={**_NO_LATENT, "latent_snippets": 1}
    ),
    "streams-untimed": _streams("no times on what text looks at", build=partial(rebuilt, encoder=UntimedEncoder)),
    "streams-mask-combined": _streams("a quarter of the combined tokens masked", sizes={"mask_rate": 0.25}),
    "streams-mask-latents": _streams(
        "a quarter of the latents masked", build=partial(rebuilt, encoder=LatentMaskedEncoder)
    ),
    "streams-prefix": _streams(
        "latents projected and put before the text", equal="parameters", sizes={"text_mlp": 299},
        build=partial(rebuilt, decoder=PrefixDecoder),
    ),
    "streams-prefix-combined": _streams(
        "each snippet by itself, projected and put before the text", "streams-combined", "parameters",
        sizes={**_NO_LATENT, "latent_snippets": 1, "text_mlp": 299}, build=partial(rebuilt, decoder=PrefixDecoder),
    ),
    # A window of four snippets, and memories behind it.
    "streams-window": _streams("text looks at the last 4 snippets", equal="parameters", sizes=_WINDOW),
    **{
        f"streams-ttm-{size}": _streams(
            f"... and at {size} tokens of a Token Turing Machine", "streams-window", "neither",
            sizes=_memory("local-ttm", size),
        )
        for size in (4, 16, 64)
    },
    "streams-ttm-untimed": _streams(
        "16 tokens that do not say when they were", "streams-ttm-16", sizes=_memory("local-ttm", 16),
        build=partial(rebuilt, encoder=UntimedEncoder),
    ),
    **{
        f"streams-priority-{size}": _streams(
            f"... and at {size} slots of a priority memory", "streams-window", "neither",
            sizes=_memory("priority", size),
        )
        for size in (4, 16)
    },
    # Longer streams, as many snippets to learn from.
    **{
        f"streams-{seconds * 4}-frames": _streams(f"{seconds} snippets, {seconds * 4} frames", seconds=seconds)
        for seconds in (24, 48, 128)
    },
    # From the signals on.
    "scenes": _scenes("4 snippets of 4 frames, local combiner, K = 4", ""),
    **{
        f"scenes-{16 // frames}-snippets": _scenes(
            f"{16 // frames} snippet{'s' * (frames < 16)} of {frames} frames, K = {frames}", equal="parameters",
            sizes={"frames": frames, "combined": frames},
        )
        for frames in (2, 8, 16)
    },
    # As many snippets, each of more or fewer frames of the same second.
    **{
        f"scenes-{16 * rate // 4}-frames": _scenes(
            f"{16 * rate // 4} frames, {rate} in each of 4 snippets", equal="parameters",
            sizes={"frame_rate": float(rate), "frames": rate},
        )
        for rate in (2, 8, 16)
    },
    "scenes-causal": _scenes("causal combiner", equal="parameters", sizes={"combiner": "causal"}),
    "scenes-ttm": _scenes("Token Turing Machine, 16 tokens", equal="neither", sizes={"combiner": "ttm", "memory": 16}),
    **{
        f"scenes-k{kept}": _scenes(f"K = {kept}", equal="parameters", sizes={"combined": kept})
        for kept in (8, 16, 32, 64)
    },
    "scenes-two-vits": _scenes(
        "a ViT for each modality", equal="compute", build=partial(rebuilt, encoder=TwoVitEncoder)
    ),
    "scenes-two-layers": _scenes("one ViT of two layers", equal="neither", sizes={"vit_layers": 2}),
    "scenes-flat-sound": _scenes("a snippet's spectrogram as one vector", equal="neither", sizes={"patch": (16, 20)}),
    "scenes-one-tube": _scenes(
        "one tube shape", equal="neither", sizes={"tubes": (((2, 6, 6), (2, 6, 6), (0, 0, 0)),)}
    ),
    "scenes-no-losses": _scenes("no loss but that of the text", sizes=_NO_LATENT),
    "scenes-video-loss": _scenes("... and the next snippet's pictures", equal="neither",
                                 sizes={"reconstruct_video": True}),
    "scenes-audio-loss": _scenes("... and its spectrogram", equal="neither", sizes={"reconstruct_audio": True}),
    "scenes-mask-input": _scenes(
        "a quarter of the tokens before the combiner masked", build=partial(rebuilt, encoder=InputMaskedEncoder)
    ),
    "scenes-mask-combined": _scenes("a quarter of the combined tokens masked", sizes={"mask_rate": 0.25}),
}  # fmt: skip
STEPS = {"streams": 600, "scenes": 1_000}
SILENT = 250  # steps of scenes that are without sound


@lru_cache(maxsize=1)
def scene_tokenizer() -> Tokenizer:
    return toybox_tokenizer(SCENES.vocabulary, scenes=300)


def scene_batches(sizes: Sizes, seed: int, first: int, last: int) -> SingleSceneBatches:
    return SingleSceneBatches(SINGLE, sizes, Text(scene_tokenizer()), first, last, silent=SILENT, seed=seed)


def recipe(name: str = "streams", seed: int = 0) -> Run:
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    sizes, scenes = experiment.all_sizes(), experiment.world == "scenes"
    streams = SNIPPETS // experiment.seconds
    walk = Walk(0, chunk=experiment.seconds, chunks=1, visits=STREAM_VISITS, streams=streams)

    def batches(first: int, last: int) -> SteppedBatches:
        if scenes:
            return scene_batches(sizes, seed, first, last)
        tiny_stream.store("train")
        return FusedStreamBatches(
            partial(tiny_stream.store, "train"), Text(tiny_stream.tokenizer()), (walk,), first, last,
            questions=QUESTIONS // streams, seed=seed,
        )  # fmt: skip

    return Run(
        name=f"{name}-{seed}",
        sizes=sizes,
        optimisation=Optimisation(steps=STEPS[experiment.world], rate=2e-3, other_rate=2e-3, warmup=20, decay=0.4),
        batches=batches,
        tokenizer=scene_tokenizer if scenes else tiny_stream.tokenizer,
        data="Toybox scenes of one thing" if scenes else "Toybox streams, fused beforehand",
        seed=seed,
        build=experiment.build,
        frozen=() if scenes else tuple(f"encoder.{part}" for part in tiny_stream.FUSING),
        workers=0,
        threads=1,
        log_every=50,
        save_every=10_000,
    )
