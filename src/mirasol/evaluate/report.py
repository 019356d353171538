"""From answered Toybox questions to a report: plain values for a JSON file, and tables for people.

rows.<row>.<split>.overall, rows.<row>.<split>.types.<type>   percent right
blind.<type>                          percent of the best blind guess
questions.<split>.<type>              how many were asked
needs.<needs>.<row>.<split>.<type>    percent right of the questions that need picture, sound or both
blind_needs.<needs>.<type>            their blind guess
without                               accuracy beside the blind guess where what a question needs is missing
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mirasol.media.toybox import QUESTION_TYPES

from .toybox import Answered, percentages

NEEDS = ("picture", "sound", "both")
# needs of a question, and the rows in which what it needs is missing
MISSING = {"sound": ("picture",), "picture": ("sound",), "both": ("picture", "sound")}


def summarise(answered: Sequence[Answered], blind: Mapping[str, float]) -> dict[str, Any]:
    """The report as plain values; `blind` comes from `toybox.blind_figures(split, by_needs=True)`."""
    groups: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for one in answered:
        groups[one.row, one.split].append(one)
    rows: dict[str, Any] = defaultdict(dict)
    needs: dict[str, Any] = {name: defaultdict(dict) for name in NEEDS}
    questions: dict[str, dict[str, int]] = {}
    for (row, split), group in groups.items():
        types = by_type(group)
        rows[row][split] = {"overall": percentages(group)["overall"], "types": types}
        count = Counter(one.type for one in group)
        questions[split] = {"overall": len(group), **{type: count[type] for type in types}}
        for name in NEEDS:
            if some := [one for one in group if one.needs == name]:
                needs[name][row][split] = by_type(some)
    asked = {(one.type, one.needs) for one in answered}
    return {
        "rows": rows,
        "blind": {type: blind[type] for type in QUESTION_TYPES if type in blind},
        "blind_overall": blind["overall"],
        "needs": {name: value for name, value in needs.items() if value},
        "blind_needs": {
            name: {t: blind[f"{t}/{name}"] for t in QUESTION_TYPES if (t, name) in asked and f"{t}/{name}" in blind}
            for name in NEEDS
        },
        "without": without(answered, blind),
        "questions": questions,
    }


def by_type(answered: Sequence[Answered]) -> dict[str, float]:
    """Percent right by type, in the order in which the types are listed."""
    figures = percentages(answered)
    return {type: figures[type] for type in QUESTION_TYPES if type in figures}


def without(answered: Sequence[Answered], blind: Mapping[str, float]) -> list[dict[str, Any]]:
    """Accuracy beside the blind figure for questions whose sound or picture was taken away: it should be no better."""
    groups: dict[tuple[str, str, str, str], list[bool]] = defaultdict(list)
    for one in answered:
        if one.row in MISSING[one.needs]:
            groups[one.needs, one.type, one.row, one.split].append(one.right)
    lines = []
    for (needs, type, row, split), right in groups.items():
        accuracy, guess = 100 * sum(right) / len(right), blind.get(f"{type}/{needs}", blind.get(type, 0.0))
        lines.append(
            {"needs": needs, "type": type, "row": row, "split": split, "accuracy": accuracy, "blind": guess,
             "above_blind": accuracy - guess, "questions": len(right)}
        )  # fmt: skip
    order = list(QUESTION_TYPES)
    return sorted(lines, key=lambda line: (line["split"], line["needs"], line["row"], order.index(line["type"])))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns set under each other: the first to the left, numbers to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    texts = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def tables(report: Mapping[str, Any]) -> str:
    """The report for people: a table by question type for each split, then what is left without picture or sound."""
    parts = []
    rows = report["rows"]
    for split, questions in report["questions"].items():
        names = [row for row in rows if split in rows[row]]
        lines = [
            [type, *(f"{rows[row][split]['types'][type]:.1f}" for row in names),
             f"{report['blind'].get(type, 0):.1f}", str(questions[type])]
            for type in questions if type != "overall"
        ]  # fmt: skip
        lines.append(
            ["all", *(f"{rows[row][split]['overall']:.1f}" for row in names),
             f"{report['blind_overall']:.1f}", str(questions["overall"])]
        )  # fmt: skip
        parts.append(f"{split}: percent right\n" + table([split, *names, "blind", "questions"], lines))
    lines = [
        [line["type"], line["needs"], line["row"], line["split"], f"{line['accuracy']:.1f}", f"{line['blind']:.1f}",
         f"{line['above_blind']:+.1f}", str(line["questions"])]
        for line in report["without"]
    ]  # fmt: skip
    if lines:
        head = ["type", "needs", "given only", "split", "right", "blind", "above blind", "questions"]
        parts.append("without what the question needs: percent right\n" + table(head, lines))
    return "\n\n".join(parts)
