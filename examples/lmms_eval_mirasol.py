"""Mirasol as a model of lmms-eval, so that its tasks run with it.

lmms-eval wants an older PyAV (av < 16) than this project is tested with, so it lives in an environment of its own:

    pip install lmms-eval mirasol       # PyAV 15 serves both
    cp lmms_eval_mirasol.py .../site-packages/lmms_eval/models/simple/mirasol.py
    # and in lmms_eval/models/__init__.py, among AVAILABLE_SIMPLE_MODELS:  "mirasol": "MirasolModel"
    python -m lmms_eval --model mirasol --model_args pretrained=tiny --tasks nextqa_mc_test --batch_size 1

Written against lmms-eval's documented interface (`lmms_eval.api.model.lmms`: `generate_until` and `loglikelihood`, each
request with six arguments). Run as a script, it answers a request about a Toybox film without lmms-eval.
"""

from __future__ import annotations

import io
import warnings
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mirasol.evaluate.choices import option_scores
from mirasol.evaluate.films import Film, watch_together
from mirasol.inference.answer import Watched, load, put
from mirasol.inference.engine import Engine

try:
    from lmms_eval.api.model import lmms
    from lmms_eval.api.registry import register_model
except ImportError:  # run as a script, or read by a test

    class lmms:  # type: ignore[no-redef]
        def __init__(self) -> None:
            self.task_dict: dict[str, Any] = {}

    def register_model(*names: str) -> Any:
        return lambda model: model


@register_model("mirasol")
class MirasolModel(lmms):
    """`pretrained`: a model of the package by its name, or a folder with a checkpoint. Films are watched whole, with
    their sound, at the model's own rate: `max_num_frames` and the like have no meaning here."""

    is_simple = True

    def __init__(
        self, pretrained: str = "tiny", batch_size: int | str = 1, device: str = "cpu", **ignored: Any
    ) -> None:
        super().__init__()
        if ignored:
            warnings.warn(f"Mirasol has no use for {', '.join(sorted(ignored))}", stacklevel=2)
        self.pretrained, self.loaded = pretrained, load(pretrained)
        self._last: tuple[Any, Watched] | None = None

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """What the model says, up to the first of the stop strings."""
        answers = []
        for request in requests:
            context, options, doc_to_visual, doc_id, task, split = request.args
            watched = self._watch(doc_to_visual, doc_id, task, split)
            answer = "" if self._too_long(context) else put(watched, [context], self.loaded)[0].answer
            stops = options.get("until", []) if isinstance(options, dict) else []
            for stop in [stops] if isinstance(stops, str) else stops:
                answer = answer.split(stop)[0] if stop else answer
            answers.append(answer.strip())
        return answers

    @torch.inference_mode()
    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """The log-probability of each target with its end, and whether it is what the model would say."""
        found = []
        for request in requests:
            context, target, doc_to_visual, doc_id, task, split = request.args
            words = target(self.task_dict[task][split][doc_id]) if callable(target) else target
            watched = self._watch(doc_to_visual, doc_id, task, split)
            if self._too_long(context, words):
                found.append((float("-inf"), False))
                continue
            engine = Engine(self.loaded.model, self.loaded.text)
            (((score, _),),) = option_scores(engine, engine.look(watched.state), [(0, context, [words])])
            said = put(watched, [context], self.loaded)[0].answer
            found.append((score, said == words.strip()))
        return found

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        raise NotImplementedError("Mirasol answers single questions; tasks of several rounds do not run with it")

    def _too_long(self, context: str, target: str = "") -> bool:
        text, most = self.loaded.text, self.loaded.model.sizes.text_positions
        if (length := len(text.prompt(context)) + len(text.target(target))) <= most:
            return False
        warnings.warn(f"a prompt of {length} tokens does not fit in {most}: it counts as not answered", stacklevel=3)
        return True

    def _watch(self, doc_to_visual: Any, doc_id: Any, task: str, split: str) -> Watched:
        """The media of a document: files as paths, pictures of PIL, sound as an array with its rate. The last ones are
        kept, as a document's questions usually follow each other."""
        visuals = [one for one in doc_to_visual(self.task_dict[task][split][doc_id]) if one is not None]
        key = tuple(one if isinstance(one, str) else id(one) for one in visuals)
        if self._last is not None and self._last[0] == (key, task, split) and all(isinstance(k, str) for k in key):
            return self._last[1]
        sounds = [source for one in visuals if (source := as_sound(one)) is not None]
        films = [as_film(one) for one in visuals if as_sound(one) is None]
        if not visuals or len(sounds) > 1 or len(films) > 1:
            raise ValueError(f"expected one film or picture and one sound at most, found {len(films)}, {len(sounds)}")
        film = Film(str(doc_id), films[0], sounds[0] if sounds else None) if films else Film(str(doc_id), sounds[0])
        (seen,) = watch_together([film], self.loaded)
        if seen.error is not None:
            raise ValueError(seen.error)
        self._last = (key, task, split), seen.rows["both"]
        return seen.rows["both"]


def as_film(visual: Any) -> Any:
    """A path as it is; a picture as a PNG in memory."""
    if hasattr(visual, "save"):
        data = io.BytesIO()
        visual.save(data, format="PNG")
        return io.BytesIO(data.getvalue())
    return visual


def as_sound(visual: Any) -> Any:
    """A WAV in memory of `{"array": floats, "sampling_rate": int}`; None for anything else."""
    if not isinstance(visual, dict) or "array" not in visual:
        return None
    samples = np.asarray(visual["array"], dtype=np.float32)
    samples = samples.mean(axis=-1) if samples.ndim > 1 else samples
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(visual["sampling_rate"]))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return io.BytesIO(data.getvalue())


def main() -> None:
    import tempfile
    from types import SimpleNamespace

    from mirasol.media import toybox

    with tempfile.TemporaryDirectory() as folder:
        scene = toybox.make_scene(1, "test", seconds=3)
        film = str(toybox.write_file(scene, f"{folder}/film.mp4", 48, 80, frame_rate=12))
        model = MirasolModel("tiny")
        model.task_dict = {"toybox": {"test": [{"film": film}]}}
        question = scene.questions[0]
        rest = (lambda document: [document["film"]], 0, "toybox", "test")
        (answer,) = model.generate_until([SimpleNamespace(args=(question.text, {"until": ["\n"]}, *rest))])
        ((score, _),) = model.loglikelihood([SimpleNamespace(args=(question.text, answer, *rest))])
    print(f"{question.text} {answer} ({100 * np.exp(score):.0f} % sure; right: {question.answer})")


if __name__ == "__main__":
    from mirasol.cli.errors import run_script

    run_script(main, __doc__)
