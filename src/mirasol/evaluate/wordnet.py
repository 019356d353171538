"""WordNet 3.0, as far as WUPS needs it: base forms of words, first senses, and Wu-Palmer similarity of two of them.

The data file is part of the package (`assets/README.md` says where it comes from), so the measure is the same on every
machine. Similarity is that of NLTK up to 3.5, with which NExT-OE's figures were made: a root above all is added only
where the *first* sense is a verb, which makes the measure unsymmetric. (Later NLTK adds it whenever one of the two is
no noun; NExT-OE's own predictions then score a point lower.)
"""

from __future__ import annotations

import lzma
from collections import deque
from functools import cache
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
KINDS = ("n", "v", "a", "r")  # nouns first: a word's first sense is that of the noun, where it can be one
ENDINGS = {
    "n": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
          ("men", "man"), ("ies", "y")),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}  # fmt: skip
ROOT = -1  # above everything; before all others in order


class WordNet:
    """Read once; see `wordnet()`. Senses (synsets) are numbers."""

    def __init__(self, text: str) -> None:
        self._kind: list[str] = []
        self._above: list[tuple[int, ...]] = []
        self._words: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
        self._exceptions: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
        part, kind = "", ""
        for line in text.splitlines():
            first, *rest = line.split(" ")
            if first in ("synsets", "words", "exceptions") and (not rest or rest[0] in KINDS):
                part, kind = first, rest[0] if rest else ""
            elif part == "synsets":
                self._kind.append(first)
                self._above.append(tuple(map(int, rest)))
            elif part == "words":
                self._words[kind][first] = int(rest[0])
            else:
                self._exceptions[kind][first] = rest
        self._ancestors: dict[int, dict[int, int]] = {}
        self._depths: dict[int, tuple[int, int]] = {ROOT: (0, 0)}

    def base_forms(self, word: str, kind: str) -> list[str]:
        """Forms of a word under which it stands in WordNet as this part of speech: itself, then without endings."""
        words = self._words[kind]
        rules = ENDINGS[kind]
        exceptions = self._exceptions[kind].get(word)
        forms = exceptions if exceptions is not None else shortened([word], rules)
        known = [form for form in dict.fromkeys([word, *forms]) if form in words]
        while not known and forms and exceptions is None:
            forms = shortened(forms, rules)
            known = [form for form in dict.fromkeys(forms) if form in words]
        return known

    def first_sense(self, word: str) -> int | None:
        """The first sense of a word, as a noun before a verb, an adjective and an adverb; None: it has none."""
        word = word.lower()
        for kind in KINDS:
            for form in self.base_forms(word, kind):
                return self._words[kind][form]
        return None

    def similarity(self, one: int, other: int) -> float:
        """Wu-Palmer: twice the depth of the deepest common ancestor over the summed depths through it; 0: none."""
        rooted = self._kind[one] == "v"
        common = set(self._up(one)) & set(self._up(other)) | ({ROOT} if rooted else set())
        if not common:
            return 0.0
        deepest = max(self._depth(sense)[0] for sense in common)
        lowest = [sense for sense in common if self._depth(sense)[0] == deepest]
        ancestor = one if one in lowest else min(lowest)
        depth = self._depth(ancestor)[1] + 1
        lengths = [self._distance(sense, ancestor, rooted) for sense in (one, other)]
        return 2 * depth / (sum(lengths) + 2 * depth)

    def _up(self, sense: int) -> dict[int, int]:
        """A sense and all above it, with the number of steps."""
        if sense not in self._ancestors:
            steps: dict[int, int] = {}
            queue = deque([(sense, 0)])
            while queue:
                at, far = queue.popleft()
                if at not in steps:
                    steps[at] = far
                    queue.extend((up, far + 1) for up in self._above[at])
            self._ancestors[sense] = steps
        return self._ancestors[sense]

    def _depth(self, sense: int) -> tuple[int, int]:
        """Steps up to a sense that has none above it, on the shortest and on the longest way."""
        if sense not in self._depths:
            above = [self._depth(up) for up in self._above[sense]]
            self._depths[sense] = (1 + min(a for a, _ in above), 1 + max(b for _, b in above)) if above else (0, 0)
        return self._depths[sense]

    def _distance(self, one: int, other: int, rooted: bool) -> int:
        if one == other:
            return 0
        ways = [self._ways(sense, rooted) for sense in (one, other)]
        return min(far + ways[1][sense] for sense, far in ways[0].items() if sense in ways[1])

    def _ways(self, sense: int, rooted: bool) -> dict[int, int]:
        if sense == ROOT:
            return {ROOT: 0}
        up = self._up(sense)
        return {**up, ROOT: max(up.values()) + 1} if rooted else up


def shortened(forms: list[str], rules: tuple[tuple[str, str], ...]) -> list[str]:
    return [form[: len(form) - len(old)] + new for form in forms for old, new in rules if form.endswith(old)]


@cache
def wordnet() -> WordNet:
    """The WordNet of the package; reading it takes a moment, once."""
    return WordNet(lzma.decompress((ASSETS / "wordnet.txt.xz").read_bytes()).decode())
