"""Calls as control tokens: `<|db_entity|> E<|db_relationship|> R<|db_return|> V<|db_end|> `."""

__all__ = ["END", "ENTITY", "RELATION", "RETURN"]

ENTITY = "<|db_entity|>"
RELATION = "<|db_relationship|>"
RETURN = "<|db_return|>"
END = "<|db_end|>"
