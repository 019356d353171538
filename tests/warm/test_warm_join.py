"""A joined model is a model like any other: it is saved, loaded by both rings, asked, generated with, adapted by LoRA,
and its configuration goes on saying where its parts came from."""

from __future__ import annotations

import json
import random
from pathlib import Path

import peft
import pytest
import torch
from checkpoints import SIZES, save_text, save_vit
from transformers import AutoModelForSeq2SeqLM
from typer.testing import CliRunner

from helpers import difference, random_inputs, random_model, random_sizes, random_split
from mirasol.cli import app
from mirasol.data.toybox import Stage, ToyboxBatches
from mirasol.inference.answer import load
from mirasol.inference.session import Session
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import IGNORE, Mirasol
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.model.processing_mirasol import MirasolProcessor
from mirasol.model.text import Text
from mirasol.train.checkpoint import save_model
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import train
from mirasol.warm import Joined, join, loaded_names

QUESTION, ROWS, SNIPPETS = "What do you hear?", 2, 3


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Joined, Path]:
    """A joined model with open gates, and the folder that it was saved in."""
    folder = tmp_path_factory.mktemp("joined")
    torch.manual_seed(0)
    save_text("Qwen3", folder / "text", max_position_embeddings=600)
    save_vit("DINOv2", folder / "vit")
    (folder / "vit" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    sizes = SIZES.change(height=40, width=30, reconstruct_scale=5, reconstruct_patch=2)
    made = join(sizes, text=folder / "text", vit=folder / "vit", cross_every=2, licences={"text": "mit"})
    for block in made.model.decoder.blocks:
        if hasattr(block, "cross_gate"):
            block.cross_gate.data.fill_(0.7)
    return made, made.save(folder / "model")


@torch.no_grad()
def logits(model: Mirasol | MirasolForConditionalGeneration) -> torch.Tensor:
    torch.manual_seed(1)
    inputs, ids = random_inputs(model.sizes, ROWS, SNIPPETS), torch.randint(3, 300, (ROWS, 11))
    if isinstance(model, Mirasol):
        return model(inputs, ids).logits
    return model(**vars(inputs), decoder_input_ids=ids).logits


def test_every_way_of_loading_gives_the_same_model_and_its_sources(joined: tuple[Joined, Path], tmp_path: Path) -> None:
    made, folder = joined
    sources = [
        {"part": "text", "name": "text", "family": "Qwen3", "licence": "mit"},
        {"part": "vit", "name": "vit", "family": "DINOv2", "licence": "apache-2.0"},
    ]
    expected = logits(made.model)
    inner = Mirasol.load(folder)
    skin = AutoModelForSeq2SeqLM.from_pretrained(folder)
    skin.save_pretrained(tmp_path / "skin")
    save_model(inner, made.tokenizer, tmp_path / "trained")
    for model in (inner, skin, Mirasol.load(tmp_path / "skin"), Mirasol.load(tmp_path / "trained")):
        assert difference(logits(model), expected) < 1e-5
        assert (model.sources if isinstance(model, Mirasol) else model.config.sources) == sources
    again = MirasolForConditionalGeneration.from_pretrained(tmp_path / "trained")
    assert again.config.sources == sources
    assert again.config.eos_token_id == skin.config.eos_token_id == 2
    assert again.config.pad_token_id == skin.config.pad_token_id == 0
    written = (folder / "README.md").read_text()
    assert all(f"| {source['name']} | {source['family']} | {source['licence']} |" in written for source in sources)
    report = json.loads((folder / "init.json").read_text())
    assert sorted([*report["loaded"], *report["new"]]) == sorted(name for name, _ in made.model.named_parameters())
    assert report["left"] == ["vit: embeddings.mask_token"]
    assert loaded_names(folder) == made.report.loaded
    learning = [name for name, _ in inner.named_parameters() if not name.startswith(loaded_names(folder))]
    assert learning == list(made.report.new)  # no name is the start of another's
    with pytest.raises(ValueError, match=r"expected init\.json"):
        loaded_names(tmp_path)


def test_answers_of_both_rings_and_of_a_session(joined: tuple[Joined, Path]) -> None:
    _, folder = joined
    loaded = load(folder)
    sizes = loaded.model.sizes
    processor, skin = MirasolProcessor.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    sound = torch.randn(2 * sizes.samples).numpy()
    frames = (torch.rand(2 * sizes.frames, 21, 34, 3) * 255).byte().numpy()
    session = Session(loaded)
    session.watch(frames, sound, at=0.0, times=[at / sizes.frame_rate for at in range(len(frames))])
    session.flush(at=2 * sizes.snippet_seconds)
    answers = [answer.answer for answer in session.ask_all([QUESTION, None])]
    given = processor(
        text=[QUESTION, "<describe>"], videos=frames, fps=sizes.frame_rate, audio=sound, sampling_rate=16_000
    )
    assert given["decoder_input_ids"][0, given["decoder_attention_mask"][0] == 1].tolist() == loaded.text.prompt(
        QUESTION
    )
    assert processor.batch_decode(skin.generate(**given, max_new_tokens=64)) == answers
    assert len(set(answers)) == 2
    with_answers = processor(text=QUESTION, answers="a dog", audio=sound, sampling_rate=16_000)
    targets = with_answers["labels"][0][with_answers["labels"][0] != IGNORE].tolist()
    assert targets == loaded.text.target("a dog")


def test_sampling_beams_and_lora(joined: tuple[Joined, Path]) -> None:
    _, folder = joined
    skin = MirasolForConditionalGeneration.from_pretrained(folder)
    inputs = vars(random_inputs(skin.sizes, ROWS, SNIPPETS))
    ids = torch.randint(3, 300, (ROWS, 7))
    given = {**inputs, "decoder_input_ids": ids}
    greedy = skin.generate(**given, max_new_tokens=6, min_new_tokens=6)
    assert torch.equal(greedy, skin.generate(**given, max_new_tokens=6, min_new_tokens=6, use_cache=False))
    beams = skin.generate(**given, max_new_tokens=6, min_new_tokens=6, num_beams=3)
    samples = skin.generate(**given, max_new_tokens=6, do_sample=True, num_return_sequences=3)
    assert beams.shape == greedy.shape
    assert len(samples) == 3 * ROWS
    with torch.no_grad():  # what beams find is at least as likely
        found = [skin(**{**given, "decoder_input_ids": whole}).logits.log_softmax(-1) for whole in (greedy, beams)]
    chosen = [
        scores[:, 6:-1].gather(-1, whole[:, 7:, None]).sum(dim=(1, 2))
        for scores, whole in zip(found, (greedy, beams), strict=True)
    ]
    assert (chosen[1] >= chosen[0] - 1e-4).all()
    wrapped = peft.get_peft_model(
        skin, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    labels = ids.clone()
    loss = wrapped(**given, labels=labels).loss
    loss.backward()
    learning = [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]
    assert learning
    assert all("lora_" in name for name in learning)
    with torch.no_grad():
        expected = wrapped.eval()(**given).logits
        assert difference(wrapped.merge_and_unload()(**given).logits, expected) < 1e-4


@pytest.mark.parametrize("every", [1, 2, 3])
@torch.no_grad()
def test_decoding_in_pieces_equals_the_full_pass(every: int, seeds: int) -> None:
    """Contract 4 for what pretrained decoders add: heads, norms, scaled angles, gates, blocks that do not look."""
    sizes = random_sizes(
        random.Random(seeds), "local", text_layers=3, text_head_width=10, text_kv_heads=2, text_qk_norm=True,
        text_qkv_bias=True, text_rope_base=300.0, text_rope_scaling=(8.0, 1.0, 4.0, 20.0), text_activation="gelu_tanh",
        text_embed_scale=2.5, cross_every=every, cross_gate=True,
    )  # fmt: skip
    model, length = random_model(sizes), 13
    seen, look = torch.randn(ROWS, 5, sizes.av_width), torch.tensor([[1, 1, 0, 1, 1], [1, 0, 0, 0, 0]]).bool()
    ids = torch.randint(sizes.vocabulary, (ROWS, length))
    whole, _ = model.decoder(ids, seen, look)
    caches, parts = model.decoder.start(ROWS, seen), []
    for first, end in random_split(random.Random(seeds), length):
        hidden, caches = model.decoder(ids[:, first:end], seen if first == 0 else None, look, caches)
        parts.append(hidden)
    assert difference(torch.cat(parts, dim=1), whole) < 1e-5
    assert [pair[1] is not None for pair in caches] == [layer % every == every - 1 for layer in range(3)]
    looks = model.decoder.looks(ids, seen, look)
    assert difference(looks.sum(dim=-1), torch.ones(ROWS, length)) < 1e-5
    assert difference(whole, model.decoder(ids, 2 * seen, look)[0]) > 1e-3


def test_gates_start_closed_and_learn(joined: tuple[Joined, Path]) -> None:
    made, folder = joined
    fresh = join(
        made.model.sizes.change(vit_extra=0, picture_grid=(), vit_layer_scale=False), text=folder.parent / "text"
    )
    model = fresh.model.train()
    gates = {name: value for name, value in model.named_parameters() if name.endswith("cross_gate")}
    assert list(gates) == [f"decoder.blocks.{layer}.cross_gate" for layer in range(3)]
    assert all(float(gate.detach()) == 0 for gate in gates.values())
    model(
        random_inputs(model.sizes, ROWS, SNIPPETS), ids := torch.randint(3, 300, (ROWS, 9)), labels=ids
    ).loss.backward()
    assert all(float(gate.grad.abs()) > 1e-6 for gate in gates.values())
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_what_joins_the_parts_is_trained_first(joined: tuple[Joined, Path], tmp_path: Path) -> None:
    """A run that begins with a joined model and leaves alone what came from its parts."""
    made, folder = joined
    before, tokenizer = Mirasol.load(folder).state_dict(), Text.load(folder).tokenizer
    sizes = made.model.sizes

    def batches(first: int, last: int) -> ToyboxBatches:
        return ToyboxBatches(sizes, Text(tokenizer), (Stage(0, (1, 2), 2, things=1),), first, last, questions=2)

    run = Run(
        name="join", sizes=sizes, optimisation=Optimisation(steps=2, warmup=1), batches=batches,
        tokenizer=lambda: tokenizer, start_from=str(folder), frozen=loaded_names(folder), workers=0, threads=1,
    )  # fmt: skip
    lines: list[str] = []
    result = train(run, tmp_path, report=lines.append)
    assert result is not None
    assert "new 0, left over 0" in lines[0]
    after = Mirasol.load(result)
    assert after.sources == made.model.sources
    assert Text.load(result).layout == Text(tokenizer).layout
    changed = {name for name, value in after.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= set(made.report.new)
    assert {"decoder.blocks.1.cross_gate", "decoder.blocks.1.cross_attention.q_proj.weight"} <= changed


def test_the_command(joined: tuple[Joined, Path], tmp_path: Path) -> None:
    source, run = joined[1].parent, CliRunner()
    words = ["init", str(tmp_path / "out"), "--text", str(source / "text"), "--vit", str(source / "vit"), "--preset",
             "tiny", "--set", "cross_every=3", "--set", "context_snippets=5", "--text-licence", "mit"]  # fmt: skip
    result = run.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "text: text (Qwen3; licence: mit)" in result.output
    assert "left over: 1 (vit: embeddings 1)" in result.output
    model = load(tmp_path / "out").model
    assert (model.sizes.cross_every, model.sizes.context_snippets) == (3, 5)
    with torch.no_grad():
        assert model(Inputs(snippet_mask=torch.zeros(2, 1).bool()), torch.ones(2, 3).long()).logits.isfinite().all()
    for wrong, what in (
        (words, "new or empty folder"),
        (["init", str(tmp_path / "none")], "expected a pretrained part"),
        ([*words[:1], str(tmp_path / "two"), *words[2:], "--set", "text_width=3"], "text_width of the sizes come from"),
        ([*words[:1], str(tmp_path / "two"), *words[2:], "--set", "wdith=3"], "--set name=value"),
    ):
        failed = run.invoke(app, wrong)
        assert failed.exit_code != 0
        assert what in str(failed.exception)
