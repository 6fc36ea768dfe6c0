"""What `lamlam kb` prints. Names and values are shown literally, without markup or control characters."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lamlam.kb import Certificate, Fact, KnowledgeBase, Resolution, Revision, Source, Stats
    from lamlam.kb.files import ImportReport
    from lamlam.kb.matching.training import MatchCalibration

__all__ = [
    "places",
    "print_calibration",
    "print_certificate",
    "print_closure",
    "print_facts",
    "print_import",
    "print_log",
    "print_resolution",
    "print_stats",
]

_SHOWN = 20
_PLACES = 3


def print_import(report: "ImportReport") -> None:
    """Print the counts of an import, and the first of the rows that were refused or skipped."""
    refused = len(report.refused)
    counts = {"added": report.added, "known already": report.known, "refused because they were forgotten": refused}
    counts |= {"added although they were forgotten": report.allowed} if report.allowed else {}
    counts |= {"bad rows, skipped": report.skipped} if report.skipped else {}
    counts |= {f"left out: {kind}": count for kind, count in report.ignored.items()}
    Console().print(_counts(counts, "Facts imported"))
    if refused:
        rows = [(fact.entity, fact.relation, fact.value) for fact in report.refused[:_SHOWN]]
        Console().print(_table(("entity", "relation", "value"), rows, _some("Refused", refused)))
    if report.skipped:
        Console().print(_plain("Bad rows, skipped" + (", the first:" if report.skipped > len(report.bad) else ":")))
        for error in report.bad:
            Console().print(_plain(str(error)), soft_wrap=True)
    if report.namesakes:
        title = "Possibly namesakes: entities with two dates of birth or death"
        names = [(found.entity, found.relation, "; ".join(found.values)) for found in report.namesakes[:_SHOWN]]
        Console().print(_table(("entity", "relation", "values"), names, _some(title, len(report.namesakes))))


def print_stats(stats: "Stats", digest: str | None = None) -> None:
    """Print counts, and the digest of the content if it was asked for."""
    counts = {
        "facts": stats.facts,
        "past facts": stats.past,
        "entities": stats.entities,
        "relations": stats.relations,
        "documents": stats.documents,
        "sources": stats.sources,
        "aliases": stats.aliases,
        "revisions": stats.revisions,
        "tombstones": stats.tombstones,
        "bytes": stats.bytes,
    }
    Console().print(_counts(counts, "Contents"))
    if stats.frequent:
        Console().print(_counts(dict(stats.frequent), "Most frequent relations"))
    if digest is not None:
        Console().print(f"digest {digest}", highlight=False, soft_wrap=True)


def print_resolution(found: "Resolution") -> None:
    """Print a lookup's status and score, and its facts or candidates."""
    score = f", score {found.score:g}" if found.facts else ""
    Console().print(f"{found.status}{score}", highlight=False)
    if found.facts:
        print_facts(found.facts, "")
    for candidate in found.candidates:
        Console().print(_plain(f"may mean: {candidate}"), soft_wrap=True)


def print_facts(facts: Sequence["Fact"], title: str) -> None:
    """Print facts with their ids, revisions and sources; the first ones of many."""
    rows = [
        (
            str(fact.id),
            fact.entity,
            fact.relation,
            fact.value,
            f"{fact.since}-{fact.until or ''}",
            places(fact.sources),
        )
        for fact in facts[:_SHOWN]
    ]
    headings = ("fact", "entity", "relation", "value", "revisions", "sources")
    Console().print(_table(headings, rows, _some(title, len(facts))))


def print_log(revisions: Iterable["Revision"]) -> None:
    """Print one row for each write."""
    rows = [
        (
            str(revision.id),
            revision.time[:19].replace("T", " "),
            revision.action,
            revision.actor,
            revision.reason,
            str(revision.began),
            str(revision.ended),
        )
        for revision in revisions
    ]
    headings = ("revision", "time (UTC)", "action", "actor", "reason", "began", "ended")
    Console().print(_table(headings, rows, "Revisions"))


def print_closure(kb: "KnowledgeBase", certificate: "Certificate") -> None:
    """Print what would be erased, and the facts that stay but reveal it, each with the reason."""
    reasons = dict(zip(certificate.facts, certificate.reasons, strict=True))
    reasons |= dict(zip(certificate.related, certificate.related_reasons, strict=True))
    groups = {"To be erased": certificate.facts, "Not erased, though it reveals what is": certificate.related}
    for title, numbers in groups.items():
        shown = [kb.fact(number) for number in numbers[:_SHOWN]]
        rows = [
            (str(fact.id), fact.entity, fact.relation, fact.value, reasons.get(fact.id, ""), places(fact.sources))
            for fact in shown
        ]
        if rows:
            headings = ("fact", "entity", "relation", "value", "why", "sources")
            Console().print(_table(headings, rows, _some(title, len(numbers))))


def print_certificate(certificate: "Certificate") -> None:
    """Print what was erased, and whether anything of it was found in the files."""
    title = "Would be erased" if certificate.dry_run else f"Erased in revision {certificate.revision}"
    counts = {name: count for name, count in certificate.erased.items() if count or name == "fact"}
    Console().print(_counts(counts, title))
    if certificate.left:
        Console().print(_counts(certificate.left, "Facts left, though they reveal what is erased"))
    if found := certificate.scan:
        searched = f"{found.searched:,} erased strings were searched for in {', '.join(found.files)}: "
        left = f"{found.left_over:,} are left over" if found.left_over else "nothing is left over"
        shared = f"; {found.shared:,} are part of what remains" if found.shared else ""
        unsearched = f"; not searched: {', '.join(found.unsearched)}" if found.unsearched else ""
        Console().print(_plain(searched + left + shared + unsearched + "."), soft_wrap=True)


def print_calibration(found: "MatchCalibration", kept: bool) -> None:
    """Print the threshold, and its effect on the entities that it was not chosen on."""
    counted = [(f"missing: {kind}", "answered", *counts) for kind, counts in sorted(found.answered.items())]
    counted += [(f"known: {kind}", "answered correctly", *counts) for kind, counts in sorted(found.right.items())]
    rows = [(asked, what, f"{hits:,} of {n:,}", f"{hits / n:.1%}") for asked, what, hits, n in counted]
    Console().print(_table(("question", "counted", "number", "share"), rows, "On entities held out"))
    state = f"kept; {found.pairs:,} pairs of relations were seen often enough to tell" if kept else "not kept"
    Console().print(f"relation threshold {found.settings.relation:g}, {state}", highlight=False, soft_wrap=True)


def _counts(counts: dict[str, int], title: str) -> Table:
    table = _table(("", "number"), [(name, f"{count:,}") for name, count in counts.items()], title)
    table.columns[1].justify = "right"
    return table


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> Table:
    table = Table(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _some(title: str, number: int) -> str:
    return f"{title} (the first {_SHOWN} of {number:,})" if number > _SHOWN else title


def places(sources: Sequence["Source"]) -> str:
    """Return where a fact was read: the first few places, and how many more there are."""
    first = ", ".join(str(source) for source in sources[:_PLACES])
    return first + (f" and {len(sources) - _PLACES:,} more" if len(sources) > _PLACES else "")


def _plain(text: str) -> Text:
    """Return text that cannot control a terminal: unprintable characters are shown as escapes."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))
