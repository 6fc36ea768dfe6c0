"""Decoding with lookups."""

from lamlam.engine.engine import Engine
from lamlam.engine.generation import CallBegun, CallResolved, Done, Event, Generation, Lookup, TextWritten
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
    "RemoteEngine",
    "TextWritten",
]
