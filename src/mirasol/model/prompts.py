"""Prompts out of batches made for training, so that a generation never begins behind the wanted answer.

A batch for training holds prompt and answer in one row, and `labels` that are IGNORE on the prompt. To generate from it
the answer is cut off again, and what is left is padded on the left.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from .mirasol import IGNORE
from .shapes import check_shape


def take_prompts(given: dict[str, Any], padding: int, ends: int | list[int] | None) -> None:
    """Leaves of the arguments of `generate` only prompts in `decoder_input_ids`, with their mask; `labels`,
    `prompt_ids` and `prompt_attention_mask` are taken away."""
    labels = given.pop("labels", None)
    prompts, mask = given.pop("prompt_ids", None), given.pop("prompt_attention_mask", None)
    ids = given.get("decoder_input_ids")
    if prompts is not None:
        given["decoder_input_ids"], given["decoder_attention_mask"] = prompts, mask
    elif labels is not None and ids is None:
        raise ValueError(
            "expected prompts as decoder_input_ids or prompt_ids, found labels alone, which hold no question; "
            "Seq2SeqTrainer drops decoder_input_ids that have the shape of labels: give prompt_ids and "
            "prompt_attention_mask too, as MirasolProcessor does"
        )
    elif labels is not None and ids is not None and labels.shape == ids.shape:
        real = given.get("decoder_attention_mask")
        real = (ids != padding) | (labels != IGNORE) if real is None else real.bool()
        check_shape("decoder_attention_mask", real, "B T", B=ids.shape[0], T=ids.shape[1])
        given["decoder_input_ids"], given["decoder_attention_mask"] = without_answers(ids, real, labels, padding)
    elif ids is not None and answered(ids, ends):
        warnings.warn(
            "a prompt ends with the end of an answer: the answer is in it, and what is generated comes after that; "
            "give the prompt alone, or its labels too",
            stacklevel=4,
        )
    ids = given.get("decoder_input_ids")
    if ids is not None and given.get("decoder_attention_mask") is None:
        given["decoder_attention_mask"] = (ids != padding).long()


def answered(ids: Tensor, ends: int | list[int] | None) -> bool:
    """Whether a row of ids (B, T) ends with an id that ends an answer."""
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    return ids.ndim == 2 and ids.shape[1] > 0 and bool(torch.isin(ids[:, -1], ids.new_tensor(ends)).any())


def without_answers(ids: Tensor, real: Tensor, labels: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    """ids, mask and labels (B, T) -> the prompts and their mask (B, longest prompt), padded on the left."""
    length = ids.shape[1]
    wanted = labels != IGNORE
    behind = length - real.int().flip(1).argmax(dim=1)  # of a row without an answer: where its padding begins
    first = torch.where(wanted.any(dim=1), wanted.int().argmax(dim=1), behind)
    places = torch.arange(length, device=ids.device) - (length - first)[:, None]
    real = real.gather(1, places.clamp(min=0)) & (places >= 0)
    prompts = torch.where(real, ids.gather(1, places.clamp(min=0)), padding)
    used = real.any(dim=0)
    start = int(used.int().argmax()) if bool(used.any()) else 0
    return prompts[:, start:], real[:, start:].long()
