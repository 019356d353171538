"""A text side that comes from a language model is that language model: the same logits and the same greedy text, with
nothing to watch, and with something while the gates are closed. What does not fit says so in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoints import LLAMA3, POSITIONS, SIZES, TEXTS, save_text, save_tokenizer
from torch import Tensor
from transformers import AutoTokenizer, Gemma2Config, Gemma3TextConfig, GPT2Config

from helpers import difference, greedy, random_inputs
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.text import DESCRIBE_WORDS, Text
from mirasol.warm import join
from mirasol.warm.gguf_file import NAMES, read_gguf
from mirasol.warm.origin import gguf_licence
from mirasol.warm.text import load_text

ROWS, LENGTH, SNIPPETS = 3, 21, 2
NOTHING = Inputs(snippet_mask=torch.zeros(ROWS, 1, dtype=torch.bool))


def random_ids() -> tuple[Tensor, Tensor]:
    """Ids (ROWS, LENGTH), padded on the left, and their mask."""
    ids = torch.randint(3, 300, (ROWS, LENGTH))
    mask = torch.arange(LENGTH)[None] >= torch.tensor([0, 4, 11])[:, None]
    return ids, mask


@torch.no_grad()
def open_gates(model: Mirasol) -> None:
    for block in model.decoder.blocks:
        if hasattr(block, "cross_gate"):
            block.cross_gate.fill_(0.5)


@pytest.mark.parametrize("name", TEXTS)
@torch.no_grad()
def test_logits_and_greedy_text_are_those_of_the_original(name: str, tmp_path: Path) -> None:
    original = save_text(name, tmp_path)
    joined = join(SIZES, text=tmp_path, cross_every=2)
    model, (ids, mask) = joined.model, random_ids()
    expected = original(ids, attention_mask=mask.long()).logits
    assert expected.std() > 0.1
    media = random_inputs(model.sizes, ROWS, SNIPPETS)
    for inputs in (NOTHING, media):
        found = model(inputs, ids, text_mask=mask).logits
        assert difference(found[mask], expected[mask]) < 1e-4
    # Greedy text, with the context in the caches.
    _, _, state = model.encoder(media)
    context, look = model.encoder.context(state)
    texts = original.generate(ids, attention_mask=mask.long(), do_sample=False, max_new_tokens=9, min_new_tokens=9,
                              pad_token_id=0)[:, LENGTH:].tolist()  # fmt: skip
    prompts = [row[real].tolist() for row, real in zip(ids, mask, strict=True)]
    assert greedy(model, context, look, prompts, most=9) == texts
    # The gates are what keeps the media out.
    open_gates(model)
    assert difference(model(NOTHING, ids, text_mask=mask).logits[mask], expected[mask]) < 1e-4
    assert difference(model(media, ids, text_mask=mask).logits[mask], expected[mask]) > 1e-2
    assert len(model.sources) == 1
    assert not joined.report.left


def test_prompts_are_those_of_the_chat_template(tmp_path: Path) -> None:
    save_text("SmolLM2", tmp_path)
    part, theirs = load_text(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert part.tokenizer is not None
    text = Text(part.tokenizer)
    for question in ("What do you hear?", "and <|im_end|> then", DESCRIBE_WORDS):
        messages = [{"role": "user", "content": question}]
        expected = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)["input_ids"]
        same = text.prompt(question if question != DESCRIBE_WORDS else None) == expected
        assert same == ("<|" not in question)  # what a user writes never ends a turn
        assert text.tokenizer.encode(question).ids == text.prompt(question)
    assert theirs.decode(text.target("A dog.")) == "A dog.<|im_end|>"
    whole = text.prompt("What?") + text.target("A dog.")
    assert text.answer(whole) == text.answer(text.target("A dog.")) == text.decode(text.encode("A dog.")) == "A dog."
    assert text.pad not in whole
    with pytest.raises(ValueError, match="empty"):
        text.prompt("  ")


def test_a_base_model_gets_a_plain_layout(tmp_path: Path) -> None:
    save_text("Llama", tmp_path, chat=False)
    part = load_text(tmp_path)
    assert part.tokenizer is not None
    text = Text(part.tokenizer)
    assert part.tokenizer.decode(text.prompt("What is it?")) == "Question: What is it?\nAnswer:\n"
    assert text.prompt("What is it?")[0] == 1  # the token that starts a text
    assert any("no chat template" in note for note in part.notes)


def test_a_window_matters_only_within_the_positions(tmp_path: Path) -> None:
    save_text("Mistral", tmp_path, sliding_window=15)
    assert load_text(tmp_path).changes["text_positions"] == 15
    with pytest.raises(ValueError, match="looks back on 15 tokens only"):
        load_text(tmp_path, positions=16)
    save_text("Mistral", tmp_path / "none", sliding_window=None)
    assert load_text(tmp_path / "none").changes["text_positions"] == POSITIONS
    with pytest.raises(ValueError, match=f"made for {POSITIONS} positions"):
        load_text(tmp_path / "none", positions=POSITIONS + 1)


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    save_text("Llama", tmp_path / "llama")
    weights = (tmp_path / "llama" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    for config, words in (
        (Gemma2Config(), "gemma2 has soft caps"),
        (Gemma3TextConfig(), "gemma3_text has norms after"),
        (GPT2Config(), "gpt2 has learned positions"),
    ):
        config.save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=words) as error:
            load_text(tmp_path)
        assert "\n" not in str(error.value)
    values = json.loads((tmp_path / "llama" / "config.json").read_text())
    for change, words in (
        ({"hidden_act": "relu"}, "'relu'"),
        ({"rope_parameters": {**LLAMA3, "rope_type": "linear"}}, "'linear'"),
        ({"num_hidden_layers": 4}, "incomplete: it brings nothing for decoder.blocks.3"),
        ({"num_hidden_layers": 2}, "brings decoder.blocks.2"),
        ({"hidden_size": 54, "head_dim": 8}, r"brings lm_head.weight \(311, 48\), the model has \(311, 54\)"),
        ({"model_type": "mirasol"}, "Mirasol checkpoint"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**values, **change}))
        with pytest.raises(ValueError, match=words):
            join(SIZES, text=tmp_path)
    save_text("Llama", tmp_path / "biases", attention_bias=True)
    with pytest.raises(ValueError, match=r"more parameters, such as model\.layers\.0\.self_attn\.o_proj\.bias"):
        load_text(tmp_path / "biases")


def test_where_a_model_lies(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder and no GGUF file 'nowhere'"):
        load_text("nowhere")
    with pytest.raises(ValueError, match=r"expected config\.json or one \.gguf"):
        load_text(tmp_path)
    with pytest.raises(ValueError, match="nobody/nothing cannot be fetched"):  # no network in tests
        load_text("nobody/nothing")
    save_text("Qwen2", tmp_path)
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# A model\n")
    assert load_text(tmp_path).source["licence"] == "mit"
    assert load_text(tmp_path, licence="other words").source["licence"] == "other words"
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"expected weights as \.safetensors or \.gguf"):
        load_text(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("Llama", "llama"), ("Qwen3", "qwen3"), ("Gemma", "gemma")])
def test_gguf_holds_the_same_weights(name: str, kind: str, tmp_path: Path) -> None:
    """Written as llama.cpp does: rows of queries and keys interleaved for llama, 1 added to the norms of gemma."""
    gguf = pytest.importorskip("gguf")
    weights = save_text(name, tmp_path).state_dict()
    theirs, heads = {ours: name for name, ours in NAMES.items()}, {"q_proj": 6, "k_proj": 2}
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", kind)
    writer.add_license("mit")
    writer.add_head_count(6)
    writer.add_head_count_kv(2)
    for full, weight in weights.items():
        if full == "lm_head.weight" and name == "Gemma":
            continue  # tied
        home, _, last = full.rpartition(".")
        layer = home.split(".")[2] if home.startswith("model.layers.") else ""
        home = home.removeprefix(f"model.layers.{layer}.") if layer else home
        value = weight.clone()
        if kind == "llama" and (part := home.split(".")[-1]) in heads:
            value = value.reshape(heads[part], 2, -1, value.shape[1]).transpose(1, 2).reshape(value.shape)
        if kind == "gemma" and home.endswith("norm"):
            value += 1
        writer.add_tensor(f"blk.{layer}.{theirs[home]}.{last}" if layer else f"{theirs[home]}.{last}", value.numpy())
    for step in ("write_header_to_file", "write_kv_data_to_file", "write_tensors_to_file", "close"):
        getattr(writer, step)()
    found = read_gguf(tmp_path / "model.gguf")
    assert set(found) == set(weights) - ({"lm_head.weight"} if name == "Gemma" else set())
    assert max(difference(value, weights[full]) for full, value in found.items()) < 1e-6
    assert gguf_licence(tmp_path / "model.gguf") == "mit"
    (tmp_path / "model.gguf").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no GGUF file"):
        read_gguf(tmp_path / "model.gguf")
