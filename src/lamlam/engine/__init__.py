"""Decoding with lookups."""

from lamlam.engine.engine import Engine
from lamlam.engine.generation import (
    CallBegun,
    CallResolved,
    Done,
    Event,
    Generation,
    Lookup,
    TextWritten,
    TokenLogProb,
)
from lamlam.engine.prompt import Prompt
from lamlam.engine.remote import RemoteEngine
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.source import FactSource

__all__ = [
    "CallBegun",
    "CallResolved",
    "DecodingSettings",
    "Done",
    "Engine",
    "Event",
    "FactSource",
    "Generation",
    "Lookup",
    "Prompt",
    "RemoteEngine",
    "TextWritten",
    "TokenLogProb",
]
