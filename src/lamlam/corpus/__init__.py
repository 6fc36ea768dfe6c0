"""Documents, facts and probes, and their files."""

from lamlam.corpus.corpus import Corpus, FactRecord, Probe

__all__ = ["Corpus", "FactRecord", "Probe"]
