"""Real annotation files, where a checkout has them: tests that use them are skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest


def real_file(name: str) -> Path:
    """A file of `shared/annotations` in the project's folder or one above it; skips the test where there is none."""
    for folder in Path(__file__).resolve().parents:
        if (path := folder / "shared" / "annotations" / name).is_file():
            return path
    pytest.skip(f"shared/annotations/{name} is not here")
