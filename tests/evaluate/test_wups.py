"""WUPS: word by word as NLTK 3.3 and pywsd 1.2.4 give it, and the published figures of NExT-OE's own predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation_files import real_file
from mirasol.data.annotations import read_annotations
from mirasol.evaluate.stemming import stem
from mirasol.evaluate.tasks import TASKS, Record, score
from mirasol.evaluate.wups import content, likeness, next_oe, wups

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "wups.json").read_text())


def test_stems_base_forms_and_likeness_are_those_of_the_authors_tools() -> None:
    assert {word: stem(word) for word in GOLDEN["stem"]} == GOLDEN["stem"]
    assert {answer: content(answer) for answer in GOLDEN["content"]} == GOLDEN["content"]
    for one, other, value in GOLDEN["likeness"]:
        assert likeness(one, other) == pytest.approx(value, abs=1e-8), (one, other)


def test_official_predictions_have_the_published_figures() -> None:
    """NExT-OE's README: HGA on val, WUPS 21.48, causal 14.76, temporal 14.90, descriptive 46.60."""
    predictions = json.loads(real_file("next-oe/HGA-val-predictions.json").read_text())
    records = []
    for row in read_annotations(real_file("next-oe/val.csv")).rows:
        video, _, question = row.key.rpartition("_")
        said = predictions[video][question]
        records.append(Record("both", row.key, row.question, row.answers, row.type, said))
    figures = score(TASKS["next-oe"], records, "mean")["both"]
    published = {"": 21.48, " C": 14.76, " T": 14.90, " D": 46.60, " CW": 13.56, " CH": 18.14, " TN": 11.53,
                 " TC": 19.73, " DB": 57.76, " DC": 38.02, " DL": 43.71, " DO": 44.95}  # fmt: skip
    assert {group: round(figures[f"wups@0{group}"], 2) for group in published} == published
    assert figures["wups@0.9"] < figures["wups@0"]


def test_best_of_two_references_at_either_threshold() -> None:
    for threshold in (0.0, 0.9):
        alone = [next_oe("sitting on a couch", [reference], "CH", threshold) for reference in ("sofa", "a red chair")]
        assert next_oe("sitting on a couch", ["sofa", "a red chair"], "CH", threshold) == max(alone)
    near = wups("street", "house", 0.0)
    assert 0 < near < 0.9
    assert wups("street", "house", 0.9) == pytest.approx(0.1 * near)


@pytest.mark.parametrize(
    ("answer", "references", "type", "value"),
    [
        ("Two dogs", ["two dog"], "DC", 1.0),
        ("two", ["three"], "DC", 0.0),
        ("three", ["two", "three"], "DC", 1.0),
        ("yes", ["yes"], "DB", 1.0),
        ("", ["house"], "DL", 0.0),
        ("the", ["house"], "DL", 0.0),
        ("house", ["house"], "DL", 1.0),
        ("it is the house", ["house"], "DL", 1.0),
    ],
)
def test_exact_types_and_empty_answers(answer: str, references: list[str], type: str, value: float) -> None:
    assert next_oe(answer, references, type, 0.0) == next_oe(answer, references, type, 0.9) == value
