import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from lamlam.corpus import Corpus
from lamlam.markup import AnnotatedDocument
from lamlam.world import World, WorldSettings
from lamlam.world.names import NameForge
from lamlam.world.narrator import Narrator
from lamlam.world.population import Population
from lamlam.world.schema import EntityKind, Size, relations
from lamlam.world.wordings import INTRODUCTIONS, WORDINGS

SMALL = {"people": 300, "seed": 7, "max_mentions": 20}


@dataclass(frozen=True)
class Written:
    """A corpus, and the names that no training text may hold."""

    corpus: Corpus
    unseen: frozenset[str]
    size: Size


def write(settings: WorldSettings) -> Written:
    by_name = Population(settings).by_name
    return Written(
        World(settings).corpus(), frozenset(name for name, entity in by_name.items() if not entity.seen), settings.size
    )


@pytest.fixture(scope="module", params=["demo", "full"])
def written(request: pytest.FixtureRequest) -> Written:
    return write(WorldSettings(size=request.param, **SMALL))


@pytest.fixture(scope="module")
def corpus(written: Written) -> Corpus:
    return written.corpus


def documents(corpus: Corpus) -> Iterator[AnnotatedDocument]:
    yield from corpus.train
    for group in corpus.heldout.values():
        yield from group


def values(corpus: Corpus) -> dict[tuple[str, str], list[str]]:
    found = defaultdict(list)
    for fact in corpus.facts:
        found[fact.entity, fact.relation].append(fact.value)
    return found


def named(names: Iterable[str], corpus: Corpus) -> list[str]:
    """Those names that stand as whole words in training text."""
    text = "\n".join(document.text for document in corpus.train)
    return [name for name in names if name in text and re.search(rf"\b{re.escape(name)}\b", text)]


# the corpus


def test_same_settings_give_the_same_world_and_another_seed_another() -> None:
    settings = WorldSettings(size="demo", **SMALL)
    once = World(settings).corpus()
    assert once == World(settings).corpus()
    other = World(settings.model_copy(update={"seed": 8})).corpus()
    assert not {document.text for document in once.train} & {document.text for document in other.train}


def test_corpus_can_be_written_twice() -> None:
    world = World(WorldSettings(size="demo", people=40))
    assert world.corpus() == world.corpus()


def test_world_does_not_depend_on_hash_randomisation() -> None:
    program = (
        "import hashlib; from lamlam.world import *; c = World(WorldSettings(people=40, size='full')).corpus();"
        "print(hashlib.sha256(repr((c.train, c.heldout, c.facts, c.probes)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_each_call_stands_directly_before_its_value_and_behind_a_space(corpus: Corpus) -> None:
    for document in documents(corpus):
        assert document.calls
        for call in document.calls:
            assert document.text[call.at :].startswith(call.value)
            assert document.text[call.at - 1] == " "


def test_each_call_is_answered_by_the_facts_list(corpus: Corpus) -> None:
    true = values(corpus)
    for document in documents(corpus):
        for call in document.calls:
            assert call.value == ", ".join(true[call.entity, call.relation])


def test_an_entity_is_named_in_full_before_it_is_asked_for(corpus: Corpus) -> None:
    for document in documents(corpus):
        for call in document.calls:
            assert call.entity in document.text[: call.at]


def test_a_document_states_a_fact_once(corpus: Corpus) -> None:
    for document in documents(corpus):
        queries = [(call.entity, call.relation) for call in document.calls]
        assert len(queries) == len(set(queries))


def test_later_sentences_speak_of_the_entity_by_pronoun_or_short_name(corpus: Corpus) -> None:
    shortened = Counter(
        call.entity in document.text[document.text.rfind(". ", 0, call.at) + 1 : call.at]
        for document in corpus.train
        for call in document.calls[1:]
    )
    assert shortened[False] > 2 * shortened[True]


def test_some_documents_go_on_about_a_second_entity_that_they_named_as_a_value(corpus: Corpus) -> None:
    continued = [document for document in corpus.train if len({call.entity for call in document.calls}) > 1]
    assert 0.1 < len(continued) / len(corpus.train) < 0.5
    for document in continued:
        first, second = dict.fromkeys(call.entity for call in document.calls)
        assert any(call.entity == first and call.value == second for call in document.calls)


def test_a_pronoun_does_not_turn_from_one_entity_to_another(written: Written) -> None:
    population = Population(WorldSettings(size=written.size, **SMALL))
    for document in written.corpus.train:
        first, *others = dict.fromkeys(call.entity for call in document.calls)
        pronouns = [population.by_name[name].pronoun for name in (first, *others)]
        if others and pronouns[0] == pronouns[1]:
            sentence = document.text[next(call.at for call in document.calls if call.entity == others[0]) :]
            start = document.text.rfind(". ", 0, len(document.text) - len(sentence)) + 2
            assert document.text[start:].split()[0].lower() not in ("he", "his", "she", "her", "it", "its")


def test_a_second_entity_is_not_told_what_the_first_gave_away(corpus: Corpus) -> None:
    mirrored = {"Spouse": "Spouse", "Works Written": "Author", "Author": "Works Written"}
    for document in documents(corpus):
        queries = {(call.entity, call.relation) for call in document.calls}
        assert not any((call.value, mirrored.get(call.relation)) in queries for call in document.calls)


def test_all_texts_differ(corpus: Corpus) -> None:
    texts = [document.text for document in documents(corpus)]
    assert len(texts) == len(set(texts))
    ids = [document.id for document in documents(corpus)]
    assert len(ids) == len(set(ids))


def test_multi_valued_facts_are_stated_together(corpus: Corpus) -> None:
    true = values(corpus)
    several = [
        call for document in corpus.train for call in document.calls if len(true[call.entity, call.relation]) > 1
    ]
    assert {len(true[call.entity, call.relation]) for call in several} == {2, 3}


def test_unseen_entities_stand_in_no_training_text_and_all_others_do(written: Written) -> None:
    entities = {fact.entity for fact in written.corpus.facts}
    assert len(written.unseen) > 30
    assert named(written.unseen, written.corpus) == []
    assert len(named(entities, written.corpus)) == len(entities - written.unseen)


def test_unseen_entities_are_the_share_that_was_asked_for(written: Written) -> None:
    people = {fact.entity for fact in written.corpus.facts if fact.relation == "Birth Date"}
    assert len(people) == SMALL["people"]
    assert len(people & written.unseen) == 0.1 * SMALL["people"]


def test_heldout_documents_are_about_the_entities_of_their_group(written: Written) -> None:
    for group, some in written.corpus.heldout.items():
        assert len(some) >= max(50, 0.05 * len(written.corpus.train) - 1)
        for document in some:
            assert (document.calls[0].entity in written.unseen) == (group == "unseen")


def test_mentions_follow_a_power_law_up_to_the_limit() -> None:
    corpus = World(WorldSettings(size="demo", people=1000, max_mentions=50)).corpus()
    about = Counter(Counter(document.calls[0].entity for document in corpus.train).values())
    entities = sum(about.values())
    assert min(about) == 1
    assert 30 < max(about) <= 50
    assert 0.5 < about[1] / entities < 0.7  # 1 / (1 + 1/4 + 1/9 + ...) = 0.61
    assert 0.1 < about[2] / entities < 0.2
    stated = Counter((call.entity, call.relation) for document in corpus.train for call in document.calls)
    assert max(stated.values()) <= 50


def test_no_fact_is_stated_more_often_than_the_limit() -> None:
    corpus = World(WorldSettings(size="full", people=200, max_mentions=3)).corpus()
    stated = Counter((call.entity, call.relation) for document in corpus.train for call in document.calls)
    assert set(stated.values()) == {1, 2, 3}


def test_sources_are_spans_of_training_documents(written: Written) -> None:
    corpus = written.corpus
    by_id = {document.id: document for document in corpus.train}
    stated = {(call.entity, call.relation) for document in corpus.train for call in document.calls}
    for fact in corpus.facts:
        if (fact.entity, fact.relation) in stated:
            assert fact.document is not None
            assert by_id[fact.document].text[fact.start : fact.end] == fact.value
        else:
            assert (fact.document, fact.start, fact.end) == ("register", None, None)
    assert {fact.document for fact in corpus.facts if fact.entity in written.unseen} == {"register"}


def test_relations_between_entities_agree_from_both_ends(corpus: Corpus) -> None:
    facts = {(fact.entity, fact.relation, fact.value) for fact in corpus.facts}
    for entity, relation, value in facts:
        inverse = {"Spouse": "Spouse", "Works Written": "Author", "Author": "Works Written"}.get(relation)
        assert inverse is None or (value, inverse, entity) in facts


def test_facts_are_listed_once(corpus: Corpus) -> None:
    facts = [(fact.entity, fact.relation, fact.value) for fact in corpus.facts]
    assert len(facts) == len(set(facts))


# probes


def test_probes_have_every_true_answer(corpus: Corpus) -> None:
    true = values(corpus)
    for probe in corpus.probes:
        right = true[probe.entity, probe.relation]
        assert set(probe.answers) == {*right, ", ".join(right)}
        assert probe.answers[0] == ", ".join(right)


def test_probes_count_the_training_documents_that_state_the_fact(written: Written) -> None:
    corpus = written.corpus
    stated = Counter((call.entity, call.relation) for document in corpus.train for call in document.calls)
    for probe in corpus.probes:
        assert probe.mentions == stated[probe.entity, probe.relation]
        assert (probe.group == "unseen") == (probe.entity in written.unseen) == (probe.mentions == 0)


def test_probes_spread_over_mention_counts(corpus: Corpus) -> None:
    seen = [probe.mentions for probe in corpus.probes if probe.group == "seen"]
    assert len(seen) == 300
    for least, most in ((1, 1), (2, 2), (3, 4), (5, 8)):
        assert sum(least <= mentions <= most for mentions in seen) >= 30


def test_prompts_name_the_entity_end_before_the_value_and_hold_no_call(corpus: Corpus) -> None:
    for probe in corpus.probes:
        assert probe.entity in probe.prompt
        assert probe.prompt == probe.prompt.strip()
        assert not any(probe.prompt.endswith(answer) for answer in probe.answers)
        assert "<|" not in probe.prompt


def test_some_prompts_speak_of_the_entity_by_another_name(corpus: Corpus) -> None:
    shortened = [probe for probe in corpus.probes if probe.entity not in probe.prompt.rpartition(". ")[2]]
    assert 0.2 < len(shortened) / len(corpus.probes) < 0.5


def test_prompts_end_in_wordings_of_training_text(corpus: Corpus) -> None:
    endings = {
        (call.relation, document.text[: call.at].split()[-1]) for document in corpus.train for call in document.calls
    }
    for probe in corpus.probes:
        assert (probe.relation, probe.prompt.split()[-1]) in endings
    first = [probe for probe in corpus.probes if ". " not in probe.prompt]
    assert all(probe.prompt.startswith(probe.entity) for probe in first)


def test_fewer_probes_can_be_asked_for() -> None:
    corpus = World(WorldSettings(size="demo", people=100, probes=5)).corpus()
    assert Counter(probe.group for probe in corpus.probes) == {"seen": 5, "unseen": 5}


# the language


def test_wordings_are_distinct_and_there_are_five_for_each_relation() -> None:
    names = {relation.name for relation in relations("full")}
    assert set(WORDINGS) == names
    assert len(names) >= 20
    for wordings in WORDINGS.values():
        assert len(set(wordings)) >= 5


def test_wordings_put_the_subject_before_the_value() -> None:
    for wordings in WORDINGS.values():
        for wording in wordings:
            slots = [field for _, field, _, _ in Formatter().parse(wording) if field]
            assert slots in (["subject", "value"], ["possessive", "value"]), wording
            assert " {value}" in wording
    assert all(introduction.endswith("{subject}") for introduction in INTRODUCTIONS)


def test_what_stands_before_the_value_tells_the_relation() -> None:
    beginnings = {
        wording.partition("{value}")[0]: relation for relation, wordings in WORDINGS.items() for wording in wordings
    }
    for beginning, relation in beginnings.items():
        for other, wordings in WORDINGS.items():
            if other != relation:
                assert not any(wording.startswith(beginning) for wording in wordings), (beginning, other)


def test_values_behind_an_article_begin_with_a_consonant() -> None:
    behind = {name for name, wordings in WORDINGS.items() if any(" a {value}" in wording for wording in wordings)}
    assert behind == {"Occupation", "Genre"}
    facts = Population(WorldSettings(people=2000)).facts.values()
    assert not [known[name] for known in facts for name in behind & set(known) if known[name][0][0] in "aeiou"]


def test_the_demo_is_smaller_than_the_full_world() -> None:
    demo, full = relations("demo"), relations("full")
    assert set(demo) < set(full)
    assert len(demo) == 10
    assert {relation.subject for relation in full} == set(EntityKind)


# names


def test_names_stay_apart_when_case_and_compatible_letters_are_folded() -> None:
    names = list(Population(WorldSettings(people=2000)).facts)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(names)


def test_words_never_run_out_and_never_repeat() -> None:
    forge = NameForge(Random(1), diacritics=False)
    words = [forge.word() for _ in range(20_000)]
    assert len(set(words)) == len(words)
    assert all(word.isascii() and word.isalpha() for word in words)
    countries = [forge.country() for _ in range(2_000)]
    assert len(set(countries)) == len(countries)


def test_people_share_names_but_not_whole_ones() -> None:
    population = Population(WorldSettings(people=1000))
    people = [entity.name for entity in population.entities[EntityKind.PERSON]]
    assert len(set(people)) == 1000
    for part in (0, 1):
        counts = Counter(name.split()[part] for name in people)
        assert len(counts) > 500
        assert sum(count > 1 for count in counts.values()) > 100


def test_spouses_do_not_share_a_last_name() -> None:
    facts = Population(WorldSettings(people=1000)).facts
    couples = [(name, known["Spouse"][0]) for name, known in facts.items() if "Spouse" in known]
    assert len(couples) > 400
    assert all(one.split()[1] != other.split()[1] for one, other in couples)


# settings


@pytest.mark.parametrize(
    ("field", "value"),
    [("people", 3), ("kb_only", 0.9), ("max_mentions", 0), ("size", "huge"), ("probes", -1), ("colour", "red")],
)
def test_bad_settings_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        WorldSettings.model_validate({field: value})


def test_a_world_without_unseen_entities_holds_none_out() -> None:
    corpus = World(WorldSettings(people=40, kb_only=0.0, size="demo")).corpus()
    assert corpus.heldout["unseen"] == []
    assert {probe.group for probe in corpus.probes} == {"seen"}


@settings(max_examples=30, deadline=None)
@given(
    people=st.integers(20, 60),
    seed=st.integers(0, 2**32),
    size=st.sampled_from(["demo", "full"]),
    kb_only=st.floats(0, 0.5),
    most=st.integers(1, 60),
)
def test_any_world_is_sound(people: int, seed: int, size: str, kb_only: float, most: int) -> None:
    settings = WorldSettings.model_validate(
        {"people": people, "seed": seed, "size": size, "kb_only": kb_only, "max_mentions": most}
    )
    world = write(settings)
    true = values(world.corpus)
    for document in documents(world.corpus):
        for call in document.calls:
            assert document.text[call.at :].startswith(call.value)
            assert call.value == ", ".join(true[call.entity, call.relation])
    assert named(world.unseen, world.corpus) == []


def test_narrator_leaves_out_what_it_is_told_to() -> None:
    population = Population(WorldSettings(people=40, size="demo"))
    narrator = Narrator(population, "demo", Random(1))
    person = population.entities[EntityKind.PERSON][0]
    without = {(person.name, relation) for relation in population.facts[person.name] if relation != "Birth Date"}
    texts = [narrator.write(person, without=without) for _ in range(20)]
    assert {call.relation for text in texts for call in text.calls} == {"Birth Date"}
    assert narrator.write(person, without={*without, (person.name, "Birth Date")}).calls == ()


# the command


def test_command_writes_a_corpus_and_prints_counts(tmp_path: Path) -> None:
    from lamlam.cli.app import app
    from lamlam.corpus.files import load_corpus

    out = tmp_path / "world"
    arguments = ["world", "--people", "30", "--seed", "3", "--size", "demo", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    corpus = World(WorldSettings(people=30, seed=3, size="demo")).corpus()
    assert load_corpus(out) == corpus
    assert f"{len(corpus.facts):,}" in result.output


def test_command_names_a_bad_field(tmp_path: Path) -> None:
    from lamlam.cli.app import app
    from lamlam.errors import InputError

    result = CliRunner().invoke(app, ["world", "--people", "3", "--out", str(tmp_path / "world")])
    assert isinstance(result.exception, InputError)
    assert "people" in str(result.exception)
    assert not (tmp_path / "world").exists()
