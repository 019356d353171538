"""All formats of annotations, and how one is recognised: by what a file holds, never by its name alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import choices, conversations, labels, nextqa, questions, streams
from .rows import Annotations, distinct
from .tables import Table, brief, read_table


@dataclass(frozen=True)
class Format:
    name: str
    fits: Callable[[Table], bool]
    read: Callable[[Table], Annotations]


# The first that fits; those with the more particular fields come first.
FORMATS = (
    Format("NExT-QA, multiple choice", nextqa.is_choice, nextqa.read_choice),
    Format("NExT-OE", nextqa.is_open, nextqa.read_open),
    Format("MUSIC-AVQA", questions.is_music, questions.read_music),
    Format("ActivityNet-QA", questions.is_activitynet, questions.read_activitynet),
    Format("AVQA-style choices", choices.is_choices, choices.read_choices),
    Format("EgoSchema, answers", choices.is_subset_answers, choices.read_subset_answers),
    Format("StreamingBench", streams.is_streamingbench, streams.read_streamingbench),
    Format("OVO-Bench", streams.is_ovo, streams.read_ovo),
    Format("MSRVTT-QA or MSVD-QA", questions.is_short_films, questions.read_short_films),
    Format("conversations (LLaVA, ShareGPT, messages)", conversations.is_conversation,
           conversations.read_conversations),
    Format("LLaVA mixture", conversations.is_mixture, conversations.read_mixture),
    Format("VGGSounder", labels.is_vggsounder, labels.read_vggsounder),
    Format("Kinetics", labels.is_kinetics, labels.read_kinetics),
    Format("EPIC-SOUNDS", labels.is_epic, labels.read_epic),
    Format("AudioSet-style JSON (CAV-MAE, AST)", labels.is_audioset, labels.read_audioset),
    Format("list of classes", labels.is_class_list, labels.read_class_list),
    Format("Kinetics-Sounds", labels.is_kinetics_sounds, labels.read_kinetics_sounds),
    Format("VGGSound", labels.is_vggsound, labels.read_vggsound),
)  # fmt: skip


def recognise(table: Table) -> Format:
    """`ValueError` that says what was found, where no format fits."""
    for format in FORMATS:
        if format.fits(table):
            return format
    if table.lines:
        found = f"CSV that begins with {brief(list(table.lines[0]))}"
    elif isinstance(table.value, list):
        found = f"a list that begins with {brief(table.value[0])}" if table.value else "an empty list"
    else:
        found = f"{type(table.value).__name__} {brief(table.value)}"
    names = "; ".join(format.name for format in FORMATS)
    raise ValueError(f"{table.path.name} has no known format: {found}. Known: {names}")


def read_annotations(path: str | Path) -> Annotations:
    """The rows of an annotation file of any known format; `ValueError` with one line for what does not fit it."""
    table = read_table(path)
    return distinct(recognise(table).read(table))
