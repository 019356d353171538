"""Beside what a user would take instead, in one run, as ratios: `python benchmarks/bench_peers.py [SECTION ...]`.

questions  8 questions about one watched clip against one, without encoding (goal: at most 1.3 times as long)
decoding   greedy decoding of `small` and `base` with cross-attention against transformers' Llama of equal size, without
files      `mirasol ask` over 20 files against 20 calls
startup    processor seconds of `mirasol ask` on a clip of 8 s above `import torch`

Absolute times mean little, ratios are of one run on one machine. Results: benchmarks/results/peers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mirasol.inference.answer import load
from mirasol.inference.engine import Engine, Looked, Options, Request
from mirasol.media.toybox import make_scene, write_file
from mirasol.model.mirasol import Mirasol
from mirasol.model.sizes import PRESETS

RESULT = Path(__file__).parent / "results" / "peers.json"
ROUNDS = 5


def paired(one: Callable[[], Any], other: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median seconds of both, one after the other in every round, after a first round that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for call, found in zip((one, other), times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    first, second = (statistics.median(found[1:]) for found in times)
    return first, second


def questions() -> dict[str, Any]:
    """Of the shipped `tiny`: answers of one length (8 tokens)."""
    loaded = load("tiny", "cpu")
    engine = Engine(loaded.model, loaded.text)
    engine.text.end = -1  # all answers are of one length
    state = loaded.model.encoder.start(1)
    request = Request(0, loaded.text.prompt("what do you hear?"))
    one, eight = paired(
        lambda: engine.answer(state, [request], Options(8)), lambda: engine.answer(state, [request] * 8, Options(8)), 20
    )
    return {"one_s": one, "eight_s": eight, "eight_over_one": eight / one, "goal": "at most 1.3"}


def decoding(name: str, new: int = 48) -> dict[str, Any]:
    """Tokens one after the other, from a prompt of 16; ours looks at 64 tokens of context, Llama at none."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = PRESETS[name]
    torch.manual_seed(0)
    model = Mirasol(sizes).eval()
    config = LlamaConfig(
        vocab_size=sizes.vocabulary, hidden_size=sizes.text_width, intermediate_size=sizes.text_mlp,
        num_hidden_layers=sizes.text_layers, num_attention_heads=sizes.text_heads,
        num_key_value_heads=sizes.text_kv_heads, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    llama = LlamaForCausalLM(config).eval()
    context, mask = torch.randn(1, 64, sizes.av_width), torch.ones(1, 64, dtype=torch.bool)
    prompt = torch.randint(10, sizes.vocabulary, (1, 16))

    class Nothing:
        end, pad = -1, 0

        def decode(self, ids: list[int]) -> str:
            return ""

    engine = Engine(model, Nothing())  # type: ignore[arg-type]
    looked = Looked(context, mask, model.decoder.look(context, mask))
    request = Request(0, prompt[0].tolist())

    def theirs() -> None:
        with torch.inference_mode():
            llama.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False)

    ours_s, theirs_s = paired(lambda: engine.answer(looked, [request], Options(new)), theirs)
    return {"ours_s": ours_s, "llama_s": theirs_s, "llama_over_ours": theirs_s / ours_s, "goal": "at least 1.0"}


def command(*words: str) -> float:
    """Seconds of a call of the command line."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mirasol", *words], check=True, capture_output=True)
    return time.perf_counter() - start


def files(count: int = 20) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        films = [
            str(write_file(make_scene(seed, "test", seconds=4), Path(folder) / f"{seed}.mp4")) for seed in range(count)
        ]
        together = command("ask", *films, "-q", "what do you hear?", "--json")
        alone = sum(command("ask", film, "what do you hear?", "--json") for film in films)
    return {
        "files": count,
        "together_s": together,
        "alone_s": alone,
        "alone_over_together": alone / together,
        "goal": 3,
    }


def processor_seconds(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def startup() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        film = str(write_file(make_scene(3, "test", seconds=8), Path(folder) / "film.mp4"))
        ask = statistics.median(processor_seconds("-m", "mirasol", "ask", film, "what do you hear?") for _ in range(3))
        torch_alone = statistics.median(processor_seconds("-c", "import torch") for _ in range(3))
    return {"ask_s": ask, "import_torch_s": torch_alone, "above_s": ask - torch_alone, "goal": "at most 1.5"}


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "questions": questions, "decoding small": lambda: decoding("small"), "decoding base": lambda: decoding("base"),
    "files": files, "startup": startup,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all otherwise")
    wanted = parser.parse_args().sections or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)[0]!r}; expected one of {', '.join(SECTIONS)}")
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    for name in wanted:
        found[name] = {
            key: round(value, 4) if isinstance(value, float) else value for key, value in SECTIONS[name]().items()
        }
        print(name, json.dumps(found[name]), flush=True)
        found["machine"] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "cores": os.cpu_count()}
        RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
