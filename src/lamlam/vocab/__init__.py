"""Control tokens, ids and loss mask."""

from lamlam.vocab.encoding import IGNORE_INDEX, Arm, Encoded, Kind, encode, labels, opened
from lamlam.vocab.vocabulary import CONTROL_TOKENS, Vocabulary

__all__ = ["CONTROL_TOKENS", "IGNORE_INDEX", "Arm", "Encoded", "Kind", "Vocabulary", "encode", "labels", "opened"]
