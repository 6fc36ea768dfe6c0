"""Text never becomes a control token; ids and loss mask are those of the document."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument, Call
from lamlam.vocab import CONTROL_TOKENS, IGNORE_INDEX, Arm, Kind, Vocabulary, encode, labels, opened

SENTENCE = "Ada Lovelace was born in Rome in 1815, and it was <|db_end|> there that <|eos|> rhymed. "
TRICKS = (*CONTROL_TOKENS, "<|eos|>", "<|bos|>", "<|pad|>", "<|endoftext|>", " ", "  ", "1815", "Ada", "é", "\n", "<|")

texts = st.lists(st.sampled_from(TRICKS) | st.text(max_size=4), max_size=8).map("".join)
modest = settings(max_examples=100, deadline=None)


@st.composite
def documents(draw: st.DrawFn) -> AnnotatedDocument:
    text = draw(texts)
    call = st.builds(Call, texts, texts, texts, st.integers(0, len(text)))
    return AnnotatedDocument("", text, tuple(draw(st.lists(call, max_size=4))))


def save_plain_tokenizer(folder: Path, added: tuple[str, ...] = (), **special: str) -> Path:
    """A byte-level tokenizer's folder; `added` are tokens that it matches in text but does not call special."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = sorted(set(special.values()))
    bpe.train_from_iterator(
        [SENTENCE] * 9,
        trainers.BpeTrainer(vocab_size=300, special_tokens=names, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, **special)
    tokenizer.add_tokens(list(added))
    tokenizer.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def trained() -> Vocabulary:
    return Vocabulary.train([SENTENCE] * 9, 320)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = save_plain_tokenizer(
        tmp_path_factory.mktemp("plain"), eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
    return Vocabulary.extend(folder)


@pytest.fixture(params=["trained", "extended"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    found: Vocabulary = request.getfixturevalue(request.param)
    return found


class TestText:
    @staticmethod
    def check(vocabulary: Vocabulary, text: str) -> None:
        ids = vocabulary.encode(text)
        special = vocabulary.control_ids | {vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id}
        assert special.isdisjoint(ids)
        assert vocabulary.decode(ids) == text
        table = vocabulary.token_bytes()
        assert b"".join(table[index] for index in ids) == text.encode()

    @modest
    @given(text=texts)
    def test_never_yields_control_ids_and_is_given_back_when_trained(self, trained: Vocabulary, text: str) -> None:
        self.check(trained, text)

    @modest
    @given(text=texts)
    def test_never_yields_control_ids_and_is_given_back_when_extended(self, extended: Vocabulary, text: str) -> None:
        self.check(extended, text)

    def test_never_yields_control_ids_that_a_checkpoint_does_not_call_special(self, tmp_path: Path) -> None:
        folder = save_plain_tokenizer(tmp_path, added=CONTROL_TOKENS, eos_token="<e>", pad_token="<p>")
        for vocabulary in (Vocabulary.load(folder), Vocabulary.extend(folder)):
            self.check(vocabulary, SENTENCE + "".join(CONTROL_TOKENS))


class TestEncoding:
    @modest
    @given(document=documents())
    def test_without_its_calls_is_the_plain_text(self, trained: Vocabulary, document: AnnotatedDocument) -> None:
        encoded = encode(document, trained)
        plain = [i for i, kind in zip(encoded.ids, encoded.kinds, strict=True) if kind is Kind.TEXT]
        assert trained.decode(plain) == opened(document.text)
        assert encode(document, trained, "standard").ids == [trained.bos_id, *plain, trained.eos_id]

    @modest
    @given(document=documents())
    def test_holds_each_call_with_its_kinds(self, trained: Vocabulary, document: AnnotatedDocument) -> None:
        encoded = encode(document, trained)
        calls = document.calls
        for kind, fields in (
            (Kind.ENTITY, [call.entity for call in calls]),
            (Kind.RELATION, [call.relation for call in calls]),
            (Kind.VALUE, [call.value for call in calls]),
        ):
            ids = [i for i, found in zip(encoded.ids, encoded.kinds, strict=True) if found is kind]
            assert trained.decode(ids) == "".join(" " + field for field in fields)
        control = [i for i in encoded.ids if i in trained.control_ids]
        one = [trained.entity_id, trained.relation_id, trained.return_id, trained.end_id]
        assert control == one * len(calls)

    @modest
    @given(document=documents(), arm=st.sampled_from(["lmlm", "standard"]))
    def test_masks_values_end_bos_and_pad_alone(
        self, trained: Vocabulary, document: AnnotatedDocument, arm: Arm
    ) -> None:
        encoded = encode(document, trained, arm)
        encoded.add([trained.pad_id] * 3, Kind.PAD)
        masked = labels(np.array(encoded.ids), np.array(encoded.kinds, dtype=np.uint8))
        assert masked.dtype == np.int64
        for label, index, kind in zip(masked, encoded.ids, encoded.kinds, strict=True):
            without_loss = kind in (Kind.VALUE, Kind.END, Kind.BOS, Kind.PAD)
            assert label == (IGNORE_INDEX if without_loss else index)

    def test_is_as_documented(self, trained: Vocabulary) -> None:
        document = AnnotatedDocument("", "Ada was born in Rome.", (Call("Ada", "Birthplace", "Rome", 16),))
        encoded = encode(document, trained)
        shown: list[tuple[str, str]] = []
        for index, kind in zip(encoded.ids, encoded.kinds, strict=True):
            token = str(trained.tokenizer.decode([index]))
            if shown and shown[-1][1] == kind.name and kind < Kind.CONTROL:
                token = shown.pop()[0] + token
            shown.append((token, kind.name))
        assert shown == [
            ("<|bos|>", "BOS"),
            (" Ada was born in", "TEXT"),
            ("<|db_entity|>", "CONTROL"),
            (" Ada", "ENTITY"),
            ("<|db_relationship|>", "CONTROL"),
            (" Birthplace", "RELATION"),
            ("<|db_return|>", "CONTROL"),
            (" Rome", "VALUE"),
            ("<|db_end|>", "END"),
            (" Rome.", "TEXT"),
            ("<|eos|>", "EOS"),
        ]

    def test_of_a_partial_document_is_open_where_a_fact_may_lack_its_call(self, trained: Vocabulary) -> None:
        text = "Ada was born in Rome and the rhymed Ada in 1815"
        document = AnnotatedDocument("", text, (Call("Ada", "Birth Place", "Rome", 16),))
        encoded = encode(document, trained, partial=True)
        opened_at = [i for i, kind in enumerate(encoded.kinds) if kind is Kind.OPEN]
        assert [trained.decode(encoded.ids[i:]).split()[0] for i in opened_at] == ["the", "Ada", "1815"]
        assert encoded.ids == encode(document, trained).ids
        assert Kind.OPEN not in encode(document, trained).kinds
        assert Kind.OPEN not in encode(document, trained, "standard", partial=True).kinds
        assert not (labels(np.array(encoded.ids), np.array(encoded.kinds))[opened_at] == IGNORE_INDEX).any()

    def test_opens_every_text_with_a_space_but_an_empty_one(self, trained: Vocabulary) -> None:
        start = AnnotatedDocument("", "Ada", (Call("Ada", "R", "V", 0),))
        encoded = encode(start, trained)
        end = encoded.kinds.index(Kind.END)
        assert Kind.TEXT not in encoded.kinds[:end]
        assert trained.decode(encoded.ids[end:]) == " Ada"
        assert encode(AnnotatedDocument("", ""), trained).kinds == [Kind.BOS, Kind.EOS]

    def test_cut_at_words_gives_the_plain_texts_tokens(self, trained: Vocabulary) -> None:
        text = "Ada was born in Rome in 1815."
        calls = (Call("Ada", "Birthplace", "Rome", 16), Call("Ada", "Birth Date", "1815", 24))
        ids = encode(AnnotatedDocument("", text, calls), trained, "standard").ids
        assert ids == [trained.bos_id, *trained.encode(opened(text)), trained.eos_id]


class TestVocabulary:
    def test_eos_is_apart_from_pad_and_trained(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.eos_id != vocabulary.pad_id
        encoded = encode(AnnotatedDocument("", "Ada"), vocabulary)
        assert labels(np.array(encoded.ids), np.array(encoded.kinds))[-1] == vocabulary.eos_id

    def test_survives_saving(self, vocabulary: Vocabulary, tmp_path: Path) -> None:
        vocabulary.save(tmp_path)
        loaded = Vocabulary.load(tmp_path)
        assert loaded.encode(SENTENCE) == vocabulary.encode(SENTENCE)
        assert loaded.tokenizer.get_vocab() == vocabulary.tokenizer.get_vocab()
        for name in ("control_ids", "entity_id", "relation_id", "return_id", "end_id", "bos_id", "eos_id", "pad_id"):
            assert getattr(loaded, name) == getattr(vocabulary, name)
        again = Vocabulary.extend(tmp_path)
        assert again.tokenizer.get_vocab() == vocabulary.tokenizer.get_vocab()

    def test_training_is_deterministic_and_keeps_to_its_size(self, trained: Vocabulary) -> None:
        again = Vocabulary.train([SENTENCE] * 9, 320)
        assert again.tokenizer.get_vocab() == trained.tokenizer.get_vocab()
        assert len(again) <= 320
        assert len(Vocabulary.train([], 263)) == 263
        with pytest.raises(LamLamError, match="at least 263 tokens, not 262"):
            Vocabulary.train([], 262)

    @pytest.mark.parametrize(
        ("special", "eos", "pad"),
        [
            ({}, "<|eos|>", "<|pad|>"),
            ({"eos_token": "</s>"}, "</s>", "<|pad|>"),
            ({"eos_token": "</s>", "pad_token": "</s>"}, "</s>", "<|pad|>"),
            ({"eos_token": "</s>", "pad_token": "<p>"}, "</s>", "<p>"),
        ],
    )
    def test_extending_adds_what_is_missing(self, tmp_path: Path, special: dict[str, str], eos: str, pad: str) -> None:
        vocabulary = Vocabulary.extend(save_plain_tokenizer(tmp_path, (), **special))
        known = vocabulary.tokenizer.get_vocab()
        assert vocabulary.control_ids == {known[token] for token in CONTROL_TOKENS}
        assert (vocabulary.eos_id, vocabulary.pad_id) == (known[eos], known[pad])
        assert len(vocabulary) == len(known) == max(known.values()) + 1

    @pytest.mark.parametrize("kind", ["prepend", "metaspace", "bytes"])
    def test_a_tokenizer_that_adds_a_space_encodes_text_as_it_is(self, kind: str) -> None:
        pieces = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁▁", "Ada", "▁Ada"]
        backend = Tokenizer(models.Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], 0, True))
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        if kind == "prepend":
            backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        elif kind == "metaspace":
            backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
            backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
        else:
            alphabet = {char: n for n, char in enumerate(["<unk>", "</s>", *pre_tokenizers.ByteLevel.alphabet()])}
            backend = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
            backend.decoder = decoders.ByteLevel()
        vocabulary = Vocabulary(
            PreTrainedTokenizerFast(
                tokenizer_object=backend,
                eos_token="</s>",
                unk_token="<unk>",
                extra_special_tokens=list(CONTROL_TOKENS),
            )
        )
        table = vocabulary.token_bytes()
        for text in ("Ada", " Ada", "  Ada", "Ada Ada", "é", " ", " <|db_end|>"):
            ids = vocabulary.encode(text)
            assert vocabulary.decode(ids) == text
            assert b"".join(table[index] for index in ids) == text.encode()
        assert vocabulary.pad_id == vocabulary.tokenizer.unk_token_id

    def test_a_tokenizer_that_pads_and_truncates_encodes_text_as_it_is(self, tmp_path: Path) -> None:
        Vocabulary.train([SENTENCE] * 9, 320).save(tmp_path)
        file = tmp_path / "tokenizer.json"
        backend = Tokenizer.from_file(str(file))
        backend.enable_padding(length=40, pad_token="<|pad|>")
        backend.enable_truncation(50)
        backend.save(str(file))
        loaded = Vocabulary.load(tmp_path)
        assert loaded.decode(loaded.encode("Ada")) == "Ada"
        assert loaded.pad_id not in loaded.encode("Ada")
        assert loaded.decode(loaded.encode(SENTENCE * 9)) == SENTENCE * 9

    def test_extending_keeps_ids(self, tmp_path: Path) -> None:
        folder = save_plain_tokenizer(tmp_path, eos_token="<|endoftext|>")
        before = PreTrainedTokenizerFast.from_pretrained(str(folder)).get_vocab()
        after = Vocabulary.extend(folder).tokenizer.get_vocab()
        assert {token: after[token] for token in before} == before

    @pytest.mark.parametrize(
        ("special", "added", "message"),
        [
            ({"eos_token": "</s>"}, (), "has no control tokens .*<|db_entity|>"),
            ({"eos_token": "</s>"}, CONTROL_TOKENS[:3], "<|db_end|> missing"),
            ({}, CONTROL_TOKENS, "has no EOS token"),
            ({"eos_token": "</s>"}, CONTROL_TOKENS, "has no PAD token apart from EOS"),
            ({"eos_token": "</s>", "pad_token": "</s>"}, CONTROL_TOKENS, "has no PAD token apart from EOS"),
        ],
    )
    def test_loading_tells_what_a_checkpoint_lacks(
        self, tmp_path: Path, special: dict[str, str], added: tuple[str, ...], message: str
    ) -> None:
        save_plain_tokenizer(tmp_path, added, **special)
        with pytest.raises(InputError, match=message) as caught:
            Vocabulary.load(tmp_path)
        assert caught.value.path == tmp_path

    @pytest.mark.parametrize("content", [None, b"", b'{"version": "1.0"}', b'{"a":', b"\xff", b"[]"])
    def test_loading_tells_a_broken_tokenizer(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "tokenizer.json").write_bytes(content)
            (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        for load in (Vocabulary.load, Vocabulary.extend):
            with pytest.raises(InputError, match="no tokenizer that can be read"):
                load(tmp_path)

    def test_loading_tells_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such folder"):
            Vocabulary.load(tmp_path / "none")
