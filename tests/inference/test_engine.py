"""The engine: every answer is what the decoder alone would say, whatever stands beside it in the batch."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

from helpers import COMBINERS, Numbers, difference, looked_at, random_inputs, random_model, random_sizes
from mirasol.inference import engine as engines
from mirasol.inference.engine import Engine, Options, Request, allowed, with_history
from mirasol.model.mirasol import Mirasol
from mirasol.recipes.ablations import PrefixDecoder, rebuilt

END, CLIPS, SNIPPETS = 5, 2, 13


def make(seed: int, **changes: Any) -> tuple[Mirasol, Engine, Any, list[Request]]:
    """A random model, what three clips leave to look at (one of them nothing), and requests of unequal length."""
    chance = random.Random(seed)
    sizes = random_sizes(chance, chance.choice(COMBINERS), CLIPS, SNIPPETS, **changes)
    model = random_model(sizes)
    with torch.no_grad():
        model.decoder.embed.weight *= 3
        model.lm_head.weight.copy_(model.decoder.embed.weight.roll(1, dims=0))
        inputs = random_inputs(sizes, CLIPS, SNIPPETS)
        inputs.snippet_mask[1] = False
        _, _, state = model.encoder(inputs)
        context, mask = model.encoder.context(state)
    requests = [
        Request(chance.randrange(CLIPS), [chance.randrange(sizes.vocabulary) for _ in range(chance.randint(1, 9))])
        for _ in range(9)
    ]
    return model, Engine(model, Numbers(END)), looked_at(model, context, mask), requests  # type: ignore[arg-type]


@torch.no_grad()
def by_hand(model: Mirasol, looked: Any, request: Request, most: int) -> tuple[list[int], list[float]]:
    """Greedy ids without the end, and all log-probabilities: the whole text again for every token, without caches."""
    ids, logs = list(request.prompt), []
    row = slice(request.row, request.row + 1)
    while len(ids) - len(request.prompt) < most and len(ids) <= model.sizes.text_positions:
        hidden, _ = model.decoder(torch.tensor([ids]), looked.context[row], looked.mask[row])
        best, token = model.lm_head(hidden[0, -1]).log_softmax(dim=-1).max(dim=-1)
        logs.append(float(best))
        if int(token) == END:
            break
        ids.append(int(token))
    return ids[len(request.prompt) :], logs


@pytest.mark.parametrize("rows", [2, 64])
def test_greedy_answers_are_those_of_each_alone(rows: int, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave and others take their places (two at a time); caches are looked at in blocks."""
    monkeypatch.setattr(engines, "ROWS", rows)
    monkeypatch.setattr(engines, "BLOCK", 4)
    for seed in range(seeds, seeds + 3):
        model, engine, looked, requests = make(seed)
        found = engine.answer(looked, requests, Options(max_new_tokens=40))
        for request, said in zip(requests, found, strict=True):
            ids, logs = by_hand(model, looked, request, 40)
            assert list(said.ids) == ids
            assert said.logs == pytest.approx(logs, abs=1e-4)
            assert said.text == Numbers(END).decode(ids)
            assert said.ended == ("end" if len(logs) > len(ids) else "length")


def test_a_text_behind_a_prefix_is_the_same(seeds: int) -> None:
    model, _, looked, requests = make(seeds, tied=False)
    other = rebuilt(model.sizes, decoder=PrefixDecoder).eval()
    engine = Engine(other, Numbers(END))  # type: ignore[arg-type]
    looked = looked_at(other, looked.context, looked.mask)
    for request, said in zip(requests, engine.answer(looked, requests, Options(7)), strict=True):
        assert list(said.ids) == by_hand(other, looked, request, 7)[0]


def test_pieces_come_as_they_are_made_and_make_up_the_answer(seeds: int) -> None:
    _, engine, looked, requests = make(seeds)
    whole = engine.answer(looked, requests, Options(9))
    texts, last = [""] * len(requests), [-1] * len(requests)
    for at, piece in enumerate(engine.stream(looked, requests, Options(9))):
        assert last[piece.request] >= -1, "nothing comes behind the end"
        texts[piece.request] += piece.text
        last[piece.request] = -2 if piece.ended else at
    assert texts == [one.text for one in whole]
    assert set(last) == {-2}


def test_draws_do_not_depend_on_the_batch_and_follow_the_distribution(seeds: int) -> None:
    model, engine, looked, requests = make(seeds)
    how = Options(6, temperature=1.3, top_k=9, seed=seeds)
    together = engine.answer(looked, requests, how)
    assert together[0].ids == engine.answer(looked, requests[:1], how)[0].ids
    assert together == engine.answer(looked, requests, how)
    assert together != engine.answer(looked, requests, Options(6, temperature=1.3, top_k=9, seed=seeds + 1))
    many = [requests[0]] * 400
    first = torch.tensor(
        [one.ids[0] if one.ids else END for one in engine.answer(looked, many, Options(1, temperature=1))]
    )
    row = slice(requests[0].row, requests[0].row + 1)
    with torch.no_grad():
        hidden, _ = model.decoder(torch.tensor([list(requests[0].prompt)]), looked.context[row], looked.mask[row])
        share = model.lm_head(hidden[0, -1]).softmax(dim=-1)
    seen = torch.bincount(first, minlength=len(share)) / len(many)
    assert float((seen - share).abs().sum()) < 2.5 * float((share * (1 - share) / len(many)).sqrt().sum())


def test_what_may_be_drawn() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 0.0]]).log()
    ways = (Options(), Options(top_k=2), *(Options(top_p=p) for p in (0.5, 0.51, 0.01)), Options(top_k=9))
    kept = [allowed(scores, how)[0].isfinite().tolist() for how in ways]
    assert kept == [
        [True, True, True, False], [False, True, True, False], [False, True, False, False],
        [False, True, True, False], [False, True, False, False], [True, True, True, False],
    ]  # fmt: skip


def test_a_stop_ends_an_answer_and_never_shows(seeds: int) -> None:
    _, engine, looked, requests = make(seeds)
    for whole, request in zip(engine.answer(looked, requests, Options(12)), requests, strict=True):
        if len(whole.ids) < 4:
            continue
        stop = f",{whole.ids[2]},"
        cut = whole.text.find(stop)
        pieces = list(engine.stream(looked, [request], Options(12, stop=(stop, "never"))))
        assert "".join(piece.text for piece in pieces) == whole.text[:cut]
        assert pieces[-1].ended == "stop"


def test_beams_find_the_likeliest_of_all(seeds: int) -> None:
    """Against every text of two tokens; one beam is greedy."""
    model, engine, looked, requests = make(seeds)
    request = requests[0]
    vocabulary = model.sizes.vocabulary
    texts = [(END,), *((a, END) for a in range(vocabulary) if a != END)]
    texts += [(a, b) for a, b in itertools.product(range(vocabulary), repeat=2) if END not in (a, b)]
    scores = engine.likelihood(looked, [(request, text) for text in texts])
    best = max(zip(texts, scores, strict=True), key=lambda one: one[1][0] / one[1][1])
    said = engine.answer(looked, [request], Options(2, num_beams=vocabulary))[0]
    assert list(said.ids) == [token for token in best[0] if token != END]
    assert sum(said.logs) == pytest.approx(best[1][0], abs=1e-4)


def test_looking_costs_once_for_many_questions(seeds: int) -> None:
    """The context's keys and values are made once for each clip: blocks see none of it while answering."""
    model, engine, looked, requests = make(seeds)
    asked = [block.cross_attention.k_proj for block in model.decoder.blocks if hasattr(block, "cross_attention")]
    calls: list[int] = []
    for projection in asked:
        projection.register_forward_hook(lambda *_: calls.append(1))
    engine.answer(looked, requests, Options(5))
    engine.likelihood(looked, [(request, [1, 2, END]) for request in requests])
    assert not calls
    assert difference(looked.rows([1, 1])[1], looked.mask[[1, 1]]) == 0


def test_options_that_make_no_sense_are_refused() -> None:
    numbers = ({"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0}, {"top_k": -1}, {"num_beams": 0})
    for wrong in (*numbers, {"max_new_tokens": 0}, {"num_beams": 2, "temperature": 1}, {"stop": ("",)}):
        with pytest.raises(ValueError, match="expected"):
            Options(**wrong)


def test_the_oldest_turns_are_forgotten_first() -> None:
    class Words:
        def prompt(self, question: str | None) -> list[int]:
            return [1] * len((question or "").split())

        def target(self, answer: str) -> list[int]:
            return [2] * len(answer.split())

    turns = [("a b c", "d"), ("e f", "g h")]
    assert with_history(Words(), turns, "x", 100) == ([1, 1, 1, 2, 1, 1, 2, 2, 1], 0)  # type: ignore[arg-type]
    assert with_history(Words(), turns, "x", 8) == ([1, 1, 2, 2, 1], 1)  # type: ignore[arg-type]
