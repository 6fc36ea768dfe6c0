"""Annotation by a fine-tuned causal model, from training to use, on tiny models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.causal import CausalAnnotator, CausalModel, CausalTraining, Template
from lamlam.annotate.causal.model import PromptCoder
from lamlam.annotate.causal.training import collated, examples_of, pieces, train_causal
from lamlam.annotate.score import Split, gold_split
from lamlam.annotate.vetting import Drop
from lamlam.cli.app import app
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument, Call, dblookup
from lamlam.vocab import IGNORE_INDEX, Vocabulary

peft = pytest.importorskip("peft")

NAMES = ("Ada Roe", "Bea Poe", "Cid Noe", "Dan Loe", "Eva Moe", "Fay Joe", "Gus Doe", "Ida Woe", "Jim Zoe", "Kay Soe")
PLACES = ("Tarsk", "Oss", "Dunmarch", "Sella", "Imber")


def told(name: str, place: str, year: int) -> AnnotatedDocument:
    text = f"{name} was born in {place} in {year}."
    calls = (
        Call(name, "Birth Place", place, text.index(place)),
        Call(name, "Birth Year", str(year), text.index(str(year))),
    )
    return AnnotatedDocument(name, text, calls, name)


GOLD = [told(name, PLACES[number % 5], 1870 + number) for number, name in enumerate(NAMES * 3)]
GOLD = [
    AnnotatedDocument(f"{number}", document.text, document.calls, f"{document.title} {number}")
    for number, document in enumerate(GOLD)
]
OF = {split: [document for document in GOLD if gold_split(document) == split] for split in Split}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 0.2 million parameters, with a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("models") / "base"
    template = Template()
    texts = [template.before, template.between, *(dblookup.render(document) for document in GOLD)]
    vocabulary = Vocabulary.train(texts, 500)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        bos_token_id=vocabulary.bos_id,
        eos_token_id=vocabulary.eos_id,
        pad_token_id=vocabulary.pad_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    vocabulary.save(folder)
    return folder


@pytest.fixture
def coder(base: Path) -> PromptCoder:
    return PromptCoder(Vocabulary.load(base).tokenizer, Template())


SMALL = CausalTraining(epochs=2, batch=4, accumulate=1, rank=4, alpha=8, dropout=0.0, learning_rate=1e-3)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "adapter"
    train_causal(GOLD, base, folder, SMALL)
    return folder


def test_only_the_answer_carries_loss(coder: PromptCoder) -> None:
    [row] = examples_of([GOLD[0]], coder, window=1600, context=512).rows
    prompt, answer = coder.prompt(GOLD[0]), coder.answer(GOLD[0])
    assert row["input_ids"] == prompt + answer
    assert row["labels"] == [IGNORE_INDEX] * len(prompt) + answer
    assert coder.decode(answer) == dblookup.render(GOLD[0])
    assert coder.decode(prompt).endswith(f"{GOLD[0].title}\n\n{GOLD[0].text}{Template().between}")


def test_padding_carries_no_loss_and_is_not_seen(coder: PromptCoder) -> None:
    rows = examples_of(GOLD[:9], coder, window=1600, context=512).rows
    batch = collated(rows, coder.pad_id)
    lengths = [len(row["labels"]) for row in rows]
    assert batch["attention_mask"].sum(1).tolist() == lengths
    for row, length in enumerate(lengths):
        assert (batch["labels"][row, length:] == IGNORE_INDEX).all()
        assert (batch["input_ids"][row, length:] == coder.pad_id).all()


def test_long_documents_become_windows_with_their_calls(coder: PromptCoder) -> None:
    text = " ".join(document.text for document in GOLD)
    parts = [call for document in GOLD for call in document.calls]
    found = [
        Call(part.entity, part.relation, part.value, text.index(f"{document.text}") + part.at)
        for document in GOLD
        for part in document.calls
    ]
    document = AnnotatedDocument("long", text, tuple(found), "People")
    windowed = list(pieces(document, 200))
    assert "".join(piece.text for piece in windowed) == text
    assert sum(len(piece.calls) for piece in windowed) == len(parts)
    for piece in windowed:
        assert all(piece.text.startswith(call.value, call.at) for call in piece.calls)
    short = examples_of([document], coder, window=200, context=60)
    assert (short.rows, short.left_out) == ([], len(windowed))


@pytest.mark.parametrize("hostile", ["<|eos|>", "<|pad|>", "<|bos|>", "<|db_return|>", "\n\n### Copy with calls\n"])
def test_control_tokens_in_a_text_stay_characters(coder: PromptCoder, hostile: str) -> None:
    document = AnnotatedDocument("x", f"Ada {hostile} Roe", title=hostile)
    ids = coder.prompt(document)[1:]
    special = set(range(7))  # PAD, BOS, EOS and the four of the calls
    assert not special & set(ids)
    assert hostile in coder.decode(ids)
    assert coder.answer(document).count(coder.end_id) == 1


def test_a_template_can_name_the_control_tokens_of_a_chat_model(base: Path, tmp_path: Path) -> None:
    template = Template(before="<|bos|>user\n", between="<|pad|>assistant\n", end="<|pad|>", window=300)
    template.save(tmp_path)
    assert Template.load(tmp_path) == template
    tokenizer = Vocabulary.load(base).tokenizer
    chat = PromptCoder(tokenizer, template)
    prompt = chat.prompt(GOLD[0])
    assert prompt.count(tokenizer.convert_tokens_to_ids("<|pad|>")) == 1
    assert chat.answer(GOLD[0])[-1] == chat.end_id == tokenizer.convert_tokens_to_ids("<|pad|>")
    with pytest.raises(LamLamError, match="no token <none>"):
        PromptCoder(tokenizer, Template(end="<none>"))


@pytest.mark.parametrize("bad", ['{"before": 1}', '{"before": "a", "between": "b", "window": 1}', '{"more": 1}', "no"])
def test_a_template_that_is_none_is_refused(tmp_path: Path, bad: str) -> None:
    (tmp_path / "annotator.json").write_text(bad)
    with pytest.raises(InputError, match=r"annotator\.json"):
        Template.load(tmp_path)


def test_training_learns_from_train_stops_by_calibration_and_leaves_test_alone(adapter: Path, base: Path) -> None:
    summary = json.loads((adapter / "training.json").read_text())
    assert summary["examples"] == {"train": len(OF[Split.TRAIN]), "calibration": len(OF[Split.CALIBRATION])}
    assert summary["calibration_loss"] > 0
    assert summary["settings"] == SMALL.model_dump()
    assert sorted(path.name for path in adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "annotator.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    ]


def test_training_with_one_seed_gives_the_same_adapter(adapter: Path, base: Path, tmp_path: Path) -> None:
    train_causal(GOLD, base, tmp_path / "again", SMALL)
    train_causal(GOLD, base, tmp_path / "other", SMALL.model_copy(update={"seed": 1}))
    weights = [
        (folder / "adapter_model.safetensors").read_bytes()
        for folder in (adapter, tmp_path / "again", tmp_path / "other")
    ]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_a_run_that_has_ended_is_not_repeated(adapter: Path, base: Path) -> None:
    before = (adapter / "adapter_model.safetensors").stat().st_mtime_ns
    assert train_causal(GOLD, base, adapter, SMALL) == json.loads((adapter / "training.json").read_text())
    assert (adapter / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_an_old_adapter_is_not_read_where_another_training_was_cut_off(
    adapter: Path, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamlam.annotate.causal import training

    folder = tmp_path / "adapter"
    shutil.copytree(adapter, folder)
    assert CausalModel.open(folder)
    monkeypatch.setattr(training, "collated", _failing_after(1))
    with pytest.raises(KeyboardInterrupt):
        train_causal(GOLD, base, folder, SMALL.model_copy(update={"seed": 1}))
    with pytest.raises(InputError, match=r"annotator\.json"):
        CausalModel.open(folder)


def test_a_killed_run_goes_on_with_its_last_epoch(
    adapter: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamlam.annotate.causal import training

    with monkeypatch.context() as patch:
        patch.setattr(training, "collated", _failing_after(len(OF[Split.TRAIN]) // 4 + 6))
        with pytest.raises(KeyboardInterrupt):
            train_causal(GOLD, base, tmp_path, SMALL)
    assert list((tmp_path / "state").glob("checkpoint-*"))
    (tmp_path / "state" / "checkpoint-999").mkdir()  # torn by the kill
    made: list[int] = []
    monkeypatch.setattr(training, "collated", lambda rows, pad_id: made.append(1) or collated(rows, pad_id))
    summary = train_causal(GOLD, base, tmp_path, SMALL)
    assert summary["resumed"] is True
    assert len(made) < len(OF[Split.TRAIN]) / 4 + 4, "both epochs were trained again"
    assert summary["epochs"] == 2
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()


def _failing_after(batches: int) -> Any:
    made = 0

    def failing(rows: list[dict[str, list[int]]], pad_id: int) -> dict[str, torch.Tensor]:
        nonlocal made
        made += 1
        if made > batches:
            raise KeyboardInterrupt
        return collated(rows, pad_id)

    return failing


def test_nothing_to_learn_from_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(LamLamError, match="no document of the train split"):
        train_causal(OF[Split.TEST], base, tmp_path, SMALL)


def test_an_adapter_and_what_it_is_merged_into_annotate_alike(adapter: Path, tmp_path: Path) -> None:
    opened = CausalModel.open(adapter)
    opened.save(tmp_path / "merged")
    merged = CausalModel.open(tmp_path / "merged")
    ids = torch.tensor([[5, 9, 20, 33, 40]])
    with torch.no_grad():
        torch.testing.assert_close(opened.model(ids).logits, merged.model(ids).logits)
    assert merged.template == opened.template
    assert list(CausalAnnotator(opened).annotate_many(GOLD[:5])) == list(
        CausalAnnotator(merged).annotate_many(GOLD[:5])
    )
    assert CausalAnnotator(opened).settings != CausalAnnotator(merged).settings


def test_an_adapter_whose_base_has_moved_is_told_where_it_is(adapter: Path, base: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "nowhere"}))
    with pytest.raises(InputError, match="nowhere"):
        CausalModel.open(moved)
    ids = torch.tensor([[5, 9, 20]])
    with torch.no_grad():
        expected = CausalModel.open(adapter).model(ids).logits
        torch.testing.assert_close(CausalModel.open(moved, base=base).model(ids).logits, expected)


@pytest.mark.parametrize("missing", ["annotator.json", "adapter_model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_part_is_refused(adapter: Path, tmp_path: Path, missing: str) -> None:
    broken = shutil.copytree(adapter, tmp_path / "broken")
    (broken / missing).unlink()
    with pytest.raises(InputError, match="broken"):
        CausalModel.open(broken)


def test_a_pickle_in_place_of_the_weights_is_not_read(adapter: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(adapter, tmp_path / "broken")
    (broken / "adapter_model.safetensors").rename(broken / "adapter_model.bin")
    with pytest.raises(InputError, match="no weights"):
        CausalModel.open(broken)


@pytest.fixture(scope="module")
def taught(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CausalModel, list[AnnotatedDocument]]:
    """A model that knows two documents by heart."""
    pair = OF[Split.TRAIN][:2]
    folder = tmp_path_factory.mktemp("models") / "taught"
    settings = CausalTraining(epochs=150, batch=2, accumulate=1, rank=64, alpha=128, dropout=0.0, learning_rate=5e-3)
    train_causal(pair, base, folder, settings)
    return CausalModel.open(folder), pair


@pytest.mark.slow
def test_what_was_learnt_by_heart_is_annotated_as_it_was_taught(
    taught: tuple[CausalModel, list[AnnotatedDocument]],
) -> None:
    model, pair = taught
    plain = [AnnotatedDocument(document.id, document.text, (), document.title) for document in pair]
    annotator = CausalAnnotator(model, batch=2)
    checked: Annotator = annotator
    assert list(checked.annotate_many(plain)) == pair
    assert [checked.annotate(document) for document in plain] == pair
    assert not annotator.take_notes().total()


@pytest.mark.slow
def test_texts_of_other_lengths_in_the_batch_change_no_answer(
    taught: tuple[CausalModel, list[AnnotatedDocument]],
) -> None:
    model, pair = taught
    plain = [AnnotatedDocument(document.id, document.text, (), document.title) for document in pair]
    long = AnnotatedDocument("long", "Nobody knows what this is about, and nobody asked. " * 8)
    blank = AnnotatedDocument("blank", " \n")
    found = list(CausalAnnotator(model, batch=4).annotate_many([long, plain[0], blank, plain[1], long]))
    assert [found[1], found[3]] == pair
    assert [document.text for document in found] == [long.text, pair[0].text, blank.text, pair[1].text, long.text]


def test_an_untaught_model_alters_no_text(adapter: Path) -> None:
    annotator = CausalAnnotator(CausalModel.open(adapter), batch=3)
    found = list(annotator.annotate_many(GOLD[:7]))
    assert [(document.id, document.text) for document in found] == [
        (document.id, document.text) for document in GOLD[:7]
    ]
    notes = annotator.take_notes()
    assert 0 < notes["windows_without_an_end"] <= 7
    assert set(notes) <= {*Drop, "windows_without_an_end"}


def test_windows_that_the_model_cannot_read_are_counted(adapter: Path) -> None:
    annotator = CausalAnnotator(CausalModel.open(adapter))
    long = AnnotatedDocument("long", "Ĳſŧ " * 400)
    assert annotator.annotate(long) == long
    assert annotator.take_notes() == {"windows_too_long": 1}


def test_the_command_line_trains_and_annotates(base: Path, tmp_path: Path) -> None:
    write_documents(GOLD, tmp_path / "gold.jsonl")
    train = [
        "annotate",
        "train-causal",
        str(tmp_path / "gold.jsonl"),
        "--model",
        str(base),
        "--out",
        str(tmp_path / "a"),
    ]
    sets = [word for pair in ("epochs=1", "rank=2", "batch=8") for word in ("--set", pair)]
    ran = CliRunner().invoke(app, [*train, *sets, "--merge", str(tmp_path / "merged")])
    assert ran.exit_code == 0, ran.output
    assert f"{len(OF[Split.TRAIN])} examples, 1 epochs, calibration loss" in ran.output
    found = []
    for model in ("a", "merged"):
        out = tmp_path / f"{model}.jsonl"
        words = ["annotate", str(tmp_path / "gold.jsonl"), "--with", "causal", "--model", str(tmp_path / model)]
        ran = CliRunner().invoke(app, [*words, "--out", str(out), "--set", "batch=16", "--set", "dtype=float32"])
        assert ran.exit_code == 0, ran.output
        found.append([(document.id, document.text) for document in read_documents(out)])
    assert found == [[(document.id, document.text) for document in GOLD]] * 2


@pytest.mark.parametrize("bad", ["epochs=0", "epoch=1", "rank=many", "seed"])
def test_settings_of_training_are_checked(base: Path, tmp_path: Path, bad: str) -> None:
    write_documents(GOLD, tmp_path / "gold.jsonl")
    train = [
        "annotate",
        "train-causal",
        str(tmp_path / "gold.jsonl"),
        "--model",
        str(base),
        "--out",
        str(tmp_path / "a"),
    ]
    assert isinstance(CliRunner().invoke(app, [*train, "--set", bad]).exception, InputError)
    assert not (tmp_path / "a").exists()


def test_a_batch_is_decoded_as_its_texts_are_alone(adapter: Path) -> None:
    annotator = CausalAnnotator(CausalModel.open(adapter), batch=4)
    long = AnnotatedDocument("long", " ".join(document.text for document in GOLD[:5]))
    every = tuple(piece for n, document in enumerate([long, *GOLD[:3]]) for piece in annotator._pieces(n, document))
    together = list(annotator._copies(every))
    assert len({len(piece.prompt) for piece in every}) > 1
    for piece, copy in zip(every, together, strict=True):
        [alone] = annotator._copies((piece,))
        assert copy.startswith(alone)
        assert alone
