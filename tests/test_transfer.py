"""Moving a model's calls onto the untouched text, from a faulty copy or from a list."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.annotate.transfer import QuotedCall, propose_quoted, transfer
from lamlam.annotate.vetting import Drop, Vetted, Vetting
from lamlam.markup import AnnotatedDocument, Call, dblookup
from lamlam.text import title_of

TEXT = (
    "Ada Roe (born 3 May 1871 in Tarsk) was a composer. She wrote three operas in all. Her opera The Salt Road was "
    "first heard in Oss in 1902. She left Tarsk for good in 1910 and died in Dunmarch."
)
DOCUMENT = AnnotatedDocument("ada", TEXT)
BORN = Call("Ada Roe", "Birth Date", "3 May 1871", TEXT.index("3 May"))
PLACE = Call("Ada Roe", "Birth Place", "Tarsk", TEXT.index("Tarsk"))
HEARD = Call("The Salt Road", "First Performance", "Oss", TEXT.index("Oss"))
YEAR = Call("The Salt Road", "First Performed In", "1902", TEXT.index("1902"))
DIED = Call("Ada Roe", "Death Place", "Dunmarch", TEXT.index("Dunmarch"))
CALLS = (BORN, PLACE, HEARD, YEAR, DIED)
COPY = dblookup.render(AnnotatedDocument("", TEXT, CALLS))
FIRST, SECOND, THIRD, FOURTH = (f"{sentence}." for sentence in COPY.removesuffix(".").split(". "))


def test_a_faithful_copy_gives_its_calls_where_they_stand() -> None:
    assert transfer(DOCUMENT, COPY) == Vetted(AnnotatedDocument("ada", TEXT, CALLS))


FAULTS = {
    "said three times": f"{COPY}assistant\n\n{COPY}assistant\n\n{COPY[:200]}",
    "with a preface": f"Here is the annotated text:\n\n{COPY}\n\nLet me know whether it helps!",
    "with other punctuation": COPY.replace(" (born", ", (born").replace(". ", ".\n\n"),
    "with other words": COPY.replace("a composer", "a well-known composer").replace("in all", "altogether"),
    "with an invented sentence": COPY.replace("She left", "Nothing more is known about these years of hers. She left"),
    "without a sentence": COPY.replace(SECOND + " ", ""),
}


@pytest.mark.parametrize("copy", FAULTS.values(), ids=FAULTS)
def test_the_faults_of_a_copy_move_no_call(copy: str) -> None:
    assert transfer(DOCUMENT, copy).document == AnnotatedDocument("ada", TEXT, CALLS)


def test_calls_of_dropped_sentences_are_missing_and_the_others_stand_where_they_did() -> None:
    vetted = transfer(DOCUMENT, f"{FIRST} {FOURTH}")
    assert vetted.document.calls == (BORN, PLACE, DIED)
    assert vetted.dropped == {}


def test_a_repetition_is_counted_and_its_calls_are_kept_once() -> None:
    vetted = transfer(DOCUMENT, f"{COPY}\n\n{COPY}")
    assert vetted.document.calls == CALLS
    assert vetted.dropped == {Drop.REPEATED: 5}


def test_calls_in_invented_words_are_dropped() -> None:
    invented = "In later years [dblookup('Ada Roe', 'Employer') -> Zork] Zork and its owners hired her as an adviser."
    vetted = transfer(DOCUMENT, f"{FIRST} {invented} {SECOND} {THIRD} {FOURTH}")
    assert vetted.document.calls == CALLS
    assert vetted.dropped == {Drop.ELSEWHERE: 1}


def test_a_value_that_does_not_follow_is_dropped() -> None:
    behind = TEXT.replace("Tarsk)", "Tarsk [dblookup('Ada Roe', 'Birth Year') -> 1871])")
    assert transfer(DOCUMENT, behind).dropped == {Drop.NO_VALUE: 1}
    told = TEXT.replace("was a comp", "was a [dblookup('Ada Roe', 'Fame') -> known far and wide] comp")
    assert transfer(DOCUMENT, told).dropped == {Drop.NO_VALUE: 1}


def test_a_call_before_its_entity_goes_on_to_its_value_or_is_dropped() -> None:
    early = TEXT.replace("Her opera", "Her [dblookup('The Salt Road', 'First Performance') -> Oss] opera")
    assert transfer(DOCUMENT, early).document.calls == (HEARD,)
    never = TEXT.replace("in Oss", "in [dblookup('Lower Halden', 'Opera House') -> Oss] Oss")
    assert transfer(DOCUMENT, never).dropped == {Drop.BEFORE_ENTITY: 1}


def test_the_title_introduces_its_entity() -> None:
    text = "She was born in Oss."
    copy = "She was born in [dblookup('Bea Poe', 'Birth Place') -> Oss] Oss."
    assert transfer(AnnotatedDocument("b", text), copy).document.calls == ()
    assert len(transfer(AnnotatedDocument("b", text, title="Bea Poe"), copy).document.calls) == 1


MALFORMED = {
    "cut off": FIRST + " She wrote [dblookup('Ada Roe', 'Ope",
    "nested": f"{FIRST} She [dblookup('Ada Roe', 'X') -> [dblookup('Ada Roe', 'Operas') -> three] three operas in all.",
    "without a field": f"{FIRST} She wrote [dblookup('', 'Operas') -> three] three operas in all.",
    "without a bracket": f"{FIRST} She wrote dblookup('Ada Roe', 'Operas') -> three] three operas in all.",
    "of two lines": f"{FIRST} She wrote [dblookup('Ada\nRoe', 'Operas') -> three] three operas in all.",
    "endless": f"{FIRST} She wrote [dblookup('{'Ada ' * 200}', 'Operas') -> three] three operas in all.",
}


@pytest.mark.parametrize("copy", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_call_is_counted_and_spoils_no_other(copy: str) -> None:
    vetted = transfer(DOCUMENT, copy)
    assert {BORN, PLACE} <= set(vetted.document.calls)
    assert vetted.dropped == {Drop.MALFORMED: 1}


@pytest.mark.parametrize(
    "own",
    [
        "[dblookup('Ada Roe', 'Fee') -> Oss] ",
        "<|db_entity|> Ada Roe<|db_relationship|> Fee<|db_return|> Oss<|db_end|> ",
    ],
)
def test_markup_of_the_text_itself_makes_no_call(own: str) -> None:
    text = TEXT.replace("in Oss", f"in {own} Oss")
    first = "in [dblookup('The Salt Road', 'First Perf"
    copy = COPY.replace(first, f"in [dblookup('Ada Roe', 'Fee') -> Oss] Oss {first.removeprefix('in ')}", 1)
    vetted = transfer(AnnotatedDocument("own", text), copy)
    assert vetted.document.text == text
    assert ("Ada Roe", "Fee") not in {(call.entity, call.relation) for call in vetted.document.calls}
    assert vetted.dropped[Drop.QUOTED] == 1


def test_signs_before_a_word_stay_behind_its_call() -> None:
    text = 'Ada Roe wrote "The Salt Road" and (in 1902) a song.'
    copy = (
        "Ada Roe wrote [dblookup('Ada Roe', 'Opera') -> The Salt Road] \"The Salt Road\" "
        "and [dblookup('Ada Roe', 'Song') -> 1902] (in 1902) a song."
    )
    assert [call.at for call in transfer(AnnotatedDocument("s", text), copy).document.calls] == [14, 34]


def test_calls_that_the_document_had_are_replaced() -> None:
    assert transfer(AnnotatedDocument("ada", TEXT, (BORN,)), TEXT).document.calls == ()


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_copy_whatever_alters_a_text(text: str, copy: str) -> None:
    assert transfer(AnnotatedDocument("x", text), copy).document.text == text


@given(st.lists(st.sampled_from([FIRST, SECOND, THIRD, FOURTH, "Nothing of this is so.", "[dblookup('"]), max_size=9))
def test_whatever_sentences_a_copy_has_its_calls_stand_where_they_belong(sentences: list[str]) -> None:
    assert set(transfer(DOCUMENT, " ".join(sentences)).document.calls) <= set(CALLS)


def quoted(*calls: QuotedCall, text: str = TEXT) -> Vetted:
    vetting = Vetting(AnnotatedDocument("ada", text))
    propose_quoted(vetting, text, calls)
    return vetting.result()


def test_listed_calls_stand_behind_the_words_before_them() -> None:
    listed = [
        QuotedCall(call.entity, call.relation, call.value, " ".join(TEXT[: call.at].split()[-5:])) for call in CALLS
    ]
    assert quoted(*listed) == Vetted(AnnotatedDocument("ada", TEXT, CALLS))
    assert quoted(*(one._replace(before=f"{one.before} {one.value}") for one in listed)).document.calls == CALLS


def test_words_that_stand_at_several_places_mean_the_one_that_the_value_follows() -> None:
    text = "Ada Roe was born in Tarsk, lived in Oss, was ill in Oss, and died in Oss."
    died = quoted(QuotedCall("Ada Roe", "Death Place", "Oss", "died in"), text=text)
    first = quoted(QuotedCall("Ada Roe", "Home", "Oss", "in"), text=text)
    then = quoted(
        QuotedCall("Ada Roe", "Illness", "Oss", "was ill in"), QuotedCall("Ada Roe", "Last", "Oss", "in"), text=text
    )
    assert [call.at for call in died.document.calls] == [text.rindex("Oss")]
    assert [call.at for call in first.document.calls] == [text.index("Oss")]
    assert [call.at for call in then.document.calls] == [text.index("Oss,", 45)] * 2


def test_listed_calls_with_other_words_before_them_are_dropped() -> None:
    assert quoted(QuotedCall("Ada Roe", "Home", "Oss", "she moved at once to")).dropped == {Drop.ELSEWHERE: 1}
    assert quoted(QuotedCall("Ada Roe", "Home", "Paris", "first heard in")).dropped == {Drop.NO_VALUE: 1}


@pytest.mark.parametrize(
    ("file", "least"),
    [("squad-10_gpt4o_raw.json", 0.8), ("squad-30_annotator_raw.json", 0.2), ("wiki-1k_annotator.json", 0.9)],
)
def test_real_outputs_leave_texts_alone_and_moved_calls_stay_where_they_are(
    shared_data: Path, file: str, least: float
) -> None:
    examples = json.loads((shared_data / "lmlm" / file).read_text(encoding="utf-8"))["examples"][:60]
    proposed = moved = 0
    for example in examples:
        document = AnnotatedDocument("x", example["text"], title=title_of(example["text"]))
        vetted = transfer(document, example["annotated_text"])
        proposed += len(dblookup.parse(example["annotated_text"], lenient=True).calls)
        moved += len(vetted.document.calls)
        assert vetted.document.text == example["text"]
        again = transfer(document, dblookup.render(vetted.document))
        assert again == Vetted(vetted.document)
    assert moved >= least * proposed
