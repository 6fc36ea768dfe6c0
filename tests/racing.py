"""Several programs that make one knowledge base at once, some of them killed: whoever says that it is done has its
facts in the file. `race` runs any number of rounds; a test runs a few.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from unittest.mock import patch

from fakes_annotate import Marker
from lamlam.annotate.corpus import annotate_corpus
from lamlam.annotate.shards import find_shards
from lamlam.corpus import Corpus, FactRecord
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.kb import files as files_module
from lamlam.kb import store as store_module
from lamlam.kb.bulk import bulk_import
from lamlam.kb.database import connect, connected_to_fill
from lamlam.kb.files import copy_database, import_file
from lamlam.pretrain.training import _build_knowledge_base
from lamlam.serve.places import _fill

__all__ = ["race"]

PROGRAMS = 3
LATEST_KILL = 0.08  # seconds after the start; an import takes about half of that

Triple = tuple[str, str, str]


def race(folder: Path, rounds: int, seed: int, *, killing: float = 0.3) -> Counter[str]:
    """Let programs make a knowledge base at the same path, again and again; how often each ended how.

    In so many rounds one of them is killed. Raises `AssertionError` where one that was done has lost its facts, one
    failed otherwise than by one sentence, or the file is not sound.
    """
    rng, ended = random.Random(seed), Counter[str]()
    source = folder / "source.sqlite"
    with KnowledgeBase.open(source, create=True) as kb:
        kb.add(_facts("source"))
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        # Most are imports, which add up; what a copy brings shuts out what comes after it, and is shut out itself.
        kinds = rng.choices(_PROGRAMS, (6, 4, 3, 1, 3, 2, 1), k=PROGRAMS)
        programs = [_started(kind, place, source, each) for each, kind in enumerate(kinds)]
        if rng.random() < killing:
            time.sleep(rng.random() * LATEST_KILL)
            os.kill(rng.choice(programs), signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) for program in programs]
        _check(place, kinds, codes)
        ended.update(f"{kind.__name__.strip('_')}: {_MEANING[code]}" for kind, code in zip(kinds, codes, strict=True))
    return ended


_DONE, _CRASHED, _REFUSED = 0, 1, 2
_MEANING = {_DONE: "done", _REFUSED: "refused", -signal.SIGKILL: "killed"}


def _started(program: Callable[[Path, Path, int], None], place: Path, source: Path, number: int) -> int:
    """A process that runs the program: 0 when it is done, 2 when it was refused in one sentence."""
    child = os.fork()
    if child:
        return child
    try:
        program(place, source, number)
    except LamLamError as error:
        if "damaged" in str(error):
            os.write(2, f"{program.__name__}: {error}\n".encode())
            os._exit(_CRASHED)
        os._exit(_REFUSED)
    except BaseException as error:  # noqa: BLE001 - the parent is told by the exit code
        os.write(2, f"{program.__name__}: {type(error).__name__}: {error}\n".encode())
        os._exit(_CRASHED)
    os._exit(_DONE)


def _check(place: Path, kinds: list[Callable[[Path, Path, int], None]], codes: list[int]) -> None:
    path = place / "kb.sqlite"
    assert _CRASHED not in codes, place
    assert all(code != _DONE for kind, code in zip(kinds, codes, strict=True) if kind is _bad_import)
    expected = [fact for number, kind in enumerate(kinds) if codes[number] == _DONE for fact in _stated(kind, number)]
    if not path.exists():
        assert not expected, f"{place}: done, and no file is there"
        return
    with KnowledgeBase.open(path, create=True) as kb:  # a kill may have left a file that is still empty
        lost = [fact for fact in expected if fact[2] not in kb.lookup(*fact[:2]).values]
        assert not lost, f"{place}: done, and lost: {lost}"
        assert kb.verify() == [], place
        facts = {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}
        assert facts.isdisjoint(_facts("bad")), "a bad file is imported by half"
    left = [path.name.removeprefix("kb.sqlite") for path in place.iterdir() if path.name.startswith("kb.sqlite")]
    assert all(not ending or ending.startswith(".import") for ending in left), f"{place}: a log is left"


# The programs


def _facts(name: str) -> list[Triple]:
    return [(f"{name} {number}", "is of", name) for number in range(12)]


def _file(place: Path, name: str, facts: list[Triple]) -> Path:
    rows = (dict(zip(("entity", "relation", "value"), fact, strict=True)) for fact in facts)
    path = place / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _stated(kind: Callable[[Path, Path, int], None], number: int) -> list[Triple]:
    """What is in the file when a program of the kind says that it is done."""
    if kind in (_copy, _serve):
        return _facts("source") if kind is _copy else []  # `_fill` leaves a file alone that others were faster to fill
    if kind is _annotate:
        return [(f"marked {number}", "Place", "Rome")]
    return _facts("corpus" if kind is _pretrain else f"file {number}")


def _import(place: Path, source: Path, number: int) -> None:
    with KnowledgeBase.open_to_fill(place / "kb.sqlite") as kb:
        import_file(kb, _file(place, str(number), _facts(f"file {number}")))


def _bulk_import(place: Path, source: Path, number: int) -> None:
    """As a file is that is large: the builder's second process takes a second to start, and is left out."""
    with patch.object(files_module, "_LARGE", 0), patch.object(store_module, "bulk_import", _NOT_APART):
        _import(place, source, number)


def _bad_import(place: Path, source: Path, number: int) -> None:
    with KnowledgeBase.open_to_fill(place / "kb.sqlite") as kb:
        import_file(kb, _file(place, str(number), [*_facts("bad"), ("bad", "is of", " ")]))


def _copy(place: Path, source: Path, number: int) -> None:
    with closing(connect(source)) as whole, connected_to_fill(place / "kb.sqlite") as empty:
        copy_database(whole, empty)


def _annotate(place: Path, source: Path, number: int) -> None:
    text = place / f"{number}.in.jsonl"
    text.write_text('{"id": "a", "text": "Of Rome."}\n')
    annotator = Marker(f"marked {number}")
    annotate_corpus(
        find_shards(str(text)), place / f"{number}.out.jsonl", annotator, knowledge_base=place / "kb.sqlite"
    )


def _pretrain(place: Path, source: Path, number: int) -> None:
    """The step of a training that makes the knowledge base: all trainings in a folder have the same facts."""
    _build_knowledge_base([Corpus([], {}, [FactRecord(*fact) for fact in _facts("corpus")])], place / "kb.sqlite")


def _serve(place: Path, source: Path, number: int) -> None:
    """The step of a server's start that fills its knowledge base."""
    _fill(str(place / "kb.sqlite"), source)


_NOT_APART = partial(bulk_import, apart=False)
_PROGRAMS = (_import, _bulk_import, _bad_import, _copy, _annotate, _pretrain, _serve)
