"""Annotating whole corpora: what is read and written, and that a run that was cut off goes on."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fakes_annotate import Marker
from lamlam.annotate.align import AlignAnnotator
from lamlam.annotate.annotator import Annotator
from lamlam.annotate.corpus import CorpusTally, annotate_corpus
from lamlam.annotate.shards import find_shards
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.markup import AnnotatedDocument
from places import Place

FACTS = [
    {"entity": "Ada Roe", "relation": "birth place", "value": "Rome"},
    {"entity": "Ada Roe", "relation": "employer", "value": "Zork Ltd."},
    {"entity": "Bob Poe", "relation": "birth place", "value": "Oslo"},
]


def lines(path: Path, rows: Iterable[dict]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def annotate(source: object, out: Path, annotator: Annotator | None = None, **options: object) -> CorpusTally:
    return annotate_corpus(find_shards(str(source)), out, annotator or Marker(), **options)  # type: ignore[arg-type]


def written(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones included."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    return lines(tmp_path / "facts.jsonl", FACTS)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    texts = {"a": "Ada Roe was born in Rome.", "b": "In Oslo lives Bob Poe.", "c": "Nobody was born in Rome."}
    return lines(tmp_path / "plain.jsonl", [{"id": id, "text": text} for id, text in texts.items()])


@pytest.fixture
def stated(tmp_path: Path) -> Path:
    rows = [{"text": "Ada Roe lives in Rome.", "triples": [["Ada_Roe", "livesIn", "Rome"], ["Ada_Roe", "age", "70"]]}]
    return lines(tmp_path / "stated.jsonl", rows)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder of three shards, one of them packed, one in a folder below, of 150 documents each."""
    for name in ("a.jsonl", "b.jsonl.gz", "below/c.jsonl"):
        rows = ({"id": f"{name}-{n}", "text": f"Text {n} is of Rome{' and Rome' * (n % 3)}."} for n in range(150))
        lines(tmp_path / "web" / name, rows)
    return tmp_path / "web"


def test_plain_documents_are_tried_with_the_facts_of_what_they_name(tmp_path: Path, plain: Path, facts: Path) -> None:
    out = tmp_path / "out.jsonl"
    tally = annotate(plain, out, AlignAnnotator.of_file(facts))
    calls = {
        document.id: [(call.entity, call.value, call.at) for call in document.calls] for document in read_documents(out)
    }
    assert calls == {"a": [("Ada Roe", "Rome", 20)], "b": [], "c": []}
    assert (tally.counts.documents, tally.counts.calls, tally.knowledge_base) == (3, 1, None)
    assert tally.counts.notes == {"value_not_found": 1, "before_entity": 1}


def test_texts_with_triples_need_no_facts(tmp_path: Path, stated: Path) -> None:
    annotate(stated, tmp_path / "out.jsonl", AlignAnnotator())
    (document,) = read_documents(tmp_path / "out.jsonl")
    assert [(call.entity, call.relation, call.at) for call in document.calls] == [("Ada Roe", "lives in", 17)]


def test_the_knowledge_base_gets_every_fact_and_the_place_of_those_found(tmp_path: Path, stated: Path) -> None:
    tally = annotate(stated, tmp_path / "out.jsonl", AlignAnnotator(), knowledge_base=tmp_path / "kb.sqlite")
    assert tally.knowledge_base is not None
    assert tally.knowledge_base.added == 2
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        (place,) = kb.lookup("Ada Roe", "lives in").facts[0].sources
        assert (place.document, place.start, place.end) == ("stated-1", 17, 21)
        assert kb.lookup("Ada Roe", "age").facts[0].sources == ()


def test_facts_that_were_given_go_into_the_knowledge_base_found_or_not(
    tmp_path: Path, plain: Path, facts: Path
) -> None:
    annotate(plain, tmp_path / "o.jsonl", AlignAnnotator.of_file(facts), knowledge_base=tmp_path / "kb.sqlite")
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        assert kb.lookup("Bob Poe", "birth place").text == "Oslo"
        assert kb.lookup("Ada Roe", "birth place").facts[0].sources[0].document == "a"


@pytest.mark.parametrize("bad", ['{"id": "d", "text": "Ada', '{"id": "d"}', '{"id": 1, "text": "t"}'])
def test_nothing_half_written_is_left(tmp_path: Path, plain: Path, bad: str) -> None:
    plain.write_text(plain.read_text() + bad + "\n")
    with pytest.raises(InputError) as caught:
        annotate(plain, tmp_path / "out.jsonl", knowledge_base=tmp_path / "kb.sqlite")
    assert caught.value.line == 4
    assert set(written(tmp_path)) == {"plain.jsonl"}


@pytest.mark.parametrize("again", ['{"id": "a", "text": "t"}', '{"id": "plain-5", "text": "t"}\n{"text": "t"}'])
def test_documents_of_one_id_are_refused_and_nothing_is_left(tmp_path: Path, plain: Path, again: str) -> None:
    plain.write_text(plain.read_text() + again + "\n")
    with pytest.raises(InputError, match=r"plain\.jsonl:\d: field 'id': '.+' is the id of .+plain\.jsonl:\d already"):
        annotate(plain, tmp_path / "out.jsonl", knowledge_base=tmp_path / "kb.sqlite")
    assert set(written(tmp_path)) == {"plain.jsonl"}


def test_what_must_be_read_twice_is_no_pipe(tmp_path: Path, plain: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InputError, match="can be read only once"):
        find_shards(str(tmp_path / "pipe.jsonl"))
    with pytest.raises(InputError, match="can be read only once"):
        AlignAnnotator.of_file(tmp_path / "pipe.jsonl")


def test_the_knowledge_base_may_be_on_a_server(place: Place, tmp_path: Path, stated: Path) -> None:
    for added in (2, 0):
        tally = annotate(stated, tmp_path / "out.jsonl", AlignAnnotator(), knowledge_base=place.address)
        assert tally.knowledge_base is not None
        assert tally.knowledge_base.added == added
    with pytest.raises(LamLamError, match="cannot be opened"):
        annotate(stated, tmp_path / "second.jsonl", knowledge_base="postgresql://127.0.0.1:1/facts")
    assert not (tmp_path / "second.jsonl").exists()


def test_a_file_that_is_no_knowledge_base_is_told_before_anything_is_written(tmp_path: Path, stated: Path) -> None:
    kb = tmp_path / "kb.sqlite"
    kb.write_text("no knowledge base, but a text that is long enough to look like a file of some kind")
    with pytest.raises(InputError, match=r"kb\.sqlite"):
        annotate(stated, tmp_path / "out.jsonl", knowledge_base=kb)
    assert not (tmp_path / "out.jsonl").exists()


def test_shards_in_shards_out(web: Path, tmp_path: Path) -> None:
    tally = annotate(web, tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"a.jsonl", "b.jsonl.gz", "below/c.jsonl", "annotation.json"}
    assert (tally.counts.documents, tally.counts.calls) == (450, 3 * 300)
    for name in ("a.jsonl", "b.jsonl.gz", "below/c.jsonl"):
        before, after = (list(read_documents(folder / name)) for folder in (web, tmp_path / "out"))
        assert [(each.id, each.text) for each in before] == [(each.id, each.text) for each in after]
        assert after[2].calls[0].value == "Rome"


def test_the_output_says_how_it_was_made(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "annotation.json").read_text())
    assert (told["annotator"], told["settings"], told["complete"]) == ("marker", {"entity": "Ada"}, True)
    assert told["version"]
    assert told["documents"] == 450
    assert told["notes"] == {"without a mark": 0}
    assert set(told["shards"]) == {"a.jsonl", "b.jsonl.gz", "below/c.jsonl"}
    annotate(web / "a.jsonl", tmp_path / "one.jsonl")
    assert json.loads((tmp_path / "one.jsonl.annotation.json").read_text())["documents"] == 150


def test_a_pattern_names_shards(web: Path, tmp_path: Path) -> None:
    annotate(web / "*.jsonl*", tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"a.jsonl", "b.jsonl.gz", "annotation.json"}
    with pytest.raises(InputError, match="no file matches"):
        find_shards(str(web / "*.parquet"))


def test_what_is_finished_is_not_made_again(web: Path, tmp_path: Path) -> None:
    first, again, anew = Marker(), Marker(), Marker()
    annotate(web, tmp_path / "out", first)
    before = written(tmp_path / "out")
    tally = annotate(web, tmp_path / "out", again)
    assert (first.made, again.made, tally.counts.documents) == (450, 0, 450)
    annotate(web, tmp_path / "out", anew, anew=True)
    assert anew.made == 450
    assert written(tmp_path / "out") == before


def test_a_shard_that_joins_later_is_made_and_no_other(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "out")
    lines(web / "d.jsonl", [{"id": "d", "text": "Rome"}])
    later = Marker()
    assert annotate(web, tmp_path / "out", later).counts.documents == 451
    assert later.made == 1


class Stopped(Exception):
    """What a test's annotator is stopped by."""


class Stopping(Marker):
    """Stops after so many documents."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def annotate(self, document):  # type: ignore[no-untyped-def]
        if self.made >= self.most:
            raise Stopped
        return super().annotate(document)


@pytest.mark.parametrize("most", [0, 10, 100, 149, 200, 449])
def test_a_run_that_was_cut_off_goes_on_and_leaves_the_same_bytes(web: Path, tmp_path: Path, most: int) -> None:
    annotate(web, tmp_path / "whole")
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(most))
    rest = Marker()
    tally = annotate(web, tmp_path / "out", rest)
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert tally.counts.documents == 450
    assert rest.made <= 450 - most + 63  # a block is 64 documents


def test_other_settings_are_not_mixed_in(web: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(200))
    before = written(tmp_path / "out")
    with pytest.raises(InputError, match=r"begun by marker with other settings \(entity\).*--anew"):
        annotate(web, tmp_path / "out", Marker(entity="Bob"))
    assert written(tmp_path / "out") == before
    with pytest.raises(InputError, match="begun by marker"):
        annotate(web, tmp_path / "out", Marker(name="other"))


def test_changed_input_is_not_mixed_in(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "out")
    lines(web / "a.jsonl", [{"id": "a", "text": "Rome"}])
    with pytest.raises(InputError, match=r"a\.jsonl before it changed"):
        annotate(web, tmp_path / "out")
    (web / "a.jsonl").unlink()
    with pytest.raises(InputError, match=r"holds a\.jsonl, which the input lacks"):
        annotate(web, tmp_path / "out")


def test_blocks_of_input_that_has_changed_are_not_used(web: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(100))
    lines(web / "a.jsonl", [{"id": f"{n}", "text": "Rome"} for n in range(150)])
    annotate(web, tmp_path / "out")
    annotate(web, tmp_path / "whole")
    assert written(tmp_path / "out") == written(tmp_path / "whole")


def test_blocks_of_other_settings_are_not_used(web: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(100))
    annotate(web, tmp_path / "out", Marker(entity="Bob"), anew=True)
    assert {call.entity for document in read_documents(tmp_path / "out") for call in document.calls} == {"Bob"}
    assert len(written(tmp_path / "out")) == 4


def test_a_log_that_was_torn_off_is_read_as_far_as_it_goes(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "whole")
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(200))
    log = tmp_path / "out" / ".annotation.json.log"
    log.write_bytes(log.read_bytes() + b'\n{"b.jsonl.gz": {"inp')
    with pytest.raises(Stopped):
        annotate(web, tmp_path / "out", Stopping(200))
    rest = Marker()
    annotate(web, tmp_path / "out", rest)
    assert 0 < rest.made < 200
    assert written(tmp_path / "out") == written(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_bad_input_was_made_of_so_far_is_not_left(web: Path, tmp_path: Path, workers: int) -> None:
    rows = [{"id": f"{n}", "text": "Rome"} for n in range(400)]
    lines(tmp_path / "bad" / "below" / "bad.jsonl", [*rows, {"id": "bad"}])
    for _ in range(2):  # an empty folder that was left is no hindrance
        with pytest.raises(InputError, match="401"):
            annotate(tmp_path / "bad", tmp_path / "out", workers=workers)
        assert written(tmp_path / "out") == {}


def test_places_that_cannot_be_written_to_are_refused(web: Path, tmp_path: Path) -> None:
    for out, told in (
        (tmp_path / "one.jsonl", "name a folder"),
        (web, "holds other files"),
        (web / "below", "holds other files"),
        (tmp_path / "out.json", "is not a folder"),
    ):
        with pytest.raises(InputError, match=told):
            annotate(web, out)
    with pytest.raises(InputError, match="overwritten"):
        annotate(web / "a.jsonl", web / "a.jsonl")


def test_an_annotator_that_alters_a_text_is_stopped(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"id": "a", "text": " Rome "}, {"id": "b", "text": "Rome"}])
    with pytest.raises(LamLamError, match="marker altered the text of the document 'a'"):
        annotate(source, tmp_path / "out.jsonl", Marker(alters=True))
    with pytest.raises(LamLamError, match=r"altered the text|returned 1 of"):
        annotate(source, tmp_path / "out.jsonl", Marker(loses=True))


def test_several_processes_leave_the_same_bytes(web: Path, tmp_path: Path) -> None:
    one = annotate(web, tmp_path / "one")
    two = annotate(web, tmp_path / "two", workers=2)
    assert written(tmp_path / "one") == written(tmp_path / "two")
    assert one == two


def test_an_annotator_that_cannot_be_copied_runs_in_one_process(web: Path, tmp_path: Path) -> None:
    marker = Marker()
    marker.lock = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(LamLamError, match="--workers must be 1"):
        annotate(web, tmp_path / "out", marker, workers=2)


def test_facts_of_several_shards_are_told_apart(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "out", knowledge_base=tmp_path / "kb.sqlite")
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        sources = kb.lookup("Ada", "Place").facts[0].sources
    assert len(sources) == 900
    found = next(each for each in sources if each.document == "below/c.jsonl#below/c.jsonl-1")
    assert (found.start, found.end) == (13, 17)


def test_calls_with_an_empty_name_state_no_fact(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"id": "a", "text": "Rome"}])
    tally = annotate(source, tmp_path / "out.jsonl", Marker(entity=" "), knowledge_base=tmp_path / "kb.sqlite")
    assert tally.counts.calls == 1
    assert tally.knowledge_base is not None
    assert tally.knowledge_base.added == 0


KILLED = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from fakes_annotate import Marker
from lamlam.annotate.corpus import annotate_corpus
from lamlam.annotate.shards import find_shards
print("ready", flush=True)
annotate_corpus(find_shards({source!r}), Path({out!r}), Marker(seconds=0.001), knowledge_base={kb!r})
"""


def test_a_run_that_is_killed_again_and_again_leaves_the_same_bytes(web: Path, tmp_path: Path) -> None:
    annotate(web, tmp_path / "whole", knowledge_base=tmp_path / "whole.sqlite")
    rng = random.Random(0)
    script = KILLED.format(
        path=[str(Path(__file__).parent), *sys.path],
        source=str(web),
        out=str(tmp_path / "out"),
        kb=str(tmp_path / "kb.sqlite"),
    )
    killed = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.05, 0.25))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert killed >= 2
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb, KnowledgeBase.open(tmp_path / "whole.sqlite") as whole:
        assert kb.digest() == whole.digest()


@pytest.fixture
def app() -> typer.Typer:
    from lamlam.cli.annotate import register

    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def run(app: typer.Typer, *words: object) -> str:
    result = CliRunner().invoke(app, ["annotate", *map(str, words)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_command_prints_counts_and_reasons(app: typer.Typer, tmp_path: Path, plain: Path, facts: Path) -> None:
    out = tmp_path / "o.jsonl"
    told = run(app, plain, "--with", "align", "--facts", facts, "--out", out, "--kb", tmp_path / "kb.sqlite")
    for part in ("3 documents", "calls", "value not found", "before entity", "facts added to the knowledge base"):
        assert part in told
    assert len(list(read_documents(out))) == 3


def test_columns_of_other_names_are_read(app: typer.Typer, tmp_path: Path, facts: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"key": "k", "body": "Ada Roe was born in Rome.", "head": "Ada"}])
    columns = ("--text-column", "body", "--id-column", "key", "--title-column", "head")
    run(app, source, "--with", "align", "--facts", facts, "--out", tmp_path / "o.jsonl", *columns)
    (document,) = read_documents(tmp_path / "o.jsonl")
    assert (document.id, document.title, len(document.calls)) == ("k", "Ada", 1)


def refused(app: typer.Typer, *words: object) -> str:
    result = CliRunner().invoke(app, ["annotate", *map(str, words)])
    assert result.exit_code != 0
    return str(result.exception) if isinstance(result.exception, LamLamError) else result.output


def test_an_unknown_annotator_or_option_is_refused(app: typer.Typer, tmp_path: Path, plain: Path, facts: Path) -> None:
    out = ("--out", tmp_path / "o.jsonl")
    told = refused(app, plain, "--with", "oracle", *out)
    assert "oracle" in told
    assert "align" in told
    aligned = (plain, "--with", "align", "--facts", facts)
    assert "align takes no --model" in refused(app, *aligned, "--model", "m", *out)
    assert "align takes no --set" in refused(app, *aligned, "--set", "a=b", *out)
    assert "must be KEY=VALUE" in refused(app, *aligned, "--set", "ab", *out)
    assert "file of facts" in refused(app, plain, "--with", "align", *out)


def test_a_folder_of_texts_becomes_one_file(tmp_path: Path) -> None:
    for number in range(130):
        path = tmp_path / "notes" / f"{number % 3}" / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Note {number}\n\nIt is of Rome.\n")
    annotate(tmp_path / "notes", tmp_path / "out.jsonl", knowledge_base=tmp_path / "kb.sqlite")
    documents = list(read_documents(tmp_path / "out.jsonl"))
    assert len(documents) == 130
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        for source in kb.lookup("Ada", "Place").facts[0].sources:
            assert source.document is not None
            text = (tmp_path / "notes" / source.document).read_text()
            assert text[source.start : source.end] == "Rome"


def test_tables_become_tables(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_documents([AnnotatedDocument(f"{n}", f"{n} of Rome") for n in range(100)], tmp_path / "in" / "a.parquet")
    annotate(tmp_path / "in", tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"a.parquet", "annotation.json"}
    assert [len(document.calls) for document in read_documents(tmp_path / "out")] == [1] * 100


def test_a_dataset_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    lines(tmp_path / "small" / "train.jsonl", [{"id": f"{n}", "text": f"{n} of Rome"} for n in range(200)])
    source = f"hf:{tmp_path / 'small'}"
    with pytest.raises(Stopped):
        annotate(source, tmp_path / "out", Stopping(150))
    rest = Marker()
    annotate(source, tmp_path / "out", rest)
    assert rest.made == 200 - 128
    assert set(written(tmp_path / "out")) == {"small-train.jsonl", "annotation.json"}
