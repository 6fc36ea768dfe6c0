"""The tagger, from a tiny encoder with random weights: it learns a planted pattern, and is kept and opened again."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from lamlam.annotate.score import Split, gold_split
from lamlam.annotate.tagger.building import RECORD, build_tagger
from lamlam.annotate.tagger.folder import OpenSettings, load_parts, save_parts
from lamlam.annotate.tagger.parts import TaggerParts
from lamlam.annotate.tagger.runtime import can_export
from lamlam.annotate.tagger.settings import TaggerSettings
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

pytestmark = pytest.mark.slow

_PEOPLE = ("Ada Byron", "Carl Gauss", "Emmy Noether", "Kurt Godel", "Sophie Germain", "Alan Turing", "Grace Hopper")
_CITIES = ("Rome", "Paris", "Berlin", "Oslo", "Madrid", "Vienna", "Lisbon", "Prague", "Dublin", "Athens")
_JOBS = ("painter", "miner", "singer", "baker", "lawyer", "sailor")
_SETTINGS = TaggerSettings(
    epochs=15, patience=15, batch=16, learning_rate=3e-3, head_learning_rate=3e-3, average=0.8, window=64
)


def _document(number: int) -> AnnotatedDocument:
    """`X was born in CITY. It rained. He worked as a JOB. It rained.`, about one to three people, in rain and sun.

    One in three has a title, and X is "He" there.
    """
    text, calls = "", []
    title = _PEOPLE[number % len(_PEOPLE)] if number % 3 == 0 else ""
    for turn in range(1 + number % 4 % 3):
        person = title or _PEOPLE[(number * 3 + turn * 2) % len(_PEOPLE)]
        city, job = _CITIES[(number * 7 + turn) % len(_CITIES)], _JOBS[(number + turn) % len(_JOBS)]
        subject = "He" if title else person
        for lead, value, relation in ((f"{subject} was born in ", city, "Birthplace"), ("He worked as a ", job, "Job")):
            text += lead
            calls.append(Call(person, relation, value, len(text)))
            text += f"{value}. " + "It rained all day. " * (number % 5 % 3) + "The sun came. " * (turn % 2)
    return AnnotatedDocument(f"d{number}", text.strip() + f" {number}.", tuple(calls), title)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with an encoder of two small layers that knows the words of the documents."""
    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({word for number in range(99) for word in _document(number).text.replace(".", " .").lower().split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: index for index, word in enumerate([*special, *words, "job", "birthplace"])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128, hidden_dropout_prob=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(config)
        torch.nn.init.zeros_(model.embeddings.position_embeddings.weight)  # so few documents would teach it places
        model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gold") / "gold.jsonl"
    write_documents([_document(number) for number in range(160)], path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, encoder: str, gold: Path) -> Path:
    """The folder of a tagger that has learnt the documents' pattern."""
    folder = tmp_path_factory.mktemp("tagger")
    build_tagger([gold], folder, _SETTINGS, encoder=encoder)
    return folder


def _unseen() -> list[AnnotatedDocument]:
    return [document for number in range(160) if gold_split(document := _document(number)) is Split.TEST]


def test_it_learns_a_pattern_of_values_entities_and_relations(folder: Path) -> None:
    gold = _unseen()
    assert len(gold) > 5
    found = list(Tagger.open(folder).annotate_many(replace(document, calls=()) for document in gold))
    right = sum(len(set(a.calls) & set(b.calls)) for a, b in zip(gold, found, strict=True))
    assert right >= 0.9 * sum(len(document.calls) for document in gold)
    assert sum(len(document.calls) for document in found) <= 1.1 * sum(len(document.calls) for document in gold)


def test_it_leaves_the_text_alone_and_knows_the_entity_before_the_value(folder: Path) -> None:
    odd = AnnotatedDocument(
        "odd", "  Oslo!\n\n\tRome. Ada Byron\u00a0was born in Rome, [dblookup('x') <|db_end|> é\u0301 Berlin ", ()
    )
    nothing = AnnotatedDocument("nothing", " \n ")
    documents = [odd, nothing, *_unseen()]
    found = list(Tagger.open(folder).annotate_many(documents))
    assert [(d.id, d.text) for d in found] == [(d.id, d.text) for d in documents]
    assert found[1].calls == ()
    for document in found:
        for call in document.calls:
            assert document.text.startswith(call.value, call.at)
            assert call.entity == document.title or call.entity in document.text[: call.at]


def _knows_cities(parts: TaggerParts, **changes: int) -> Tagger:
    """A tagger to which every city is a value, whatever stands beside it."""
    cities = torch.tensor(parts.tokenizer.convert_tokens_to_ids([city.lower() for city in _CITIES]))

    def encode(ids: Tensor, mask: Tensor, shapes: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.zeros(*ids.shape, 3)
        scores[..., 0], scores[..., 1] = 5.0, 10.0 * torch.isin(ids, cities)
        return parts.model.encoder.get_input_embeddings()(ids), scores

    return Tagger(replace(parts, settings=parts.settings.model_copy(update=changes)), encode=encode)


def test_a_value_whose_entity_was_not_named_gets_no_call(folder: Path) -> None:
    tagger, text = _knows_cities(load_parts(folder)), "he was born in Rome, and went from Rome to Paris."
    [call] = tagger.annotate(AnnotatedDocument("d", text)).calls
    assert (call.value, call.entity) == ("Paris", "Rome")
    calls = tagger.annotate(AnnotatedDocument("d", text, title="Ada Byron")).calls
    assert [(call.at, call.value) for call in calls] == [(15, "Rome"), (35, "Rome"), (43, "Paris")]


def test_a_title_names_an_entity_before_the_text_begins(folder: Path) -> None:
    document = AnnotatedDocument("d", "he was born in Rome. It rained all day.", title="Ada Byron")
    [call] = Tagger.open(folder).annotate(document).calls
    assert (call.entity, call.relation, call.value) == ("Ada Byron", "Birthplace", "Rome")


def test_documents_together_get_the_calls_that_each_gets_alone(folder: Path) -> None:
    tagger, documents = Tagger.open(folder, OpenSettings(precision="torch")), _unseen()
    assert list(tagger.annotate_many(documents)) == [tagger.annotate(document) for document in documents]


def test_what_is_saved_and_opened_annotates_alike(folder: Path, tmp_path: Path) -> None:
    parts, documents = load_parts(folder), _unseen()
    save_parts(parts, tmp_path)
    first, second = (
        Tagger.open(folder, OpenSettings(precision="torch")),
        Tagger.open(tmp_path, OpenSettings(precision="torch")),
    )
    assert first.settings == second.settings
    assert list(first.annotate_many(documents)) == list(second.annotate_many(documents))


@pytest.mark.skipif(not can_export(), reason="onnxruntime is not installed")
def test_onnx_computes_what_torch_computes(folder: Path) -> None:
    documents = _unseen()
    torch_, onnx = (Tagger.open(folder, OpenSettings(precision=precision)) for precision in ("torch", "fp32"))
    for one, other in zip(torch_.read(documents), onnx.read(documents), strict=True):
        for row, window in enumerate(one.windows):
            size = len(window.ids)
            assert torch.allclose(one.hidden[row, :size], other.hidden[row, :size], atol=1e-4)
            assert torch.allclose(*(torch.from_numpy(each.scores[row, :size]) for each in (one, other)), atol=1e-4)
    assert list(torch_.annotate_many(documents)) == list(onnx.annotate_many(documents))
    assert "int8" in str(Tagger.open(folder, OpenSettings(precision="int8")).settings)


def test_a_long_document_gets_the_same_calls_wherever_its_windows_are_cut(folder: Path) -> None:
    """What is a value must not depend on the window, as it does not here; its entity may, where names are far away."""
    parts, text = load_parts(folder), " ".join(document.text for document in _unseen())
    document = AnnotatedDocument("long", text, title="Ada Byron")
    wanted = sorted(match.span() for city in _CITIES for match in re.finditer(city, text))
    assert len(wanted) > 20
    for window, stride in ((64, 16), (50, 20), (40, 35), (33, 1), (99, 50)):
        calls = _knows_cities(parts, window=window, stride=stride).annotate(document).calls
        assert [(call.at, call.at + len(call.value)) for call in calls] == wanted, window


def test_training_that_was_cut_off_ends_as_if_it_had_not_been(
    encoder: str, gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.annotate.tagger.folder.can_export", lambda: False)
    settings = _SETTINGS.model_copy(update={"epochs": 3})

    def interrupt(done: int, total: int, score: float | None) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    whole = build_tagger([gold], tmp_path / "whole", settings, encoder=encoder)
    with pytest.raises(KeyboardInterrupt):
        build_tagger([gold], tmp_path / "cut", settings, encoder=encoder, told=interrupt)
    assert not (tmp_path / "cut" / "tagger.json").exists()
    steps: list[int] = []
    cut = build_tagger([gold], tmp_path / "cut", settings, encoder=encoder, told=lambda done, *_: steps.append(done))
    assert steps[0] > 1, "it began anew"
    assert cut["passes"] == whole["passes"]
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "encoder", "model.safetensors", "relations.json", "tagger.json", "tokenizer.json", "tokenizer_config.json",
        "training.json",
    ]  # fmt: skip


def test_test_documents_are_never_learnt_from(gold: Path) -> None:
    from lamlam.annotate.tagger.gold import read_gold

    [collection] = read_gold([gold])
    test = {document.id for document in _unseen()}
    assert test
    assert not test & {document.id for document in [*collection.train, *collection.calibration]}
    assert len(collection.train) + len(collection.calibration) + len(test) == 160


def test_what_cannot_be_used_is_refused(folder: Path, tmp_path: Path, encoder: str, gold: Path) -> None:
    with pytest.raises(InputError, match="field 'epoch': unknown setting"):
        TaggerSettings.read(["epoch=3"])
    with pytest.raises(InputError, match="key=value"):
        TaggerSettings.read(["epochs"])
    with pytest.raises(InputError, match=r"tagger\.json"):
        Tagger.open(tmp_path)
    with pytest.raises(InputError, match="knows no manner 'x', only gold"):
        Tagger.open(folder, OpenSettings(manner="x"))
    with pytest.raises(InputError, match="128 tokens at most"):
        build_tagger([gold], tmp_path, TaggerSettings(window=300), encoder=encoder)
    with pytest.raises(InputError, match="no encoder"):
        build_tagger([gold], tmp_path, _SETTINGS, encoder=str(tmp_path))
    bare = tmp_path / "bare.jsonl"
    write_documents([_document(1).__class__("a", "No calls.")], bare)
    with pytest.raises(InputError, match="no annotated document"):
        build_tagger([bare], tmp_path, _SETTINGS, encoder=encoder)


def test_the_commands_train_a_tagger_and_annotate_with_it(
    encoder: str, gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamlam.cli.app import app

    monkeypatch.setattr("lamlam.annotate.tagger.folder.can_export", lambda: False)
    out, annotated = tmp_path / "tagger", tmp_path / "annotated.jsonl"
    changes = [f"--set={name}={value}" for name, value in (("window", 64), ("batch", 8), ("head_learning_rate", 0.003))]
    train = ["annotate", "train", str(gold), "--out", str(out), "--encoder", encoder, "--epochs", "2", "--seed", "3"]
    ran = CliRunner().invoke(app, [*train, *changes])
    assert ran.exit_code == 0, ran.output
    assert "values, overlapping" in ran.output
    record = json.loads((out / RECORD).read_text())
    assert record["settings"]["seed"] == 3
    assert len(record["passes"]) == 2
    assert record["gold"][0]["sha256"] == hashlib.sha256(gold.read_bytes()).hexdigest()
    assert record["calibration"]["gold"]["untouched"]["value"] == 1.0
    annotate = ["annotate", str(gold), "--with", "tagger", "--model", str(out), "--out", str(annotated)]
    ran = CliRunner().invoke(app, [*annotate, "--set", "precision=torch"])
    assert ran.exit_code == 0, ran.output
    assert [d.text for d in read_documents(annotated)] == [d.text for d in read_documents(gold)]
    ran = CliRunner().invoke(app, [*annotate, "--anew", "--set", "precise=torch"])
    assert isinstance(ran.exception, InputError)
    assert "precise" in str(ran.exception)
