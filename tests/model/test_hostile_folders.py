"""A model's folder from elsewhere: whatever is wrong in it is one line, soon, and in little memory."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import random_model, random_sizes
from mirasol.inference.answer import load
from mirasol.model.limits import RANGES
from mirasol.model.mirasol import Mirasol
from mirasol.model.modeling_mirasol import MirasolForConditionalGeneration
from mirasol.model.processing_mirasol import MirasolProcessor
from mirasol.model.sizes import PRESETS, Sizes
from mirasol.model.text import train_tokenizer

TOKENIZER = train_tokenizer(["what do you hear? a dog and a bell, then a horse"] * 3, 300)
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def folder(tmp_path: Path, seeds: int) -> Path:
    sizes = random_sizes(random.Random(seeds), "local", 2, 7, vocabulary=TOKENIZER.get_vocab_size(), tied=True)
    random_model(sizes).save(tmp_path / "model", TOKENIZER)
    return tmp_path / "model"


def refused(folder: Path, says: str = "", seconds: float = 5) -> str:
    """`load` refuses the folder in one line that says this."""
    started = time.monotonic()
    with pytest.raises(ValueError, match=r".") as error:
        load(folder)
    assert time.monotonic() - started < seconds
    words = str(error.value)
    assert "\n" not in words
    assert len(words) < 1_500
    assert says in words, words
    return words


def with_sizes(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["sizes"] |= changes
    (folder / "config.json").write_text(json.dumps(values))


ODD: list[Any] = [
    10**6,
    10**9,
    2**70,
    -1,
    0,
    1.5,
    1e400,
    float("nan"),
    "72",
    None,
    True,
    [],
    {},
    [[]],
    [10**9] * 2,
    ["a"],
]


def test_each_size_of_a_wrong_kind_or_beyond_all_reason_is_refused(folder: Path) -> None:
    """Every field with every odd value: a `ValueError` or sizes, and nothing else."""
    good = json.loads((folder / "config.json").read_text())["sizes"]
    for name in (field.name for field in fields(Sizes)):
        for value in ODD:
            started = time.monotonic()
            with suppress(ValueError):
                Sizes.from_dict(good | {name: value})
            assert time.monotonic() - started < 1, (name, value)
    for name, value in (("vit_layers", 10**6), ("mels", 10**9), ("combined", 10**12), ("width", "72"), ("tubes", [1])):
        with_sizes(folder, **(good | {name: value}))
        refused(folder, f"expected {name}" if name != "tubes" else "expected a tube")


def test_all_sizes_have_limits_and_all_presets_keep_them() -> None:
    numbers = {field.name for field in fields(Sizes) if str(field.type) not in ("str", "bool")}
    assert set(RANGES) == numbers
    for sizes in PRESETS.values():
        assert Sizes.from_dict(json.loads(json.dumps(sizes.to_dict()))) == sizes
    finest = [[[1, 1, 1], [1, 1, 1], [0, 0, 0]]]
    with pytest.raises(ValueError, match="tokens in a snippet"):
        PRESETS["base"].change(tubes=finest)
    with pytest.raises(ValueError, match="mel filters"):
        Sizes(window=1 << 20, mels=16_384)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", "[" * 100_000, '{"sizes": 3}', '{"sizes": {"frames": ' + "9" * 10_000 + "}}",
     '{"sizes": {}, "sources": ["x"]}', '{"sizes": {"wdith": 3}}', "\ufeff{}", " " * (1 << 21)],
)  # fmt: skip
def test_a_configuration_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    refused(folder)


def test_a_configuration_in_another_encoding_is_refused(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'{"sizes": "\xff\xfe"}')
    refused(folder, "cannot be read as JSON")


def test_weights_that_are_not_the_models_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    good, name = load_file(path), "encoder.vit.blocks.0.mlp.up_proj.weight"
    for change, says in (
        ({name: good[name].T.contiguous()}, f"{name} (expected {tuple(good[name].shape)}, found"),
        ({"extra": torch.ones(3)}, "extra (expected no such weight, found (3,))"),
        ({name: good[name].to(torch.int32)}, f"expected {name}"),
        ({name: good[name].to(torch.float8_e4m3fn)}, "found F8_E4M3"),
        ({name: good[name].double() * 1e300}, "too large for float32"),
        ({name: torch.full_like(good[name], float("nan"))}, f"{good[name].numel()} of {good[name].numel()} in {name}"),
        ({name: good[name].clone().index_fill_(0, torch.tensor([1]), float("inf"))}, f"in {name}"),
    ):
        save_file(good | change, path)
        refused(folder, says)
    save_file({key: value for key, value in good.items() if key != name}, path)
    refused(folder, f"1 differ, first {name}")
    save_file({key: value.to(torch.bfloat16) for key, value in good.items()}, path)
    loaded = load(folder).model
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}


def test_a_head_that_lies_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    head = json.loads(whole[8 : 8 + length])
    name = next(key for key in head if key != "__metadata__")

    def write(values: dict[str, Any] | bytes, rest: bytes = whole[8 + length :], claims: int | None = None) -> None:
        text = values if isinstance(values, bytes) else json.dumps(values).encode()
        path.write_bytes(struct.pack("<Q", len(text) if claims is None else claims) + text + rest)

    lies: list[Callable[[], Any]] = [
        lambda: write(head, whole[8 + length : -4]),
        lambda: write(head, claims=2**62),
        lambda: write(head, claims=1 << 25),
        lambda: write(head | {name: head[name] | {"data_offsets": [0, 2**60]}}),
        lambda: write(head | {name: head[name] | {"shape": [2**40, 2**40]}}),
        lambda: write(head | {name: head[name] | {"shape": [-1]}}),
        lambda: write(head | {name: head[name] | {"dtype": "F32000"}}),
        lambda: write(head | {name: 3}),
        lambda: write(b"[" * 100_000),
        lambda: write(b"\xff" * 9),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole[:5]),
    ]
    for lie in lies:
        lie()
        refused(folder, str(path))


def test_shards_load_and_lead_nowhere_else(folder: Path, tmp_path: Path) -> None:
    """A folder as transformers shards it is the same model; an index that names other files is refused."""
    whole = Mirasol.load(folder).state_dict()
    skin = MirasolForConditionalGeneration.from_pretrained(folder)
    skin.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    TOKENIZER.save(str(tmp_path / "shards" / "tokenizer.json"))
    shards = sorted((tmp_path / "shards").glob("model-*.safetensors"))
    assert len(shards) > 2
    again = load(tmp_path / "shards").model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    index = tmp_path / "shards" / "model.safetensors.index.json"
    good = json.loads(index.read_text())
    name, shard = next(iter(good["weight_map"].items()))
    for other in ("../model/model.safetensors", str(folder / "model.safetensors"), "nowhere.safetensors", 3, "", ".."):
        index.write_text(json.dumps(good | {"weight_map": good["weight_map"] | {name: other}}))
        refused(tmp_path / "shards")
    for text in ("", "[]", '{"weight_map": 3}', '{"weight_map": {}}', "[" * 100_000):
        index.write_text(text)
        refused(tmp_path / "shards")
    index.write_text(json.dumps(good))
    assert load(tmp_path / "shards")
    (tmp_path / "shards" / shard).unlink()
    refused(tmp_path / "shards", shard)


def split(pattern: str) -> Change:
    step = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return lambda v: v.update(pre_tokenizer={"type": "Sequence", "pretokenizers": [step, v["pre_tokenizer"]]})


TOKENIZERS: dict[str, Change] = {
    "an id beyond the vocabulary": lambda v: v["model"]["vocab"].update(zzz=10**6),
    "an id of 2^31": lambda v: v["model"]["vocab"].update(zzz=2**31),
    "an id of 2^70": lambda v: v["model"]["vocab"].update(zzz=2**70),
    "a negative id": lambda v: v["model"]["vocab"].update(zzz=-1),
    "an added word beyond the vocabulary": lambda v: v["added_tokens"].append(
        v["added_tokens"][0] | {"id": 9999, "content": "qqq"}
    ),
    "no regular expression": split("((("),
    "one that never ends": split("(a+)+$"),
    "one that looks back": split(r"(a|aa)+\1c"),
    "one too deep": split("(" * 5000 + ")" * 5000),
    "a table of characters that is none": lambda v: v.update(
        normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    ),
    "a decoder that strips too much": lambda v: v.update(
        decoder={"type": "Strip", "content": "a", "start": 100, "stop": 100}
    ),
    "no list": lambda v: v.update(added_tokens=3),
    "a layout beyond the vocabulary": lambda v: v.update(
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": name, "type_id": 0}} for name in ("before", "after")],
            "pair": [],
            "special_tokens": {
                name: {"id": name, "ids": [10**6], "tokens": ["x"]} for name in ("before", "after", "end", "pad")
            },
        }
    ),
}


@pytest.mark.parametrize("what", TOKENIZERS)
def test_a_hostile_tokenizer_is_refused(folder: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    TOKENIZERS[what](values)
    path.write_text(json.dumps(values))
    refused(folder)
    assert capfd.readouterr().err == ""  # not what the library prints before it panics
    if "beyond" not in what and "2^31" not in what:  # of the vocabulary the processor knows the sizes alone
        with pytest.raises(ValueError, match=r".") as error:
            MirasolProcessor.from_pretrained(folder)
        assert "\n" not in str(error.value)


def test_a_tokenizer_that_panics_at_one_question_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    split("(z+)+$")(values)
    path.write_text(json.dumps(values))
    text = load(folder).text
    assert text.prompt("what do you hear?")
    with pytest.raises(ValueError, match="cannot read 'zzz") as error:
        text.prompt("z" * 40 + " b")
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_padding_and_cutting_of_a_tokenizer_are_not_ours(folder: Path) -> None:
    path = folder / "tokenizer.json"
    expected = load(folder).text.prompt("what do you hear?")
    values = json.loads(path.read_text())
    values["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 5}
    values["padding"] = {
        "strategy": {"Fixed": 10**6}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    path.write_text(json.dumps(values))
    assert load(folder).text.prompt("what do you hear?") == expected


LIMITED = """
import resource, sys
import torch, safetensors.torch, transformers
from mirasol.inference.answer import load
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
try:
    load(sys.argv[1])
except ValueError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"vit_layers": 512}, {"av_width": 65_536, "av_heads": 8}, {"text_mlp": 1 << 20}, {"vocabulary": 1 << 24}],
)  # fmt: skip
def test_sizes_without_their_weights_take_no_memory(folder: Path, changes: dict[str, int]) -> None:
    with_sizes(folder, **changes)
    words = [sys.executable, "-c", LIMITED, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert "not those of its config.json" in done.stderr, done.stderr
