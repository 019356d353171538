"""The words of the prompts that a run has learned from: what the finished model may be asked about (`words.json`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mirasol.data.examples import Batch
from mirasol.model.mirasol import IGNORE
from mirasol.model.words import load_words, save_words, words_of


class Words:
    """Gathers them batch by batch. `before`: those of the model that the run begins with, see `words_beside`; `known`:
    those found before the run was resumed."""

    def __init__(self, tokenizer: Any, before: Iterable[str] | None = (), known: Iterable[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.is_whole = before is not None
        self.found = {*(before or ()), *known}
        self._seen: set[tuple[int, ...]] = set()

    def take(self, batch: Batch) -> None:
        """Adds those of the prompts of a batch: the ids before the first that is learned."""
        for ids, labels, mask in zip(batch.ids, batch.labels, batch.text_mask, strict=True):
            prompt = tuple(ids[(labels == IGNORE) & mask.bool()].tolist())
            if prompt not in self._seen:
                if len(self._seen) > 100_000:  # prompts that never repeat shall not fill the memory
                    self._seen.clear()
                self._seen.add(prompt)
                self.found.update(words_of(self.tokenizer.decode(list(prompt), skip_special_tokens=True)))

    def save(self, folder: Path) -> None:
        """`folder/words.json`, where the list is whole."""
        if self.is_whole:
            save_words(folder, self.found)


def words_beside(folder: str) -> frozenset[str] | None:
    """Those of a model that a run begins with (""; with none); None where nobody wrote them down, as of a pretrained
    one: a list without them would call words new that are not."""
    if not folder:
        return frozenset()
    return load_words(folder) or None
