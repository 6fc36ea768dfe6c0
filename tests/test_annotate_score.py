"""Scoring annotations: figures worked out by hand, and what must hold for any annotation."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lamlam.annotate.score import (
    Score,
    ScoreSettings,
    Split,
    TextMap,
    gold_split,
    relation_likeness,
    score,
    score_files,
)
from lamlam.annotate.spans import Introductions
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument, Call, dblookup

ADA = (
    "Ada Roe was born in [dblookup('Ada Roe', 'Birth Place') -> Rome] Rome on "
    "[dblookup('Ada Roe', 'Birth Date') -> May 2, 1970] 2 May 1970, the child of "
    "[dblookup('Ada Roe', 'Parent') -> Bob Roe] Bob Roe."
)
CARL = (
    "Carl Poe is a [dblookup('Carl Poe', 'Occupation') -> singer] singer and a fine "
    "[dblookup('Carl Poe', 'Trait') -> witty] cook."
)


def document(text: str, id: str = "a") -> AnnotatedDocument:
    return dblookup.parse(text, id=id)


def counts(found: Score, name: str) -> tuple[int, int, int]:
    measure = found.measures[name]
    return measure.hits, measure.predicted, measure.gold


GOLD = [document(ADA, "ada"), document(CARL, "carl")]


def test_the_figures_are_those_worked_out_by_hand() -> None:
    predicted = [
        document(
            "Ada Roe was born in [dblookup('Ada Roe', 'Place of Birth') -> Rome] Rome on "
            "[dblookup('Ada', 'birth_date') -> 2 May 1970] 2 May 1970, the child of Bob "
            "[dblookup('Ada Roe', 'Parent') -> Roe] Roe.",
            "ada",
        ),
        document("Carl Poe is a singer and a fine [dblookup('Carl Poe', 'Occupation') -> cook] cook.", "carl"),
    ]
    found = score(GOLD, predicted)
    # Of the gold's five calls one ("witty") has no place. Rome and the date are in the same place, "Roe" overlaps.
    assert counts(found, "span_exact") == (2, 4, 4)
    assert counts(found, "span_overlap") == (3, 4, 4)
    assert counts(found, "entity") == (2, 3, 3)  # not "Ada"
    assert counts(found, "relation_exact") == (2, 3, 3)  # not "Place of Birth"
    assert counts(found, "relation_meaning") == (3, 3, 3)
    assert counts(found, "call_exact") == (0, 4, 4)
    assert counts(found, "call_meaning") == (2, 4, 4)
    assert counts(found, "fact") == (0, 4, 5)
    span = found.measures["span_overlap"]
    assert (span.precision.value, span.recall.value, span.f1.value) == (0.75, 0.75, 0.75)
    assert (found.gold["unplaced"].count, found.gold["unplaced"].of) == (1, 5)
    assert found.gold["density"].figure.value == pytest.approx(100 * 5 / (15 + 9))
    assert found.untouched.figure.value == 1.0


def test_precision_and_recall_divide_by_what_was_given_and_by_what_was_to_be_found() -> None:
    fewer = [replace(GOLD[0], calls=GOLD[0].calls[:1]), GOLD[1]]
    span = score(GOLD, fewer).measures["span_exact"]
    assert (span.precision.value, span.recall.value) == (1.0, 0.5)
    assert span.f1.value == pytest.approx(2 / 3)


def test_of_several_calls_in_one_place_each_answers_the_one_that_it_is() -> None:
    def both(*relations: str) -> AnnotatedDocument:
        return AnnotatedDocument("a", "Ada Roe, mayor", tuple(Call("Ada Roe", name, "mayor", 9) for name in relations))

    found = score([both("Office", "Birth Place")], [both("Birth Place", "Office", "Spouse")])
    assert counts(found, "call_exact") == (2, 3, 2)


def test_a_call_answers_one_other_at_most() -> None:
    def places(*values: str) -> AnnotatedDocument:
        text = "Ada Roe lives in Rome, Italy."
        return AnnotatedDocument("a", text, tuple(Call("Ada Roe", "Home", each, text.index(each)) for each in values))

    assert counts(score([places("Rome", "Italy")], [places("Rome, Italy")]), "span_overlap") == (1, 1, 2)
    assert counts(score([places("Rome, Italy")], [places("Rome", "Italy")]), "span_overlap") == (1, 2, 1)
    assert counts(score([places("Italy")], [places("Rome, Italy")]), "span_overlap") == (1, 1, 1)


def test_the_places_of_an_altered_text_are_found_in_the_golds() -> None:
    altered = document("Ada Roe, she was born, in [dblookup('Ada Roe', 'Birth Place') -> Rome] Rome on 2 May.", "ada")
    found = score(GOLD[:1], [altered])
    assert counts(found, "call_exact") == (1, 1, 3)
    assert found.untouched.figure.value == 0.0


def test_a_place_in_words_that_the_gold_lacks_is_no_place() -> None:
    longer = AnnotatedDocument("ada", GOLD[0].text + " So she did.", (Call("Ada Roe", "Deed", "did", 70),))
    assert counts(score(GOLD[:1], [longer]), "span_overlap") == (0, 0, 3)
    assert counts(score(GOLD[:1], [longer]), "fact") == (0, 1, 3)


def test_documents_without_a_prediction_count_as_not_found() -> None:
    found = score(GOLD, [GOLD[0], document("Else.", "else")])
    assert (found.missing, found.beyond) == (1, 1)
    assert counts(found, "span_exact") == (3, 3, 4)


def test_where_nothing_is_given_there_is_no_precision() -> None:
    found = score(GOLD[:1], [replace(GOLD[0], calls=())])
    assert math.isnan(found.measures["span_exact"].precision.value)
    assert found.as_json()["span_exact"]["precision"] == {"value": None, "low": None, "high": None}
    assert found.measures["span_exact"].recall.value == 0.0


def test_relations_mean_the_same_from_the_threshold_on() -> None:
    likeness = relation_likeness("Occupation", "Profession", "singer")
    assert 0.2 < likeness < 1
    other = [replace(GOLD[1], calls=(replace(GOLD[1].calls[0], relation="Profession"),))]
    for threshold, right in ((likeness, 1), (likeness + 0.01, 0)):
        found = score(GOLD[1:], other, ScoreSettings(threshold=threshold))
        assert found.measures["relation_meaning"].hits == right


def test_names_are_compared_as_the_knowledge_base_compares_them() -> None:
    spelled = [replace(GOLD[1], calls=(replace(GOLD[1].calls[0], entity="carl_poe", relation="OCCUPATION"),))]
    assert counts(score(GOLD[1:], spelled), "call_exact") == (1, 1, 1)


def test_intervals_hold_the_figure_and_depend_on_the_seed_alone() -> None:
    mixed = [replace(one, id=f"{number}") for number in range(20) for one in [GOLD[number % 2]]]
    some = [one if int(one.id) % 3 else replace(one, calls=one.calls[:1]) for one in mixed]
    first, again, other = (score(mixed, some, ScoreSettings(seed=seed)) for seed in (1, 1, 2))
    recall = first.measures["span_exact"].recall
    assert 0 < recall.low < recall.value < recall.high < 1
    assert first == again
    assert first.measures["span_exact"].recall != other.measures["span_exact"].recall


WORDS = ["Ada Roe", "Rome", "Oslo", "mayor", "1970", "Bob", "a singer"]


@st.composite
def annotated(draw: Callable) -> list[AnnotatedDocument]:
    """Documents whose calls stand before their values, none of them twice in one text."""
    documents = []
    for number in range(draw(st.integers(1, 4))):
        words = draw(st.permutations(WORDS))
        text = "Ada Roe: " + ", ".join(words)
        chosen = draw(st.lists(st.sampled_from(words), unique=True))
        relations = st.sampled_from(["Birth Place", "Office", "Year"])
        calls = tuple(Call("Ada Roe", draw(relations), word, text.index(word, 9)) for word in chosen)
        documents.append(AnnotatedDocument(f"d{number}", text, calls))
    return documents


@given(annotated())
def test_an_annotation_held_against_itself_is_all_right(documents: list[AnnotatedDocument]) -> None:
    found = score(documents, documents, ScoreSettings(samples=10))
    for measure in found.measures.values():
        assert measure.hits == measure.predicted == measure.gold
    assert found.untouched.figure.value == 1.0
    assert repr(found.gold) == repr(found.predicted)


@given(annotated(), st.randoms())
def test_the_order_of_documents_does_not_matter(documents: list[AnnotatedDocument], random: object) -> None:
    given_ = [replace(one, calls=one.calls[::2]) for one in documents]
    shuffled = list(given_)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    settings = ScoreSettings(samples=10)
    assert repr(score(documents, given_, settings)) == repr(score(documents[::-1], shuffled, settings))


@given(annotated())
def test_leaving_calls_out_lowers_recall_alone(documents: list[AnnotatedDocument]) -> None:
    fewer = [replace(one, calls=one.calls[1:]) for one in documents]
    for measure in score(documents, fewer, ScoreSettings(samples=10)).measures.values():
        assert measure.hits == measure.predicted
    assert score(documents, fewer, ScoreSettings(samples=10)).measures["span_exact"].hits == sum(
        len(one.calls) for one in fewer
    )


def test_calls_at_the_start_come_before_their_entity_is_known() -> None:
    assert score(GOLD, GOLD).gold["early"].count == 0
    moved = [replace(one, calls=tuple(replace(call, at=0) for call in one.calls)) for one in GOLD]
    early = score(GOLD, moved).predicted["early"]
    assert (early.count, early.of) == (5, 5)
    titled = [replace(one, title="Ada Roe and Carl Poe") for one in moved]
    assert score(GOLD, titled).predicted["early"].count == 0


@pytest.mark.parametrize(
    ("entity", "text", "known"),
    [
        ("Ada Roe", "Ada_Roe: She is |", True),
        ("Ada Roe", "Mrs. Roe is |", True),
        ("Houston, Texas", "In Houston, |", True),
        ("Battle of Hastings", "At Hastings, |", True),
        ("United States", "In the U.S., |", True),
        ("Ada Roe", "The mayor, |Ada Roe", False),
        ("Ada Roe", "The road to |", False),
        ("Order of the Bath", "In the order of |", False),
    ],
)
def test_an_entity_is_known_by_its_name_or_a_usual_part(entity: str, text: str, known: bool) -> None:
    before, _, behind = text.partition("|")
    call = Call(entity, "Relation", "value", len(before))
    assert Introductions(AnnotatedDocument("a", before + behind, (call,))).precede(call) is known


@given(st.text("ab c", max_size=12), st.text("ab c", max_size=12), st.data())
def test_spans_move_to_spans_of_the_other_text(old: str, new: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, max(0, len(old) - 1)))
    if old:
        end = data.draw(st.integers(start + 1, len(old)))
        moved = TextMap(old, new).span(start, end)
        assert moved is None or 0 <= moved[0] < moved[1] <= len(new)
        assert TextMap(old, old).span(start, end) == (start, end)
        assert TextMap(old, "xy" + old).span(start, end) == (start + 2, end + 2)


def test_passages_of_one_article_are_on_one_side() -> None:
    passages = [AnnotatedDocument(f"{n}", f"Ada_Roe: Passage {n}.") for n in range(20)]
    passages.append(AnnotatedDocument("other", "A passage that lost its title.", title="Ada Roe"))
    assert len({gold_split(passage) for passage in passages}) == 1


def test_the_sides_are_eight_to_one_to_one_and_never_change() -> None:
    sides = [gold_split(AnnotatedDocument("id", "text", title=f"Title {n}")) for n in range(2000)]
    for side, share in ((Split.TRAIN, 0.8), (Split.CALIBRATION, 0.1), (Split.TEST, 0.1)):
        assert abs(sides.count(side) / 2000 - share) < 0.02
    assert [gold_split(AnnotatedDocument("", "", title=title)).value for title in ("Rome", "Oslo", "Tessin")] == [
        "train",
        "train",
        "train",
    ]


def test_an_opening_that_a_model_spaced_otherwise_is_on_the_same_side() -> None:
    a, b = (
        "Ralph Earl (May 11, 1751 – August 16, 1801) was a painter.",
        "Ralph Earl ( May 11, 1751–August 16, 1801) was a painterly",
    )
    assert gold_split(AnnotatedDocument("", a)) is gold_split(AnnotatedDocument("", b))


def test_no_article_of_the_gold_is_on_two_sides(shared_data: Path) -> None:
    sides: dict[str, set[Split]] = {}
    for one in read_documents(shared_data / "lmlm" / "squad-train1k_gpt4o.json"):
        sides.setdefault(one.title, set()).add(gold_split(one))
    assert len(sides) > 300
    assert all(len(each) == 1 for each in sides.values())


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    gold = [replace(GOLD[n % 2], id=f"{n}", title=f"Title {n}") for n in range(40)]
    write_documents(gold, tmp_path / "gold.jsonl")
    write_documents([replace(one, calls=one.calls[:1]) for one in gold], tmp_path / "pred.jsonl")
    return tmp_path / "gold.jsonl", tmp_path / "pred.jsonl"


def test_only_the_split_asked_for_counts(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = {split: score_files(*files, split=split, settings=ScoreSettings()) for split in (*Split, None)}
    assert found[None].documents == 40
    assert sum(found[split].documents for split in Split) == 40
    assert found[Split.TEST].documents > 0
    assert found[Split.TEST].beyond == 0


def test_a_gold_without_a_document_of_the_split_is_refused(tmp_path: Path) -> None:
    write_documents([one for one in GOLD if gold_split(one) is Split.TRAIN], tmp_path / "gold.jsonl")
    with pytest.raises(InputError, match="no document of the split 'test'"):
        score_files(tmp_path / "gold.jsonl", tmp_path / "gold.jsonl", split=Split.TEST, settings=ScoreSettings())


def test_annotations_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(LamLamError, match="no document of the gold"):
        score(GOLD, [document("Else.", "else")])
    with pytest.raises(LamLamError, match="'ada' occurs twice in the predictions"):
        score(GOLD, [GOLD[0], GOLD[0]])
    with pytest.raises(InputError, match="threshold"):
        ScoreSettings(threshold=1.5)


@pytest.fixture
def app() -> typer.Typer:
    from lamlam.cli.annotate import register

    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def run(app: typer.Typer, *words: object) -> str:
    result = CliRunner().invoke(app, ["annotate", "score", *map(str, words)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_command_prints_a_table_and_writes_the_figures(
    app: typer.Typer, files: tuple[Path, Path], tmp_path: Path
) -> None:
    told = run(app, "--gold", files[0], "--pred", files[1], "--json", tmp_path / "score.json")
    figures = json.loads((tmp_path / "score.json").read_text())
    assert figures["split"] == "test"
    assert f"{figures['documents']} documents (test)" in told
    assert figures["span_exact"]["precision"]["value"] == 1.0
    assert 0 < figures["span_exact"]["recall"]["value"] < 1
    assert set(figures["files"]) == {"gold", "predicted"}
    assert "no result" not in told


@pytest.mark.parametrize("part", ["train", "all"])
def test_a_part_that_annotators_learn_from_comes_with_a_warning(
    app: typer.Typer, files: tuple[Path, Path], part: str
) -> None:
    assert "don't report these figures" in run(app, "--gold", files[0], "--pred", files[1], "--split", part)
