"""Parse `--set KEY=VALUE` options."""

from collections.abc import Iterable

from lamlam.errors import InputError

__all__ = ["pairs"]


def pairs(given: Iterable[str]) -> dict[str, str]:
    """Return the values by key. Raises `InputError` for an item without `=` or without a key."""
    found = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise InputError(f"must be KEY=VALUE, not '{each}'", field="set")
        found[key] = value
    return found
