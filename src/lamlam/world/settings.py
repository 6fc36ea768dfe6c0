"""The settings of an invented world."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Size", "WorldSettings"]

Size = Literal["demo", "full"]


class WorldSettings(BaseModel):
    """How large an invented world is, and how often its training text speaks of each entity.

    `people` sets the scale: the numbers of cities, companies, universities and works follow from it. `size` sets the
    language: "demo" has ten relations and four wordings for each, "full" has all of them. Each kind of entity
    has a share `kb_only` whose facts are in the knowledge base alone. The number of documents about an entity is drawn
    from a power law: P(n) is proportional to n ** -exponent for n from 1 to `max_mentions`.

    Raises pydantic's `ValidationError`, which names the field, for unknown keys and for values out of range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: int = Field(default=3000, ge=20, description="how many people there are")
    seed: int = Field(default=0, description="the same settings and seed give the same world")
    size: Size = Field(default="full", description="demo: few relations and wordings; full: all of them")
    kb_only: float = Field(default=0.1, ge=0.0, le=0.5, description="share of entities in the knowledge base alone")
    max_mentions: int = Field(default=50, ge=1, description="most training documents that state one fact")
    exponent: float = Field(default=2.0, gt=0.0, description="of the power law of mentions")
    heldout: float = Field(default=0.05, ge=0.0, le=1.0, description="held-out documents, as a share of training's")
    probes: int = Field(default=300, ge=0, description="most probes in each group")
