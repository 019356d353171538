"""Training from shards with broken examples, through the real loop: it ends, and what it names is what is broken."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from mixed_run import LEAST

from films import make_film
from mirasol.data.batches import JUDGED, ItemBatches
from mirasol.data.opening import open_items
from mirasol.data.texts import Pairs
from mirasol.data.writing import ShardWriter
from mirasol.model.text import Text, train_tokenizer
from mirasol.train.config import Optimisation, Run
from mirasol.train.loop import train

TOKENIZER = train_tokenizer(["film one two three"], LEAST.vocabulary)
EXAMPLES, CLIPS, SHARES = 60, 4, (0.05, 0.2)


def spoilt(kind: int, film: bytes, long: bytes, pairs: Pairs) -> tuple[bytes, Pairs]:
    """An example broken in one of seven ways."""
    return (
        (film[: len(film) * 2 // 3], pairs),  # its table, which lies at the end, is gone
        (bytes(len(film)), pairs),
        (b"", pairs),
        (long[: len(long) // 3], pairs),  # opens, and ends long before it says
        (film, ()),
        (film, ((None, "  "),)),
        (film, ((None, "endless " * LEAST.text_positions),)),  # more than the model takes
    )[kind]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """(a folder of shards, the keys of the seven broken examples)."""
    folder, chance, films = tmp_path_factory.mktemp("shards"), random.Random(5), []
    for number in range(3):
        path = folder / "film.mp4"
        make_film(path, times=np.arange(5 + 3 * number) / 8, at=[0.2], seconds=0.6 + number / 4, size=(32, 56))
        films.append(path.read_bytes())
        path.unlink()
    make_film(folder / "long.mkv", times=np.arange(60) / 8, at=[0.2], seconds=7.5, size=(32, 56))
    long = (folder / "long.mkv").read_bytes()
    (folder / "long.mkv").unlink()
    bad = chance.sample(range(EXAMPLES), 7)
    names = set()
    for first in range(0, EXAMPLES, 20):
        writer = ShardWriter(folder / f"data-{first // 20:06d}.tar")
        for number in range(first, first + 20):
            film, pairs = (
                films[number % 3],
                ((None, f"film {number % 3}"), ("which?", "one two three"[: number % 13 + 1])),
            )
            if number in bad:
                names.add(f"{writer.path}:{writer.base}")
                film, pairs = spoilt(bad.index(number), film, long, pairs)
            writer.add([("mp4", film)], pairs)
        writer.close()
    return folder, names


def run(folder: Path, steps: int, most_bad: float, workers: int) -> Run:
    text = Text(TOKENIZER)
    return Run(
        name="damaged",
        sizes=LEAST,
        optimisation=Optimisation(steps=steps, warmup=2),
        batches=lambda first, last: ItemBatches(open_items(folder), LEAST, text, clips=CLIPS, most_bad=most_bad),
        tokenizer=lambda: TOKENIZER,
        workers=workers,
        log_every=5,
        save_every=6,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_names_exactly_what_is_broken(shards: tuple[Path, set[str]], tmp_path: Path, workers: int) -> None:
    folder, names = shards
    steps = -(-(EXAMPLES - len(names)) // CLIPS)  # all that is not broken, once
    lines: list[str] = []
    assert train(run(folder, steps, SHARES[1], workers), tmp_path, report=lines.append) is not None
    bad = [json.loads(line) for line in (tmp_path / "left_out.jsonl").read_text().splitlines()]
    assert {one["key"] for one in bad} == names
    assert len(bad) == len(names) == 7
    assert all(one["reason"] for one in bad)
    assert any(line.startswith("7 of the items") and "left_out.jsonl" in line for line in lines)


def test_more_broken_examples_than_stated_end_the_run(shards: tuple[Path, set[str]], tmp_path: Path) -> None:
    steps = 2 * JUDGED // CLIPS
    with pytest.raises(ValueError, match=r"^7 of \d+ items cannot be used, more than 5%; the last: .*$") as stopped:
        train(run(shards[0], steps, SHARES[0], 0), tmp_path, report=lambda line: None)
    assert "\n" not in str(stopped.value)
