"""Questions to what was watched: models ready to answer, answers, and the receipt that says what each rests on.

`files` watches a file, `session` a stream; both give a `Watched`, and `put` puts questions to it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mirasol.media.naming import quoted
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import Sizes
from mirasol.model.state import MirasolState, stack_states
from mirasol.model.text import DESCRIBE_PROMPT, Text
from mirasol.model.words import load_words, new_words

from .devices import choose
from .engine import GREEDY, Engine, Options, Request, with_history

SHIPPED = Path(__file__).parent.parent / "checkpoints"


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer: weights, vocabulary, the name that receipts state, and the words of the questions that
    it was trained on (none where nobody wrote them down)."""

    model: Mirasol
    text: Text
    name: str
    words: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Receipt:
    """What an answer rests on. Seconds are seconds of the source.

    start, end        the span that was watched
    text_start        the answer could look at latents from this second on
    remembers         whether a memory told of what lies before
    picture_seconds   how much of the span had picture (counted in cells of one frame)
    sound_seconds     how much of the span had sound (counted in samples)
    new_words         words of the question that the model was not trained on: its confidence means nothing then
    """

    start: float
    end: float
    text_start: float
    picture_seconds: float
    sound_seconds: float
    frames: int
    snippets: int
    model: str
    warnings: tuple[str, ...] = ()
    left_out: tuple[tuple[float, float], ...] = ()
    remembers: bool = False
    new_words: tuple[str, ...] = ()

    def sentence(self) -> str:
        """All of it but the warnings, in words."""
        words = (
            f"watched {self.start:.2f} to {self.end:.2f} s: {self.picture_seconds:.2f} s of picture "
            f"({count(self.frames, 'frame')}), {self.sound_seconds:.2f} s of sound, "
            f"{count(self.snippets, 'snippet')}; model {self.model}"
        )
        if self.text_start > self.start:
            only = "in full from" if self.remembers else "only from"
            words += f"; the answers could look {only} {self.text_start:.2f} s on"
            words += ", at what lies before by memory" if self.remembers else ""
        if self.left_out:
            words += "; left out " + ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in self.left_out)
        return words


@dataclass(frozen=True)
class Answer:
    """`confidence` is the model's probability of the whole answer, 0 to 1; see `is_calibrated`. `logprobs` holds the
    natural logarithm of that of each token, that of the end too; `ended` says why: end, stop or length."""

    question: str
    answer: str
    confidence: float
    receipt: Receipt
    logprobs: tuple[float, ...] = ()
    ended: str = "end"

    @property
    def is_calibrated(self) -> bool:
        """Whether the confidence says anything: not where words of the question are new to the model."""
        return not self.receipt.new_words

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Watched:
    """What was watched so far: the state that questions are put to, and the receipt."""

    state: MirasolState
    receipt: Receipt
    album: Mapping[int, np.ndarray] = field(default_factory=dict)  # a frame of snippets that are kept, where wanted


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shipped_models() -> dict[str, Path]:
    """The checkpoints inside the package, by name."""
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob("*/model.safetensors"))}


def model_folder(model: str | Path) -> Path:
    """Where a model lies: a shipped one by its name, or a folder."""
    folder = shipped_models().get(str(model), Path(model))
    if not folder.is_dir():
        names = ", ".join(shipped_models()) or "none"
        raise ValueError(f"no model {quoted(model)}: expected a folder with a checkpoint or a shipped name ({names})")
    return folder


def load(model: str | Path = "tiny", device: str = "auto", dtype: str = "auto") -> Loaded:
    """A shipped model by its name, or a folder with config.json, model.safetensors and tokenizer.json.

    `device`, `dtype`: see `devices.choose`; auto is the best that this machine has.
    """
    folder, (place, precision) = model_folder(model), choose(device, dtype)
    try:
        text = Text.load(folder, Sizes.load(folder).vocabulary)  # first: it takes no time where it fails
        return Loaded(Mirasol.load(folder, place, precision), text, run_name(folder), load_words(folder))
    except ValueError:
        raise
    except Exception as error:  # whatever the readers of weights and vocabulary raise on a damaged or foreign file
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"the model in {folder} cannot be read ({why}); is the checkpoint whole?") from error


def run_name(folder: Path) -> str:
    """The name of a model: of its folder; where training calls that `model` or `step-*`, the run's."""
    folder = folder.resolve()
    if folder.name != "model" and not folder.name.startswith("step-"):
        return folder.name
    config = folder / "config.json"
    run = json.loads(config.read_text(encoding="utf-8")).get("run") if config.is_file() else None
    return run[:100] if run and isinstance(run, str) else folder.parent.name or folder.name


def new_words_note(words: Sequence[str]) -> str:
    return f"these words are new to this model: {', '.join(words)}; its confidence is not calibrated"


def check_questions(questions: Sequence[str | None], loaded: Loaded) -> None:
    """`ValueError` for an empty or too long question, or a file in the place of one, before any file is watched."""
    most = loaded.model.sizes.text_positions
    for question in questions:
        if question is not None and is_path(question):
            raise ValueError(
                f"expected a question, found the path {quoted(question)}: give one file and its questions, or many "
                "files and -q QUESTION"
            )
        if (length := len(loaded.text.prompt(question))) >= most:
            raise ValueError(f"expected a question of fewer than {most} tokens, found one of {length}; shorten it")


def is_path(question: str) -> bool:
    """Whether a question is the name of a file that is there, or an address."""
    if "://" in question and " " not in question.strip():
        return True
    try:
        path = Path(question)
        return path.is_file() or ((os.sep in question or "/" in question) and path.exists())
    except (OSError, ValueError):  # too long for a name, or with a null in it
        return False


def put(
    watched: Watched,
    questions: Sequence[str | None],
    loaded: Loaded,
    options: Options = GREEDY,
    history: Sequence[tuple[str, str]] = (),
) -> list[Answer]:
    """Answers questions (None: a caption) about what was watched; nothing is encoded again.

    `history`: earlier questions and answers, which stay in the prompt as far as there is room.
    """
    return put_all([(watched, questions)], loaded, options, history)[0]


def put_all(
    asked: Sequence[tuple[Watched, Sequence[str | None]]],
    loaded: Loaded,
    options: Options = GREEDY,
    history: Sequence[tuple[str, str]] = (),
) -> list[list[Answer]]:
    """As `put`, for several that were watched at once: all of their questions in one batch."""
    some = [(at, question) for at, (_, questions) in enumerate(asked) for question in questions]
    if not some:
        return [[] for _ in asked]
    engine, most = Engine(loaded.model, loaded.text), loaded.model.sizes.text_positions
    prompts = [with_history(loaded.text, history, question, most) for _, question in some]
    requests = [Request(at, prompt) for (at, _), (prompt, _) in zip(some, prompts, strict=True)]
    most_snippets = max(watched.receipt.snippets for watched, _ in asked)
    looked = engine.look(stack_states([watched.state for watched, _ in asked]), most_snippets)
    said = engine.answer(looked, requests, options)
    found: list[list[Answer]] = [[] for _ in asked]
    for (at, question), (_, dropped), one in zip(some, prompts, said, strict=True):
        receipt = receipt_of(asked[at][0].receipt, question, loaded)
        if dropped:
            receipt = replace(receipt, warnings=(*receipt.warnings, forgotten(dropped)))
        logs = tuple(round(log, 4) if math.isfinite(log) else 0.0 for log in one.logs)
        found[at].append(
            Answer(question or DESCRIBE_PROMPT, one.text, round(one.confidence, 4), receipt, logs, one.ended)
        )
    return found


def forgotten(turns: int) -> str:
    return f"{count(turns, 'earlier question')} found no room in the prompt"


def receipt_of(receipt: Receipt, question: str | None, loaded: Loaded) -> Receipt:
    """The receipt of one answer: with the words of its question that are new to the model, and a warning of them."""
    if question is None or not (words := new_words(question, loaded.words)):
        return receipt
    return replace(receipt, warnings=(*receipt.warnings, new_words_note(words)), new_words=words)
