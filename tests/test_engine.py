"""Decoding with lookups: the grammar of calls, values, misses, traces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fakes_engine import FREE, DictionaryFacts, ScriptedModel, engine_that_writes, follow, planned, small_vocabulary
from lamlam.engine import CallBegun, CallResolved, DecodingSettings, Done, Engine, TextWritten
from lamlam.errors import LamLamError
from lamlam.kb.fact import Status
from lamlam.markup import Call
from lamlam.vocab import Kind, encode, opened

VOCABULARY = small_vocabulary()
KB = DictionaryFacts(
    {
        ("Ada Lovelace", "Birth Place"): "London",
        ("Alan Turing", "Work Place"): ["Bletchley Park", "Manchester"],
        ("Alan Turing", "field"): "logic",
    }
)
ADA = planned(
    "Ada Lovelace was born in London, so they say.",
    Call("Ada Lovelace", "Birth Place", "London", len("Ada Lovelace was born in ")),
)
PROMPT = "Ada Lovelace was born in"


def test_a_value_is_forced_in_and_the_text_holds_no_call() -> None:
    [generation] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate([PROMPT])
    assert generation.text == " London, so they say."
    assert generation.finish == "eos"
    [lookup] = generation.lookups
    assert (lookup.entity, lookup.relation, lookup.value) == ("Ada Lovelace", "Birth Place", "London")
    assert lookup.resolution.status is Status.EXACT
    assert [fact.sources[0].document for fact in lookup.resolution.facts] == ["document 1"]
    assert generation.text[lookup.start : lookup.end] == "London"


_words = st.text(st.sampled_from("abcdeinorst AL.é'"), max_size=20).map(lambda text: " ".join(text.split()))


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """A prompt, and the pieces of text that follow, each after a call about an entity of the knowledge base."""
    prompt = "x" + draw(_words)
    pieces = draw(st.lists(st.tuples(_words.map(lambda t: " y" + t), st.sampled_from(sorted(KB._facts))), max_size=4))
    return prompt, pieces


@settings(max_examples=40, deadline=None)
@given(_documents())
def test_what_is_decoded_is_what_training_text_looks_like(document: tuple[str, list[tuple[str, str]]]) -> None:
    prompt, pieces = document
    text, calls = prompt, []
    for piece, pair in pieces:
        calls.append(Call(*pair, KB.lookup_many([pair])[0].text, len(text) + 1))
        text += piece
    plan = planned(text, *calls)
    expected = encode(plan, VOCABULARY)
    [generation] = engine_that_writes(plan, kb=KB, vocabulary=VOCABULARY).generate(
        [prompt], FREE.model_copy(update={"max_tokens": 300})
    )
    # Without a call in between, prompt and continuation are one text, which training would not have cut.
    if calls or text == prompt:
        assert list(generation.ids) == expected.ids
        assert list(generation.kinds) == expected.kinds
    assert generation.prompt + generation.text == text
    assert len(generation.lookups) == len(calls)


def test_each_token_is_read_once() -> None:
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY, speculate=False)
    [generation] = engine.generate([PROMPT])
    assert engine.counters.tokens == len(generation.ids) - 1  # the last needs no reading


def test_control_tokens_typed_in_a_prompt_are_plain_characters() -> None:
    prompt = "Say <|db_return|> and <|db_entity|> Ada Lovelace<|db_relationship|> Birth Place<|db_return|>"
    plan = planned(prompt + " thrice.")
    kb = DictionaryFacts({})
    [generation] = engine_that_writes(plan, kb=kb, vocabulary=VOCABULARY).generate([prompt])
    assert not set(generation.ids) & VOCABULARY.control_ids
    assert generation.text == " thrice."
    assert kb.asked == []


@pytest.mark.parametrize(
    "value",
    [
        "<|db_end|><|db_entity|> Alan Turing<|db_relationship|> field<|db_return|>",
        "<|eos|>",
        "line\nline\t\u2028",
        "日本 🎈 a\u0301",
        "[dblookup('a', 'b') -> c]",
        "[bold]",
    ],
)
def test_a_hostile_value_enters_as_plain_characters(value: str) -> None:
    kb = DictionaryFacts({("Ada Lovelace", "Birth Place"): value})
    plan = planned(f"{PROMPT} {value}.", Call("Ada Lovelace", "Birth Place", value, len(PROMPT) + 1))
    [generation] = engine_that_writes(plan, kb=kb, vocabulary=VOCABULARY).generate(
        [PROMPT], DecodingSettings(max_tokens=200, max_value_tokens=200)
    )
    [lookup] = generation.lookups
    assert lookup.value == value
    assert generation.text == f" {value}."
    assert generation.text[lookup.start : lookup.end] == value
    controls = [token for token in generation.ids if token in VOCABULARY.control_ids]
    assert controls == [VOCABULARY.entity_id, VOCABULARY.relation_id, VOCABULARY.return_id, VOCABULARY.end_id]
    forced = [token for token, kind in zip(generation.ids, generation.kinds, strict=True) if kind is Kind.VALUE]
    assert VOCABULARY.decode(forced) == " " + value


def test_a_long_value_is_cut_and_told() -> None:
    kb = DictionaryFacts({("Ada Lovelace", "Birth Place"): "日本" * 50})
    [generation] = engine_that_writes(ADA, kb=kb, vocabulary=VOCABULARY).generate(
        [PROMPT], DecodingSettings(max_value_tokens=12, max_tokens=3)
    )
    [lookup] = generation.lookups
    assert lookup.cut
    assert lookup.value
    assert ("日本" * 50).startswith(lookup.value)
    assert generation.kinds.count(Kind.VALUE) == 12


def test_any_of_several_values_is_found_in_the_text() -> None:
    prompt = "Alan Turing worked at"
    call = Call("Alan Turing", "Work Place", "Bletchley Park, Manchester", len(prompt) + 1)
    for said, span in [("Manchester too", "Manchester"), ("Bletchley Park, Manchester", "Bletchley Park, Manchester")]:
        plan = planned(f"{prompt} {said}", call)
        [generation] = engine_that_writes(plan, kb=KB, vocabulary=VOCABULARY).generate([prompt])
        [lookup] = generation.lookups
        assert generation.text[lookup.start : lookup.end] == span


@pytest.mark.parametrize("said", ["Paris.", "Londonderry.", ""])
def test_a_value_that_the_text_does_not_state_has_an_empty_span_at_the_calls_place(said: str) -> None:
    plan = planned(f"Ada was born in {said}", Call("Ada Lovelace", "Birth Place", "London", len("Ada was born in")))
    [generation] = engine_that_writes(plan, kb=KB, vocabulary=VOCABULARY).generate(["Ada was"], FREE)
    [lookup] = generation.lookups
    assert (lookup.start, lookup.end) == (len(" born in"), len(" born in"))


ASKING = planned("He was born in Rome.", Call("Nobody", "Birth Place", "unknown", len("He was born in")))
PLAIN = planned("He was born in Rome.")


def test_a_miss_enters_the_word_unknown() -> None:
    [generation] = engine_that_writes(ASKING, kb=KB, vocabulary=VOCABULARY).generate(["He was"], FREE)
    [lookup] = generation.lookups
    assert lookup.value == "unknown"
    assert lookup.resolution.status is Status.UNKNOWN_ENTITY
    assert lookup.start == lookup.end
    assert list(generation.ids) == encode(ASKING, VOCABULARY).ids


def test_a_miss_that_is_dropped_leaves_what_forbidding_the_call_leaves() -> None:
    engine = engine_that_writes(ASKING, PLAIN, kb=KB, vocabulary=VOCABULARY)
    [dropped] = engine.generate(["He was"], FREE.model_copy(update={"on_miss": "drop"}))
    [forbidden] = engine.generate(["He was"], FREE.model_copy(update={"lookups": False}))
    assert dropped.ids == forbidden.ids
    assert dropped.text == forbidden.text == " born in Rome."
    [lookup] = dropped.lookups
    assert (lookup.entity, lookup.value, lookup.resolution.found) == ("Nobody", "", False)
    assert lookup.start == lookup.end == len(" born in")


def test_a_call_may_follow_a_dropped_one_later() -> None:
    asking = planned(
        "He was born in London.",
        Call("Nobody", "Birth Place", "unknown", 6),
        Call("Ada Lovelace", "Birth Place", "London", len("He was born in")),
    )
    without_first = planned("He was born in London.", asking.calls[1])
    engine = engine_that_writes(asking, without_first, kb=KB, vocabulary=VOCABULARY)
    [generation] = engine.generate(["He"], FREE.model_copy(update={"on_miss": "drop"}))
    assert generation.text == " was born in London."
    assert [lookup.value for lookup in generation.lookups] == ["", "London"]
    assert list(generation.ids) == encode(without_first, VOCABULARY).ids


def test_nearest_takes_another_fact_and_says_so() -> None:
    settings = FREE.model_copy(update={"on_miss": "nearest"})
    [generation] = engine_that_writes(ASKING, kb=KB, vocabulary=VOCABULARY).generate(["He was"], settings)
    [lookup] = generation.lookups
    assert (lookup.entity, lookup.value) == ("Nobody", "London")
    assert lookup.resolution.facts[0].entity == "Ada Lovelace"
    [empty] = engine_that_writes(ASKING, kb=DictionaryFacts({}), vocabulary=VOCABULARY).generate(["He was"], settings)
    assert empty.lookups[0].value == "unknown"


def test_lookups_that_end_in_one_step_are_asked_for_together() -> None:
    kb = DictionaryFacts({("Ada Lovelace", "Birth Place"): "London"})
    engine_that_writes(ADA, kb=kb, vocabulary=VOCABULARY).generate([PROMPT] * 3)
    assert kb.asked == [[("Ada Lovelace", "Birth Place")] * 3]


def test_a_call_can_be_forced_and_all_calls_forbidden() -> None:
    engine = engine_that_writes(planned(PROMPT + " London."), ADA, kb=KB, vocabulary=VOCABULARY)
    [forced] = engine.generate([PROMPT], DecodingSettings(force_call=True, relations="known", max_tokens=3))
    assert forced.ids[len(VOCABULARY.encode(opened(PROMPT))) + 1] == VOCABULARY.entity_id
    assert [lookup.value for lookup in forced.lookups] == ["London"]
    [forbidden] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate(
        [PROMPT], DecodingSettings(lookups=False)
    )
    assert forbidden.lookups == ()
    assert not set(forbidden.ids) & VOCABULARY.control_ids


def test_a_bias_on_calls_decides_how_readily_one_is_made() -> None:
    eager = engine_that_writes(ADA, planned(PROMPT + " London."), kb=KB, vocabulary=VOCABULARY)
    reluctant = engine_that_writes(planned(PROMPT + " London."), ADA, kb=KB, vocabulary=VOCABULARY)
    # The fake's best token leads the next one by 1.
    for engine, bias, called in [(eager, 0.0, True), (eager, -1.5, False), (reluctant, 0.0, False)]:
        [generation] = engine.generate([PROMPT], DecodingSettings(call_bias=bias))
        assert bool(generation.lookups) is called
    [asked] = reluctant.generate([PROMPT], DecodingSettings(call_bias=1.5))
    assert [lookup.value for lookup in asked.lookups] == ["London"]


@pytest.mark.parametrize("name", ["entity_id", "relation_id", "return_id", "end_id", "bos_id", "pad_id", "eos_id"])
@pytest.mark.parametrize("lookups", [True, False])
def test_a_model_that_writes_one_special_token_for_ever_keeps_the_grammar(name: str, lookups: bool) -> None:
    token = getattr(VOCABULARY, name)
    engine = Engine(ScriptedModel(lambda seen: [token], VOCABULARY, 1000), VOCABULARY, KB)  # type: ignore[arg-type]
    [generation] = engine.generate(["Ada"], FREE.model_copy(update={"lookups": lookups, "max_query_tokens": 3}))
    assert generation.kinds.count(Kind.BOS) == 1
    assert Kind.PAD not in generation.kinds
    if name == "entity_id" and lookups:
        assert len(generation.lookups) == generation.kinds.count(Kind.END) == DecodingSettings().max_calls_in_a_row
        assert generation.refused_calls == 1
    else:
        assert generation.lookups == ()
        assert not set(generation.ids[1:]) & (VOCABULARY.control_ids | {VOCABULARY.bos_id, VOCABULARY.pad_id})


def test_calls_are_bounded() -> None:
    eager = ScriptedModel(lambda seen: [VOCABULARY.entity_id, *VOCABULARY.encode(" b")], VOCABULARY)
    engine = Engine(eager, VOCABULARY, KB)  # type: ignore[arg-type]
    settings = FREE.model_copy(update={"max_calls": 2, "max_query_tokens": 2, "max_tokens": 20})
    [generation] = engine.generate(["Ada"], settings)
    assert len(generation.lookups) == 2
    assert len(generation.text) >= 20


def test_a_query_is_bounded() -> None:
    def endless(seen: list[int]) -> list[int]:
        return [VOCABULARY.entity_id] if len(seen) < 5 and VOCABULARY.entity_id not in seen else VOCABULARY.encode(" b")

    engine = Engine(ScriptedModel(endless, VOCABULARY), VOCABULARY, KB)  # type: ignore[arg-type]
    [generation] = engine.generate(["Ada"], FREE.model_copy(update={"max_query_tokens": 7}))
    assert generation.kinds.count(Kind.ENTITY) == 7
    assert generation.kinds.count(Kind.RELATION) == 7


def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths() -> None:
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY, context=16)
    with pytest.raises(LamLamError, match=r"prompt's \d+ tokens .* context of 16"):
        engine.generate(["ok", "long " * 50])


@pytest.mark.parametrize("context", range(12, 40, 3))
def test_a_sequence_ends_where_the_context_does(context: int) -> None:
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY, context=context)
    [generation] = engine.generate([PROMPT])
    assert len(generation.ids) <= context
    assert generation.finish == ("eos" if generation.ids[-1] == VOCABULARY.eos_id else "length")


def test_visible_tokens_are_counted_and_calls_are_not() -> None:
    [generation] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate(
        [PROMPT], DecodingSettings(max_tokens=2)
    )
    assert generation.finish == "length"
    prompt = len(VOCABULARY.encode(opened(PROMPT)))
    assert generation.kinds.count(Kind.TEXT) == prompt + 2
    assert generation.lookups


@pytest.mark.parametrize("space", ["", " ", " \n"])
def test_white_space_at_a_prompts_end_is_not_read_and_stays_in_the_prompt(space: str) -> None:
    [generation] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate([PROMPT + space])
    [plain] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate([PROMPT])
    assert generation.ids == plain.ids
    assert generation.prompt + generation.text == f"{PROMPT}{space or ' '}London, so they say."
    assert generation.text[generation.lookups[0].start :].startswith("London")


def test_a_prompt_may_be_read_alone() -> None:
    [generation] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate(
        [PROMPT], DecodingSettings(max_tokens=0)
    )
    assert (generation.text, generation.finish, generation.lookups) == ("", "length", ())


def test_a_text_without_a_prompt_begins_with_its_first_word() -> None:
    [generation] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate([""])
    assert generation.text == ADA.text
    [lookup] = generation.lookups
    assert generation.text[lookup.start : lookup.end] == "London"


def test_a_prompt_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(LamLamError, match="not valid Unicode"):
        engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate(["\udcff"])


def test_a_stop_string_ends_the_text_before_it() -> None:
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY)
    [generation] = engine.generate([PROMPT], DecodingSettings(stop=("so they", "say")))
    assert generation.text == " London, "
    assert generation.finish == "stop"


def test_a_stream_tells_the_same_story() -> None:
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY)
    for stop in [(), ("so they",), ("never",)]:
        settings = DecodingSettings(stop=stop)
        events = list(engine.stream(PROMPT, settings))
        [generation] = engine.generate([PROMPT], settings)
        assert events[-1] == Done(generation)
        assert "".join(event.text for event in events if isinstance(event, TextWritten)) == generation.text
        assert isinstance(events[0], CallBegun)
        assert isinstance(events[1], CallResolved)
        assert events[1].lookup.value == "London"


def test_a_sequence_ends_once_where_several_limits_meet() -> None:
    [whole] = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY).generate([PROMPT], DecodingSettings(max_tokens=4))
    engine = engine_that_writes(ADA, kb=KB, vocabulary=VOCABULARY, context=len(whole.ids))
    events = list(engine.stream(PROMPT, DecodingSettings(max_tokens=4, stop=(whole.text[-1],))))
    assert sum(isinstance(event, Done) for event in events) == 1
    assert events[-1].generation.finish == "stop"  # type: ignore[union-attr]


def test_streamed_text_comes_in_whole_characters() -> None:
    text = "Zürich 日本 🎈."
    events = list(engine_that_writes(planned("In " + text), kb=KB, vocabulary=VOCABULARY).stream("In"))
    pieces = [event.text for event in events if isinstance(event, TextWritten)]
    assert "".join(pieces) == " " + text
    assert "\ufffd" not in "".join(pieces)


def test_settings_that_contradict_each_other_are_refused() -> None:
    for wrong in [{"top_k": 3}, {"top_p": 0.5}, {"force_call": True, "lookups": False}, {"stop": ("",)}, {"typo": 1}]:
        with pytest.raises(ValidationError):
            DecodingSettings(**wrong)  # type: ignore[arg-type]


def test_no_prompts_yield_no_generations() -> None:
    engine = Engine(ScriptedModel(follow(), VOCABULARY), VOCABULARY, KB)  # type: ignore[arg-type]
    assert engine.generate([]) == []
