"""Which names of fields are slips."""

import pytest

from lamlam.corpus.lines import intended_field

KNOWN = ("source", "aliases", "document", "start", "end", "entity_aliases")


@pytest.mark.parametrize(
    ("name", "field"),
    [("Source", "source"), ("sources", "source"), ("souce", "source"), ("soruce", "source"), ("alias", "aliases"),
     ("documents", "document"), ("Entity Aliases", "entity_aliases"), ("entity_alias", "entity_aliases")],
)  # fmt: skip
def test_a_slip_is_known_for_what_it_stands_for(name: str, field: str) -> None:
    assert intended_field(name, KNOWN) == field


@pytest.mark.parametrize("name", ["", "note", "state", "id", "and", "resource", "url", "__index_level_0__"])
def test_another_field_is_no_slip(name: str) -> None:
    assert intended_field(name, KNOWN) is None
