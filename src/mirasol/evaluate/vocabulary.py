"""What an evaluation needs beside the rows: the annotation file in a folder, and closed lists of answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mirasol.data.annotations import Annotations, read_annotations

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".parquet")
DEPTH = 3  # folders below the one that was named


def find_annotations(folder: Path, format: str, split: str | None) -> Path:
    """The one annotation file of a format (and split) in a folder; `ValueError` where there is none, or several."""
    files = [path for depth in range(DEPTH) for path in sorted(folder.glob("*/" * depth + "*"))
             if path.suffix.lower() in SUFFIXES and path.is_file()]  # fmt: skip
    found: dict[Path, Annotations] = {}
    for path in files:
        try:
            annotations = read_annotations(path)
        except ValueError:
            continue  # result files, mappings and whatever else lies there
        if annotations.format == format and (split is None or split in annotations.splits()):
            found[path] = annotations
    if len(found) > 1 and len({tuple(row.key for row in one.rows) for one in found.values()}) == 1:
        found = dict([next(iter(found.items()))])  # questions and answers of one set, which are read together
    wanted = format if split is None else f"{format}, split {split},"
    if not found:
        raise ValueError(f"found no annotation file of {wanted} in {folder}; name it with --annotations FILE")
    if len(found) > 1:
        names = ", ".join(str(path) for path in found)
        raise ValueError(f"found several annotation files of {wanted} ({names}); name one: --annotations or --split")
    return next(iter(found))


def make_vocabulary(wanted: str | None, annotations: Annotations) -> tuple[str, ...]:
    """`labels`: the closed list of the data set. A file, or FILE:N: all answers of that file's rows (the training
    split, usually), or the N commonest; of equally common ones the first in the alphabet."""
    if wanted is None:
        return ()
    if wanted == "labels":
        if not annotations.labels:
            raise ValueError(f"{annotations.format} has no closed list of labels; give an annotation file instead")
        return annotations.labels
    name, colon, number = wanted.rpartition(":")
    path, most = (name, int(number)) if colon and number.isdigit() else (wanted, None)
    counts = Counter(row.answers[0] for row in read_annotations(path).rows if row.answers)
    if not counts:
        raise ValueError(f"expected answers in {path}, found none")
    order = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(order[:most])
