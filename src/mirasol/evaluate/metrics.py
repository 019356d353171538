"""Scores as pure functions of answers and references; nothing here knows a model or a file.

Shares are 0 to 1. A `NaN` stands where nothing was asked.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from statistics import NormalDist

import numpy as np


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def same(answer: str, references: Collection[str]) -> bool:
    """Equal as it stands but for space at the ends: MSRVTT-QA, MSVD-QA, ActivityNet-QA and lists of labels."""
    return answer.strip() in {reference.strip() for reference in references}


def same_whatever_case(answer: str, references: Collection[str]) -> bool:
    """MUSIC-AVQA's 42 answers, whatever the case and whether words are joined by spaces or underscores."""

    def plain(text: str) -> str:
        return " ".join(text.lower().replace("_", " ").split())

    return plain(answer) in set(map(plain, references))


def by_group(scores: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The mean score of each group, in the order in which groups first appear."""
    groups: dict[str, list[float]] = defaultdict(list)
    for name, score in scores:
        groups[name].append(score)
    return {name: mean(values) for name, values in groups.items()}


# -- one label of many -------------------------------------------------------------------------------------------------


def top_k(scores: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Share of rows of `scores` (rows, classes) whose class `truth` (rows,) is among the k highest. Of equal scores the
    lower class goes first, so that scores that are all equal are no hit by chance."""
    assert scores.ndim == 2
    assert truth.shape == scores.shape[:1]
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    lower = np.arange(scores.shape[1])[None, :] < truth[:, None]
    ahead = ((scores > own) | ((scores == own) & lower)).sum(axis=1)
    return float((ahead < k).mean()) if len(scores) else math.nan


def mean_per_class(right: Sequence[bool], truth: Sequence[Hashable]) -> float:
    """The mean over classes of the share right, each class counting alike however often it occurs."""
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for value, label in zip(right, truth, strict=True):
        groups[label].append(value)
    return mean(mean(values) for values in groups.values())


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of one class: (rows,) scores and (rows,) bool; the mean precision at each true row. Rows with equal scores count
    as one step, so their order does not matter."""
    if not truth.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], truth[order].astype(float)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last row of each run of equal scores
    hits = np.cumsum(found)[ends]
    new = np.diff(hits, prepend=0)
    return float((new * hits / (ends + 1)).sum() / found.sum())


def area_under_curve(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of one class: the chance that a true row scores above a false one; equal scores count half."""
    true, false = scores[truth], np.sort(scores[~truth])
    if not len(true) or not len(false):
        return math.nan
    below, upto = np.searchsorted(false, true, "left"), np.searchsorted(false, true, "right")
    return float((below + upto).mean() / (2 * len(false)))


def over_classes(measure: Callable[[np.ndarray, np.ndarray], float], scores: np.ndarray, truth: np.ndarray) -> float:
    """The mean of a measure over the classes that occur; `truth` (rows, classes) bool."""
    values = [measure(scores[:, at], truth[:, at]) for at in range(scores.shape[1])]
    return mean(value for value in values if not math.isnan(value))


def d_prime(area: float) -> float:
    """Distance of two normal distributions of width 1 with this area under the curve."""
    return math.sqrt(2) * NormalDist().inv_cdf(min(max(area, 1e-9), 1 - 1e-9))


# -- several labels a row ----------------------------------------------------------------------------------------------


def labels_score(found: Sequence[Collection[str]], truth: Sequence[Collection[str]]) -> dict[str, float]:
    """Rows with any number of labels: `hit` (one found is true), `accuracy` (all are, and no other), `f1` of each row's
    labels, and `f1_micro` over all labels of all rows. Rows without a true label are left out."""
    pairs = [(set(f), set(t)) for f, t in zip(found, truth, strict=True) if t]
    both = sum(len(f & t) for f, t in pairs)
    told = sum(len(f) + len(t) for f, t in pairs)
    return {
        "hit": mean(float(bool(f & t)) for f, t in pairs),
        "accuracy": mean(float(f == t) for f, t in pairs),
        "f1": mean(2 * len(f & t) / (len(f) + len(t)) for f, t in pairs),
        "f1_micro": 2 * both / told if told else math.nan,
        "rows": len(pairs),
    }


def vggsounder(
    found: Sequence[Collection[str]], modality: Sequence[Mapping[str, str]], wanted: str
) -> dict[str, float]:
    """`labels_score` with the labels that can be heard (`A`: marked A or AV), seen (`V`: V or AV), or both (`AV`: AV
    alone); `modality` is label -> A, V or AV of each row. `all` takes every label."""
    marks = {"A": ("A", "AV"), "V": ("V", "AV"), "AV": ("AV",), "all": ("A", "V", "AV")}[wanted]
    return labels_score(found, [[label for label, mark in row.items() if mark in marks] for row in modality])


def modality_confusion(alone: Sequence[bool], together: Sequence[bool]) -> float:
    """Share of rows that are right with one modality alone, and no longer when the other is added."""
    return mean(float(a and not t) for a, t in zip(alone, together, strict=True))
