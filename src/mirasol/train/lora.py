"""Training a part of a model: low-rank adapters (LoRA, through PEFT) and frozen parameters, both chosen by component.

    add_lora(model, LoraHow(rank=16, targets=("decoder", "encoder.combiner")))   in place, before optimizers are made
    save_adapter(model, folder)                                                  PEFT's own two files
    merge_lora(model)                                                            a plain model again

A component is the start of a module's name without the numbers of its layers: `encoder.vit`, `encoder.combiner`,
`encoder.latent_model`, `decoder`, `decoder.cross_attention`, `decoder.mlp`, ... What was saved, PEFT loads into the
Hugging Face skin: `peft.PeftModel.from_pretrained(MirasolForConditionalGeneration.from_pretrained(base), folder)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

ADAPTER = "default"  # PEFT's name for the only adapter there is
IN_PEFT = "base_model.model."  # what PEFT puts before the names of an adapted model's weights


@dataclass(frozen=True)
class LoraHow:
    """`rank` of the two factors; their product is scaled by `alpha / rank`. `targets`: the components whose linear
    layers are adapted. `dropout` of what goes into the factors, in training."""

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("decoder",)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 <= self.dropout < 1 or not self.targets:
            raise ValueError(f"expected a rank of at least 1, a dropout in [0, 1) and some targets, found {self}")


def import_peft() -> ModuleType:
    """PEFT, or one line that says how to get it."""
    try:
        import peft
    except ImportError as error:
        raise ValueError("LoRA needs the package peft: pip install 'mirasol[train]'") from error
    return peft


def plain(name: str) -> str:
    """A module's name without the layers' numbers: `decoder.blocks.3.mlp.up_proj` is `decoder.mlp.up_proj`."""
    return ".".join(part for part in name.split(".") if part != "blocks" and not part.isdigit())


def within(name: str, component: str) -> bool:
    """Whether a module or parameter belongs to a component."""
    return f"{plain(name)}.".startswith(f"{component}.")


def linear_layers(model: nn.Module) -> list[str]:
    """Names of all linear layers that an adapter fits. A tied output layer is no layer of its own."""
    tied = bool(getattr(getattr(model, "sizes", None), "tied", False))
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [name for name in names if not (tied and name == "lm_head")]


def components(names: Sequence[str]) -> list[str]:
    """The components that these names belong to, as an error lists them: two words deep at most."""
    words = [plain(name).split(".") for name in names]
    return sorted({".".join(parts[:depth]) for parts in words for depth in (1, 2) if depth < len(parts) or depth == 1})


def chosen_layers(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """The linear layers of these components; `ValueError` for a component without any."""
    names = linear_layers(model)
    for target in targets:
        if not any(within(name, target) for name in names):
            raise ValueError(f"no component {target!r} to adapt; expected some of {', '.join(components(names))}")
    return [name for name in names if any(within(name, target) for target in targets)]


def add_lora(model: nn.Module, how: LoraHow) -> list[str]:
    """Puts adapters into the layers of `how.targets`, in place, and freezes everything else. Gives the names of the
    parameters that learn."""
    peft = import_peft()
    if hasattr(model, "peft_config"):
        raise ValueError("expected a model without adapters, found one that has them: merge_lora(model) first")
    names = chosen_layers(model, how.targets)
    config = peft.LoraConfig(r=how.rank, lora_alpha=how.alpha, lora_dropout=how.dropout, target_modules=names)
    peft.inject_adapter_in_model(config, model, ADAPTER)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def config_of(model: nn.Module) -> Any:
    """PEFT's configuration of the adapters of a model; `ValueError` where there are none."""
    found = getattr(model, "peft_config", None)
    if not found:
        raise ValueError("expected a model with adapters, found none in it: add_lora(model, how) first")
    return found[ADAPTER]


def save_adapter(model: nn.Module, folder: str | Path) -> Path:
    """Writes `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads them."""
    from safetensors.torch import save_file

    config, folder = config_of(model), Path(folder)
    weights = import_peft().get_peft_model_state_dict(model, adapter_name=ADAPTER, save_embedding_layers=False)
    folder.mkdir(parents=True, exist_ok=True)
    named = {IN_PEFT + name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    training, config.inference_mode = config.inference_mode, True
    config.save_pretrained(str(folder))
    config.inference_mode = training
    return folder


def merge_lora(model: nn.Module) -> nn.Module:
    """Adds the adapters to the weights they adapt and takes them away, in place: names and classes are those of a
    model that never had any, and everything may learn again."""
    import_peft()
    from peft.tuners.tuners_utils import BaseTunerLayer

    config_of(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            home, _, last = name.rpartition(".")
            setattr(model.get_submodule(home), last, module.get_base_layer())
    del model.peft_config
    return model.requires_grad_(True)


def freeze(model: nn.Module, starts: Sequence[str]) -> list[str]:
    """Stops the parameters whose names start so (a component, or the start of a name as it stands) from learning; gives
    their names. `ValueError` for a start that fits nothing."""
    parameters = dict(model.named_parameters())
    frozen = []
    for start in starts:
        found = [name for name in parameters if name.startswith(start) or within(name, start)] if start else []
        if not found:
            known = ", ".join(components(list(parameters)))
            raise ValueError(f"no parameter to freeze starts with {start!r}; expected some of {known}")
        frozen += found
    for name in frozen:
        parameters[name].requires_grad_(False)
    return sorted(set(frozen))
