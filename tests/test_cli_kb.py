"""`lamlam kb`: every verb on a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from lamlam.cli import kb as verb
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase, Source
from places import Place


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([("Marie Curie", "Birthplace", "Warsaw"), ("Marie Curie", "Field", "physics")], source=Source("d", 0, 4))
    return path


def _call(*arguments: object, stdin: str | None = None) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    verb.register(app)

    @app.command()
    def other() -> None:
        """A second verb, so that `kb` has to be named."""

    return CliRunner().invoke(app, ["kb", *map(str, arguments)], input=stdin)


def _done(*arguments: object, stdin: str | None = None) -> str:
    result = _call(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_the_command_lists_its_verbs() -> None:
    told = _done("--help")
    for name in (
        "import",
        "export",
        "copy",
        "stats",
        "lookup",
        "add",
        "edit",
        "retract",
        "forget",
        "alias",
        "log",
        "verify",
    ):
        assert name in told


def test_a_fact_is_found_with_its_source(file: Path) -> None:
    told = _done("lookup", file, "marie curie", "Place of Birth")
    assert told.startswith("fuzzy")
    assert "Warsaw" in told
    assert "d:0-4" in told
    assert _done("lookup", file, "Nobody", "Field") == "unknown_entity"


def test_json_lines_go_in_and_out(file: Path, tmp_path: Path) -> None:
    queries = [
        {"entity": "Marie Curie", "relation": "Field", "id": 7},
        {"entity": "Nobody", "relation": "Field"},
    ]
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    result = _call("lookup", file, "--jsonl", "-", stdin=lines)
    found, missed = map(json.loads, result.stdout.splitlines())
    assert {key: found[key] for key in ("entity", "relation", "id", "status", "values", "score")} == {
        **queries[0], "status": "exact", "values": ["physics"], "score": 1.0,
    }  # fmt: skip
    assert found["facts"][0]["id"] == 2
    assert found["facts"][0]["sources"] == [{"document": "d", "start": 0, "end": 4}]
    assert missed == {**queries[1], "status": "unknown_entity", "values": [], "facts": [], "score": 0.0}
    (tmp_path / "queries.jsonl").write_text(lines)
    assert _call("lookup", file, "--jsonl", tmp_path / "queries.jsonl").stdout == result.stdout


def test_facts_are_added_edited_and_ended(file: Path) -> None:
    assert _done("add", file, "Ada", "Field", "logic", "--source", "doc-9") == "Fact added."
    assert _done("add", file, "Ada", "Field", "logic") == "The fact is already known."
    told = _done("edit", file, 3, "poetry", "--actor", "me", "--reason", "a poet")
    assert "logic" in told
    assert "poetry" in told
    assert _done("retract", file, 4) == "Fact 4 ended with revision 5."
    assert _done("alias", file, "Countess", "--entity", "Ada") == "Alias added."
    assert "logic" in _done("lookup", file, "Ada", "Field", "--at", 2)
    told = _done("log", file)
    assert "edit" in told
    assert "a poet" in told
    assert _done("verify", file).endswith("is intact.")
    told = _done("stats", file)
    assert "past facts │ 2" in told
    with KnowledgeBase.open(file) as kb:
        assert kb.digest() in _done("stats", file, "--digest")


def test_revisions_are_undone_and_entities_merged_and_split(file: Path) -> None:
    _done("retract", file, 2)
    assert _done("undo", file, 2, "--reason", "a slip").startswith("Revision 2 undone. Facts and names changed: 1")
    assert "physics" in _done("lookup", file, "Marie Curie", "Field")
    _done("add", file, "Maria Sklodowska", "Prize", "Nobel")
    assert _done("merge", file, "Maria Sklodowska", "--into", "Marie Curie") == "Facts moved to Marie Curie: 1."
    assert _done("lookup", file, "Maria Sklodowska", "Field").startswith("alias")
    assert _done("split", file, "Maria Sklodowska") == "Facts moved back to Maria Sklodowska: 1."
    assert _done("alias", file, "Nobel Prize", "--value", "Nobel") == "Alias added."
    assert _done("inverse", file, "Field", "Prize") == "The relations are now inverse."
    assert _done("verify", file).endswith("is intact.")


def test_what_was_forgotten_comes_back_only_with_allow(file: Path) -> None:
    told = _done("forget", file, "--id", 2, "--yes")
    assert "Erased in revision 2" in told
    assert _done("add", file, "Marie Curie", "Field", "physics", "--allow") == "Fact added."


def test_facts_go_out_and_come_in_elsewhere(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "facts.jsonl"
    assert _done("export", file, out).startswith("2 facts")
    assert "added │ 2" in _done("import", tmp_path / "new.sqlite", out)
    with KnowledgeBase.open(file) as kb, KnowledgeBase.open(tmp_path / "new.sqlite") as new:
        assert new.digest() == kb.digest()


def test_an_import_says_how_many_rows_were_refused_and_succeeds(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "facts.csv"
    _done("export", file, out)
    _done("forget", file, "--entity", "Marie Curie", "--relation", "Field", "--yes")
    told = _done("import", file, out)
    assert "known already │ 1" in told
    assert "refused because they were forgotten │ 1" in told
    with pytest.raises(LamLamError, match="forgotten"):
        raise _call("add", file, "Marie Curie", "Field", "physics").exception or AssertionError("it was added")


def test_bad_rows_are_passed_over_and_told_where_asked_to(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "facts"
    folder.mkdir()
    (folder / "a.csv").write_text("entity,relation,value\na,r,v\nb,r\n")
    (folder / "b.nt").write_text('<http://x.org/t/c> <http://x.org/t/r> "x"@de .\n')
    assert isinstance(_call("import", file, folder).exception, LamLamError)
    told = _done("import", file, folder, "--on-error", "skip")
    assert "added │ 1" in told
    assert "bad rows, skipped │ 1" in told
    assert "a.csv:3: has 2 fields, not 3" in told
    assert "left out: texts in other languages │ 1" in told
    assert "added │ 1" in _done("import", file, folder / "b.nt", "--language", "de")
    assert "stop or skip" in str(_call("import", file, folder, "--on-error", "shrug").exception)


def test_namesakes_that_were_merged_are_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("entity,relation,value\nJohn Smith,Born,1950\nJohn Smith,Born,1970\n")
    told = _done("import", file, tmp_path / "people.csv")
    assert "Possibly namesakes" in told
    assert "John Smith" in told


def test_nested_json_comes_in_through_a_mapping(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "Austria", "Area": {"total": "83,871 sq km"}}')
    (tmp_path / "map.yaml").write_text("entity: [name]\nskip: [name]\n")
    assert "added │ 1" in _done("import", file, tmp_path / "a.json", "--map", tmp_path / "map.yaml")
    assert "83,871 sq km" in _done("lookup", file, "Austria", "Area total")
    assert "no such file" in str(_call("import", file, tmp_path / "a.json", "--map", tmp_path / "no.yaml").exception)


def test_forgetting_shows_asks_and_certifies(file: Path, tmp_path: Path) -> None:
    described = ("--entity", "Marie Curie", "--relation", "Birthplace")
    out = tmp_path / "certificate.json"
    assert "Warsaw" in _done("forget", file, *described, "--dry-run", "--certificate", out)
    assert json.loads(out.read_text())["dry_run"] is True
    declined = _call("forget", file, *described, stdin="n\n")
    assert declined.exit_code == 1
    assert _call("forget", file, *described, stdin="").exit_code == 1, "no answer is no"
    assert _done("lookup", file, "Marie Curie", "Birthplace").startswith("exact")
    told = _call("forget", file, *described, "--certificate", out, stdin="y\n")
    assert told.exit_code == 0
    assert "nothing is left over" in told.stdout
    assert _done("lookup", file, "Marie Curie", "Birthplace") == "forgotten"
    certificate = json.loads(out.read_text())
    assert (certificate["facts"], certificate["clean"], certificate["scan"]["left_over"]) == ([1], True, 0)
    assert "Warsaw" not in out.read_text()
    assert b"Warsaw" not in file.read_bytes()
    assert "Erased" in _done("forget", file, "--source", "d", "--yes")


def test_forgetting_a_person_lists_what_tells_of_them_and_includes_it(file: Path) -> None:
    _done("add", file, "Sorbonne", "Professor", "marie  curie")
    listed = _done("forget", file, "--entity", "Marie Curie", "--dry-run")
    assert "Not erased, though it reveals what is" in listed
    assert "names it as its value" in " ".join(listed.replace("│", " ").split())
    told = _done("forget", file, "--entity", "Marie Curie", "--include", "values", "--yes")
    assert "Related facts that stay" not in told
    assert _done("lookup", file, "Sorbonne", "Professor") == "forgotten"
    refused = _call("forget", file, "--entity", "Ada", "--include", "all", "--yes")
    assert "unknown kind 'all'" in str(refused.exception)


def test_names_are_shown_as_they_are(file: Path) -> None:
    _done("add", file, "[bold]x[/]", "[red]r", "\x1b[31mv")
    told = _done("lookup", file, "[bold]x[/]", "[red]r")
    assert "[bold]x[/]" in told
    assert "[red]r" in told
    assert "\\x1b[31mv" in told
    assert "\x1b" not in told


def test_an_unsound_file_is_told_with_exit_code_1(file: Path) -> None:
    with KnowledgeBase.open(file) as kb:
        kb._database.run("INSERT INTO document (name) VALUES ('unused')")
    result = _call("verify", file)
    assert (result.exit_code, result.stdout) == (1, "1 documents state nothing\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lookup", "nowhere.sqlite", "a", "b"], "nowhere.sqlite: no such knowledge base"),
        (["lookup", "KB", "a"], "give an entity and a relation"),
        (["lookup", "KB", "a", "b", "--jsonl", "-"], "give an entity and a relation"),
        (["lookup", "KB", "--jsonl", "-"], "standard input:1: field 'relation'"),
        (["edit", "KB", "99", "x"], "no fact 99"),
        (["edit", "KB", "1", " "], "field 'value': is blank"),
        (["retract", "KB", "99"], "no fact 99"),
        (["alias", "KB", "x"], "an entity, or a relation, or a value"),
        (["forget", "KB", "--entity", "Nobody", "--yes"], "no entity 'Nobody'"),
        (["forget", "KB"], "say what to forget"),
        (["import", "KB", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["export", "KB", "out.txt"], "must end in .jsonl"),
        (["stats", "postgresql://ada:s3cret@127.0.0.1:1/facts"], "postgresql://ada@127.0.0.1:1/facts cannot be opened"),
        (["copy", "nowhere.sqlite", "there.sqlite"], "nowhere.sqlite: no such knowledge base"),
        (["copy", "KB", "KB"], "to copy into is not empty"),
    ],
)
def test_bad_input_is_told_in_one_sentence(file: Path, arguments: list[str], reason: str) -> None:
    result = _call(*[str(file) if each == "KB" else each for each in arguments], stdin='{"entity": "a"}\n')
    assert isinstance(result.exception, LamLamError)
    assert reason in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_failed_import_leaves_no_file_behind(tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text("entity,relation,value\na,r,v\nb,r\n")
    result = _call("import", tmp_path / "kb.sqlite", facts)
    assert "facts.csv:3: has 2 fields, not 3" in str(result.exception)
    assert "field 'entity'" in str(_call("add", tmp_path / "kb.sqlite", " ", "r", "v").exception)
    assert [path.name for path in tmp_path.iterdir()] == ["facts.csv"]


def test_every_verb_takes_the_address_of_a_server(
    file: Path, make_place: Callable[[str], Place], tmp_path: Path
) -> None:
    url, out = make_place("postgres").address, tmp_path / "facts.jsonl"
    assert "rows were copied" in _done("copy", file, url)
    assert "Warsaw" in _done("lookup", url, "marie curie", "Place of Birth")
    assert _done("add", url, "Ada", "Field", "logic") == "Fact added."
    _done("edit", url, 3, "poetry")
    _done("retract", url, 4)
    _done("alias", url, "Countess", "--entity", "Ada")
    _done("export", url, out)
    assert "known already │ 2" in _done("import", url, out)
    told = _done("forget", url, "--entity", "Ada", "--yes")
    assert "nothing is left over; not searched: write-ahead log." in told
    assert "add" in _done("log", url)
    assert "facts │ 2" in _done("stats", url)
    assert _done("verify", url).endswith("is intact.")
    _done("copy", url, tmp_path / "back.sqlite")
    assert _done("lookup", tmp_path / "back.sqlite", "Ada", "Field") == "forgotten"


def test_a_copy_that_fails_leaves_no_file_behind(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamlam.kb.sqlite.SQLiteDatabase.fill", lambda *_: 1 / 0)
    assert isinstance(_call("copy", file, tmp_path / "there.sqlite").exception, ZeroDivisionError)
    assert [path.name for path in tmp_path.iterdir()] == ["kb.sqlite"]
