"""The command line: `ask`, `describe`, `demo`, `watch`, `inspect`, `toybox`, `init`, `prepare`, `train`, `evaluate`,
`data check`, `push`, `docs`.

Everything heavy is imported inside the commands, so that `mirasol --help` starts at once. What a user can mend comes
back as one line on stderr and exit code 2; see `errors`.
"""

from __future__ import annotations

import io
import os
import sys

from . import asking, evaluating, measuring, pages, preparing, pushing, starting, training, watching, worlds  # noqa: F401, each adds its commands
from .common import app
from .errors import end_with
from .groups import arrange
from .leaving import leave
from .recipes import load_recipe

arrange(app)

__all__ = ["app", "load_recipe", "main"]


def main() -> None:
    """The entry point: every error becomes one line."""
    # Threads that wait must sleep, not spin: on a busy machine spinning makes small models many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # names of files may hold what the terminal's encoding cannot
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `mirasol ... | head`: nobody reads on
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, Python's own last flush goes there
        sys.exit(1)
    except Exception as error:
        end_with(error)
    finally:
        leave()
