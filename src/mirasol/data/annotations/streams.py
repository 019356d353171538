"""Questions put while a film runs: OVO-Bench and StreamingBench. `Row.at` is the second at which each is asked.

OVO-Bench's forward tasks ask the same thing again and again; each time is a row. Their wording here is ours:

    REC  "how many times has somebody done this so far: {activity}?"   a number
    SSR  "is this being done right now: {step}?"                       yes or no
    CRR  "has it been shown by now: {question}?"                       yes or no
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .choices import place_of, unletter
from .fields import form
from .rows import Annotations, Row
from .tables import Table, clock_seconds, is_list, list_of, number_of, objects_of, require, text_of

COUNTS = tuple(str(number) for number in range(21))
YES_NO = ("no", "yes")


OVO = (form("id, task, video", "realtime, question, answer, options, gt, ask_time, clue_time, test_info, tutorial, "
            "all_steps, start_time, end_time, activity, start_times, end_times"),)  # fmt: skip


def read_ovo(table: Table) -> Annotations:
    path, rows = table.path, []
    for one in table.objects:
        require(("id", "task", "video"), one, path)
        film, task, key = text_of(one, "video", path), text_of(one, "task", path), text_of(one, "id", path)
        if "test_info" in one:
            for turn, info in enumerate(objects_of(one["test_info"], "test_info", path)):
                rows.append(_forward(one, info, f"{key}/{turn}", film, task, path))
            continue
        require(("realtime", "question", "options"), one, path)
        options, letters = unletter([str(option) for option in list_of(one["options"], "options", path)])
        gt = one.get("gt")
        correct = place_of(gt if gt is not None else one.get("answer"), options, path, letters)
        rows.append(
            Row(key, film, (film,), text_of(one, "question", path), () if correct is None else (options[correct],),
                options, correct, task, "test", at=number_of(one["realtime"], "realtime", path))
        )  # fmt: skip
    return Annotations("ovo-bench", tuple(rows))


def _forward(one: Mapping[str, Any], info: Mapping[str, Any], key: str, film: str, task: str, path: Path) -> Row:
    at = number_of(info.get("realtime"), "realtime", path)
    if task == "REC":
        question, options = f"how many times has somebody done this so far: {one.get('activity')}?", COUNTS
        correct = int(number_of(info.get("count"), "count", path))
        if not 0 <= correct < len(COUNTS):
            options, correct = (*COUNTS, str(correct)), len(COUNTS)
    else:
        if task == "SSR":
            question = f"is this being done right now: {text_of(info, 'step', path)}?"
        else:
            question = f"has it been shown by now: {text_of(one, 'question', path)}"
        options, correct = YES_NO, int(number_of(info.get("type"), "type", path))
        if correct not in (0, 1):
            raise ValueError(f"expected 'type' as 0 or 1 in the test_info of {path.name}, found {correct}")
    asked = one.get("ask_time")
    return Row(key, film, (film,), question, (options[correct],), options, correct, task, "test", at=at,
               more={} if asked is None else {"ask_time": asked, "clue_time": one.get("clue_time")})  # fmt: skip


ASKED = ("question, task_type, time_stamp, answer, options, required_ability, ground_truth_time_stamp, "
         "ground_truth_output, time, audio_path")  # fmt: skip


def _with_questions(table: Table) -> Table:
    """The films, and the questions of each after them, their fields as `asked.options`: both kinds count."""
    films = list(_films(table.value)) if is_list(table.value) else []
    lists = [film["questions"] for film in films if isinstance(film.get("questions"), list)]
    asked = [one for questions in lists for one in questions if isinstance(one, dict)]
    return Table(table.path, films + [{f"asked.{name}": value for name, value in one.items()} for one in asked])


STREAMINGBENCH = (
    form(
        "video_path, questions",
        f"time, video_categories, asked.{ASKED.replace(', ', ', asked.')}",
        seen=_with_questions,
    ),
    form("video_path, question, time_stamp", f"video_categories, {ASKED}", seen=_with_questions),
)


def read_streamingbench(table: Table) -> Annotations:
    """All its files: lettered options and bare ones, lists inside lists, and proactive questions, whose answer is due
    at `more["due"]`. The `audio_path` of the files `*_stream.json` is the question, spoken (`more["spoken"]`), and no
    sound track of the film."""
    path, rows = table.path, []
    for number, film in enumerate(_films(table.value)):
        name = text_of(film, "video_path", path)
        for turn, one in enumerate(objects_of(film.get("questions", [film]), "questions", path)):
            require(("question", "time_stamp"), one, path)
            at = clock_seconds(one["time_stamp"], "time_stamp", path)
            key, question = f"{number}/{turn}", text_of(one, "question", path)
            kind = str(one.get("task_type", "")) or "unstated"
            spoken = {"spoken": one["audio_path"]} if "audio_path" in one else {}
            if "ground_truth_time_stamp" in one:
                due = clock_seconds(one["ground_truth_time_stamp"], "ground_truth_time_stamp", path)
                rows.append(
                    Row(key, name, (name,), question, (text_of(one, "ground_truth_output", path),), type=kind,
                        split="test", at=at, more={"due": due, **spoken})
                )  # fmt: skip
                continue
            options, letters = unletter([str(option) for option in list_of(one.get("options"), "options", path)])
            correct = place_of(one.get("answer"), options, path, letters)
            rows.append(
                Row(key, name, (name,), question, () if correct is None else (options[correct],), options, correct,
                    kind, "test", at=at, more=spoken)
            )  # fmt: skip
    return Annotations("streamingbench", tuple(rows))


def _films(value: Any) -> Iterator[dict[str, Any]]:
    """The objects that name a film, through lists inside lists."""
    for one in value:
        if isinstance(one, list):
            yield from _films(one)
        elif isinstance(one, dict):
            yield one
