"""Files of predictions in the forms of the benchmarks' own repositories, through the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from annotation_files import real_file
from mirasol import cli
from mirasol.data.annotations import Row
from mirasol.evaluate.predictions import read_predictions

ROWS = [
    Row("v1_0", "v1", (), "q", ("b",), ("a", "b", "c"), 1, "CW"),
    Row("v1_1", "v1", (), "q", ("a",), ("a", "b", "c"), 0, "TN"),
    Row("v_-x_2", "-x", (), "q", ("dog",), type="DL"),
]


def test_every_form_says_the_same(tmp_path: Path) -> None:
    forms: list[Any] = [
        {"v1_0": {"prediction": 1, "answer": 1}, "v_-x_2": "dog"},
        {"v1": {"0": "b"}, "v_-x": {"2": "dog"}},
        [{"question_id": "v1_0", "answer": "b"}, {"question_id": "v_-x_2", "answer": "dog"}],
        [{"key": "v1_0", "prediction": 1}, {"key": "v_-x_2", "prediction": "dog"}],
    ]
    found = []
    for form in forms:
        (path := tmp_path / "p.json").write_text(json.dumps(form))
        found.append(read_predictions(path, ROWS))
    assert all(one == found[0] for one in found)
    records, missing = found[0]
    assert missing == 1
    assert [one.answer for one in records] == ["b", "", "dog"]
    for bad, why in (({"v9_0": "a"}, "do not ask"), ({"v1_0": "d"}, "an option"), ([1], "known forms")):
        path.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=why):
            read_predictions(path, ROWS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[{"question_id": "v1_0", "answer": "b"}, {"question_id": "v1_0", "answer": "c"}]', "'v1_0' more than once"),
        ('[{"key": 7, "answer": "b"}, {"question_id": "7", "answer": "b"}]', "'7' more than once"),
        ('{"v1_0": "b", "v1_0": "c"}', "'v1_0' stands twice"),
        ('{"v1": {"0": "b"}, "v1_0": "c"}', "'v1_0' more than once"),
        ('{"v1_0": {"prediction": 1, "prediction": 2}}', "'prediction' stands twice"),
        ('{"v1_0": NaN}', "NaN"),
        ('{"v1_0": ["b"]}', "a text or a place"),
        ('[{"answer": "b"}]', "known forms"),
        ("3", "known forms"),
        ("[" * 5000, "nested too deep"),
    ],
)
def test_what_answers_twice_or_nothing_is_named(tmp_path: Path, text: str, named: str) -> None:
    (path := tmp_path / "p.json").write_text(text)
    with pytest.raises(ValueError, match=named) as error:
        read_predictions(path, ROWS)
    assert "\n" not in str(error.value)


def test_the_command_prints_the_published_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, rows = (str(real_file(f"next-oe/{name}")) for name in ("HGA-val-predictions.json", "val.csv"))
    monkeypatch.setattr(sys, "argv", ["mirasol", "evaluate", "next-oe", "--predictions", predictions,
                                      "--annotations", rows])  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert "21.48" in capsys.readouterr().out
