"""Text to ids and back, and how a prompt is laid out. All of it is in the file `tokenizer.json`.

    <start> <question> what do you hear ? <answer>   the prompt
    dog <end>                                        the answer

`<describe>` in the place of the question asks for a caption. Any text can be read: what the vocabulary lacks is bytes.

A pretrained tokenizer carries its own layout (a chat template, as ids) as its post-processor: a template with the
special tokens "before" and "after" the question, "end" of the answer and "pad". Every reader of `tokenizer.json` makes
the same prompt of a question then: `tokenizer.encode(question)` here, `tokenizer(question)` in transformers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor

from .vocabulary import check_ids, one_line, quiet_panics, read_tokenizer

SPECIAL = ("<pad>", "<start>", "<question>", "<answer>", "<end>", "<describe>")
PAD, START, QUESTION, ANSWER, END, DESCRIBE = range(len(SPECIAL))

DESCRIBE_PROMPT = "(describe)"  # how a wish for a caption is shown to people
DESCRIBE_WORDS = "Describe what you see and hear."  # the same as pretrained models are asked
PARTS = ("before", "after", "end", "pad")  # of a layout, as special tokens of a template


@dataclass(frozen=True)
class Layout:
    """Ids of what stands before a question, after it and at the end of an answer; `describe` is the whole prompt of a
    caption (empty: that of `DESCRIBE_WORDS`). No prompt holds `pad`."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    end: int
    pad: int
    describe: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Layout | None:
        """The layout that `write` has put into a tokenizer; None where it has none."""
        if not isinstance(tokenizer.post_processor, processors.TemplateProcessing):
            return None
        tokens = json.loads(tokenizer.post_processor.__getstate__())["special_tokens"]
        if not all(name in tokens for name in PARTS):
            return None
        before, after, end, pad = (tuple(tokens[name]["ids"]) for name in PARTS)
        return cls(before, after, end[0], pad[0])

    def write(self, tokenizer: Tokenizer) -> None:
        """Puts this layout into the tokenizer, in the place of its post-processor."""
        assert self.before
        assert self.after
        ids = {"before": self.before, "after": self.after, "end": (self.end,), "pad": (self.pad,)}
        tokens = [
            {"id": name, "ids": list(ids[name]), "tokens": [tokenizer.id_to_token(number) for number in ids[name]]}
            for name in PARTS
        ]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=["before", "$A", "after"], pair=["before", "$A", "after", "$B:0", "end"], special_tokens=tokens
        )


OURS = Layout((START, QUESTION), (ANSWER,), END, PAD, (START, DESCRIBE, ANSWER))


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of at most `vocabulary` ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pad(rows: Sequence[Sequence[int]], fill: int, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows of ids as one (rows, T) tensor, and the mask of what is real."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), fill, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for at, row in enumerate(rows):
        span = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[at, span] = torch.tensor(row, dtype=torch.long)
        mask[at, span] = True
    return ids, mask


class Text:
    """A tokenizer and the layout of prompts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.guard: Callable[[], AbstractContextManager[None]] = nullcontext
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # as plain text: "<end>" in a question does not end the prompt
        layout = Layout.of(tokenizer)
        self.is_ours = layout is None
        self.layout = layout or OURS
        self.end, self.pad = self.layout.end, self.layout.pad
        for number, name in enumerate(SPECIAL if self.is_ours else ()):
            if tokenizer.token_to_id(name) != number:
                raise ValueError(
                    f"expected the special token {name} as id {number} in the tokenizer: it is not a Mirasol one"
                )

    @classmethod
    def load(cls, folder: str | Path, vocabulary: int | None = None) -> Text:
        """From the `tokenizer.json` of a model's folder; `ValueError` for ids beyond the `vocabulary` of a model."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise ValueError(f"expected tokenizer.json in the model folder {folder}, found none")
        text = cls(read_tokenizer(path))
        text.guard = quiet_panics  # it may panic at a user's words only
        if vocabulary is not None:
            text.check(vocabulary)
        return text

    def check(self, vocabulary: int) -> None:
        """`ValueError` where an id lies beyond those of a model."""
        layout = self.layout
        ids = (*layout.before, *layout.after, layout.end, layout.pad, *layout.describe)
        check_ids(self.tokenizer, ids, vocabulary)

    def encode(self, text: str) -> list[int]:
        """Ids of a text as it stands, without special ones."""
        with self.guard(), one_line(f"the tokenizer of this model cannot read {text[:40]!r}"):
            return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, question: str | None) -> list[int]:
        """Ids of a question, or of the wish for a caption (None). Our own tokenizer reads questions in lower case, with
        a final "?", a pretrained one as they stand."""
        layout = self.layout
        if question is None:
            return list(layout.describe) or self.prompt(DESCRIBE_WORDS)
        question = " ".join(question.split())
        if self.is_ours:
            question = question.lower().rstrip("?.! ")
        if not question:
            raise ValueError("expected a question, found an empty text; try: what do you hear?")
        return [*layout.before, *self.encode(question + "?" * self.is_ours), *layout.after]

    def target(self, answer: str) -> list[int]:
        """Ids of a wanted answer, with the end."""
        return [*self.encode(answer), self.end]

    def answer(self, ids: Sequence[int]) -> str:
        """The answer in the ids of a whole text: what stands after the prompt, where one is there, up to the end."""
        found, after = list(ids), list(self.layout.after)
        for at in range(len(found) - len(after), -1, -1):
            if found[at : at + len(after)] == after:
                found = found[at + len(after) :]
                break
        return self.decode(found[: found.index(self.end)] if self.end in found else found)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special ones are left out."""
        if self.is_ours:
            ids = [number for number in ids if number >= len(SPECIAL)]
        with self.guard(), one_line("the tokenizer of this model cannot write this answer"):
            return self.tokenizer.decode(list(ids)).strip()
