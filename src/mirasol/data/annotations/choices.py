"""Lists of questions with options to choose from: AVQA, Daily-Omni, WorldSense, Video-MME, EgoSchema, OmniBench, STAR,
LongVideoBench, TGIF-QA's actions and transitions, MVBench, MLVU and what has fields of the same names.

They differ in the names of their fields alone, once what some of them nest or spread over several fields is one list.
Letters before options (`A. dog`) are taken off, and an answer given as a letter, a place or the option's text becomes
the place of the right option.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .fields import Form, form
from .rows import Annotations, Row, split_of
from .tables import (
    Table,
    beside,
    brief,
    is_list,
    is_whole,
    list_of,
    mapping_beside,
    number_of,
    read_table,
    require,
    text_of,
)

SUBSET = "subset_answers.json"  # of EgoSchema
PLACE = re.compile(r"{(.+?)}")
LETTERED = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*)", re.DOTALL)
OPTION = re.compile(r"option ?\d+")  # options in fields of their own: `option 0` of EgoSchema, `option0`
ANSWER = re.compile(r"a[1-5]")  # of TGIF-QA
NO_OPTION = ("", "N/A", None)  # in such a field


@dataclass(frozen=True)
class Names:
    """The names of the fields, `beside` those that are beside the point. `files` are patterns over the fields of a row.
    `start` and `end` are the seconds that a question is about."""

    title: str
    format: str
    question: str
    options: str
    answer: str
    media: str
    files: tuple[str, ...]
    type: str = ""
    key: str = ""
    sound: str = ""  # a pattern too
    beside: str = ""
    start: str = ""
    end: str = ""
    needed: str = ""  # beside question, options and media
    when: Callable[[Table], bool] = lambda table: True

    @cached_property
    def form(self) -> Form:
        read = ", ".join((self.answer, self.type, self.key, self.start, self.end, *PLACE.findall(self.sound)))
        return form(f"{self.question}, {self.options}, {self.media}, {self.needed}",
                    f"{read}, {', '.join(PLACE.findall(' '.join(self.files)))}, {self.beside}", seen=flat,
                    when=self.when)  # fmt: skip


KNOWN = (
    Names("AVQA", "avqa", "question_text", "multi_choice", "answer", "video_name",
          ("{video_name}",), "question_type", "id",
          beside="video_id, question_relation"),
    Names("Daily-Omni", "daily-omni", "Question", "Choice", "Answer", "video_id",
          ("{video_id}/{video_id}_video", "{video_id}"),
          "Type", sound="{video_id}/{video_id}_audio",
          beside="content_parent_category, content_fine_category, video_category, video_duration"),
    Names("WorldSense", "worldsense", "question", "candidates", "answer", "video_path",
          ("{video_path}",), "task_type", "index",
          beside="video, video_id, subtitle_path, task_domain, duration, audio_class"),
    Names("Video-MME", "video-mme", "question", "options", "answer", "videoID",
          ("{videoID}",), "duration", "question_id",
          beside="video_id, domain, sub_category, task_type, url"),
    Names("EgoSchema", "egoschema", "question", "option", "answer", "video_idx", ("{video_idx}",), key="question_idx",
          beside="q_uid, google_drive_id, truth"),
    Names("OmniBench", "omnibench", "question", "options", "answer", "image_path",
          ("{image_path}",), "task type", "index",
          "{audio_path}", beside="audio, image, audio type, audio content, image content"),
    Names("STAR", "star", "question", "choices", "answer", "video_id", ("{video_id}",), "star type", "question_id",
          needed="question_id, start, end", beside="question_program, situations", start="start", end="end"),
    Names("LongVideoBench", "longvideobench", "question", "candidates", "correct_choice", "video_path",
          ("{video_path}",),
          "question_category", "id", beside="video_id, question_wo_referring_query, position, topic_category, level, "
          "subtitle_path, duration_group, starting_timestamp_for_subtitles, duration, view_count, type"),
    Names("TGIF-QA, choices", "tgif-qa", "question", "options", "answer", "gif_name",
          ("{gif_name}",), "tgif type", "vid_id",
          beside="key, description"),
)  # fmt: skip


def _of_no_known(table: Table) -> bool:
    return not any(names.form.has_needed(table) for names in KNOWN)


# Lists of no data set above, MVBench and MLVU among them: by the usual names, and only where a list has the fields of
# none of the others, so that one of theirs that is refused is not read otherwise.
OTHERS = tuple(
    Names("questions with options (MVBench, MLVU, others)", "video-choices", "question", options, "answer", film,
          (f"{{{film}}}",), "question_type", "question_id", start="start", end="end",
          beside="id, index, duration, task_type, domain, subtitle, accurate_start, accurate_end", when=_of_no_known)
    for film in ("video", "video_id", "video_name", "audio", "audio_id")
    for options in ("candidates", "options", "choices")
)  # fmt: skip


def names_of(table: Table) -> Names | None:
    return next((names for names in (*KNOWN, *OTHERS) if names.form.fits(table)), None)


def read_choices(table: Table) -> Annotations:
    names, path, rows = names_of(table), table.path, []
    assert names is not None
    split = split_of(path)
    for number, one in enumerate(names.form.view(table).objects):
        require((names.question, names.options, *PLACE.findall(" ".join((*names.files, names.sound)))), one, path)
        film = text_of(one, names.media, path)
        options, letters = unletter(
            [_option(option, path) for option in list_of(one[names.options], names.options, path)]
        )
        stated = one.get(names.answer)
        correct = place_of(stated, options, path, letters) if options else None
        answers = () if correct is None else (options[correct],)
        if not options and isinstance(stated, str) and stated.strip():
            answers = (stated.strip(),)
        key = str(one.get(names.key, number)) if names.key else str(number)
        start, end = (_second(one, name, path) for name in (names.start, names.end))
        rows.append(
            Row(key, film, () if start is not None else _files(names, one), text_of(one, names.question, path),
                answers, options, correct, type=_kind(one.get(names.type)), split=split, start=start, end=end,
                films=_files(names, one) if start is not None else (),
                sound=names.sound.format_map(one) if names.sound else None)
        )  # fmt: skip
    bare = sum(not row.options for row in rows)
    notes = (
        (f"{bare} of {len(rows)} questions have no options: they are read with their answers alone",) if bare else ()
    )
    found = Annotations(names.format, tuple(rows), notes=notes)
    return _with_subset(found, path) if names.format == "egoschema" else found


def _files(names: Names, one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name.format_map(one) for name in names.files)


def _option(option: Any, where: Path) -> str:
    """A text or a number; of STAR's objects the text."""
    option = option.get("choice") if isinstance(option, Mapping) else option
    if isinstance(option, bool) or not isinstance(option, (str, int, float)):
        raise ValueError(f"expected options as texts in {where.name}, found {brief(option)}")
    return str(option)


def _second(one: Mapping[str, Any], name: str, where: Path) -> float | None:
    value = one.get(name) if name else None
    return None if value in (None, "") else number_of(value, name, where)


def flat(table: Table) -> Table:
    """EgoSchema's options, which are fields of their own (`option 0` ...), as a list, also where the file is an object
    by `q_uid` (with the answer in `truth`), and likewise those of LongVideoBench and TGIF-QA; WorldSense's object by
    film, of `task0`, `task1`, ..., as a list of questions; STAR's kinds of questions. Other tables stay as they are."""
    value = table.value
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
        first = next(iter(value.values()))
        if "option 0" in first:
            value = [{"q_uid": uid, **one} for uid, one in value.items()]
        elif isinstance(first.get("task0"), dict) and "candidates" in first["task0"]:
            tasks = [(film, name, task) for film, one in value.items() for name, task in one.items()
                     if name.startswith("task") and isinstance(task, dict)]  # fmt: skip
            return Table(table.path, [{**task, "index": f"{film}/{name}", "video_path": f"videos/{film}.mp4"}
                                      for film, name, task in tasks])  # fmt: skip
    fields = set(value[0]) if is_list(value) and value and isinstance(value[0], dict) else table.fields
    objects = value if is_list(value) else table.objects
    for needed, change in FLAT.items():
        if set(needed) <= fields and all(isinstance(one, dict) and set(needed) <= set(one) for one in objects):
            return Table(table.path, [change(one) for one in objects])
    return table


def _gathered(one: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> dict[str, Any]:
    """Options that are fields of their own, in order, as one list under `name`."""
    fields = sorted((key for key in one if pattern.fullmatch(key)), key=lambda key: int(re.sub(r"\D", "", key)))
    options = [one[key] for key in fields]
    while options and options[-1] in NO_OPTION:
        options.pop()
    return {**{key: value for key, value in one.items() if key not in fields}, name: options}


def _egoschema(one: Mapping[str, Any]) -> dict[str, Any]:
    more = {"video_idx": one["q_uid"], "question_idx": one["q_uid"], "answer": one.get("truth", one.get("answer"))}
    return {**_gathered(one, "option", OPTION), **more}


def _tgif(one: Mapping[str, Any]) -> dict[str, Any]:
    """The id in `vid_id` begins with the task: ACTION4, TRANS23."""
    kind = re.match(r"[A-Za-z]*", str(one.get("vid_id", "")))
    return {**_gathered(one, "options", ANSWER), "tgif type": kind[0].lower() if kind else ""}


FLAT = {
    ("q_uid", "option 0"): _egoschema,
    ("correct_choice", "option0"): lambda one: _gathered(one, "candidates", OPTION),
    ("gif_name", "a1", "a2"): _tgif,
    ("question_id", "choices", "start", "end"): lambda one: {**one, "star type": str(one["question_id"]).split("_")[0]},
}


def _with_subset(found: Annotations, path: Path) -> Annotations:
    """EgoSchema's answers to 500 of its questions, those of the split `subset`; of the others none are published."""
    if any(row.answers for row in found.rows):
        return found
    if (known := mapping_beside(path, (SUBSET,))) is None:
        return replace(found, notes=(*found.notes, f"no answers: {SUBSET} does not lie beside {path.name}"))
    rows = []
    for row in found.rows:
        correct = place_of(known.get(row.key), row.options, path.with_name(SUBSET))
        answers = () if correct is None else (row.options[correct],)
        rows.append(replace(row, correct=correct, answers=answers, split="test" if correct is None else "subset"))
    return replace(found, rows=tuple(rows))


def is_subset_answers(table: Table) -> bool:
    return table.path.name == SUBSET and isinstance(table.value, dict)


SUBSET_ANSWERS = (Form(when=is_subset_answers),)


def read_subset_answers(table: Table) -> Annotations:
    """EgoSchema's answers alone: the questions are those beside them."""
    questions = beside(table.path, ("questions.json",))
    if questions is None:
        raise ValueError(f"{table.path.name} holds the answers alone; put the questions (questions.json) beside it")
    other = read_table(questions)
    if (names := names_of(other)) is None or names.format != "egoschema":
        raise ValueError(f"expected the questions of EgoSchema in {questions}, beside {table.path.name}")
    return read_choices(other)


def _kind(value: Any) -> str:
    return "" if value is None else str(value)


def unletter(options: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """`["A. dog", "B. cat"]` -> (dog, cat), "AB"; options that are not lettered stay as they are, with no letters.

    Some lists of StreamingBench and OVO-Bench are not in order: what has no letter belongs to the option before it,
    from which a line break has cut it, blanks to none; letters may be mixed (`A C B D`), or one occur twice."""
    letters = ""
    texts: list[str] = []
    for option in options:
        if match := LETTERED.fullmatch(option):
            letters += match[1]
            texts.append(match[2].strip())
        elif texts and option.strip():
            texts[-1] = f"{texts[-1]} {option.strip()}"
        elif not texts:
            break
    in_whole = sorted(letters) == [chr(ord("A") + place) for place in range(len(texts))]
    if (in_whole and len(texts) > 1) or (letters.startswith("AB") and len(texts) == len(options)):
        return tuple(texts), letters
    return tuple(option.strip() for option in options), ""


def place_of(answer: Any, options: Sequence[str], where: Path, letters: str = "") -> int | None:
    """Of the right option: `answer` is its place, its letter (of `letters`, or of the alphabet) or its text; None or ""
    where it is not published."""
    if answer is None or answer == "":
        return None
    place = -1
    if isinstance(answer, int) and not isinstance(answer, bool):
        place = answer
    elif isinstance(answer, str):
        text = answer.strip()
        lettered = LETTERED.fullmatch(text)
        bare = lettered[2].strip() if lettered else text
        if text in options or bare in options:
            place = list(options).index(text if text in options else bare)
        elif lettered or re.fullmatch(r"\(?[A-Z]\)?[.:]?", text):
            letter = text.strip("(")[0]
            place = letters.index(letter) if letter in letters else ord(letter) - ord("A")
        elif is_whole(text):
            place = int(text)
    if not 0 <= place < len(options):
        raise ValueError(
            f"expected an answer among the {len(options)} options in {where.name}, found {answer!r} for "
            f"{brief(list(options))}"
        )
    return place
