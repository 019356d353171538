"""Which fields a format understands, so that no file is read as something that it is not.

A form of a format states the fields that it needs and those that it knows beside them (read, or known to be beside the
point). A table with other fields is read all the same, and they are named, unless their names say that they could
change what is asked, what is right, or which seconds of which media are meant: then the form does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from .tables import Table


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words of field names: a field whose name has one of them could change the meaning of a row.
MEANING = _words(
    """
    question questions query prompt instruction history
    answer answers anser correct gt truth target targets label labels class classes groundtruth solution response
    choice choices option options candidate candidates distractor distractors wrong negative negatives
    start starts starting end ends ending begin stop span spans segment segments interval intervals onset offset
    time times timestamp timestamps ts realtime
    deleted invalid ignore ignored exclude excluded discard
    """
)
# A last word that makes the field one about the question or the answer, and no question or answer itself.
ABOUT = _words("type category source program url count length language score difficulty")
MEDIA = _words("video videos audio audios image images sound picture media wav clip film movie speech frames file path")
BESIDE_MEDIA = _words("path paths file files filename name second other left right first bytes")
LETTERED_OPTION = re.compile(r"(a|option|choice|candidate|ans|answer|opt)[ _]?([0-9]|[a-eA-E])", re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(name: str) -> list[str]:
    """`questionType_2` -> question, type"""
    return [word.lower() for word in WORD.findall(name)]


def changes_meaning(name: str) -> bool:
    """Whether a field that is not understood could change what its row means, by its name; of `asked.options`, a field
    of what is nested, by the last part."""
    name = name.rpartition(".")[2]
    words = words_of(name)
    if LETTERED_OPTION.fullmatch(name):
        return True
    if not words or words == ["question", "id"]:
        return False
    if set(words) <= MEDIA | BESIDE_MEDIA:
        return bool(set(words) & MEDIA)
    return bool(set(words) & MEANING) and words[-1] not in ABOUT


def meaningful(names: Iterable[str], understood: Collection[str]) -> list[str]:
    """The names, of fields that are not understood, that could change the meaning."""
    return sorted(name for name in set(names) - set(understood) if changes_meaning(name))


def as_it_is(table: Table) -> Table:
    return table


@dataclass(frozen=True)
class Form:
    """One form of a format. `needed` are fields of every row, `known` those that may be there. `when` looks at values,
    and is all there is for files without fields. `numbered` matches fields with a number, such as `option 3`. `seen`
    turns a table into the one whose fields are meant, for files that nest their rows."""

    needed: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    when: Callable[[Table], bool] = lambda table: True
    numbered: str = ""
    seen: Callable[[Table], Table] = as_it_is

    def view(self, table: Table) -> Table:
        if self.seen not in table.views:
            table.views[self.seen] = self.seen(table)
        return table.views[self.seen]

    def has_needed(self, table: Table) -> bool:
        return self.needed <= self.view(table).fields

    def others(self, table: Table) -> list[str]:
        """Fields of any row that are neither needed nor known."""
        names = self.view(table).all_fields - self.needed - self.known
        return sorted(name for name in names if not (self.numbered and re.fullmatch(self.numbered, name)))

    def strange(self, table: Table) -> list[str]:
        return meaningful(self.others(table), ())

    def fits(self, table: Table) -> bool:
        return self.has_needed(table) and self.when(table) and not self.strange(table)


def form(needed: str, known: str = "", **more: object) -> Form:
    """Of names with commas between."""
    parts = [frozenset(name.strip() for name in names.split(",") if name.strip()) for names in (needed, known)]
    return Form(parts[0], parts[1], **more)  # type: ignore[arg-type]
