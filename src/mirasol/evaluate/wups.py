"""WUPS as NExT-OE's own evaluation computes it (`eval_oe.py` of its authors), in one function per step.

    answer -> base forms, without stop words -> likeness of every word with the most like word of the other answer
           -> product over the words of one answer; the smaller of both directions

Peculiarities of the original that are kept: likeness is that of the first senses of two words; below the threshold it
counts a tenth; words that are like nothing are left out of the product; where nothing is left the score is 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from .wordnet import ASSETS, wordnet
from .words import base_forms, tokens

EXACT_TYPES = ("DB", "DC")  # yes-or-no and counting questions: exactly equal, or nothing


@cache
def stop_words() -> frozenset[str]:
    return frozenset(json.loads((ASSETS / "next-oe-stopwords.json").read_text(encoding="utf-8")))


@cache
def content(answer: str) -> str:
    """An answer's base forms without stop words, with spaces between."""
    return " ".join(word for word in base_forms(answer) if word not in stop_words())


@cache
def likeness(one: str, other: str) -> float:
    """Of two words, 0 to 1: that of their first senses in WordNet."""
    if one == other:
        return 1.0
    senses = wordnet().first_sense(one), wordnet().first_sense(other)
    return 0.0 if None in senses else wordnet().similarity(*senses)  # type: ignore[arg-type]


def one_way(words: Sequence[str], others: Sequence[str], threshold: float) -> float:
    """The product, over `words`, of the likeness of each with the most like of `others`."""
    product, any_like = 1.0, False
    for word in words:
        values = [(likeness(word, other), word == other) for other in others]
        best = max((v if same or v >= threshold else 0.1 * v for v, same in values), default=0.0)
        if best > 0:
            product, any_like = product * best, True
    return product if any_like else 0.0


def wups(answer: str, reference: str, threshold: float) -> float:
    """WUPS at a threshold of two answers as they were written, 0 to 1."""
    one, other = tokens(content(answer)), tokens(content(reference))
    return min(one_way(one, other, threshold), one_way(other, one, threshold))


def next_oe(answer: str, references: Sequence[str], type: str, threshold: float) -> float:
    """The score of one answer to a question of NExT-OE; the best of several references counts, for either threshold."""
    if type in EXACT_TYPES:
        return float(content(answer) in {content(reference) for reference in references})
    return max(wups(answer, reference, threshold) for reference in references)
