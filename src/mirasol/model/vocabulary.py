"""A `tokenizer.json` from elsewhere: read, tried and held against the model before it meets a user's text.

The library behind it raises bare `Exception`s, and panics that are no `Exception` at all and print to the standard
error output by themselves. Here both become one line.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenizers import Tokenizer

MOST_BYTES = 1 << 28  # of the file
# What regular expressions that take for ever stumble over, and scripts of all kinds.
PLAIN = "what do you hear?"
TRIALS = (
    "What is THIS, he said: 3,141.59 and then?!", f"{'a' * 48}b {'1' * 48}a {' ' * 24}!",
    f"{'ab ' * 24}{'-' * 48}x", "Was hörst du? 你听到什么? Что слышно? \N{DOG FACE}\t\r\n\x00",
)  # fmt: skip
_ALONE = threading.Lock()


def read_tokenizer(path: str | Path) -> Tokenizer:
    """From a file; `ValueError` where it cannot be read, cannot read `PLAIN` or panics at `TRIALS`."""
    path = Path(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"expected {path} of at most {MOST_BYTES:,} bytes, found {size:,}")
    with quiet_panics(), one_line(f"the tokenizer in {path} cannot be used"):
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.decode(tokenizer.encode(PLAIN).ids)
        for text in TRIALS:
            with suppress(Exception):  # it may lack a sign; what is no `Exception` goes on
                tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
        known = sorted(tokenizer.get_vocab(with_added_tokens=True).values())
        for number in known[:: max(1, len(known) // 256)]:
            tokenizer.decode([number])
    return tokenizer


def check_ids(tokenizer: Tokenizer, ids: Iterator[int] | tuple[int, ...], vocabulary: int) -> None:
    """`ValueError` where the tokenizer's ids, or these of a prompt's layout, lie beyond those of a model."""
    known = tokenizer.get_vocab(with_added_tokens=True)
    most = max(known.values(), default=-1)
    if most >= vocabulary:
        word = next(word for word, number in known.items() if number == most)
        raise ValueError(
            f"expected ids below the model's vocabulary of {vocabulary} in its tokenizer.json, found {most} for "
            f"{word[:40]!r}: this is the tokenizer of another model"
        )
    if beyond := [number for number in ids if not 0 <= number < vocabulary]:
        raise ValueError(
            f"expected ids below the model's vocabulary of {vocabulary} in the prompt of its tokenizer.json, found "
            f"{beyond[0]}"
        )


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Whatever the library raises as a `ValueError`: `what`, and why."""
    try:
        yield
    except ValueError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"{what} ({why})") from None


@contextmanager
def quiet_panics() -> Iterator[None]:
    """Holds the standard error output back, and drops it where something was raised: a panic writes dozens of lines
    there before it becomes an exception."""
    with _ALONE, tempfile.TemporaryFile() as held:
        flush()
        try:
            kept = os.dup(2)
        except OSError:  # there is none
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.truncate(0)
            raise
        finally:
            flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            if words := held.read():
                os.write(2, words)


def flush() -> None:
    """What Python holds back of the standard error output, where there is one."""
    if sys.stderr is not None:
        sys.stderr.flush()
