"""Sessions in many threads: whoever encodes, each session sees what it would have seen alone."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from helpers import random_model, random_sizes
from mirasol.data.toybox import toybox_tokenizer
from mirasol.inference.answer import Loaded
from mirasol.inference.session import Session, step_together
from mirasol.model.text import Text


@pytest.fixture(autouse=True)
def hasty() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("combiner", ["ttm tokenlearner", "priority", "causal"])
def test_many_threads_equal_one(combiner: str) -> None:
    """Pieces are pushed by one thread a session; others `step`, `catch_up` and `step_together` all the while."""
    chance = random.Random(7)
    sizes = random_sizes(chance, combiner, vocabulary=300, text_positions=160)
    loaded = Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")
    length, snippets = sizes.snippet_seconds, 12
    alone = [Session(loaded, start=0.0) for _ in range(5)]
    shared = [Session(loaded, start=0.0) for _ in range(5)]

    def pieces(number: int) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        noise, at, own = np.random.default_rng(number), 0, random.Random(number)
        while at < snippets * sizes.samples:
            end = min(at + own.randrange(50, 2 * sizes.samples), snippets * sizes.samples)
            frames = noise.integers(0, 255, (1 + number, 7, 11, 3), dtype=np.uint8)
            yield frames, noise.normal(0, 0.1, end - at).astype(np.float32), at / sizes.sample_rate
            at = end

    for number, session in enumerate(alone):
        for frames, wave, at in pieces(number):
            session.watch(frames, wave, at=at)
        session.flush(snippets * length)

    pushed, failed = threading.Event(), []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)

        return run

    def push(number: int) -> None:
        for frames, wave, at in pieces(number):
            if number % 2:
                shared[number].watch(frames, wave, at=at)
            else:
                shared[number].push(frames, wave, at=at)
            time.sleep(0.001)

    def encode(seed: int) -> None:
        own = random.Random(seed)
        while not pushed.is_set():
            some = own.sample(shared, own.randint(1, len(shared)))
            own.choice([partial(step_together, some, own.randint(1, 3)), some[0].catch_up, some[0].step])()
            seen = some[0].snapshot()
            assert seen.receipt.snippets == int(seen.state.count[0])

    pushers = [threading.Thread(target=guarded(lambda n=n: push(n))) for n in range(5)]
    encoders = [threading.Thread(target=guarded(lambda n=n: encode(n))) for n in range(4)]
    for thread in (*pushers, *encoders):
        thread.start()
    for thread in pushers:
        thread.join()
    pushed.set()
    for thread in encoders:
        thread.join()
    assert failed == []
    while step_together(shared):
        pass
    for one, other in zip(alone, shared, strict=True):
        other.flush(snippets * length)
        assert other.snapshot().receipt == one.snapshot().receipt
        assert (one.state.latents - other.state.latents).abs().max() < 1e-4


def test_what_is_due_is_claimed_under_the_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread encodes between the look at what is due and the lock: nothing is made up, nothing is lost."""
    sizes = random_sizes(random.Random(2), "local", vocabulary=300, text_positions=160)
    loaded = Loaded(random_model(sizes), Text(toybox_tokenizer(300, scenes=20)), "small")
    session = Session(loaded, start=0.0, picture=False)
    session.push(waveform=np.zeros(4 * sizes.samples, np.float32), at=0.0)
    inner = session._lock

    class Late:
        """A lock that somebody else was faster at."""

        def __enter__(self) -> None:
            inner.acquire()
            monkeypatch.setattr(session, "_lock", inner)
            session.catch_up()

        acquire = __enter__

        def __exit__(self, *_: object) -> None:
            inner.release()

        release = __exit__

    monkeypatch.setattr(session, "_lock", Late())
    assert step_together([session]) == 0
    receipt = session.snapshot().receipt
    assert (receipt.snippets, receipt.sound_seconds) == (4, pytest.approx(4 * sizes.snippet_seconds, abs=1e-3))
