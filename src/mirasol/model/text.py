"""Text to ids and back, and how a prompt is laid out. The file `tokenizer.json` holds the vocabulary, byte-level BPE.

    <start> <question> what do you hear ? <answer>   the prompt
    dog <end>                                        the answer

`<describe>` in the place of the question asks for a caption. Any text can be read: what the vocabulary lacks is bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

SPECIAL = ("<pad>", "<start>", "<question>", "<answer>", "<end>", "<describe>")
PAD, START, QUESTION, ANSWER, END, DESCRIBE = range(len(SPECIAL))

DESCRIBE_PROMPT = "(describe)"  # how a wish for a caption is shown to people


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
        tokenizer.encode_special_tokens = True  # as plain text: "<end>" in a question does not end the prompt
        for number, name in enumerate(SPECIAL):
            if tokenizer.token_to_id(name) != number:
                raise ValueError(
                    f"expected the special token {name} as id {number} in the tokenizer: it is not a Mirasol one"
                )

    @classmethod
    def load(cls, folder: str | Path) -> Text:
        """From the `tokenizer.json` of a model's folder."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise ValueError(f"expected tokenizer.json in the model folder {folder}, found none")
        return cls(Tokenizer.from_file(str(path)))

    def encode(self, text: str) -> list[int]:
        """Ids of a text as it stands, without special ones."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, question: str | None) -> list[int]:
        """Ids of a question, or of the wish for a caption (None). Questions are put in lower case, with a final "?"."""
        if question is None:
            return [START, DESCRIBE, ANSWER]
        question = " ".join(question.lower().split()).rstrip("?.! ")
        if not question:
            raise ValueError("expected a question, found an empty text; try: what do you hear?")
        return [START, QUESTION, *self.encode(question + "?"), ANSWER]

    def target(self, answer: str) -> list[int]:
        """Ids of a wanted answer, with the end."""
        return [*self.encode(answer), END]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special ones are left out."""
        return self.tokenizer.decode([number for number in ids if number >= len(SPECIAL)]).strip()
