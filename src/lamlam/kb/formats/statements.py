"""Statements that are nodes of their own in RDF, since they have a time: Wikidata's with qualifiers, DBpedia's terms.

What such a node states is stated of its owner, at a time: of Q7 in `wds:Q7-1F ps:P39 wd:Q11696 ; pq:P580
"2009-01-20T00:00:00Z"^^xsd:dateTime .`, and of Ann_Ames in `dbr:Ann_Ames__Tenure__1 dbo:office "President"@en ;
dbo:start "2009-01-20"^^xsd:date .` A first pass gathers times and ranks into tables on the disk. What becomes of the
triples is left to `ntriples`.
"""

import re
import sqlite3
from functools import lru_cache
from typing import NamedTuple

from lamlam.kb.formats.terms import date_text, literal_text, local_name

__all__ = ["WIKIBASE", "Node", "Statements", "node_of", "property_of"]

WIKIBASE = "http://wikiba.se/ontology#"

_NODE = re.compile(
    r"(?P<base>.+/entity/)statement/(?P<item>[A-Za-z]+\d+)[-$].+"  # Wikidata
    r"|(?P<owner>.+/resource/.+?)__(?:\w+__)?\d+"  # DBpedia
    r"|.+/(?:value|reference)/[0-9a-f]{32,40}",  # particulars of Wikidata's statements
    re.DOTALL,
)
_PROPERTY = re.compile(r"(.+)/prop/((?:[a-z-]+/)*)(P\d+)")
_FROM = ("P580", "start", "startDate", "startYear", "activeYearsStartDate", "activeYearsStartYear")
_UNTIL = ("P582", "end", "endDate", "endYear", "activeYearsEndDate", "activeYearsEndYear")
_WHEN = ("P585", "date", "year", "years")
_TIMES = {name: role for role, names in (("from", _FROM), ("until", _UNTIL), ("when", _WHEN)) for name in names}
_RANKS = {f"{WIKIBASE}BestRank": "best", f"{WIKIBASE}DeprecatedRank": "deprecated"}
_VALUES = {f"{WIKIBASE}timeValue": "time", f"{WIKIBASE}timePrecision": "precision"}
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

_CACHED = 50_000
_TABLES = """
CREATE TABLE particular (
    node TEXT NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (node, role)
) WITHOUT ROWID;
CREATE TABLE stated (
    owner TEXT NOT NULL, property TEXT NOT NULL, value TEXT NOT NULL, node TEXT NOT NULL,
    PRIMARY KEY (owner, property, value, node)
) WITHOUT ROWID;
"""


class Node(NamedTuple):
    """A statement's IRI taken apart. `owner` is whom it is about; None for details such as references."""

    owner: str | None
    wikidata: bool


@lru_cache(_CACHED)
def property_of(iri: str) -> tuple[str, str]:
    """Return the property that one of Wikidata's IRIs stands for, and its use, such as `direct/`; else the IRI, and no
    use."""
    found = _PROPERTY.fullmatch(iri)
    return (f"{found[1]}/entity/{found[3]}", found[2] or "claim/") if found else (iri, "")


def node_of(iri: str) -> Node | None:
    """Return the statement that an IRI stands for, or a part of one; None for everything else."""
    if not ("__" in iri or "/statement/" in iri or "/value/" in iri or "/reference/" in iri):
        return None  # like most
    found = _NODE.fullmatch(iri)
    if found is None:
        return None
    owner = found["base"] + found["item"].upper() if found["base"] else found["owner"]
    return Node(owner, found["owner"] is None)


class Statements:
    """The times and ranks of statements."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.executescript(_TABLES)
        self._roles = lru_cache(_CACHED)(self._read)
        self._any = False

    def add(self, iri: str, node: Node, predicate: str, object: str, datatype: str | None) -> None:
        """Add a triple about a node; `datatype` is that of a literal, None for an IRI."""
        property, use = property_of(predicate)
        role, text = self._role(predicate, use, object, datatype), object
        if role in _TIMES.values() and datatype is not None:
            text = literal_text(object, datatype)
        elif not role and node.owner and not node.wikidata and predicate != _TYPE:
            role = "part"
        if role:
            row = (iri, role, text)
            self._database.execute("INSERT INTO particular VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
        elif node.owner and use == "statement/":
            self._any = True
            self._database.execute(
                "INSERT INTO stated VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (node.owner, property, object, iri)
            )

    def is_time(self, predicate: str, literal: bool) -> bool:
        """Whether a triple about a node says when its statement holds."""
        _, use = property_of(predicate)
        return (
            (use == "qualifier/value/" or literal)
            and use in ("", "qualifier/", "qualifier/value/")
            and (local_name(predicate) in _TIMES)
        )

    def _role(self, predicate: str, use: str, object: str, datatype: str | None) -> str:
        """Return what a triple says about its node; empty if that is neither time, rank nor precision."""
        if object in _RANKS or predicate == f"{WIKIBASE}rank":
            return _RANKS.get(object, "ranked")
        if self.is_time(predicate, datatype is not None):
            return _TIMES[local_name(predicate)] + (" value" if use == "qualifier/value/" else "")
        return "value" if use == "statement/value/" else _VALUES.get(predicate, "")

    def says_more(self, owner: str, property: str, value: str) -> bool:
        """Whether a statement that is kept says the same of its owner, perhaps more exactly."""
        if not self._any:
            return False
        sql = "SELECT node FROM stated WHERE owner = ? AND property = ? AND value = ?"
        return any(not self.outranked(node) for (node,) in self._database.execute(sql, (owner, property, value)))

    def outranked(self, node: str) -> bool:
        """Whether a statement is deprecated, or has no time although others rank higher."""
        roles = self._roles(node)
        ranked = "ranked" in roles or "best" in roles
        return "deprecated" in roles or (ranked and "best" not in roles and not self.when(node))

    def has_parts(self, node: str) -> bool:
        """Whether a node says anything but a time."""
        return "part" in self._roles(node)

    def exactly(self, node: str) -> str | None:
        """Return the date that a statement of Wikidata states, as exact as it is known; None if it states no date."""
        return self._date(self._roles(node).get("value"))

    def when(self, node: str) -> str:
        """Return when a node's statement holds, in words; empty if that is unknown."""
        begin, end, when = (self._time(node, role) for role in ("from", "until", "when"))
        if begin and end:
            return f"{begin} to {end}"
        return (begin and f"from {begin}") or (end and f"until {end}") or when or ""

    def _time(self, node: str, role: str) -> str | None:
        roles = self._roles(node)
        return self._date(roles.get(f"{role} value")) or roles.get(role)

    def _date(self, value: str | None) -> str | None:
        roles = self._roles(value) if value else {}
        precision = roles.get("precision", "")
        return date_text(roles["time"], precision=int(precision)) if "time" in roles and precision.isdecimal() else None

    def _read(self, node: str) -> dict[str, str]:
        return dict(self._database.execute("SELECT role, text FROM particular WHERE node = ?", (node,)).fetchall())
