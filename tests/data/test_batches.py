"""Batches of real files: every example once and none left out, whatever the workers, the processes, the bad files and
the moment at which a run is broken off; real media give what they hold."""

from __future__ import annotations

import json
import random
import wave
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from mirasol.data.batches import Decoder, ItemBatches
from mirasol.data.bucketed import PATIENCE, BucketedBatches
from mirasol.data.decoding import Bad, decode
from mirasol.data.examples import Batch, Example
from mirasol.data.items import Item, Member
from mirasol.data.opening import open_items
from mirasol.data.toybox import toybox_tokenizer
from mirasol.model.inputs import Inputs
from mirasol.model.signals import as_floats
from mirasol.model.sizes import Sizes
from mirasol.model.text import Text

SIZES = Sizes(
    height=24, width=36, mels=16, hop=640, window=800, patch=(8, 5),
    tubes=(((2, 8, 8), (2, 8, 8), (0, 0, 0)), ((4, 12, 12), (4, 12, 12), (0, 0, 0))),
    av_width=16, av_heads=2, av_mlp=20, vit_layers=1, combined=3, reconstruct_scale=2, reconstruct_patch=6,
    vocabulary=300, text_width=20, text_heads=2, text_kv_heads=2, text_positions=60,
)  # fmt: skip
TEXT = Text(toybox_tokenizer(SIZES.vocabulary, scenes=20))
COUNT = 47


class Named(ItemBatches):
    """Without media: an item of number n has 1 to 5 snippets, and some are bad."""

    wrong = frozenset({3, 11, 12, 40})

    def example(self, item: Item, position: int) -> Example | Bad:
        number = int(item.key)
        if number in self.wrong:
            return Bad(item.key, f"file {number}", "it is damaged")
        snippets, sizes = random.Random(number).randint(1, 5), self.sizes
        inputs = Inputs(
            torch.full((1, snippets, sizes.frames, 3, sizes.height, sizes.width), float(number)),
            torch.ones(1, snippets, sizes.frames, dtype=torch.bool),
            torch.zeros(1, snippets, sizes.mels, sizes.columns),
            torch.zeros(1, snippets, sizes.columns, dtype=torch.bool),
            torch.ones(1, snippets, dtype=torch.bool),
        )
        return Example(inputs, ((None, "x"),), position)


class Bucketed(BucketedBatches):
    """The same, bucketed by the length that is stated."""

    wrong = Named.wrong
    example = Named.example

    def snippets(self, item: Item) -> int:
        if int(item.key) in self.wrong:
            raise ValueError("it is damaged")
        return random.Random(int(item.key)).randint(1, 5)


def named(clips: int, bucket: bool = False) -> ItemBatches:
    items = [Item(str(number), None, ((None, "x"),)) for number in range(COUNT)]
    return (Bucketed if bucket else Named)(items, SIZES, TEXT, clips=clips, seed=1)


def numbers(batch: Batch) -> list[tuple[int, int]]:
    """(item, position) of each row."""
    assert batch.seeds is not None
    names = batch.inputs.pixel_values_videos[:, 0, 0, 0, 0, 0].int().tolist()
    return list(zip(names, batch.seeds.tolist(), strict=True))


def some(feed: Iterator[Batch], count: int) -> list[list[tuple[int, int]]]:
    return [numbers(next(feed)) for _ in range(count)]


@pytest.mark.parametrize("bucket", [False, True])
def test_every_example_once_in_an_epoch_and_the_same_for_any_number_of_workers(bucket: bool) -> None:
    runs = [some(named(4, bucket).feed(workers=workers), 40) for workers in (0, 2, 3)]
    assert runs[0] == runs[1] == runs[2]
    seen = [pair for batch in runs[0] for pair in batch]
    assert len({position for _, position in seen}) == len(seen)
    if not bucket:
        good = COUNT - len(Named.wrong)
        for epoch in range(3):
            part = [number for number, _ in seen[epoch * good : (epoch + 1) * good]]
            assert sorted(part) == sorted(set(range(COUNT)) - Named.wrong)


def test_buckets_share_lengths() -> None:
    feed = named(4, bucket=True).feed(workers=0)
    masks = [next(feed).inputs.snippet_mask for _ in range(30)]
    padded = sum(int((~mask).sum()) for mask in masks) / sum(mask.numel() for mask in masks)
    assert padded < 0.08
    plain = named(4).feed(workers=0)
    masks = [next(plain).inputs.snippet_mask for _ in range(30)]
    assert sum(int((~mask).sum()) for mask in masks) / sum(mask.numel() for mask in masks) > 0.2


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_broken_off_and_gone_on_with(ranks: int) -> None:
    """On as many processes exactly as if nothing had happened; on others every example once all the same. Twice."""
    chance = random.Random(ranks)
    whole = [some(named(6).feed(workers=0, rank=r, ranks=ranks), 24) for r in range(ranks)]
    state, done = None, 0
    seen: set[int] = set()
    for _ in range(2):
        steps = chance.randint(2, 9)
        parts = [named(6) for _ in range(ranks)]
        found = [
            some(part.feed(workers=chance.choice((0, 2)), rank=r, ranks=ranks, state=state), steps)
            for r, part in enumerate(parts)
        ]
        assert found == [batches[done : done + steps] for batches in whole]
        done += steps
        seen |= {position for batches in found for batch in batches for _, position in batch}
        state = json.loads(json.dumps(ItemBatches.merge([part.state() for part in parts])))
    others = next(other for other in (2, 1, 3) if other != ranks)
    parts = [named(6) for _ in range(others)]
    later = [some(part.feed(workers=0, rank=r, ranks=others, state=state), 20) for r, part in enumerate(parts)]
    again = [position for batches in later for batch in batches for _, position in batch]
    assert len(set(again)) == len(again)
    assert not set(again) & seen
    state = ItemBatches.merge([part.state() for part in parts])
    used = set(range(state["frontier"])) | set(state["beyond"])
    bad = {p for p in used if int(named(6).mixture.item(p).key) in Named.wrong}
    assert used == seen | set(again) | bad  # nothing was left out


def test_bad_items_are_named_once_and_too_many_end_the_run() -> None:
    source = named(4)
    some(source.feed(workers=2), 40)
    assert {item["key"] for item in source.report()["bad"]} == {str(number) for number in Named.wrong}
    assert len(source.report()["bad"]) == len(Named.wrong)
    source = named(4)
    source.most_bad = 0.05
    with pytest.raises(ValueError, match=r"4 of \d+ items cannot be used, more than 5%.*it is damaged"):
        some(source.feed(workers=0), 100)


def test_one_bad_item_counts_once_however_its_reasons_differ() -> None:
    class Moody(Named):
        wrong = frozenset({3})

        def example(self, item: Item, position: int) -> Example | Bad:
            found = super().example(item, position)
            return Bad(found.key, found.place, f"at {position}") if isinstance(found, Bad) else found

    source = Moody([Item(str(n), None, ((None, "x"),)) for n in range(COUNT)], SIZES, TEXT, clips=4)
    some(source.feed(workers=0), 150)
    assert [bad["key"] for bad in source.report()["bad"]] == ["3"]


def test_bucketed_first_then_dealt_out() -> None:
    """The same batches for any number of processes and workers, and after any number of resumptions on any number."""
    alone = [sorted(batch) for batch in some(named(6, bucket=True).feed(workers=0), 24)]
    state, done = None, 0
    for ranks, workers, steps in ((2, 0, 5), (3, 2, 7), (1, 0, 4), (2, 2, 8)):
        parts = [named(6, bucket=True) for _ in range(ranks)]
        found = [some(p.feed(workers=workers, rank=r, ranks=ranks, state=state), steps) for r, p in enumerate(parts)]
        assert all(len(batch) == 6 // ranks for batches in found for batch in batches)
        together = [sorted(pair for row in rows for pair in row) for rows in zip(*found, strict=True)]
        assert together == alone[done : done + steps]
        done += steps
        state = json.loads(json.dumps(Bucketed.merge([part.state() for part in parts])))


def test_what_is_damaged_inside_is_missing_in_its_batch() -> None:
    """Its length was stated, so every process dealt with it; nobody takes another in its place."""

    class Inside(Bucketed):
        def snippets(self, item: Item) -> int:
            return random.Random(int(item.key)).randint(1, 5)

    items = [Item(str(number), None, ((None, "x"),)) for number in range(COUNT)]
    source = Inside(items, SIZES, TEXT, clips=4, most_bad=0.2)
    lengths = [len(batch) for batch in some(source.feed(workers=0), 40)]
    assert set(lengths) <= {1, 2, 3, 4}
    assert 3 in lengths
    assert {bad["key"] for bad in source.report()["bad"]} == {str(number) for number in Named.wrong}


def test_the_length_that_is_stated_is_that_of_what_is_decoded(tmp_path: Path) -> None:
    write_media(tmp_path)
    source = BucketedBatches([Item("x", None, ())], SIZES, TEXT, clips=1, longest=2.0)
    for name, start, end in (
        ("film.mp4", None, None),
        ("film.mp4", 1.0, 2.0),
        ("tone.wav", None, None),
        ("still.png", None, None),
    ):
        item = Item("f", str(tmp_path / name), ((None, "x"),), start, end)
        example = decode(item, SIZES, TEXT, longest=2.0)
        assert isinstance(example, Example)
        assert source.look_up(item) == example.inputs.snippet_mask.shape[1], name
    assert isinstance(source.look_up(Item("f", str(tmp_path / "zeros.mp4"), ((None, "x"),))), Bad)


def test_a_rare_length_waits_for_a_while_and_not_for_ever() -> None:
    class Rare(Bucketed):
        wrong = frozenset()

        def snippets(self, item: Item) -> int:
            return 9 if item.key == "5" else 2

    source = Rare([Item(str(n), None, ((None, "x"),)) for n in range(COUNT)], SIZES, TEXT, clips=4)
    state = None
    for _ in range(4):
        seen = [number for batch in some(source.feed(workers=0, state=state), 25) for number, _ in batch]
        assert 5 in seen
        state = Rare.merge([source.state()])
        assert len(state["waiting"]) <= (PATIENCE + 1) * 4


def test_workers_may_be_spawned() -> None:
    """What a worker process gets can be sent to it."""
    source = named(4)
    source.mixture.item(3)
    again = ForkingPickler.loads(ForkingPickler.dumps(Decoder(source.mixture, source.example)))
    assert again[7][1].seed == source.example(source.mixture.item(7), 7).seed


PLAYLIST = {
    "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    "hls": "#EXTM3U\n#EXTINF:3,\nsecret.mp4\n#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("kind", PLAYLIST)
def test_data_cannot_name_other_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A playlist in the dress of a film, on disk or in a shard, does not bring another file into training."""
    write_media(tmp_path)
    (tmp_path / "film.mp4").rename(tmp_path / "secret.mp4")
    (tmp_path / "list.mp4").write_text(PLAYLIST[kind])
    monkeypatch.chdir(tmp_path)
    member = Member(str(tmp_path / "list.mp4"), "list.mp4", 0, len(PLAYLIST[kind]))
    for place in (str(tmp_path / "list.mp4"), member):
        found = decode(Item("x", place, ((None, "x"),)), SIZES, TEXT, longest=9.0)
        assert isinstance(found, Bad), place


def test_a_text_that_no_tokenizer_takes_is_a_bad_item() -> None:
    found = decode(Item("x", None, ((None, "cut \ud83d"),)), SIZES, TEXT, longest=9.0)
    assert isinstance(found, Bad)
    assert "\n" not in found.reason


def write_media(folder: Path) -> None:
    """A film of 3 s with frames that brighten, its sound in a file of its own, a still, and what is wrong."""
    with av.open(str(folder / "film.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 48, 72, "yuv420p"
        for at in range(24):
            picture = np.full((48, 72, 3), 10 * at, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    with wave.open(str(folder / "tone.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        samples = np.where(np.arange(48_000) < 24_000, 0, 20_000) * np.sin(np.arange(48_000) * 0.3)
        sound.writeframes(samples.astype("<i2").tobytes())
    from PIL import Image

    Image.new("RGB", (60, 40), (200, 30, 30)).save(folder / "still.png")
    data = (folder / "film.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])
    (folder / "zeros.mp4").write_bytes(bytes(5_000))
    (folder / "empty.mp4").write_bytes(b"")


def test_real_media(tmp_path: Path) -> None:
    write_media(tmp_path)
    rows = [
        {"file": "film.mp4", "caption": "it grows bright"},
        {"file": "film.mp4", "start": 1.0, "end": 2.0, "caption": "a part"},
        {"file": "film.mp4", "sound": "tone.wav", "caption": "with sound"},
        {"file": "tone.wav", "caption": "sound alone"},
        {"file": "still.png", "caption": "red"},
        {"file": "cut.mp4", "caption": "x"},
        {"file": "zeros.mp4", "caption": "x"},
        {"file": "empty.mp4", "caption": "x"},
        {"file": "nowhere.mp4", "caption": "x"},
        {"file": "film.mp4", "start": 7, "end": 9, "caption": "x"},
        {"file": "film.mp4", "start": 0, "end": 9, "caption": "x"},
        {"file": "film.mp4", "start": 0, "end": 3, "caption": "x " * 300},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "texts.jsonl").write_text(json.dumps({"caption": "nothing to see"}))
    items = [*open_items(tmp_path / "m.jsonl")]
    items[5:5] = open_items(tmp_path / "texts.jsonl")
    found = [decode(item, SIZES, TEXT, longest=9.0) for item in items]
    film, part, both = found[:3]
    for example in found[:6]:
        assert isinstance(example, Example), example
    assert [e.inputs.snippet_mask.shape[1] for e in found[:6]] == [3, 1, 3, 3, 1, 1]
    seen = [bool(e.inputs.frame_mask.any()) for e in found[:6]]
    heard = [bool(e.inputs.column_mask.any()) for e in found[:6]]
    assert seen == [True, True, True, False, True, False]
    assert heard == [False, False, True, True, False, False]
    bright = as_floats(film.inputs.pixel_values_videos).mean(dim=(2, 3, 4, 5))[0]
    assert bright[0] < bright[1] < bright[2]
    assert torch.allclose(as_floats(part.inputs.pixel_values_videos[0, 0]).mean(), bright[1], atol=0.05)
    loud = both.inputs.input_features.mean(dim=(2, 3))[0]
    assert loud[0] < loud[2]
    reasons = [bad.reason for bad in found[6:]]
    for reason, says in zip(
        reasons,
        ("cannot", "cannot", "empty", "no file", "asked for from 7 s", "ends after 3.00 s of the 9.00 s", "tokens"),
        strict=True,
    ):
        assert says in reason, reasons
    assert all("\n" not in reason for reason in reasons)


def test_a_part_of_what_is_longer(tmp_path: Path) -> None:
    """Another one each time, of the stated length, and all of the film in the end."""
    write_media(tmp_path)
    item = Item("f", str(tmp_path / "film.mp4"), ((None, "x"),))
    means = set()
    for seed in range(12):
        example = decode(item, SIZES, TEXT, longest=1.0, seed=seed)
        assert isinstance(example, Example)
        assert example.inputs.snippet_mask.shape == (1, 1)
        means.add(round(float(as_floats(example.inputs.pixel_values_videos).mean()), 1))
    assert len(means) > 4
