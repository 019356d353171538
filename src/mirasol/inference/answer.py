"""Ask a file: one pass over it, any number of questions, each answer with a receipt.

    import mirasol
    model = mirasol.load()                       # the tiny model of the package, or a folder
    for answer in mirasol.ask("film.mp4", ["what do you hear?"], model):
        print(answer.answer, answer.confidence, answer.receipt)

The file is decoded, cut and encoded piece by piece: memory holds a few seconds of it, whatever its length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirasol.media.clip import Clip
from mirasol.media.reader import open_media
from mirasol.model.inputs import silence_before, snippet_inputs
from mirasol.model.mirasol import Mirasol
from mirasol.model.snippets import cut, instants, snippet_count
from mirasol.model.state import MirasolState
from mirasol.model.text import DESCRIBE_PROMPT, END, PAD, Text, pad

PIECE_SNIPPETS = 8  # how many snippets are decoded and encoded at once
SHIPPED = Path(__file__).parent.parent / "checkpoints"


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer: weights, vocabulary and the name that receipts state."""

    model: Mirasol
    text: Text
    name: str


@dataclass(frozen=True)
class Receipt:
    """What an answer rests on. Seconds are seconds of the source.

    start, end        the span that was watched
    text_start        the answer could look at latents from this second on; before it only a memory remembers, if any
    picture_seconds   how much of the span had picture (counted in cells of one frame)
    sound_seconds     how much of the span had sound (counted in samples)
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

    def sentence(self) -> str:
        """All of it but the warnings, in words."""
        words = (
            f"watched {self.start:.2f} to {self.end:.2f} s: {self.picture_seconds:.2f} s of picture "
            f"({count(self.frames, 'frame')}), {self.sound_seconds:.2f} s of sound, "
            f"{count(self.snippets, 'snippet')}; model {self.model}"
        )
        if self.text_start > self.start:
            words += f"; the answers could look only from {self.text_start:.2f} s on"
        return words


@dataclass(frozen=True)
class Answer:
    """`confidence` is the model's probability of the whole answer, 0 to 1."""

    question: str
    answer: str
    confidence: float
    receipt: Receipt

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Tally:
    """What went by so far, counted while watching."""

    snippets: int = 0
    frames: int = 0
    samples: int = 0
    end: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Watched:
    """A source watched to its end: the state that questions are put to, and the receipt."""

    state: MirasolState
    receipt: Receipt


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
        raise ValueError(f"no model {str(model)!r}: expected a folder with a checkpoint or a shipped name ({names})")
    return folder


def load(model: str | Path = "tiny") -> Loaded:
    """A shipped model by its name, or a folder with config.json, model.safetensors and tokenizer.json."""
    folder = model_folder(model)
    try:
        return Loaded(Mirasol.load(folder), Text.load(folder), folder.resolve().name)
    except ValueError:
        raise
    except Exception as error:  # whatever the readers of weights and vocabulary raise on a damaged or foreign file
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"the model in {folder} cannot be read ({why}); is the checkpoint whole?") from error


def check_questions(questions: Sequence[str | None], loaded: Loaded) -> None:
    """`ValueError` for an empty or too long question, before any file is watched."""
    most = loaded.model.sizes.text_positions
    for question in questions:
        if (length := len(loaded.text.prompt(question))) >= most:
            raise ValueError(f"expected a question of fewer than {most} tokens, found one of {length}; shorten it")


@torch.no_grad()
def watch(
    source: Any,
    loaded: Loaded,
    start: float | None = None,
    end: float | None = None,
    *,
    picture: bool = True,
    sound: bool = True,
    progress: Callable[[float, float | None], None] | None = None,
    observe: Callable[[Clip], None] | None = None,
) -> Watched:
    """Watches [start, end) seconds of a file. `progress(seconds done, seconds in all or None)` is called on the way,
    and `observe` gets every decoded piece that the model gets.

    `ValueError` for a span that makes no sense, `MediaError` for a source that cannot be read.
    """
    if not all(math.isfinite(second) for second in (start, end) if second is not None):
        raise ValueError(f"expected start and end as finite seconds, found start={start}, end={end}")
    sizes, encoder = loaded.model.sizes, loaded.model.encoder
    origin, state, tally = start or 0.0, encoder.start(1), Tally(end=start or 0.0)
    before = silence_before(sizes)
    with open_media(source) as media:
        total = None if media.duration is None else min(media.duration, end or media.duration) - origin
        for clip in media.pieces(
            start, end, instants=lambda a, b: instants(sizes, a, b, origin), fit=(sizes.height, sizes.width),
            sample_rate=sizes.sample_rate, piece_seconds=PIECE_SNIPPETS * sizes.snippet_seconds,
            picture=picture, sound=sound,
        ):  # fmt: skip
            pieces = cut(
                sizes, origin=origin, first=tally.snippets, count=snippet_count(sizes, clip.duration),
                frame_times=clip.frame_times, frame_instants=clip.frame_instants, picture_end=clip.end,
                waveform=clip.waveform, waveform_start=clip.waveform_start,
            )  # fmt: skip
            _, _, state = encoder(snippet_inputs(clip.frames, pieces, before, sizes), state)
            heard = np.concatenate([before, pieces.waveform.reshape(-1)])
            before = heard[len(heard) - len(before) :]
            tally.snippets += len(pieces.frames)
            tally.frames += int((pieces.frames >= 0).sum())
            tally.samples += int(pieces.heard.sum())
            tally.end = clip.end
            if observe is not None:
                observe(clip)
            if progress is not None:
                progress(clip.end - origin, total)
        warnings = tuple(media.warnings)
    kept = state.numbers.shape[1]
    return Watched(
        state,
        Receipt(
            start=round(origin, 3),
            end=round(tally.end, 3),
            text_start=round(origin + (tally.snippets - kept) * sizes.snippet_seconds, 3),
            picture_seconds=round(tally.frames / sizes.frame_rate, 3),
            sound_seconds=round(tally.samples / sizes.sample_rate, 3),
            frames=tally.frames,
            snippets=tally.snippets,
            model=loaded.name,
            warnings=warnings,
        ),
    )


@torch.no_grad()
def put(watched: Watched, questions: Sequence[str | None], loaded: Loaded) -> list[Answer]:
    """Answers questions (None: a caption) about what was watched; nothing is encoded again."""
    if not questions:
        return []
    context, mask = loaded.model.encoder.context(watched.state)
    ids, text_mask = pad([loaded.text.prompt(question) for question in questions], PAD, left=True)
    many = len(questions)
    answers, sure = loaded.model.generate(
        context.expand(many, -1, -1), mask.expand(many, -1), ids, text_mask, end=END, most=64
    )
    return [
        Answer(
            question or DESCRIBE_PROMPT,
            loaded.text.decode(answer),
            round(share, 4),
            watched.receipt,
        )
        for question, answer, share in zip(questions, answers, sure, strict=True)
    ]


def ask(
    source: Any, questions: str | Sequence[str], model: Loaded | str | Path = "tiny",
    start: float | None = None, end: float | None = None,
) -> list[Answer]:  # fmt: skip
    """Watches a file once and answers one or several questions."""
    loaded = model if isinstance(model, Loaded) else load(model)
    questions = [questions] if isinstance(questions, str) else list(questions)
    check_questions(questions, loaded)
    return put(watch(source, loaded, start, end), questions, loaded)


def describe(
    source: Any, model: Loaded | str | Path = "tiny", start: float | None = None, end: float | None = None
) -> Answer:
    """A caption of a file."""
    loaded = model if isinstance(model, Loaded) else load(model)
    return put(watch(source, loaded, start, end), [None], loaded)[0]
