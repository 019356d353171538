"""The model file for lmms-eval against a stand-in of its registry, base class and requests, as documented there.

lmms-eval itself cannot be installed beside this project's PyAV; what is held here is the documented interface.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirasol.inference.files import ask
from mirasol.media import toybox

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "lmms_eval_mirasol.py"


@dataclass
class Instance:
    args: tuple[Any, ...]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """The names under which the file registers its class, when it is imported as a part of lmms-eval."""
    found: dict[str, type] = {}

    class Base:
        is_simple = True

        def __init__(self) -> None:
            self._rank, self._world_size, self.task_dict = 0, 1, {}

    def register_model(*names: str):  # type: ignore[no-untyped-def]
        def decorate(model: type) -> type:
            assert issubclass(model, Base)
            found.update(dict.fromkeys(names, model))
            return model

        return decorate

    for name, values in {
        "lmms_eval": {}, "lmms_eval.api": {}, "lmms_eval.api.model": {"lmms": Base},
        "lmms_eval.api.registry": {"register_model": register_model},
    }.items():  # fmt: skip
        module = ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("lmms_eval_models_mirasol", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return found


def test_requests_are_answered_as_mirasol_answers(registry: dict[str, type], tmp_path: Path) -> None:
    scenes = [toybox.make_scene(seed, "test", seconds=2) for seed in (1, 2)]
    films = [str(toybox.write_file(s, tmp_path / f"{s.seed}.mp4", 48, 80, frame_rate=12)) for s in scenes]
    sound = {"array": np.sin(np.arange(16000) / 9) * 0.3, "sampling_rate": 16000}
    with pytest.warns(UserWarning, match="max_frames"):
        model = registry["mirasol"](pretrained="tiny", batch_size=1, max_frames=8)
    model.task_dict["t"] = {"test": [[films[0]], [films[1]], [films[1], sound], [Image.new("RGB", (64, 48))], [sound]]}
    asked = [(0, "what do you hear?"), (0, "what is there to see?"), (1, "what do you hear?")]

    def request(document: int, question: str, what: Any) -> Instance:
        return Instance((question, what, lambda doc: doc, document, "t", "test"))

    said = model.generate_until([request(document, question, {"until": ["\n"]}) for document, question in asked])
    expected = [ask(films[document], question) for document, question in asked]
    assert said == [one.answer for one in expected]
    scores = model.loglikelihood([
        request(document, question, answer) for (document, question), answer in zip(asked, said, strict=True)
    ])  # fmt: skip
    for (score, greedy), one in zip(scores, expected, strict=True):
        assert greedy
        assert np.exp(score) == pytest.approx(one.confidence, abs=2e-3)
    assert all(isinstance(text, str) for text in model.generate_until([request(n, "what?", {}) for n in (2, 3, 4)]))
    stopped = model.generate_until([request(0, "what do you hear?", {"until": [said[0][1:]]})])
    assert stopped == [said[0][:1]]
    with pytest.warns(UserWarning, match="does not fit"):
        assert model.generate_until([request(0, "why " * 500, {})]) == [""]
