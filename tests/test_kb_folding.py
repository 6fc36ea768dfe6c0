"""Names of relations that are one: what is folded, what is not, the file of decisions and its replay."""

import json
from collections.abc import Iterable
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.folding.blocks import candidate_pairs
from lamlam.kb.folding.decisions import Folding, apply_decisions, read_decisions, write_decisions
from lamlam.kb.folding.inventory import Inventory
from lamlam.kb.folding.judgement import Decision, Ground
from lamlam.kb.folding.proposal import Proposal, propose
from lamlam.kb.folding.report import write_folding_report
from places import Place

Triple = tuple[str, str, str]


def proposed(*triples: Triple, encoder: object = None) -> Proposal:
    ordered = sorted(triples)
    return propose(lambda: ordered, encoder=encoder)  # type: ignore[arg-type]


def decided(*names: str, values: Iterable[str] = ("Rome", "Oslo", "Bonn", "Lima")) -> dict[frozenset[str], Folding]:
    """What is decided about names that different entities use."""
    told = list(values)
    triples = [(f"E{at}", name, told[at % len(told)]) for at, name in enumerate(names)]
    return {frozenset((each.name, each.into)): each for each in proposed(*triples).foldings}


@pytest.mark.parametrize(
    ("a", "b", "ground"),
    [
        ("Birth Place", "Place of Birth", Ground.WORDS),
        ("Birthplace", "Birth Place", Ground.WORDS),
        ("Founder", "Founders", Ground.WORDS),
        ("Developer", "Developed By", Ground.AGENT),
        ("Designed By", "Design By", Ground.FORMS),
        ("Death Location", "Death Place", Ground.MEANING),
    ],
)
def test_names_of_one_meaning_are_accepted(a: str, b: str, ground: Ground) -> None:
    found = decided(a, b)[frozenset((a, b))]
    assert (found.decision, found.ground) == (Decision.ACCEPT, ground)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Founder", "Founder Of"),
        ("Founded By", "Founded In"),
        ("Birth Date", "Birth Year"),
        ("First Wife", "Second Wife"),
        ("Number of Seasons", "Season Number"),
        ("State", "Province"),
        ("Director", "Creditors"),
        ("Elected Position in 2000", "Position in 2000 Election"),
        ("Home Team", "Away Team"),
        ("Incorporation Date", "Founding Date"),
    ],
)
def test_names_of_other_meaning_are_not_accepted(a: str, b: str) -> None:
    found = decided(a, b).get(frozenset((a, b)))
    assert found is None or found.decision is not Decision.ACCEPT


def test_other_values_in_the_same_entity_leave_even_the_same_words_to_a_person() -> None:
    [found] = proposed(("Ada", "Birth Place", "Rome"), ("Ada", "Place of Birth", "Oslo")).foldings
    assert (found.decision, found.ground, found.apart) == (Decision.PENDING, Ground.APART, 1)
    [found] = proposed(("Ada", "Death Place", "Rome"), ("Ada", "Death Location", "Oslo")).foldings
    assert found.decision is Decision.REJECT


def test_a_date_and_a_name_are_no_values_of_one_relation() -> None:
    [found] = decided("Birth Place", "Place of Birth", values=("14 May 1901", "Oslo")).values()
    assert (found.decision, found.ground) == (Decision.PENDING, Ground.KINDS)


def test_names_without_a_common_word_are_accepted_on_shared_values_in_three_entities() -> None:
    shared = [(f"E{at}", name, f"Person {at}") for at in range(3) for name in ("Head", "Chancellor")]
    [found] = proposed(*shared).foldings
    assert (found.decision, found.ground, found.shared) == (Decision.ACCEPT, Ground.VALUES, 3)
    [found] = proposed(*shared[:4]).foldings
    assert found.decision is Decision.PENDING
    assert not proposed(*((entity, name, "5") for entity, name, _ in shared)).foldings
    against = [("E9", "Head", "Ada"), ("E9", "Chancellor", "Bob")]
    assert all(each.decision is not Decision.ACCEPT for each in proposed(*shared, *against).foldings)


def test_an_encoder_decides_on_what_is_alike() -> None:
    triples = [("A", "Occupation", "painter"), ("B", "Profession", "baker")]
    near, far = (lambda names: np.ones((len(names), 1))), (lambda names: np.eye(len(names)))
    assert [each.decision for each in proposed(*triples).foldings] == [Decision.PENDING]
    assert [each.ground for each in proposed(*triples, encoder=near).foldings] == [Ground.ENCODER]
    assert [each.decision for each in proposed(*triples, encoder=far).foldings] == [Decision.PENDING]


def test_names_do_not_chain() -> None:
    """Head = Chancellor and Chancellor = Premier by values, but Head and Premier differ where they meet."""
    triples = [(f"E{at}", name, f"Person {at}") for at in range(4) for name in ("Head", "Chancellor")]
    triples += [(f"F{at}", name, f"Person {at}") for at in range(3) for name in ("Chancellor", "Premier")]
    triples += [("G", "Head", "Ada"), ("G", "Premier", "Bob")]
    found = {frozenset((each.name, each.into)): each for each in proposed(*triples).foldings}
    accepted = [pair for pair, each in found.items() if each.decision is Decision.ACCEPT]
    assert len(accepted) == 1
    assert Ground.CHAIN in {each.ground for each in found.values()}


def test_an_accepted_pair_is_a_pointer_that_undo_takes_back() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add([("Ada", "Occupation", "painter"), ("Bob", "Trade or Craft", "baker")])
        before = kb.digest()
        pairs = [Folding("Trade or Craft", "Occupation", Decision.ACCEPT), Folding("Job", "Wage", Decision.ACCEPT)]
        assert kb.lookup("Bob", "Occupation").status is Status.UNKNOWN_RELATION
        done = apply_decisions(kb, [*pairs, Folding("Occupation", "Hobby", Decision.PENDING)], actor="me")
        assert (done.added, done.known, done.absent) == (1, 0, 1)
        assert kb.lookup("Bob", "Occupation").values == ("baker",)
        assert kb.lookup("Bob", "Occupation").status is Status.ALIAS
        assert apply_decisions(kb, pairs).known == 1
        revision = next(each.id for each in kb.log() if each.actor == "me")
        kb.undo(revision)
        assert kb.lookup("Bob", "Occupation").status is Status.UNKNOWN_RELATION
        assert kb.digest() == before


def test_an_entity_with_two_of_three_names_answers_with_both() -> None:
    names = ("Birthplace", "Birth Place", "Place of Birth")
    with KnowledgeBase.open(":memory:") as kb:
        kb.add([("Ada", names[0], "Rome"), ("Ada", names[1], "Lazio"), ("Bob", names[2], "Oslo")])
        pairs = [Folding(a, b, Decision.ACCEPT) for a, b in (names[:2], names[1:], names[::2])]
        apply_decisions(kb, pairs[1:])
        assert kb.lookup("Ada", names[2]).status is Status.AMBIGUOUS
        apply_decisions(kb, pairs)
        assert kb.lookup("Ada", names[2]).values == ("Rome", "Lazio")


def test_decisions_are_read_as_they_were_written_and_may_be_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    foldings = proposed(("A", "Birth Place", "Rome"), ("B", "Place of Birth", "Oslo")).foldings
    write_decisions(foldings, path)
    assert read_decisions(path) == foldings
    path.write_text('{"name": "Job", "into": "Occupation", "decision": "accept"}\n', encoding="utf-8")
    assert read_decisions(path) == [Folding("Job", "Occupation", Decision.ACCEPT)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"name": "Job", "into": "Occupation", "decision": "yes"}', "accept, reject, pending"),
        ('{"name": "Job", "into": " job", "decision": "accept"}', "the same name"),
        ('{"name": "Job", "into": "Work", "decision": "accept"}\n{"name": "work", "into": "job", "decision": "reject"}',
         "otherwise"),
    ],
)  # fmt: skip
def test_bad_decisions_are_told_with_their_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=told):
        read_decisions(path)


@pytest.mark.parametrize("ending", [".html", ".md"])
def test_a_report_shows_untrusted_names_as_text(tmp_path: Path, ending: str) -> None:
    name = "<script>alert(1)</script> | [x](javascript:y)"
    foldings = [Folding(name, "Job", Decision(kind), values=((name,), ("a\nb",))) for kind in Decision]
    write_folding_report(foldings, tmp_path / f"report{ending}")
    page = (tmp_path / f"report{ending}").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script" in page
    assert ending == ".html" or "](javascript" not in page
    with pytest.raises(InputError, match=r"\.html or \.md"):
        write_folding_report(foldings, tmp_path / "report.txt")


def test_the_command_proposes_keeps_what_is_decided_and_replays_it(tmp_path: Path) -> None:
    from lamlam.cli.app import app

    first, second, file = (str(tmp_path / name) for name in ("a.sqlite", "b.sqlite", "decisions.jsonl"))
    for path in (first, second):
        with KnowledgeBase.open(path, create=True) as kb:
            kb.add([("A", "Occupation", "painter"), ("B", "Profession", "baker"), ("C", "Birth Place", "Rome")])
            kb.add([("D", "Place of Birth", "Oslo")])
    ran = CliRunner().invoke(app, ["kb", "relations", first, "--decisions", file, "--report", str(tmp_path / "r.md")])
    assert ran.exit_code == 0, ran.output
    assert "1 pairs are accepted, 1 pending" in ran.output
    lines = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    swapped = [line | {"decision": {"accept": "reject", "pending": "accept"}[line["decision"]]} for line in lines]
    Path(file).write_text("".join(json.dumps(line) + "\n" for line in swapped), encoding="utf-8")
    assert CliRunner().invoke(app, ["kb", "relations", first, "--decisions", file]).exit_code == 0
    assert [each.decision for each in read_decisions(file)] == [line["decision"] for line in swapped]
    ran = CliRunner().invoke(app, ["kb", "relations", second, "--decisions", file, "--apply"])
    assert "1 aliases are added" in ran.output
    with KnowledgeBase.open(second) as kb:
        assert [alias for kind, *alias in kb.aliases() if kind == "relation"] in (
            [["Profession", "Occupation"]], [["Occupation", "Profession"]],
        )  # fmt: skip


def test_a_large_block_is_compared_with_its_commonest_names_only() -> None:
    """Fillers do not reach the key, so that all these names stand in one block."""
    fillers = ("a", "an", "the", "of", "is", "was", "are", "were")
    names = [" ".join(("Founding", *each, "Year")) for each in product(fillers, repeat=3)]
    inventory = Inventory(lambda: [(f"E{at:03}", name, "1901") for at, name in enumerate(names)])
    inventory.read()
    assert len(names) < len(candidate_pairs(inventory)) < len(names) * 64


def test_the_statements_of_an_entity_stand_together_wherever_the_facts_are_kept(place: Place) -> None:
    with place.fresh() as kb:
        kb.add([("Ada", "Trade", "baker"), ("Bob", "Trade", "cook"), ("Ada", "Born In", "Rome")])
        kb.edit(next(kb.facts("Bob", "Trade")).id, value="smith")
        found = list(kb.statements())
    assert sorted(found) == [("Ada", "Born In", "Rome"), ("Ada", "Trade", "baker"), ("Bob", "Trade", "smith")]
    assert len(list(groupby(found, key=lambda statement: statement[0]))) == 2
