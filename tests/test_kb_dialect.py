"""SQLite's SQL as PostgreSQL understands it."""

import pytest

from lamlam.kb.schema import LAYOUT, definitions, translated


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ? + ?", "SELECT %s + %s"),
        ("SELECT 'really?', '50%', 'it''s :so?' WHERE a = ?", "SELECT 'really?', '50%%', 'it''s :so?' WHERE a = %s"),
        ('SELECT "why?" FROM t', 'SELECT "why?" FROM t'),
        ("SELECT a % 2, a::text, :name", "SELECT a %% 2, a::text, %(name)s"),
        ("SELECT instr(a, ?), instruct(a)", "SELECT strpos(a, %s), instruct(a)"),
        ("a IN () OR a IN (?)", "a IN (NULL) OR a IN (%s)"),
        ("CREATE TEMP TABLE t (id INTEGER)", "CREATE TEMP TABLE t (id bigint)"),
    ],
)
def test_a_statement_is_translated_and_what_is_quoted_is_kept(sql: str, expected: str) -> None:
    assert translated(sql) == expected


def test_no_type_of_sqlite_is_left_in_the_tables() -> None:
    for word in ("INTEGER", "TEXT", "BLOB", "AUTOINCREMENT", "ROWID"):
        assert word not in definitions()


def test_the_layout_has_the_columns_and_keys_of_the_schema() -> None:
    assert LAYOUT["source"].columns == ("id", "fact", "document", "start", '"end"', "since")
    assert LAYOUT["source"].counted
    assert LAYOUT["entity_spelling"].key == ("norm", "target", "alias")
    assert (LAYOUT["meta"].columns, LAYOUT["meta"].key) == (("key", "value"), ("key",))
    assert all(layout.columns and layout.key for layout in LAYOUT.values())
    order = list(LAYOUT)
    assert order.index("entity") < order.index("fact") < order.index("source")
