"""Documents, facts and probes, and the files that they stand in."""

from lamlam.corpus.corpus import Corpus, FactRecord, Probe

__all__ = ["Corpus", "FactRecord", "Probe"]
