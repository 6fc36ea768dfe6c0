"""Biographies, their claims and their judges, on texts whose figures are known in advance."""

import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes_chat import asked, chatting
from fakes_evaluate import said
from lamlam.annotate.chat.annotator import open_client
from lamlam.corpus import Corpus, Probe
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import LamLamError
from lamlam.evaluate.evaluation import NotApplicable
from lamlam.evaluate.judges import ChatJudge, Claim, JudgeSettings, KnowledgeJudge, sentences
from lamlam.evaluate.tasks.factscore import GAMMA, Biography, factscore, judged, scores
from lamlam.kb.store import KnowledgeBase
from lamlam.server import Refused, Server

PEOPLE = [f"Person{n:02} Family{n:02}" for n in range(40)]
FACTS = [
    fact
    for n, name in enumerate(PEOPLE)
    for fact in (
        (name, "Birth Place", f"Town{n:02}"),
        (name, "Employer", f"Firm{n:02} Works"),
        (name, "Occupation", f"maker of thing{n:02}"),
    )
] + [("Town00", "Country", "Borland"), ("Town00", "Mayor", "Anton Reel"), ("Town01", "Country", "Norland")]


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:", create=True) as kb:
        kb.add(FACTS)
        yield kb


class Writer:
    """Writes what `right(name)` says: true facts of the name, or those of the next person."""

    def __init__(self, right: "list[bool] | bool | None", knows: bool = True) -> None:
        self.right, self.knows = right, knows
        self.settings: list[DecodingSettings] = []

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        self.settings.append(settings)
        rng = random.Random(3)
        return [said(prompt, self._text(PEOPLE.index(prompt), rng)) for prompt in prompts]

    def _text(self, number: int, rng: random.Random) -> str:
        if not self.knows:
            return " was born in unknown. He works for unknown."
        picks = [number if (rng.random() < 0.5 if self.right is None else self.right) else number + 1 for _ in range(2)]
        return f" was born in Town{picks[0] % 40:02}. He works for Firm{picks[1] % 40:02} Works."


ENTITIES = [(name, "seen" if n % 2 else "unseen") for n, name in enumerate(PEOPLE)]


def figures(writer: Writer, kb: KnowledgeBase) -> dict[str, Any]:
    return scores(judged(writer, KnowledgeJudge(kb), ENTITIES, DecodingSettings()))


def test_true_biographies_score_one_and_false_ones_nothing(kb: KnowledgeBase) -> None:
    true, false = figures(Writer(True), kb), figures(Writer(False), kb)
    assert (true["score"], true["precision"], true["responding"], true["claims_per_text"]) == (1.0, 1.0, 1.0, 2.0)
    assert (false["score"], false["precision"], false["responding"]) == (0.0, 0.0, 1.0)
    assert true["penalised"] == pytest.approx(math.exp(1 - GAMMA / 2), abs=1e-6)


def test_facts_told_at_random_score_by_half(kb: KnowledgeBase) -> None:
    half = figures(Writer(None), kb)
    assert 0.35 < half["precision"] < 0.65
    low, high = half["detail"]["score"]["interval"]
    assert low < 0.5 < high


def test_unknown_is_no_claim_but_an_abstention(kb: KnowledgeBase) -> None:
    none = figures(Writer(True, knows=False), kb)
    assert (none["score"], none["precision"], none["responding"], none["said_unknown"]) == (None, None, 0.0, 1.0)


def test_long_texts_are_not_penalised_and_the_mean_is_over_texts() -> None:
    long = Biography("A", "seen", "A", tuple(Claim(str(n), n < 6) for n in range(12)))
    short = Biography("B", "seen", "B", (Claim("x", True),))
    silent = Biography("C", "seen", "C", ())
    unjudged = Biography("D", "seen", "D", None)
    result = scores([long, short, silent, unjudged])
    assert result["score"] == 0.75
    assert result["penalised"] == pytest.approx((0.5 + math.exp(1 - 10)) / 2, abs=1e-6)
    assert result["precision"] == pytest.approx(7 / 13, abs=1e-6)
    assert (result["responding"], result["unjudged"]) == (pytest.approx(2 / 3, abs=1e-6), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Person00 Family00 was born in Town00.", [("Town00", True)]),
        ("Person00 Family00 was born in Town07.", [("Town07", False)]),
        ("Person00 Family00 is a maker of thing00.", [("maker of thing00", True)]),
        ("Person00 Family00 was born in Madeupville on 3 May 1901.", [("Madeupville", False), ("3 May 1901", False)]),
        ("Person00 Family00 works for Town00 Mills.", [("Town00 Mills", False)]),
        ("Family00 was born in Town00. Family00 was born in Town00.", [("Town00", True)]),
        ("Person00 Family00 was born in Town00. It lies in Borland.", [("Town00", True), ("Borland", True)]),
        ("Person00 Family00 was born in Town00. It lies in Norland.", [("Town00", True), ("Norland", False)]),
        ("Person00 Family00 lies in Borland.", [("Borland", False)]),
        ("Anton Reel governs. These lines are about Person00 Family00.", []),
        ("Person00 Family00 was there.", []),
        ("", []),
    ],
)
def test_claims_of_a_text(kb: KnowledgeBase, text: str, expected: list[tuple[str, bool]]) -> None:
    claims = KnowledgeJudge(kb).judge("Person00 Family00", text)
    assert [(claim.text, claim.supported) for claim in claims] == expected


def test_sentences_do_not_end_behind_initials() -> None:
    assert sentences("J. R. Reel wrote it. It sold.\nMore!") == ["J. R. Reel wrote it.", "It sold.", "More!"]


def test_a_reference_without_facts_knows_no_claim() -> None:
    with KnowledgeBase.open(":memory:", create=True) as empty:
        [claim] = KnowledgeJudge(empty).judge("Ada", "Ada was born in Rome.")
    assert not claim.supported


class FakeEvaluation:
    """As much of an `Evaluation` as biographies need."""

    def __init__(self, path: Path, engine: Writer, arm: str = "lmlm", data: Path | None = None) -> None:
        self.kb_path, self.engine, self.arm, self.data = path, engine, arm, data
        self.reference: Path | None = None
        self.judge: JudgeSettings | None = None
        self.seed, self.progress, self.settings = 0, False, DecodingSettings()
        probes = [Probe(name, name, name, "Birth Place", ("x",), group) for name, group in ENTITIES]
        self.corpus = Corpus([], {}, [], [*probes, Probe("t", "t", "Town00", "Country", ("x",), "seen")])

    def size(self, full: int, quick: int) -> int:
        return 15

    def engine_on(self, kb: KnowledgeBase) -> Writer:
        return self.engine


@pytest.fixture
def kb_path(tmp_path: Path) -> Path:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add(FACTS)
    return tmp_path / "kb.sqlite"


def test_the_task_writes_with_lookups_and_without_for_both_groups(kb_path: Path) -> None:
    writer = Writer(True)
    result = factscore(FakeEvaluation(kb_path, writer)).figures()
    assert [settings.lookups for settings in writer.settings] == [True, False]
    assert (result["free"]["seen"]["texts"], result["free"]["unseen"]["texts"]) == (15, 15)
    assert result["free"]["score"] == 1.0
    assert result["judge"] == "knowledge base"
    assert "Town00" not in {each["entity"] for each in result["free"]["examples"]}, "there is too little to tell of it"


def test_the_standard_arm_writes_plainly(kb_path: Path) -> None:
    writer = Writer(False)
    result = factscore(FakeEvaluation(kb_path, writer, arm="standard")).figures()
    assert [settings.lookups for settings in writer.settings] == [False]
    assert result["plain"]["score"] == 0.0


def test_of_a_list_those_are_asked_that_the_reference_knows(kb_path: Path, tmp_path: Path) -> None:
    (tmp_path / "lmlm").mkdir()
    names = f"{PEOPLE[3]}\nNobody Anywhere\n\n{PEOPLE[4]}\n"
    (tmp_path / "lmlm" / "factscore_entities.txt").write_text(names, encoding="utf-8")
    result = factscore(FakeEvaluation(kb_path, Writer(True), data=tmp_path)).figures()
    assert (result["listed"], result["listed_known"]) == (3, 2)
    assert result["free"]["listed"]["texts"] == 2


def test_another_reference_may_know_none_of_the_entities(kb_path: Path, tmp_path: Path) -> None:
    evaluation = FakeEvaluation(kb_path, Writer(True))
    evaluation.reference = tmp_path / "other.sqlite"
    with KnowledgeBase.open(evaluation.reference, create=True) as other:
        other.add([("Ada", "Birth Place", "Rome")])
    with pytest.raises(NotApplicable, match="knows no entity"):
        factscore(evaluation)


def verdict(text: str) -> str:
    """Supports the claim that the text's last word stands for, where the listed facts hold it."""
    facts, _, told = text.partition("Text:")
    word = told.strip().rstrip(".").split()[-1]
    claims = [{"claim": f"It is {word}.", "supported": f"; {word}" in facts}]
    return f"<think>so</think>\n```json\n{json.dumps({'claims': claims})}\n```"


def test_a_chat_model_judges_by_the_facts_that_it_is_told(kb: KnowledgeBase, tmp_path: Path) -> None:
    with chatting(verdict) as server:
        client = open_client("m", Server(server.url, pause=0.001), tmp_path / "answers.sqlite", {})
        judge = ChatJudge(client, kb)
        for _ in range(2):
            [claim] = judge.judge(PEOPLE[0], f"{PEOPLE[0]} was born in Town00.") or []
            assert claim == Claim("It is Town00.", True)
        assert judge.judge(PEOPLE[0], "She lives in Town01.") == [Claim("It is Town01.", False)]
        assert server.requests == 2, "what was asked once is not asked again"
        assert "Town00; Country; Borland" in asked(server.bodies[0])
    assert judge.name == "chat model m"


def test_a_server_without_schemas_is_asked_without_one(kb: KnowledgeBase) -> None:
    with chatting(verdict, takes_schemas=False) as server:
        judge = ChatJudge(open_client("m", Server(server.url, pause=0.001), None, {}), kb)
        assert judge.judge(PEOPLE[0], "Born in Town00.") == [Claim("It is Town00.", True)]
    assert "response_format" not in server.bodies[0]


@pytest.mark.parametrize(
    "content", ["no verdict", "{", '{"claims": 3}', '{"claims": [{"claim": "x", "supported": "yes"}]}', "[]", 422]
)
def test_what_is_no_verdict_leaves_a_text_unjudged(kb: KnowledgeBase, content: Any) -> None:
    with chatting(lambda text: content) as server:
        judge = ChatJudge(open_client("m", Server(server.url, pause=0.001), None, {}), kb)
        assert judge.judge(PEOPLE[0], "Born in Town00.") is None


def test_a_wrong_key_is_told_at_once(kb: KnowledgeBase) -> None:
    with chatting(verdict, key="right") as server:
        judge = ChatJudge(open_client("m", Server(server.url, pause=0.001, api_key="wrong"), None, {}), kb)
        with pytest.raises(Refused):
            judge.judge(PEOPLE[0], "Born in Town00.")


def test_the_task_asks_the_judge_that_is_named(kb_path: Path) -> None:
    evaluation = FakeEvaluation(kb_path, Writer(True), arm="standard")
    with chatting(verdict) as server:
        evaluation.judge = JudgeSettings(url=server.url, model="m")
        result = factscore(evaluation).figures()
    assert result["judge"] == "chat model m"
    assert result["plain"]["claims_per_text"] == 1.0
    with pytest.raises(LamLamError):
        JudgeSettings(url="nowhere", model="m").open(KnowledgeBase.open(kb_path))
