"""Makes `wordnet.txt.xz` and `tagger.json.xz` from the files that Princeton and NLTK publish.

    python make.py WORDNET_3_0/dict nltk_data/taggers/averaged_perceptron_tagger_eng

Kept of WordNet: words without a space, the first sense of each in each part of speech, and what lies above these
senses. Synsets are numbered in the order of their names (`dog.n.01`), which decides ties between common ancestors.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


def records(path: Path) -> list[list[str]]:
    """The lines of an index or data file as fields, without the licence at its head."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split(" | ")[0].split() for line in lines if line.strip() and not line.startswith("  ")]


def wordnet(folder: Path) -> str:
    senses: dict[tuple[str, str], list[str]] = {}  # (word, part of speech) -> offsets, the commonest sense first
    for pos, name in FILES.items():
        for fields in records(folder / f"index.{name}"):
            count, pointers = int(fields[2]), int(fields[3])
            senses[fields[0], pos] = fields[6 + pointers :][:count]
    names: dict[tuple[str, str], str] = {}
    above: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pos, name in FILES.items():
        for fields in records(folder / f"data.{name}"):
            offset, kind, words = fields[0], fields[2], int(fields[3], 16)
            word = fields[4].split("(")[0].lower()
            names[pos, offset] = f"{word}.{kind}.{senses[word, pos].index(offset) + 1:02d}"
            at = 4 + 2 * words
            links = [fields[at + 1 + 4 * n : at + 5 + 4 * n] for n in range(int(fields[at]))]
            above[pos, offset] = [(link[2], link[1]) for sign in ("@", "@i") for link in links if link[0] == sign]
    first = {(word, pos): (pos, offsets[0]) for (word, pos), offsets in senses.items() if "_" not in word}
    wanted, todo = set(), list(first.values())
    while todo:
        if (synset := todo.pop()) not in wanted:
            wanted.add(synset)
            todo += above[synset]
    order = {synset: number for number, synset in enumerate(sorted(wanted, key=lambda s: names[s]))}
    lines = ["synsets"]
    lines += [f"{s[0]} {' '.join(str(order[up]) for up in above[s])}".strip() for s in order]
    for pos, name in FILES.items():
        lines.append(f"words {pos}")
        lines += [f"{word} {order[synset]}" for (word, kind), synset in sorted(first.items()) if kind == pos]
        lines.append(f"exceptions {pos}")
        text = (folder / f"{name}.exc").read_text(encoding="utf-8")
        lines += [line for line in text.splitlines() if line.split() and "_" not in line]
    return "\n".join(lines) + "\n"


def tagger(folder: Path) -> str:
    parts = {kind: json.loads(next(folder.glob(f"*.{kind}.json")).read_text()) for kind in ("weights", "tagdict")}
    return json.dumps(parts, separators=(",", ":"), sort_keys=True)


def main(words: str, tags: str) -> None:
    here = Path(__file__).parent
    for name, text in (("wordnet.txt.xz", wordnet(Path(words))), ("tagger.json.xz", tagger(Path(tags)))):
        (here / name).write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        print(name, (here / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
