"""The command line: `ask`, `describe`, `demo`, `watch`, `inspect`, `toybox`, `init`, `prepare`, `train`, `evaluate`,
`data check`, `push`.

Everything heavy is imported inside the commands, so that `mirasol --help` starts at once. What a user can mend comes
back as one line on stderr and exit code 2.
"""

from __future__ import annotations

import os
import sys

from . import asking, measuring, pages, preparing, pushing, starting, training, watching, worlds  # noqa: F401, each adds its commands
from .common import app, fail
from .leaving import leave
from .recipes import load_recipe

__all__ = ["app", "load_recipe", "main"]


def main() -> None:
    """The entry point: errors that a user can mend become one line."""
    # Threads that wait shall sleep, not spin: on a busy machine spinning makes small models many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except ValueError as error:
        fail(str(error))
    finally:
        leave()
