"""Open questions about short films: MSRVTT-QA, MSVD-QA (three forms each), ActivityNet-QA, MUSIC-AVQA."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .fields import form
from .rows import Annotations, Row, split_of
from .tables import Table, beside, is_whole, list_of, number_of, read_table, require, text_of

JUST_ASK = ("what", "how", "color", "where", "who", "when")  # the codes 0 to 5 of its column `type`
ACTIVITYNET = ("motion", "spatial", "temporal", "yes/no", "color", "object", "location", "number", "other")
PLACEHOLDER = re.compile(r"<(?:Object|LR|FL|TH|LRer|LL|BA)>")
SPLITS = {  # film numbers below
    "msrvtt-qa": (("train", 6513), ("val", 7010), ("test", 10_000)),
    "msvd-qa": (("train", 1201), ("val", 1451), ("test", 1971)),
}


# -- MSRVTT-QA and MSVD-QA ---------------------------------------------------------------------------------------------


FILM = re.compile(r"(?:video|vid)\d+|.{11}_\d+_\d+")  # of MSR-VTT and MSVD: video6513, vid2, a span on YouTube


def _has_film_ids(table: Table) -> bool:
    """Names of films as the two have them, or numbers, with what else their lists have."""
    film = str(table.objects[0].get("video_id")) if table.objects else ""
    theirs = bool(table.fields & {"id", "category_id", "answer_type"})
    return bool(FILM.fullmatch(film)) or (is_whole(film) and theirs)


def is_hqga(table: Table) -> bool:
    """The CSV of HQGA and of what follows it: films and ids are numbers in `video` and `qid`, the category of MSR-VTT's
    film is in `type`."""
    first = table.objects[0] if table.objects else {}
    return all(is_whole(str(first.get(name, 0))) for name in ("video", "qid", "type"))


SHORT_FILMS = (
    form("question, answer, video_id", "id, question_id, category_id, answer_type, type", when=_has_film_ids),
    form("video, question, answer, qid", "type, width, height, frame_count", when=is_hqga),
)
ANY_FILMS = (form("question, answer, video_id", "id, question_id, answer_type, type, start, end",
                  when=lambda table: bool(table.objects) and not _has_film_ids(table)),)  # fmt: skip


def read_any_films(table: Table) -> Annotations:
    """A list of nobody in particular, of questions about films by their names, or about seconds of them."""
    path, rows = table.path, []
    for number, one in enumerate(table.objects):
        film, question = text_of(one, "video_id", path), text_of(one, "question", path)
        start, end = (None if one.get(name) in (None, "") else number_of(one[name], name, path)
                      for name in ("start", "end"))  # fmt: skip
        rows.append(
            Row(str(one.get("id", one.get("question_id", number))), film, (film,), question,
                _answers(text_of(one, "answer", path)), type=_question_word(one, question), split=split_of(path),
                start=start, end=end)
        )  # fmt: skip
    return Annotations("questions", tuple(rows))


def read_short_films(table: Table) -> Annotations:
    """One JSON list, JSON lines with `answer_type`, CSV with the codes of `JUST_ASK`, or HQGA's CSV. MSR-VTT rows carry
    the category of their film (`category_id`) or its name (`video6513`), those of MSVD do not."""
    path, rows, objects = table.path, [], table.objects
    if "qid" in table.fields:
        names = {"video": "video_id", "qid": "id", "type": "category_id"}
        objects = [{names.get(name, name): value for name, value in one.items()} for one in objects]
    if not objects:
        raise ValueError(f"expected questions in {path}, found none")
    first = objects[0]
    msrvtt = "category_id" in first or str(first["video_id"]).startswith("video")
    format = "msrvtt-qa" if msrvtt else "msvd-qa"
    youtube = {} if msrvtt else _msvd_names(path)
    for number, one in enumerate(objects):
        require(("question", "answer", "video_id"), one, path)
        film = text_of(one, "video_id", path)
        digits = film.removeprefix("video").removeprefix("vid")
        if msrvtt and not is_whole(digits):
            raise ValueError(f"expected 'video_id' as a number or as video6513 in {path.name}, found {film!r}")
        name = f"video{digits}" if msrvtt else f"vid{digits}" if is_whole(digits) else film
        question, answer = text_of(one, "question", path), text_of(one, "answer", path)
        key = str(one.get("id", one.get("question_id", number)))
        files = tuple(dict.fromkeys((name, *youtube.get(name, ()), film)))
        split = split_of(path) or (_split_of_film(int(digits), format) if is_whole(digits) else None)
        rows.append(Row(key, name, files, question, _answers(answer), type=_question_word(one, question), split=split))
    return Annotations(format, tuple(rows))


def _answers(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _question_word(one: Mapping[str, Any], question: str) -> str:
    if (stated := one.get("answer_type")) is not None:
        return str(stated)
    code = str(one.get("type", ""))
    if is_whole(code) and int(code) < len(JUST_ASK):
        return JUST_ASK[int(code)]
    return question.split()[0].lower() if question else ""


def _split_of_film(film: int, format: str) -> str | None:
    return next((split for split, end in SPLITS[format] if film < end), None)


def _msvd_names(path: Path) -> dict[str, tuple[str, ...]]:
    """`youtube_mapping.txt`, lines of `-4wsuPCjDBc_5_15 vid1`: the names under which MSVD's films are shared."""
    if (mapping := beside(path, ("youtube_mapping.txt",))) is None:
        return {}
    pairs = [
        line.split() for line in mapping.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()
    ]
    return {pair[1]: (pair[0],) for pair in pairs if len(pair) == 2}


# -- ActivityNet-QA ----------------------------------------------------------------------------------------------------


QUESTIONS = form("question_id, question, video_name", "answer, type")
ACTIVITYNET_FORMS = (QUESTIONS, form("question_id, answer, type", when=lambda table: len(table.fields) == 3))


def read_activitynet(table: Table) -> Annotations:
    """Two parallel lists joined by `question_id`, whichever of the two was named, or one with both; the test answers
    may be missing."""
    path = table.path
    named_questions = "question" in table.fields
    stem, other = None, None
    if not (named_questions and "answer" in table.fields):
        old, new = ("_q", "_a") if named_questions else ("_a", "_q")
        stem = path.stem[: -len(old)] + new if path.stem.endswith(old) else None
        partner = None if stem is None else path.with_name(stem + path.suffix)
        other = read_table(partner) if partner is not None and partner.is_file() else None
        if other is None and not named_questions:
            raise ValueError(f"{path.name} holds the answers alone; put the questions ({stem or '*_q'}.json) beside it")
    else:
        other = table
    questions, answers = (table, other) if named_questions else (other, table)
    assert questions is not None
    known = {text_of(one, "question_id", path): one for one in (answers.objects if answers else [])}
    rows = []
    for one in questions.objects:
        require(("question_id", "question", "video_name"), one, path)
        key, film = text_of(one, "question_id", path), text_of(one, "video_name", path)
        answer = known.get(key)
        if answer is None and answers is not None:
            raise ValueError(f"expected an answer for each question, found none for {key!r} in {answers.path.name}")
        bare = answer is None or (answers is questions and "type" not in answer)  # others' copies have no types
        kind = "" if bare else _activitynet_type(answer, answers.path)  # type: ignore[union-attr, arg-type]
        rows.append(
            Row(key, film, (f"v_{film}", film), text_of(one, "question", path),
                () if answer is None else _answers(text_of(answer, "answer", path)), type=kind, split=split_of(path))
        )  # fmt: skip
    if unasked := set(known) - {row.key for row in rows}:
        raise ValueError(f"expected a question for each answer, found none for {min(unasked)!r}")
    notes = () if answers else (f"no answers: {stem or '*_a'}.json does not lie beside {path.name}",)
    return Annotations("activitynet-qa", tuple(rows), notes=notes)


def _activitynet_type(answer: Mapping[str, Any], where: Path) -> str:
    code = text_of(answer, "type", where)
    if not is_whole(code) or int(code) >= len(ACTIVITYNET):
        raise ValueError(f"expected 'type' as 0 to 8 in {where.name}, found {code!r}")
    return ACTIVITYNET[int(code)]


# -- TGIF-QA -----------------------------------------------------------------------------------------------------------

TGIF = (form("gif_name, question, answer, vid_id", "type, key, description"),)
TGIF_TYPES = ("object", "number", "color", "location")  # the codes of FrameQA's column `type`


def read_tgif(table: Table) -> Annotations:
    """FrameQA and counting (which action or transition it is, is chosen: see `choices`). The column `vid_id` holds the
    id of the question, the film is `gif_name`."""
    path, rows = table.path, []
    for one in table.objects:
        require(("gif_name", "question", "answer", "vid_id"), one, path)
        film, key, code = text_of(one, "gif_name", path), text_of(one, "vid_id", path), str(one.get("type", ""))
        kind = TGIF_TYPES[int(code)] if is_whole(code) and int(code) < len(TGIF_TYPES) else "count"
        rows.append(
            Row(key, film, (film,), text_of(one, "question", path), _answers(text_of(one, "answer", path)),
                type=kind, split=split_of(path))
        )  # fmt: skip
    return Annotations("tgif-qa", tuple(rows))


# -- MUSIC-AVQA --------------------------------------------------------------------------------------------------------


MUSIC = (form("question_content, templ_values, video_id, type", "question_id, question_deleted, anser, answer"),)


def read_music(table: Table) -> Annotations:
    """The answer's key is spelled `anser`; `type` and `templ_values` are strings that hold lists."""
    path, rows, deleted = table.path, [], 0
    for number, one in enumerate(table.objects):
        require(("question_content", "templ_values", "video_id", "type"), one, path)
        if str(one.get("question_deleted", 0)) not in ("0", "False"):
            deleted += 1
            continue
        film = text_of(one, "video_id", path)
        answer = one.get("anser", one.get("answer"))
        group, kind = _two(list_of(one["type"], "type", path), path)
        values = [str(value) for value in list_of(one["templ_values"], "templ_values", path)]
        rows.append(
            Row(str(one.get("question_id", number)), film, (film,), fill(str(one["question_content"]), values, path),
                () if answer is None else _answers(str(answer).strip()), type=f"{group} {kind}", split=split_of(path))
        )  # fmt: skip
    notes = (f"left out {deleted} rows whose question was deleted",) if deleted else ()
    return Annotations("music-avqa", tuple(rows), notes=notes)


def _two(names: list[Any], where: Path) -> tuple[str, str]:
    if len(names) != 2:
        raise ValueError(f'expected "type" as a list of two, such as ["Audio", "Counting"], in {where.name}: {names}')
    return str(names[0]), str(names[1])


def fill(template: str, values: list[str], where: Path) -> str:
    """The question with its placeholders filled from left to right."""
    if (holes := len(PLACEHOLDER.findall(template))) != len(values):
        raise ValueError(f"expected {holes} values for {template!r} in {where.name}, found {values}")
    left = iter(values)
    return PLACEHOLDER.sub(lambda _: next(left), template)
