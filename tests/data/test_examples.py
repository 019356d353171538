"""Examples and batches: what a batch holds of a clip is what the clip is alone; prompts carry no label."""

from __future__ import annotations

import torch

from mirasol.data.examples import collate
from mirasol.data.toybox import scene_example, toybox_tokenizer
from mirasol.media import toybox
from mirasol.model.mirasol import IGNORE
from mirasol.model.sizes import PRESETS
from mirasol.model.text import ANSWER, END, PAD, Text

SIZES = PRESETS["tiny"]
TEXT = Text(toybox_tokenizer(SIZES.vocabulary, scenes=200))


def test_a_batch_holds_its_clips_and_their_texts() -> None:
    examples = [scene_example(seed, "test", SIZES, seconds=seconds) for seed, seconds in ((3, 2), (8, 4), (15, 1))]
    batch = collate(examples, TEXT)
    for at, example in enumerate(examples):
        length = example.inputs.snippet_mask.shape[1]
        assert torch.equal(batch.inputs.pixel_values_videos[at, :length], example.inputs.pixel_values_videos[0])
        assert torch.equal(batch.inputs.input_features[at, :length], example.inputs.input_features[0])
        assert batch.inputs.snippet_mask[at].tolist() == [True] * length + [False] * (4 - length)
        rows = (batch.rows == at).nonzero()[:, 0].tolist()
        assert len(rows) == len(example.pairs)
        for row, (question, answer) in zip(rows, example.pairs, strict=True):
            ids = batch.ids[row][batch.text_mask[row]].tolist()
            split = ids.index(ANSWER) + 1
            assert ids == TEXT.prompt(question) + TEXT.target(answer)
            assert batch.labels[row, :split].eq(IGNORE).all()
            assert batch.labels[row, split : len(ids)].tolist() == ids[split:]
            assert ids[-1] == END
            assert TEXT.decode(ids[split:]) == answer
            assert batch.ids[row, len(ids) :].eq(PAD).all()


def test_what_is_taken_away_is_masked_and_not_asked_for() -> None:
    for seed in range(12):
        example = scene_example(seed, "train", SIZES, seconds=3, drop=1.0)
        seen, heard = bool(example.inputs.frame_mask.any()), bool(example.inputs.column_mask.any())
        assert seen != heard
        scene = toybox.make_scene(seed, "train", seconds=3)
        needs = {question.text: question.needs for question in scene.questions}
        possible = {"picture" if seen else "sound"}
        if possible & set(needs.values()):
            assert {needs[question] for question, _ in example.pairs} == possible


def test_a_limit_on_things_holds() -> None:
    for seed in range(20):
        example = scene_example(seed * 100, "train", SIZES, seconds=1, things=1, silent=True)
        assert not example.inputs.column_mask.any()
        assert all("how many" not in (question or "") for question, _ in example.pairs)


def test_the_vocabulary_holds_every_word_of_toybox_whole() -> None:
    text = Text(toybox_tokenizer(SIZES.vocabulary))
    assert text.tokenizer.get_vocab_size() <= SIZES.vocabulary
    for word in (*toybox.KINDS, *toybox.COLOURS):
        assert len(text.encode(word)) == 1, word
    assert text.decode(text.encode("Ça ira, 100 %!")) == "Ça ira, 100 %!"


def test_a_wanted_question_is_always_among_those_asked() -> None:
    for seed, wanted in enumerate(("way", "count", "memory/picture", "memory/sound", "often")):
        type, _, needs = wanted.partition("/")
        example = scene_example(seed * 100, "train", SIZES, seconds=5, questions=2, wanted=wanted, caption=False)
        assert len(example.pairs) <= 2
        asked = {question for question, _ in example.pairs}
        scenes = [toybox.make_scene(number, "train", seconds=5) for number in range(seed * 100, seed * 100 + 100)]
        scene = next(s for s in scenes if any(q.type == type and needs in (q.needs, "") for q in s.questions))
        assert asked & {q.text for q in scene.questions if q.type == type and needs in (q.needs, "")}
        assert asked <= {q.text for q in scene.questions}
