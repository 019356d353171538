"""A ViT that comes from another model gives that model's patch features of a still picture (or of a spectrogram)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from checkpoints import SIZES, VIT, VITS, save_vit, shake
from torch import Tensor
from torch.nn import functional as F
from transformers import DINOv3ViTConfig, SwinConfig

from helpers import difference
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.signals import PIXEL_MEAN, PIXEL_STD, snippet_pixels
from mirasol.model.text import train_tokenizer
from mirasol.warm import join
from mirasol.warm.vit import FAMILIES, inflate_kernel, load_vit

STILLS = 2
TOKENIZER = train_tokenizer(["what do you hear? a dog"] * 3, 280)


def still(side: int) -> np.ndarray:
    """(STILLS, side, side, 3) random pictures."""
    return np.random.default_rng(side).integers(0, 256, (STILLS, side, side, 3), dtype=np.uint8)


def as_theirs(pictures: np.ndarray, mean: Any, deviation: Any) -> Tensor:
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255
    mean, deviation = (torch.tensor(value, dtype=torch.float64)[:, None, None] for value in (mean, deviation))
    return ((pixels - mean) / deviation).float()


def as_ours(pictures: np.ndarray, model: Mirasol) -> Tensor:
    """The same still in every frame of one snippet each: (STILLS, 1, F, C, H, W)."""
    chosen = np.repeat(np.arange(STILLS)[:, None], model.sizes.frames, axis=1)
    return snippet_pixels(pictures, chosen, model.sizes)[0].unsqueeze(1)


def original_features(original: Any, pixels: Tensor, **options: Any) -> Tensor:
    """Patch features (STILLS, patches, D), after the last norm."""
    features = original(pixel_values=pixels, **options).last_hidden_state
    if original.config.model_type == "clip_vision_model":  # CLIP norms the class token alone, by the same norm
        features = original.post_layernorm(features)
    return features[:, -((pixels.shape[-1] // original.config.patch_size) ** 2) :]


def our_features(model: Mirasol, pictures: np.ndarray) -> Tensor:
    tokens, _ = model.encoder.tokenize(
        Inputs(as_ours(pictures, model)).complete(model.sizes, model.encoder.mask_tokens)
    )
    return tokens[:, 0]


def square(side: int) -> Any:
    return SIZES.change(height=side, width=side, reconstruct_scale=side // 10, reconstruct_patch=2)


@pytest.mark.parametrize("name", VITS)
@torch.no_grad()
def test_features_of_a_still_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    original = save_vit(name, tmp_path)
    mean, deviation = FAMILIES[original.config.model_type][1]
    # The others can be asked for pictures of another size, and scale positions as we do (DINOv2 with registers has a
    # kernel of its own for that).
    sides = (30,) if name in ("CLIP", "SigLIP", "DINOv2 with registers") else (30, 50)
    for side in sides:
        still_tube = ((1, 5, 5), (4, 5, 5), (1, 0, 0))
        whole_tube = ((4, 5, 5), (4, 5, 5), (0, 0, 0))
        joined = join(square(side), vit=tmp_path, tokenizer=TOKENIZER, tubes=(still_tube, whole_tube))
        options = {"interpolate_pos_encoding": True} if name.startswith(("ViT", "DeiT")) else {}
        expected = original_features(original, as_theirs(still(side), mean, deviation), **options)
        # Alone, a shape is the original: the other one's tokens would take part in its attention.
        for at, tube in enumerate((still_tube, whole_tube)):
            alone = join(square(side), vit=tmp_path, tokenizer=TOKENIZER, tubes=(tube,)).model
            assert difference(our_features(alone, still(side))[:, : expected.shape[1]], expected) < 1e-4, (side, at)
        assert expected.std() > 0.1
        both = joined.model.encoder.tubes(as_ours(still(side), joined.model))[:, 0]
        assert difference(both[:, : expected.shape[1]], both[:, expected.shape[1] :]) < 1e-4  # tokens, before attention


@pytest.mark.parametrize("name", ["CLIP", "Siglip"])
def test_the_tower_inside_a_model_of_pictures_and_words(name: str, tmp_path: Path) -> None:
    """A whole CLIP or SigLIP: its words are left over, the tower is that of a model which holds nothing else."""
    vision = getattr(transformers, f"{name}VisionConfig")(**VIT).to_dict()
    text = getattr(transformers, f"{name}TextConfig")(
        hidden_size=18, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2, vocab_size=31
    ).to_dict()
    whole = shake(getattr(transformers, f"{name}Model")(
        getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision)
    ))  # fmt: skip
    whole.save_pretrained(tmp_path)
    part = load_vit(tmp_path, square(30))
    model = join(square(30), vit=tmp_path, tokenizer=TOKENIZER, tubes=(((1, 5, 5), (4, 5, 5), (0, 0, 0)),)).model
    mean, deviation = FAMILIES[whole.config.vision_config.model_type][1]
    expected = original_features(whole.vision_model, as_theirs(still(30), mean, deviation))
    with torch.no_grad():
        assert difference(our_features(model, still(30))[:, :36], expected) < 1e-4
    assert any(left.startswith("text_model.") for left in part.left)


@torch.no_grad()
def test_the_scaling_of_the_folder_is_used(tmp_path: Path) -> None:
    original = save_vit("ViT", tmp_path)
    mean, deviation = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": deviation}))
    model = join(square(30), vit=tmp_path, tokenizer=TOKENIZER, tubes=(((1, 5, 5), (4, 5, 5), (0, 0, 0)),)).model
    expected = original_features(original, as_theirs(still(30), mean, deviation))
    assert difference(our_features(model, still(30))[:, :36], expected) < 1e-4


@torch.no_grad()
def test_a_spectrogram_has_the_features_of_the_original(tmp_path: Path) -> None:
    original = save_vit("AST", tmp_path)
    sizes = SIZES.change(hop=400)  # 40 columns in a snippet, as the original has
    model = join(sizes, vit=tmp_path, tokenizer=TOKENIZER).model
    spectrogram = torch.randn(2, 3, 16, 40)
    inputs = Inputs(input_features=spectrogram).complete(model.sizes, model.encoder.mask_tokens)
    tokens, mask = model.encoder.tokenize(inputs)
    expected = original(input_values=spectrogram.flatten(0, 1).transpose(1, 2)).last_hidden_state[:, 2:]
    found = tokens[:, :, model.sizes.tube_tokens : -2].flatten(0, 1)
    assert mask[:, :, model.sizes.tube_tokens : -2].all()
    assert difference(found, expected) < 1e-4
    # A shorter snippet has the positions of the first seconds.
    short = join(SIZES.change(hop=800, window=800), vit=tmp_path, tokenizer=TOKENIZER).model
    rows, columns = short.sizes.patch_grid
    table = model.encoder.patches.positions(torch.zeros(1)).unflatten(0, (rows, -1))[:, :columns].flatten(0, 1)
    assert columns == 4
    assert difference(short.encoder.patches.positions(torch.zeros(1)), table) < 1e-5


@torch.no_grad()
def test_a_spectrogram_is_read_as_a_grey_picture(tmp_path: Path) -> None:
    """A picture whose three colours are the log-mel values has the same features in the original."""
    original = save_vit("DINOv2", tmp_path)
    made = join(SIZES, vit=tmp_path, tokenizer=TOKENIZER, hear=True, mels=15)
    model, sizes = made.model, made.model.sizes
    assert (sizes.patch, sizes.patch_grid, sizes.sound_grid) == ((5, 5), (3, 5), (3, 5))
    spectrogram = torch.randn(STILLS, 1, 15, sizes.columns)
    tokens = model.encoder.view(Inputs(input_features=spectrogram).complete(sizes, spectrogram)).patches[:, 0]
    mean, deviation = (torch.tensor(value)[:, None, None] for value in FAMILIES["dinov2"][1])
    grey = spectrogram.expand(-1, 3, -1, -1) * PIXEL_STD + PIXEL_MEAN
    theirs = original(pixel_values=(grey - mean) / deviation).last_hidden_state[:, 1:]
    assert difference(tokens, theirs) < 1e-4
    names = {name for name, _ in model.named_parameters() if name.startswith("encoder.patches.")}
    assert names <= set(made.report.loaded)
    with pytest.raises(ValueError, match="4 mel bins and 25 columns holds no patch of 5x5"):
        join(SIZES, vit=tmp_path, tokenizer=TOKENIZER, hear=True, mels=4)
    save_vit("AST", tmp_path / "ast")
    with pytest.raises(ValueError, match="ast hears already: leave out hear"):
        join(SIZES, vit=tmp_path / "ast", tokenizer=TOKENIZER, hear=True)


def test_kernels_inflate(seeds: int) -> None:
    kernel, picture = torch.randn(7, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = F.conv2d(picture, kernel)[..., 0, 0]
    film = picture.unsqueeze(2).repeat(1, 1, 5, 1, 1)
    for how in ("average", "centre"):
        inflated = inflate_kernel(kernel, (5, 4, 4), how)
        assert difference(F.conv3d(film, inflated)[..., 0, 0, 0], expected) < 1e-5
    other = film.clone()
    other[:, :, 0] = 0.0
    centre, average = (inflate_kernel(kernel, (5, 4, 4), how) for how in ("centre", "average"))
    assert difference(F.conv3d(other, centre)[..., 0, 0, 0], expected) < 1e-5
    assert difference(F.conv3d(other, average)[..., 0, 0, 0], expected) > 1e-2
    # Of another size: what the kernel gives of the picture scaled to its own.
    larger = torch.rand(2, 3, 8, 12)
    expected = F.conv2d(F.avg_pool2d(larger, (2, 3)), kernel)[..., 0, 0]
    found = F.conv2d(larger, inflate_kernel(kernel, (1, 8, 12))[:, :, 0])[..., 0, 0]
    assert difference(found, expected) < 1e-4
    even = inflate_kernel(kernel, (3, 9, 3))
    assert difference(even.sum(dim=(2, 3, 4)), kernel.sum(dim=(2, 3))) < 1e-4


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    for config, words in (
        (DINOv3ViTConfig(), "dinov3_vit has positions that turn"),
        (SwinConfig(), "swin has windows"),
    ):
        config.save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=words):
            load_vit(tmp_path, SIZES)
    save_vit("DINOv2", tmp_path / "gated", use_swiglu_ffn=True)
    with pytest.raises(ValueError, match=r"its blocks hold encoder\.layer\.0\.mlp\.weights"):
        load_vit(tmp_path / "gated", SIZES)
    with pytest.raises(ValueError, match="inflate must be one of"):
        load_vit(tmp_path, SIZES, inflate="twice")


def test_the_report_names_every_parameter(tmp_path: Path) -> None:
    save_vit("SigLIP", tmp_path)
    joined = join(square(30), vit=tmp_path, tokenizer=TOKENIZER)
    report = joined.report
    assert sorted([*report.loaded, *report.new]) == sorted(name for name, _ in joined.model.named_parameters())
    assert all(name.startswith("vit: head.") for name in report.left)
    assert len(report.left) == 11  # the pooling head of SigLIP
    assert "left over: 11" in report.summary()
    assert (
        joined.model.encoder.vit.modality_tokens[0].abs().max() == 0 < joined.model.encoder.vit.modality_tokens[1].std()
    )
