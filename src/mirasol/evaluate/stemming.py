"""Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", 1980) with the changes that NLTK makes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

FIXED = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning",
    "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
    "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip
STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
)  # fmt: skip
STEP_3 = (
    ("icate", "ic"),
    ("ative", ""),  # codespell:ignore
    ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip
STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant",
    "ement", "ment", "ent",  # codespell:ignore
    "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
)  # fmt: skip


def shape(word: str) -> str:
    """`toys` -> cvcc: y is a vowel after a consonant."""
    found = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and found[-1:] == "c")
        found += "v" if vowel else "c"
    return found


def measure(word: str) -> int:
    return shape(word).count("vc")


def ends_short(word: str) -> bool:
    """Consonant, vowel, consonant at the end, the last not w, x or y; or a word of vowel and consonant alone."""
    found = shape(word)
    return (found.endswith("cvc") and word[-1] not in "wxy") or found == "vc"


def replace(word: str, rules: Sequence[tuple[str, str]], allows: Callable[[str], bool]) -> str:
    """The first rule whose ending is there decides, whether it then applies or not."""
    for ending, new in rules:
        if word.endswith(ending):
            rest = word[: len(word) - len(ending)]
            return rest + new if allows(rest) else word
    return word


@cache
def stem(word: str) -> str:
    """The stem of an English word in lower case."""
    word = word.lower()
    if word in FIXED:
        return FIXED[word]
    if len(word) <= 2:
        return word
    if word.endswith("ies") and len(word) == 4:
        word = word[:-1]
    else:
        word = replace(word, (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")), lambda _: True)
    word = _past(word)
    if word.endswith("y") and len(word) > 2 and shape(word)[-2] == "c":
        word = word[:-1] + "i"
    word = _step_2(word)
    word = replace(word, STEP_3, lambda rest: measure(rest) > 0)
    word = _step_4(word)
    if word.endswith("e"):
        rest = word[:-1]
        if measure(rest) > 1 or (measure(rest) == 1 and not ends_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and measure(word[:-1]) > 1 else word


def _past(word: str) -> str:
    """Step 1b: -eed, -ed and -ing."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        rest = word[: len(word) - len(ending)]
        if word.endswith(ending) and "v" in shape(rest):
            break
    else:
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) > 1 and rest[-1] == rest[-2] and shape(rest)[-1] == "c":
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if measure(rest) == 1 and ends_short(rest) else rest


def _step_2(word: str) -> str:
    if word.endswith("alli") and measure(word[:-4]) > 0:
        return _step_2(word[:-2])
    if word.endswith("logi") and not word.endswith(tuple(ending for ending, _ in STEP_2)):
        return word[:-1] if measure(word[:-3]) > 0 else word
    return replace(word, STEP_2, lambda rest: measure(rest) > 0)


def _step_4(word: str) -> str:
    for ending in STEP_4:
        if word.endswith(ending):
            rest = word[: len(word) - len(ending)]
            return rest if measure(rest) > 1 and (ending != "ion" or rest[-1] in "st") else word
    return word
