"""From documents and facts to annotated documents."""

from lamlam.annotate.align import Aligner, Alignment, UnplacedReason

__all__ = ["Aligner", "Alignment", "UnplacedReason"]
