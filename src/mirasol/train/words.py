"""The words of the prompts that a run has learned from: what the finished model may be asked about (`words.json`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mirasol.data.examples import Batch
from mirasol.model.mirasol import IGNORE

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Words:
    """Gathers them batch by batch, in lower case."""

    def __init__(self, tokenizer: Any, known: Iterable[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.found = set(known)
        self._seen: set[tuple[int, ...]] = set()

    def take(self, batch: Batch) -> None:
        """Adds those of the prompts of a batch: the ids before the first that is learned."""
        for ids, labels, mask in zip(batch.ids, batch.labels, batch.text_mask, strict=True):
            prompt = tuple(ids[(labels == IGNORE) & mask.bool()].tolist())
            if prompt not in self._seen:
                if len(self._seen) > 100_000:  # prompts that never repeat shall not fill the memory
                    self._seen.clear()
                self._seen.add(prompt)
                self.found |= words_of(self.tokenizer.decode(list(prompt), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """`folder/words.json`, sorted."""
        text = json.dumps(sorted(self.found), ensure_ascii=False, indent=0)
        (folder / "words.json").write_text(text + "\n", encoding="utf-8")


def words_of(text: str) -> set[str]:
    """The words of a text, in lower case, without digits and marks."""
    return set(WORD.findall(text.lower()))


def words_beside(folder: str) -> list[str]:
    """Those of a model that a run begins with; none where it does not say."""
    path = Path(folder) / "words.json"
    if not folder or not path.is_file():
        return []
    told = json.loads(path.read_text(encoding="utf-8"))
    return [word for word in told if isinstance(word, str)] if isinstance(told, list) else []
