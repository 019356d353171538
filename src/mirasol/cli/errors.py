"""What ends a command, as one line and an exit code: the one place where errors are caught.

2   what a user can mend: the line says what was expected, what was found, and how to mend it
70  a fault of the program; MIRASOL_TRACEBACK=1 shows where
"""

from __future__ import annotations

import csv
import errno
import os
import sys
from collections.abc import Callable

MENDED, FAULT = 2, 70
TRACEBACK = "MIRASOL_TRACEBACK"
HINT = f"set {TRACEBACK}=1 to see where"


def end_with(error: Exception) -> None:
    """Prints the line and ends the process; with MIRASOL_TRACEBACK=1 the error is raised again instead."""
    if os.environ.get(TRACEBACK, "") not in ("", "0"):
        raise error
    message, code = explained(error)
    try:
        print("mirasol:", " ".join(message.split()), file=sys.stderr)
    except OSError:  # nobody reads it any more
        code = code or FAULT
    sys.exit(code)


def run_script(main: Callable[..., None], about: str | None) -> None:
    """Runs the function of a script with the words of the command line, as the commands are run: `--help` prints
    `about`, and an error is one line."""
    import typer

    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command(help=about)(main)
    try:
        script()
    except SystemExit as end:
        if end.code:
            raise
    except Exception as error:
        end_with(error)


def explained(error: Exception) -> tuple[str, int]:
    """(the line, the exit code) of an error."""
    said = " ".join(str(error).split())
    if isinstance(error, OSError):
        return of_system(error), MENDED
    if isinstance(error, MemoryError) or "out of memory" in said.lower() or "not enough memory" in said.lower():
        what = f" ({said[:200]})" if said else ""
        return f"there is not enough memory for this{what}; take a shorter part, a smaller model or batch", MENDED
    if isinstance(error, RecursionError):
        return f"the input is nested too deeply to be read; {HINT}", MENDED
    if isinstance(error, OverflowError):
        return f"a number in the input is too large ({said}); {HINT}", MENDED
    if isinstance(error, ModuleNotFoundError):
        return f"{said}: install it first (pip install {str(error.name).split('.')[0]})", MENDED
    if isinstance(error, ValueError | csv.Error) or type(error).__name__ == "SafetensorError":
        return said or f"{type(error).__name__}; {HINT}", MENDED
    return f"unexpected {type(error).__name__}: {said[:500]}; this is a fault of the program; {HINT}", FAULT


def of_system(error: OSError) -> str:
    """What the system says, with the file, in words that say what to do where that is known."""
    why = error.strerror or " ".join(str(error).split()) or type(error).__name__
    if error.errno == errno.ENOSPC:
        why = "the disk is full; make room, or write to another one"
    elif error.errno == errno.EMFILE:
        why = "too many files are open at once; raise the limit (ulimit -n)"
    elif isinstance(error, FileNotFoundError) and error.filename:
        return f"no file or folder {error.filename}"
    return f"{why}: {error.filename}" if isinstance(error.filename, str) else why
