"""Annotation by a fine-tuned causal model, from training rows to use, on tiny models."""

import json
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.causal import AnnotationSettings, CausalAnnotator, CausalModel, CausalTraining, GoldSource
from lamlam.annotate.causal import training as causal_training
from lamlam.annotate.causal.annotator import Proposal, read_relations, select
from lamlam.annotate.causal.decoding import Decoder, Inventory
from lamlam.annotate.causal.gold import GoldDocument, read_gold
from lamlam.annotate.causal.model import Manner, Style
from lamlam.annotate.causal.passage import Passage, PassageCoder
from lamlam.annotate.causal.rows import collate, rows_of
from lamlam.annotate.causal.training import BranchTrainer, draw, output_rows, train_causal
from lamlam.annotate.corpus import annotate_corpus
from lamlam.annotate.score import Split, gold_split
from lamlam.annotate.shards import find_shards
from lamlam.cli.app import app
from lamlam.corpus.files import read_documents, write_documents
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.markup import AnnotatedDocument, Call
from lamlam.vocab import IGNORE_INDEX, Vocabulary

peft = pytest.importorskip("peft")

NAMES = ("Ada Roe", "Bea Poe", "Cid Noe", "Dan Loe", "Eva Moe", "Fay Joe", "Gus Doe", "Ida Woe", "Jim Zoe", "Kay Soe")
PLACES = ("Tarsk", "Oss", "Dunmarch", "Sella", "Imber")
RELATIONS = ("Birth Place", "Birth Year", "Birth Name")


def told(number: int) -> AnnotatedDocument:
    name, place, year = NAMES[number % 10], PLACES[number % 5], 1870 + number
    text = f"{name} was born in {place} in {year}."
    calls = (
        Call(name, "Birth Place", place, text.index(place)),
        Call(name, "Birth Year", str(year), text.index(str(year))),
    )
    return AnnotatedDocument(f"{number}", text, calls, f"{name} {number}")


GOLD = [told(number) for number in range(30)]
OF = {split: [document for document in GOLD if gold_split(document) == split] for split in Split}
LONG = AnnotatedDocument("long", "Nobody knows what “this” is about (and nobody asked), in 1998. " * 3, (), "Nobody")


def plain(documents: Sequence[AnnotatedDocument]) -> list[AnnotatedDocument]:
    return [AnnotatedDocument(document.id, document.text, (), document.title) for document in documents]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 0.1 million parameters, with a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("models") / "base"
    texts = [LONG.text, *(f"{call.entity} {call.relation} {d.text}" for d in GOLD for call in d.calls)]
    vocabulary = Vocabulary.train(texts, 400)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=vocabulary.bos_id,
        eos_token_id=vocabulary.eos_id,
        pad_token_id=vocabulary.pad_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    vocabulary.save(folder)
    return folder


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> GoldSource:
    path = tmp_path_factory.mktemp("gold") / "people.jsonl"
    write_documents(GOLD, path)
    return GoldSource("people", path)


@pytest.fixture
def vocabulary(base: Path) -> Vocabulary:
    return Vocabulary.load(base)


@pytest.fixture
def model(base: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(base).eval()


@pytest.fixture
def coder(vocabulary: Vocabulary) -> PassageCoder:
    return PassageCoder(vocabulary, 1600)


def passages(coder: PassageCoder, documents: Sequence[AnnotatedDocument]) -> list[Passage]:
    return [passage for document in documents for passage in coder.passages(document, "people")]


SMALL = CausalTraining(tokens=2500, batch=2, accumulate=2, rank=4, alpha=8, learning_rate=1e-3, saves=4)


@pytest.fixture(scope="module")
def adapter(base: Path, gold: GoldSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "adapter"
    train_causal([gold], base, folder, SMALL)
    return folder


# Passages


def test_calls_stand_before_words_and_values_end_with_them(coder: PassageCoder) -> None:
    text = "“Ada” Roe (born 1870–71 in St. Oss), a $5.5 deal."
    [passage] = coder.passages(AnnotatedDocument("x", text, (), "Ada"), "people")
    starts = [text[passage.spans[at][0] :].split(" ")[0] for at in passage.boundaries]
    assert starts == [
        "“Ada”", "Ada”", "Roe", "(born", "born", "1870–71", "71", "in", "St.", "Oss),", "a", "$5.5", "5.5", "5", "deal."
    ]  # fmt: skip
    ends = [text[: passage.spans[place][1]] for place, ends in enumerate(passage.ends) if ends]
    assert {"“Ada", "“Ada”", "“Ada” Roe (born 1870", "“Ada” Roe (born 1870–71"} <= set(ends)
    assert not any(end.endswith(("Ro", "bor", "187")) for end in ends)


def test_the_copy_is_the_text_and_control_tokens_in_it_are_plain(coder: PassageCoder, vocabulary: Vocabulary) -> None:
    hostile = "Ada <|db_entity|> Roe<|db_end|> was"
    [passage] = coder.passages(AnnotatedDocument("x", hostile), "people")
    assert vocabulary.decode(passage.ids).strip() == hostile
    assert not vocabulary.control_ids & set(passage.prefix)


def test_long_documents_become_passages_that_begin_with_the_title(coder: PassageCoder, vocabulary: Vocabulary) -> None:
    document = AnnotatedDocument("long", " ".join(document.text for document in GOLD), (), "People")
    cut = list(PassageCoder(vocabulary, 200).passages(document, "people"))
    assert "".join(passage.text for passage in cut) == document.text
    assert [document.text[passage.start :].startswith(passage.text) for passage in cut] == [True] * len(cut)
    assert all(" People" in vocabulary.decode(passage.head) for passage in cut)


# Training rows


def test_a_branch_reads_what_the_plain_sequence_with_the_call_would(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM
) -> None:
    document = GoldDocument.of(GOLD[3], "people")
    [row], [passage] = rows_of(document, coder, vocabulary), passages(coder, [GOLD[3]])
    [longer] = rows_of(GoldDocument.of(LONG, "people"), coder, vocabulary)
    batch = collate([row, longer], vocabulary.pad_id)
    read = {key: batch[key] for key in ("input_ids", "position_ids", "attention_mask")}
    with torch.no_grad():
        tree = model(**read).logits[0]
    for number, call in enumerate(document.calls):
        at = passage.token_at(call.start)
        branch = [place for place, of in enumerate(row.branches) if of == number]
        ids = [row.ids[place] for place in branch]
        before = passage.head + passage.ids[:at]
        with torch.no_grad():
            alone = model(torch.tensor([before + ids])).logits[0, len(before) :]
        torch.testing.assert_close(tree[branch], alone, rtol=1e-4, atol=1e-5)
        assert ids == [
            vocabulary.entity_id,
            *coder.name(call.call.entity),
            vocabulary.relation_id,
            *coder.name(call.call.relation),
            vocabulary.return_id,
            *passage.ids[at : passage.end_token(call.end, at)],
        ]
    prefix = passage.prefix
    with torch.no_grad():
        torch.testing.assert_close(tree[: len(prefix)], model(torch.tensor([prefix])).logits[0], rtol=1e-4, atol=1e-5)


def test_every_boundary_is_decided_between_a_call_and_the_copy(coder: PassageCoder, vocabulary: Vocabulary) -> None:
    [row], [passage] = rows_of(GoldDocument.of(GOLD[0], "people"), coder, vocabulary), passages(coder, [GOLD[0]])
    first = len(passage.head) - 1
    decided = {place - first: (row.labels[place], row.rivals[place]) for place in range(len(passage.prefix))}
    decided = {at: choice for at, choice in decided.items() if choice[0] != IGNORE_INDEX}
    assert sorted(decided) == passage.boundaries
    called = {passage.token_at(call.at) for call in GOLD[0].calls}
    for at, choice in decided.items():
        wanted = (vocabulary.entity_id, passage.ids[at])
        assert choice == (wanted if at in called else wanted[::-1])


def test_where_nobody_decided_there_is_no_loss(coder: PassageCoder, vocabulary: Vocabulary) -> None:
    place = GOLD[0].text.index("born")
    document = GoldDocument.of(GOLD[0], "people", [(place, place + 4)])
    [row], [passage] = rows_of(document, coder, vocabulary), passages(coder, [GOLD[0]])
    [decided] = rows_of(GoldDocument.of(GOLD[0], "people"), coder, vocabulary)
    different = [at for at in range(len(row)) if row.labels[at] != decided.labels[at]]
    assert different == [len(passage.head) + passage.token_at(place) - 1]
    assert row.labels[different[0]] == IGNORE_INDEX


def test_calls_without_a_place_are_undecided() -> None:
    text = "Roe was born in Oss. Later Bea came to Oss and Sella."
    calls = (
        Call("Bea", "Birth Place", "Oss", text.index("Oss")),  # before its entity
        Call("Roe", "Death Place", "Imber", text.index("Later")),  # nowhere
        Call("Bea", "Stay", "Sella", text.index("came")),
    )
    gold = GoldDocument.of(AnnotatedDocument("x", text, calls), "people")
    assert [(call.start, call.entity) for call in gold.calls] == [(text.index("Sella"), "Bea")]
    assert gold.undecided == ((16, 19), (21, 26))


def test_entity_names_that_the_text_lacks_are_not_learnt(coder: PassageCoder, vocabulary: Vocabulary) -> None:
    text = "The Roe family lived in Oss."
    document = AnnotatedDocument("x", text, (Call("Roe Corporation", "Home", "Oss", text.index("Oss")),))
    gold = GoldDocument.of(document, "people")
    [row] = rows_of(gold, coder, vocabulary)
    branch = [row.labels[place] for place in range(len(row)) if row.branches[place] == 0]
    named = len(coder.name("Roe Corporation")) + 1
    assert branch[:named] == [IGNORE_INDEX] * named
    relation = [*coder.name("Home"), vocabulary.return_id]
    assert branch[named : named + len(relation)] == relation


def test_the_loss_is_that_of_the_decisions_and_names_over_their_number(
    coder: PassageCoder, vocabulary: Vocabulary, base: Path, tmp_path: Path
) -> None:
    model = LlamaForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(30)  # so that logits differ
    rows = [row for document in GOLD[:3] for row in rows_of(GoldDocument.of(document, "people"), coder, vocabulary)]
    batch = collate(rows, vocabulary.pad_id)
    read = {key: batch[key] for key in ("input_ids", "position_ids", "attention_mask")}
    with torch.no_grad():
        logits = model(**read).logits
    trainer = BranchTrainer(model, rows, vocabulary.pad_id, tmp_path, SMALL)  # may round weights to bfloat16
    for kind in (batch["rivals"] >= 0, batch["rivals"] < 0):
        labels = torch.where(kind, batch["labels"], IGNORE_INDEX)
        losses = []
        for row, col in (labels != IGNORE_INDEX).nonzero().tolist():
            right, rival = int(labels[row, col]), int(batch["rivals"][row, col])
            scores = logits[row, col] if rival < 0 else logits[row, col, [right, rival]]
            losses.append(cross_entropy(scores[None], torch.tensor([right if rival < 0 else 0])))
        found = trainer.compute_loss(model, batch | {"labels": labels})
        torch.testing.assert_close(found, torch.stack(losses).mean(), rtol=1e-2, atol=0)


def test_splitting_a_batch_leaves_the_loss_as_it_is(
    coder: PassageCoder, vocabulary: Vocabulary, base: Path, tmp_path: Path
) -> None:
    model = LlamaForCausalLM.from_pretrained(base)
    rows = [row for document in GOLD[:3] for row in rows_of(GoldDocument.of(document, "people"), coder, vocabulary)]
    trainer = BranchTrainer(model, rows, vocabulary.pad_id, tmp_path, SMALL)
    whole = trainer.compute_loss(model, collate(rows, vocabulary.pad_id))
    parts = [collate(part, vocabulary.pad_id) for part in (rows[:1], rows[1:])]
    total = sum(int((part["labels"] != IGNORE_INDEX).sum()) for part in parts)
    found = sum(trainer.compute_loss(model, part, num_items_in_batch=total) for part in parts)
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=0)


def test_sources_are_drawn_by_weight_and_without_test_documents(
    gold: GoldSource, coder: PassageCoder, vocabulary: Vocabulary
) -> None:
    other = GoldSource("others", gold.path, 3.0)
    documents = {gold: list(read_gold(gold)), other: list(read_gold(other))}
    rows = draw(documents, coder, vocabulary, CausalTraining(tokens=20_000))
    heads = [vocabulary.decode(row.ids) for row in rows]
    tokens = {
        style: sum(len(row) for row, head in zip(rows, heads, strict=True) if f"Style: {style}\n" in head)
        for style in ("people", "others")
    }
    assert 20_000 <= sum(tokens.values()) < 20_200
    assert tokens["others"] / tokens["people"] == pytest.approx(3, rel=0.05)
    assert all(any(document.text in head for document in OF[Split.TRAIN]) for head in heads)


# Decoding


@pytest.fixture
def inventory(coder: PassageCoder, vocabulary: Vocabulary) -> Inventory:
    return Inventory(map(coder.name, RELATIONS), vocabulary.return_id)


def rendered(decoder: Decoder, batch: Sequence[Passage], threshold: float = 0.0) -> list[list[tuple[Any, ...]]]:
    return [[tuple(call) for call in calls] for calls in decoder.decode(batch, threshold)]


def test_the_decision_is_that_of_the_plain_sequence(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM
) -> None:
    batch = passages(coder, [GOLD[0], LONG, GOLD[4]])
    for passage, odds in zip(batch, Decoder(model, vocabulary).decide(batch), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([passage.prefix]), use_cache=False).logits[0]
        for at, found in zip(passage.boundaries, odds, strict=True):
            row = logits[len(passage.head) + at - 1]
            assert found == pytest.approx(float(row[vocabulary.entity_id] - row[passage.ids[at]]), abs=1e-4)


def test_a_call_is_what_greedy_decoding_of_the_plain_sequence_gives(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM, inventory: Inventory
) -> None:
    """Each step anew and without a cache: names from the passage, a closed inventory, and the likeliest end."""
    batch = passages(coder, [GOLD[0], LONG])
    decoder = Decoder(model, vocabulary, inventory=inventory)
    for passage, calls in zip(batch, decoder.decode(batch, 0.0), strict=True):
        assert calls
        for call in calls:
            before = [*passage.head, *passage.ids[: call.at], vocabulary.entity_id]
            known = [vocabulary.decode(run).strip() for run in _runs(passage, call.at)]
            entity = _greedy(model, vocabulary, before, [coder.name(name) for name in known], vocabulary.relation_id)
            assert call.entity == entity
            before += [*entity, vocabulary.relation_id]
            relation = _greedy(
                model, vocabulary, before, [coder.name(name) for name in RELATIONS], vocabulary.return_id
            )
            assert call.relation == relation
            assert call.end == _likeliest_end(
                model, vocabulary, [*before, *relation, vocabulary.return_id], passage, call.at
            )


def _runs(passage: Passage, at: int) -> list[list[int]]:
    pool, most = passage.pool, passage.spans[at][0]
    found = []
    for start in pool.begin(most):
        for end in range(start, len(pool.ids)):
            if pool.known[end] > most:
                break
            if pool.ends[end]:
                found.append(pool.ids[start : end + 1])
            if pool.last[end]:
                break
    return found


def _greedy(
    model: LlamaForCausalLM, vocabulary: Vocabulary, before: list[int], names: list[list[int]], stop: int
) -> list[int]:
    name: list[int] = []
    while True:
        options = {each[len(name)] if len(each) > len(name) else stop for each in names if each[: len(name)] == name}
        with torch.no_grad():
            logits = model(torch.tensor([before + name]), use_cache=False).logits[0, -1]
        token = max(sorted(options), key=lambda option: float(logits[option]))
        if token == stop:
            return name
        name.append(token)


def _likeliest_end(
    model: LlamaForCausalLM, vocabulary: Vocabulary, before: list[int], passage: Passage, at: int
) -> int:
    with torch.no_grad():
        logits = model(torch.tensor([before + passage.ids[at:]]), use_cache=False).logits[0, len(before) :]
    unended, scores = 0.0, {}
    for place in range(at, min(at + 64, len(passage.ids))):
        if passage.ends[place] and place + 1 < len(passage.ids):
            row = logits[place - at]
            end = torch.stack((row[vocabulary.end_id], row[passage.ids[place + 1]])).log_softmax(0)
            scores[place + 1] = unended + float(end[0])
            unended += float(end[1])
    if at + 64 >= len(passage.ids):
        scores[len(passage.ids)] = unended
    return max(scores, key=lambda end: scores[end])


def test_other_texts_in_the_batch_change_no_call(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM, inventory: Inventory
) -> None:
    batch = passages(coder, [LONG, *GOLD[:4]])
    decoder = Decoder(model, vocabulary, inventory=inventory)
    together = rendered(decoder, batch)
    assert sum(map(len, together)) > 20
    for passage, calls in zip(batch, together, strict=True):
        [alone] = rendered(decoder, [passage])
        assert [call[:4] for call in alone] == [call[:4] for call in calls]
        assert [call[4:] for call in alone] == [pytest.approx(call[4:], rel=1e-3) for call in calls]


def test_names_are_the_passages_and_known_before_the_call(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM, inventory: Inventory
) -> None:
    batch = passages(coder, [LONG, GOLD[1]])
    decoded = Decoder(model, vocabulary, inventory=inventory).decode(batch, 0.0)
    for passage, calls in zip(batch, decoded, strict=True):
        assert calls
        for call in calls:
            name = vocabulary.decode(call.entity).strip()
            shown = vocabulary.decode(passage.head).split("### Copy")[0].split("\n\n")[1]  # the title
            assert name in passage.text[: passage.spans[call.at][0]] or name in shown


def test_a_closed_inventory_admits_nothing_else(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM, inventory: Inventory
) -> None:
    batch = passages(coder, [LONG, *GOLD[:2]])
    found = {
        vocabulary.decode(call.relation).strip()
        for calls in Decoder(model, vocabulary, inventory=inventory).decode(batch, 0.0)
        for call in calls
    }
    assert found
    assert found <= set(RELATIONS)


def test_the_threshold_bounds_the_calls(
    coder: PassageCoder, vocabulary: Vocabulary, model: LlamaForCausalLM, inventory: Inventory
) -> None:
    batch, decoder = passages(coder, [LONG]), Decoder(model, vocabulary, inventory=inventory)
    [everything] = decoder.decode(batch, 0.0)
    middle = sorted(call.probability for call in everything)[len(everything) // 2]
    [likely] = decoder.decode(batch, middle)
    assert [call[:4] for call in likely] == [call[:4] for call in everything if call.probability >= middle]
    assert decoder.decode(batch, 1.0) == [[]]


def proposal(at: int, end: int, probability: float, likelihood: float = 1.0, entity: str = "Ada") -> Proposal:
    return Proposal(Call(entity, "r", "x" * (end - at), at), end, probability, likelihood)


def test_of_overlapping_values_the_more_probable_call_stays() -> None:
    every = [proposal(0, 9, 0.6), proposal(5, 12, 0.8), proposal(12, 14, 0.5), proposal(20, 21, 0.9, entity="X")]
    assert select(every, 0.5) == [every[1], every[2]]
    assert select(every, 0.55) == [every[1]]
    every = [proposal(0, 2, 0.9, 0.1), proposal(4, 6, 0.9, 0.3)]
    assert select(every, 0.5, floor=0.2) == every[1:]


# Training


def test_the_same_seed_trains_the_same_adapter(adapter: Path, base: Path, gold: GoldSource, tmp_path: Path) -> None:
    summary = train_causal([gold], base, tmp_path, SMALL)
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()
    assert summary["tokens"] >= SMALL.tokens
    assert not (tmp_path / "state").exists()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_a_finished_run_is_not_repeated(
    adapter: Path, base: Path, gold: GoldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_training, "draw", None)
    summary = train_causal([gold], base, adapter, SMALL)
    assert summary["styles"]["people"]["f1"] is not None


def test_a_killed_run_continues_from_its_last_state(
    adapter: Path, base: Path, gold: GoldSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def failing(rows: Any, pad_id: int) -> Any:
        read.append(1)
        if len(read) == 13:
            raise KeyboardInterrupt
        return collate(rows, pad_id)

    monkeypatch.setattr(causal_training, "collate", failing)
    with pytest.raises(KeyboardInterrupt):
        train_causal([gold], base, tmp_path, SMALL)
    with pytest.raises(InputError, match="annotator"):
        CausalModel.open(tmp_path)
    summary = train_causal([gold], base, tmp_path, SMALL)
    assert summary["resumed"] is True
    assert len(read) - 13 < summary["passages"] / 2 - 6, "all steps were trained again"
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()


def test_nothing_to_learn_from_is_refused(base: Path, tmp_path: Path) -> None:
    write_documents(OF[Split.TEST], tmp_path / "test.jsonl")
    with pytest.raises(LamLamError, match="no document of the train split of 'test'"):
        train_causal([GoldSource.parse(str(tmp_path / "test.jsonl"))], base, tmp_path / "out", SMALL)


def test_sources_are_named_with_style_and_weight(tmp_path: Path, base: Path) -> None:
    assert GoldSource.parse("gpt4o*2.5=a/b.json") == GoldSource("gpt4o", Path("a/b.json"), 2.5)
    assert GoldSource.parse("a/people.jsonl.gz") == GoldSource("people", Path("a/people.jsonl.gz"))
    for bad in ("=a.json", "gpt4o*x=a.json", "gpt4o*-1=a.json"):
        with pytest.raises(InputError, match="STYLE"):
            GoldSource.parse(bad)
    path = tmp_path / "a.jsonl"
    write_documents(GOLD[:2], path)
    with pytest.raises(InputError, match="twice"):
        train_causal([GoldSource("a", path), GoldSource("a", path)], base, tmp_path / "out", SMALL)


def test_trained_rows_replace_those_of_the_table(base: Path) -> None:
    from lamlam.model.rows import train_rows

    model = LlamaForCausalLM.from_pretrained(base)
    ids = torch.tensor([3, 8, 12])
    expected = model.lm_head.weight[ids].detach().clone()
    train_rows(model, [8, 20])
    torch.testing.assert_close(output_rows(model, ids), expected)
    with torch.no_grad():
        model.get_input_embeddings().rows[0] += 1.0
    expected[1] += 1.0
    torch.testing.assert_close(output_rows(model, ids), expected)


# Models and use


def test_an_adapter_and_what_it_is_merged_into_annotate_alike(adapter: Path, tmp_path: Path) -> None:
    opened = CausalModel.open(adapter)
    opened.save(tmp_path / "merged")
    merged = CausalModel.open(tmp_path / "merged")
    assert merged.manner == opened.manner
    settings = AnnotationSettings(threshold=0.0, relations="redocred")
    found = [list(CausalAnnotator(model, settings).annotate_many(plain(GOLD[:5]))) for model in (opened, merged)]
    assert found[0] == found[1]
    assert CausalAnnotator(opened).settings != CausalAnnotator(merged).settings


def test_an_adapter_whose_base_has_moved_is_told_where_it_is(adapter: Path, base: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(adapter, tmp_path / "adapter")
    record = json.loads((moved / "base.json").read_text())
    (moved / "base.json").write_text(json.dumps(record | {"model": str(tmp_path / "nowhere")}))
    with pytest.raises(InputError, match="nowhere"):
        CausalModel.open(moved)
    found = [CausalModel.open(moved, base=base), CausalModel.open(adapter)]
    ids = torch.tensor([[5, 9, 20, 33]])
    with torch.no_grad():
        torch.testing.assert_close(found[0].model(ids).logits, found[1].model(ids).logits)


@pytest.mark.parametrize("missing", ["annotator.json", "adapter_model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_part_is_refused(adapter: Path, tmp_path: Path, missing: str) -> None:
    broken = shutil.copytree(adapter, tmp_path / "broken")
    (broken / missing).unlink()
    with pytest.raises(InputError, match="broken"):
        CausalModel.open(broken)


def test_an_untaught_model_alters_no_text(adapter: Path) -> None:
    settings = AnnotationSettings(threshold=0.0, relations="redocred")
    annotator: Annotator = CausalAnnotator(CausalModel.open(adapter), settings, batch=3)
    documents = [*plain(GOLD[:7]), LONG, AnnotatedDocument("blank", " \n"), AnnotatedDocument("empty", "")]
    found = list(annotator.annotate_many(documents))
    assert [(document.id, document.text) for document in found] == [(d.id, d.text) for d in documents]
    calls = [(document, call) for document in found for call in document.calls]
    assert calls
    assert all(document.text.startswith(call.value, call.at) for document, call in calls)
    assert [annotator.annotate(document) for document in documents] == found


def test_passages_that_the_model_cannot_read_are_counted(adapter: Path) -> None:
    annotator = CausalAnnotator(CausalModel.open(adapter))
    long = AnnotatedDocument("long", "Ĳſŧ " * 400)
    assert annotator.annotate(long) == long
    assert annotator.take_notes() == {"passages_too_long": 1}


def test_an_unknown_style_is_refused(adapter: Path) -> None:
    with pytest.raises(InputError, match="choose from people"):
        CausalAnnotator(CausalModel.open(adapter), AnnotationSettings(style="poems"))


def test_the_least_likely_calls_can_be_dropped(adapter: Path) -> None:
    opened = CausalModel.open(adapter)
    likelihoods = tuple(number / 100 for number in range(101))
    style = Style(threshold=0.0, likelihoods=likelihoods)
    model = CausalModel(opened.model, opened.vocabulary, Manner(default="people", styles={"people": style}), "x")
    assert CausalAnnotator(model, AnnotationSettings(drop=0.1)).settings["floor"] == 0.1
    assert CausalAnnotator(model).settings["floor"] == 0.0


def test_relations_come_from_a_file_or_by_name(tmp_path: Path) -> None:
    assert len(read_relations("redocred")) == 96
    (tmp_path / "mine.txt").write_text("Birth Place\n\n Birth  Year \nBirth Place\n")
    assert read_relations(str(tmp_path / "mine.txt")) == ["Birth Place", "Birth Year"]
    (tmp_path / "none.txt").write_text("\n")
    for bad in (tmp_path / "none.txt", tmp_path / "missing.txt"):
        with pytest.raises(InputError):
            read_relations(str(bad))


def test_another_process_can_annotate(adapter: Path) -> None:
    settings = AnnotationSettings(threshold=0.0, relations="redocred")
    annotator = CausalAnnotator(CausalModel.open(adapter), settings)
    copy = pickle.loads(pickle.dumps(annotator))
    assert list(copy.annotate_many(plain(GOLD[:3]))) == list(annotator.annotate_many(plain(GOLD[:3])))


def test_facts_have_the_spans_of_their_values_as_sources(adapter: Path, tmp_path: Path) -> None:
    write_documents(plain(GOLD[:6]), tmp_path / "in.jsonl")
    settings = AnnotationSettings(threshold=0.0, relations="redocred")
    annotator = CausalAnnotator(CausalModel.open(adapter), settings)
    place = tmp_path / "kb.sqlite"
    annotate_corpus(find_shards(str(tmp_path / "in.jsonl")), tmp_path / "out.jsonl", annotator, knowledge_base=place)
    calls = {(d.id, call.at): call for d in read_documents(tmp_path / "out.jsonl") for call in d.calls}
    assert calls
    with KnowledgeBase.open(place) as kb:
        for (document, at), call in calls.items():
            sources = [source for fact in kb.lookup(call.entity, call.relation).facts for source in fact.sources]
            assert (document, at, at + len(call.value)) in {(s.document, s.start, s.end) for s in sources}


@pytest.mark.slow
def test_what_was_learnt_by_heart_is_annotated_as_it_was_taught(base: Path, tmp_path: Path) -> None:
    pair = OF[Split.TRAIN][:2]
    write_documents(pair, tmp_path / "pair.jsonl")
    settings = CausalTraining(tokens=60_000, batch=2, accumulate=1, rank=64, alpha=128, learning_rate=5e-3)
    train_causal([GoldSource("people", tmp_path / "pair.jsonl")], base, tmp_path / "model", settings)
    annotator = CausalAnnotator(CausalModel.open(tmp_path / "model"), AnnotationSettings(threshold=0.5), batch=2)
    assert list(annotator.annotate_many(plain(pair))) == pair


def test_the_command_line_trains_and_annotates(base: Path, gold: GoldSource, tmp_path: Path) -> None:
    train = ["annotate", "train-causal", f"people={gold.path}", "--model", str(base), "--out", str(tmp_path / "a")]
    sets = [word for pair in ("rank=2", "accumulate=2") for word in ("--set", pair)]
    ran = CliRunner().invoke(app, [*train, "--tokens", "1000", *sets, "--merge", str(tmp_path / "merged")])
    assert ran.exit_code == 0, ran.output
    assert "style people: threshold" in ran.output
    found = []
    for model in ("a", "merged"):
        out = tmp_path / f"{model}.jsonl"
        words = ["annotate", str(gold.path), "--with", "causal", "--model", str(tmp_path / model), "--out", str(out)]
        sets = ["--set", "threshold=0", "--set", "dtype=float32", "--set", "relations=redocred"]
        ran = CliRunner().invoke(app, [*words, *sets])
        assert ran.exit_code == 0, ran.output
        found.append(list(read_documents(out)))
    assert found[0] == found[1]
    relations = {call.relation for document in found[0] for call in document.calls}
    assert relations
    assert relations <= set(read_relations("redocred"))


@pytest.mark.parametrize("bad", ["tokens=0", "token=1", "rank=many", "seed"])
def test_settings_of_training_are_checked(base: Path, gold: GoldSource, tmp_path: Path, bad: str) -> None:
    train = ["annotate", "train-causal", str(gold.path), "--model", str(base), "--out", str(tmp_path / "a")]
    assert isinstance(CliRunner().invoke(app, [*train, "--set", bad]).exception, InputError)
    assert not (tmp_path / "a").exists()
