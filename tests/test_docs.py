"""The documentation is checked against the code: commands, options, files, snippets, links, modules."""

import ast
import importlib
import importlib.util
import json
import pkgutil
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

import lamlam

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(lamlam.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
FILES_PAGE = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

MODULES = sorted(module.name for module in pkgutil.walk_packages(lamlam.__path__, "lamlam."))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def shell_lines(page: str) -> Iterator[list[str]]:
    """The arguments of every `lamlam` command that stands in a shell block."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for command in _between(words, "|"):
                if command and command[0] == "lamlam":
                    yield list(_until_redirection(command[1:]))


def _between(words: list[str], mark: str) -> Iterator[list[str]]:
    piece: list[str] = []
    for word in words:
        if word == mark:
            yield piece
            piece = []
        else:
            piece.append(word)
    yield piece


def _until_redirection(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith((">", "<")):
            return
        yield word


@pytest.fixture(scope="module")
def tree() -> Any:
    """The command line as click sees it."""
    from lamlam.cli.app import app

    return typer.main.get_command(app)


def find(tree: Any, words: list[str]) -> tuple[Any, list[str], list[str]]:
    """The command that the first words name, those words, and the words behind them."""
    command, depth = tree, 0
    while hasattr(command, "commands") and depth < len(words) and words[depth] in command.commands:
        command, depth = command.commands[words[depth]], depth + 1
    return command, words[:depth], words[depth:]


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, command


def options(command: Any) -> set[str]:
    """The long options of a command and of those below it."""
    names = {name for _, leaf in leaves(command) for p in leaf.params for name in (*p.opts, *p.secondary_opts)}
    return {name for name in names if name.startswith("--")} | {"--help"}


def test_every_command_that_is_named_exists_and_has_help(tree: Any) -> None:
    from lamlam.cli.app import app

    spoken = {
        tuple(find(tree, words)[1])
        for page in PAGES
        for code in re.findall(r"`lamlam ([^`]+)`", page.read_text(encoding="utf-8"))
        if (words := code.split()) and words[0].isalpha() and words[0].islower()
    }
    shown = {tuple(find(tree, words)[1]) for page in PAGES for words in shell_lines(page.read_text(encoding="utf-8"))}
    assert () not in spoken, "an inline `lamlam ...` names no command"
    assert len(spoken | shown) >= len(tree.commands)
    for path in sorted(spoken | shown):
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, path
        assert "Usage" in result.output


def test_every_command_is_documented_with_an_example(tree: Any) -> None:
    shown = {tuple(find(tree, words)[1]) for words in shell_lines(COMMANDS_PAGE)}
    assert {path for path, _ in leaves(tree)} <= shown
    for name in tree.commands:
        assert f"`lamlam {name}`" in README, name


def test_every_example_of_a_command_can_be_parsed(tree: Any) -> None:
    for page in PAGES:
        for words in shell_lines(page.read_text(encoding="utf-8")):
            command, path, rest = find(tree, words)
            assert path, f"{page.name}: lamlam {shlex.join(words)}"
            command.make_context(shlex.join(path), list(rest))  # raises what a user would be told


def test_every_option_that_is_named_exists_and_every_option_is_named(tree: Any) -> None:
    sections = re.split(r"^## lamlam (\S+)$", COMMANDS_PAGE, flags=re.MULTILINE)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert set(named) == set(tree.commands)
    for name, section in named.items():
        found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section))
        assert found <= options(tree.commands[name]), name
        assert options(tree.commands[name]) - {"--help"} <= found, name


def test_every_relative_link_resolves() -> None:
    links = 0
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            links += 1
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.is_file(), f"{page.name}: {target}"
            if anchor:
                assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}"
    assert links > 20


def anchors(page: str) -> set[str]:
    """The anchors that headings of a page get: lower case, without punctuation, spaces as hyphens."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_opens_with_a_sentence_a_picture_and_two_commands() -> None:
    opening = "\n".join(README.splitlines()[:40])
    picture = re.search(r"!\[[^\]]+\]\(([^)]+\.svg)\)", opening)
    assert picture
    assert (ROOT / picture[1]).read_text(encoding="utf-8").startswith("<svg")
    assert "make demo" in opening
    assert "make test" in opening
    assert "<!-- figures:begin -->" in README
    assert "<!-- figures:end -->" in README


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"`make ([a-z]+)`", text) + re.findall(r"^make ([a-z]+)", text, flags=re.MULTILINE)
        assert set(named) <= targets, page.name


@pytest.mark.slow
def test_the_snippets_of_the_readme_run(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lamlam.kb import KnowledgeBase

    with KnowledgeBase.open(trained_run / "kb.sqlite") as kb:
        before = kb.digest()
    monkeypatch.chdir(tmp_path)
    snippets = blocks(README, "python")
    assert snippets
    for snippet in snippets:
        assert "runs/demo/lmlm" in snippet
        names: dict[str, Any] = {}
        exec(compile(snippet.replace("runs/demo/lmlm", str(trained_run)), "README.md", "exec"), names)
        assert names["generation"].lookups, "the model made no call"
        assert names["certificate"].clean
    said = [line for line in capsys.readouterr().out.splitlines() if " was born in" in line]
    assert len(said) == 3
    assert "Warsaw" not in said[0] + said[2], "the value stands before the edit, or after it was forgotten"
    with KnowledgeBase.open("facts.sqlite") as kb:
        assert kb.lookup(names["fact"].entity, names["fact"].relation).status == "forgotten"
    with KnowledgeBase.open(trained_run / "kb.sqlite") as kb:
        assert kb.digest() == before, "the snippet must work on a copy"


def test_the_readmes_knowledge_base_does_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamlam.cli.app import app

    section = README[README.index("## The knowledge base without a model") : README.index("## Commands")]
    (facts,), (commands,) = blocks(section, "json"), blocks(section, "sh")
    (tmp_path / "facts.jsonl").write_text(facts, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in commands.splitlines():
        arguments = shlex.split(line, comments=True)[1:]
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, (line, ran.output)
        for said in re.findall(r"\w+", line.partition("#")[2]):
            assert said in ran.output, (line, said, ran.output)


def test_the_examples_of_files_are_read_by_their_readers(tmp_path: Path) -> None:
    from lamlam.corpus.files import read_documents, read_facts, read_probes
    from lamlam.markup import dblookup, tokens
    from lamlam.pretrain.recipe import load_recipe

    examples = tmp_path / "examples.jsonl"
    readers = {"value": read_facts, "calls": read_documents, "answers": read_probes}
    seen = set()
    for block in blocks(FILES_PAGE, "json"):
        examples.write_text(block, encoding="utf-8")
        key = next((key for key in readers if key in json.loads(block)), None)
        if key is not None:  # the other objects hold many facts, and are imported by the next test
            seen.add(key)
            assert len(list(readers[key](examples))) == 1
    assert seen == set(readers)
    for line in (line for block in blocks(FILES_PAGE, "text") for line in block.splitlines()):
        assert dblookup.render(dblookup.parse(line)) == line
    both = dict(re.findall(r"^- `(dblookup|tokens)`: `(.+)`$", FILES_PAGE, flags=re.MULTILINE))
    assert dblookup.parse(both["dblookup"]) == tokens.parse(both["tokens"])
    assert dblookup.parse(both["dblookup"]).text == "Ada was born in Rome."
    for block in blocks(FILES_PAGE, "yaml"):
        if "corpora" in block:
            examples.write_text(block, encoding="utf-8")
            load_recipe(examples)


def test_the_examples_of_facts_become_the_facts_that_the_page_tells(tmp_path: Path) -> None:
    from lamlam.kb import KnowledgeBase
    from lamlam.kb.files import import_file
    from lamlam.kb.formats import Mapping

    [mapping] = [block for block in blocks(FILES_PAGE, "yaml") if "corpora" not in block]
    [paper] = [block for block in blocks(FILES_PAGE, "json") if "triplets" in block]
    [nested] = [block for block in blocks(FILES_PAGE, "json") if "Geography" in block]
    held = {}
    for name, block in (
        ("facts.csv", "".join(blocks(FILES_PAGE, "csv"))),
        ("facts.json", paper),
        ("facts.nt", "".join(blocks(FILES_PAGE, "nt"))),
        ("austria.json", nested),
    ):
        (tmp_path / name).write_text(block, encoding="utf-8")
        rules = Mapping.model_validate(yaml.safe_load(mapping)) if block == nested else None
        with KnowledgeBase.open(":memory:") as kb:
            import_file(kb, tmp_path / name, mapping=rules)
            held[name] = [(fact.entity, fact.relation, fact.value) for fact in kb.facts()]
            names, sources = [name for _, name, _ in kb.aliases()], [fact.sources for fact in kb.facts()]
    assert held["facts.csv"] == held["facts.json"] == [("Marie Curie", "Birthplace", "Warsaw")]
    assert held["facts.nt"] == [
        ("Marie Curie", "date of birth", "7 November 1867"),
        ("Ann Ames", "office", "President of Freedonia (from 20 January 2009)"),
    ]
    assert {entity for entity, _, _ in held["austria.json"]} == {"Austria"}
    told = [f"*{relation}: {value}*" for _, relation, value in held["austria.json"]]
    assert len(told) == 4
    assert all(each in " ".join(FILES_PAGE.split()) for each in told)
    assert names == ["Republic of Austria"]
    assert f"`{sources[0][0]}`" in FILES_PAGE


def test_every_field_of_a_mapping_is_described_with_its_default() -> None:
    from lamlam.kb.formats import Mapping

    section = FILES_PAGE[FILES_PAGE.index("### Nested JSON") : FILES_PAGE.index("## Documents")]
    described = dict(re.findall(r"^\| `([a-z]+)` \| ([^|]+) \|", section, flags=re.MULTILINE))
    assert described.keys() == Mapping.model_fields.keys()
    for name, field in Mapping.model_fields.items():
        default = described[name].strip().strip("`")
        if field.is_required():
            assert default == "(must be given)", name
        elif isinstance(field.default, tuple | dict):
            assert default == (", ".join(field.default) or "none"), name
        else:
            assert default == ("none" if field.default is None else str(field.default).lower()), name


def test_every_field_of_a_recipe_is_described_with_its_default() -> None:
    from lamlam.pretrain import recipe

    rows = re.findall(r"^\| `([a-z_.0-9]+)` \| ([^|]+) \|", FILES_PAGE, flags=re.MULTILINE)
    described = {name: default.strip() for name, default in rows}
    fields = dict(_fields(recipe.Recipe)) | {f"substitution.{n}": d for n, d in _fields(recipe.SubstitutionSettings)}
    fields |= {"weight": 1.0}
    assert fields.keys() <= described.keys()
    for name, default in fields.items():
        if default not in (None, {}, ...):
            assert described[name].strip("`") == str(yaml.safe_load(json.dumps(default))).lower(), name
    for source in get_args(get_args(recipe.CorpusSource)[0]):
        [kind] = get_args(source.model_fields["kind"].annotation)
        row = next(line for line in FILES_PAGE.splitlines() if line.startswith(f"| `{kind}` |"))
        common = {name: field.default for name, field in recipe.TrainingSource.model_fields.items()} | {"kind": kind}
        for name, field in source.model_fields.items():
            if name not in common or (field.default != common[name] and name != "kind"):
                shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
                assert (f"`{name}`" if field.is_required() else f"`{name}` (`{shown}`") in row


def _fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _fields(type(field.default), f"{above}{name}.")
        else:
            required = field.is_required()
            yield above + name, ... if required else field.get_default(call_default_factory=True)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is_and_exports(name: str) -> None:
    module = importlib.import_module(name)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    if source.strip():
        assert module.__doc__, f"{name} has no docstring"
        assert module.__all__, f"{name} has no __all__"
        assert all(hasattr(module, public) for public in module.__all__)


def test_imports_point_down_the_floors() -> None:
    house = blocks(ARCHITECTURE, "")[0]
    floors = [re.split(r"\s{2,}", line)[:-1] for line in house.splitlines()]
    level = {name: -height for height, names in enumerate(floors) for name in names}
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert set(level) == packages
    roofed = {*level, "__main__.py"}
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0]
        for name in _imported(path):
            if name in level:
                lower = level["cli" if here == "__main__.py" else here] if here in roofed else -len(floors)
                assert level[name] <= lower, f"{path.relative_to(PACKAGE)} imports {name}"


def _imported(path: Path) -> Iterator[str]:
    """The packages of lamlam that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lamlam."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lamlam."))


def test_no_file_names_a_package_registry_or_a_path_of_this_machine() -> None:
    registries = ("py" + "pi.org", "files.python" + "hosted", "--index" + "-url", "extra-index" + "-url")
    places = {ROOT, ROOT.parent, Path.home()} - {Path("/"), Path(tempfile.gettempdir()).resolve()}
    unwanted = (*registries, *(f"{place}/" for place in places))
    for path in project_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        found = [each for each in unwanted if each in text]
        assert not found, f"{path.relative_to(ROOT)} has {found}"


def project_files() -> Iterator[Path]:
    folders = ("src", "tests", "docs", "recipes", "mappings", "benchmarks", "experiments", ".ci")
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_the_figures_of_the_readme_are_those_of_the_result_files() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "experiments" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module.with_figures(text) == text
    assert (ROOT / "docs/results/speed.md").read_text(encoding="utf-8") == module.speed()
