"""The command line: one verb a module, no logic of its own."""

from lamlam.cli.app import main

__all__ = ["main"]
