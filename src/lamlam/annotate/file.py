"""Annotates a file of documents and keeps count of what could not be placed.

Documents are streamed: only facts are held in memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lamlam.annotate.align import Aligner, Alignment, Reason
from lamlam.annotate.candidates import CandidateFacts
from lamlam.corpus import FactRecord
from lamlam.corpus.files import read_documents, read_facts, write_documents
from lamlam.corpus.lines import read_entries
from lamlam.corpus.webnlg import read_webnlg
from lamlam.errors import InputError
from lamlam.kb import AddReport, KnowledgeBase
from lamlam.kb.connect import is_url
from lamlam.markup import AnnotatedDocument

__all__ = ["Tally", "annotate_file"]


@dataclass(slots=True)
class Tally:
    """How many documents were annotated, how many facts placed in them, and why the others were not.

    `knowledge_base` is what the knowledge base did with the facts; None where none was named.
    """

    documents: int = 0
    placed: int = 0
    unplaced: Counter[Reason] = field(default_factory=Counter)
    knowledge_base: AddReport | None = None


def annotate_file(
    source: Path,
    out: Path,
    *,
    facts: Path | None = None,
    knowledge_base: str | Path | None = None,
    seen: Callable[[], None] = lambda: None,
) -> Tally:
    """Align the documents of `source` and write them to `out`, as JSON Lines, whole or not at all.

    `source` is JSON Lines of `{"text", "triples"}`, which says what each text states, or anything that
    `read_documents` reads; then the file `facts` is needed, and a text is tried with the facts of every entity that it
    names. Calls that a document has already are replaced. All facts given go into `knowledge_base`, made where it is
    missing, the placed ones with document and span. `seen` is called once a document.
    Raises `InputError` for input that cannot be read, before anything is written.
    """
    if knowledge_base is not None and (is_url(knowledge_base) or Path(knowledge_base).exists()):
        KnowledgeBase.open(knowledge_base, create=is_url(knowledge_base)).close()
    given = list(read_facts(facts)) if facts is not None else []
    tally, known = Tally(), dict.fromkeys(given)
    write_documents(_counted(_alignments(source, facts, given), tally, known, seen), out)
    if knowledge_base is not None:
        with KnowledgeBase.open(knowledge_base, create=True) as opened:
            tally.knowledge_base = opened.add(known, actor="annotate")
    return tally


def _alignments(source: Path, facts: Path | None, given: list[FactRecord]) -> Iterator[Alignment]:
    if _states_triples(source):
        stated = Aligner()
        for one in read_webnlg(source):
            yield stated.annotate(one.text, one.facts, one.id)
        return
    if facts is None:
        raise InputError("does not say what its texts state, so a file of facts is needed", path=source)
    aligner, candidates = Aligner(stated=False), CandidateFacts(given)
    for document in read_documents(source):
        yield aligner.annotate(document.text, candidates.mentioned_in(document.text), document.id)


def _states_triples(source: Path) -> bool:
    if source.suffix != ".jsonl":
        return False
    return any(entry.has("triples") for entry in islice(read_entries(source), 1))


def _counted(
    alignments: Iterable[Alignment], tally: Tally, known: dict[FactRecord, None], seen: Callable[[], None]
) -> Iterator[AnnotatedDocument]:
    """The documents of `alignments`; on the way, they are counted and their facts collected."""
    for alignment in alignments:
        tally.documents += 1
        tally.placed += len(alignment.placed)
        tally.unplaced.update(reason for _, reason in alignment.unplaced)
        known |= dict.fromkeys(alignment.placed)
        known |= dict.fromkeys(fact for fact, _ in alignment.unplaced)
        seen()
        yield alignment.document
