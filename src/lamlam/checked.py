"""Settings that a user wrote, checked by the class that holds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lamlam.errors import InputError

__all__ = ["checked"]

Settings = TypeVar("Settings", bound=BaseModel)


def checked(kind: type[Settings], given: Mapping[str, Any], path: str | Path | None = None) -> Settings:
    """The settings; numbers may be given as text. Raises `InputError` that names the field, and the file `path`."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = "unknown setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(reason, path=path, field=".".join(map(str, first["loc"])) or None) from error
