"""`mirasol push`: what is listed, what is refused; uploading to a stand-in with the client's own signatures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from helpers import REMEMBERING_SIZES
from mirasol import cli
from mirasol.data.toybox import toybox_tokenizer
from mirasol.model.mirasol import Mirasol
from mirasol.train.checkpoint import save_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mirasol", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of training, and things that nobody wants to share."""
    folder = tmp_path / "step"
    save_model(Mirasol(REMEMBERING_SIZES), toybox_tokenizer(REMEMBERING_SIZES.vocabulary), folder)
    for name in ("optimizer.safetensors", "progress.json", ".secret.json", "weights.pt"):
        (folder / name).write_bytes(b"{}")
    (folder / "README.md").write_text("about")
    (folder / "link.json").symlink_to(tmp_path)
    (folder / "logs").mkdir()
    return folder


SENT = ["README.md", "config.json", "model.safetensors", "tokenizer.json"]


def test_dry_run_lists_and_sends_nothing(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", None)  # a call would fail
    code, out, err = run("push", folder, "me/model", "--dry-run")
    assert (code, err) == (0, "")
    listed = [line.split() for line in out.splitlines()[: len(SENT)]]
    assert [name for _, name in listed] == SENT
    assert [int(size.replace(",", "")) for size, _ in listed] == [(folder / name).stat().st_size for name in SENT]
    assert "left out: .secret.json, link.json, logs, optimizer.safetensors, progress.json, weights.pt" in out
    assert "nothing was sent" in out
    (folder / "README.md").unlink()
    assert "no README.md" in run("push", folder, "me/model", "--dry-run")[1]


def test_upload_sends_exactly_what_was_listed(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = create_autospec(huggingface_hub.HfApi, instance=True)
    api.create_commit.return_value = SimpleNamespace(commit_url="https://hub.example/commit/1")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    code, _, err = run("push", folder, "me/model")
    assert (code, "hf auth login" in err) == (2, True)
    assert not api.method_calls
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "a token")
    code, out, err = run("push", folder, "me/model", "--private")
    assert (code, err) == (0, "")
    assert "https://hub.example/commit/1" in out
    api.create_repo.assert_called_once_with("me/model", private=True, exist_ok=True)
    repo, operations = api.create_commit.call_args.args
    assert repo == "me/model"
    assert [operation.path_in_repo for operation in operations] == SENT
    assert all(Path(operation.path_or_fileobj) == folder / operation.path_in_repo for operation in operations)
    api.create_commit.side_effect = ConnectionError("no network\nat all")
    code, _, err = run("push", folder, "me/model")
    assert (code, err.count("\n")) == (2, 1)
    assert "no network at all" in err


def test_what_is_no_model_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    def refused(says: str, *words: object) -> None:
        code, out, err = run("push", *words, "--dry-run")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err

    refused("OWNER/NAME", folder, "model")
    refused("OWNER/NAME", folder, "me/../you")
    refused("no folder", tmp_path / "nowhere", "me/model")
    refused("config.json", tmp_path, "me/model")
    weights = load_file(folder / "model.safetensors")
    name = "encoder.mask_tokens"
    save_file(weights | {name: weights[name][1:].clone()}, folder / "model.safetensors")
    refused(name, folder, "me/model")
    save_file({key: value for key, value in weights.items() if key != name}, folder / "model.safetensors")
    refused(name, folder, "me/model")
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")
    refused("cannot be read", folder, "me/model")
    save_file(weights, folder / "model.safetensors")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"sizes": values["sizes"] | {"vit_layers": 2}}))
    refused("not those of its config.json", folder, "me/model")
    (folder / "tokenizer.json").unlink()
    refused("tokenizer.json", folder, "me/model")
