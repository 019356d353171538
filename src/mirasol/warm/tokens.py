"""A pretrained tokenizer with the layout of prompts that its chat template gives, see `mirasol.model.text.Layout`.

The template is rendered once, around a mark in the place of the question; what stands before and after the mark becomes
ids. A tokenizer without a template (a base model) gets "Question: ... / Answer: ...".
"""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer

from mirasol.model.text import Layout

from .origin import Origin

MARK = "QUESTION"  # stands for the question while the template is rendered
REPLY = "REPLY"  # ... and for the answer
SAMPLE = "What do you hear?"
PLAIN = ("Question: ", "\nAnswer:\n")


def load_tokenizer(origin: Origin, vocabulary: int) -> tuple[Tokenizer, tuple[str, ...]]:
    """The tokenizer with its layout inside, and notes. `vocabulary`: ids that the model has embeddings for."""
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(origin.folder, **({"gguf_file": origin.gguf} if origin.gguf else {}))
        tokenizer = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    except (ImportError, OSError, KeyError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:160]
        raise ValueError(f"the tokenizer of {origin.name} cannot be read as a tokenizer.json ({why})") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    layout, notes = find_layout(loaded, tokenizer)
    highest = max(*layout.before, *layout.after, layout.end, layout.pad)
    if highest >= vocabulary:
        raise ValueError(f"the tokenizer of {origin.name} uses id {highest}, its model has embeddings for {vocabulary}")
    layout.write(tokenizer)
    return tokenizer, notes


def find_layout(loaded: Any, tokenizer: Tokenizer) -> tuple[Layout, tuple[str, ...]]:
    """The layout of a tokenizer of transformers (`loaded`) over its inner one."""

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    notes, end = [], loaded.eos_token_id
    rendered = render(loaded)
    if rendered is None:
        start = [] if loaded.bos_token_id is None else [loaded.bos_token_id]
        before, after = [*start, *ids(PLAIN[0])], ids(PLAIN[1])
        notes.append(f'no chat template: prompts read "{PLAIN[0]}...{PLAIN[1]}"'.replace("\n", " / "))
    else:
        head, tail, closing = rendered
        whole = ids(head + SAMPLE + tail)
        choices = [(ids(text), ids(tail)) for text in (head, head.rstrip(" "))]
        fitting = [pair for pair in choices if [*pair[0], *ids(SAMPLE), *pair[1]] == whole]
        before, after = (fitting or choices)[0]
        if not fitting:
            notes.append("prompts differ from the chat template by how the spaces at the question's ends are cut")
        special = {at for at, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        end = next((number for number in ids(closing) if number in special), end)
        notes.append("prompts follow the model's chat template")
    if end is None:
        raise ValueError(
            "expected a tokenizer with an end-of-text token, found none: say which in tokenizer_config.json"
        )
    if not before:  # a tokenizer that starts a text with nothing
        before = [end]
    used = {*before, *after, end}
    others = [loaded.pad_token_id, loaded.unk_token_id, loaded.eos_token_id, loaded.bos_token_id]
    others += sorted(tokenizer.get_added_tokens_decoder())
    pad = next((number for number in others if number is not None and number not in used), None)
    if pad is None:
        raise ValueError("expected a special token that no prompt holds, to pad with, found none in the tokenizer")
    return Layout(tuple(before), tuple(after), end, pad), tuple(notes)


def render(loaded: Any) -> tuple[str, str, str] | None:
    """What the chat template puts before a question, after it, and after the answer; None without a template.

    Templates of models that think aloud are asked not to.
    """
    if not loaded.chat_template:
        return None
    asked = [{"role": "user", "content": MARK}]

    def text(messages: list[dict[str, str]], **options: Any) -> str:
        return loaded.apply_chat_template(messages, tokenize=False, enable_thinking=False, **options)

    try:
        prompt = text(asked, add_generation_prompt=True)
        whole = text([*asked, {"role": "assistant", "content": REPLY}])
    except Exception as error:  # whatever a template raises
        raise ValueError(f"the chat template of this tokenizer cannot be rendered ({error})") from error
    if prompt.count(MARK) != 1 or whole.count(REPLY) != 1:
        raise ValueError("expected a chat template that holds the question once, found another: remove it, or mend it")
    head, tail = prompt.split(MARK)
    return head, tail, whole.split(REPLY)[1]
