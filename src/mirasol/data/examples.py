"""Examples and batches: a clip with its prompts and targets -> tensors for `Mirasol.forward`.

A clip is encoded once and serves all its questions: `rows` says which clip each row of text belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mirasol.media.clip import Clip
from mirasol.model.inputs import Fused, Inputs, Tokenized, join_inputs, silence_before, snippet_inputs
from mirasol.model.mirasol import IGNORE
from mirasol.model.sizes import Sizes
from mirasol.model.snippets import cut, snippet_count
from mirasol.model.text import Text, pad


@dataclass(frozen=True)
class Example:
    """One clip as inputs with a batch axis of 1, and its (question or None for a caption, answer) pairs. `seed` is that
    of everything random about it in training; `name` is where it came from, for errors; `notes` are what the reader
    of its media noted."""

    inputs: Inputs
    pairs: tuple[tuple[str | None, str], ...]
    seed: int = 0
    name: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """inputs of B clips; ids, labels, text_mask (B', T) of B' texts; rows (B') the clip of each text.

    `first`: the clips begin here. Otherwise they go on where those of the batch before ended (training through time).
    `seeds` (B): one for each clip, so that chance (masking) falls the same way however clips are put into batches.
    `names`: where each clip came from, for errors; empty where nobody said.
    """

    inputs: Inputs | Tokenized | Fused
    ids: Tensor
    labels: Tensor
    text_mask: Tensor
    rows: Tensor
    first: bool = True
    seeds: Tensor | None = None
    names: tuple[str, ...] = ()


def clip_inputs(clip: Clip, sizes: Sizes, *, picture: bool = True, sound: bool = True) -> Inputs:
    """A decoded clip as the model's inputs, (1, S, ...); a modality that is absent or not wanted is masked."""
    pieces = cut(
        sizes, origin=clip.start, first=0, count=snippet_count(sizes, clip.duration),
        frame_times=clip.frame_times if picture else None, frame_instants=clip.frame_instants, picture_end=clip.end,
        waveform=clip.waveform if sound else None, waveform_start=clip.waveform_start,
    )  # fmt: skip
    return snippet_inputs(clip.frames, pieces, silence_before(sizes), sizes)


def collate(examples: Sequence[Example], text: Text, *, first: bool = True, spare: str = "") -> Batch:
    """Examples as one batch; see `collate_pairs`."""
    inputs = join_inputs([example.inputs for example in examples])
    batch = collate_pairs(inputs, [example.pairs for example in examples], text, first=first, spare=spare)
    names = tuple(example.name for example in examples) if any(example.name for example in examples) else ()
    return replace(batch, seeds=torch.tensor([example.seed for example in examples]), names=names)


def collate_pairs(
    inputs: Inputs | Tokenized | Fused,
    pairs: Sequence[Sequence[tuple[str | None, str]]],
    text: Text,
    *,
    first: bool,
    spare: str,
) -> Batch:
    """`pairs` holds the questions and answers of each clip. `spare` is put where nobody asks anything, and counts for
    nothing: a batch has at least one text."""
    rows, ids, labels = [], [], []
    for at, clip in enumerate(pairs):
        for question, answer in clip:
            prompt, target = text.prompt(question), text.target(answer)
            rows.append(at)
            ids.append(prompt + target)
            labels.append([IGNORE] * len(prompt) + target)
    if not ids:
        rows, ids = [0], [text.prompt(spare)]
        labels = [[IGNORE] * len(ids[0])]
    padded, mask = pad(ids, text.pad)
    return Batch(inputs, padded, pad(labels, IGNORE)[0], mask, torch.tensor(rows), first)
