"""How a path or an address is shown to people."""

from __future__ import annotations

import os


def quoted(path: str | os.PathLike[str]) -> str:
    """In quotes and on one line, with backslashes as they stand: `'C:\\films\\a.mp4'`. (`repr` doubles them.)"""
    return repr(os.fspath(path)).replace("\\\\", "\\")
