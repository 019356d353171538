"""Streams: what is asked is what was shown; any second alone; no answer can be guessed."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from mirasol.media.toybox import render
from mirasol.media.toybox.streams import STREAM_TYPES, Stream


def test_every_answer_follows_from_the_moments() -> None:
    """Read off the scenes second by second, as somebody who watches could."""
    for seed in range(40):
        stream = Stream(seed, "test", 90, visits=7)
        seen: list[tuple[str, str, str]] = []  # kind, colour, place of each visit
        heard: list[str] = []
        before: set[int] = set()
        for second in range(stream.seconds):
            scene = stream.moment(second)
            now = {thing.look for thing in scene.things}
            seen += [(t.kind, t.colour, t.place) for t in scene.things if t.look not in before]
            heard += [event.kind for event in scene.sounds]
            before = now
        amount = Counter(kind for kind, _, _ in seen)
        for question in stream.questions(90):
            named = next((kind for kind in amount if f" {kind}" in question.text.replace("s ", " ")), "")
            if question.type in ("first", "last"):
                assert question.answer == heard[0 if question.type == "first" else -1]
            elif question.type == "passed":
                assert question.answer == ("one", "two", "three", "four")[amount[named] - 1]
            else:
                ((_, colour, place),) = [visit for visit in seen if visit[0] == named]
                assert question.answer == (place if question.type == "where" else colour)


def test_nothing_is_asked_before_it_is_decided() -> None:
    stream = Stream(8, "train", 120, visits=8)
    assert stream.questions(0) == ()
    for at in range(1, 121, 7):
        for question in stream.questions(at):
            assert question.distance >= 0
            assert question.at == at
    assert {question.type for question in stream.questions(120)} == set(STREAM_TYPES)


def test_a_moment_is_the_same_whoever_asks_first() -> None:
    one, other = Stream(5, "validation", 60), Stream(5, "validation", 60)
    last = [other.moment(second) for second in range(59, -1, -1)][::-1]
    assert list(one.moments()) == last
    visit = one.visits[0]
    clip = render(one.moment(visit.start), 48, 72)
    empty = render(one.moment(visit.end), 48, 72)
    assert clip.frames is not None
    assert clip.frames.shape == (4, 48, 72, 3)
    assert np.abs(clip.frames.astype(int) - empty.frames.astype(int)).max() > 60  # type: ignore[union-attr]
    assert len({Stream(seed, "test", 60).visits for seed in range(20)}) == 20


def test_the_distance_is_kept() -> None:
    stream = Stream(1, "test", 2_560, visits=5, within=64)
    assert min(question.distance for question in stream.questions(2_560)) >= 2_560 - 64


def test_the_best_blind_guess_stays_low() -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(400):
        for question in Stream(seed, "train", 40).questions(40):
            answers[question.type][question.answer] += 1
    share = {type: max(found.values()) / sum(found.values()) for type, found in answers.items()}
    assert share["first"] < 0.1
    assert share["last"] < 0.1
    assert share["where"] < 0.22
    assert share["colour"] < 0.2
    assert share["passed"] < 0.32


@pytest.mark.parametrize("values", [(10, 6, None), (60, 2, None), (60, 5, 80), (60, 5, 14)])
def test_what_does_not_fit_is_refused(values: tuple[int, int, int | None]) -> None:
    seconds, visits, within = values
    with pytest.raises(ValueError, match="found"):
        Stream(0, "test", seconds, visits=visits, within=within)
    with pytest.raises(ValueError, match="split"):
        Stream(0, "nowhere", 60)
