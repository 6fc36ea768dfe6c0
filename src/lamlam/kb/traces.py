"""What still reveals an entity once its own facts are gone.

That is: facts that name it, entities whose names look like its own, and documents that are named after it; past facts
count. Values, names and documents are all read once for this. `kb.closure` decides what of it is erased.
"""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum

from lamlam.errors import InputError
from lamlam.kb.database import Database
from lamlam.kb.names import canonical, normalise
from lamlam.kb.reader import FactReader
from lamlam.kb.similarity import name_similarity
from lamlam.text import WORD

__all__ = ["INCLUDABLE", "EntityTrace", "Traces", "included", "names_it", "skeleton"]

_FEWEST_LETTERS = 4  # shorter names are within other words by chance
_ALIKE = 60
# Letters and figures that look like Latin ones, as in Unicode's list of confusables: Cyrillic, Greek, figures.
_CONFUSABLE = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u051a\u051c"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0501\u051b\u051d\u04bb"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03b1\u03b9\u03bd\u03bf\u03c1\u03c5\u0585\u057d\u0261\u0131"
    "Il1|0"
    "\u2018\u2019\u02bc\u2032"
    "\u2010\u2011\u2012\u2013\u2014\u2212",
    "ABEKMHOPCTYXSlJQWaeopcyxsijdqwhABEZHlKMNOPTYXaivopuougillllo''''------",
)


class EntityTrace(StrEnum):
    """Why another entity's fact reveals an entity."""

    VALUE = "names it as its value"
    LOOKALIKE = "is of an entity whose name looks the same"
    DOCUMENT = "was read in a document named after it"
    MENTION = "mentions it in its value"
    ALIKE = "is of an entity whose name is spelled nearly the same"


INCLUDABLE = {
    "values": EntityTrace.VALUE,
    "lookalikes": EntityTrace.LOOKALIKE,
    "documents": EntityTrace.DOCUMENT,
    "mentions": EntityTrace.MENTION,
}


def included(names: Collection[str]) -> set[EntityTrace]:
    """Return the kinds of traces with these names. Raises `InputError` for an unknown one."""
    for name in names:
        if name not in INCLUDABLE:
            raise InputError(f"unknown kind '{name}'; use {', '.join(INCLUDABLE)}", field="include")
    return {INCLUDABLE[name] for name in names}


class Traces:
    """Reads what is there now, past facts included."""

    def __init__(self, database: Database) -> None:
        self._database, self._reader = database, FactReader(database)

    def of(
        self, owner: int | None, names: Sequence[str], values: Collection[str], alike: float
    ) -> dict[int, EntityTrace]:
        """Return the facts that reveal an entity, each with the first reason; `owner` is its number, None if it has
        none.

        `names` are its names as they are spelled, `values` the normalised ones that are the same as a value; from
        `alike` on, names count as spelled nearly the same.
        """
        found: dict[int, EntityTrace] = {}
        steps = (
            (EntityTrace.VALUE, self._naming(values)),
            (EntityTrace.LOOKALIKE, self._of_entities(self._lookalikes(names), owner)),
            (EntityTrace.DOCUMENT, self._read_in(self.documents(names))),
            (EntityTrace.MENTION, self._mentioning(names)),
            (EntityTrace.ALIKE, self._of_entities(self._spelled_alike(names, alike), owner)),
        )
        for trace, facts in steps:
            for fact in facts:
                found.setdefault(fact, trace)
        return found

    def documents(self, names: Sequence[str]) -> dict[int, str]:
        """Return the documents, by number, whose ids contain one of the names."""
        rows = self._database.stream("SELECT id, name FROM document ORDER BY id")
        return {number: document for number, document in rows if any(names_it(document, name) for name in names)}

    def _naming(self, values: Collection[str]) -> Iterator[int]:
        return (fact.id for value in sorted(values) for fact in self._reader.valued_ever(value))

    def _read_in(self, documents: Collection[int]) -> Iterator[int]:
        sql = "SELECT DISTINCT fact FROM source WHERE document = ? ORDER BY fact"
        return (row[0] for document in documents for row in self._database.rows(sql, (document,)))

    def _mentioning(self, names: Sequence[str]) -> Iterator[int]:
        sql = "SELECT id, value FROM fact WHERE instr(value, ?) > 0 OR instr(lower(value), ?) > 0 ORDER BY id"
        for name in names:
            rows = self._database.rows(sql, (name, name.lower())) if _is_telling(name) else []
            yield from (number for number, value in rows if names_it(value, name))

    def _of_entities(self, entities: Collection[int], owner: int | None) -> Iterator[int]:
        sql = "SELECT id FROM fact WHERE entity = ? ORDER BY id"
        others = sorted(set(entities) - {owner})
        return (row[0] for entity in others for row in self._database.rows(sql, (entity,)))

    def _lookalikes(self, names: Sequence[str]) -> set[int]:
        """Return the entities with a name, or alias, that is one of these in its normalised form, or looks like one."""
        found = set()
        for name in names:
            sql = """
                SELECT s.target FROM entity_spelling s LEFT JOIN entity_alias a ON a.id = s.alias
                WHERE s.norm = ? AND (s.alias = 0 OR a.until = 0)
            """
            found |= {row[0] for row in self._database.rows(sql, (normalise(name),))}
            shape = skeleton(name)
            for sql in (
                "SELECT id, name FROM entity WHERE length(name) = ?",
                "SELECT target, name FROM entity_alias WHERE length(name) = ? AND until = 0",
            ):
                rows = self._database.stream(sql, (len(canonical(name)),))
                found |= {number for number, other in rows if skeleton(other) == shape}
        return found

    def _spelled_alike(self, names: Sequence[str], alike: float) -> set[int]:
        return {
            entity.id
            for name in names
            for entity, spelling in self._reader.entities_alike(name, _ALIKE)
            if alike <= max(name_similarity(normalise(name), spelling), name_similarity(spelling, normalise(name)))
        }


def skeleton(name: str) -> str:
    """Equal for names that look the same: with letters of other alphabets, or figures, in place of Latin ones."""
    return canonical(name).translate(_CONFUSABLE).casefold()


def names_it(text: str, name: str) -> bool:
    """Whether a text contains the words of a name, one after the other."""
    words = _words(name)
    return _is_telling(name) and f" {' '.join(words)} " in f" {' '.join(_words(text))} "


def _is_telling(name: str) -> bool:
    return sum(map(len, _words(name))) >= _FEWEST_LETTERS


def _words(text: str) -> list[str]:
    return WORD.findall(normalise(text))
