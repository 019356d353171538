"""The end of the process, while a thread may still wait for a source that sends nothing."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

WAITS = "waits for a source"  # the name of such a thread


def leave() -> None:
    """For a `finally` around everything: where a thread waits inside a library, Python's own end would wait for it or
    abort when it wakes up, so the process ends here. What was printed is out, files are closed."""
    end = sys.exc_info()[1]
    if not (end is None or isinstance(end, SystemExit)) or not any(
        thread.name == WAITS for thread in threading.enumerate()
    ):
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    code = None if end is None else end.code
    os._exit(code if isinstance(code, int) else int(code is not None))
