"""Nested JSON as facts: relations from keys, text from HTML, the mapping's rules, and the World Factbook."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
from lamlam.kb.formats import Mapping, load_mapping
from lamlam.kb.formats.nested import Line, lines_of

MAPPING = Path(__file__).resolve().parents[1] / "mappings" / "factbook.yaml"


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:") as opened:
        yield opened


def _facts(tmp_path: Path, content: str, **mapping: Any) -> list[tuple[str, str]]:
    path = tmp_path / "facts.json"
    path.write_text(content, encoding="utf-8")
    with KnowledgeBase.open(":memory:") as kb:
        import_file(kb, path, mapping=Mapping.model_validate({"entity": ["name"], "skip": ["name"]} | mapping))
        return [(fact.relation, fact.value) for fact in kb.facts()]


def test_keys_become_a_relation_and_the_source_is_their_place(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "at.json"
    path.write_text('{"Name": "Austria", "Geography": {"Area": {"total ": {"text": "83,871 sq km"}}}, "a/b": 1}')
    mapping = {"entity": ["Name"], "skip": ["Name"], "outer": 1, "text": ["text"]}
    import_file(kb, path, mapping=Mapping.model_validate(mapping))
    facts = [(fact.relation, fact.value, str(fact.sources[0])) for fact in kb.facts("Austria")]
    assert facts == [
        ("Area total", "83,871 sq km", "at.json#/Geography/Area/total /text"),
        ("a/b", "1", "at.json#/a~1b"),
    ]
    import_file(kb, path, mapping=Mapping.model_validate(mapping | {"source": "file"}))
    assert "at.json" in map(str, kb.fact(1).sources)


def test_a_key_that_repeats_the_one_above_it_stands_for_both(tmp_path: Path) -> None:
    content = '{"name": "a", "Exchange rates": {"Exchange rates 2020": "1.1"}, "Coal": {"charcoal": "2"}}'
    assert _facts(tmp_path, content) == [("Exchange rates 2020", "1.1"), ("Coal charcoal", "2")]


def test_lists_numbers_and_truth_values_are_values_and_null_is_none(tmp_path: Path) -> None:
    content = '{"name": "a", "r": ["x", 2, true, null, {"s": 1.5}]}'
    assert _facts(tmp_path, content) == [("r", "x"), ("r", "2"), ("r", "true"), ("r s", "1.5")]


def test_html_is_split_at_line_breaks_and_bold_labels(tmp_path: Path) -> None:
    content = (
        '{"name": "a", "Rivers": {"text": "<p>Donau&nbsp;(R&eacute;al) &lt;1 km</p><br><br><strong>note 1:</strong> '
        'shared <em>by</em> two<br><b>source</b>: far"}}'
    )
    assert _facts(tmp_path, content, html=True, text=["text"]) == [
        ("Rivers", "Donau (Réal) <1 km"),
        ("Rivers note", "shared by two"),
        ("Rivers source", "far"),
    ]


def test_a_value_loses_the_key_that_it_repeats(tmp_path: Path) -> None:
    content = '{"name": "a", "land: arable": "arable: 12%", "note": "note: of 2020", "rate": "other: 3"}'
    assert _facts(tmp_path, content) == [("land: arable", "12%"), ("note", "of 2020"), ("rate", "other: 3")]


def test_lists_in_one_text_are_split_outside_of_brackets(tmp_path: Path) -> None:
    content = '{"name": "a", "r": {"of": "x (1, 2), y; z"}, "s": "x, y"}'
    split = [{"path": "r > *", "at": [",", ";"]}]
    assert _facts(tmp_path, content, split=split) == [("r of", "x (1, 2)"), ("r of", "y"), ("r of", "z"), ("s", "x, y")]


def test_what_is_skipped_says_nothing_or_is_too_long_is_no_fact(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('{"name": "a", "r": {"x": "1", "note": "2"}, "s": "None", "t": "long long long"}')
    rules = {"entity": ["name"], "skip": ["name", "* > note"], "nothing": ["none"], "longest": 9}
    report = import_file(kb, path, mapping=Mapping.model_validate(rules))
    assert [(fact.relation, fact.value) for fact in kb.facts()] == [("r x", "1")]
    assert report.ignored == {"values of more than 9 characters": 1}


def test_the_first_name_that_is_there_is_the_entity_and_others_are_aliases(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('[{"short": "none", "long": "Federated States", "local": "Eins (one)/ Zwei", "r": "v"}]')
    rules = {"entity": ["short", "long"], "nothing": ["none"],
             "aliases": [{"path": "long"}, {"path": "local", "split": "/"}]}  # fmt: skip
    import_file(kb, path, mapping=Mapping.model_validate(rules))
    assert sorted(kb.aliases()) == [("entity", "Eins", "Federated States"), ("entity", "Zwei", "Federated States")]
    rules["names"] = {"facts.json": "Elsewhere"}
    import_file(kb, path, mapping=Mapping.model_validate(rules))
    assert kb.lookup("Elsewhere", "r").values == ("v",)


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("entity: [name]\ncolour: red\n", r"map\.yaml: field 'colour'"),
        ("skip: [a]\n", r"map\.yaml: field 'entity'"),
        ("entity: [name]\nlongest: 0\n", r"field 'longest'"),
        ("entity: [name]\nsplit: [{path: a, at: ''}]\n", r"field 'split\.0\.at"),
        ("- a\n", r"map\.yaml"),
        ("entity: [name\nx: y: z\n", r"map\.yaml:2: is not valid YAML"),
        ("", r"map\.yaml"),
    ],
)
def test_a_mapping_is_checked_when_it_is_loaded(tmp_path: Path, yaml: str, reason: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(yaml)
    with pytest.raises(InputError, match=reason) as raised:
        load_mapping(path)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=60))
def test_any_text_has_lines_without_line_ends(text: str) -> None:
    for line in lines_of(text):
        assert line.text == " ".join(line.text.split())
        assert line.text


@pytest.mark.parametrize(
    ("html", "lines"),
    [
        ("a &amp; b", [Line("a & b")]),
        ("<b>all bold</b>", [Line("all bold")]),
        ("<b>note:</b> x", [Line("x", "note")]),
        ("<strong>note</strong>: x", [Line("x", "note")]),
        ("half <b>note:</b> x", [Line("half note: x")]),
        ("<script>alert('x')</script>y<style>z</style>", [Line("y")]),
        ("x <1% y", [Line("x <1% y")]),
        ("a<br/>b<p>c", [Line("a"), Line("b"), Line("c")]),
        ("  ", []),
    ],
)
def test_html_becomes_lines(html: str, lines: list[Line]) -> None:
    assert lines_of(html) == lines


def test_the_factbook_becomes_a_knowledge_base(kb: KnowledgeBase, shared_data: Path) -> None:
    report = import_file(kb, shared_data / "factbook" / "europe", mapping=load_mapping(MAPPING))
    assert kb.lookup("European Union", "Area total").values
    assert report.added > 15_000
    assert kb.lookup("Germany", "Area total").values == ("357,022 sq km",)
    assert kb.lookup("Federal Republic of Germany", "Capital name").values == ("Berlin",)
    assert kb.lookup("Deutschland", "Capital name").status == "alias"
    assert "Austria 801 km" in kb.lookup("Germany", "Land boundaries border countries").values
    assert str(kb.lookup("Austria", "Area total").facts[0].sources[0]) == "au.json#/Geography/Area/total /text"
    markup = re.compile(r"</?[a-zA-Z]|&[a-z]+;|&#")
    for fact in kb.facts():
        assert not markup.search(fact.entity + fact.relation + fact.value), fact
        assert len(fact.value) <= 500
    assert kb.verify() == []
