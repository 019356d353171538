"""`text`: any text survives the way to ids and back, and only the layout of a prompt makes special ids."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirasol.model.text import ANSWER, DESCRIBE, END, PAD, QUESTION, SPECIAL, START, Text, pad, train_tokenizer

LINES = ["what do you hear?", "a red dog barks twice", "which thing made the sound?", "the bell, then the drum"] * 3
TEXT = Text(train_tokenizer(LINES, 300))


@given(st.text())
@settings(max_examples=60)
def test_there_and_back(line: str) -> None:
    wanted = line.strip()
    assert TEXT.decode(TEXT.encode(wanted)) == wanted


@given(st.lists(st.sampled_from([*SPECIAL, "dog", " ", "?", "é"]), min_size=1).map("".join))
def test_no_text_makes_a_special_id(line: str) -> None:
    """Whoever writes "<end>" in a question asks about the word, and does not end the prompt."""
    assert min(TEXT.encode(line), default=len(SPECIAL)) >= len(SPECIAL)
    assert TEXT.decode(TEXT.encode(line)) == line.strip()


def test_prompts() -> None:
    prompt = TEXT.prompt("  What do\nyou HEAR ??")
    assert prompt == [START, QUESTION, *TEXT.encode("what do you hear?"), ANSWER]
    assert prompt == TEXT.prompt("what do you hear")
    assert TEXT.prompt(None) == [START, DESCRIBE, ANSWER]
    assert TEXT.target("dog") == [*TEXT.encode("dog"), END]
    assert TEXT.decode([START, *TEXT.target("a red dog"), PAD]) == "a red dog"
    for empty in ("", "  ", "?"):
        with pytest.raises(ValueError, match="expected a question"):
            TEXT.prompt(empty)


@given(st.lists(st.lists(st.integers(6, 99), max_size=7), min_size=1, max_size=5), st.booleans())
@settings(max_examples=40)
def test_padding(rows: list[list[int]], left: bool) -> None:
    ids, mask = pad(rows, PAD, left=left)
    longest = max(map(len, rows))
    for row, values, real in zip(rows, ids.tolist(), mask.tolist(), strict=True):
        missing = [PAD] * (longest - len(row))
        assert values == (missing + row if left else row + missing)
        assert real == [value != PAD for value in values]


def test_a_strange_tokenizer_is_refused(tmp_path) -> None:
    from tokenizers import Tokenizer, models

    with pytest.raises(ValueError, match="special token <pad> as id 0"):
        Text(Tokenizer(models.BPE()))
    with pytest.raises(ValueError, match=r"expected tokenizer\.json"):
        Text.load(tmp_path)
    TEXT.tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Text.load(tmp_path).encode("<end> dog") == TEXT.encode("<end> dog")
