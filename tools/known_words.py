"""Writes `words.json` of the shipped models: the words of the questions that they were trained on.

    python tools/known_words.py          # both
    python tools/known_words.py --check  # fails where a list is not what it would write

Toybox words its questions from templates, so its words are those of the templates and of what can stand in them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mirasol.inference.answer import shipped_models
from mirasol.media.toybox import questions, streams
from mirasol.media.toybox.scene import COLUMNS, PLACES, toybox_world, with_article
from mirasol.model.words import load_words, save_words, words_of

MODELS = {"tiny": questions.WORDINGS, "tiny-stream": streams.WORDINGS}


def fillings() -> list[dict[str, str]]:
    """What can stand in a template: each kind and colour once."""
    world = toybox_world()
    places = [f"at the {place}" for place in PLACES] + [questions.in_column(column) for column in COLUMNS]
    return [
        {
            "kind": kind, "one": kind, "other": kind, "colour": colour, "at": places[at % len(places)],
            "a_kind": with_article(kind), "a_thing": with_article(f"{colour} {kind}"),
        }
        for at, (kind, colour) in enumerate((kind, colour) for kind in world.kinds for colour in world.colours)
    ]  # fmt: skip


def texts_of(name: str) -> list[str]:
    """Every template of a model, filled with everything."""
    wordings = [wording for group in MODELS[name].values() for wording in group]
    return [wording.format(**words) for wording in wordings for words in fillings()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args().check
    for name, folder in shipped_models().items():
        texts = texts_of(name)
        if wanted and load_words(folder) != frozenset(word for text in texts for word in words_of(text)):
            sys.exit(f"{Path(folder) / 'words.json'} is not what the templates say; run python tools/known_words.py")
        if not wanted:
            save_words(folder, texts)
            print(f"{name}: {len(load_words(folder))} words")


if __name__ == "__main__":
    main()
