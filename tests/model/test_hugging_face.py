"""What users of transformers do with the model: batches for training in `generate`, Seq2SeqTrainer, stop strings,
attentions and hidden states, PEFT by task type, the Auto classes."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from torch import Tensor
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

from helpers import random_model, random_sizes
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.mirasol import IGNORE
from mirasol.model.modeling_mirasol import AUTO_MODELS, MirasolForConditionalGeneration, save_code
from mirasol.model.processing_mirasol import MirasolProcessor
from mirasol.model.prompts import without_answers
from mirasol.model.text import END, PAD, Text, train_tokenizer
from mirasol.model.video_processing_mirasol import MirasolVideoProcessor

TOKENIZER = train_tokenizer(["what do you hear? a dog and a bell, then a horse"] * 3, 300)
QUESTIONS = ["what do you hear?", "a dog or a bell, then a horse?", "<describe>", "what bell?"]
ANSWERS = ["a bell then a dog", "no", "a", "the bell"]
RATE, NEW = 1000, 5


def make(seed: int, combiner: str = "causal") -> tuple[MirasolForConditionalGeneration, MirasolProcessor]:
    """A random model whose answers depend on its prompt, and its processor."""
    vocabulary = TOKENIZER.get_vocab_size()
    sizes = random_sizes(
        random.Random(seed), combiner, len(QUESTIONS), 7, vocabulary=vocabulary, tied=False, cross_every=2
    )
    model = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict())).eval()
    model.load_state_dict(random_model(sizes).state_dict())
    with torch.no_grad():
        model.lm_head.weight *= 4
    return model, MirasolProcessor.build(sizes, TOKENIZER)


def waves() -> list[np.ndarray]:
    return [np.random.uniform(-1, 1, count).astype(np.float32) for count in (700, 300, 900, 500)]


def ready(made: Tensor) -> list[list[int]]:
    """Rows without the padding at either end."""
    return [[number for number in row if number not in (PAD, IGNORE)] for row in made.tolist()]


def test_a_batch_for_training_begins_at_its_prompts(seeds: int) -> None:
    """With the processor's prompts, with labels alone, padded at the right, for several questions on one clip."""
    model, processor = make(seeds)
    sound = waves()
    for audio in (sound, sound[0]):
        given = {"audio": audio, "sampling_rate": RATE}
        expected = model.generate(**processor(text=QUESTIONS, **given), max_new_tokens=NEW)
        assert len({tuple(row) for row in expected[:, -NEW:].tolist()}) > 1
        batch = processor(text=QUESTIONS, answers=ANSWERS, **given)
        assert torch.equal(model.generate(**batch, max_new_tokens=NEW), expected)
        bare = {name: value for name, value in batch.items() if not name.startswith("prompt_")}
        assert torch.equal(model.generate(**bare, max_new_tokens=NEW), expected)
        right = dict(bare)
        for name, fill in (("decoder_input_ids", PAD), ("decoder_attention_mask", 0), ("labels", IGNORE)):
            rows = [row[mask.bool()] for row, mask in zip(bare[name], bare["decoder_attention_mask"], strict=True)]
            right[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
        assert torch.equal(model.generate(**right, max_new_tokens=NEW), expected)
        right.pop("decoder_attention_mask")
        assert torch.equal(model.generate(**right, max_new_tokens=NEW), expected)


def test_prompts_are_cut_out_of_rows_padded_at_either_end(seeds: int) -> None:
    """Against a plain loop, rows without an answer among them."""
    chance, length = random.Random(seeds), 9
    for _ in range(40):
        ids, labels = torch.full((4, length), PAD), torch.full((4, length), IGNORE)
        real, expected = torch.zeros(4, length, dtype=torch.bool), []
        for row in range(4):
            count = chance.randint(1, length)
            prompt, at = chance.randint(0, count), chance.choice((0, length - count))
            words = torch.randint(END + 1, 40, (count,))
            ids[row, at : at + count], real[row, at : at + count] = words, True
            labels[row, at + prompt : at + count] = words[prompt:]
            expected.append(words[:prompt].tolist())
        prompts, mask = without_answers(ids, real, labels, PAD)
        for row, words in enumerate(expected):
            assert prompts[row][mask[row].bool()].tolist() == words
            assert mask[row].tolist() == [0] * (mask.shape[1] - len(words)) + [1] * len(words)


def test_an_answer_that_cannot_be_told_from_the_prompt_is_said(seeds: int) -> None:
    model, processor = make(seeds)
    given = {"audio": waves(), "sampling_rate": RATE}
    batch = processor(text=QUESTIONS, answers=ANSWERS, **given)
    for name in ("labels", "prompt_ids", "prompt_attention_mask"):
        batch.pop(name)
    with pytest.warns(UserWarning, match="a prompt ends with the end of an answer"):
        model.generate(**batch, max_new_tokens=NEW)
    labels = torch.full((4, 5), END)
    signals = {name: value for name, value in batch.items() if not name.startswith("decoder_")}
    with pytest.raises(ValueError, match="Seq2SeqTrainer drops decoder_input_ids"):
        model.generate(**signals, labels=labels, max_new_tokens=NEW)


def test_seq2seq_trainer_asks_its_questions(tmp_path: Path, seeds: int) -> None:
    model, processor = make(seeds)
    clips = [
        {"question": question, "answer": answer, "wave": wave}
        for question, answer, wave in zip(QUESTIONS, ANSWERS, waves(), strict=True)
    ]

    def collate(rows: list[dict[str, Any]], answers: bool = True) -> Any:
        told = {"answers": [row["answer"] for row in rows]} if answers else {}
        audio = [row["wave"] for row in rows]
        return processor(text=[row["question"] for row in rows], audio=audio, sampling_rate=RATE, **told)

    settings = Seq2SeqTrainingArguments(
        output_dir=str(tmp_path), predict_with_generate=True, per_device_eval_batch_size=3, use_cpu=True,
        report_to="none", disable_tqdm=True, remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Seq2SeqTrainer(model, settings, data_collator=collate, eval_dataset=clips)  # type: ignore[arg-type]
    found = trainer.predict(clips, max_new_tokens=NEW)  # type: ignore[arg-type]
    assert np.isfinite(found.metrics["test_loss"])
    batches = [clips[:3], clips[3:]]
    expected = [
        row for rows in batches for row in ready(model.generate(**collate(rows, answers=False), max_new_tokens=NEW))
    ]
    assert ready(torch.from_numpy(found.predictions)) == expected
    text = Text(TOKENIZER)
    for row, question in zip(expected, QUESTIONS, strict=True):
        prompt = text.prompt(None if "<" in question else question)
        assert row[: len(prompt)] == prompt
    assert processor.batch_decode(found.predictions) == [text.answer(row) for row in expected]  # padded with -100


def test_stop_strings_end_an_answer(seeds: int) -> None:
    model, processor = make(seeds)
    given = processor(text=QUESTIONS[0], audio=waves()[0], sampling_rate=RATE)
    words = {number: TOKENIZER.decode([number]).strip() for number in range(TOKENIZER.get_vocab_size())}
    others = [number for number, word in words.items() if not (word.isascii() and word.isalpha())]
    how = {"max_new_tokens": 12, "min_new_tokens": 12, "suppress_tokens": others}
    free = model.generate(**given, **how)
    first = words[int(free[0, given["decoder_input_ids"].shape[1]])]
    stopped = model.generate(**given, **how, stop_strings=[first], tokenizer=processor.tokenizer)
    assert stopped.shape[1] < free.shape[1]
    assert torch.equal(stopped, free[:, : stopped.shape[1]])


@torch.no_grad()
def test_attentions_and_hidden_states(seeds: int) -> None:
    """Of a whole pass and of a generation, with the cache and without; as the model itself weighs."""
    model, processor = make(seeds)
    sizes = model.sizes
    given = processor(text=QUESTIONS, audio=waves(), sampling_rate=RATE)
    wanted = {"output_attentions": True, "output_hidden_states": True}
    plain, told = model(**given), model(**given, **wanted)
    assert torch.equal(plain.logits, told.logits)
    assert plain.decoder_attentions is None
    assert len(told.decoder_hidden_states) == sizes.text_layers + 1
    assert torch.equal(model.lm_head(told.decoder_hidden_states[-1]), plain.logits)
    rows, length = given["decoder_input_ids"].shape
    assert [one.shape for one in told.decoder_attentions] == [
        (rows, sizes.text_heads, length, length)
    ] * sizes.text_layers
    assert len(told.cross_attentions) == sizes.crossing_layers
    real = given["decoder_attention_mask"].bool()
    for one in (*told.decoder_attentions, *told.cross_attentions):
        assert torch.allclose(one.sum(dim=-1)[real[:, None].expand_as(one[..., 0])], torch.tensor(1.0), atol=1e-5)
    watched = told.encoder_outputs
    row = int(real.sum(dim=1).argmax())  # the one without padding
    looks = model.decoder.looks(given["decoder_input_ids"][row : row + 1], watched.last_hidden_state[row : row + 1],
                                watched.attention_mask[row : row + 1])  # fmt: skip
    mean = torch.stack([one[row].mean(dim=0) for one in told.cross_attentions]).mean(dim=0)
    assert torch.allclose(mean, looks[0], atol=1e-5)
    for cached in (True, False):
        made = model.generate(**given, **wanted, use_cache=cached, return_dict_in_generate=True, max_new_tokens=3,
                              min_new_tokens=3)  # fmt: skip
        assert len(made.decoder_attentions) == len(made.cross_attentions) == len(made.decoder_hidden_states) == 3
        assert made.decoder_attentions[2][0].shape[-1] == length + 2
        assert torch.allclose(made.decoder_attentions[0][1], told.decoder_attentions[1], atol=1e-5)
        assert torch.allclose(made.cross_attentions[2][0][:, :, -1].sum(dim=-1), torch.tensor(1.0), atol=1e-5)


def test_peft_by_task_type(tmp_path: Path, seeds: int) -> None:
    model, processor = make(seeds)
    given = {"audio": waves(), "sampling_rate": RATE}
    batch, prompts = processor(text=QUESTIONS, answers=ANSWERS, **given), processor(text=QUESTIONS, **given)
    before, twin = model(**batch).loss, copy.deepcopy(model)
    how = peft.LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q_proj", "v_proj"], r=2)
    adapted = peft.get_peft_model(model, how)
    assert isinstance(adapted, peft.PeftModelForSeq2SeqLM)
    assert torch.allclose(adapted(**batch).loss, before)
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=0.5)
    adapted.train()
    for _ in range(2):
        adapted(**batch).loss.backward()
        optimizer.step()
    adapted.eval()
    made = adapted.generate(**batch, max_new_tokens=NEW)
    assert torch.equal(made, adapted.generate(**prompts, max_new_tokens=NEW))
    adapted.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(twin, tmp_path)
    assert torch.equal(again.generate(**prompts, max_new_tokens=NEW), made)


def test_names_of_other_models_are_refused(seeds: int) -> None:
    model, processor = make(seeds)
    given = processor(text=QUESTIONS, audio=waves(), sampling_rate=RATE)
    with pytest.raises(ValueError, match="expected prompts as decoder_input_ids, found input_ids"):
        model(**given, input_ids=given["decoder_input_ids"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'pixels'"):
        model(**given, pixels=torch.zeros(2))


def test_auto_classes(tmp_path: Path, seeds: int) -> None:
    model, processor = make(seeds)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for name in AUTO_MODELS:
        assert type(getattr(transformers, name).from_pretrained(tmp_path)) is MirasolForConditionalGeneration
    assert type(transformers.AutoProcessor.from_pretrained(tmp_path)) is MirasolProcessor
    save_code(tmp_path)
    stated = transformers.AutoConfig.from_pretrained(tmp_path).auto_map
    assert set(AUTO_MODELS) < set(stated)


FRAMES, WAVE = np.zeros((4, 12, 17, 3), np.uint8), np.zeros(500, np.float32)
NAN = float("nan")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(({"videos": FRAMES, "fps": fps}, "fps as a positive number") for fps in (0, 0.0, -4, NAN, float("inf"))),
        ({"videos": [FRAMES] * 2, "fps": [4, 0]}, "fps as a positive number"),
        ({"videos": FRAMES, "fps": 1e-12}, "snippets of .* s, found .*; check fps"),
        ({"videos": FRAMES, "video_times": [0, 1, NAN, 2]}, "finite seconds"),
        ({"videos": FRAMES, "fps": 4, "start": NAN}, "finite seconds"),
        ({"videos": FRAMES, "fps": 4, "end": float("inf")}, "finite seconds"),
        ({"videos": FRAMES, "video_times": [0, 1, 2, 3], "start": NAN}, "finite seconds"),
        ({"audio": WAVE, "sampling_rate": RATE, "start": NAN}, "finite seconds"),
        ({"audio": WAVE, "sampling_rate": RATE, "audio_start": NAN}, "finite seconds"),
        ({"videos": FRAMES, "fps": 4, "end": 1e15}, "check fps, times, start and end"),
        ({"audio": WAVE * NAN, "sampling_rate": RATE}, "500 of 500 that are NaN"),
        ({"audio": np.r_[WAVE, np.inf], "sampling_rate": RATE}, "1 of 501 that are NaN"),
        ({"audio": [WAVE, WAVE - 1e30], "sampling_rate": RATE}, "beyond 100; mend the sound"),
        ({"audio": WAVE, "sampling_rate": RATE, "audio_start": 1e12}, "check fps, times, start and end"),
    ],
)
def test_seconds_and_samples_that_make_no_sense_are_refused(given: dict[str, Any], message: str, seeds: int) -> None:
    _, processor = make(3)
    with pytest.raises(ValueError, match=message) as error:
        processor(**given)
    assert "\n" not in str(error.value)
    if "fps" in given and not isinstance(given["videos"], list):  # the part alone, too
        with pytest.raises(ValueError, match=message):
            MirasolVideoProcessor(processor.video_processor.sizes)(
                given["videos"], **{name: value for name, value in given.items() if name != "videos"}
            )


@pytest.mark.parametrize(
    "values",
    [{"sizes": "x"}, {"sizes": [1]}, {"sizes": {"mels": 10**9}}, {"sources": "x"}, {"sources": [1]},
     {"pad_token_id": "x"}, {"eos_token_id": 10**9}, {"eos_token_id": [1, -1]}, {"bos_token_id": 1.5}],
)  # fmt: skip
def test_a_configuration_of_wrong_kinds_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected .*, found ") as error:
        MirasolConfig(**values)
    assert "\n" not in str(error.value)
