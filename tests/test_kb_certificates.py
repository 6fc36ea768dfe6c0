"""Certificates that the knowledge base keeps: in both databases, in every copy, and when the program is killed."""

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from lamlam.corpus import FactRecord
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.files import copy_database
from places import FilePlace, Place

SECRET = "Xanthippe Quarles"
FACTS = [
    FactRecord(SECRET, "Birthplace", "Wrzeszcz", document="dossier-77", start=0, end=5),
    FactRecord(SECRET, "Field", "botany", document="dossier-77"),
    FactRecord("Ada Lovelace", "Field", "mathematics", document="dossier-78"),
]
in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.open(create=True) as opened:
        opened.add(FACTS)
        yield opened


def test_what_forgetting_returns_is_kept(kb: KnowledgeBase, place: Place) -> None:
    content = kb.at(1).digest()
    first, second = kb.forget(1), kb.forget(entity="Ada Lovelace", reason="she asked")
    assert kb.certified() == [3, 2]
    with place.open() as other:
        for number, certificate in ((2, first), (3, second)):
            assert other.certificate(number) == json.loads(json.dumps(certificate.as_json()))
        assert other.certificate(1) is None
        assert other.verify() == []
    assert content != kb.digest() == kb.at(3).digest(), "certificates are no content"


def test_a_dry_run_and_a_refusal_keep_none(kb: KnowledgeBase) -> None:
    kb.forget(1, dry_run=True)
    with pytest.raises(Exception, match="nothing to forget"):
        kb.forget(source="nowhere")
    assert kb.certified() == []


def test_a_kept_certificate_names_nothing(kb: KnowledgeBase, place: Place) -> None:
    certificate = kb.forget(entity=SECRET, reason="because Xanthippe Quarles said so", actor="wrzeszcz")
    told = str(kb.certificate(2))
    for text in (SECRET, "Xanthippe", "Birthplace", "Wrzeszcz", "wrzeszcz", "botany", "dossier-77", "because"):
        assert text not in told
    assert certificate.clean
    kb.close()
    assert place.left(SECRET, "Wrzeszcz", "botany", "dossier-77") == set()


@in_a_file
def test_a_certificate_tells_the_digest_of_the_file_before_it_was_put_in(kb: KnowledgeBase, place: FilePlace) -> None:
    kb._database.empty_log()  # type: ignore[attr-defined]
    before = kb._database.digest()
    certificate = kb.forget(1)
    assert certificate.before == before
    assert certificate.after == kb._database.digest(), "what was put in since stands in the log alone"
    kb._database.empty_log()  # type: ignore[attr-defined]
    assert certificate.after != kb._database.digest()


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_a_copy_has_them_too(kb: KnowledgeBase, target: str, make_place) -> None:  # type: ignore[no-untyped-def]
    kb.forget(1)
    with make_place(target).open(create=True) as copy:
        copy_database(kb._database, copy._database)
        assert copy.certified() == [2]
        assert copy.certificate(2) == kb.certificate(2)
        assert copy.verify() == []


def test_ten_certificates_come_in_the_order_of_their_revisions(kb: KnowledgeBase) -> None:
    kb.add((f"Entity {number}", "r", "v") for number in range(10))
    for number in range(10):
        kb.forget(entity=f"Entity {number}")
    assert kb.certified() == list(range(12, 2, -1))


@pytest.mark.parametrize("where", ["erase", "digest", "put"])
@in_a_file
def test_a_kill_between_erasing_and_the_certificate_leaves_a_sound_file_and_tells_of_it(
    place: FilePlace, where: str
) -> None:
    """Dead before the files are searched; before the digest; and before the finished certificate is put in."""
    with place.open(create=True) as kb:
        kb.add(FACTS)
        content = kb.digest()
    child = os.fork()
    if not child:
        _forget_and_die(place, where)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with place.open() as kb:
        assert kb.verify() == []
        assert kb.lookup(SECRET, "Birthplace").status is Status.FORGOTTEN
        assert kb.digest() != content
        told = kb.certificate(2)
        assert told is not None
        assert (told["facts"], told["clean"], told["after"], told["scan"]) == ([1, 2], False, None, None)
        assert kb.log()[-1].action == "forget"
    assert place.left(SECRET, "Wrzeszcz", "botany") == set()


def _forget_and_die(place: FilePlace, where: str) -> None:
    kb = place.open()
    digests = 0

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def digest_or_die() -> str:
        nonlocal digests
        digests += 1
        return original() if digests == 1 else str(die())

    def put_or_die(certificate: object) -> None:
        die() if certificate.after is not None else put(certificate)  # type: ignore[attr-defined, arg-type]

    original, put = kb._database.digest, kb._certificates.put
    if where == "erase":
        kb._database.erase = die  # type: ignore[method-assign, assignment]
    elif where == "digest":
        kb._database.digest = digest_or_die  # type: ignore[method-assign]
    else:
        kb._certificates.put = put_or_die  # type: ignore[method-assign, assignment]
    kb.forget(entity=SECRET)
    os._exit(1)


def test_an_erasure_that_was_cut_short_can_be_made_up_for_without_opening_anew(
    place: Place, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.postgres_erasure._WAIT_SECONDS", 0.2)
    monkeypatch.setattr("lamlam.kb.sqlite_connection.WAIT_SECONDS", 0.2)
    if isinstance(place, FilePlace):
        kb._database.run("PRAGMA busy_timeout = 50")
    with place.open() as reader, reader._database.snapshot():
        assert reader.lookup(SECRET, "Field").found
        assert not kb.forget(1).clean
        assert not kb.finish_erasing()
    assert kb.finish_erasing()
    assert kb.verify() == []
    assert place.left("Wrzeszcz") == set()
    kept = kb.certificate(2)
    assert kept is not None
    assert not kept["clean"], "it says what was found when the files were searched"


@in_a_file
def test_forgetting_is_clean_although_others_open_the_file_and_write_into_it(
    kb: KnowledgeBase, place: FilePlace
) -> None:
    """Each who opens it meanwhile erases too, and empties the log, which only one can do at a time."""
    stop = threading.Event()

    def come_and_go(number: int) -> None:
        while not stop.is_set():
            with place.open() as other:
                other._database.run("PRAGMA wal_checkpoint(PASSIVE)")
                other.add([(f"Other {number}", "r", "v")])
            stop.wait(0.01)

    kb.add((f"Entity {number}", "r", f"value {number}") for number in range(20))
    others = [threading.Thread(target=come_and_go, args=(number,)) for number in range(3)]
    for other in others:
        other.start()
    try:
        certificates = [kb.forget(entity=f"Entity {number}") for number in range(20)]
    finally:
        stop.set()
        for other in others:
            other.join()
    assert [certificate.clean for certificate in certificates] == [True] * 20
    assert kb.verify() == []
