"""Where a pretrained model lies: a folder in Hugging Face format, a GGUF file, or a name on the Hugging Face Hub.

Weights are read from safetensors or GGUF. Files that could run code when read (`pytorch_model.bin`) are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "README.md")  # of a repository on the Hub
UNKNOWN = "not stated"


@dataclass(frozen=True)
class Origin:
    """A model on this disk. `name`: as the user gave it; `gguf`: the file inside `folder`, if it is one."""

    name: str
    folder: Path
    licence: str
    gguf: str = ""

    @property
    def title(self) -> str:
        """The name for config.json and the card: of a file or folder its own name, without where it lay."""
        return Path(self.name).name if Path(self.name).exists() else self.name

    def config(self) -> Any:
        """The configuration as transformers reads it, with the defaults of its family; never remote code."""
        from transformers import AutoConfig

        if not self.gguf:
            path = self.folder / "config.json"
            kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
            if kind is None:
                raise ValueError(f"expected 'model_type' in {path}: this is no model in Hugging Face format")
            if kind == "mirasol":
                raise ValueError(f"{self.name} is a Mirasol checkpoint: go on with it by `start_from` in a recipe")
        try:
            return AutoConfig.from_pretrained(self.folder, **({"gguf_file": self.gguf} if self.gguf else {}))
        except Exception as error:  # a damaged or contradictory one raises whatever its family's class raises
            why = " ".join(str(error).split())[:200]
            raise ValueError(f"the configuration of {self.name} cannot be read: {why}") from error

    def tensors(self) -> dict[str, Tensor]:
        """All weights by their names in transformers, in the dtype of the file (GGUF: float32)."""
        if self.gguf:
            from .gguf_file import read_gguf

            return read_gguf(self.folder / self.gguf)
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        files = sorted(self.folder.glob("*.safetensors"))
        index = self.folder / "model.safetensors.index.json"
        if index.is_file():
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            files = [self.folder / Path(name).name for name in sorted(named)]
            if missing := [file.name for file in files if not file.is_file()]:
                raise ValueError(f"{self.name} is incomplete: {', '.join(missing)} of its index is missing")
        elif (self.folder / "model.safetensors").is_file():
            files = [self.folder / "model.safetensors"]
        if not files:
            raise ValueError(
                f"expected weights as .safetensors or .gguf in {self.folder}, found none (.bin is not read)"
            )
        weights: dict[str, Tensor] = {}
        for file in files:
            try:
                weights |= load_file(file)
            except SafetensorError as error:
                raise ValueError(f"{file} cannot be read ({error}); is the file whole?") from error
        return weights


@dataclass(frozen=True)
class Part:
    """A pretrained part made ready: `changes` of `Sizes`, `weights` by our names, float32.

    `left`: names of the source that find no place here; `notes`: what a user should know, one line each; `source`: the
    entry of config.json; `zeros`: new parameters that start at zero, as a whole or (name, row) one row of them.
    """

    changes: dict[str, Any]
    weights: dict[str, Tensor]
    left: tuple[str, ...]
    notes: tuple[str, ...]
    source: dict[str, Any]
    zeros: tuple[tuple[str, int | None], ...] = ()
    tokenizer: Tokenizer | None = None


def find(model: str | Path, licence: str = "") -> Origin:
    """A folder, a GGUF file, or a name on the Hub (fetched); `licence` instead of what the model's card says."""
    path = Path(model)
    if path.suffix == ".gguf" and path.is_file():
        return Origin(str(model), path.parent, licence or gguf_licence(path), path.name)
    if not path.is_dir():
        path = fetch(str(model))
    if not (path / "config.json").is_file():
        found = sorted(path.glob("*.gguf"))
        if len(found) == 1:
            return Origin(str(model), path, licence or gguf_licence(found[0]), found[0].name)
        raise ValueError(f"expected config.json or one .gguf file in {path}, found neither: is this a model's folder?")
    return Origin(str(model), path, licence or card_licence(path))


def fetch(name: str) -> Path:
    """The folder of a model of the Hugging Face Hub, in its cache."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith((".", "/")):
        raise ValueError(
            f"no folder and no GGUF file {name!r}; expected one of them, or a Hub name such as owner/model"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ValueError("fetching from the Hub needs huggingface_hub: pip install huggingface_hub") from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except Exception as error:  # network, missing repository, gated repository: each raises a class of its own
        why = " ".join(str(error).split())[:160]
        raise ValueError(
            f"{name} cannot be fetched from the Hugging Face Hub ({why}); fetch it elsewhere and give its folder"
        ) from error


def card_licence(folder: Path) -> str:
    """What the front matter of the model card says, else "not stated"."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license(?:_name)?:\s*['\"]?([\w .+-]+)", front.group(1), flags=re.MULTILINE) if front else None
    return found.group(1).strip() if found else UNKNOWN


def gguf_licence(path: Path) -> str:
    from .gguf_file import metadata

    return str(metadata(path).get("general.license") or UNKNOWN)
