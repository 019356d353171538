"""The words of the questions that a model was trained on: `words.json` beside its weights, a sorted list.

A question with other words gets an answer all the same, and a confidence that means nothing: whoever asks is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

FILE = "words.json"
MOST = 1_000_000  # words
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters, with an apostrophe inside


def words_of(text: str) -> list[str]:
    """The words of a text in their order, in lower case, without digits and punctuation."""
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def save_words(folder: str | Path, texts: Iterable[str]) -> None:
    """Writes the words of these texts into a model's folder."""
    words = sorted({word for text in texts for word in words_of(text)})
    (Path(folder) / FILE).write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def load_words(folder: str | Path) -> frozenset[str]:
    """Of a model's folder; none where it has no list. `ValueError` for a file that is none."""
    path = Path(folder) / FILE
    if not path.is_file():
        return frozenset()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {path} as a JSON list of words, found something else") from error
    if not isinstance(found, list) or len(found) > MOST or not all(isinstance(word, str) for word in found):
        raise ValueError(f"expected {path} as a list of at most {MOST} words, found something else")
    return frozenset(found)


def new_words(question: str, known: frozenset[str]) -> tuple[str, ...]:
    """The words of a question that are not among those known; none where nothing is known of them."""
    return tuple(dict.fromkeys(word for word in words_of(question) if word not in known)) if known else ()
