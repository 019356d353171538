"""Contract 6, round trip: what is saved comes back the same: through the class, the Auto classes, the inner ring, and
with the code loaded from a folder outside the package."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForSeq2SeqLM, AutoProcessor

from helpers import COMBINERS, greedy, random_inputs, random_model, random_sizes
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.mirasol import IGNORE, Mirasol
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration, save_code
from mirasol.model.processing_mirasol import MirasolProcessor
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import END, PAD, START, Text, train_tokenizer
from mirasol.train.checkpoint import save_model

BATCH, SNIPPETS, LENGTH = 2, 7, 9
TOKENIZER = train_tokenizer(["what do you hear? a dog and a bell, then a horse"] * 3, 300)


def random_skin(sizes: Sizes) -> MirasolForConditionalGeneration:
    skin = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict()))
    skin.load_state_dict(random_model(sizes).state_dict())
    return skin.eval()


def random_batch(sizes: Sizes) -> dict[str, Tensor]:
    """Everything that the skin reads, prompts padded on the left."""
    ids = torch.randint(END + 2, sizes.vocabulary, (BATCH, LENGTH))
    ids[0, 0], ids[1, :4] = START, torch.tensor([PAD, PAD, PAD, START])
    return {
        **vars(random_inputs(sizes, BATCH, SNIPPETS)),
        "decoder_input_ids": ids,
        "decoder_attention_mask": (ids != PAD).long(),
    }


@torch.no_grad()
def results(model: MirasolForConditionalGeneration, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    labels = batch["decoder_input_ids"].masked_fill(batch["decoder_attention_mask"] == 0, IGNORE)
    outcome = model(**batch, labels=labels)
    names = ("loss", "logits", "text", "latent", "video", "audio", "spread")
    return {name: outcome[name].clone() for name in names}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("combiner", COMBINERS)
def test_saved_and_loaded_is_the_same(combiner: str, tmp_path: Path, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS)
    skin, batch = random_skin(sizes), random_batch(sizes)
    skin.save_pretrained(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".json"] == [".safetensors"]
    torch.randn(1000)  # memory that is not filled would not come out the same
    for kind in (MirasolForConditionalGeneration, AutoModelForSeq2SeqLM):
        loaded = kind.from_pretrained(tmp_path)
        assert type(loaded) is MirasolForConditionalGeneration
        assert_same(skin.state_dict(), loaded.state_dict())
        assert_same(dict(skin.named_buffers()), dict(loaded.named_buffers()))
        for parameter in loaded.parameters():  # a mapped file is aligned otherwise: the last bit of a sum may differ
            parameter.data = parameter.data.clone()
        assert_same(results(skin, batch), results(loaded, batch))
        assert (loaded.lm_head.weight is loaded.decoder.embed.weight) is sizes.tied
    assert AutoConfig.from_pretrained(tmp_path).model_sizes == sizes


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("combiner", COMBINERS)
def test_both_rings_read_each_other(combiner: str, tied: bool, tmp_path: Path, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, BATCH, SNIPPETS, tied=tied)
    inner = random_model(sizes)
    save_model(inner, TOKENIZER, tmp_path / "inner")
    skin = MirasolForConditionalGeneration.from_pretrained(tmp_path / "inner")
    assert_same(inner.state_dict(), skin.state_dict())
    skin.save_pretrained(tmp_path / "skin")
    again = Mirasol.load(tmp_path / "skin")
    assert again.sizes == sizes
    assert_same(inner.state_dict(), again.state_dict())


def greedy_answers(sizes: Sizes) -> list[list[int]]:
    """Answers of a random model by the inner ring, after those of the skin were found to be the same: prompts of two
    lengths, three for two clips; with the cache and without it; until the positions are used up."""
    inner, batch = random_model(sizes), random_batch(sizes)
    with torch.no_grad():  # a model that leans to counting on from the last id: it does not say one word for ever
        inner.decoder.embed.weight *= 3
        inner.lm_head.weight.copy_(inner.decoder.embed.weight.roll(1, dims=0))
    skin = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict())).eval()
    skin.load_state_dict(inner.state_dict())
    rows = torch.tensor([1, 0, 0])
    for name in ("decoder_input_ids", "decoder_attention_mask"):
        batch[name] = torch.cat([batch[name], batch[name][:1]])
    watched = skin.get_encoder()(**{name: value for name, value in batch.items() if not name.startswith("decoder")})
    shown = batch["decoder_attention_mask"].bool()
    prompts = [ids[real].tolist() for ids, real in zip(batch["decoder_input_ids"], shown, strict=True)]
    answers = greedy(inner, watched.last_hidden_state[rows], watched.attention_mask[rows], prompts, end=END)
    for cached in (True, False):
        made = skin.generate(**batch, rows=rows, use_cache=cached)[:, LENGTH:].tolist()
        made = [ids[: ids.index(END)] if END in ids else ids for ids in made]
        # There, padding in front of a prompt takes room from its answer.
        room = sizes.text_positions - LENGTH + 1
        assert made == [ids[:room] for ids in answers]
    return answers


@pytest.mark.parametrize("combiner", COMBINERS)
def test_greedy_answers_of_both_rings_are_equal(combiner: str, seeds: int) -> None:
    chance, varied = random.Random(seeds), 0
    for _ in range(3):
        sizes = random_sizes(chance, combiner, BATCH, SNIPPETS, tied=False, text_positions=24)
        answers = greedy_answers(sizes)
        varied += len({tuple(answer) for answer in answers}) > 1 and max(len(set(answer)) for answer in answers) > 2
    assert varied, "all answers say one word: this compares nothing"


def test_presets_and_wrong_sizes() -> None:
    assert MirasolConfig.preset("3b").model_sizes == PRESETS["3b"]
    assert MirasolConfig().model_sizes == PRESETS["tiny"]
    with pytest.raises(ValueError, match="preset"):
        MirasolConfig.preset("huge")
    with pytest.raises(ValueError, match="unknown sizes"):
        MirasolConfig(sizes={"wdith": 3})


def small_sizes(seed: int) -> Sizes:
    return random_sizes(random.Random(seed), COMBINERS[2], BATCH, SNIPPETS, vocabulary=TOKENIZER.get_vocab_size())


def ask(processor: MirasolProcessor) -> dict[str, Tensor]:
    return dict(processor(text="What do you hear?", audio=torch.linspace(-1, 1, 999), sampling_rate=1000))


def test_processor_comes_from_a_bare_checkpoint_and_from_its_own_files(tmp_path: Path, seeds: int) -> None:
    sizes = small_sizes(seeds)
    expected = ask(MirasolProcessor.build(sizes, TOKENIZER))
    save_model(random_model(sizes), TOKENIZER, tmp_path / "bare")
    bare = AutoProcessor.from_pretrained(tmp_path / "bare")
    bare.save_pretrained(tmp_path / "own")
    own = AutoProcessor.from_pretrained(tmp_path / "own")
    assert Text.load(tmp_path / "own").prompt("what?") == Text(TOKENIZER).prompt("what?")
    for processor in (bare, own):
        assert type(processor) is MirasolProcessor
        assert_same(expected, ask(processor))
    assert AutoFeatureExtractor.from_pretrained(tmp_path / "own").to_dict() == own.feature_extractor.to_dict()


OUTSIDE = """
import sys
sys.modules["mirasol"] = None  # as if it were not installed
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoProcessor
import torch

folder, given, made = sys.argv[1:]
known = {"trust_remote_code": True}
assert AutoConfig.from_pretrained(folder, **known).model_type == "mirasol"
model = AutoModelForSeq2SeqLM.from_pretrained(folder, **known)
processor = AutoProcessor.from_pretrained(folder, **known)
assert all(type(x).__module__.startswith("transformers_modules.") for x in (model, processor)), type(model)
with torch.no_grad():
    logits = model(**load_file(given)).logits
ids = processor(text="What do you hear?", audio=torch.linspace(-1, 1, 999), sampling_rate=1000)
save_file({"logits": logits, "ids": model.generate(**ids, max_new_tokens=5)}, made)
"""


def test_code_loads_from_a_folder_outside_the_package(tmp_path: Path, seeds: int) -> None:
    sizes = small_sizes(seeds)
    skin, batch, folder = random_skin(sizes), random_batch(sizes), tmp_path / "model"
    processor = MirasolProcessor.build(sizes, TOKENIZER)
    skin.save_pretrained(folder)
    processor.save_pretrained(folder)
    save_code(folder)
    save_file(batch, tmp_path / "given.safetensors")
    words = [sys.executable, "-c", OUTSIDE, str(folder), str(tmp_path / "given.safetensors"), str(tmp_path / "made")]
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules")}
    result = subprocess.run(
        words, capture_output=True, text=True, timeout=200, cwd=tmp_path, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    made = load_file(tmp_path / "made")
    with torch.no_grad():
        assert_same(made, {"logits": skin(**batch).logits, "ids": skin.generate(**ask(processor), max_new_tokens=5)})
    # The folder still loads as our own class where the package is there.
    assert type(AutoModelForSeq2SeqLM.from_pretrained(folder)) is MirasolForConditionalGeneration
