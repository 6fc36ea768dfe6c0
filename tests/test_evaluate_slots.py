"""Slots to fill: rules of overlap, T-REx, ParaRel, PopQA, on engines that always, never or sometimes answer right."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fakes_evaluate import always, never, probe, said, sometimes
from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.answers import Overlap, clause
from lamlam.evaluate.completion import judge
from lamlam.evaluate.evaluation import MissingData, NotApplicable
from lamlam.evaluate.tasks.pararel import consistency, pararel
from lamlam.evaluate.tasks.popqa import own_questions, popqa, read_popqa
from lamlam.evaluate.tasks.slots import Wording, overlap_figures, read_trex, relations, trex
from lamlam.kb.store import KnowledgeBase
from lamlam.markup import AnnotatedDocument, Call

Answer = Callable[[Probe], Generation]


class Oracle:
    """An engine that knows what its knowledge base holds, and answers by a rule; it keeps what it was asked."""

    def __init__(self, kb: KnowledgeBase, answer: Answer, asked: list[tuple[str, bool, bool]]) -> None:
        self.kb, self.answer, self.asked = kb, answer, asked

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        self.asked += [(prompt, settings.lookups, settings.force_call) for prompt in prompts]
        return [self._generation(prompt, settings) for prompt in prompts]

    def _generation(self, prompt: str, settings: DecodingSettings) -> Generation:
        facts = [fact for fact in self.kb.facts() if fact.entity in prompt]
        if not settings.lookups or not facts:
            return said(prompt, " nothing that is known.")
        fact = max(facts, key=lambda fact: len(fact.entity))
        return self.answer(Probe("", prompt, fact.entity, fact.relation, (fact.value,), ""))


@dataclass
class FakeEvaluation:
    """As much of an `Evaluation` as slots need."""

    data: Path | None
    kb_path: Path
    answer: Answer = always
    arm: str = "lmlm"
    corpus: Corpus = field(default_factory=lambda: Corpus([], {}, []))
    quick: bool = False
    seed: int = 0
    progress: bool = False
    settings: DecodingSettings = field(default_factory=DecodingSettings)
    asked: list[tuple[str, bool, bool]] = field(default_factory=list)
    checkpoint: Any = field(
        default_factory=lambda: SimpleNamespace(
            model=SimpleNamespace(config=Config(256)), vocabulary=SimpleNamespace(encode=str.split)
        )
    )

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def data_at(self, *parts: str) -> Path:
        assert self.data is not None
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise MissingData("is not there", path=path)
        return path

    def engine_on(self, kb: KnowledgeBase) -> Oracle:
        return Oracle(kb, self.answer, self.asked)


class Config:
    def __init__(self, length: int) -> None:
        self.max_position_embeddings = length

    def get_text_config(self) -> "Config":
        return self


@pytest.fixture
def kb_path(tmp_path: Path) -> Path:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([("Ada", "Birth Place", "Adaville")])
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "trex").mkdir(parents=True)
    (folder / "pararel").mkdir()
    lines = [
        {
            "prompt_id": f"t{n}",
            "prompt_text": f"Person{n:02} was born in",
            "subject": f"Person{n:02}",
            "gold_object": f"Town{n:02}",
            "answer_aliases": [f"City {n:02}"],
            "predicate_id": "P19",
        }
        for n in range(40)
    ]
    (folder / "trex" / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    pairs = [{"sub_label": f"Person{n:02}", "obj_label": f"Town{n:02}"} for n in range(30)]
    (folder / "pararel" / "P19.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("continuation", "answers", "within", "strict", "first", "exact", "f1"),
    [
        (" Rome.", ["Rome"], True, True, True, True, 1.0),
        (" the city of Rome, where", ["Rome"], True, False, False, False, 0.5),
        (" Romeo and Juliet", ["Rome"], True, False, False, False, 0.0),
        (" one two three four five Rome", ["Rome"], False, False, False, False, 2 / 7),
        (" new York and more", ["New York"], False, True, True, False, 2 / 3),
        (" New Delhi.", ["New York"], False, False, True, False, 0.5),
        (" Rome, Italy. It", ["Rome, Italy"], True, True, True, True, 1.0),
        (" The  Hague, in", ["Hague"], True, True, True, True, 1.0),
        ("", ["Rome"], False, False, False, False, 0.0),
        (" Rome", [" "], False, False, False, False, 0.0),
    ],
)
def test_the_rules_of_overlap(
    continuation: str, answers: list[str], within: bool, strict: bool, first: bool, exact: bool, f1: float
) -> None:
    assert Overlap.of(continuation, answers) == Overlap(within, strict, first, exact, pytest.approx(f1))


def test_a_clause_ends_where_its_answer_would() -> None:
    assert clause(" J. Smith wrote it. More") == " J. Smith wrote it"
    assert clause(" 12 May 1900, and") == " 12 May 1900"
    assert clause(" 1,200 people.") == " 1,200 people"
    assert clause(" Rome, Italy, Europe", "Oslo, Norway") == " Rome, Italy"


def test_shares_of_nothing_are_null() -> None:
    assert overlap_figures([])["strict"] is None
    assert overlap_figures([])["f1"] is None


def test_trex_given_the_facts_is_answered_by_an_engine_that_always_asks(data: Path, kb_path: Path) -> None:
    evaluation = FakeEvaluation(data, kb_path)
    result = trex(evaluation)
    figures = result.figures()
    assert figures["prompts"] == 40
    assert figures["subject_in_prompt"] == 40
    for way in ("given_free", "given_forced"):
        assert [figures[way][rule] for rule in ("within", "strict", "first", "exact", "f1")] == [1.0] * 5
        assert figures[way]["calls"]["right_query"] == 1.0
    assert figures["off"]["within"] == 0.0
    assert "own_free" not in figures, "the knowledge base knows none of the subjects"
    assert {(lookups, forced) for _, lookups, forced in evaluation.asked} == {
        (True, False),
        (True, True),
        (False, False),
    }
    with KnowledgeBase.open(kb_path) as kb:
        assert [fact.value for fact in kb.facts()] == ["Adaville"], "the run's own must stay as it is"


def test_what_the_own_knowledge_base_knows_is_asked_of_it_too(data: Path, kb_path: Path) -> None:
    with KnowledgeBase.open(kb_path) as kb:
        kb.add([("Person00", "place of birth", "Town00")])
    result = trex(FakeEvaluation(data, kb_path))
    assert result.figures()["own_free"]["detail"]["strict"]["hits"] == 1
    assert result.figures()["given_free"]["strict"] == 1.0


def test_an_alias_of_the_object_is_right(data: Path, kb_path: Path) -> None:
    result = trex(FakeEvaluation(data, kb_path, lambda probe: said(probe.prompt, f" City {probe.entity[-2:]}.")))
    assert result.figures()["given_free"]["strict"] == 1.0
    assert result.figures()["given_free"]["calls"]["asked"] == 0.0


@pytest.mark.parametrize(("answer", "low", "high"), [(never, 0.0, 0.0), (sometimes(0.5), 0.25, 0.75)])
def test_trex_counts_what_never_or_sometimes_comes_right(
    data: Path, kb_path: Path, answer: Answer, low: float, high: float
) -> None:
    result = trex(FakeEvaluation(data, kb_path, answer))
    assert low <= result.figures()["given_free"]["strict"] <= high


def test_the_standard_arm_fills_slots_without_lookups(data: Path, kb_path: Path) -> None:
    evaluation = FakeEvaluation(data, kb_path, arm="standard", quick=True)
    result = trex(evaluation)
    assert list(result.parts) == ["plain"]
    assert not any(lookups or forced for _, lookups, forced in evaluation.asked)


def test_prompts_that_leave_no_room_are_counted_and_left_out(data: Path, kb_path: Path) -> None:
    evaluation = FakeEvaluation(data, kb_path)
    evaluation.checkpoint.model.config = Config(98)
    with (data / "trex" / "prompts.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(_trex_line("a b c", "P19")))
    evaluation.checkpoint.vocabulary.encode = lambda text: [0] * (2 if "Person" in text else 3)
    result = trex(evaluation)
    assert (result.figures()["prompts"], result.figures()["too_long"]) == (40, 1)


def test_trex_tells_where_a_line_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text(json.dumps(_trex_line("x", "P19") | {"gold_object": 3}), encoding="utf-8")
    with pytest.raises(InputError, match="gold_object"):
        read_trex(tmp_path / "prompts.jsonl")


def test_a_predicate_without_a_label_names_the_relation_itself(tmp_path: Path) -> None:
    lines = [_trex_line("x", "P19"), _trex_line("x", "P99999")]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert [each.relation for each in read_trex(tmp_path / "prompts.jsonl")] == ["place of birth", "P99999"]


def test_every_relation_has_a_label_and_four_wordings_that_end_at_the_object() -> None:
    known = relations()
    assert len(known) == 41
    assert len({relation.label for relation in known.values()}) == 41
    for relation in known.values():
        for prompt in relation.prompts("{subject} & {x}"):
            assert "{subject} & {x}" in prompt
            assert not prompt.endswith((" ", "."))
    with pytest.raises(ValueError, match="wordings"):
        Wording(label="x", wordings=("{subject} is", "{subject} is", "{subject} was", "{subject} had"))


def test_every_relation_of_the_data_has_wordings(shared_data: Path) -> None:
    assert {path.stem for path in (shared_data / "pararel").glob("*.jsonl")} == set(relations())


def test_pararel_always_right_is_wholly_consistent(data: Path, kb_path: Path) -> None:
    figures = pararel(FakeEvaluation(data, kb_path)).figures()
    free = figures["given_free"]
    assert figures["prompts"] == 120
    assert (free["strict"], free["consistency"], free["all_right"], free["facts"]) == (1.0, 1.0, 1.0, 30)
    assert free["by_relation"] == [
        {"relation": "P19 place of birth", "strict": 1.0, "n": 120, "consistency": 1.0, "facts": 30}
    ]
    assert figures["off"]["strict"] == 0.0
    assert figures["off"]["consistency"] == 1.0, "the same words each time are consistent, and wrong"


def test_pararel_right_by_chance_is_neither_consistent_nor_all_right(data: Path, kb_path: Path) -> None:
    free = pararel(FakeEvaluation(data, kb_path, sometimes(0.5))).figures()["given_free"]
    assert 0.35 <= free["strict"] <= 0.65
    assert 0.35 <= free["consistency"] <= 0.65, "two of two fair coins agree half the time"
    assert free["all_right"] <= 0.25
    low, high = free["consistency_detail"]["consistency"]["interval"]
    assert low < 0.5 < high


def test_three_wordings_alike_and_one_apart_agree_in_half_of_the_pairs() -> None:
    texts = [" Town 1 is nice", " Town 1.", " the Town 1, which", " elsewhere"]
    mean, all_right = consistency(judge(probe(1), said("", text)) for text in texts)
    assert mean.value == 0.5
    assert all_right.hits == 0


def test_a_fact_with_one_wording_has_no_consistency() -> None:
    mean, _ = consistency([judge(probe(1), always(probe(1)))])
    assert mean.as_json("consistency")["consistency"] is None


def test_questions_are_built_from_the_runs_own_probes_with_their_entities_popularity(kb_path: Path) -> None:
    call = Call("Ada", "Birth Place", "Adaville", 16)
    texts = [AnnotatedDocument(f"d{n}", "Ada was born in Adaville.", (call,)) for n in range(3)]
    probes = [Probe("a", "Ada was born in", "Ada", "Birth Place", ("Adaville",), "seen", 1)]
    probes += [Probe("b", "Bob was born in", "Bob", "Birth Place", ("Bobville",), "unseen", 0)]
    corpus = Corpus(texts, {}, [FactRecord("Ada", "Birth Place", "Adaville")], probes)
    asked = own_questions(corpus)
    assert [each.prompt for each in asked] == [
        "Question: What is Ada's birth place?\nAnswer:",
        "Question: What is Bob's birth place?\nAnswer:",
    ]
    assert [each.mentions for each in asked] == [3, 0]
    figures = popqa(FakeEvaluation(None, kb_path, corpus=corpus)).figures()
    assert figures["source"] == "corpus"
    assert "given_free" not in figures
    groups = figures["own_forced"]["by_group"]
    assert {name: group["strict"] for name, group in groups.items()} == {"0": 0.0, "2-3": 1.0}


def test_files_of_popqas_form_are_asked_where_they_are_there(tmp_path: Path, kb_path: Path) -> None:
    (tmp_path / "popqa").mkdir()
    lines: list[dict[str, Any]] = [
        {"question": "Where was Person01 born?", "possible_answers": '["Town01", "T1"]', "s_pop": 12},
        {"question": "Where was Person02 born?", "possible_answers": ["Town02"], "s_pop": 50_000},
    ]
    for number, line in enumerate(lines, start=1):
        line |= {"subj": f"Person0{number}", "prop": "place of birth", "obj": f"Town0{number}"}
    file = tmp_path / "popqa" / "test.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    figures = popqa(FakeEvaluation(tmp_path, kb_path)).figures()
    assert (figures["source"], figures["questions"]) == ("popqa", 2)
    assert figures["given_forced"]["strict"] == 1.0
    assert list(figures["given_forced"]["by_group"]) == ["below 100", "10000 and more"]
    assert read_popqa(file)[0].answers == ("Town01", "T1")
    file.write_text(json.dumps(lines[0] | {"possible_answers": "[Town01"}), encoding="utf-8")
    with pytest.raises(InputError, match="possible_answers"):
        read_popqa(file)


def test_a_run_without_probes_has_no_questions(kb_path: Path) -> None:
    with pytest.raises(NotApplicable):
        popqa(FakeEvaluation(None, kb_path))


def _trex_line(prompt: str, predicate: str) -> dict[str, Any]:
    fields = {"prompt_id": "t", "prompt_text": prompt, "subject": "x", "gold_object": "y", "answer_aliases": []}
    return fields | {"predicate_id": predicate}
