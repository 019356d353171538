"""Parts made alone: filled from the first moment on, and one line for a tensor of the wrong shape."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers import COMBINERS, random_inputs, random_sizes
from mirasol.model.combiner import CausalCombiner
from mirasol.model.decoder import Decoder
from mirasol.model.embeddings import CHANNELS, Patches, Tubes
from mirasol.model.encoder import COMBINER, Encoder
from mirasol.model.inputs import Inputs
from mirasol.model.latents import LatentModel
from mirasol.model.layers import Attention, Block, GatedMlp, Mlp, Style
from mirasol.model.memory import QueryLearner, TokenLearner, TokenTuringMachine
from mirasol.model.mirasol import Mirasol
from mirasol.model.priority import PriorityCombiner
from mirasol.model.reconstruction import Reconstruction
from mirasol.model.sizes import Sizes
from mirasol.model.state import tensors
from mirasol.model.vit import PICTURE, SOUND, Vit

BATCH, SNIPPETS, TIMES = 2, 7, 12
Call = Callable[[Any], Any]
JUNK = 3e38  # what unfilled memory holds in these tests: nothing that comes of it is finite or small


@pytest.fixture(autouse=True)
def _unfilled_memory_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.empty` returns junk at once, instead of now and then."""
    empty = torch.empty

    def junk(*shape: Any, **options: Any) -> Tensor:
        made = empty(*shape, **options)
        return made.fill_(JUNK) if made.is_floating_point() and made.device.type == "cpu" else made

    monkeypatch.setattr(torch, "empty", junk)


def random_sizes_of_any_kind(chance: random.Random, combiner: str) -> Sizes:
    return random_sizes(
        chance, combiner, BATCH, SNIPPETS, picture_grid=chance.choice(((), (3, 5))),
        sound_grid=chance.choice(((), (2, 9))), vit_layer_scale=chance.random() < 0.5,
        cross_gate=chance.random() < 0.5, text_qk_norm=chance.random() < 0.5,
    )  # fmt: skip


def parts(sizes: Sizes) -> Iterator[tuple[Callable[[], nn.Module], Call]]:
    """Each public part, and a call of it with the shapes of its docstring."""
    wide, inputs = sizes.av_width, random_inputs(sizes, BATCH, SNIPPETS)
    count = sum(sizes.viewed_tokens) + 2
    snippets = torch.arange(SNIPPETS).expand(BATCH, -1)
    tokens, mask = torch.randn(BATCH, SNIPPETS, count, wide), torch.rand(BATCH, SNIPPETS, count) < 0.7
    latents, heads = torch.randn(BATCH, SNIPPETS, sizes.combined, wide), sizes.av_heads
    ids, context = torch.randint(6, sizes.vocabulary, (3, 5)), torch.randn(3, 11, wide)
    yield lambda: Tubes(sizes), lambda part: part(inputs.pixel_values_videos)
    yield lambda: Patches(sizes), lambda part: part(inputs.input_features)
    for modality in (PICTURE, SOUND):
        yield lambda: Vit(sizes), lambda part, kind=modality: part(tokens[0], mask[0], kind)
    made = COMBINER[sizes.combiner]
    yield lambda: made(sizes), lambda part: part(tokens, mask, snippets, part.start(BATCH, tokens))
    yield lambda: CausalCombiner(sizes), lambda part: part(tokens, mask, snippets, part.start(BATCH, tokens))
    if sizes.combiner == "priority":
        start = PriorityCombiner(sizes).start(BATCH, latents)
        yield lambda: PriorityCombiner(sizes), lambda part: part.remember(latents, snippets, start)
    yield lambda: TokenLearner(wide, 4, 9), lambda part: part(tokens[0], mask[0])
    yield lambda: QueryLearner(wide, 4), lambda part: part(tokens[0], mask[0])
    for select in ("tokenlearner", "mha"):
        for positions in (True, False):
            yield (
                lambda select=select, positions=positions: TokenTuringMachine(
                    wide, heads, 20, 2, memory=5, inputs=count, outputs=3, select=select, positions=positions
                ),
                lambda part: part(torch.zeros(SNIPPETS, 5, wide), tokens[0], mask[0]),
            )
    yield lambda: LatentModel(sizes), lambda part: part(latents, snippets, part.start(BATCH, latents))
    yield lambda: Decoder(sizes), lambda part: part(ids, context, torch.rand(3, 11) < 0.5)
    yield lambda: Reconstruction(sizes), lambda part: part(latents)
    yield lambda: Encoder(sizes), lambda part: part.context(part(inputs)[2])
    yield lambda: Mirasol(sizes), lambda part: part(inputs, ids[:BATCH], ids[:BATCH])
    yield lambda: Attention(wide, heads), lambda part: part(latents[0])
    yield lambda: Mlp(wide, 7, 5), lambda part: part(latents)
    yield lambda: GatedMlp(wide, 7), lambda part: part(latents)
    scaled = Style(layer_scale=True, cross_gate=True)
    yield lambda: Block(wide, heads, 9, context_width=8, style=scaled), (
        lambda part: part(latents[0], context=torch.randn(SNIPPETS, 3, 8))
    )  # fmt: skip


def found(value: Any) -> list[Tensor]:
    """All tensors in what a part returned."""
    if isinstance(value, dict | list):
        value = tuple(value.values() if isinstance(value, dict) else value)
    if isinstance(value, tuple):
        return [tensor for item in value for tensor in found(item)]
    return tensors(value)


@pytest.mark.parametrize("combiner", COMBINERS)
@torch.no_grad()
def test_every_part_alone_is_filled_and_works(combiner: str, seeds: int) -> None:
    chance = random.Random(seeds)
    for _ in range(3):
        sizes = random_sizes_of_any_kind(chance, combiner)
        for make, call in parts(sizes):
            for _ in range(TIMES // 3):
                part = make()
                made = [tensor for tensor in found(call(part)) if tensor.is_floating_point()]
                assert made, part
                for tensor in (*part.parameters(), *made):
                    assert tensor.isfinite().all(), part
                    assert tensor.numel() == 0 or tensor.abs().max() < 1e4, part


def test_a_seed_draws_the_same_and_parts_differ(seeds: int) -> None:
    sizes = random_sizes_of_any_kind(random.Random(seeds), "priority")
    for make, _ in parts(sizes):
        made = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            made.append(make().state_dict())
        assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())
        assert any(not torch.equal(value, made[2][name]) for name, value in made[0].items())


def test_a_whole_model_is_filled_once(seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts draw nothing beforehand: what a seed draws for a whole model is PyTorch's own start of its layers, as
    they are made, and then the table, once."""
    sizes = random_sizes(random.Random(seeds), "local-ttm", BATCH, SNIPPETS)
    filled = []
    for kind in (nn.init.normal_, nn.init.zeros_, nn.init.ones_):

        def count(tensor: Tensor, *rest: Any, fill: Any = kind, **named: Any) -> Tensor:
            filled.append(id(tensor))
            return fill(tensor, *rest, **named)

        monkeypatch.setattr(nn.init, kind.__name__, count)
    model = Mirasol(sizes)
    ours = {id(p) for name, p in model.named_parameters() if name.endswith(("_tokens", "_positions", "proj.weight"))}
    assert ours
    assert all(filled.count(one) == 1 for one in ours)


def wrong(sizes: Sizes) -> Iterator[tuple[Callable[[], Any], str]]:
    """Calls with tensors of the wrong shape, and the shape that the message must state."""
    wide, f, c, h, w = sizes.av_width, sizes.frames, CHANNELS, sizes.height, sizes.width
    pixels = torch.zeros(BATCH, SNIPPETS, f, c, h, w)
    spectrogram = torch.zeros(BATCH, SNIPPETS, sizes.mels, sizes.columns)
    pictures = f"(B, S, F={f}, C={c}, H={h}, W={w})"
    for bad in (pixels[0], pixels.transpose(2, 3), pixels.transpose(4, 5), pixels[:, :, 1:], [1.0]):
        yield lambda bad=bad: Tubes(sizes)(bad), pictures
    yield lambda: Tubes(sizes).mask(torch.ones(BATCH, SNIPPETS, f + 1)), f"(B, S, F={f})"
    for bad in (spectrogram[0], spectrogram.transpose(2, 3), spectrogram[..., 1:]):
        yield lambda bad=bad: Patches(sizes)(bad), f"(B, S, M={sizes.mels}, L={sizes.columns})"
    tokens, mask = torch.zeros(3, 8, wide), torch.ones(3, 8, dtype=torch.bool)
    yield lambda: Vit(sizes)(tokens[..., 1:], mask, PICTURE), f"(B, N, D={wide})"
    yield lambda: Vit(sizes)(tokens, mask[:, 1:], PICTURE), "(B=3, N=8)"
    machine = TokenTuringMachine(wide, sizes.av_heads, 20, 1, memory=5, inputs=8, outputs=4)
    memory = torch.zeros(3, 5, wide)
    yield lambda: machine(memory[:, 1:], tokens), f"(B, R=5, D={wide})"
    yield lambda: machine(memory[0], tokens), f"(B, R=5, D={wide})"
    yield lambda: machine(memory, tokens[:, 1:]), f"(B=3, N=8, D={wide})"
    yield lambda: machine(memory, tokens[1:]), f"(B=3, N=8, D={wide})"
    yield lambda: machine(memory, tokens, mask[:, :, None]), "(B=3, N=8)"
    yield lambda: TokenLearner(wide, 4)(tokens[0]), f"(B, N, D={wide})"
    snippets, some = torch.zeros(BATCH, SNIPPETS, dtype=torch.long), torch.zeros(BATCH, SNIPPETS, sizes.combined, wide)
    model = LatentModel(sizes)
    yield (
        lambda: model(some.transpose(1, 2), snippets, model.start(BATCH, some)),
        f"(B, S, K={sizes.combined}, D={wide})",
    )
    yield lambda: model(some, snippets[:, 1:], model.start(BATCH, some)), f"(B={BATCH}, S={SNIPPETS})"
    combiner = COMBINER[sizes.combiner](sizes)
    seen = torch.zeros(BATCH, SNIPPETS, sum(sizes.viewed_tokens) + 2, wide)
    yield lambda: combiner(seen[0], seen[0, ..., 0], snippets, combiner.start(BATCH, seen)), f"D={wide})"
    yield lambda: combiner(seen, seen[..., 1:, 0] == 0, snippets, combiner.start(BATCH, seen)), "N="
    decoder, ids = Decoder(sizes), torch.zeros(3, 6, dtype=torch.long)
    context, look = torch.zeros(3, 4, wide), torch.ones(3, 4, dtype=torch.bool)
    yield lambda: decoder(ids[0], context, look), "(B, T)"
    yield lambda: decoder(ids, context[1:], look), f"(B=3, C, D={wide})"
    yield lambda: decoder(ids, context, look[:, 1:]), "(B=3, C=4)"
    yield lambda: decoder(ids, context, look, text_mask=look), "(B=3, T=6)"
    yield lambda: Reconstruction(sizes)(some[0]), f"(B, S, K, D={wide})"
    yield lambda: Attention(wide, sizes.av_heads)(tokens[0]), f"(B, Q, D={wide})"
    yield lambda: Block(wide, 2, 9, context_width=8)(tokens, context=tokens), "(B=3, C, D=8)"
    yield lambda: Mlp(wide, 9)(tokens[..., 1:]), f"(..., D={wide})"
    encoder = Encoder(sizes)
    given = Inputs(pixels, torch.ones(BATCH, SNIPPETS, f + 1), spectrogram)
    yield lambda: encoder(given), f"frame_mask of shape (B={BATCH}, S={SNIPPETS}, F={f})"
    yield lambda: encoder(Inputs(pixels, None, spectrogram[:, 1:])), f"(B={BATCH}, S={SNIPPETS}, M={sizes.mels}"
    yield lambda: encoder(Inputs(pixels[0, 0])), "pixel_values_videos of shape (B="
    yield lambda: encoder(Inputs(pixels), encoder.start(BATCH + 1)), f"(B={BATCH},)"


@pytest.mark.parametrize("combiner", ["local", "ttm tokenlearner", "causal"])
def test_a_wrong_shape_is_one_line(combiner: str, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS)
    for call, stated in wrong(sizes):
        with pytest.raises(ValueError, match=r"expected .*, found ") as error:
            call()
        assert stated in str(error.value), str(error.value)
        assert "\n" not in str(error.value)
