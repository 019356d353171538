"""Words of an English answer brought to their base forms, as NExT-OE's evaluation does it (it uses pywsd and NLTK).

tokens        Penn Treebank rules, for one sentence
tags          a greedy averaged perceptron; its weights are part of the package, see `assets/README.md`
base_form     by the tagged part of speech; what WordNet does not know may become its stem, if it knows that
"""

from __future__ import annotations

import json
import lzma
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from .stemming import stem
from .wordnet import ASSETS, wordnet

PART = {"NN": "n", "JJ": "a", "VB": "v", "RB": "r"}
TOKENS = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"([«“‘„]|`+)", r" \1 "),
        (r'^"', "`` "),
        (r"(``)", r" \1 "),
        (r"([ (\[{<])(\"|'{2})", r"\1 `` "),
        (r"([^.])(\.)([\])}>\"'»”’ ]*)\s*$", r"\1 \2 \3 "),
        (r"([:,])(\D)", r" \1 \2"),
        (r"([:,])$", r" \1 "),
        (r"\.\.\.", " ... "),
        (r"[;@#$%&?!]", r" \g<0> "),
        (r"([^'])' ", r"\1 ' "),
        (r"[\]\[(){}<>]", r" \g<0> "),
        (r"--", " -- "),
        (r"^|$", " "),
        (r"([»”’]+)", r" \1 "),
        (r'"', " '' "),
        (r"(\S)('')", r"\1 \2 "),
        (r"([^' ])('[sSmMdD]|') ", r"\1 \2 "),
        (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
        (r"(?i)\b(can)(not)\b|\b(d)('ye)\b|\b(gim)(me)\b|\b(gon)(na)\b|\b(got)(ta)\b|\b(lem)(me)\b|\b(more)('n)\b"
         r"|\b(wan)(na)(?=\s)|(?<= )('t)(is|was)\b", None),
    )
)  # fmt: skip


def tokens(sentence: str) -> list[str]:
    """`he can't, she's` -> he, ca, n't, `,`, she, 's"""
    for pattern, new in TOKENS:
        sentence = pattern.sub(new if new is not None else _apart, sentence)
    return sentence.split()


def _apart(match: re.Match[str]) -> str:
    return " " + " ".join(group for group in match.groups() if group) + " "


@cache
def _weights() -> tuple[dict[str, dict[str, float]], dict[str, str], tuple[str, ...]]:
    values = json.loads(lzma.decompress((ASSETS / "tagger.json.xz").read_bytes()))
    weights = values["weights"]
    return weights, values["tagdict"], tuple(sorted({tag for found in weights.values() for tag in found}))


def tags(words: Sequence[str]) -> list[str]:
    """Penn Treebank tags, from left to right; words that hardly vary have theirs in a list."""
    weights, listed, all_tags = _weights()
    around = ["-START-", "-START2-", *map(_shape, words), "-END-", "-END2-"]
    found: list[str] = ["-START2-", "-START-"]  # the two before the first word
    for at, word in enumerate(words):
        tag = listed.get(word)
        if tag is None:
            scores: dict[str, float] = defaultdict(float)
            for sign in _signs(word, around[at : at + 5], found[-1], found[-2]):
                for name, weight in weights.get(sign, {}).items():
                    scores[name] += weight
            tag = max(all_tags, key=lambda name: (scores[name], name))
        found.append(tag)
    return found[2:]


def _shape(word: str) -> str:
    if "-" in word and word[0] != "-":
        return "!HYPHEN"
    if word.isdigit() and len(word) == 4:
        return "!YEAR"
    return "!DIGITS" if word[0].isdigit() else word.lower()


def _signs(word: str, around: Sequence[str], last: str, before: str) -> Iterator[str]:
    """What the tagger looks at; the names are keys of its weights. `around` are the word and two to each side."""
    before_that, left, middle, right, after_that = around
    yield "bias"
    yield f"i suffix {word[-3:]}"
    yield f"i pref1 {word[0]}"
    yield f"i-1 tag {last}"
    yield f"i-2 tag {before}"
    yield f"i tag+i-2 tag {last} {before}"
    yield f"i word {middle}"
    yield f"i-1 tag+i word {last} {middle}"
    yield f"i-1 word {left}"
    yield f"i-1 suffix {left[-3:]}"
    yield f"i-2 word {before_that}"
    yield f"i+1 word {right}"
    yield f"i+1 suffix {right[-3:]}"
    yield f"i+2 word {after_that}"


@cache
def base_form(word: str, part: str | None) -> str:
    """A word in lower case, its part of speech or None: that of the word tagged alone then counts."""
    part = part or PART.get(tags([word])[0][:2], "n")
    words = wordnet()
    forms = words.base_forms(word, part)
    form, short = min(forms, key=len) if forms else word, stem(word)
    if words.first_sense(form) is not None:
        return form
    return short if words.first_sense(short) is not None else word


def base_forms(sentence: str) -> list[str]:
    """The base forms of a sentence's words, in order."""
    words = tokens(sentence)
    return [base_form(word.lower(), PART.get(tag[:2])) for word, tag in zip(words, tags(words), strict=True)]
