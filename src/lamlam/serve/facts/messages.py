"""Request and response models of the knowledge-base routes. Unknown fields are refused."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lamlam import kb
from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb.names import checked
from lamlam.serve.protocol import Fact

__all__ = [
    "MOST",
    "Added",
    "AliasAnswer",
    "Aliases",
    "Certificates",
    "Counts",
    "Edit",
    "FactId",
    "Facts",
    "Forgotten",
    "ForgottenFact",
    "Log",
    "LogEntry",
    "NewAlias",
    "NewFacts",
    "Page",
    "Passage",
    "Passages",
    "Reasoned",
    "Relations",
    "Resolution",
    "RevisionChanges",
    "RevisionNumber",
    "Search",
    "Statement",
    "TableReport",
    "ToForget",
    "Undone",
    "said",
]

MOST = 2**63 - 1
NAME, VALUE, REASON = 500, 2_000, 500  # characters


def _stored(text: str) -> str:
    """Validate a text for storage: not blank, no NUL, no lone surrogate."""
    try:
        return checked(text, "")
    except InputError as error:
        raise ValueError(error.reason) from None


def _unicode(text: str) -> str:
    return _stored(f"x{text}")[1:]


Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME), AfterValidator(_stored)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=VALUE), AfterValidator(_stored)]
Why = Annotated[str, StringConstraints(max_length=REASON), AfterValidator(_unicode), Field(description="For the log.")]
Place = Annotated[int, Field(ge=0, le=MOST)]
FactId = Annotated[int, Field(ge=1, le=MOST)]
RevisionNumber = Annotated[int, Field(ge=0, le=MOST)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)  # "no" must not be read as false when erasing


# Requests


class NewSource(_Asked):
    """A fact's source: a document's id and optionally a span [start, end) of its characters."""

    document: Name
    start: Place | None = None
    end: Place | None = None

    @model_validator(mode="after")
    def _is_span(self) -> Self:
        if (self.start is None) != (self.end is None) or (self.start or 0) > (self.end or 0):
            raise ValueError("give both start and end or neither; start must not exceed end")
        return self

    def as_source(self) -> kb.Source:
        return kb.Source(self.document, self.start, self.end)


class NewFact(_Asked):
    entity: Name
    relation: Name
    value: Value
    source: NewSource | None = None

    def as_record(self) -> FactRecord:
        source = () if self.source is None else (self.source.document, self.source.start, self.source.end)
        return FactRecord(self.entity, self.relation, self.value, *source)


class NewFacts(_Asked):
    facts: Annotated[list[NewFact], Field(min_length=1)]
    reason: Why = ""


class Edit(_Asked):
    value: Value
    source: NewSource | None = None
    reason: Why = ""


class Reasoned(_Asked):
    reason: Why = ""


class NewAlias(_Asked):
    """An alias of exactly one of entity, relation and value."""

    name: Name
    entity: Name | None = None
    relation: Name | None = None
    value: Value | None = None
    reason: Why = ""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(target is not None for target in (self.entity, self.relation, self.value)) != 1:
            raise ValueError("give exactly one of entity, relation and value")
        return self


class ToForget(_Asked):
    """A fact's id; or any of entity, relation and value; or a source document."""

    fact: FactId | None = None
    entity: Name | None = None
    relation: Name | None = None
    value: Value | None = None
    source: Name | None = None
    include: list[Literal["values", "mentions", "lookalikes", "documents"]] = Field(
        default=[], max_length=4, description="With a whole entity: also these related facts of others."
    )
    dry_run: bool = Field(default=True, description="Only preview.")
    reason: Why = ""

    @model_validator(mode="after")
    def _one_description(self) -> Self:
        if sum(part is not None for part in (self.fact, self.entity or self.relation or self.value, self.source)) != 1:
            raise ValueError("give either fact, or any of entity, relation and value, or source")
        if self.include and (self.entity is None or self.relation or self.value):
            raise ValueError("include requires an entity without relation and value")
        return self

    def described(self) -> dict[str, Any]:
        """Arguments of `KnowledgeBase.forget`."""
        named = {name: getattr(self, name) for name in ("entity", "relation", "value", "source")}
        return {"fact_id": self.fact, **named, "include": self.include}


# Responses


class Resolution(BaseModel):
    """A lookup's result: a status and facts. `candidates` lists what an ambiguous query may mean."""

    entity: str
    relation: str
    status: str
    score: float
    facts: list[Fact]
    candidates: list[str]


class Relation(BaseModel):
    name: str
    facts: int


class Counts(BaseModel):
    """Counts of the knowledge base, its most frequent relations, and its latest revision."""

    facts: int
    past: int
    entities: int
    relations: int
    documents: int
    sources: int
    aliases: int
    revisions: int
    tombstones: int
    bytes: int
    frequent: list[Relation]
    revision: int
    examples: tuple[str, ...] = Field(default=(), description="Example prompts.")


class FoundName(BaseModel):
    name: str
    entity: str


class Search(BaseModel):
    """Names with this prefix; `entity` is the entity that each names."""

    entities: list[FoundName]


class Page(BaseModel):
    """A page of facts; `next` is the `after` of the next page, null on the last. Pages may be short."""

    facts: list[Fact]
    next: int | None


class Relations(BaseModel):
    relations: list[Relation]


class Facts(BaseModel):
    facts: list[Fact]


class Passage(BaseModel):
    """The text around a fact's source; the excerpt starts at the document's character `offset`."""

    document: str
    start: int | None
    end: int | None
    text: str
    offset: int
    found: bool


class Passages(BaseModel):
    passages: list[Passage]


class Alias(BaseModel):
    name: str
    since: int


class Aliases(BaseModel):
    aliases: list[Alias]


class Statement(BaseModel):
    entity: str
    relation: str
    value: str


class Added(BaseModel):
    """Counts of added and known facts, the facts refused as forgotten, and the new revision."""

    added: int
    known: int
    refused: list[Statement]
    revision: int


class AliasAnswer(BaseModel):
    added: bool = Field(description="False if the alias already exists.")


class Undone(BaseModel):
    changed: int = Field(description="Number of facts and names changed.")
    revision: int


class ChangedValue(BaseModel):
    id: int
    entity: str
    relation: str
    old: str
    new: str


class RefusedRow(BaseModel):
    line: int
    reason: str


class TableReport(BaseModel):
    """What a table changed, or would change. A refused row blocks the whole table."""

    edited: list[ChangedValue]
    added: list[Statement]
    unchanged: int
    refused: list[RefusedRow]
    revision: int | None


class ForgottenFact(Fact):
    why: str = Field(description="Why it would be erased, or how it is related.")


class Forgotten(BaseModel):
    """The certificate; in a dry run also the facts to be erased and the related ones that stay, at most 500 each."""

    certificate: dict[str, Any]
    facts: list[ForgottenFact]
    related: list[ForgottenFact]


class Certificates(BaseModel):
    certificates: list[dict[str, Any]]
    next: int | None = Field(description="The `before` of the next page; null on the last.")


class LogEntry(BaseModel):
    """A revision. `began` and `ended` count its facts, except those forgotten since."""

    id: int
    time: str
    actor: str
    action: str
    reason: str
    began: int
    ended: int
    undoable: bool = Field(description="Whether it can probably be undone.")


class Log(BaseModel):
    revisions: list[LogEntry]
    next: int | None = Field(description="The `before` of the next page; null on the last.")


class RevisionChanges(BaseModel):
    """A revision and the facts it added and ended, at most 500 each."""

    revision: LogEntry
    began: list[Fact]
    ended: list[Fact]


def said(facts: Iterable[kb.Fact]) -> list[Fact]:
    """Convert facts to API objects."""
    return [Fact.model_validate(asdict(fact)) for fact in facts]
