"""Saved sessions: files from anywhere are refused in one line, those of another dtype are converted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers import COMBINERS, random_model, random_sizes
from mirasol.data.toybox import toybox_tokenizer
from mirasol.inference.answer import Loaded
from mirasol.inference.memory_picture import draw_memory
from mirasol.inference.session import Session
from mirasol.model.mirasol import Mirasol
from mirasol.model.state import tensors
from mirasol.model.text import Text

Parts = tuple[dict[str, Tensor], dict[str, str]]


def made(combiner: str, seed: int) -> Loaded:
    sizes = random_sizes(random.Random(seed), combiner, vocabulary=300, text_positions=160)
    return Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")


def in_dtype(loaded: Loaded, dtype: torch.dtype) -> Loaded:
    model = Mirasol(loaded.model.sizes).eval()
    model.load_state_dict(loaded.model.state_dict())
    return Loaded(model.to(dtype), loaded.text, loaded.name)


def watched(loaded: Loaded, snippets: float = 7.4, **options: Any) -> Session:
    session, sizes = Session(loaded, start=2.0, patience=0.5, **options), loaded.model.sizes
    noise = np.random.default_rng(1)
    wave = noise.normal(0, 0.1, round(snippets * sizes.samples)).astype(np.float32)
    frames = noise.integers(0, 255, (round(snippets * sizes.frames), 9, 14, 3), dtype=np.uint8)
    session.watch(frames, wave, at=2.0)
    return session


def parts_of(path: Path) -> Parts:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


@pytest.mark.parametrize("combiner", ["local", "ttm tokenlearner", "priority"])
@pytest.mark.parametrize("pair", [("float32", "bfloat16"), ("bfloat16", "float32"), ("float16", "bfloat16")])
def test_another_dtype_of_the_same_model_goes_on(combiner: str, pair: tuple[str, str], tmp_path: Path) -> None:
    """And its memory can be drawn in every dtype."""
    base = made(combiner, 3)
    one, other = (in_dtype(base, getattr(torch, name)) for name in pair)
    session = watched(one)
    session.save(tmp_path / "some.safetensors")
    again = Session.load(tmp_path / "some.safetensors", other)
    assert any(f"converted to {pair[1]}" in words for _, words in again.intake.notes)
    assert again.snapshot().receipt == session.snapshot().receipt
    floats = [tensor.dtype for tensor in tensors(again.state) if tensor.is_floating_point()]
    assert set(floats) <= {getattr(torch, pair[1]), torch.float64}
    again.watch(waveform=np.zeros(3 * other.model.sizes.samples, np.float32), at=again.intake.clock + 2.0)
    again.flush()
    answers = again.ask_all(["what do you hear?"])
    draw_memory(again.snapshot(), answers, other, "a stream")
    stranger = Loaded(in_dtype(made(combiner, 3), getattr(torch, pair[1])).model, base.text, "stranger")
    torch.nn.init.normal_(stranger.model.decoder.embed.weight)
    with pytest.raises(ValueError, match="another model"):
        Session.load(tmp_path / "some.safetensors", stranger)


def change(name: str, place: Any, value: float) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        parts[0][name][place] = value

    return apply


def swap(name: str, value: Tensor) -> Callable[[Parts], None]:
    return lambda parts: parts[0].__setitem__(name, value)


def say(name: str, words: str) -> Callable[[Parts], None]:
    return lambda parts: parts[1].__setitem__(name, words)


HOSTILE: dict[str, Callable[[Parts], Any]] = {
    "next": change("numbers", 3, 10**12),
    "next below": change("numbers", 3, -1),
    "instant": change("numbers", 4, 2**62),
    "heard": change("numbers", 5, 2**62),
    "silent": change("numbers", 6, -(2**62)),
    "flag": change("numbers", 0, 7),
    "neither": lambda parts: parts[0]["numbers"].__setitem__(slice(1, 3), 0),
    "count": change("numbers", 11, -3),
    "more seen than came": change("numbers", 12, 10**9),
    "origin": change("seconds", 0, float("nan")),
    "end": change("seconds", 1, 1e30),
    "patience": change("seconds", 2, 1e30),
    "no patience": change("seconds", 2, float("nan")),
    "hold": change("seconds", 3, float("nan")),
    "step": change("seconds", 4, float("inf")),
    "now": change("seconds", 5, 1e9),
    "shift": change("seconds", 6, float("nan")),
    "state count": change("state.count", 0, 10**12),
    "state nan": change("state.latents", (0, 0, 0, 0), float("nan")),
    "memory inf": change("state.combiner.memory.tokens", (0, 0, 0), float("inf")),
    "numbers of the future": change("state.numbers", (0, -1), 99),
    "numbers out of order": change("state.numbers", (0, -2), 6),
    "memory of the future": change("state.combiner.memory.numbers", (0, -1), 2.0**60),
    "sound": change("intake.sound", 3, float("nan")),
    "before": change("intake.before", 0, float("inf")),
    "heard later": change("intake.heard", -1, 1),
    "shown": change("intake.shown", 0, 9),
    "missing": lambda parts: parts[0].pop("state.latents"),
    "no numbers": lambda parts: parts[0].pop("numbers"),
    "strange": swap("state.extra", torch.zeros(3)),
    "shape": swap("state.latents", torch.zeros(1, 2, 3, 4)),
    "huge": swap("state.numbers", torch.zeros(1, 200_000, dtype=torch.int64)),
    "axes": swap("numbers", torch.zeros(3, 6, dtype=torch.int64)),
    "few": swap("seconds", torch.zeros(2, dtype=torch.float64)),
    "integers": swap("state.latents", torch.zeros(1, 3, 3, 4, dtype=torch.int32)),
    "dtype": swap("intake.frames", torch.zeros(3)),
    "notes": say("notes", "["),
    "deep notes": say("notes", "[" * 9_000),
    "long notes": say("notes", json.dumps([[0.0, "x"]] * 30_000)),
    "notes of others": say("notes", '[{"a": 1}]'),
    "left_out": say("left_out", "[[NaN, 2]]"),
    "no fingerprint": lambda parts: parts[1].pop("fingerprint"),
    "fingerprint": lambda parts: parts[1].update(fingerprint="x", dtype="os"),
    "format": say("format", "mirasol session 9"),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_a_hostile_file_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    loaded = made("priority", 5)
    watched(loaded).save(tmp_path / "some")
    parts = parts_of(tmp_path / "some")
    HOSTILE[kind](parts)
    save_file(parts[0], tmp_path / "other", parts[1])
    with pytest.raises(ValueError, match="other") as caught:
        Session.load(tmp_path / "other", loaded)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, bytes, Path]:
    loaded, folder = made("ttm tokenlearner", 6), tmp_path_factory.mktemp("saved")
    watched(loaded).save(folder / "whole")
    return loaded, (folder / "whole").read_bytes(), folder / "broken"


@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4), length=st.floats(0, 1.2))
@settings(max_examples=80)
def test_mutated_bytes_load_or_are_refused(saved: Any, places: list[tuple[float, int]], length: float) -> None:
    loaded, data, path = saved
    header = int.from_bytes(data[:8], "little") + 8
    broken = bytearray(data)
    for share, value in places:  # most of them in the header, where names, shapes and metadata are
        broken[int(share * (header - 1))] = value
    path.write_bytes(bytes(broken[: int(length * len(broken))]) if length < 1 else bytes(broken))
    refused = ""
    try:
        session = Session.load(path, loaded)
    except ValueError as error:
        refused = str(error)
    if refused:
        assert "\n" not in refused
        return
    session.watch(waveform=np.zeros(loaded.model.sizes.samples, np.float32), at=session.intake.clock + 2.0)
    assert 0 <= session.ask("what do you hear?").confidence <= 1


@pytest.mark.parametrize("combiner", COMBINERS)
def test_files_of_the_first_kind_are_read(combiner: str, tmp_path: Path) -> None:
    """Without a probe, and without the count of samples that are no numbers."""
    loaded = made(combiner, 8)
    session = watched(loaded)
    session.save(tmp_path / "new")
    values, metadata = parts_of(tmp_path / "new")
    del values["probe"], metadata["dtype"]
    values["numbers"] = values["numbers"][:-1].clone()
    save_file(values, tmp_path / "old", metadata)
    assert Session.load(tmp_path / "old", loaded).snapshot().receipt == session.snapshot().receipt


def test_a_picture_on_screen_that_is_a_view_is_saved(tmp_path: Path) -> None:
    """Pictures come mirrored and turned, as views of what was decoded."""
    loaded = made("priority", 3)
    sizes, session = loaded.model.sizes, Session(loaded, start=0.0, sound=False)
    picture = np.random.default_rng(0).integers(0, 255, (sizes.height, sizes.width, 3), dtype=np.uint8)
    session.watch([picture[:, ::-1]], at=0.0, times=[0.0])
    session.save(tmp_path / "saved.safetensors")
    again = Session.load(tmp_path / "saved.safetensors", loaded)
    assert np.array_equal(again.intake.pack()[0]["now"], picture[:, ::-1])
