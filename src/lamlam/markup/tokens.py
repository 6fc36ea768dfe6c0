r"""Calls as control tokens: `<|db_entity|> E<|db_relationship|> R<|db_return|> V<|db_end|> `.

Each field follows its token and one space. A token's string that is meant as plain text, in the text or in a field,
has a backslash before it; `notation` says how backslashes before it are counted and which space a call owns.
These are strings: how they become ids, and that text never becomes a control token, is `vocab`'s.
"""

from lamlam.markup.document import AnnotatedDocument, Call, MarkupError
from lamlam.markup.notation import CallText, Notation, escape, read_plain

__all__ = ["END", "ENTITY", "RELATION", "RETURN", "parse", "render"]

ENTITY = "<|db_entity|>"
RELATION = "<|db_relationship|>"
RETURN = "<|db_return|>"
END = "<|db_end|>"

_TOKENS = (ENTITY, RELATION, RETURN, END)


def parse(text: str, *, id: str = "", lenient: bool = False) -> AnnotatedDocument:
    """The document that `text` denotes, under the given id.

    Raises `MarkupError` where a token stands out of its order, a field has no leading space or a call no space behind
    it. When `lenient`, a call may lack these spaces, and a token that belongs to no call is kept as plain text.
    """
    return _NOTATION.parse(text, id, lenient)


def render(document: AnnotatedDocument) -> str:
    """The document with control tokens; `parse` gives it back, but for its id."""
    return _NOTATION.render(document)


def _write_call(call: Call) -> str:
    fields = (call.entity, call.relation, call.value)
    written = (
        f"{token} {escape(field, _TOKENS, before_mark=True)}" for token, field in zip(_TOKENS, fields, strict=False)
    )
    return "".join(written) + END


def _read_call(text: str, start: int, lenient: bool) -> CallText:
    if not text.startswith(ENTITY, start):
        raise MarkupError("a control token stands outside a call", start)
    position = start + len(ENTITY)
    fields: list[str] = []
    for token in _TOKENS[1:]:
        plain, mark = read_plain(text, position, _TOKENS)
        if mark is None or not text.startswith(token, mark.start):
            raise MarkupError(f"a call has no {token} here", len(text) if mark is None else mark.start)
        if not plain.startswith(" ") and not lenient:
            raise MarkupError("a field must begin with a space", position)
        fields.append(plain.removeprefix(" "))
        position = mark.end
    entity, relation, value = fields
    return CallText(entity, relation, value, position)


_NOTATION = Notation(_TOKENS, _read_call, _write_call)
