"""The processor: what it makes equals what the data pipeline makes of the same clip; batches, absence, refusals."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from helpers import random_sizes
from mirasol.data.examples import clip_inputs
from mirasol.media.clip import Clip
from mirasol.model.configuration_mirasol import MirasolConfig
from mirasol.model.inputs import Inputs, join_inputs
from mirasol.model.mirasol import IGNORE
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.model.processing_mirasol import MirasolProcessor
from mirasol.model.signals import as_floats
from mirasol.model.sizes import Sizes
from mirasol.model.text import ANSWER, END, PAD, START, Text, train_tokenizer

TOKENIZER = train_tokenizer(["what do you hear? a dog and a bell, then a horse"] * 3, 300)
RATE = 1000  # of the random sizes


def make(seed: int) -> tuple[Sizes, MirasolProcessor]:
    sizes = random_sizes(random.Random(seed), "ttm tokenlearner", 4, 7, vocabulary=TOKENIZER.get_vocab_size())
    return sizes, MirasolProcessor.build(sizes, TOKENIZER)


def random_clip(sizes: Sizes, chance: random.Random, *, picture: bool = True, sound: bool = True) -> Clip:
    """Frames at uneven times, sound that starts and stops elsewhere, anywhere in its source."""
    start = chance.uniform(0, 9)
    end = start + sizes.snippet_seconds * chance.uniform(1.5, 5.5)
    n = chance.randint(3, 17)
    frames = np.random.randint(0, 256, (n, chance.randint(9, 31), chance.randint(32, 50), 3), np.uint8)
    times = np.sort(np.random.uniform(start - 0.05, end, n))
    wave = np.random.uniform(-1, 1, round((end - start) * chance.uniform(0.5, 1) * RATE)).astype(np.float32)
    begin = start + chance.uniform(-0.02, 0.02)
    return Clip(
        frames if picture else None, times if picture else None, wave if sound else None, RATE, begin, start, end
    )


def arguments(clip: Clip) -> dict[str, Any]:
    return {
        "videos": clip.frames,
        "video_times": clip.frame_times,
        "audio": clip.waveform,
        "start": clip.start,
        "end": clip.end,
        "audio_start": clip.waveform_start,
        "sampling_rate": clip.sample_rate,
    }


def assert_inputs(made: Any, expected: Inputs) -> None:
    """Equal masks, and equal signals where the masks are true for anything of the snippet."""
    for signal, mask in (("pixel_values_videos", "frame_mask"), ("input_features", "column_mask")):
        wanted = getattr(expected, mask)
        if signal not in made:
            assert not wanted.any()
            continue
        assert torch.equal(made[mask], wanted)
        there = wanted.any(dim=-1)
        ours, theirs = getattr(expected, signal)[there], made[signal][there]
        if signal == "pixel_values_videos":
            assert torch.equal(theirs, as_floats(ours))
        else:  # what lies under a false mask is filled by the model
            heard = wanted[there][:, None].expand_as(ours)
            assert torch.equal(theirs[heard], ours[heard])
    assert torch.equal(made["snippet_mask"], expected.snippet_mask)


def test_equals_the_data_pipeline(seeds: int) -> None:
    chance = random.Random(seeds)
    for picture, sound in ((True, True), (True, False), (False, True)):
        sizes, processor = make(chance.randrange(10**6))
        clip = random_clip(sizes, chance, picture=picture, sound=sound)
        assert_inputs(processor(**arguments(clip)), clip_inputs(clip, sizes))


def test_batch_of_mixed_clips_equals_each_alone(seeds: int) -> None:
    chance = random.Random(seeds)
    sizes, processor = make(seeds)
    clips = [
        random_clip(sizes, chance, picture=p, sound=s)
        for p, s in ((True, True), (False, True), (True, False), (True, True))
    ]
    rows = [arguments(clip) for clip in clips]
    batch = {name: [row[name] for row in rows] for name in rows[0] if name != "sampling_rate"}
    made = processor(**batch, sampling_rate=RATE)
    assert_inputs(made, join_inputs([clip_inputs(clip, sizes) for clip in clips]))


def test_frames_per_second_are_evenly_spaced_times(seeds: int) -> None:
    sizes, processor = make(seeds)
    frames = list(np.random.randint(0, 256, (11, 20, 33, 3), np.uint8))
    made = processor(videos=frames, fps=2.5, start=3.0)
    told = processor(videos=np.stack(frames), video_times=3 + np.arange(11) / 2.5, start=3.0)
    assert all(torch.equal(made[name], told[name]) for name in told)
    assert made["frame_mask"].sum() == len(np.arange(0.5 / sizes.frame_rate, 11 / 2.5, 1 / sizes.frame_rate))


def test_prompts_targets_and_answers(seeds: int) -> None:
    _, processor = make(seeds)
    text, wave = Text(TOKENIZER), np.zeros(500, np.float32)
    questions, answers = ["What do you hear?", "<describe>", "a bell then a dog"], ["a dog", "a dog and a bell", "no"]
    made = processor(text=questions, audio=wave, sampling_rate=RATE)
    assert made["rows"].tolist() == [0, 0, 0]
    assert set(made) <= set(processor.model_input_names)
    prompts = [text.prompt(None if "<" in question else question) for question in questions]
    for ids, mask, prompt in zip(made["decoder_input_ids"], made["decoder_attention_mask"], prompts, strict=True):
        assert ids.tolist() == [PAD] * (len(ids) - len(prompt)) + prompt  # padding on the left
        assert mask.tolist() == [0] * (len(ids) - len(prompt)) + [1] * len(prompt)
    taught = processor(text=questions, answers=answers, audio=wave, sampling_rate=RATE)
    for ids, labels, answer in zip(taught["decoder_input_ids"], taught["labels"], answers, strict=True):
        assert labels[labels != IGNORE].tolist() == ids[labels != IGNORE].tolist() == text.target(answer)
        assert labels.shape == ids.shape
    assert processor.batch_decode(taught["decoder_input_ids"]) == answers
    assert processor.decode([*text.encode("a dog"), END, PAD, *text.encode("a bell")]) == "a dog"
    assert processor.decode([START, *text.encode("a dog"), ANSWER, END]) == ""
    nested = processor(text=[["a?", "b?"], "c?"], audio=[wave, None], videos=[None, None], sampling_rate=RATE)
    assert nested["rows"].tolist() == [0, 0, 1]
    assert nested["snippet_mask"].any(dim=1).tolist() == [True, False]


def test_model_takes_what_the_processor_gives(seeds: int) -> None:
    """With picture and sound, with one of them, with neither; trained on and generated from."""
    sizes, processor = make(seeds)
    model = MirasolForConditionalGeneration(MirasolConfig(sizes=sizes.to_dict())).eval()
    clip = arguments(random_clip(sizes, random.Random(seeds)))
    sound = {name: clip[name] for name in ("audio", "audio_start", "start", "sampling_rate")}
    for given in (clip, sound, {}):
        made = processor(text=["a?", "a bell?"], answers=["no", "a dog"], **given)
        assert model(**made).loss.isfinite()
        prompt = processor(text=["a?", "a bell?"], **given)
        assert len(processor.batch_decode(model.generate(**prompt, max_new_tokens=3))) == 2


WAVE, FRAMES = np.zeros(500, np.float32), np.zeros((4, 12, 17, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"audio": WAVE, "sampling_rate": 44_100}, "expected sampling_rate=1000, found 44100"),
        ({"audio": WAVE}, "found None"),
        ({"audio": np.zeros((2, 500)), "sampling_rate": RATE}, "mono"),
        ({"audio": np.zeros(500, np.int16), "sampling_rate": RATE}, "floats"),
        ({"videos": FRAMES}, "video_times"),
        ({"videos": FRAMES / 255, "fps": 4}, "uint8"),
        ({"videos": FRAMES[..., 0], "fps": 4}, "shape"),
        ({"videos": FRAMES, "video_times": [0.0, 1.0]}, "4 rising seconds"),
        ({"videos": FRAMES, "video_times": [0.0, 2.0, 1.0, 3.0]}, "rising"),
        ({"videos": FRAMES, "fps": 4, "start": 3.0, "end": 1.0}, "after its start"),
        ({"videos": [FRAMES] * 2, "audio": WAVE, "fps": 4, "sampling_rate": RATE}, "2 and 1"),
        ({"videos": [FRAMES] * 2, "fps": 4, "text": ["a?"] * 3}, "2 clips, found 3"),
        ({"videos": [FRAMES] * 2, "fps": [4, 5, 6]}, "fps"),
        ({"text": "a?", "answers": ["b", "c"]}, "each of the 1 questions"),
        ({"answers": "b"}, "text with answers"),
        ({"text": "  ?"}, "empty"),
        ({"text": "a?", "return_tensors": "np"}, 'return_tensors="pt"'),
    ],
)
def test_refusals_say_what_was_expected(given: dict[str, Any], message: str) -> None:
    _, processor = make(3)
    with pytest.raises(ValueError, match=message) as error:
        processor(**given)
    assert "\n" not in str(error.value)
