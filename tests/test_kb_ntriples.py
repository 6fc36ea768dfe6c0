"""N-Triples: names for IRIs, readable literals, languages, and what states no fact."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
from lamlam.kb.formats.terms import entity_name, literal_text, relation_name

WIKIDATA = "http://www.wikidata.org/"
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
ALIAS = "<http://www.w3.org/2004/02/skos/core#altLabel>"
XSD = "http://www.w3.org/2001/XMLSchema#"


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:") as opened:
        yield opened


def _item(name: str) -> str:
    return f"<{WIKIDATA}entity/{name}>"


def _property(name: str) -> str:
    return f"<{WIKIDATA}prop/direct/{name}>"


def _file(path: Path, *statements: str) -> Path:
    path.write_text("".join(f"{statement} .\n" for statement in statements), encoding="utf-8")
    return path


def _held(kb: KnowledgeBase) -> list[tuple[str, str, str]]:
    return [(fact.entity, fact.relation, fact.value) for fact in kb.facts()]


def test_labels_become_names_and_alternative_labels_aliases(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = _file(
        tmp_path / "facts.nt",
        f"{_item('Q90')} {_property('P17')} {_item('Q142')}",  # names may come behind
        f'{_item("Q90")} {LABEL} "巴黎"@zh',
        f'{_item("Q90")} {LABEL} "Paris"@en',
        f'{_item("Q90")} {ALIAS} "City of Light"@en',
        f'{_item("Q90")} {ALIAS} "Panam"@fr',
        f'{_item("Q142")} {LABEL} "France"@en-GB',
        f'{_item("P17")} {LABEL} "country"@en',
        f'{_item("P17")} {ALIAS} "sovereign state"@en',
    )
    report = import_file(kb, path)
    assert (report.added, report.ignored) == (1, {})
    assert _held(kb) == [("Paris", "country", "France")]
    assert sorted(kb.aliases()) == [("entity", "City of Light", "Paris"), ("relation", "sovereign state", "country")]
    assert [str(source) for source in kb.fact(1).sources] == [f"{WIKIDATA}entity/Q90"]


def test_names_may_stand_in_a_file_of_their_own_and_in_another_language(kb: KnowledgeBase, tmp_path: Path) -> None:
    facts = _file(tmp_path / "facts.nt", f"{_item('Q64')} {_property('P17')} {_item('Q183')}")
    names = _file(
        tmp_path / "names.nt",
        f'{_item("Q183")} {LABEL} "Germany"@en',
        f'{_item("Q183")} {LABEL} "Deutschland"@de',
        f'{_item("P17")} {LABEL} "Staat"@de',
        f'{_item("Q64")} {LABEL} "Berlin"',
    )
    import_file(kb, [facts, names], language="de")
    assert _held(kb) == [("Berlin", "Staat", "Deutschland")]


def test_things_that_share_a_name_are_told_apart(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = _file(
        tmp_path / "facts.nt",
        *(f'{_item(item)} {LABEL} "Paris"@en' for item in ("Q90", "Q830149")),
        f'{_item("Q90")} {_property("P17")} "France"',
        f'{_item("Q830149")} {_property("P17")} "Texas"',
    )
    import_file(kb, path)
    assert _held(kb) == [("Paris (Q90)", "P17", "France"), ("Paris (Q830149)", "P17", "Texas")]
    found = kb.lookup("Paris", "P17")
    assert (found.status, set(found.candidates)) == ("ambiguous", {"Paris (Q90)", "Paris (Q830149)"})


def test_what_states_no_fact_is_counted(kb: KnowledgeBase, tmp_path: Path) -> None:
    berlin = "<http://dbpedia.org/resource/Berlin>"
    path = _file(
        tmp_path / "facts.nt",
        f"{berlin} <http://dbpedia.org/ontology/mayor> _:somebody",
        '_:somebody <http://dbpedia.org/ontology/since> "2023"',
        f'{berlin} <http://dbpedia.org/ontology/motto> "Mutig"@de',
        f"{berlin} <http://www.w3.org/2002/07/owl#sameAs> {_item('Q64')}",
        f"{berlin} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://dbpedia.org/ontology/PopulatedPlace>",
    )
    assert import_file(kb, path).ignored == {
        "statements about things without a name": 2,
        "texts in other languages": 1,
        "addresses of the same thing elsewhere": 1,
    }
    assert _held(kb) == [("Berlin", "type", "populated place")]


def test_lines_are_told_rightly_among_remarks_and_behind_many_blocks(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.nt"
    good = [f'<http://x.org/t/e{number}> <http://x.org/t/r> "v" .\n' for number in range(5000)]
    path.write_text("# a remark\n\n" + "".join(good) + "broken\n" + good[0])
    report = import_file(kb, path, on_error="skip")
    assert (report.added, report.known, [error.line for error in report.bad]) == (5000, 1, [5003])


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("http://dbpedia.org/resource/Saint-%C3%89tienne_(Loire)", "Saint-Étienne (Loire)"),
        ("http://dbpedia.org/resource/McDonald's", "McDonald's"),
        ("http://dbpedia.org/resource/AC/DC", "AC/DC"),
        ("http://dbpedia.org/resource/AT&T", "AT&T"),
        ("http://dbpedia.org/resource/Mission:_Impossible", "Mission: Impossible"),
        ("http://dbpedia.org/resource/Amazon.com", "Amazon.com"),
        ("http://dbpedia.org/resource/What%3F_(film)", "What? (film)"),
        ("http://dbpedia.org/resource/E=mc²", "E=mc²"),
        ("http://dbpedia.org/resource/100%_Wolf", "100% Wolf"),
        ("http://dbpedia.org/resource/Caf%E9", "Caf%E9"),  # not UTF-8: as it stands there
        ("http://dbpedia.org/resource/A%00B", "A%00B"),
        ("http://x.org/t/Mission:_Impossible", "Mission: Impossible"),
        ("http://x.org/t/AT&T", "AT&T"),
        ("http://x.org/t/Last.fm", "Last.fm"),
        ("urn:isbn:0451450523", "0451450523"),
        ("https://www.paris.fr/", "https://www.paris.fr/"),
        ("https://www.paris.fr/pages/index.html", "https://www.paris.fr/pages/index.html"),
        ("http://x.org/a/b/?q=1", "http://x.org/a/b/?q=1"),
        ("http://x.org/terms#Thing", "Thing"),
    ],
)
def test_an_entity_without_a_label_is_called_by_its_iri(iri: str, name: str) -> None:
    assert entity_name(iri) == name


def test_a_relation_without_a_label_becomes_words() -> None:
    assert relation_name("http://dbpedia.org/ontology/birthPlace") == "birth place"
    assert relation_name("http://x.org/terms#ISBN_number") == "ISBN number"
    assert relation_name("http://x.org/") == "http://x.org/"


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("1867-11-07", "date", "7 November 1867"),
        ("1867-11-07T00:00:00Z", "dateTime", "7 November 1867"),
        ("1867-11-07T14:30:00+01:00", "dateTime", "7 November 1867 14:30"),
        ("-0043-03-15T00:00:00Z", "dateTime", "15 March 44 BC"),  # in XSD 1.1, 0000 is 1 BC
        ("0000", "gYear", "1 BC"),
        ("1990-11-00T00:00:00Z", "dateTime", "November 1990"),  # in older data of Wikidata, 00 is not known
        ("1867-00-00", "date", "1867"),
        ("1867-00-07", "date", "1867-00-07"),
        ("1900-02-29", "date", "1900-02-29"),
        ("2000-02-29", "date", "29 February 2000"),
        ("1990-01-01T00:00:00+02:00", "gYear", "1990"),  # DBpedia
        ("1990-11-01", "gYearMonth", "November 1990"),
        ("--11-07", "gMonthDay", "7 November"),
        ("--11", "gMonth", "November"),
        ("--13", "gMonth", "--13"),
        ("1867-11", "gYearMonth", "November 1867"),
        ("1867", "gYear", "1867"),
        ("1867-13-07", "date", "1867-13-07"),
        ("yesterday", "date", "yesterday"),
        ("+2148000", "decimal", "2148000"),
        ("1.50", "decimal", "1.5"),
        ("1.05E2", "double", "105"),
        ("-0", "integer", "0"),
        ("1E999999999", "double", "1E999999999"),
        ("NaN", "double", "NaN"),
        ("many", "integer", "many"),
        ("true", "boolean", "true"),
        ("two\n words", "string", "two words"),
    ],
)
def test_literals_are_readable(text: str, kind: str, shown: str) -> None:
    assert literal_text(text, XSD + kind) == shown


def test_a_point_is_latitude_and_longitude() -> None:
    kind = "http://www.opengis.net/ont/geosparql#wktLiteral"
    assert literal_text("Point(2.3522 48.8566)", kind) == "48.8566, 2.3522"
    assert literal_text("Polygon((1 2))", kind) == "Polygon((1 2))"
