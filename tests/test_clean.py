"""Cleaning: what each rule matches, and that texts stay as they are."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamlam.annotate.clean import RULES, CallInContext, Cleaner, CleaningTally, RelationCounts, triple_of
from lamlam.annotate.mentions import MentionFinder
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

TEXT = "Arsenal F.C.: They appointed club physiotherapist Bertie Mee as manager on 14 February 1966."
LONG = "Number of Physiotherapists Appointed By Surprise Decision"
MEE, DATE = TEXT.index("Bertie Mee"), TEXT.index("14 February")


def rules_broken(text: str, *calls: Call, relations: Sequence[str] = ()) -> list[str]:
    """The rules that the last call breaks."""
    document, counts = AnnotatedDocument("d", text, calls), RelationCounts()
    counts.add(call.relation for call in calls)
    counts.add(relations)
    earlier = set(map(triple_of, document.calls[:-1]))
    context = CallInContext(document, document.calls[-1], earlier, MentionFinder(document.text), counts)
    return [name for name, matches in RULES.items() if matches(context)]


@pytest.mark.parametrize(
    ("call", "broken"),
    [
        (Call("Arsenal F.C.", "Manager", "Bertie Mee", MEE), []),
        (Call("Arsenal_F.C.", "Manager", "Bertie Mee", MEE), []),
        (Call("Arsenal", "Appointment Date", "February 14, 1966", DATE), []),
        (Call("Arsenal F.C.", "Manager", "physiotherapist Mee", MEE), []),
        (Call("Arsenal F.C.", "Manager Bertie Mee", "Bertie Mee", MEE), ["leak"]),
        (Call("Arsenal F.C.", "Manager", "Herbert Chapman", MEE), ["value"]),
        (Call("Arsenal F.C.", "Manager", "physiotherapist", MEE), ["value"]),
        (Call("Chelsea", "Manager", "Bertie Mee", MEE), ["entity"]),
        (Call("Bertie Mee", "Birth Name", "Bertie Mee", DATE), ["self", "value"]),
        (Call("Arsenal F.C.", " ", "Bertie Mee", MEE), ["malformed"]),
        (Call("Arsenal F.C.", "Manager') -> Mee", "Bertie Mee", MEE), ["malformed"]),
        (Call("Arsenal F.C.", "1966", "Bertie Mee", MEE), ["malformed"]),
        (Call("Arsenal F.C.", LONG, "Bertie Mee", MEE), ["specific"]),
    ],
)  # fmt: skip
def test_a_rule_finds_its_fault_and_no_other(call: Call, broken: list[str]) -> None:
    assert rules_broken(TEXT, call) == broken


def test_a_call_made_again_in_a_document_is_a_duplicate() -> None:
    call = Call("Arsenal F.C.", "Manager", "Bertie Mee", MEE)
    assert rules_broken(TEXT, replace(call, entity="Arsenal_F.C.", at=MEE - 5), call) == ["duplicate"]


def test_a_long_relation_that_is_like_another_is_not_over_specific() -> None:
    call = Call("Arsenal F.C.", LONG, "Bertie Mee", MEE)
    assert rules_broken(TEXT, call, relations=["Number of Physiotherapists Appointed By Decision"]) == []
    assert rules_broken(TEXT, call, relations=[call.relation]) == []


def town(at: int, value: str) -> AnnotatedDocument:
    text = f"Town {at} lies in Rome {at}.\x0b It is  old."
    return AnnotatedDocument(f"d{at}", text, (Call(f"Town {at}", "Location", value, 15),))


DOCUMENTS = [town(at, value) for at, value in enumerate(["Rome 0", "Rome 1", "Oslo", "Rome 3", "Rome 4"])]


def cleaned(**settings: object) -> tuple[CleaningTally, list[AnnotatedDocument]]:
    tally = CleaningTally()
    return tally, list(Cleaner(**settings).clean(lambda: DOCUMENTS, tally))  # type: ignore[arg-type]


def test_texts_stay_and_what_is_dropped_is_told() -> None:
    tally, left = cleaned()
    assert [(each.id, each.text) for each in left] == [(each.id, each.text) for each in DOCUMENTS]
    assert [len(each.calls) for each in left] == [1, 1, 0, 1, 1]
    assert (tally.documents, tally.calls, dict(tally.dropped)) == (5, 5, {"value": 1})
    [sample] = tally.samples["value"]
    assert (sample.document, sample.call.value, sample.after[:4]) == ("d2", "Oslo", "Rome")


def test_a_rule_can_be_left_out() -> None:
    assert not cleaned(skip=["value"])[0].dropped
    with pytest.raises(InputError, match="there is no rule 'valeu'"):
        cleaned(skip=["valeu"])


def test_samples_are_drawn_by_seed() -> None:
    faulty = [replace(DOCUMENTS[2], id=f"d{at}") for at in range(50)]

    def drawn(seed: int) -> list[str]:
        tally = CleaningTally()
        list(Cleaner(sample=5, seed=seed).clean(lambda: faulty, tally))
        return [each.document for each in tally.samples["value"]]

    assert drawn(0) == drawn(0) != drawn(1)
    assert len(drawn(0)) == 5


def test_the_command_writes_what_is_left_and_a_report(tmp_path: Path) -> None:
    from lamlam.cli.app import app

    source, out, report = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "report.json"))
    write_documents(DOCUMENTS, source)
    command = ["annotate", "clean", str(source)]
    ran = CliRunner().invoke(app, [*command, "--dry-run", "--report", str(report)])
    assert ran.exit_code == 0, ran.output
    assert not out.exists()
    assert json.loads(report.read_text(encoding="utf-8"))["reasons"] == {"value": 1}
    assert CliRunner().invoke(app, [*command, "--out", str(out)]).exit_code == 0
    os.mkfifo(tmp_path / "pipe.jsonl")  # which would be waited for, as documents are read twice
    clean = ["annotate", "clean", str(tmp_path / "pipe.jsonl"), "--dry-run"]
    with pytest.raises(InputError, match="can be read only once"):
        CliRunner().invoke(app, clean, catch_exceptions=False)
    assert [len(each.calls) for each in read_documents(out)] == [1, 1, 0, 1, 1]
    with pytest.raises(InputError, match="--out or --dry-run"):
        CliRunner().invoke(app, command, catch_exceptions=False)
