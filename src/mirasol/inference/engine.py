"""The one engine that answers: many states, many questions, one batch that rows leave as they finish.

    engine = Engine(loaded)
    for piece in engine.stream(states, [Request(0, prompt), Request(2, other)], Options(max_new_tokens=32)):
        print(piece.request, piece.text)

Keys and values of what was watched are computed once for each state, however many questions are put to it. A prompt is
read at once (prefill), then each step makes one token for every open row, over caches that are allocated once; rows
that have ended leave and waiting requests take their places. The host reads the device once for each step.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mirasol.model.layers import Cache
from mirasol.model.mirasol import Mirasol
from mirasol.model.state import MirasolState
from mirasol.model.text import Text, pad

ROWS = 64  # open at a time
BLOCK = 32  # positions by which the caches that a step looks at grow
UNFINISHED = "\ufffd"  # what a decoder writes for half a character


@dataclass(frozen=True)
class Options:
    """How answers are chosen; the names are those of transformers and OpenAI.

    temperature   0: always the likeliest token; else logits are divided by it and drawn from
    top_k, top_p  draw from the k likeliest tokens (0: all), from the likeliest that make up this share
    stop          texts that end an answer, themselves left out
    seed          of each request by itself: the other rows of a batch change nothing
    num_beams     above 1: beam search, the best by its mean log-probability; draws nothing
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    num_beams: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        rules = {
            "max_new_tokens of at least 1": self.max_new_tokens >= 1,
            "a temperature of at least 0": math.isfinite(self.temperature) and self.temperature >= 0,
            "top_k of at least 0": self.top_k >= 0,
            "top_p above 0 and at most 1": 0 < self.top_p <= 1,
            "num_beams of at least 1": self.num_beams >= 1,
            "num_beams=1 where tokens are drawn (temperature above 0)": self.num_beams == 1 or self.temperature == 0,
            "texts without empty ones in stop": all(self.stop),
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ValueError(f"expected {broken[0]}, found {self}")


GREEDY = Options()


@dataclass(frozen=True)
class Request:
    """A prompt (ids) put to one of the states of a batch."""

    row: int
    prompt: Sequence[int]


@dataclass(frozen=True)
class Piece:
    """One token of an answer as it comes: `text` is what it adds (may be empty), `log` its log-probability.

    `ended` is empty until the last piece: "end", "stop" (a text of `Options.stop`) or "length".
    """

    request: int
    token: int | None
    text: str
    log: float
    ended: str = ""


@dataclass(frozen=True)
class Said:
    """A whole answer: text, ids without the end, the log-probability of each token (with the end's), why it ended."""

    text: str
    ids: tuple[int, ...] = ()
    logs: tuple[float, ...] = ()
    ended: str = "end"

    @property
    def confidence(self) -> float:
        """The probability of the whole answer."""
        share = math.exp(sum(self.logs))
        return share if math.isfinite(share) else 0.0


@dataclass
class Slots:
    """Keys and values (R, heads, L, d) of rows of unequal length, written in place; `KeyValues` to an attention.

    `places` (R, n): where the new positions of this step go. `used`: how many positions a step looks at.
    """

    all_keys: Tensor
    all_values: Tensor
    places: Tensor
    used: int

    @property
    def keys(self) -> Tensor:
        return self.all_keys[:, :, : self.used]

    @property
    def values(self) -> Tensor:
        return self.all_values[:, :, : self.used]

    def append(self, keys: Tensor, values: Tensor) -> Slots:
        where = self.places[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
        self.all_keys.scatter_(2, where, keys)
        self.all_values.scatter_(2, where, values)
        return self


@dataclass
class Open:
    """An answer on its way."""

    number: int
    request: Request
    generator: torch.Generator | None = None
    ids: list[int] = field(default_factory=list)
    logs: list[float] = field(default_factory=list)
    told: str = ""  # the text that went out already

    @property
    def place(self) -> int:
        """Of the next token in its row."""
        return len(self.request.prompt) + len(self.ids)


class Engine:
    """Answers with one model; any number of batches, one at a time."""

    def __init__(self, model: Mirasol, text: Text) -> None:
        self.model, self.text, self.sizes = model, text, model.sizes

    # -- what answers look at ----------------------------------------------------------------------------------------

    @torch.inference_mode()
    def look(self, states: MirasolState, most: int | None = None) -> Looked:
        """Context, and its keys and values in every block that looks at it, once for each state. `most`: how many
        snippets any of them has watched at most."""
        context, mask = self.model.encoder.context(states, None if most is None else max(1, most))
        caches = self.model.decoder.look(context, mask)
        return Looked(context, mask, caches)

    def blank(self, rows: int, positions: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Room for keys and values of each block, (rows, heads, positions, head width)."""
        shape = (rows, self.sizes.text_kv_heads, positions, self.sizes.text_head)
        return [(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(self.sizes.text_layers)]

    # -- answers -----------------------------------------------------------------------------------------------------

    def answer(
        self, states: MirasolState | Looked, requests: Sequence[Request], options: Options = GREEDY
    ) -> list[Said]:
        """Whole answers, in the order of the requests."""
        found = [Said("") for _ in requests]
        for piece in self.stream(states, requests, options, tell=bool(options.stop)):
            old = found[piece.request]
            ids = old.ids if piece.token is None else (*old.ids, piece.token)
            found[piece.request] = Said(old.text + piece.text, ids, (*old.logs, piece.log), piece.ended)
        return [replace(one, text=one.text.strip()) for one in found]

    @torch.inference_mode()
    def stream(
        self, states: MirasolState | Looked, requests: Sequence[Request], options: Options = GREEDY, tell: bool = True
    ) -> Iterator[Piece]:
        """Tokens of all answers as they are made; without `tell` their whole text comes with the last. `ValueError` for
        a prompt that leaves no room for an answer."""
        looked = states if isinstance(states, Looked) else self.look(states)
        for request in requests:
            if not len(request.prompt) < self.sizes.text_positions:
                raise ValueError(
                    f"expected a prompt of fewer than {self.sizes.text_positions} tokens, found {len(request.prompt)}"
                )
        if options.num_beams > 1:
            for number, request in enumerate(requests):
                yield from self._beams(looked, number, request, options)
            return
        waiting = deque(
            Open(number, request, self._generator(number, options)) for number, request in enumerate(requests)
        )
        batch = _Batch(self, looked)
        while waiting or batch.rows:
            joining = [waiting.popleft() for _ in range(min(len(waiting), ROWS - len(batch.rows)))]
            hidden = batch.step(joining)
            tokens, logs = self._choose(hidden, batch.rows, options)
            leaving = set()
            for at, (row, token, log) in enumerate(zip(batch.rows, tokens, logs, strict=True)):
                piece = self._take(row, token, log, options, tell)
                if piece.ended:
                    leaving.add(at)
                yield piece
            batch.leave(leaving)

    def _generator(self, number: int, options: Options) -> torch.Generator | None:
        """Of one request by itself: the batch around it changes nothing."""
        if options.temperature == 0:
            return None
        return torch.Generator().manual_seed((options.seed * 1_000_003 + number) % 2**63)

    def _choose(self, hidden: Tensor, rows: Sequence[Open], options: Options) -> tuple[list[int], list[float]]:
        """The next token of each row from its hidden state (R, D), and its log-probability; one read of the device."""
        scores = self.model.lm_head(hidden).float()
        logs = scores.log_softmax(dim=-1)
        if options.temperature > 0:
            noise = torch.stack([torch.rand(scores.shape[-1], generator=row.generator) for row in rows])
            gumbel = -(-noise.clamp(1e-20, 1 - 1e-7).log()).log()
            chosen = (allowed(scores / options.temperature, options) + gumbel.to(scores.device)).argmax(dim=-1)
        else:
            chosen = scores.argmax(dim=-1)
        found = torch.stack([chosen.to(logs), logs.gather(-1, chosen[:, None])[:, 0]]).tolist()
        return [int(token) for token in found[0]], found[1]

    def _take(self, row: Open, token: int, log: float, options: Options, tell: bool = True) -> Piece:
        """The piece that a new token makes of an answer; the row keeps it."""
        row.logs.append(log)
        if token == self.text.end:
            return Piece(row.number, None, self._rest(row), log, "end")
        row.ids.append(token)
        full = len(row.ids) >= options.max_new_tokens or row.place > self.sizes.text_positions
        if not tell and not full:
            return Piece(row.number, token, "", log)
        whole = self.text.decode(row.ids)
        if (at := min((whole.find(stop) for stop in options.stop if stop in whole), default=-1)) >= 0:
            return Piece(row.number, token, whole[len(row.told) : at], log, "stop")
        if full:
            return Piece(row.number, token, whole[len(row.told) :], log, "length")
        # What might still change, or be the beginning of a stop, waits for what follows.
        held = max((len(stop) - 1 for stop in options.stop), default=0)
        safe = whole.rstrip(UNFINISHED)[: len(whole) - held] if whole.startswith(row.told) else row.told
        new = safe[len(row.told) :]
        row.told += new
        return Piece(row.number, token, new, log)

    def _rest(self, row: Open) -> str:
        return self.text.decode(row.ids)[len(row.told) :]

    def _beams(self, looked: Looked, number: int, request: Request, options: Options) -> Iterator[Piece]:
        """Beam search for one request: pieces come when it is done."""
        width, vocabulary = options.num_beams, self.sizes.vocabulary
        batch = _Batch(self, looked)
        scores = self.model.lm_head(batch.step([Open(number, request)])).float().log_softmax(dim=-1)
        beams: list[tuple[float, list[int], list[float]]] = [(0.0, [], [])]
        ended: list[tuple[float, list[int], list[float]]] = []
        room = min(options.max_new_tokens, self.sizes.text_positions - len(request.prompt) + 1)
        for made in range(1, room + 1):
            total = scores + torch.tensor([beam[0] for beam in beams], device=scores.device)[:, None]
            best, at = total.flatten().topk(min(2 * width, total.numel()))
            found = torch.stack([at.double().cpu() if at.device.type != "cpu" else at.double(), best.double().cpu()])
            places, sums = found.tolist()
            kept: list[tuple[float, list[int], list[float]]] = []
            source: list[int] = []
            for place, value in zip(places, sums, strict=True):
                row, token = divmod(int(place), vocabulary)
                logs = [*beams[row][2], value - beams[row][0]]
                if token == self.text.end:
                    ended.append((value / made, beams[row][1], logs))
                elif len(kept) < width:
                    kept.append((value, [*beams[row][1], token], logs))
                    source.append(row)
            ended = sorted(ended, key=lambda one: -one[0])[:width]
            beams = kept
            if (
                not beams
                or made == room
                or (len(ended) == width and ended[-1][0] >= max(one[0] for one in beams) / made)
            ):
                break
            batch.become(source, [Open(number, request, None, one[1]) for one in beams])
            scores = self.model.lm_head(batch.step([])).float().log_softmax(dim=-1)
        finished = [("end", *one) for one in ended] + [("length", one[0] / len(one[1]), *one[1:]) for one in beams]
        why, _, ids, logs = max(finished, key=lambda one: one[1])
        answer = Open(number, request)
        for token, log in zip(ids, logs, strict=False):
            piece = self._take(answer, token, log, replace(options, max_new_tokens=len(ids) + 1))
            yield replace(piece, ended="length") if why == "length" and len(answer.ids) == len(ids) else piece
            if piece.ended:
                return
        if why == "end":
            yield Piece(number, None, self._rest(answer), logs[-1], "end")

    # -- likelihood of given answers ---------------------------------------------------------------------------------

    @torch.inference_mode()
    def likelihood(
        self, states: MirasolState | Looked, asked: Sequence[tuple[Request, Sequence[int]]]
    ) -> list[tuple[float, int]]:
        """For each (request, ids of an answer with its end): the log-probability of the answer and its tokens."""
        looked = states if isinstance(states, Looked) else self.look(states)
        found: list[tuple[float, int]] = [(0.0, 0)] * len(asked)
        order = sorted(range(len(asked)), key=lambda at: len(asked[at][0].prompt) + len(asked[at][1]))
        for first in range(0, len(order), 4 * ROWS):  # texts of like length share a call
            part = order[first : first + 4 * ROWS]
            texts = [(*asked[at][0].prompt, *asked[at][1]) for at in part]
            device = looked.context.device
            ids, real = (value.to(device) for value in pad(texts, self.text.pad))
            caches, mask = looked.rows([asked[at][0].row for at in part])
            places = torch.arange(ids.shape[1], device=device).expand(len(part), -1)
            pairs = [
                (Slots(*mine, places, ids.shape[1]), other)
                for mine, other in zip(self.blank(len(part), ids.shape[1], looked.context), caches, strict=True)
            ]
            hidden = self.model.decoder.step(ids, places, pairs, mask)
            starts = torch.tensor([len(asked[at][0].prompt) for at in part], device=device)
            counted = (torch.arange(1, ids.shape[1], device=device) >= starts[:, None]) & real[:, 1:]
            logs = self.model.lm_head(hidden[:, :-1]).float().log_softmax(dim=-1)
            values = logs.gather(-1, ids[:, 1:, None])[..., 0] * counted
            sums = torch.stack([values.sum(dim=1), counted.sum(dim=1).to(values)]).tolist()
            for at, value, count in zip(part, *sums, strict=True):
                found[at] = (value, int(count))
        return found


@dataclass(frozen=True)
class Looked:
    """What answers look at: context (B, C, D), its mask (B, C), and keys and values of it in each block (or None)."""

    context: Tensor
    mask: Tensor
    caches: Sequence[Any]

    def rows(self, rows: Sequence[int]) -> tuple[list[Any], Tensor]:
        """Keys, values and mask for rows that look at these states; nothing is copied where all look at one."""
        if len(set(rows)) == 1 and rows:

            def chosen(values: Tensor) -> Tensor:
                return values[rows[0] : rows[0] + 1].expand(len(rows), *values.shape[1:])
        else:
            index = torch.tensor(list(rows), device=self.mask.device)

            def chosen(values: Tensor) -> Tensor:
                return values[index]

        caches = [None if one is None else Cache(chosen(one.keys), chosen(one.values)) for one in self.caches]
        return caches, chosen(self.mask)


class _Batch:
    """The open rows: their caches, and what they look at."""

    def __init__(self, engine: Engine, looked: Looked) -> None:
        self.engine, self.looked, self.rows = engine, looked, list[Open]()
        self.own: list[tuple[Tensor, Tensor]] = []  # of each block: keys and values (R, heads, L, d)
        self.seen: tuple[list[Any], Tensor] | None = None

    def step(self, joining: Sequence[Open]) -> Tensor:
        """One more position for every open row, and the prompts of those that join: last hidden states (R, D)."""
        hidden = [self._decode(self.rows, self.own, [[row.ids[-1]] for row in self.rows])] if self.rows else []
        if joining:
            new = self.engine.blank(len(joining), self.engine.sizes.text_positions, self.looked.context)
            hidden.append(self._decode(joining, new, [row.request.prompt for row in joining]))
            both = zip(self.own, new, strict=True)
            self.own = [tuple(map(torch.cat, zip(*pair, strict=True))) for pair in both] if self.rows else new
            self.rows, self.seen = [*self.rows, *joining], None
        return torch.cat(hidden)

    def _decode(self, rows: Sequence[Open], own: list[tuple[Tensor, Tensor]], ids: Sequence[Sequence[int]]) -> Tensor:
        """New ids of each row, written behind what it holds: the hidden state of the last of each (R, D)."""
        device = self.looked.context.device
        starts = [row.place - len(new) for row, new in zip(rows, ids, strict=True)]
        longest = max(map(len, ids))
        padded = torch.tensor([[*new, *[self.engine.text.pad] * (longest - len(new))] for new in ids], device=device)
        places = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)
        most = self.engine.sizes.text_positions
        used = min(most, -(-(max(starts) + longest) // BLOCK) * BLOCK)
        if rows is self.rows:
            self.seen = self.seen or self.looked.rows([row.request.row for row in rows])
            caches, mask = self.seen
        else:
            caches, mask = self.looked.rows([row.request.row for row in rows])
        pairs = [(Slots(*mine, places, used), other) for mine, other in zip(own, caches, strict=True)]
        hidden = self.engine.model.decoder.step(padded, places, pairs, mask)
        last = torch.tensor([len(new) - 1 for new in ids], device=device)
        return hidden[torch.arange(len(ids), device=device), last]

    def leave(self, rows: set[int]) -> None:
        """Rows that have ended make room."""
        if rows:
            self.become([at for at in range(len(self.rows)) if at not in rows],
                        [row for at, row in enumerate(self.rows) if at not in rows])  # fmt: skip

    def become(self, source: Sequence[int], rows: Sequence[Open]) -> None:
        """Other rows, each with the caches of one of these."""
        index = torch.tensor(list(source), dtype=torch.long, device=self.looked.context.device)
        self.own = [(keys[index], values[index]) for keys, values in self.own]
        self.rows, self.seen = list(rows), None


def allowed(scores: Tensor, options: Options) -> Tensor:
    """Scores (R, V) with those that `top_k` and `top_p` leave out at minus infinity; the likeliest always stays."""
    if 0 < options.top_k < scores.shape[-1]:
        least = scores.topk(options.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -math.inf)
    if options.top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        out = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, before >= options.top_p)
        scores = scores.masked_fill(out, -math.inf)
    return scores


def with_history(
    text: Text, history: Iterable[tuple[str, str]], question: str | None, most: int
) -> tuple[list[int], int]:
    """The prompt of a question after earlier questions and answers, and how many of these found no room: the oldest
    are dropped until the prompt leaves a quarter of `most` positions for an answer."""
    turns = [[*text.prompt(asked), *text.target(said)] for asked, said in history]
    own = text.prompt(question)
    dropped = 0
    while turns and sum(map(len, turns)) + len(own) > most * 3 // 4:
        turns.pop(0)
        dropped += 1
    return [*(number for turn in turns for number in turn), *own], dropped
