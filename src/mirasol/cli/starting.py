"""Beginning from pretrained parts: `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import app, program

MODEL_HELP = "a folder in Hugging Face format, or a name on the Hub"


@app.command()
def init(
    out: Annotated[Path, typer.Argument(help="The folder of the new model.", show_default=False)],
    text: Annotated[str | None, typer.Option(help=f"The language model: {MODEL_HELP}, or a GGUF file.")] = None,
    vit: Annotated[str | None, typer.Option(help=f"The vision or audio Transformer: {MODEL_HELP}.")] = None,
    preset: Annotated[str, typer.Option(help="Sizes of everything else.")] = "small",
    size: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the sizes as name=value, such as cross_every=2.")
    ] = None,
    inflate: Annotated[str, typer.Option(help="How patches become tubes: average or centre.")] = "average",
    hear: Annotated[bool, typer.Option("--hear", help="The ViT reads spectrograms as grey pictures, too.")] = False,
    text_licence: Annotated[str, typer.Option(help="Licence of the language model, if its card does not say.")] = "",
    vit_licence: Annotated[str, typer.Option(help="Licence of the ViT, if its card does not say.")] = "",
    seed: Annotated[int, typer.Option(help="Of everything that is new.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Leave the report out; it is in OUT/init.json, too.")] = False,
) -> None:
    """Start a model from a pretrained language model, a pretrained ViT, or both; a report says what was loaded."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"expected a new or empty folder for the model, found '{out}'; choose another name")
    from transformers.utils import logging

    from mirasol.warm import join

    logging.set_verbosity_error()
    joined = join(
        preset, text=text, vit=vit, seed=seed, inflate=inflate, hear=hear,
        tokenizer=None if text else own_tokenizer(preset), licences={"text": text_licence, "vit": vit_licence},
        **dict(map(read_size, size or [])),
    )  # fmt: skip
    joined.save(out)
    if not quiet:
        typer.echo(joined.report.summary())
    typer.echo(f'the model is in {out}; train it, or try: {program()} ask FILE "question" --model {out}')


def own_tokenizer(preset: str) -> Any:
    """For a new text decoder: the vocabulary of Toybox, as large as the preset's."""
    from mirasol.data.toybox import toybox_tokenizer
    from mirasol.warm.joining import named_sizes

    return toybox_tokenizer(named_sizes(preset).vocabulary)


def read_size(words: str) -> tuple[str, Any]:
    """`name=value`, the value in JSON; a word that is no JSON is a string."""
    import json
    from dataclasses import fields

    from mirasol.model.sizes import Sizes

    name, equals, value = words.partition("=")
    if not equals or name not in {field.name for field in fields(Sizes)}:
        raise ValueError(f"expected --set name=value with the name of a size, found {words!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
