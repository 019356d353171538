"""Items in chunks: each chunk is exactly a part of the whole, lanes begin and end together, a feed is gone on with
inside its items, and so is a run through time."""

from __future__ import annotations

import json
import random
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from films import make_film
from helpers import REMEMBERING_SIZES
from mirasol.data.decoding import Bad, read_item
from mirasol.data.examples import Batch, clip_inputs
from mirasol.data.item_streams import ItemStreams, Long, chunk_inputs
from mirasol.data.items import Item
from mirasol.media.clip import Clip, MediaError
from mirasol.model.inputs import Inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.signals import as_floats
from mirasol.model.snippets import snippet_count
from mirasol.model.text import Text, train_tokenizer
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import train

SIZES = REMEMBERING_SIZES.change(frame_rate=16.0, hop=400)  # a snippet is a quarter of a second
TOKENIZER = train_tokenizer(["what is in film number 0 1 2 3 4 5 6 7 8 9"], SIZES.vocabulary)
CHUNK, CHUNKS = 3, 4


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Seven films of 0.5 to 2.9 seconds: one to four chunks. Of some the sound comes late, or lies in another file."""
    folder, items = tmp_path_factory.mktemp("films"), []
    for number, seconds in enumerate((2.9, 0.5, 1.0, 2.1, 1.3, 2.8, 0.6)):
        chance = np.random.default_rng(number)
        times = np.unique(np.r_[0.0, (chance.random(int(9 * seconds)) * seconds).round(2)])
        path = folder / f"{number}.mp4"
        late = 0.3 * (number % 3 == 1)
        make_film(path, times=times, at=[0.2, seconds / 2], seconds=seconds - late, audio_shift=late, size=(32, 56))
        sound = None
        if number == 3:
            sound = str(folder / "sound.m4a")
            make_film(sound, times=None, at=[0.4, 1.7], seconds=seconds, format="mp4")
        pairs = ((None, f"film number {number}"), ("what number?", f"{number}"))
        items.append(Item(f"film {number}", str(path), pairs, sound=sound))
    return items


def streams(items: list[Item], **changes: Any) -> ItemStreams:
    return ItemStreams(items, SIZES, Text(TOKENIZER), **{"lanes": 2, "chunk": CHUNK, "chunks": CHUNKS, **changes})


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same in every number."""
    assert one.first == other.first
    pairs = [(getattr(one.inputs, field.name), getattr(other.inputs, field.name)) for field in fields(Inputs)]
    pairs += [(getattr(one, name), getattr(other, name)) for name in ("ids", "labels", "rows", "seeds", "text_mask")]
    return all(torch.equal(first, second) for first, second in pairs)


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("span", [(None, None), (0.17, 0.47), (0.23, 2.05)])
def test_a_chunk_is_a_part_of_the_whole(
    films: list[Item], number: int, span: tuple[float | None, float | None]
) -> None:
    item = replace(films[number], start=span[0], end=span[1])
    feed = streams([item], lanes=1)
    long = feed.example(item, 5)
    if isinstance(long, Bad):  # the film is too short for this span
        with pytest.raises(MediaError):
            read_item(item, SIZES, feed.longest, 5)
        return
    whole = clip_inputs(read_item(item, SIZES, feed.longest, long.seed)[0], SIZES)
    assert whole.snippet_mask is not None
    assert long.chunks == -(-whole.snippet_mask.shape[1] // CHUNK)
    parts = [chunk_inputs(long, at, CHUNK, SIZES)[0] for at in range(long.chunks)]
    assert [part.snippet_mask.shape[1] for part in parts[:-1]] == [CHUNK] * (long.chunks - 1)
    for name in Inputs.__dataclass_fields__:
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts], dim=1)), name


def test_pixels_wait_and_travel_as_bytes() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (7, SIZES.height, SIZES.width, 3), dtype=np.uint8)
    clip = Clip(frames, np.arange(7) / SIZES.frame_rate, None, end=7 / SIZES.frame_rate)
    inputs = clip_inputs(clip, SIZES)
    assert inputs.pixel_values_videos is not None
    assert inputs.pixel_values_videos.dtype == torch.uint8
    one = inputs.complete(SIZES, torch.empty(0))
    assert one.pixel_values_videos is not None
    assert one.pixel_values_videos.dtype == torch.uint8
    for kind in (torch.float32, torch.bfloat16):
        values = as_floats(one.pixel_values_videos, kind)
        assert len(values.unique()) == 256
        assert torch.equal((values.float() + 2) * 64, one.pixel_values_videos.float())


def test_of_a_longer_item_a_part_is_watched(films: list[Item]) -> None:
    feed = streams(films, chunks=2)
    longs = [feed.example(films[0], position) for position in range(30)]
    assert all(isinstance(long, Long) and long.chunks == 2 for long in longs)
    starts = [long.start for long in longs if isinstance(long, Long)]
    assert min(starts) < 0.4 < 1.0 < max(starts)


def test_lanes_begin_and_end_together_and_are_asked_at_the_end(films: list[Item]) -> None:
    batches, seen, at = streams(films, seed=3), [], 0
    for batch in islice(batches.feed(workers=0), 40):
        at = 0 if batch.first else at + 1
        assert batch.inputs.snippet_mask is not None
        assert len(batch.inputs.snippet_mask) == 2
        asked = bool((batch.labels != -100).any())
        if asked:
            assert len(batch.ids) == 4
            assert batch.seeds is not None
            items = [batches.mixture.item(int(seed) - 3 * 1_000_000_007) for seed in batch.seeds]
            for item in items:
                seconds = (2.9, 0.5, 1.0, 2.1, 1.3, 2.8, 0.6)[int(item.key[-1])]
                assert abs(snippet_count(SIZES, seconds) / CHUNK - (at + 0.5)) < 1
            seen += [item.key for item in items]
    counts = [seen.count(item.key) for item in films]
    assert sum(counts) > 20
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_feed_is_gone_on_with_after_every_batch(films: list[Item], workers: int) -> None:
    whole = list(islice(streams(films).feed(workers=0), 12))
    assert {batch.first for batch in whole} == {True, False}
    for stop in range(1, 10) if workers == 0 else (3, 5):
        before = streams(films)
        begun = list(islice(before.feed(workers=workers), stop))
        state = json.loads(json.dumps(before.merge([before.state()])))
        rest = list(islice(streams(films).feed(workers=workers, state=state), 12 - stop))
        assert all(same(one, other) for one, other in zip(whole, begun + rest, strict=True))


def test_on_another_number_of_processes_nothing_is_lost_or_asked_twice(films: list[Item]) -> None:
    """One process stops inside its items; of two that go on, each begins with other items, and those begin anew."""
    alone = streams(films)
    used = asked_seeds(islice(alone.feed(workers=0), 7))
    state = alone.merge([alone.state()])
    both = []
    for rank in range(2):
        feed = streams(films).feed(workers=0, rank=rank, ranks=2, state=state)
        batches = list(islice(feed, 25))
        assert batches[0].first
        both.append(asked_seeds(iter(batches)))
    together = used + both[0] + both[1]
    assert len(together) == len(set(together))
    assert sorted(together)[:10] == list(range(10))


def asked_seeds(batches: Any) -> list[int]:
    """The positions of the clips that were asked something."""
    return [int(seed) for batch in batches if (batch.labels != -100).any() for seed in batch.seeds]


def test_a_lane_that_breaks_is_named_and_asks_nothing(films: list[Item], tmp_path: Path) -> None:
    make_film(tmp_path / "whole.mkv", times=np.arange(0, 2.9, 0.1), at=[0.2], seconds=2.9, size=(32, 56))
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 3])
    items = [films[0], Item("cut", str(tmp_path / "cut.mkv"), ((None, "never asked"),))]
    batches = streams(items, most_bad=1.0)
    given = list(islice(batches.feed(workers=0), 2 * CHUNKS))
    assert [bad["key"] for bad in batches.report()["bad"]][:1] == ["cut"]
    assert {bad["key"] for bad in batches.report()["bad"]} == {"cut"}
    last = [batch for at, batch in enumerate(given) if at % CHUNKS == CHUNKS - 1]
    assert [len(set(batch.rows.tolist())) for batch in last] == [1, 1]
    assert not any((batch.labels != -100).any() for at, batch in enumerate(given) if at % CHUNKS < CHUNKS - 1)


def test_a_run_through_time_resumes_inside_an_item(films: list[Item], tmp_path: Path) -> None:
    run = Run(
        name="streams",
        sizes=SIZES,
        optimisation=Optimisation(steps=9, warmup=2, rate=1e-2, other_rate=1e-2),
        batches=lambda first, last: streams(films),
        tokenizer=lambda: TOKENIZER,
        through_time=True,
        workers=0,
        log_every=1,
        save_every=1,
        keep=9,
    )
    whole = train(run, tmp_path / "whole", report=lambda line: None)
    firsts = [batch.first for batch in islice(streams(films).feed(workers=0), 9)]
    stop = random.Random(1).choice(
        [at for at in range(2, 9) if not firsts[at]]
    )  # the next batch goes on with its items
    train(run, tmp_path / "broken", report=lambda line: None)
    for step in range(stop + 1, 10):
        (tmp_path / "broken" / f"step-{step:07d}" / "progress.json").unlink()
    again = train(replace(run, workers=2), tmp_path / "broken", report=lambda line: None)
    forgetful = train(replace(run, through_time=False), tmp_path / "forgetful", report=lambda line: None)
    assert whole is not None
    assert again is not None
    assert forgetful is not None
    first, second, third = (Mirasol.load(folder).state_dict() for folder in (whole, again, forgetful))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)
