"""Real pretrained models against the originals in transformers, where they are on this disk:

python tools/fetch_models.py models && MIRASOL_PRETRAINED=models python -m pytest tests/warm/test_warm_real.py -m ""
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, Dinov2Model

from helpers import difference, greedy, random_inputs
from mirasol.model.inputs import Inputs
from mirasol.model.signals import snippet_pixels
from mirasol.model.sizes import PRESETS
from mirasol.model.text import Text, train_tokenizer
from mirasol.warm import join
from mirasol.warm.vit import IMAGENET

MODELS = Path(os.environ.get("MIRASOL_PRETRAINED", "models"))
STORIES, SMOL, DINO = MODELS / "stories15m", MODELS / "smollm2-135m", MODELS / "dinov2-small"
START = "Once upon a time, there was a little dog named"


def needs(folder: Path) -> pytest.MarkDecorator:
    reason = f"no {folder.name} here; tools/fetch_models.py brings it"
    return pytest.mark.skipif(not folder.is_dir(), reason=reason)


@needs(STORIES)
@torch.no_grad()
def test_stories15m(seeds: int) -> None:
    original, tokenizer = (
        AutoModelForCausalLM.from_pretrained(STORIES).float().eval(),
        AutoTokenizer.from_pretrained(STORIES),
    )
    model = join("tiny", text=STORIES).model
    ids = torch.tensor([[1, *tokenizer(START, add_special_tokens=False)["input_ids"]]])
    assert ids.shape[1] == 12  # one token a word: the pieces were merged in the right order
    expected = original(ids).logits
    for inputs in (Inputs(snippet_mask=torch.zeros(1, 1).bool()), random_inputs(model.sizes, 1, 3)):
        found = model(inputs, ids)
        assert difference(found.logits, expected) < 1e-4
    _, _, state = model.encoder(random_inputs(model.sizes, 1, 3))
    context, look = model.encoder.context(state)
    story = original.generate(ids, do_sample=False, max_new_tokens=60, pad_token_id=0)[0, ids.shape[1] :].tolist()
    assert greedy(model, context, look, ids.tolist(), end=2, most=60) == [story]
    assert "Spot" in tokenizer.decode(story)


@pytest.mark.slow
@needs(SMOL)
@torch.no_grad()
def test_smollm2_from_gguf() -> None:
    (file,) = SMOL.glob("*.gguf")
    original = AutoModelForCausalLM.from_pretrained(SMOL, gguf_file=file.name, dtype=torch.float32).eval()
    joined = join("tiny", text=file, cross_every=6)
    text, sizes = Text(joined.tokenizer), joined.model.sizes
    ids = torch.tensor([text.prompt("What is the capital of France?")])
    look = torch.zeros(1, sizes.context_tokens).bool()
    context = torch.zeros(1, sizes.context_tokens, sizes.av_width)
    found = joined.model.lm_head(joined.model.decoder(ids, context, look)[0])
    assert difference(found, original(ids).logits) < 1e-4
    answer = greedy(joined.model, context, look, ids.tolist(), end=text.end, most=20)
    assert text.decode(answer[0]) == "The capital of France is Paris."
    assert not joined.report.left


@pytest.mark.slow
@needs(DINO)
@torch.no_grad()
@pytest.mark.parametrize("side", [224, 518])
def test_dinov2_small(side: int) -> None:
    original = Dinov2Model.from_pretrained(DINO).eval()
    sizes = PRESETS["small"].change(height=side, width=side, reconstruct_scale=side // 14, reconstruct_patch=7)
    tokenizer: Tokenizer = train_tokenizer(["what do you hear?"], 280)
    tubes = (((1, 14, 14), (8, 14, 14), (0, 0, 0)),)
    model = join(sizes, vit=DINO, tokenizer=tokenizer, tubes=tubes).model
    picture = np.random.default_rng(side).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    mean, deviation = (torch.tensor(value)[:, None, None] for value in IMAGENET)
    pixels = (torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255 - mean) / deviation
    expected = original(pixel_values=pixels).last_hidden_state[:, 1:]
    ours, _ = snippet_pixels(picture, np.zeros((1, 8), int), model.sizes)
    inputs = Inputs(ours[None]).complete(model.sizes, model.encoder.mask_tokens)
    tokens = model.encoder.tubes(inputs.pixel_values_videos)[0]
    found = model.encoder.vit(tokens, torch.ones(tokens.shape[:2]).bool(), 0)
    assert found.shape == expected.shape
    assert difference(found, expected) < 1e-4
