"""All formats of annotations, and how one is recognised: by what a file holds, never by its name alone.

A format has forms (see `fields`), each of which says what it needs and knows; exactly one format must fit a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from . import choices, clips, conversations, labels, manifests, nextqa, questions, sounds, streams
from .fields import Form
from .rows import Annotations, distinct
from .tables import Table, brief, is_list, read_table

SHOWN = 8  # names of fields in a message


@dataclass(frozen=True)
class Format:
    name: str
    forms: tuple[Form, ...]
    reader: Callable[[Table], Annotations]
    general: bool = False  # of no data set in particular

    def fits(self, table: Table) -> bool:
        return any(one.fits(table) for one in self.forms)

    def read(self, table: Table) -> Annotations:
        """The rows, with a line about fields that are not read."""
        found = self.reader(table)
        form = next((one for one in self.forms if one.fits(table)), None)
        others = [] if form is None else [name for name in form.others(table) if name != "row number"]
        notes = (f"fields that are not read: {listed(others)}",) if others else ()
        return replace(found, notes=(*table.notes, *found.notes, *notes))


FORMATS = (
    Format("NExT-QA, multiple choice", nextqa.CHOICE, nextqa.read_choice),
    Format("NExT-OE", nextqa.OPEN, nextqa.read_open),
    Format("MUSIC-AVQA", questions.MUSIC, questions.read_music),
    Format("ActivityNet-QA", questions.ACTIVITYNET_FORMS, questions.read_activitynet),
    Format("TGIF-QA, open", questions.TGIF, questions.read_tgif),
    *(Format(names.title, (names.form,), choices.read_choices) for names in choices.KNOWN),
    Format(choices.OTHERS[0].title, tuple(names.form for names in choices.OTHERS), choices.read_choices,
           general=True),
    Format("EgoSchema, answers", choices.SUBSET_ANSWERS, choices.read_subset_answers),
    Format("StreamingBench", streams.STREAMINGBENCH, streams.read_streamingbench),
    Format("OVO-Bench", streams.OVO, streams.read_ovo),
    Format("MSRVTT-QA or MSVD-QA", questions.SHORT_FILMS, questions.read_short_films),
    Format("open questions about films", questions.ANY_FILMS, questions.read_any_films, general=True),
    Format("conversations (LLaVA, ShareGPT, messages)", conversations.CONVERSATIONS,
           conversations.read_conversations),
    Format("LLaVA mixture", conversations.MIXTURE, conversations.read_mixture),
    Format("VGGSounder", labels.VGGSOUNDER, labels.read_vggsounder),
    Format("Kinetics", labels.KINETICS, labels.read_kinetics),
    Format("EPIC-SOUNDS", labels.EPIC_SOUNDS, labels.read_epic),
    Format("AudioSet, CSV", sounds.AUDIOSET_CSV, sounds.read_audioset_csv),
    Format("AudioSet-style JSON (CAV-MAE, AST)", sounds.AUDIOSET_JSON, sounds.read_audioset),
    Format("ESC-50", sounds.ESC50, sounds.read_esc50),
    Format("UrbanSound8K", sounds.URBANSOUND, sounds.read_urbansound),
    Format("AudioCaps", sounds.AUDIOCAPS, sounds.read_audiocaps),
    Format("Clotho", sounds.CLOTHO, sounds.read_clotho),
    Format("list of classes", labels.CLASS_LIST, labels.read_class_list),
    Format("Kinetics-Sounds", labels.KINETICS_SOUNDS_LIST, labels.read_kinetics_sounds),
    Format("VGGSound", labels.VGGSOUND, labels.read_vggsound),
    Format("clips and classes (UCF101, HMDB51, VideoMAE)", clips.CLIP_LIST, clips.read_clip_list),
)  # fmt: skip

# A table of nobody's data set: what it may hold is checked by the names of all its columns, after the others.
MANIFEST = Format(manifests.NAME, (Form(when=manifests.fits, numbered="(?s).*"),), manifests.read_manifest)


def format_of(table: Table) -> Format | None:
    """The one format that fits, or a manifest; None for anything else, `ValueError` where several fit."""
    fitting = [format for format in FORMATS if format.fits(table)]
    if len(fitting) > 1:
        names = "; ".join(format.name for format in fitting)
        raise ValueError(f"{table.path.name} could be of several formats ({names}): {found_in(table)}")
    if fitting:
        return fitting[0]
    return MANIFEST if nearest(table) is None and MANIFEST.fits(table) else None


def recognise(table: Table) -> Format:
    """The one format that fits; `ValueError` that says what was found, where none does or several do."""
    if (format := format_of(table)) is not None:
        return format
    if (near := nearest(table) or nearest(table, general=True)) is not None:
        name, strange = near
        raise ValueError(
            f"{table.path.name} is nearly {name}, but has fields of which that format knows nothing and which could "
            f"change what is meant: {listed(strange)}; take them out if they do not: {found_in(table)}"
        )
    names = "; ".join(format.name for format in (*FORMATS, MANIFEST))
    raise ValueError(f"{table.path.name} has no known format: {found_in(table)}. Known: {names}")


def found_in(table: Table) -> str:
    if table.lines:
        return f"found a CSV that begins with {brief(list(table.lines[0]))}"
    if is_list(table.value):
        return f"found a list that begins with {brief(table.value[0])}" if table.value else "found an empty list"
    return f"found {type(table.value).__name__} {brief(table.value)}"


def nearest(table: Table, general: bool = False) -> tuple[str, list[str]] | None:
    """The data set's format (or the general one) whose fields are all there, the most of them, with the fields that
    speak against it."""
    found = [
        (len(form.needed), format.name, strange)
        for format in FORMATS if format.general is general
        for form in format.forms if form.needed and form.has_needed(table) and form.when(table)
        if (strange := form.strange(table))
    ]  # fmt: skip
    if not found:
        return None
    most = max(found, key=lambda one: (one[0], -len(one[2])))
    return most[1], most[2]


def listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def read_annotations(path: str | Path) -> Annotations:
    """The rows of an annotation file of any known format; `ValueError` with one line for what does not fit it."""
    table = read_table(path)
    return distinct(recognise(table).read(table))
