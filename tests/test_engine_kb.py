"""The engine on a real knowledge base: aliases, edits and forgetting show at once."""

from collections.abc import Iterator

import pytest

from fakes_engine import DictionaryFacts, ScriptedModel, follow, planned, small_vocabulary
from lamlam.engine import DecodingSettings, Engine, FactSource, Generation
from lamlam.engine.mentions import mentions
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.kb.fact import Status
from lamlam.markup import Call
from lamlam.vocab import encode

VOCABULARY = small_vocabulary()
FACTS = [
    ("Ada Lovelace", "Birth Place", "London"),
    ("Ada Lovelace", "field", "mathematics"),
    ("Alan Turing", "Birth Place", "Maida Vale"),
    ("Logic (journal)", "field", "logic"),
]


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:", create=True) as opened:
        opened.add(FACTS)
        opened.alias("Countess of Lovelace", entity="Ada Lovelace")
        yield opened


def _ask(kb: FactSource, entity: str, relation: str, prompt: str, **settings: object) -> Generation:
    """Let a model write this query right after the prompt."""
    plan = planned(f"{prompt} x", Call(entity, relation, "x", len(prompt) + 1))
    model = ScriptedModel(follow(encode(plan, VOCABULARY).ids), VOCABULARY)
    engine = Engine(model, VOCABULARY, kb)  # type: ignore[arg-type]
    return engine.generate([prompt], DecodingSettings(max_tokens=1, **settings))[0]  # type: ignore[arg-type]


def test_a_fact_is_found_under_an_alias_that_the_context_uses(kb: KnowledgeBase) -> None:
    [lookup] = _ask(kb, "Countess of Lovelace", "field", "The Countess of Lovelace did").lookups
    assert lookup.entity == "Countess of Lovelace"
    assert lookup.value == "mathematics"
    assert lookup.resolution.status is Status.ALIAS


def test_the_context_names_what_may_be_asked_about(kb: KnowledgeBase) -> None:
    prompt = "ada lovelace read Logic and the Countess of Lovelace"
    assert mentions(prompt, kb) == ["Ada Lovelace", "Logic (journal)", "Countess of Lovelace"]
    [lookup] = _ask(kb, "Alan Turing", "Birth Place", "Ada Lovelace was born in").lookups
    assert lookup.entity == "Ada Lovelace"
    [free] = _ask(kb, "Alan Turing", "Birth Place", "Ada Lovelace was born in", entities="known").lookups
    assert (free.entity, free.value) == ("Alan Turing", "Maida Vale")


def test_an_edit_shows_at_once(kb: KnowledgeBase) -> None:
    [fact] = kb.lookup("Ada Lovelace", "Birth Place").facts
    kb.edit(fact.id, value="Marylebone")
    [lookup] = _ask(kb, "Ada Lovelace", "Birth Place", "Ada Lovelace was born in").lookups
    assert lookup.value == "Marylebone"


def test_a_former_revision_can_be_asked_and_what_was_forgotten_is_in_none(kb: KnowledgeBase) -> None:
    before = kb.revision
    [fact] = kb.lookup("Ada Lovelace", "Birth Place").facts
    kb.edit(fact.id, value="Marylebone")
    question = (kb, "Ada Lovelace", "Birth Place", "Ada Lovelace was born in")
    asked = _ask(*question, revision=before)
    assert ([lookup.value for lookup in asked.lookups], asked.revision) == (["London"], before)
    nearest = _ask(*question[:3], "Ada Lovelace", revision=before, on_miss="nearest")
    assert [lookup.value for lookup in nearest.lookups] == ["London"]
    kb.forget(entity="Ada Lovelace", relation="Birth Place")
    assert [lookup.value for lookup in _ask(*question, revision=before).lookups] == ["unknown"]


def test_a_revision_that_is_not_there_is_refused_before_anything_is_written(kb: KnowledgeBase) -> None:
    with pytest.raises(LamLamError, match="no revision 99"):
        _ask(kb, "Ada Lovelace", "field", "Ada Lovelace did", revision=99)
    with pytest.raises(LamLamError, match="keeps no revisions"):
        _ask(DictionaryFacts({}), "Ada Lovelace", "field", "Ada Lovelace did", revision=1)


def test_what_was_forgotten_is_unknown_and_said_to_be_forgotten(kb: KnowledgeBase) -> None:
    kb.forget(entity="Ada Lovelace", relation="Birth Place")
    generation = _ask(kb, "Ada Lovelace", "Birth Place", "Ada Lovelace was born in", relations="free")
    [lookup] = generation.lookups
    assert lookup.value == "unknown"
    assert lookup.resolution.status is Status.FORGOTTEN
    assert lookup.start == lookup.end


def test_after_forgetting_a_kept_model_still_asks_for_what_it_asked_before(kb: KnowledgeBase) -> None:
    """Both for what is gone, and is told so, and for the rest, in whose relation it makes a slip that cannot pass."""
    prompt = "Ada Lovelace was born in"
    kb.forget(entity="Ada Lovelace", relation="Birth Place")
    [gone] = _ask(kb, "Ada Lovelace", "Birth Place", prompt, relations="known").lookups
    assert (gone.relation, gone.value, gone.resolution.status) == ("Birth Place", "unknown", Status.FORGOTTEN)
    [left] = _ask(kb, "Ada Lovelace", "fiels", prompt, relations="known").lookups
    assert (left.relation, left.value) == ("field", "mathematics")


def test_nearest_answers_with_another_fact_where_the_default_does_not(kb: KnowledgeBase) -> None:
    asked = "Ada Lovelacy Brown", "Birth Place", "Somebody was born in"
    [unknown] = _ask(kb, *asked, entities="free", relations="free").lookups
    assert unknown.value == "unknown"
    [nearest] = _ask(kb, *asked, entities="free", relations="free", on_miss="nearest").lookups
    assert nearest.value == "London"
