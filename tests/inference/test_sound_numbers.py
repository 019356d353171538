"""One sample that is no number spoils nothing: neither an answer nor what a stream remembers."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
import torch

from helpers import COMBINERS, random_model, random_sizes
from mirasol.data.toybox import toybox_tokenizer
from mirasol.inference.answer import Loaded
from mirasol.inference.engine import Engine, Said
from mirasol.inference.session import Session, step_together
from mirasol.model.state import tensors
from mirasol.model.text import Text


def made(combiner: str) -> Loaded:
    sizes = random_sizes(random.Random(4), combiner, vocabulary=300, text_positions=160)
    return Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("bad", [math.nan, -math.inf, 1e20, 1e300, 3e4])
def test_samples_that_are_no_numbers_are_silence_and_counted(combiner: str, bad: float) -> None:
    loaded = made(combiner)
    session, clean, sizes = Session(loaded, start=0.0), Session(loaded, start=0.0), loaded.model.sizes
    for snippet in range(6):
        wave = np.random.default_rng(snippet).normal(0, 0.1, sizes.samples)
        frames = np.full((1, 5, 8, 3), 30 * snippet, np.uint8)
        wave[7] = 0.0
        clean.watch(frames, wave, at=snippet * sizes.snippet_seconds)
        wave[7] = bad if snippet == 2 else 0.0
        session.watch(frames, wave, at=snippet * sizes.snippet_seconds)
    receipt = session.snapshot().receipt
    assert receipt.warnings == ("1 sample of sound not finite or far beyond full scale; silence was heard instead",)
    assert all(torch.equal(a, b) for a, b in zip(tensors(session.state), tensors(clean.state), strict=True))
    answer = session.ask("what do you hear?")
    assert 0 <= answer.confidence <= 1
    json.dumps(answer.to_dict(), allow_nan=False)


@pytest.mark.parametrize("together", [False, True])
def test_a_state_that_is_not_finite_is_never_taken(together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the model makes of a snippet: that one is left out, and the stream goes on."""
    loaded = made("ttm tokenlearner")
    sizes, inner = loaded.model.sizes, loaded.model.encoder.forward

    def broken(inputs: object, state: object = None, hidden: object = None) -> object:
        latents, combined, after = inner(inputs, state, hidden)
        if 2 in after.count.tolist():
            latents = latents * math.nan
        return latents, combined, after

    monkeypatch.setattr(loaded.model.encoder, "forward", broken)
    session = Session(loaded, start=0.0, picture=False)
    for snippet in range(4):
        session.push(waveform=np.full(sizes.samples, 0.1, np.float32), at=snippet * sizes.snippet_seconds)
        if together:
            step_together([session])
        else:
            session.catch_up()
    receipt = session.snapshot().receipt
    length = sizes.snippet_seconds
    assert receipt.left_out == (pytest.approx((length, 2 * length)),)
    assert (receipt.snippets, receipt.sound_seconds) == (3, pytest.approx(3 * length, abs=1e-3))
    assert all(bool(tensor.isfinite().all()) for tensor in tensors(session.state))
    assert any("not finite" in words for _, words in session.intake.notes)


def test_a_confidence_is_always_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = made("local")
    monkeypatch.setattr(Engine, "answer", lambda *a, **b: [Said("x", (10,), (math.nan,))])
    session = Session(loaded, start=0.0)
    session.watch(waveform=np.zeros(loaded.model.sizes.samples * 2, np.float32), at=0.0)
    assert session.ask("what do you hear?").confidence == 0.0


@pytest.mark.parametrize("at", [math.nan, math.inf, -1e30])
def test_a_time_that_is_no_second_changes_nothing(at: float) -> None:
    session = Session(made("local"))
    with pytest.raises(ValueError, match="finite seconds"):
        session.push(waveform=np.zeros(9, np.float32), at=at)
    with pytest.raises(ValueError, match="finite seconds"):
        session.push([np.zeros((4, 6, 3), np.uint8)], at=0.0, times=[at])
    session.push(waveform=np.zeros(9, np.float32), at=3.0)
    assert session.intake.origin == 3.0
