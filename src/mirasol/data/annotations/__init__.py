"""Annotation files of public data sets, read as their authors published them.

from mirasol.data.annotations import MediaFolder, read_annotations, to_items
annotations = read_annotations("next-qa/val.csv")     # the format is recognised by what the file holds
items = to_items(annotations, MediaFolder("films"))   # for training
"""

from .folders import MediaFolder
from .formats import FORMATS, format_of, read_annotations, recognise
from .rows import Annotations, Row, by_media, to_items

__all__ = [
    "FORMATS", "Annotations", "MediaFolder", "Row", "by_media", "format_of", "read_annotations", "recognise",
    "to_items",
]  # fmt: skip
