"""Giving models away: `push`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from .common import app

SHARED = (".json", ".jsonl", ".safetensors", ".md", ".py", ".txt", ".png")  # what people read, and weights; no pickles
OF_TRAINING = ("optimizer.safetensors", "state.safetensors", "progress.json")  # only the run itself goes on from these


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A folder with a trained model.", show_default=False)],
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="A new repository is for you alone.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and list, send nothing.")] = False,
) -> None:
    """Upload a model to the Hugging Face Hub; lists the files first."""
    if not re.fullmatch(r"[\w][\w.\-]*/[\w][\w.\-]*", repo, flags=re.ASCII):
        raise ValueError(f"expected a repository as OWNER/NAME, found {repo!r}")
    check_model(folder)
    chosen, left = choose(folder)
    for path in chosen:
        typer.echo(f"{path.stat().st_size:>16,}  {path.name}")
    typer.echo(f"{sum(path.stat().st_size for path in chosen):>16,}  bytes in {len(chosen)} files")
    if left:
        typer.echo(f"left out: {', '.join(left)}")
    if not (folder / "README.md").is_file():
        typer.echo("note: no README.md; people will not know what this model is (mirasol.train.card writes one)")
    elif licence_of(folder / "README.md") in ("", "unknown"):
        typer.echo("note: README.md states no licence (license: unknown): nobody may use the model until it does")
    if dry_run:
        typer.echo(f"nothing was sent to {repo} (--dry-run)")
        return
    typer.echo(f"sent to {upload(chosen, repo, private)}")


def licence_of(card: Path) -> str:
    """What the front matter of a card says; empty where it says nothing."""
    found = re.match(r"---\n.*?^license: *([^\n]*)$.*?^---$", card.read_text(encoding="utf-8"), re.S | re.M)
    return found[1].strip().strip("'\"") if found else ""


def check_model(folder: Path) -> None:
    """`ValueError` where the folder holds no model: its weights must be those of its sizes by name and shape. Only the
    head of the file is read."""
    from mirasol.model.mirasol import shapes_of
    from mirasol.model.sizes import Sizes
    from mirasol.model.weights import check_weights

    if not folder.is_dir():
        raise ValueError(f"expected a folder with a model, found no folder '{folder}'")
    sizes = Sizes.load(folder)
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ValueError(f"expected {name} in {folder}, found none: this is no whole model")
    check_weights(folder, shapes_of(sizes), sizes.tied)


def choose(folder: Path) -> tuple[list[Path], list[str]]:
    """The files to send, and the names of those that stay: folders, links, hidden files, pickles, optimizers' state."""
    chosen, left = [], []
    for path in sorted(folder.iterdir()):
        usual = path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        if usual and path.suffix in SHARED and path.name not in OF_TRAINING:
            chosen.append(path)
        else:
            left.append(path.name)
    return chosen, left


def upload(files: list[Path], repo: str, private: bool) -> str:
    """One commit with all files; gives its address. The token is the one of `hf auth login`, or HF_TOKEN."""
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
    except ImportError as error:
        raise ValueError("pushing needs the package huggingface_hub: pip install huggingface_hub") from error
    if get_token() is None:
        raise ValueError("no token for the Hugging Face Hub: run `hf auth login`, or set HF_TOKEN")
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        operations = [CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=str(path)) for path in files]
        commit = api.create_commit(repo, operations, commit_message="Upload a Mirasol model")
    except Exception as error:  # of the Hub, or of one of the several network packages that its client has used
        raise ValueError(f"the Hub refused or was not reached: {' '.join(str(error).split())[:300]}") from error
    return str(commit.commit_url)
