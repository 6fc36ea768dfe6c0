"""Arms on one prompt set: prompts that determine a fact, rows, retrieval, states of the knowledge base, the bias."""

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from fakes_evaluate import lookup, said
from fakes_model import tiny_llama
from lamlam.corpus import FactRecord, Probe
from lamlam.corpus.lines import read_entries, write_objects
from lamlam.corpus.prompts import shown, with_facts
from lamlam.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.arms.calls import asked_and_needless, best_bias, call_margins, curve
from lamlam.evaluate.arms.known import candidates, chosen_rivals, facts_in, knowledge_in, prompts_in
from lamlam.evaluate.arms.prepared import Prepared, from_probes, prepare
from lamlam.evaluate.arms.prompts import Passage, Prompt, cut_passages, part_of, plain_positions, questions, sample
from lamlam.evaluate.arms.rag import Rag, worked_examples
from lamlam.evaluate.arms.retrieval import BM25, AllOfEntity, has_wanted
from lamlam.evaluate.arms.rows import Row, answer, answer_in_ways, figures
from lamlam.evaluate.outcome import Outcome
from lamlam.kb import KnowledgeBase
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.augmentation import ShownFacts
from lamlam.pretrain.recipe import load_recipe
from lamlam.vocab import Kind, Vocabulary, encode, labels

DIRECTORS = ["Ada Brook", "Carl Dove", "Eva Frost", "Gus Hale", "Ida Jones", "Kai Lund", "Mia North"]
SETTINGS = DecodingSettings(max_tokens=8)


def film(number: int, *more: tuple[str, str]) -> Passage:
    """A film's introduction, which states its director, and what else is known of it."""
    title, director = f"Film {number}", DIRECTORS[number % len(DIRECTORS)]
    facts = [FactRecord(title, "Director", director), *(FactRecord(title, *pair) for pair in more)]
    text = f"{title} is a drama film directed by {director}. It was shown in Rome and liked by many."
    return Passage(title, (), text, tuple(facts), frozenset(facts[:1]))


def prompt(number: int = 0, **changes: object) -> Prompt:
    fields = {
        "id": f"p{number}",
        "text": f"Film {number} is directed by",
        "entity": f"Film {number}",
        "relation": "Director",
        "answers": (DIRECTORS[number],),
        "others": ("Rome",),
        "rest": "",
        "group": "text",
    }
    return Prompt(**(fields | changes))  # type: ignore[arg-type]


def _write_packed(objects: Iterable[dict[str, object]], path: Path) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(each) + "\n" for each in objects).encode()))


class Scripted:
    """An engine that answers by a function of prompt and settings, and remembers what it was asked."""

    def __init__(self, reply) -> None:
        self.reply = reply
        self.asked: list[tuple[str, DecodingSettings]] = []

    def generate(self, prompts, settings):
        self.asked += [(each, settings) for each in prompts]
        return [self.reply(each, settings) for each in prompts]


# Prompts


def test_a_text_is_cut_right_before_the_value_that_its_words_determine() -> None:
    (found,) = cut_passages([film(50)], [film(number) for number in range(20)])
    assert found.text == "Film 50 is a drama film directed by"
    assert (found.entity, found.relation, found.answers) == ("Film 50", "Director", (DIRECTORS[50 % 7],))
    assert found.rest.startswith(DIRECTORS[50 % 7])


def test_a_place_where_other_texts_say_other_things_is_left_out() -> None:
    """Of twenty films "shown in" a city, one has the city for a fact that it states there: nothing determines it."""
    city = FactRecord("Film 50", "City", "Rome")
    mine = Passage("Film 50", (), film(50).text, (city,), frozenset({city}))
    others = []
    for number in range(20):
        made = FactRecord(f"Film {number}", "City", "Oslo")
        text = f"Film {number} was shown in Paris, shown in Bonn, shown in Bern and made in Oslo."
        others.append(Passage(f"Film {number}", (), text, (made,), frozenset({made})))
    assert list(cut_passages([mine], others)) == []


@pytest.mark.parametrize(
    "text",
    [
        "A film directed by Ada Brook is Film 0.",  # the entity is named behind the value
        "Film 0 and Ada Brook is a film directed by Ada Brook.",  # first said where nothing determines it
        "Film 0 is a drama film directed by Ada Brook Junior.",  # another name
        "Film 0 is a drama film directed byAda Brook.",  # no space before it
    ],
)
def test_a_text_that_does_not_state_the_value_after_its_entity_gives_no_prompt(text: str) -> None:
    passage = Passage("Film 0", (), text, film(0).facts, film(0).stated)
    assert list(cut_passages([passage], [film(number) for number in range(1, 20)])) == []


def test_questions_ask_for_the_same_facts_by_a_name_that_is_nobody_elses() -> None:
    asked = [prompt(0, entity="Jaws (film)", rest="Ada Brook."), prompt(1, entity="Jaws (book)")]
    first, second = questions(asked, {"Jaws (film)": {"Jaws"}, "Jaws (book)": set()})
    assert first.text == "Question: What is the director of Jaws?\nAnswer:"
    assert second.text == "Question: What is the director of Jaws (book)?\nAnswer:"
    assert (first.group, first.answers) == ("question", asked[0].answers)


def test_both_parts_are_used_and_an_entity_is_in_one() -> None:
    parts = [part_of(f"entity {number}") for number in range(200)]
    assert 20 <= parts.count("calibration") <= 60
    assert part_of("entity 7") == part_of("entity 7")


def test_a_sample_has_the_same_facts_in_each_group_of_one_size() -> None:
    every = [prompt(n) for n in range(7)] + [prompt(n, id=f"q{n}", group="question") for n in range(7)]
    chosen = sample(every, 3, seed=1)
    assert len(chosen) == 6
    assert [each.id[1:] for each in chosen[:3]] == [each.id[1:] for each in chosen[3:]]


def test_no_fact_comes_next_at_a_plain_position() -> None:
    for entity, text in plain_positions([film(n, ("Kind", "drama")) for n in range(50)], 30, seed=0):
        rest = film(int(entity.split()[1])).text[len(text) :].strip()
        assert text.startswith(entity)
        assert rest[0].islower()
        assert not rest.startswith(("drama", "the ", "a "))


def test_prompts_survive_a_file(tmp_path: Path) -> None:
    kept = [prompt(0), prompt(1, part="calibration", rest="so on")]
    write_objects((each.as_json() for each in kept), tmp_path / "prompts.jsonl")
    assert list(map(Prompt.of, read_entries(tmp_path / "prompts.jsonl"))) == kept


def test_prepared_folder_is_made_once(tmp_path: Path) -> None:
    for part, numbers in (("train", range(100, 140)), ("dev", range(4))):
        films = [film(number) for number in numbers]
        documents = ({"id": each.entity, "title": each.entity, "text": each.text} for each in films)
        _write_packed(documents, tmp_path / f"{part}.documents.jsonl.gz")
        facts = (
            {"entity": each.entity, "relation": fact.relation, "value": fact.value, "stated": True}
            for each in films
            for fact in each.facts
        )
        _write_packed(facts, tmp_path / f"{part}.facts.jsonl.gz")
    made = prepare(tmp_path, tmp_path / "asked")
    assert {each.group for each in made.prompts} == {"text", "question"}
    assert {each.entity for each in made.prompts} == {f"Film {number}" for number in range(4)}
    assert len(made.facts) == 44
    assert prepare(tmp_path / "missing", tmp_path / "asked") == made == Prepared.read(tmp_path / "asked")


def test_probes_become_prompts_with_the_entitys_other_values() -> None:
    probe = Probe("a", "Film 0 is by", "Film 0", "Director", ("Ada Brook",), "unseen")
    facts = [FactRecord("Film 0", "Director", "Ada Brook"), FactRecord("Film 0", "City", "Rome")]
    (made,) = from_probes([probe], facts, "unseen")
    assert (made.others, made.group) == (("Rome",), "webnlg unseen")
    assert from_probes([probe], facts, "seen") == []


# Rows


def test_a_row_tells_what_was_said_and_what_the_first_call_asked_for() -> None:
    first = lookup("Film 0", "City", "Rome")
    engine = Scripted(lambda text, _: said(text, " Rome.", first))
    (row,) = answer(engine, [prompt(0)], SETTINGS)
    assert row.outcome is Outcome.OTHER
    assert (row.called, row.asked, row.found) == (True, True, True)
    assert (row.entity_right, row.relation_right, row.returned) == (True, False, False)


def test_figures_add_up_over_groups() -> None:
    rows = answer(
        Scripted(lambda text, _: said(text, " Ada Brook." if "0" in text else " nobody")),
        [prompt(0), prompt(1), prompt(2, group="question")],
        SETTINGS,
    )
    told = figures(rows)
    assert told["text"]["n"] == 2
    assert told["text"]["right"]["hits"] == told["text"]["none"]["hits"] == 1
    assert sum(told["question"][each]["hits"] for each in Outcome) == 1


def test_what_greedy_decoding_would_write_again_is_not_asked_again() -> None:
    """Film 0 is answered with a call at once, film 1 with one later on, film 2 with none."""

    def reply(text: str, settings: DecodingSettings):
        call = lookup("Film 0", "Director", "Ada Brook")
        if not settings.lookups or (text.startswith("Film 2") and not settings.force_call):
            return said(text, " nobody")
        return said(text, " Ada Brook", call)

    late = lookup("Film 1", "Director", "Carl Dove")
    object.__setattr__(late, "start", 8)

    def with_late(text: str, settings: DecodingSettings):
        if text.startswith("Film 1") and settings.lookups and not settings.force_call:
            return said(text, " he, and Carl Dove", late)
        return reply(text, settings)

    engine = Scripted(with_late)
    told = answer_in_ways(engine, [prompt(n) for n in range(3)], SETTINGS)
    forced = [text for text, settings in engine.asked if settings.force_call]
    off = [text for text, settings in engine.asked if not settings.lookups]
    assert sorted(text[:6] for text in forced) == ["Film 1", "Film 2"]
    assert sorted(text[:6] for text in off) == ["Film 0", "Film 1"]
    assert [row.called for row in told["forced"][0]] == [True] * 3
    assert [row.called for row in told["off"][0]] == [False] * 3
    assert [row.id for row in told["own"][0]] == ["p0", "p1", "p2"]


# Retrieval in the prompt

FACTS = [FactRecord(f"Film {n}", "Director", DIRECTORS[n]) for n in range(7)] + [FactRecord("Film 0", "City", "Rome")]


def test_bm25_finds_the_fact_whose_words_the_prompt_has() -> None:
    found = BM25(FACTS).retrieve([prompt(3)], 2)[0]
    assert has_wanted(found, prompt(3))
    assert not has_wanted([FACTS[0]], prompt(3))


def test_all_facts_of_the_entity_and_no_other() -> None:
    (found,) = AllOfEntity(FACTS).retrieve([prompt(0)], 10)
    assert found == [FACTS[0], FACTS[7]]


def test_the_model_is_shown_examples_then_facts_then_the_text() -> None:
    engine = Scripted(lambda text, _: said(text, " Carl Dove"))
    retriever = AllOfEntity(FACTS)
    examples = worked_examples(retriever, [prompt(5, rest="Kai Lund and others. More.")])
    (row,) = Rag(retriever, examples).answer(engine, [prompt(1)], SETTINGS)
    (text, _), *_ = engine.asked
    assert text.startswith("Facts:\nFilm 5, Director: Kai Lund\n\nText: Film 5 is directed by Kai Lund and others.\n\n")
    assert text.endswith("Facts:\nFilm 1, Director: Carl Dove\n\nText: Film 1 is directed by")
    assert (row.outcome, row.returned, row.called) == (Outcome.RIGHT, True, False)


def test_what_is_not_retrieved_is_told() -> None:
    engine = Scripted(lambda text, _: said(text, " nobody"))
    (row,) = Rag(AllOfEntity(())).answer(engine, [prompt(1)], SETTINGS)
    assert engine.asked[0][0] == prompt(1).text
    assert not row.returned


def test_a_tuned_model_is_trained_on_the_form_that_it_is_asked_in() -> None:
    document = AnnotatedDocument("d", "Film 0 is by Ada.", (Call("Film 0", "Director", "Ada", 13),))
    others = [AnnotatedDocument(f"o{n}", "x", (Call(f"Film {n}", "Director", "Bo", 0),)) for n in range(1, 30)]
    before = ShownFacts(5, [document, *others]).before(document, random.Random(0))
    assert before.count("\n") == 7
    assert "Film 0, Director: Ada\n" in before
    facts = [FactRecord("Film 0", "Director", "Ada")]
    assert with_facts(facts, document.text) == f"{shown(facts)} {document.text}"


def test_a_call_that_finds_nothing_has_no_fact_before_its_text() -> None:
    missed = AnnotatedDocument("d", "Film 0 is by unknown.", (Call("Film 0", "Director", UNKNOWN, 13),))
    found = AnnotatedDocument("e", "Film 0 is by Ada.", (Call("Film 0", "Director", "Ada", 13),))
    assert "Film 0" not in ShownFacts(5, [found, missed]).before(missed, random.Random(0))


# Facts that the base knows


def test_facts_are_swapped_forgotten_and_left(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add(FACTS)
    asked = [prompt(n) for n in range(3)]
    rivals = chosen_rivals(asked, FACTS, seed=0)
    assert all(rivals[each.entity, "Director"] != each.answers[0] for each in asked)
    new = rivals["Film 1", "Director"]
    for state, values in (("whole", ("Carl Dove",)), ("swapped", (new,)), ("forgotten", ())):
        with knowledge_in(state, path, rivals) as kb:
            assert kb.lookup("Film 1", "Director").values == values
            assert kb.lookup("Film 5", "Director").values == (DIRECTORS[5],)
        told = [fact.value for fact in facts_in(state, FACTS, rivals) if fact.entity == "Film 1"]
        assert tuple(told) == values
    swapped = prompts_in("swapped", asked, rivals)[1]
    assert (swapped.answers, swapped.others) == ((new,), ("Carl Dove",))
    assert prompts_in("forgotten", asked, rivals)[1].answers == ("Carl Dove",)


def test_candidates_are_facts_with_one_object_that_the_prompt_does_not_say(tmp_path: Path) -> None:
    rows = [("France", "Paris"), ("Twin", "One"), ("Twin", "Two"), ("Mexico City", "Mexico"), ("Peru", "Lima")]
    write_objects(({"sub_label": a, "obj_label": b} for a, b in rows), tmp_path / "P36.jsonl")
    prompts, facts = candidates(tmp_path, seed=0)
    assert {fact.entity for fact in facts} == {"France", "Peru"}
    assert len(prompts) == 4
    assert all(each.answers[0] not in each.text for each in prompts)


# The bias on calls


def test_the_bias_asks_for_facts_and_nowhere_else() -> None:
    facts, plain = np.array([-2.0, -1.5, 3.0, -0.9]), np.array([-6.0, -5.0, -3.1, -4.0])
    bias = best_bias(facts, plain)
    assert 2.0 < bias <= 3.0
    told = asked_and_needless(facts, plain, bias)
    assert (told["asked"]["hits"], told["needless"]["hits"]) == (4, 0)
    assert asked_and_needless(facts, plain, 0.0)["asked"]["hits"] == 1


def test_the_curve_rises_with_the_bias() -> None:
    told = curve(np.array([-2.0, 1.0]), np.array([-6.0, -5.0]))
    assert [each["asked"] for each in told] == sorted(each["asked"] for each in told)
    assert told[-1] == {"bias": 12.0, "asked": 1.0, "needless": 1.0}


def test_a_row_is_written_as_plain_json() -> None:
    row = Row("a", "text", Outcome.RIGHT, " x", 3, True)
    assert row.as_json()["outcome"] == "right"


def test_margins_are_those_at_which_the_engine_begins_to_call() -> None:
    vocabulary = Vocabulary.train(["Film 0 is directed by Ada Brook and others."], 300)
    checkpoint = Checkpoint(tiny_llama(vocabulary), vocabulary)
    texts = ["Film 0 is directed by", "Film 1 ", "Film 2 is a longer text by"]
    for text, margin in zip(texts, call_margins(checkpoint, texts), strict=True):
        with KnowledgeBase.open(":memory:", create=True) as kb:
            kb.add(FACTS)
            engine = Engine(checkpoint.model, vocabulary, kb)
            for bias, called in ((-margin + 0.01, True), (-margin - 0.01, False)):
                settings = DecodingSettings(max_tokens=1, call_bias=bias, max_query_tokens=3)
                (generation,) = engine.generate([text], settings)
                first = generation.kinds[1 + len(vocabulary.encode(f" {text.strip()}"))]
                assert (first is Kind.CONTROL) is called


def test_what_is_shown_is_read_as_in_training_and_carries_no_loss() -> None:
    vocabulary = Vocabulary.train(["Facts: Film 0, Director: Ada Brook Text: Film 0 is directed by Ada."], 300)
    document = AnnotatedDocument("d", "Film 0 is directed by Ada.")
    encoded = encode(document, vocabulary, "standard", given=shown(FACTS[:2]))
    asked = vocabulary.encode(f" {with_facts(FACTS[:2], document.text)}")
    assert encoded.ids == [vocabulary.bos_id, *asked, vocabulary.eos_id]
    kept = labels(np.array(encoded.ids), np.array(encoded.kinds))
    assert vocabulary.decode([token for token in kept if token >= 0]).strip() == document.text


def test_a_recipe_shows_facts_to_the_standard_arm_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ncorpora: [{kind: world, facts: 3}]\n")
    with pytest.raises(InputError, match="facts are shown to the standard arm alone"):
        load_recipe(path)
    assert load_recipe(path, ["arm=standard"]).corpora[0].facts == 3
