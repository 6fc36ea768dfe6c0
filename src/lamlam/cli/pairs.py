"""`--set KEY=VALUE`, taken apart."""

from collections.abc import Iterable

from lamlam.errors import InputError

__all__ = ["pairs"]


def pairs(given: Iterable[str]) -> dict[str, str]:
    """Values by key. Raises `InputError` for one that has no `=` or no key."""
    found = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise InputError(f"must be KEY=VALUE, not '{each}'", field="set")
        found[key] = value
    return found
