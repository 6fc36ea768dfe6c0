"""An invented world whose every fact is known."""

from lamlam.world.schema import WorldSettings
from lamlam.world.world import World

__all__ = ["World", "WorldSettings"]
