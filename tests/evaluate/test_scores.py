"""Scores against their plainest definitions on random inputs."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from annotation_files import real_file
from mirasol.data.annotations import read_annotations
from mirasol.evaluate import metrics
from mirasol.evaluate.tasks import TASKS, Record, score


def test_top_k_and_mean_per_class_by_counting() -> None:
    chance = np.random.default_rng(1)
    scores, truth = chance.normal(size=(40, 7)), chance.integers(0, 7, 40)
    for k in (1, 3, 7):
        hits = [truth[n] in sorted(range(7), key=lambda c: -scores[n, c])[:k] for n in range(40)]
        assert metrics.top_k(scores, truth, k) == pytest.approx(np.mean(hits))
    assert metrics.top_k(np.zeros((5, 6)), np.arange(5), 1) == pytest.approx(1 / 5)  # nothing won by equal scores
    right = [bool(value) for value in chance.integers(0, 2, 40)]
    classes = [np.mean([r for r, t in zip(right, truth, strict=True) if t == c]) for c in set(truth.tolist())]
    assert metrics.mean_per_class(right, truth.tolist()) == pytest.approx(np.mean(classes))


def test_average_precision_and_area_by_their_definitions() -> None:
    chance = np.random.default_rng(2)
    for ties in (False, True):
        scores = chance.integers(0, 6, 50).astype(float) if ties else chance.normal(size=50)
        truth = chance.random(50) < 0.3
        pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
        assert metrics.area_under_curve(scores, truth) == pytest.approx(np.mean(pairs))
        precisions = []  # each true row: of all rows that score as high or higher, how many are true
        for value in scores[truth]:
            precisions.append(truth[scores >= value].mean())
        assert metrics.average_precision(scores, truth) == pytest.approx(np.mean(precisions))
    assert math.isnan(metrics.average_precision(np.ones(4), np.zeros(4, bool)))
    assert metrics.d_prime(0.5) == pytest.approx(0.0)


def test_label_sets_by_modality() -> None:
    marks = [{"a": "A", "b": "AV"}, {"c": "V"}, {"d": "AV", "e": "V", "f": "A"}]
    found = [{"b"}, {"a"}, {"d", "e"}]
    whole = metrics.vggsounder(found, marks, "all")
    assert whole["hit"] == pytest.approx(2 / 3)
    assert whole["f1"] == pytest.approx((2 / 3 + 0 + 4 / 5) / 3)
    assert whole["f1_micro"] == pytest.approx(2 * 3 / (3 + 2 + 5))
    seen = metrics.vggsounder(found, marks, "V")
    assert (seen["accuracy"], seen["rows"]) == (pytest.approx(2 / 3), 3)
    assert metrics.vggsounder(found, marks, "A")["rows"] == 2
    assert metrics.modality_confusion([True, True, False, True], [True, False, False, False]) == 0.5


def test_activitynet_figures_are_those_of_a_plain_count() -> None:
    """Types, `free` (all but the first three) and all, over a real file and predictions of which some are right."""
    rows = read_annotations(real_file("activitynet-qa/val_q.json")).rows
    chance = random.Random(3)
    answers = [row.answers[0] if chance.random() < 0.4 else chance.choice(rows).answers[0] for row in rows]
    records = [
        Record("both", row.key, row.question, row.answers, row.type, said)
        for row, said in zip(rows, answers, strict=True)
    ]
    figures = score(TASKS["activitynet-qa"], records, "mean")["both"]
    raw = json.loads(real_file("activitynet-qa/val_a.json").read_text())
    said = {record.key: record.answer for record in records}
    hits = [(one["type"], said[one["question_id"]] == one["answer"]) for one in raw]
    assert figures["accuracy"] == pytest.approx(100 * np.mean([hit for _, hit in hits]), abs=1e-3)
    assert figures["free"] == pytest.approx(100 * np.mean([hit for type, hit in hits if type >= 3]), abs=1e-3)
    # The authors' script divides by the counts of all types but the first three that it met.
    counts: dict[int, int] = {}
    for type, _ in hits:
        counts[type] = counts.get(type, 0) + 1
    theirs = sum(hit for type, hit in hits if type >= 3) / sum(list(counts.values())[3:])
    assert figures["free (authors' script)"] == pytest.approx(100 * theirs, abs=1e-3)
    for code, name in enumerate(("motion", "spatial", "temporal", "yes/no")):
        assert figures[name] == pytest.approx(100 * np.mean([hit for type, hit in hits if type == code]), abs=1e-3)


def record(key: str, type: str, correct: int | None, scores: list[tuple[float, int]], **more) -> Record:  # type: ignore[no-untyped-def]
    options = ("red", "a blue car", "two", "left", "right")[: len(scores)]
    return Record("both", key, "q", (options[correct],) if correct is not None else (), type, options=options,
                  correct=correct, scores=tuple(scores), **more)  # fmt: skip


def test_choice_by_either_rule_and_groups() -> None:
    """`mean` and `sum` disagree where a long option is likely by token; no published answer counts for nothing."""
    records = [
        record("1", "CW", 1, [(-2.0, 1), (-3.0, 3)]),
        record("2", "TN", 0, [(-2.0, 1), (-3.0, 3)]),
        record("3", "TN", None, [(-2.0, 1), (-3.0, 3)]),
    ]
    by_mean, by_sum = (score(TASKS["next-qa"], records, rule)["both"] for rule in ("mean", "sum"))
    assert (by_mean["C"], by_mean["T"], by_mean["accuracy"]) == (100, 0, 50)
    assert (by_sum["C"], by_sum["T"], by_sum["accuracy"]) == (0, 100, 50)


def test_next_qa_groups_are_those_of_its_authors() -> None:
    """`Bef&Aft` counts the questions of TN and TP together, and is no mean of the two."""
    good, bad = [(-1.0, 1), (-2.0, 1)], [(-2.0, 1), (-1.0, 1)]
    kinds = [("TN", good), ("TN", bad), ("TN", bad), ("TP", good), ("TC", good), ("CH", bad), ("DO", good)]
    records = [record(str(at), type, 0, scores) for at, (type, scores) in enumerate(kinds)]
    figures = score(TASKS["next-qa"], records, "sum")["both"]
    assert {name: figures[name] for name in ("Bef&Aft", "TN", "TP", "T", "C", "D")} == {
        "Bef&Aft": 50, "TN": pytest.approx(100 / 3), "TP": 100, "T": 60, "C": 0, "D": 100
    }  # fmt: skip


def test_figures_are_rounded_once() -> None:
    """25.2055 is 25.21 by two places; rounded to three first it would be 25.20."""
    good, bad = [(-1.0, 1), (-2.0, 1)], [(-2.0, 1), (-1.0, 1)]
    records = [record(str(at), "CH", 0, good if at < 1012 else bad) for at in range(4015)]
    figure = score(TASKS["next-qa"], records, "sum")["both"]["accuracy"]
    assert figure == pytest.approx(100 * 1012 / 4015, abs=1e-12)
    assert f"{figure:.2f}" == f"{100 * 1012 / 4015:.2f}" == "25.21"


def test_what_was_not_asked_has_no_figure() -> None:
    """So that a result is JSON that others read, too."""
    proactive = Record("both", "1", "when?", ("goal",), "p", "goal")
    assert score(TASKS["streamingbench"], [proactive], "mean") == {"both": {"proactive": 100.0}}
    json.dumps(
        score(TASKS["vggsounder"], [replace(proactive, more={"modality": {"goal": "A"}})], "mean"), allow_nan=False
    )


def test_a_question_without_options_is_right_if_its_answer_is_said() -> None:
    said = [replace(record(str(at), "Interaction", None, []), answers=("The food.",), answer=answer)
            for at, answer in enumerate(("the food.", "the table", ""))]  # fmt: skip
    assert score(TASKS["star"], said, "mean")["both"]["accuracy"] == pytest.approx(100 / 3)


def test_ovo_is_the_mean_of_its_groups() -> None:
    good, bad = [(-1.0, 1), (-2.0, 1)], [(-2.0, 1), (-1.0, 1)]
    records = [record("1", "EPM", 0, good), record("2", "EPM", 0, bad), record("3", "OCR", 0, good),
               record("4", "REC", 0, bad)]  # fmt: skip
    figures = score(TASKS["ovo-bench"], records, "sum")["both"]
    assert (figures["backward"], figures["real-time"], figures["forward"]) == (50, 100, 0)
    assert figures["mean of groups"] == 50


@pytest.mark.parametrize(
    ("answer", "references", "plain", "loose"),
    [
        ("acoustic guitar", ["acoustic_guitar"], False, True),
        ("Yes", ["yes"], False, True),
        (" yes ", ["yes"], True, True),
        ("more than ten", ["ten"], False, False),
    ],
)
def test_exact_match(answer: str, references: list[str], plain: bool, loose: bool) -> None:
    assert metrics.same(answer, references) is plain
    assert metrics.same_whatever_case(answer, references) is loose
