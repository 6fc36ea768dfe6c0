r"""Both notations: round trips, well-formedness, leniency, and the paper's annotated files."""

import html
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamlam.markup import AnnotatedDocument, Call, MarkupError, dblookup, tokens

NOTATIONS = pytest.mark.parametrize("notation", [dblookup, tokens], ids=["dblookup", "tokens"])
CANONICAL = {
    dblookup: "[dblookup('E', 'R') -> V]",
    tokens: "<|db_entity|> E<|db_relationship|> R<|db_return|> V<|db_end|>",
}
SNIPPETS: tuple[str, ...] = ("\\", "'", '"', "[", "]", "(", ")", " ", "\n", ",", "->", "a", "é", "[dblookup(")
SNIPPETS += ("[dblookup('", "', '", "') -> ", CANONICAL[dblookup], CANONICAL[tokens])
SNIPPETS += (tokens.ENTITY, tokens.RELATION, tokens.RETURN, tokens.END, "<|db_", "<|eos|>")

hostile_text = st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=3), max_size=8).map("".join)

# What an annotator did to a text besides putting calls into it, from the mildest to the gravest.
REASONS = (
    "given back",
    "white space",
    "punctuation, case, accents or HTML entities",
    "title or headings left out",
    "end cut off",
    "words left out",
    "words added",
    "words changed",
)


@st.composite
def documents(draw: st.DrawFn) -> AnnotatedDocument:
    text = draw(hostile_text)
    call = st.builds(Call, hostile_text, hostile_text, hostile_text, st.integers(0, len(text)))
    return AnnotatedDocument("", text, tuple(draw(st.lists(call, max_size=4))))


@NOTATIONS
@settings(max_examples=300, deadline=None)
@given(document=documents())
def test_every_document_survives(notation: ModuleType, document: AnnotatedDocument) -> None:
    rendered = notation.render(document)
    assert notation.parse(rendered) == document
    assert notation.parse(rendered, lenient=True) == document


@NOTATIONS
@settings(max_examples=300, deadline=None)
@given(text=hostile_text)
def test_every_text_is_well_formed_and_given_back_or_is_refused(notation: ModuleType, text: str) -> None:
    try:
        document = notation.parse(text)
    except MarkupError:
        document = notation.parse(text, lenient=True)
        assert notation.parse(notation.render(document)) == document
    else:
        assert notation.render(document) == text
        assert notation.parse(text, lenient=True) == document


@NOTATIONS
@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.sampled_from(["call", " ", "in", "\\", "\n"]), max_size=12))
def test_calls_that_a_space_or_the_end_follows_are_well_formed(notation: ModuleType, pieces: list[str]) -> None:
    call = CANONICAL[notation]
    text = "".join(call + " " if piece == "call" else piece for piece in pieces)
    for candidate in (text, text + call):
        try:
            document = notation.parse(candidate)
        except MarkupError:  # A backslash happened to stand before a call and made it plain text.
            assert "\\" + call[:5] in candidate
        else:
            assert notation.render(document) == candidate


@NOTATIONS
def test_a_call_owns_one_space(notation: ModuleType) -> None:
    call = CANONICAL[notation]
    document = notation.parse(f"in {call} 1994.", id="d")
    assert document == AnnotatedDocument("d", "in 1994.", (Call("E", "R", "V", 3),))
    assert notation.parse(f"in {call}  1994.").text == "in  1994."
    assert notation.parse(f"{call} {call} a") == AnnotatedDocument("", "a", (Call("E", "R", "V", 0),) * 2)


@NOTATIONS
@pytest.mark.parametrize("spaces", ["", " ", "  "])
def test_at_the_end_of_the_text_a_call_owns_no_space(notation: ModuleType, spaces: str) -> None:
    text = f"in {CANONICAL[notation]}{spaces}"
    document = notation.parse(text)
    assert document == AnnotatedDocument("", "in " + spaces, (Call("E", "R", "V", 3),))
    assert notation.render(document) == text


@NOTATIONS
def test_plain_text_is_its_own_notation(notation: ModuleType) -> None:
    text = "C:\\temp [1] 'a' \\\\ <|db_unknown|> dblookup('x') [db"
    assert notation.parse(text) == AnnotatedDocument("", text)
    assert notation.render(AnnotatedDocument("", text)) == text


@NOTATIONS
def test_text_that_looks_like_a_call_is_escaped(notation: ModuleType) -> None:
    call = CANONICAL[notation]
    document = AnnotatedDocument("", f"say {call} x", (Call(call, call, call, 0),))
    rendered = notation.render(document)
    assert "say \\" in rendered
    assert notation.parse(rendered) == document


def test_fields_are_escaped_as_documented() -> None:
    document = AnnotatedDocument("", "a", (Call("Qur'an", "a\\b", "it's [x]\n", 0),))
    assert dblookup.render(document) == "[dblookup('Qur\\'an', 'a\\\\b') -> it's \\[x\\]\n] a"
    document = AnnotatedDocument("", "a", (Call("Qur'an", "<|db_end|>\\", "it's [x]", 0),))
    expected = r"<|db_entity|> Qur'an<|db_relationship|> \<|db_end|>\\<|db_return|> it's [x]<|db_end|> a"
    assert tokens.render(document) == expected


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("x [dblookup('E', 'R') -> V]x", 27, "followed by a space"),
        ("x [dblookup('E', 'R') -> V]\n", 27, "followed by a space"),
        ("x [dblookup(E, 'R') -> V] x", 2, "must go on with"),
        ("x [dblookup('King's', 'R') -> V] x", 17, "must go on with ', '"),
        ("x [dblookup('E', 'R')] -> V] x", 19, "must go on with"),
        ("x [dblookup('E', 'R') -> a [b] c] x", 27, "without a backslash"),
        ("x [dblookup('E\\n', 'R') -> V] x", 14, "escapes nothing"),
        ("x [dblookup('E', 'R') -> V", 25, "closing ]"),
        ("x [dblookup('E\\", 14, "escapes nothing"),
    ],
)
def test_dblookup_refuses_with_a_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(MarkupError, match=reason) as caught:
        dblookup.parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("x <|db_end|> y", 2, "outside a call"),
        ("<|db_entity|> E<|db_return|> V<|db_end|> y", 15, "no <|db_relationship|> here"),
        ("<|db_entity|> E<|db_relationship|> R", 36, "no <|db_return|> here"),
        ("<|db_entity|>E<|db_relationship|> R<|db_return|> V<|db_end|> y", 13, "begin with a space"),
        ("<|db_entity|> E<|db_relationship|> R<|db_return|> V<|db_end|>y", 61, "followed by a space"),
    ],
)
def test_tokens_refuse_with_a_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(MarkupError) as caught:
        tokens.parse(text)
    assert (caught.value.position, reason in caught.value.reason) == (position, True)


@pytest.mark.parametrize(
    ("text", "call", "plain"),
    [
        ("a [dblookup('King's College', 'R') -> V] b", Call("King's College", "R", "V", 2), "a b"),
        ("a [dblookup('E', 'Chang'an Date') -> V] b", Call("E", "Chang'an Date", "V", 2), "a b"),
        ('a [dblookup("E\'s", "R") -> V] b', Call("E's", "R", "V", 2), "a b"),
        ("a [dblookup('E','R')->V] b", Call("E", "R", "V", 2), "a b"),
        ("a [dblookup('E', 'R')] -> V] b", Call("E", "R", "V", 2), "a b"),
        ("a [dblookup('Rus\\'', 'R') -> O\\'Rourke] b", Call("Rus'", "R", "O'Rourke", 2), "a b"),
        ("a [dblookup('E', 'R') -> [x] and [y]] b", Call("E", "R", "[x] and [y]", 2), "a b"),
        ("a [dblookup('E', 'R') -> x [y] b", Call("E", "R", "x [y", 2), "a b"),
        ("a [dblookup('E', 'R') -> V], b", Call("E", "R", "V", 2), "a , b"),
        ("a [dblookup('E', 'R') -> V][1] b", Call("E", "R", "V", 2), "a [1] b"),
        ("a [dblookup('E', 'C:\\x') -> V] b", Call("E", "C:\\x", "V", 2), "a b"),
    ],
)
def test_lenient_dblookup_reads_what_models_write(text: str, call: Call, plain: str) -> None:
    with pytest.raises(MarkupError):
        dblookup.parse(text)
    document = dblookup.parse(text, lenient=True)
    assert document == AnnotatedDocument("", plain, (call,))
    assert dblookup.parse(dblookup.render(document)) == document


def test_lenient_tokens_need_no_spaces() -> None:
    text = "a <|db_entity|>E<|db_relationship|>R<|db_return|>V<|db_end|>, b"
    assert tokens.parse(text, lenient=True) == AnnotatedDocument("", "a , b", (Call("E", "R", "V", 2),))


@pytest.mark.parametrize(
    ("notation", "broken"),
    [
        (dblookup, "a [dblookup('E', oops) -> V] b"),
        (dblookup, "a \\\\[dblookup('E', 'R') -> V"),
        (dblookup, 'a [dblookup("E\', "R") -> V b'),
        (dblookup, "a [dblookup("),
        (tokens, "a <|db_end|> b <|db_return|>"),
        (tokens, "a <|db_entity|> E<|db_return|> V<|db_end|> b"),
        (tokens, "a <|db_entity|> E<|db_relationship|> R"),
    ],
)
def test_lenient_parsing_keeps_broken_calls_as_plain_text(notation: ModuleType, broken: str) -> None:
    text = f"{broken} {CANONICAL[notation]} end"
    document = notation.parse(text, lenient=True)
    assert document == AnnotatedDocument("", f"{broken} end", (Call("E", "R", "V", len(broken) + 1),))


@NOTATIONS
def test_many_openers_take_no_quadratic_time(notation: ModuleType) -> None:
    opener = {dblookup: "[dblookup('a', \"", tokens: "<|db_entity|> a"}[notation]
    text = opener * 50_000
    assert notation.parse(text, lenient=True) == AnnotatedDocument("", text)


def paper_examples(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["examples"]


def letters(text: str) -> str:
    """Letters and digits alone, without case and accents, HTML entities resolved."""
    spelled = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(char for char in spelled if char.isalnum())


def words(text: str) -> list[str]:
    return [word for word in map(letters, text.split()) if word]


def is_subsequence(part: Iterable[str], whole: Iterable[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


def left_out_are_headings(plain: str, original: str) -> bool:
    """Whether only whole lines of at most eight words are missing: a title ("Title: " in SQuAD) or headings."""
    left, ends = letters(plain), {0}
    for line in original.replace(": ", "\n", 1).split("\n"):
        kept = {end + len(letters(line)) for end in ends if left.startswith(letters(line), end)}
        ends = kept | ends if len(line.split()) <= 8 else kept
    return len(left) in ends


def why_not_given_back(plain: str, original: str) -> str:
    """The mildest of `REASONS` that explains all differences."""
    explains = (
        plain == original,
        "".join(plain.split()) == "".join(original.split()),
        letters(plain) == letters(original),
        left_out_are_headings(plain, original),
        letters(original).startswith(letters(plain)),
        is_subsequence(words(plain), words(original)),
        is_subsequence(words(original), words(plain)),
        True,
    )
    return REASONS[explains.index(True)]


@pytest.mark.parametrize(
    ("name", "calls", "well_formed", "documents"),
    [
        pytest.param("squad-train1k_gpt4o.json", 6050, 954, (509, 31, 205, 35, 20, 39, 26, 125), id="squad"),
        pytest.param("wiki-1k_annotator.json", 7136, 791, (37, 38, 17, 496, 5, 91, 2, 144), id="wiki"),
    ],
)
def test_all_documents_of_the_paper_parse(
    shared_data: Path, name: str, calls: int, well_formed: int, documents: tuple[int, ...]
) -> None:
    examples = paper_examples(shared_data / "lmlm" / name)
    parsed = [dblookup.parse(example["annotated_text"], lenient=True) for example in examples]
    assert sum(len(document.calls) for document in parsed) == calls
    assert not any("dblookup" in document.text for document in parsed)
    for document in parsed:
        assert dblookup.parse(dblookup.render(document)) == document
        assert tokens.parse(tokens.render(document)) == document
    given_back = [dblookup.render(d) == e["annotated_text"] for d, e in zip(parsed, examples, strict=True)]
    assert sum(given_back) == well_formed
    found = Counter(why_not_given_back(d.text, e["text"]) for d, e in zip(parsed, examples, strict=True))
    assert dict(found) == dict(zip(REASONS, documents, strict=True))


def test_raw_annotations_and_generations_of_the_paper_parse(shared_data: Path) -> None:
    folder = shared_data / "lmlm"
    raw = {}
    for name in ("squad-10_gpt4o_raw.json", "squad-30_annotator_raw.json"):
        parsed = [dblookup.parse(e["annotated_text"], lenient=True) for e in paper_examples(folder / name)]
        raw[name] = sum(len(document.calls) for document in parsed)
    assert raw == {"squad-10_gpt4o_raw.json": 112, "squad-30_annotator_raw.json": 1158}
    generated = json.loads((folder / "example_generation_382m.json").read_text(encoding="utf-8"))
    (example,) = generated.values()
    document = tokens.parse(example["output_raw"])
    assert len(document.calls) == 9
    assert tokens.render(document) == example["output_raw"]
    cut_off = tokens.parse(example["reference"], lenient=True)
    assert (len(cut_off.calls), cut_off.text.count(tokens.ENTITY)) == (13, 1)
