"""Facts: identity, provenance, history; resolution; erasure."""

from lamlam.kb.fact import Fact, Resolution, Source, Status
from lamlam.kb.store import KnowledgeBase, Revision
from lamlam.kb.view import View
from lamlam.kb.writer import AddReport

__all__ = ["AddReport", "Fact", "KnowledgeBase", "Resolution", "Revision", "Source", "Status", "View"]
