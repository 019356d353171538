"""Rewrites the ttm_*.npz files of this folder by running the public JAX module of Token Turing Machines.

    python make_ttm.py --scenic PATH [--out FOLDER]

PATH is a checkout of google-research/scenic; README.md names the commit and the versions. The tests read only the
files: neither JAX nor the checkout is needed to run them.
"""

import argparse
import importlib
import re
import sys
import types
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np

BATCH, STEPS, MEMORY, INPUT, OUTPUT = 2, 4, 5, 7, 3
# Imported by the public files, but not used by the layers run here.
UNUSED = (
    "tensorflow",
    "tensorflow.io",
    "scenic.model_lib.base_models",
    "scenic.model_lib.base_models.base_model",
    "scenic.model_lib.base_models.classification_model",
    "scenic.model_lib.base_models.multilabel_classification_model",
    "scenic.projects.vivit",
    "scenic.projects.vivit.model",
    "scenic.projects.vivit.model_utils",
)


@dataclass(frozen=True)
class Variant:
    """One file: the class of the public module to run, its options, and the width c of a token."""

    kind: str = "TokenTuringMachineUnit"
    width: int = 12
    options: dict[str, Any] = field(default_factory=dict)


def _unit(width: int = 12, **options: Any) -> Variant:
    sizes: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "mlp_dim": 20}
    return Variant(width=width, options=sizes | options)


VARIANTS = {
    "tl": _unit(),
    "tl_positions": _unit(num_heads=3, use_positional_embedding=True),
    # This summariser always has 8 heads, so the width is a multiple of 8.
    "mha": _unit(width=32, num_heads=4, memory_mode="TL-MHA"),
    "mha_positions": _unit(width=32, num_heads=4, memory_mode="TL-MHA", use_positional_embedding=True),
    "adderase": _unit(memory_mode="TL-AddErase"),
    "adderase_positions": _unit(memory_mode="TL-AddErase", use_positional_embedding=True),
    "tl_mlp": _unit(processing_unit="mlp"),
    "tl_mixer": _unit(processing_unit="mixer"),
    "simple": Variant("TokenTuringMachineSimpleUnit", 12, {"num_layers": 2, "num_heads": 2, "mlp_dim": 20}),
    # The whole encoder starts from zeros; its heads (12) and hidden width (512) cannot be chosen.
    "encoder": Variant("TokenTuringMachineEncoder", 24, {"num_layers": 1}),
}


class _Unused(types.ModuleType):
    """Stands in for a module that is imported but not used: any public name is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def load(scenic: Path) -> types.ModuleType:
    """Imports the public module from a checkout, with stand-ins for what its layers do not use."""
    if not (scenic / "scenic/projects/token_turing/model.py").is_file():
        raise ValueError(f"expected a checkout of google-research/scenic, found none at {scenic}; clone it there")
    for name in UNUSED:
        sys.modules[name] = _Unused(name)
        parent, _, child = name.rpartition(".")
        if parent in UNUSED:  # else `from parent import child` would find an empty class
            setattr(sys.modules[parent], child, sys.modules[name])
    sys.path.insert(0, str(scenic))
    return importlib.import_module("scenic.projects.token_turing.model")


def draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draws one parameter so that none is near its usual first value and the softmaxes are far from even."""
    noise = rng.standard_normal(shape)
    if name.endswith("/scale"):
        value = 1.0 + 0.3 * noise
    elif name.endswith("/kernel"):
        # The last kernel of an attention takes (heads, head width); every other one takes its first axis.
        fan_in = np.prod(shape[:-1]) if "/out/" in name else shape[0]
        # Those that make softmax logits are larger; the rest keep tokens near unit size, where float32 is precise.
        gain = 1.5 if re.search("query|key|token_masking", name) else 0.8
        value = gain * noise / np.sqrt(fan_in)
    else:  # biases, position tables, learned queries
        value = 0.5 * noise
    # Each step multiplies memory by 8 factors of these MLPs' making: larger ones would make it grow without bound.
    if re.search("TokenAddEraseWrite_0/MlpBlock_[1-4]/", name):
        value *= 0.3
    return value.astype(np.float32)


def run(module: types.ModuleType, name: str, variant: Variant) -> dict[str, np.ndarray]:
    """Runs one variant for all steps; returns its parameters, inputs (B, S, N, C), outputs and memories."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    inputs = rng.standard_normal((BATCH, STEPS, INPUT, variant.width)).astype(np.float32)
    memory = rng.standard_normal((BATCH, MEMORY, variant.width)).astype(np.float32)
    layer = getattr(module, variant.kind)(process_size=OUTPUT, memory_size=MEMORY, **variant.options)
    whole = variant.kind == "TokenTuringMachineEncoder"
    first = (inputs,) if whole else (memory, inputs[:, 0])
    shapes = jax.eval_shape(layer.init, jax.random.key(0), *first)["params"]
    flat = flax.traverse_util.flatten_dict(shapes, sep="/")
    params = {key: draw(rng, key, flat[key].shape) for key in sorted(flat)}
    tree = {"params": flax.traverse_util.unflatten_dict(params, sep="/")}

    arrays = {f"params/{key}": value for key, value in params.items()} | {"inputs": inputs}
    if whole:
        arrays["outputs"] = np.asarray(layer.apply(tree, inputs))
        return arrays
    outputs, memories, state = [], [], memory
    for step in range(STEPS):
        state, output = layer.apply(tree, state, inputs[:, step])
        outputs.append(np.asarray(output))
        memories.append(np.asarray(state))
    return arrays | {"memory": memory, "outputs": np.stack(outputs, 1), "memories": np.stack(memories, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenic", type=Path, required=True, help="a checkout of google-research/scenic")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    asked = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_default_matmul_precision", "highest")
    module = load(asked.scenic)
    for name, variant in VARIANTS.items():
        arrays = run(module, name, variant)
        wrong = [key for key, value in arrays.items() if value.dtype != np.float32 or not np.isfinite(value).all()]
        if wrong:
            raise ValueError(f"expected finite float32 arrays in {name}, found others in {wrong}; check the versions")
        path = asked.out / f"ttm_{name}.npz"
        np.savez(path, **arrays)
        print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
