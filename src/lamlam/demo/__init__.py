"""The whole loop on the invented world, with its recipe beside it."""

from lamlam.demo.demo import run_demo

__all__ = ["run_demo"]
