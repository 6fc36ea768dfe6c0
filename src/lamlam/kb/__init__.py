"""Facts: identity, provenance, history; resolution; erasure."""

from lamlam.kb.fact import Fact, Resolution, Source, Status

__all__ = ["Fact", "Resolution", "Source", "Status"]
