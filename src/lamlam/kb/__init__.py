"""Facts: identity, provenance, history; resolution; erasure."""

from lamlam.kb.fact import Fact, Resolution, Source, Status
from lamlam.kb.remains import Certificate
from lamlam.kb.store import KnowledgeBase
from lamlam.kb.summary import Revision, Stats
from lamlam.kb.view import View
from lamlam.kb.writer import AddReport

__all__ = [
    "AddReport",
    "Certificate",
    "Fact",
    "KnowledgeBase",
    "Resolution",
    "Revision",
    "Source",
    "Stats",
    "Status",
    "View",
]
