"""The card of a trained model: `README.md` beside its weights, written from the run, its log and what people add.

    write_card(out / "model", run, read_log(out), About(data="...", license="apache-2.0"))

Everything measured comes from the run itself; what only people know (`About`) is printed as they gave it, and as not
stated where they did not.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mirasol.model.inspection import inspect
from mirasol.model.sizes import Sizes

from .config import Run
from .holding import whole_lines

LOSSES = ("loss", "text", "latent", "video", "audio", "effort")
PACKAGES = ("mirasol", "torch", "transformers", "safetensors", "tokenizers", "av", "numpy")
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Part:
    """Something that the model was made from: weights it began with, a tokenizer, a data set."""

    name: str
    source: str
    license: str = ""


@dataclass(frozen=True)
class About:
    """What a log cannot know. `data`: what the model was trained on, in Markdown. `license`: an identifier as Hugging
    Face writes it (`apache-2.0`). `hardware`: what it ran on."""

    data: str = ""
    license: str = ""
    hardware: str = ""
    limits: str = ""
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if self.license and not re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", self.license):
            raise ValueError(f"expected a licence identifier such as apache-2.0, found {self.license!r}")


def read_log(out: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's `log.jsonl`, without those that a kill tore; `ValueError` where there are none."""
    path = Path(out) / "log.jsonl"
    if not path.is_file():
        raise ValueError(f"expected log.jsonl in the run folder {out}, found none; has it trained?")
    return whole_lines(path)


def last_with(log: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The latest line that has this field; empty where none has."""
    return next((line for line in reversed(log) if name in line), {})


def write_card(folder: str | Path, run: Run, log: list[dict[str, Any]], about: About = About()) -> Path:
    """Writes `folder/README.md` and gives its path."""
    path = Path(folder) / "README.md"
    path.write_text(card(run, log, about), encoding="utf-8")
    return path


def card(run: Run, log: list[dict[str, Any]], about: About) -> str:
    """The card as Markdown, with the front matter that the Hub reads."""
    if not last_with(log, "loss"):
        raise ValueError("expected a log with at least one line of losses, found none; train first")
    front = [
        "---", f"license: {about.license or 'unknown'}", "library_name: mirasol", "pipeline_tag: video-text-to-text",
        "tags:", "- video", "- audio", "- question-answering", "---",
    ]  # fmt: skip
    parts = [
        "\n".join(front),
        f"# Mirasol `{one_line(run.name)}`",
        model_text(run.sizes),
        f"## Data\n\n{about.data.strip() or 'What it was trained on is not stated.'}",
        f"## Training\n\n{training_text(run, log, about)}",
        f"## Results\n\n{results_text(log)}",
        f"## Use\n\n{use_text()}",
        f"## Limits\n\n{about.limits.strip() or 'Nobody has stated what it cannot do.'}",
        f"## Where its parts come from\n\n{parts_text(about.parts)}",
        f"## Licence\n\n{about.license or NOT_STATED}",
    ]
    return "\n\n".join(parts) + "\n"


def one_line(text: str) -> str:
    """For a heading or the cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def model_text(sizes: Sizes) -> str:
    """What it is, in numbers."""
    numbers = inspect(sizes)
    per_snippet = numbers["tokens_per_snippet"]
    memory = f", a memory of {sizes.memory} tokens" if sizes.memory else ""
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in numbers["components"].items() if count)
    lines = (
        f"{numbers['total']:,} parameters, {100 * numbers['audio_video_share']:.0f} % of them on the audio-video side.",
        f"Frames of {sizes.width}x{sizes.height} pixels at {sizes.frame_rate:g} per second, sound of "
        f"{sizes.sample_rate} Hz in {sizes.mels} mel bins, snippets of {sizes.snippet_seconds:g} s:",
        f"{per_snippet['vit']} tokens each, combined to {sizes.combined} by the `{sizes.combiner}` combiner{memory}.",
        f"Text looks back on {sizes.context_snippets} snippets; {sizes.vocabulary:,} ids, "
        f"{sizes.text_positions} positions.",
    )
    return "\n".join(lines) + f"\n\n| component | parameters |\n|---|---:|\n{rows}"


def training_text(run: Run, log: list[dict[str, Any]], about: About) -> str:
    """Steps, hours and losses as the log has them."""
    last = last_with(log, "loss")
    done, planned, hours = last["step"], run.optimisation.steps, last_with(log, "hours").get("hours")
    lines = [
        f"- steps: {done:,}" + ("" if done == planned else f" of {planned:,} planned"),
        f"- hours: {NOT_STATED if hours is None else f'{hours:.2f}'}",
        f"- hardware: {about.hardware or NOT_STATED}",
        f"- rates: Muon {run.optimisation.rate:g}, AdamW {run.optimisation.other_rate:g}; seed {run.seed}",
    ]
    if run.start_from:
        lines.append(f"- began with the weights of `{Path(*Path(run.start_from).parts[-2:])}`")
    if run.frozen:
        lines.append(f"- did not learn: {', '.join(f'`{name}`' for name in in_short(run.frozen))}")
    found = ", ".join(f"{name} {version_of(name)}" for name in PACKAGES if version_of(name))
    lines.append(f"- versions: Python {platform.python_version()}, {found}")
    losses = "\n".join(f"| {name} | {last[name]:.4f} |" for name in LOSSES if name in last)
    return "\n".join(lines) + f"\n\n| at step {done:,} | mean since the line before |\n|---|---:|\n{losses}"


def in_short(names: tuple[str, ...]) -> list[str]:
    """Names of parameters, or their beginnings: the number of a block as `*`, and none that begins with another."""
    short = list(dict.fromkeys(re.sub(r"\.\d+(?=\.)", ".*", name) for name in names))
    return [name for name in short if not any(name.startswith(f"{other}.") for other in short)]


def version_of(package: str) -> str:
    """The installed version; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def results_text(log: list[dict[str, Any]]) -> str:
    """The last scores taken during training."""
    line = next((line for line in reversed(log) if any(name.startswith("score/") for name in line)), None)
    if line is None:
        return "None were taken during training."
    scores = {name.removeprefix("score/"): value for name, value in line.items() if name.startswith("score/")}
    rows = "\n".join(
        f"| {one_line(name)} | {value if isinstance(value, int) else f'{value:.1f}'} |"
        for name, value in scores.items()
    )
    return f"Taken during training, at step {line['step']:,}:\n\n| score | value |\n|---|---:|\n{rows}"


def parts_text(parts: tuple[Part, ...]) -> str:
    """A table of what went in."""
    if not parts:
        return "Not stated."
    cells = ([part.name, part.source, part.license or NOT_STATED] for part in parts)
    rows = "\n".join("| " + " | ".join(map(one_line, row)) + " |" for row in cells)
    return f"| part | source | licence |\n|---|---|---|\n{rows}"


def use_text() -> str:
    return """```bash
mirasol ask film.mp4 "what do you hear?" --model FOLDER
```

```python
import mirasol

print(mirasol.ask("film.mp4", "what do you hear?", model="FOLDER").answer)
```

FOLDER is where these files lie. With transformers: `MirasolForConditionalGeneration.from_pretrained(FOLDER)` of
`mirasol.model.modeling_mirasol`."""
