"""Settings that hold for every test: one thread per process, no network for models, the same random numbers."""

from __future__ import annotations

import os
import random
import sys
import zlib

# Before torch is imported: the tests run in several processes, and each takes one core. No torch import here, so that
# the tests of media and of layering start at once.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("mirasol", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("mirasol")


@pytest.fixture(autouse=True)
def seeds(request: pytest.FixtureRequest) -> int:
    """Seed every generator from the test's own name: numbers differ between tests and never between runs."""
    seed = zlib.crc32(request.node.nodeid.encode())
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    return seed
