"""Contract 7, interop: the Hugging Face Trainer (one process and two), a PEFT LoRA wrap, and `generate` with sampling,
beams and a streamer work on the skin."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, Trainer, TrainingArguments
from transformers.generation.streamers import BaseStreamer

from helpers import COMBINERS, random_inputs, random_model, random_sizes
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.mirasol import IGNORE
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.model.sizes import Sizes
from mirasol.model.text import END, PAD, START

ROWS, SNIPPETS, LENGTH, PROMPT, STEPS = 4, 7, 9, 5, 4
RATE = 0.05


def make_model(sizes: Sizes, seed: int) -> MirasolForConditionalGeneration:
    torch.manual_seed(seed)
    model = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict()))
    model.load_state_dict(random_model(sizes).state_dict())
    return model


def make_rows(sizes: Sizes) -> list[dict[str, Tensor]]:
    """Examples as a Trainer takes them. All hold equally many targets and snippets with picture and with sound, so that
    the mean over a batch is the mean of the means over its halves; some frames and columns are missing."""
    inputs = vars(random_inputs(sizes, ROWS, SNIPPETS, missing=0.0))
    inputs["frame_mask"][:, :, -1] = torch.rand(ROWS, SNIPPETS) < 0.5
    inputs["column_mask"][:, 2:4] = False
    ids = torch.randint(END + 2, sizes.vocabulary, (ROWS, LENGTH))
    ids[:, 0], ids[:, -1] = START, END
    labels = ids.clone()
    labels[:, :PROMPT] = IGNORE
    return [
        {**{name: value[row] for name, value in inputs.items()}, "decoder_input_ids": ids[row], "labels": labels[row]}
        for row in range(ROWS)
    ]


def join(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def train(model: MirasolForConditionalGeneration, rows: list[dict[str, Tensor]], out: Path, each: int) -> Trainer:
    settings = TrainingArguments(
        output_dir=str(out), max_steps=STEPS, per_device_train_batch_size=each, per_device_eval_batch_size=3,
        optim="sgd", learning_rate=RATE, lr_scheduler_type="constant", max_grad_norm=0.0, logging_steps=1,
        save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(model, settings, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    return trainer


def logged(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def by_hand(model: MirasolForConditionalGeneration, rows: list[dict[str, Tensor]]) -> list[float]:
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=RATE), []
    model.train()
    for _ in range(STEPS):
        loss = model(**join(rows)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], bound: float = 1e-5) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        assert (value - other[name]).abs().max() <= bound, name


@pytest.mark.parametrize("combiner", COMBINERS[:3])
def test_trainer_does_what_a_loop_by_hand_does(combiner: str, tmp_path: Path, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, ROWS, SNIPPETS, mask_rate=0.0)
    rows, model, twin = make_rows(sizes), make_model(sizes, 5), make_model(sizes, 5)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = train(model, rows, tmp_path, ROWS)
    losses = by_hand(twin, rows)
    assert logged(trainer) == pytest.approx(losses, abs=1e-4)
    assert losses[-1] < losses[0]
    assert_close(dict(model.state_dict()), dict(twin.state_dict()))
    assert any((start[name] - value).abs().max() > 1e-3 for name, value in twin.state_dict().items())
    # Evaluation and prediction: the logits of all rows, and nothing beside them.
    twin.eval()
    with torch.no_grad():
        expected = twin(**join(rows))
    made = trainer.predict(rows)  # type: ignore[arg-type]
    assert made.predictions.shape == (ROWS, LENGTH, sizes.vocabulary)
    assert torch.allclose(torch.from_numpy(made.predictions), expected.logits, atol=1e-4)
    assert trainer.evaluate()["eval_loss"] > 0


SCRIPT = """
import sys
from pathlib import Path

sys.path[:0] = [{tests!r}, {contracts!r}]
from safetensors.torch import load_file
from test_07_interop import ROWS, train
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration

folder = Path({folder!r})
batch = load_file(folder / "rows.safetensors")
rows = [{{name: value[row] for name, value in batch.items()}} for row in range(ROWS)]
model = MirasolForConditionalGeneration.from_pretrained(folder / "start")
trainer = train(model, rows, folder / "out", ROWS // 2)
assert trainer.args.world_size == 2
trainer.save_model(str(folder / "end"))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("combiner", COMBINERS[1:3])
def test_two_processes_do_what_one_does(combiner: str, tmp_path: Path, seeds: int) -> None:
    """DistributedDataParallel, without a search for unused parameters: it stops if a parameter takes no part."""
    sizes = random_sizes(random.Random(seeds), combiner, ROWS, SNIPPETS, mask_rate=0.0)
    rows, model = make_rows(sizes), make_model(sizes, 5)
    model.save_pretrained(tmp_path / "start")
    save_file(join(rows), tmp_path / "rows.safetensors")
    here = Path(__file__).parent
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(here.parent), contracts=str(here), folder=str(tmp_path)))
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(words, capture_output=True, text=True, timeout=580, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    by_hand(model, rows)
    end = MirasolForConditionalGeneration.from_pretrained(tmp_path / "end")
    assert_close(dict(model.state_dict()), dict(end.state_dict()))
    assert load_file(tmp_path / "end" / "model.safetensors")


@pytest.mark.parametrize("combiner", COMBINERS[:3])
def test_lora_trains_saves_and_merges(combiner: str, tmp_path: Path, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, ROWS, SNIPPETS, mask_rate=0.0)
    rows, model = make_rows(sizes), make_model(sizes, 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=3, target_modules=["q_proj", "v_proj"]))
    trained = [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]
    for part in ("encoder.vit", "encoder.combiner", "encoder.latent_model", "decoder", "cross_attention"):
        assert any(part in name for name in trained) or (part, combiner) == ("encoder.combiner", "ttm tokenlearner")
    optimizer, losses = torch.optim.SGD([p for p in wrapped.parameters() if p.requires_grad], lr=0.05), []
    for _ in range(6):
        loss = wrapped(**join(rows)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in wrapped.parameters() if parameter.requires_grad)
    wrapped.eval()
    prompts = {name: value for name, value in join(rows).items() if name != "labels"}
    prompts["decoder_input_ids"] = prompts["decoder_input_ids"][:, :PROMPT]
    with torch.no_grad():
        adapted = wrapped(**prompts).logits
        answers = wrapped.generate(**prompts, max_new_tokens=6)
    wrapped.save_pretrained(tmp_path)
    other = peft.PeftModel.from_pretrained(make_model(sizes, 5).eval(), str(tmp_path))
    saved, loaded = (peft.get_peft_model_state_dict(one) for one in (wrapped, other))
    assert list(saved) == list(loaded)
    assert all(torch.equal(saved[name], loaded[name]) for name in saved), "an adapter comes back bit for bit"
    merged = wrapped.merge_and_unload()
    with torch.no_grad():
        assert torch.allclose(other(**prompts).logits, adapted, atol=1e-5)  # where weights lie changes the last bits
        assert torch.allclose(merged(**prompts).logits, adapted, atol=1e-4)
    assert torch.equal(merged.generate(**prompts, max_new_tokens=6), answers)
    changed = {name for name, value in merged.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert {name.split(".")[-2] for name in changed} == {"q_proj", "v_proj"}


class Heard(BaseStreamer):
    """Keeps what a streamer is given."""

    def __init__(self) -> None:
        self.pieces: list[list[int]] = []
        self.ended = False

    def put(self, value: Tensor) -> None:
        self.pieces.append(value.flatten().tolist())

    def end(self) -> None:
        self.ended = True


def prompts_for(sizes: Sizes) -> dict[str, Any]:
    """Two clips and their prompts, one padded on the left."""
    inputs = vars(random_inputs(sizes, 2, SNIPPETS))
    ids = torch.randint(END + 2, sizes.vocabulary, (2, PROMPT))
    ids[0, 0], ids[1, :2] = START, torch.tensor([PAD, START])
    return {**inputs, "decoder_input_ids": ids, "decoder_attention_mask": (ids != PAD).long()}


@torch.no_grad()
def likelihood(model: MirasolForConditionalGeneration, given: dict[str, Any], sequences: Tensor) -> Tensor:
    """Sum of the log-probabilities of what follows the prompts, END included, by one full pass without a cache."""
    follows = sequences[:, PROMPT:]
    real = torch.cat([torch.ones_like(follows[:, :1]), (follows[:, :-1] != END).long().cumprod(dim=1)], dim=1)
    mask = torch.cat([given["decoder_attention_mask"], real], dim=1)
    full = {**given, "decoder_input_ids": sequences, "decoder_attention_mask": mask}
    scores = model(**full, use_cache=False).logits[:, PROMPT - 1 : -1].log_softmax(dim=-1)
    return (scores.gather(-1, follows[..., None])[..., 0] * real).sum(dim=1)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_generate_with_sampling_beams_and_a_streamer(combiner: str, seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), combiner, 2, SNIPPETS, tied=False)
    model = make_model(sizes, 5).eval()
    given = prompts_for(sizes)
    greedy = model.generate(**given, max_new_tokens=8)

    samples = [model.generate(**given, do_sample=True, num_return_sequences=3, max_new_tokens=8) for _ in range(2)]
    assert samples[0].shape[0] == 6
    assert not torch.equal(*(sample[:, : PROMPT + 2] for sample in samples))

    options = {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 0.0, "max_new_tokens": 8}
    beams = model.generate(**given, **options, return_dict_in_generate=True, output_scores=True)
    assert beams.sequences.shape[0] == 6
    tripled = {name: value.repeat_interleave(3, dim=0) for name, value in given.items()}
    found = likelihood(model, tripled, beams.sequences)
    assert torch.allclose(found, beams.sequences_scores, atol=1e-4)
    assert (found.view(2, 3).diff(dim=1) <= 1e-4).all(), "the best come first"
    assert len(set(map(tuple, beams.sequences.tolist()))) == 6
    one = model.generate(**given, num_beams=1, max_new_tokens=8)
    assert torch.equal(one, greedy)

    alone = {name: value[:1] for name, value in given.items()}
    streamer = Heard()
    streamed = model.generate(**alone, streamer=streamer, max_new_tokens=8)[0].tolist()
    assert streamer.pieces[0] == given["decoder_input_ids"][0].tolist()
    assert [piece[0] for piece in streamer.pieces[1:]] == streamed[PROMPT:]
    assert streamer.ended


def test_generate_from_what_was_watched_and_from_kept_caches(seeds: int) -> None:
    """`encoder_outputs` stay as they were given; a cache that was kept goes on where it stopped."""
    sizes = random_sizes(random.Random(seeds), "causal", 2, SNIPPETS, tied=False)
    model, given = make_model(sizes, 5).eval(), prompts_for(sizes)
    text = {name: given.pop(name) for name in ("decoder_input_ids", "decoder_attention_mask")}
    watched = model.get_encoder()(**given)
    shape = watched.last_hidden_state.shape
    for _ in range(2):
        beams = model.generate(encoder_outputs=watched, **text, num_beams=3, max_new_tokens=6)
        assert torch.equal(beams, model.generate(**given, **text, num_beams=3, max_new_tokens=6))
    assert watched.last_hidden_state.shape == shape
    whole = model.generate(encoder_outputs=watched, **text, max_new_tokens=6, min_new_tokens=6)
    assert torch.equal(whole, model.generate(encoder_outputs=watched, decoder_input_ids=text["decoder_input_ids"],
                                             max_new_tokens=6, min_new_tokens=6))  # fmt: skip
    kept = EncoderDecoderCache(DynamicCache(), DynamicCache())
    full = torch.cat([text["decoder_attention_mask"], torch.ones(2, 6, dtype=torch.long)], dim=1)
    logits = model(encoder_outputs=watched, decoder_input_ids=whole, decoder_attention_mask=full).logits
    for first, end in ((0, 5), (5, 6), (6, 11)):
        part = model(encoder_outputs=watched, decoder_input_ids=whole[:, first:end],
                     decoder_attention_mask=full[:, :end], past_key_values=kept).logits  # fmt: skip
        real = full[:, first:end].bool()
        assert torch.allclose(part[real], logits[:, first:end][real], atol=1e-5)
    with pytest.raises(ValueError, match="static"):
        model.generate(encoder_outputs=watched, **text, max_new_tokens=6, cache_implementation="static")


def test_generate_without_picture_or_sound(seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), "local", 2, SNIPPETS, tied=False)
    model, given = make_model(sizes, 5).eval(), prompts_for(sizes)
    silent = {name: given[name] for name in given if name not in ("input_features", "column_mask")}
    blind = {name: given[name] for name in given if name not in ("pixel_values_videos", "frame_mask")}
    for some, mask in ((silent, "column_mask"), (blind, "frame_mask")):
        told = given | {mask: torch.zeros_like(given[mask])}
        assert torch.equal(model.generate(**some, max_new_tokens=6), model.generate(**told, max_new_tokens=6))
    with pytest.raises(ValueError, match="nothing to watch"):
        model.generate(decoder_input_ids=given["decoder_input_ids"])


def test_bfloat16_and_new_words(seeds: int) -> None:
    sizes = random_sizes(random.Random(seeds), COMBINERS[2], 2, SNIPPETS, tied=True)
    model, given = make_model(sizes, 5).eval(), prompts_for(sizes)
    half = make_model(sizes, 5).eval().to(torch.bfloat16)
    assert half.generate(**given, max_new_tokens=3).shape[0] == 2
    model.resize_token_embeddings(sizes.vocabulary + 3)
    assert model(**given).logits.shape[-1] == sizes.vocabulary + 3 == model.config.model_sizes.vocabulary
