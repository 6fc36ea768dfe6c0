"""From documents and facts to annotated documents."""

from lamlam.annotate.align import Aligner, Alignment, Reason

__all__ = ["Aligner", "Alignment", "Reason"]
