"""RDF as Wikidata and DBpedia serve it: sitelinks, full statements, terms of office, and things of one name."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph
import pytest

from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import ImportReport, import_file

PREFIXES = """
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix schema: <http://schema.org/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix wikibase: <http://wikiba.se/ontology#> .
@prefix wdata: <https://www.wikidata.org/wiki/Special:EntityData/> .
@prefix wd: <http://www.wikidata.org/entity/> .
@prefix s: <http://www.wikidata.org/entity/statement/> .
@prefix v: <http://www.wikidata.org/value/> .
@prefix ref: <http://www.wikidata.org/reference/> .
@prefix wdt: <http://www.wikidata.org/prop/direct/> .
@prefix wdno: <http://www.wikidata.org/prop/novalue/> .
@prefix p: <http://www.wikidata.org/prop/> .
@prefix ps: <http://www.wikidata.org/prop/statement/> .
@prefix psv: <http://www.wikidata.org/prop/statement/value/> .
@prefix pq: <http://www.wikidata.org/prop/qualifier/> .
@prefix pqv: <http://www.wikidata.org/prop/qualifier/value/> .
@prefix pr: <http://www.wikidata.org/prop/reference/> .
@prefix dbr: <http://dbpedia.org/resource/> .
@prefix dbo: <http://dbpedia.org/ontology/> .
"""

# What https://www.wikidata.org/wiki/Special:EntityData/Q7186.nt is made of, with few of its statements.
ITEM = """
wdata:Q7186 a schema:Dataset ; schema:about wd:Q7186 ; schema:softwareVersion "1.0.0" ; wikibase:sitelinks 212 ;
    schema:version 2034 ; schema:dateModified "2026-01-02T03:04:05Z"^^xsd:dateTime .
wd:Q7186 a wikibase:Item ;
    rdfs:label "Marie Curie"@en, "玛丽·居里"@zh ; skos:prefLabel "Marie Curie"@en ; schema:name "Marie Curie"@en ;
    schema:description "Polish-French physicist and chemist"@en ; skos:altLabel "Maria Skłodowska"@en ;
    wdt:P569 "1867-11-07T00:00:00Z"^^xsd:dateTime ; wdt:P27 wd:Q142 ;
    p:P569 s:q7186-0A1B ; p:P27 s:Q7186-2C3D .
<https://en.wikipedia.org/wiki/Marie_Curie> a schema:Article ; schema:about wd:Q7186 ; schema:inLanguage "en" ;
    schema:isPartOf <https://en.wikipedia.org/> ; schema:name "Marie Curie"@en .
<https://commons.wikimedia.org/wiki/Category:Marie_Curie> a schema:Article ; schema:about wd:Q7186 ;
    schema:isPartOf <https://commons.wikimedia.org/> ; schema:name "Category:Marie Curie"@en .
<https://en.wikipedia.org/> wikibase:wikiGroup "wikipedia" .
wd:P569 a wikibase:Property ; rdfs:label "date of birth"@en ; skos:altLabel "born on"@en ;
    schema:description "date on which the subject was born"@en ; wikibase:propertyType wikibase:Time ;
    wikibase:directClaim wdt:P569 ; wikibase:claim p:P569 .
p:P569 a owl:ObjectProperty . wdt:P569 a owl:DatatypeProperty .
wdno:P569 a owl:Class ; owl:complementOf _:none . _:none a owl:Restriction ; owl:onProperty wdt:P569 .
wd:Q142 a wikibase:Item ; rdfs:label "France"@en .
wd:P27 a wikibase:Property ; rdfs:label "country of citizenship"@en .
"""
STATEMENTS = """
s:q7186-0A1B a wikibase:Statement, wikibase:BestRank ; wikibase:rank wikibase:NormalRank ;
    ps:P569 "1867-11-07T00:00:00Z"^^xsd:dateTime ; psv:P569 v:00000000000000000000000000000001 ;
    prov:wasDerivedFrom ref:00000000000000000000000000000000000000a1 .
v:00000000000000000000000000000001 a wikibase:TimeValue ; wikibase:timePrecision 11 ; wikibase:timeTimezone 0 ;
    wikibase:timeValue "1867-11-07T00:00:00Z"^^xsd:dateTime ; wikibase:timeCalendarModel wd:Q1985727 .
ref:00000000000000000000000000000000000000a1 a wikibase:Reference ; pr:P248 wd:Q13550863 .
s:Q7186-2C3D a wikibase:Statement, wikibase:BestRank ; wikibase:rank wikibase:NormalRank ;
    ps:P27 wd:Q142 ; pq:P580 "1895-01-01T00:00:00Z"^^xsd:dateTime ;
    pqv:P580 v:00000000000000000000000000000002 ; pq:P1480 wd:Q5727902 .
v:00000000000000000000000000000002 a wikibase:TimeValue ; wikibase:timePrecision 9 ;
    wikibase:timeValue "1895-01-01T00:00:00Z"^^xsd:dateTime .
"""
MARIE = ("Marie Curie", "date of birth", "7 November 1867")


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:") as opened:
        yield opened


def _file(path: Path, turtle: str) -> Path:
    triples = pyoxigraph.parse(PREFIXES + turtle, format=pyoxigraph.RdfFormat.TURTLE)
    pyoxigraph.serialize(triples, str(path), format=pyoxigraph.RdfFormat.N_TRIPLES)
    return path


def _taken(kb: KnowledgeBase, tmp_path: Path, turtle: str) -> ImportReport:
    report = import_file(kb, _file(tmp_path / "served.nt", turtle))
    assert kb.verify() == []
    return report


def _held(kb: KnowledgeBase) -> set[tuple[str, str, str]]:
    return {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}


def test_an_item_is_no_namesake_of_the_pages_about_it(kb: KnowledgeBase, tmp_path: Path) -> None:
    report = _taken(kb, tmp_path, ITEM)
    assert kb.lookup("Marie Curie", "date of birth").status == "exact"
    assert kb.lookup("Marie Curie", "born on").values == ("7 November 1867",)
    assert kb.lookup("Maria Skłodowska", "country of citizenship").values == ("France",)
    assert _held(kb) == {
        MARIE,
        ("Marie Curie", "description", "Polish-French physicist and chemist"),
        ("Marie Curie", "country of citizenship", "France"),
    }
    assert report.ignored["statements about pages, properties and the data set itself"] == 25
    assert report.ignored["statements about things without a name"] == 3


def test_a_property_is_no_namesake_of_an_item(kb: KnowledgeBase, tmp_path: Path) -> None:
    _taken(
        kb,
        tmp_path,
        """
        wd:Q7560 rdfs:label "mother"@en ; wdt:P279 wd:Q7566 .
        wd:P25 rdfs:label "mother"@en . wd:P279 a wikibase:Property ; rdfs:label "subclass of"@en .
        """,
    )
    assert _held(kb) == {("mother", "subclass of", "Q7566")}


def test_full_statements_keep_their_times(kb: KnowledgeBase, tmp_path: Path) -> None:
    report = _taken(kb, tmp_path, ITEM + STATEMENTS)
    assert _held(kb) == {
        MARIE,
        ("Marie Curie", "description", "Polish-French physicist and chemist"),
        ("Marie Curie", "country of citizenship", "France (from 1895)"),  # and not 1 January 1895
    }
    assert report.ignored["particulars of statements: ranks, references, qualifiers other than dates"] == 19
    assert {str(source) for fact in kb.facts() for source in fact.sources} == {"http://www.wikidata.org/entity/Q7186"}


def test_ranks_say_which_statements_hold(kb: KnowledgeBase, tmp_path: Path) -> None:
    report = _taken(
        kb,
        tmp_path,
        """
        wd:Q1 rdfs:label "Ann Ames"@en ; wdt:P39 wd:Q3 ; wdt:P569 "1950-05-01T00:00:00Z"^^xsd:dateTime .
        wd:Q2 rdfs:label "mayor"@en . wd:Q3 rdfs:label "president"@en . wd:P39 rdfs:label "position held"@en .
        wd:P569 rdfs:label "date of birth"@en .
        s:Q1-a ps:P39 wd:Q2 ; wikibase:rank wikibase:NormalRank ; pq:P580 "2001-02-03T00:00:00Z"^^xsd:dateTime ;
            pq:P582 "2009-01-19T00:00:00Z"^^xsd:dateTime .
        s:Q1-b a wikibase:BestRank ; wikibase:rank wikibase:PreferredRank ; ps:P39 wd:Q3 ;
            pq:P580 "2009-01-20T00:00:00Z"^^xsd:dateTime .
        s:Q1-c wikibase:rank wikibase:DeprecatedRank ; ps:P569 "1951-05-01T00:00:00Z"^^xsd:dateTime ;
            pq:P585 "1999-00-00T00:00:00Z"^^xsd:dateTime .
        s:Q1-d wikibase:rank wikibase:NormalRank ; ps:P569 "1952-05-01T00:00:00Z"^^xsd:dateTime .
        s:Q1-e a wikibase:BestRank ; wikibase:rank wikibase:PreferredRank ;
            ps:P569 <http://www.wikidata.org/.well-known/genid/0123456789abcdef0123456789abcdef> .
        s:Q1-f a wdno:P40 ; wikibase:rank wikibase:NormalRank .
        """,
    )
    assert _held(kb) == {
        ("Ann Ames", "position held", "mayor (3 February 2001 to 19 January 2009)"),
        ("Ann Ames", "position held", "president (from 20 January 2009)"),
        ("Ann Ames", "date of birth", "1 May 1950"),
    }
    assert report.ignored["statements that are deprecated or outranked"] == 2


@pytest.mark.parametrize(
    ("precision", "time", "shown"),
    [(9, "1867-01-01", "1867"), (10, "1867-11-01", "November 1867"), (8, "1867-01-01", "1860s"),
     (7, "1801-01-01", "19th century"), (7, "1900-01-01", "19th century"), (7, "2001-01-01", "21st century"),
     (9, "-0043-01-01", "44 BC"), (11, "1867-11-07", "7 November 1867")],
)  # fmt: skip
def test_a_date_is_as_exact_as_it_is_known(
    kb: KnowledgeBase, tmp_path: Path, precision: int, time: str, shown: str
) -> None:
    value, date = "v:00000000000000000000000000000009", f'"{time}T00:00:00Z"^^xsd:dateTime'
    _taken(
        kb,
        tmp_path,
        f"wd:Q1 wdt:P569 {date} . s:Q1-a a wikibase:BestRank ; ps:P569 {date} ; psv:P569 {value} ."
        f"{value} wikibase:timeValue {date} ; wikibase:timePrecision {precision} .",
    )
    assert _held(kb) == {("Q1", "P569", shown)}


def test_a_term_of_dbpedia_is_a_fact_of_the_person_with_its_time(kb: KnowledgeBase, tmp_path: Path) -> None:
    _taken(
        kb,
        tmp_path,
        """
        dbr:Ann_Ames rdfs:label "Ann Ames"@en ; dbo:termPeriod dbr:Ann_Ames__Tenure__1, dbr:Ann_Ames__Tenure__2 ;
            dbo:careerStation dbr:Ann_Ames__CareerStation__1 .
        dbr:Ann_Ames__Tenure__1 a dbo:TimePeriod ; dbo:office "President of Freedonia"@en, "Präsidentin"@de ;
            dbo:activeYearsStartDate "2009-01-20"^^xsd:date ; dbo:activeYearsEndDate "2017-01-20"^^xsd:date ;
            dbo:predecessor <http://dbpedia.org/resource/Ben_Ody,_Jr.> .
        dbr:Ann_Ames__Tenure__2 dbo:activeYearsEndYear "2020"^^xsd:gYear .
        dbr:Ann_Ames__CareerStation__1 dbo:team <http://dbpedia.org/resource/1._FC_Freedonia> ;
            dbo:years "1999-01-01+01:00"^^xsd:gYear ; dbo:numberOfGoals 3 .
        """,
    )
    assert _held(kb) == {
        ("Ann Ames", "office", "President of Freedonia (20 January 2009 to 20 January 2017)"),
        ("Ann Ames", "predecessor", "Ben Ody, Jr. (20 January 2009 to 20 January 2017)"),
        ("Ann Ames", "term period", "until 2020"),
        ("Ann Ames", "team", "1. FC Freedonia (1999)"),
        ("Ann Ames", "number of goals", "3 (1999)"),
    }


def test_names_of_dbpedia_are_whole(kb: KnowledgeBase, tmp_path: Path) -> None:
    resource = "http://dbpedia.org/resource/"
    names = {"AC/DC": "AC/DC", "DC": "DC", "AT&T": "AT&T", "Mission:_Impossible": "Mission: Impossible",
             "Impossible": "Impossible", "St._Louis": "St. Louis", "Last.fm": "Last.fm"}  # fmt: skip
    _taken(kb, tmp_path, "".join(f'<{resource}{name}> dbo:motto "{name}" .\n' for name in names))
    assert _held(kb) == {(shown, "motto", name) for name, shown in names.items()}


def test_two_iris_are_two_entities_though_their_names_are_alike(kb: KnowledgeBase, tmp_path: Path) -> None:
    _taken(
        kb,
        tmp_path,
        """
        <http://dbpedia.org/resource/AC/DC> dbo:hometown "Sydney" .
        <http://dbpedia.org/resource/AC%2FDC> dbo:hometown "Perth" .
        <http://dbpedia.org/resource/Berlin> dbo:country "Germany" .
        <http://de.dbpedia.org/resource/Berlin> dbo:country "Deutschland" .
        <http://a.org/t/Rome> dbo:country "Italy" . <http://a.org/u/Rome> dbo:country "Georgia" .
        <http://a.org/t/Caf\u00e9> dbo:country "Peru" . <http://a.org/t/Cafe\u0301> dbo:country "Chile" .
        """,
    )
    slots = {(fact.entity, fact.relation) for fact in kb.facts()}
    assert len(slots) == 8
    assert {"Berlin (dbpedia.org)", "AC/DC (AC%2FDC)", "Rome (http://a.org/u/Rome)"} <= {entity for entity, _ in slots}
    found = kb.lookup("Berlin", "country")
    assert (found.status, set(found.candidates)) == ("ambiguous", {"Berlin (dbpedia.org)", "Berlin (de.dbpedia.org)"})


def test_a_page_that_is_a_value_is_its_address(kb: KnowledgeBase, tmp_path: Path) -> None:
    page = "http://en.wikipedia.org/wiki/Marie_Curie"
    about = f"<{page}> foaf:primaryTopic dbr:Marie_Curie ; a foaf:Document ."
    _taken(
        kb,
        tmp_path,
        f"dbr:Marie_Curie foaf:isPrimaryTopicOf <{page}> . {about}"
        '<https://en.wikipedia.org/wiki/Ada> dbo:field "mathematics" .',  # no page about something else: a thing
    )
    assert _held(kb) == {("Marie Curie", "is primary topic of", page), ("Ada", "field", "mathematics")}


def _pipe(path: Path, content: bytes) -> threading.Thread:
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(content))
    thread.start()
    return thread


def test_a_pipe_is_read_once(kb: KnowledgeBase, tmp_path: Path) -> None:
    content = _file(tmp_path / "facts.nt", ITEM).read_bytes()
    writer = _pipe(tmp_path / "pipe.nt", content)
    report = import_file(kb, tmp_path / "pipe.nt")
    writer.join()
    assert (report.added, MARIE in _held(kb)) == (3, True)


def test_a_pipe_beside_a_large_file_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamlam.kb.files._LARGE", 1)
    (tmp_path / "facts.csv").write_text("entity,relation,value\na,r,v\n")
    writer = _pipe(tmp_path / "pipe.nt", _file(tmp_path / "facts.nt", ITEM).read_bytes())
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        assert import_file(kb, [tmp_path / "facts.csv", tmp_path / "pipe.nt"]).added == 4
    writer.join()


def test_a_broken_pipe_of_json_is_told_without_reading_it_again(kb: KnowledgeBase, tmp_path: Path) -> None:
    writer = _pipe(tmp_path / "pipe.json", b'{"triplets": [["a", "r", "v"], ')
    with pytest.raises(InputError, match=r"pipe\.json: is no whole JSON"):
        import_file(kb, tmp_path / "pipe.json")
    writer.join()
