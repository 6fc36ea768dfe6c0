"""The relations that T-REx and ParaRel ask for, by Wikidata's identifiers: labels and wordings, read from a file.

The wordings are our own: ParaRel's data as it is read here holds pairs of subject and object, and no patterns.
"""

from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lamlam.checked import checked

__all__ = ["Wording", "relations"]


class Wording(BaseModel):
    """`label` names the relation in a knowledge base; each of `wordings` has a `{subject}` and stops at the object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1)
    wordings: tuple[str, ...] = Field(min_length=4)

    @field_validator("wordings")
    @classmethod
    def _check(cls, wordings: tuple[str, ...]) -> tuple[str, ...]:
        if any(wording.count("{subject}") != 1 for wording in wordings) or len(set(wordings)) < len(wordings):
            raise ValueError("wordings must differ, and have one {subject} each")
        return wordings

    def prompts(self, subject: str) -> list[str]:
        """The wordings about `subject`, in their order."""
        return [wording.replace("{subject}", subject) for wording in self.wordings]


def relations() -> dict[str, Wording]:
    """All relations by their identifier ("P19")."""
    text = files("lamlam.evaluate.slots").joinpath("relations.yaml").read_text(encoding="utf-8")
    return {name: checked(Wording, fields) for name, fields in yaml.safe_load(text).items()}
