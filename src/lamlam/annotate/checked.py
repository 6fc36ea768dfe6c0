"""Settings that a user wrote as `KEY=VALUE`, checked by the class that holds them."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lamlam.errors import InputError

__all__ = ["checked"]

_Settings = TypeVar("_Settings", bound=BaseModel)


def checked(kind: type[_Settings], **given: object) -> _Settings:
    """The settings; numbers may be given as text. Raises `InputError` that names the field."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(first["msg"], field=".".join(map(str, first["loc"])) or None) from error
