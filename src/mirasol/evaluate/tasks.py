"""Benchmarks as tasks: how a question of each is answered, and what its figures are.

A `Record` is one answered question with everything that its score rests on, so that a file of records can be scored
again without model, media or annotations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from . import metrics
from .choices import best, by_rule
from .metrics import by_group, mean

Figures = dict[str, float]


@dataclass(frozen=True)
class Record:
    """`scores` are the (log-probability, tokens) of `options`; `answer` is what was said, or the chosen option."""

    row: str  # how the film was shown: both, picture, sound, swapped
    key: str
    question: str | None
    answers: tuple[str, ...]
    type: str = ""
    answer: str = ""
    confidence: float = 0.0
    options: tuple[str, ...] = ()
    correct: int | None = None
    scores: tuple[tuple[float, int], ...] = ()
    seconds: float | None = None  # watched until this second of the film
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        lists = {name: tuple(values[name]) for name in ("answers", "options")}
        scores = tuple((float(value), int(count)) for value, count in values["scores"])
        return cls(**{**values, **lists, "scores": scores})


@dataclass(frozen=True)
class Task:
    """`answers` is `say` (generate), `choose` (the options of each question), or `label` (one of a closed list).
    `figures` gives shares 0 to 1 of records of one row; the first is the headline."""

    name: str
    answers: str
    figures: Callable[[Sequence[Record], str], Figures]
    online: bool = False


def chosen(record: Record, rule: str) -> int | None:
    """The place of the most likely option; None where nothing was predicted."""
    return best(by_rule(record.scores, rule)) if record.scores else None


def right(record: Record, rule: str) -> float:
    """Of a question with options: whether the right one is the most likely. Of one whose list is empty, as some of
    STAR's are: whether the answer was said."""
    if not record.options:
        return float(metrics.same_whatever_case(record.answer, record.answers))
    return float(bool(record.scores) and chosen(record, rule) == record.correct)


def exact(match: Callable[[str, Sequence[str]], bool], rest: Callable[[str], Sequence[str]] = lambda type: ()) -> Any:
    """Figures of exact match: all, the groups that `rest(type)` names, each type. With options (a closed vocabulary),
    the most likely one is the answer."""

    def figures(records: Sequence[Record], rule: str) -> Figures:
        scores = [(one, float(match(said(one, rule), one.answers))) for one in records]
        groups = by_group([(name, score) for one, score in scores for name in rest(one.type)])
        types = by_group([(one.type, score) for one, score in scores if one.type])
        return {"accuracy": mean(score for _, score in scores), **groups, **dict(sorted(types.items()))}

    return figures


def said(record: Record, rule: str) -> str:
    return record.answer if (place := chosen(record, rule)) is None else record.options[place]


def choice(groups: Callable[[str], Sequence[str]] = lambda type: ()) -> Any:
    """Figures of multiple choice: all, the groups of types, each type."""

    def figures(records: Sequence[Record], rule: str) -> Figures:
        scores = [(one, right(one, rule)) for one in records]
        grouped = by_group([(name, score) for one, score in scores for name in groups(one.type)])
        types = by_group([(one.type, score) for one, score in scores if one.type])
        return {"accuracy": mean(score for _, score in scores), **grouped, **dict(sorted(types.items()))}

    return figures


def next_qa_groups(type: str) -> list[str]:
    """The first letter, and `Bef&Aft` of what came before and after, as `eval_mc.py` of the authors joins them."""
    return [type[:1], *(["Bef&Aft"] if type in ("TN", "TP") else [])]


def next_oe(records: Sequence[Record], rule: str) -> Figures:
    """WUPS@0 and @0.9 as `eval_oe.py` computes them; TP counts with TN, and groups are the first letters."""
    from .wups import next_oe as wups

    figures: Figures = {}
    for name, threshold in (("wups@0", 0.0), ("wups@0.9", 0.9)):
        scores = [(one.type, wups(said(one, rule), one.answers, one.type, threshold)) for one in records]
        figures[name] = mean(score for _, score in scores)
        figures.update({f"{name} {group}": value for group, value in by_group([(t[:1], s) for t, s in scores]).items()})
        types = by_group([("TN" if type == "TP" else type, score) for type, score in scores])
        figures.update({f"{name} {type}": value for type, value in sorted(types.items())})
    return figures


def labels(records: Sequence[Record], rule: str) -> Figures:
    """One label each: exact match, and with a closed list top-5, mean per class, mAP, area under the curve, d'."""
    hits = [metrics.same(said(one, rule), one.answers) for one in records]
    per_class = metrics.mean_per_class(hits, [one.answers[0] for one in records])
    figures = {"top-1": mean(map(float, hits)), "mean per class": per_class}
    lists = {one.options for one in records}
    if len(lists) == 1 and (names := next(iter(lists))) and all(one.answers[0] in names for one in records):
        scores = np.array([by_rule(one.scores, rule) for one in records])
        truth = np.array([names.index(one.answers[0]) for one in records])
        marks = truth[:, None] == np.arange(len(names))
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        area = metrics.over_classes(metrics.area_under_curve, shares, marks)
        figures["top-5"] = metrics.top_k(scores, truth, 5)
        figures["mAP"] = metrics.over_classes(metrics.average_precision, shares, marks)
        figures |= {"AUC": area, "d'": metrics.d_prime(area)}
    return figures


def many_labels(records: Sequence[Record], rule: str) -> Figures:
    """VGGSounder: the one label that was said against all labels of a clip, by what can be heard and seen."""
    found = [{said(one, rule)} for one in records]
    marks = [one.more.get("modality") or dict.fromkeys(one.answers, "AV") for one in records]
    figures: Figures = {}
    for wanted in ("all", "A", "V", "AV"):
        scores = metrics.vggsounder(found, marks, wanted)
        figures |= {f"{name} {wanted}": value for name, value in scores.items() if name != "rows"}
    return figures


OVO = {
    "backward": ("EPM", "ASI", "HLD"), "real-time": ("OCR", "ACR", "ATR", "STU", "FPD", "OJR"),
    "forward": ("REC", "SSR", "CRR"),
}  # fmt: skip


def ovo_bench(records: Sequence[Record], rule: str) -> Figures:
    """The mean of the three groups' means of tasks, the groups, the tasks."""
    tasks = by_group([(one.type, right(one, rule)) for one in records])
    groups = {name: mean(tasks[task] for task in members if task in tasks) for name, members in OVO.items()}
    groups = {name: value for name, value in groups.items() if value == value}
    return {"mean of groups": mean(groups.values()), **groups, **tasks}


def streamingbench(records: Sequence[Record], rule: str) -> Figures:
    """Multiple choice alone: proactive questions have no options and are counted in `proactive`, by exact match."""
    asked = [one for one in records if one.options]
    figures = choice()(asked, rule) if asked else {"accuracy": float("nan")}
    if proactive := [one for one in records if not one.options]:
        figures["proactive"] = mean(float(metrics.same_whatever_case(one.answer, one.answers)) for one in proactive)
    return figures


RELATIONS = ("motion", "spatial", "temporal")


def activitynet(records: Sequence[Record], rule: str) -> Figures:
    """All, `free` (everything but motion, spatial and temporal relations), the types; and `free (authors' script)`: it
    divides what is right of the free types by the questions of all types but the first three *that appear* in the
    file, which is another number wherever the file does not begin with the three relations."""
    figures = exact(metrics.same, lambda type: [] if type in RELATIONS else ["free"])(records, rule)
    counts = Counter(one.type for one in records)  # in the order in which they appear
    right_free = sum(metrics.same(said(one, rule), one.answers) for one in records if one.type not in RELATIONS)
    if divisor := sum(list(counts.values())[len(RELATIONS) :]):
        figures["free (authors' script)"] = right_free / divisor
    return figures


TASKS = {
    task.name: task
    for task in (
        Task("msrvtt-qa", "say", exact(metrics.same)),
        Task("msvd-qa", "say", exact(metrics.same)),
        Task("activitynet-qa", "say", activitynet),
        Task("music-avqa", "say", exact(metrics.same_whatever_case, lambda type: [type.rsplit(" ", 1)[0]])),
        Task("next-oe", "say", next_oe),
        Task("next-qa", "choose", choice(next_qa_groups)),
        *(Task(name, "choose", choice())
          for name in ("avqa", "daily-omni", "worldsense", "video-mme", "egoschema", "omnibench", "star",
                       "longvideobench", "video-choices")),
        *(Task(name, "label", labels)
          for name in ("vggsound", "kinetics-400", "kinetics-600", "kinetics-700", "kinetics-sounds", "epic-sounds",
                       "esc-50", "urbansound8k", "ucf101")),
        Task("vggsounder", "label", many_labels),
        Task("ovo-bench", "choose", ovo_bench, online=True),
        Task("streamingbench", "choose", streamingbench, online=True),
    )
}  # fmt: skip


def score(task: Task, records: Sequence[Record], rule: str) -> dict[str, Figures]:
    """Figures of each row in percent, not rounded: who prints them rounds once. Records without a published answer
    count for nothing, and what was not asked at all has no figure."""
    rows: dict[str, list[Record]] = {}
    for record in records:
        if record.answers:
            rows.setdefault(record.row, []).append(record)
    # d' is a distance, not a share
    figures = {row: task.figures(some, rule) for row, some in rows.items()}
    return {
        row: {name: value if name == "d'" else 100 * value for name, value in found.items() if not math.isnan(value)}
        for row, found in figures.items()
    }
