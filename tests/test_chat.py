"""Annotation by a chat model, against a real server on loopback."""

import json
import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fakes_chat import ChatServer, asked, chatting
from lamlam.annotate.annotator import Annotator
from lamlam.annotate.chat import AnswerCache, ChatAnnotator, ChatClient, ChatSettings, estimate
from lamlam.annotate.vetting import Drop
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument, Call, dblookup
from lamlam.server import Refused, Server

PLACES = ("Tarsk", "Oss", "Dunmarch", "Sella", "Imber", "Halden", "Corve", "Reel", "Venn", "Lorn", "Mard", "Quill")
DOCUMENTS = [AnnotatedDocument(place, f"Ada Roe was born in {place} and never left it.") for place in PLACES]


def expected(document: AnnotatedDocument) -> AnnotatedDocument:
    at = len("Ada Roe was born in ")
    return AnnotatedDocument(document.id, document.text, (Call("Ada Roe", "Birth Place", document.id, at),))


def marked(text: str) -> str:
    return text.replace("born in ", f"born in [dblookup('Ada Roe', 'Birth Place') -> {text.split()[5]}] ")


def listed(text: str) -> str:
    call = {"entity": "Ada Roe", "relation": "Birth Place", "value": text.split()[5], "before": "Roe was born in"}
    return json.dumps({"calls": [call]})


def annotator(server: ChatServer | None, cache: AnswerCache | None = None, **settings: Any) -> ChatAnnotator:
    concurrency = settings.pop("concurrency", 3)
    reached = (
        Server(server.url, pause=0.001, timeout=settings.pop("timeout", 0.4), api_key=settings.pop("api_key", None))
        if server
        else None
    )
    client = ChatClient(ChatSettings(model="m", **settings), cache or AnswerCache(), reached)
    return ChatAnnotator(client, concurrency=concurrency)


def test_documents_come_back_in_order_several_being_asked_about_at_once() -> None:
    with chatting(listed, together=3) as server:
        chat: Annotator = annotator(server)
        assert list(chat.annotate_many(DOCUMENTS)) == [expected(document) for document in DOCUMENTS]
    assert server.most_at_once == 3
    assert server.requests == len(DOCUMENTS)


def test_a_request_holds_prompt_settings_and_schema() -> None:
    with chatting(listed) as server:
        annotator(server, temperature=0.0, max_tokens=500).annotate(DOCUMENTS[0])
        annotator(server, temperature=None).annotate(DOCUMENTS[0])
    first, second = server.bodies
    assert first["model"] == "m"
    assert (first["temperature"], first["max_tokens"]) == (0.0, 500)
    assert first["response_format"]["json_schema"]["strict"] is True
    assert second.keys() == {"model", "messages", "response_format"}
    assert asked(first) == DOCUMENTS[0].text


def test_a_server_without_schemas_is_asked_for_markup() -> None:
    with chatting(marked, takes_schemas=False) as server:
        chat = annotator(server, concurrency=1)
        assert list(chat.annotate_many(DOCUMENTS)) == [expected(document) for document in DOCUMENTS]
    assert server.requests == len(DOCUMENTS) + 1
    assert not any("response_format" in body for body in server.bodies)


@pytest.mark.parametrize(("form", "answers"), [("list", marked), ("markup", listed)])
def test_an_answer_in_the_other_form_is_understood(form: str, answers: Any) -> None:
    with chatting(answers) as server:
        assert annotator(server, form=form).annotate(DOCUMENTS[0]) == expected(DOCUMENTS[0])
    assert ("response_format" in server.bodies[0]) == (form == "list")


@pytest.mark.parametrize("fault", [500, 429, (429, "0"), "no JSON", "hang up", "stall", "break off"])
def test_faults_of_a_server_cost_no_document(fault: Any) -> None:
    with chatting(listed, faults=[fault] * 3) as server:
        assert list(annotator(server).annotate_many(DOCUMENTS)) == [expected(document) for document in DOCUMENTS]
    assert server.requests == len(DOCUMENTS) + 3


def test_a_second_run_makes_no_request(tmp_path: Path) -> None:
    with chatting(listed) as server, AnswerCache(tmp_path / "answers.sqlite") as cache:
        first = list(annotator(server, cache).annotate_many(DOCUMENTS))
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        again = annotator(None, cache)
        assert list(again.annotate_many(DOCUMENTS)) == first
        with pytest.raises(LamLamError, match="no --server"):
            annotator(None, cache, temperature=0.5).annotate(DOCUMENTS[0])


def test_a_second_run_on_a_server_without_schemas_makes_no_request_either(tmp_path: Path) -> None:
    with chatting(marked, takes_schemas=False) as server, AnswerCache(tmp_path / "answers.sqlite") as cache:
        first = list(annotator(server, cache).annotate_many(DOCUMENTS))
        assert list(annotator(None, cache).annotate_many(DOCUMENTS)) == first


def test_an_interrupted_run_asks_for_nothing_twice(tmp_path: Path) -> None:
    released = threading.Event()

    def answers(text: str) -> str:
        assert PLACES[0] in text or released.wait(20)
        return listed(text)

    with chatting(answers) as server:
        with AnswerCache(tmp_path / "answers.sqlite") as cache:
            running = annotator(server, cache, concurrency=2, timeout=20.0).annotate_many(DOCUMENTS)
            assert next(running) == expected(DOCUMENTS[0])
            while server.requests < 3:
                time.sleep(0.01)
            threading.Timer(0.2, released.set).start()
            running.close()
        assert server.requests == 3  # a fourth document was waiting for its turn
        with AnswerCache(tmp_path / "answers.sqlite") as cache:
            assert list(annotator(server, cache).annotate_many(DOCUMENTS)) == [expected(each) for each in DOCUMENTS]
    assert server.requests == len(DOCUMENTS)
    assert len({asked(body) for body in server.bodies}) == len(DOCUMENTS)


def test_a_server_that_fails_for_good_ends_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    with chatting(listed) as server, AnswerCache(tmp_path / "answers.sqlite") as cache:
        chat = annotator(server, cache, concurrency=1)
        running = chat.annotate_many(iter(DOCUMENTS[:4]))
        next(running)
        kept = len(server.bodies)
        server.habits.faults = [500] * 50
        with pytest.raises(LamLamError, match="answered 500"):
            list(annotator(server, cache, concurrency=1).annotate_many(DOCUMENTS[4:]))
        running.close()
        assert kept >= 1
        assert annotator(None, cache).annotate(DOCUMENTS[0]) == expected(DOCUMENTS[0])


REFUSALS = {
    "words": "I am sorry, but I cannot help with that.",
    "a refusal": {"message": {"content": None, "refusal": "I must not."}, "finish_reason": "stop"},
    "a filter": {"message": {"content": ""}, "finish_reason": "content_filter"},
    "nothing": "",
    "a status": 400,
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_document_is_told_and_goes_without_calls(refusal: Any) -> None:
    with chatting(lambda text: refusal if "Oss" in text else listed(text)) as server:
        chat = annotator(server, concurrency=1)
        found = list(chat.annotate_many(DOCUMENTS))
    assert found[1] == DOCUMENTS[1]
    assert [document.id for document in found if not document.calls] == ["Oss"]
    assert chat.refused.keys() == {"Oss"}
    assert chat.refused["Oss"]
    assert chat.take_notes() == {"refused_documents": 1}
    assert not chat.take_notes()


def test_a_document_is_not_half_annotated_where_a_part_of_it_is_refused() -> None:
    text = "\n\n".join(f"{document.text} {'So it is said. ' * 20}" for document in DOCUMENTS[:3])
    with chatting(lambda text: "No." if "Dunmarch" in text else listed(text)) as server:
        chat = annotator(server, window=400)
        assert chat.annotate(AnnotatedDocument("long", text)).calls == ()
    assert server.requests == 3
    assert chat.refused == {"long": "No."}


def test_a_long_document_is_asked_about_in_windows_and_known_as_a_whole() -> None:
    filler = "It was so for a very long time, and it is so today. " * 20
    text = f"Ada Roe was born in Tarsk and never left it. {filler}\n\nLater she moved to Oss for good. {filler}"

    def answers(text: str) -> str:
        if "Later" not in text:
            return listed(text) if "Tarsk" in text else '{"calls": []}'
        call = {"entity": "Ada Roe", "relation": "Home", "value": "Oss", "before": "Later she moved to"}
        return json.dumps({"calls": [call]})

    with chatting(answers) as server:
        found = annotator(server, window=1200).annotate(AnnotatedDocument("long", text))
    assert len(server.bodies) > 1
    assert [(call.value, call.at) for call in found.calls] == [("Tarsk", 20), ("Oss", text.index("Oss"))]
    assert found.text == text


def test_where_an_answer_was_cut_off_half_of_the_text_is_asked_about() -> None:
    text = " ".join(document.text for document in DOCUMENTS)

    def answers(text: str) -> dict[str, Any]:
        copy = re.sub(r"born in (\w+)", r"born in [dblookup('Ada Roe', 'Birth Place') -> \1] \1", text)
        long = len(text) > 300
        return {"message": {"content": copy[: 200 if long else None]}, "finish_reason": "length" if long else "stop"}

    with chatting(answers) as server:
        chat = annotator(server, form="markup")
        found = chat.annotate(AnnotatedDocument("long", text))
    assert [call.value for call in found.calls] == list(PLACES)
    assert all(text.startswith(call.value, call.at) for call in found.calls)
    assert not chat.refused


def test_an_answer_that_is_cut_off_however_short_the_text_is_a_refusal() -> None:
    with chatting(listed, finish="length") as server:
        chat = annotator(server)
        assert chat.annotate(DOCUMENTS[0]).calls == ()
    assert chat.refused == {"Tarsk": "the answer was cut off"}


def test_dropped_calls_are_counted_by_reason() -> None:
    invented = "[dblookup('Bea Poe', 'Birth Place') -> Oss] Oss, as is said by all who knew her, in a house of her own"
    with chatting(lambda text: f"{marked(text)} {invented}") as server:
        chat = annotator(server, form="markup")
        assert chat.annotate(DOCUMENTS[0]) == expected(DOCUMENTS[0])
    assert chat.take_notes() == {Drop.NO_VALUE: 1}


def test_a_wrong_key_or_model_ends_the_run() -> None:
    with chatting(listed, key="sk-right") as server:
        with pytest.raises(Refused, match="401"):
            list(annotator(server, api_key="sk-wrong").annotate_many(DOCUMENTS))
        assert annotator(server, api_key="sk-right").annotate(DOCUMENTS[0]).calls


def test_the_key_stands_in_no_settings_and_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with chatting(listed, key="sk-right") as server, AnswerCache(path) as cache:
        chat = annotator(server, cache, api_key="sk-right")
        list(chat.annotate_many(DOCUMENTS))
        assert "sk-right" not in json.dumps(dict(chat.settings))
        assert not any(b"sk-right" in file.read_bytes() for file in tmp_path.iterdir())
    assert chat.settings["model"] == "m"
    assert chat.settings.keys() == {"model", "form", "window", "temperature", "max_tokens", "prompt"}


def test_an_estimate_asks_nothing_and_leaves_out_what_is_known(tmp_path: Path) -> None:
    with chatting(listed) as server, AnswerCache(tmp_path / "answers.sqlite") as cache:
        list(annotator(server, cache).annotate_many(DOCUMENTS[:5]))
        told = estimate(DOCUMENTS, ChatClient(ChatSettings(model="m"), cache, None))
        assert server.requests == 5
    assert (told.documents, told.requests, told.known, told.words) == (12, 7, 5, 12 * 10)
    assert told.tokens_in > 7 * 500
    assert told.price(2.0, 8.0) == pytest.approx((told.tokens_in * 2 + told.tokens_out * 8) / 1e6)
    longer = estimate(DOCUMENTS, ChatClient(ChatSettings(model="m", form="markup"), AnswerCache(), None))
    assert longer.tokens_out > told.tokens_out


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("no database, but long enough to be looked at as one" * 20)
    with pytest.raises(InputError, match="cannot be used as a cache"):
        AnswerCache(path)
    assert "no database" in path.read_text()


def test_answers_of_two_runs_on_one_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with chatting(listed) as server, AnswerCache(path) as one, AnswerCache(path) as two:
        list(annotator(server, one).annotate_many(DOCUMENTS[:6]))
        list(annotator(server, two).annotate_many(DOCUMENTS))
    assert server.requests == len(DOCUMENTS)
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (len(DOCUMENTS),)


def test_recorded_outputs_of_a_real_model_are_moved(shared_data: Path) -> None:
    path = shared_data / "lmlm" / "squad-30_annotator_raw.json"
    examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
    recorded = {example["text"]: example["annotated_text"] for example in examples}
    with chatting(recorded.__getitem__) as server:
        chat = annotator(server, form="markup")
        found = list(chat.annotate_many(AnnotatedDocument(str(n), text) for n, text in enumerate(recorded)))
    assert [document.text for document in found] == list(recorded)
    assert all(len(document.calls) >= 5 for document in found)
    assert chat.take_notes()[Drop.REPEATED] > 50
    assert all(dblookup.render(document).count("dblookup(") == len(document.calls) for document in found)
