"""What the routes of the knowledge base are asked and what they answer. Unknown fields are refused."""

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
    """A text as a knowledge base takes it: not blank, no NUL, no lone surrogate."""
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
    model_config = ConfigDict(extra="forbid", strict=True)  # "no" does not mean false where facts are erased


# What is asked


class NewSource(_Asked):
    """Where a fact was read: a document's id and, where it is known, a span [start, end) of its characters."""

    document: Name
    start: Place | None = None
    end: Place | None = None

    @model_validator(mode="after")
    def _is_span(self) -> Self:
        if (self.start is None) != (self.end is None) or (self.start or 0) > (self.end or 0):
            raise ValueError("start and end are both given or neither, and start is not beyond end")
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
    """Another name for an entity, a relation, or a value: exactly one of them is given."""

    name: Name
    entity: Name | None = None
    relation: Name | None = None
    value: Value | None = None
    reason: Why = ""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(target is not None for target in (self.entity, self.relation, self.value)) != 1:
            raise ValueError("an alias points at an entity, or a relation, or a value")
        return self


class ToForget(_Asked):
    """A fact by its id; or all of an entity, relation and value, any of them left out; or what a document states."""

    fact: FactId | None = None
    entity: Name | None = None
    relation: Name | None = None
    value: Value | None = None
    source: Name | None = None
    include: list[Literal["values", "mentions", "lookalikes", "documents"]] = Field(
        default=[], max_length=4, description="With all of an entity, also facts of others that tell of it."
    )
    dry_run: bool = Field(default=True, description="Tell what would go, and change nothing.")
    reason: Why = ""

    @model_validator(mode="after")
    def _one_description(self) -> Self:
        if sum(part is not None for part in (self.fact, self.entity or self.relation or self.value, self.source)) != 1:
            raise ValueError("say what to forget: a fact's id, or entity, relation and value, or a source")
        if self.include and (self.entity is None or self.relation or self.value):
            raise ValueError("what tells of an entity can be included where all of the entity is forgotten only")
        return self

    def described(self) -> dict[str, Any]:
        """Arguments of `KnowledgeBase.forget`."""
        named = {name: getattr(self, name) for name in ("entity", "relation", "value", "source")}
        return {"fact_id": self.fact, **named, "include": self.include}


# What is answered


class Resolution(BaseModel):
    """What a lookup finds: facts, or an honest status with none. `candidates` names what an ambiguous one may mean."""

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
    """How much the knowledge base holds, and its latest revision. `frequent` has the relations with the most facts."""

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
    examples: tuple[str, ...] = Field(default=(), description="Prompts to begin with.")


class FoundName(BaseModel):
    name: str
    entity: str


class Search(BaseModel):
    """Names that begin so; `entity` is whose name, or alias, it is."""

    entities: list[FoundName]


class Page(BaseModel):
    """Some facts; `next` is the `after` of the next page, null on the last. A page may be short and not be the last."""

    facts: list[Fact]
    next: int | None


class Relations(BaseModel):
    relations: list[Relation]


class Facts(BaseModel):
    facts: list[Fact]


class Passage(BaseModel):
    """The text around one source of a fact: the excerpt begins at the document's character `offset`."""

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
    """How many facts were new and known; those refused because they were forgotten; the revision that was written."""

    added: int
    known: int
    refused: list[Statement]
    revision: int


class AliasAnswer(BaseModel):
    added: bool = Field(description="False where the name stands for it already.")


class Undone(BaseModel):
    changed: int = Field(description="How many facts and names.")
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
    """What a table changed, or would. A refused row keeps all others from being written, so that a dry run tells it."""

    edited: list[ChangedValue]
    added: list[Statement]
    unchanged: int
    refused: list[RefusedRow]
    revision: int | None


class ForgottenFact(Fact):
    why: str = Field(description="Why it would go, or why it tells of what would.")


class Forgotten(BaseModel):
    """The certificate; in a dry run also the facts that would go, and those that would stay, 500 of each."""

    certificate: dict[str, Any]
    facts: list[ForgottenFact]
    related: list[ForgottenFact]


class Certificates(BaseModel):
    certificates: list[dict[str, Any]]
    next: int | None = Field(description="The `before` of the next page; null on the last.")


class LogEntry(BaseModel):
    """One write. `began` and `ended` count its facts; those forgotten since are not counted."""

    id: int
    time: str
    actor: str
    action: str
    reason: str
    began: int
    ended: int
    undoable: bool = Field(description="Whether it seems that this can be undone.")


class Log(BaseModel):
    revisions: list[LogEntry]
    next: int | None = Field(description="The `before` of the next page; null on the last.")


class RevisionChanges(BaseModel):
    """A revision, and the facts that began and that ended with it, the first 500 of each."""

    revision: LogEntry
    began: list[Fact]
    ended: list[Fact]


def said(facts: Iterable[kb.Fact]) -> list[Fact]:
    """Facts of the knowledge base in the words of the API."""
    return [Fact.model_validate(asdict(fact)) for fact in facts]
