"""NExT-QA with five options to choose from, and NExT-OE, where the answer is written freely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .fields import form
from .rows import Annotations, Row, split_of
from .tables import Table, mapping_beside, require, text_of

TYPES = ("CW", "CH", "TN", "TP", "TC", "DL", "DC", "DO", "DB")
OPTIONS = ("a0", "a1", "a2", "a3", "a4")


def _is_open(table: Table) -> bool:
    """Not those CSV files of MSRVTT-QA that have the same columns, with a number as the type."""
    return str(table.objects[0]["type"]) in TYPES if table.objects else False


SIZES = "frame_count, width, height"
CHOICE = tuple(form(f"{film}, question, qid, type, {', '.join(OPTIONS)}", f"answer, {SIZES}")
               for film in ("video", "video_id"))  # fmt: skip
OPEN = (form("video, question, qid, type, answer", f"{SIZES}, additional_ref_answer", when=_is_open),)


def read_choice(table: Table) -> Annotations:
    """In NExT-GQA's copies the film is `video_id`, and the answer is the option's text."""
    rows, path = [], table.path
    places, named = _places(path), "video" if "video" in table.fields else "video_id"
    for one in table.objects:
        film, qid = text_of(one, named, path), text_of(one, "qid", path)
        options = tuple(text_of(one, name, path) for name in OPTIONS)
        answer = str(one.get("answer", "")).strip()
        if named == "video_id" and answer in options:
            answer = str(options.index(answer))
        if answer not in ("", "0", "1", "2", "3", "4"):
            raise ValueError(f"expected 'answer' as 0 to 4 in {path.name}, found {answer!r} for {film}_{qid}")
        correct = int(answer) if answer else None
        rows.append(
            Row(f"{film}_{qid}", film, _files(film, places), text_of(one, "question", path),
                () if correct is None else (options[correct],), options, correct, _type(one["type"], path),
                split_of(path))
        )  # fmt: skip
    return Annotations("next-qa", tuple(rows), notes=_note(places))


def read_open(table: Table) -> Annotations:
    """A second reference where `add_reference_answer_<split>.json` lies beside the file and has one."""
    rows, path = [], table.path
    places, split = _places(path), split_of(path)
    beside_it = mapping_beside(path, (f"add_reference_answer_{split}.json",)) if split else None
    second = beside_it or {}
    for one in table.objects:
        require(("video", "qid", "answer"), one, path)
        film, qid, answer = text_of(one, "video", path), text_of(one, "qid", path), text_of(one, "answer", path)
        answers = _references(answer, second.get(film), qid, one.get("additional_ref_answer"))
        rows.append(
            Row(f"{film}_{qid}", film, _files(film, places), text_of(one, "question", path), answers,
                type=_type(one["type"], path), split=split)
        )  # fmt: skip
    notes = _note(places)
    if beside_it is None and split == "test" and not any(len(row.answers) > 1 for row in rows):
        notes += ("no second references: add_reference_answer_test.json does not lie beside it",)
    return Annotations("next-oe", tuple(rows), notes=notes)


def _references(answer: str, of_film: Any, qid: str, of_row: Any) -> tuple[str, ...]:
    """The answer and the second reference, from the file beside or from a column, each without blanks around it."""
    second = of_film.get(qid) if isinstance(of_film, dict) else None
    texts = (answer, *(more.strip() for more in (second, of_row) if isinstance(more, str)))
    return tuple(dict.fromkeys(text for text in texts if text))


def _type(code: str, where: Path) -> str:
    if code not in TYPES:
        raise ValueError(f"expected 'type' as one of {', '.join(TYPES)} in {where.name}, found {code!r}")
    return code


def _places(path: Path) -> dict[str, str]:
    """Film -> its path in VidOR's folders, from `map_vid_vidorID.json`."""
    found = mapping_beside(path, ("map_vid_vidorID.json",)) or {}
    return {film: place for film, place in found.items() if isinstance(place, str)}


def _files(film: str, places: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (places.get(film), film) if name))


def _note(places: dict[str, str]) -> tuple[str, ...]:
    return () if places else ("no map_vid_vidorID.json beside it: films are looked for by their number alone",)
