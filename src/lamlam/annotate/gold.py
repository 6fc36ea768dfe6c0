"""Which side of the gold annotations a document is on: what is learnt from is never what is reported.

The side follows from a document's title, so that passages of one article are all on one side, and does not change with
the file, the order or the annotator.
"""

import hashlib
from enum import StrEnum

from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument
from lamlam.text import title_of

__all__ = ["Split", "gold_split"]

_PARTS = 10
_OPENING = 40  # letters and digits of a text without a title: models alter spaces and signs, and cut texts off


class Split(StrEnum):
    """Eight tenths to learn from, one to set thresholds and to stop by, one to report on."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


def gold_split(document: AnnotatedDocument) -> Split:
    """The side that a document is on, by a hash of its title, or of how its text begins where it has none."""
    title = document.title or title_of(document.text)
    key = normalise(title) or _opening(document.text)
    part = int.from_bytes(hashlib.sha256(key.encode()).digest()) % _PARTS
    return (Split.CALIBRATION, Split.TEST)[part] if part < 2 else Split.TRAIN


def _opening(text: str) -> str:
    signs = [sign for sign in normalise(text) if sign.isalnum()]
    return "".join(signs[:_OPENING])
