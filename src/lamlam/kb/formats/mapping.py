"""How nested JSON is read as facts: a small YAML file, checked when it is loaded."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lamlam.corpus.lines import read_text
from lamlam.errors import InputError

__all__ = ["AliasRule", "KeyPath", "Mapping", "SplitRule", "load_mapping", "under"]


def _keys(path: object) -> object:
    return tuple(key.strip() for key in path.split(">")) if isinstance(path, str) else path


def _marks(marks: object) -> object:
    return (marks,) if isinstance(marks, str) else marks


Marks = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_marks)]
KeyPath = Annotated[tuple[str, ...], BeforeValidator(_keys)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AliasRule(_Checked):
    """Where other names of the entity are; `split` separates several. What is longer is not a name."""

    path: KeyPath
    split: Marks = ()
    longest: int = Field(default=60, gt=0)


class SplitRule(_Checked):
    """Whose values are lists in one text, and what separates the items. Brackets hold an item together."""

    path: KeyPath
    at: Marks


class Mapping(_Checked):
    """Which keys of nested JSON name the entity, which are facts, and how they are read.

    A path is the keys from the outside in, with ` > ` between them; `*` stands for any one key.
    """

    files: tuple[str, ...] = ("*.json",)
    entity: tuple[KeyPath, ...] = Field(min_length=1)
    names: dict[str, str] = {}
    aliases: tuple[AliasRule, ...] = ()
    skip: tuple[KeyPath, ...] = ()
    outer: int = Field(default=0, ge=0)
    text: tuple[str, ...] = ()
    split: tuple[SplitRule, ...] = ()
    nothing: tuple[str, ...] = ()
    longest: int | None = Field(default=None, gt=0)
    html: bool = False
    source: Literal["path", "file"] = "path"

    def chooses(self, path: Path) -> bool:
        """Whether a file of a folder should be read; patterns are compared with the end of its path."""
        return any(fnmatchcase(path.absolute().as_posix(), f"*/{pattern}") for pattern in self.files)

    def name_of(self, path: Path) -> str | None:
        """Return the entity of a file that the mapping names; None for other files."""
        whole = path.absolute().as_posix()
        return next((name for file, name in self.names.items() if whole.endswith(f"/{file}")), None)


def under(keys: tuple[str, ...], path: tuple[str, ...], *, exactly: bool = False) -> bool:
    """Whether keys lead to a path or below it, or, with `exactly`, to just that one."""
    if len(keys) < len(path) or (exactly and len(keys) != len(path)):
        return False
    return all(wanted in ("*", key.strip()) for wanted, key in zip(path, keys, strict=False))


def load_mapping(path: str | Path) -> Mapping:
    """Load the mapping of a YAML file. Raises `InputError` that names the field."""
    try:
        return Mapping.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("is not valid YAML", path=path, line=mark.line + 1 if mark else None) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or None
        raise InputError(first["msg"], path=path, field=field) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is not valid YAML", path=path) from error
