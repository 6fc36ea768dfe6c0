"""Packing keeps every document, in rows, with positions and labels that follow from the kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamlam.errors import InputError, LamLamError
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.vocab import IGNORE_INDEX, Encoded, Kind

PAD = 0


def document(length: int, first: int = 10) -> Encoded:
    ids = [1, *range(first, first + length), 2]
    return Encoded(ids, [Kind.BOS, *[Kind.TEXT] * length, Kind.EOS])


@given(lengths=st.lists(st.integers(1, 14), min_size=1, max_size=40))
@settings(deadline=None, max_examples=40)
def test_every_document_stands_whole_in_one_row(tmp_path_factory, lengths):
    documents = [document(length, first=100 * i + 10) for i, length in enumerate(lengths)]
    packed = pack(documents, tmp_path_factory.mktemp("packed"), context=16, pad_id=PAD)
    rows = ["," + ",".join(map(str, row)) + "," for row in packed.ids.tolist()]
    for one in documents:
        assert sum("," + ",".join(map(str, one.ids)) + "," in row for row in rows) == 1
    assert int((packed.kinds != Kind.PAD).sum()) == sum(len(one.ids) for one in documents) == packed.meta["tokens"]


def test_positions_begin_anew_with_each_document(tmp_path):
    packed = pack([document(3), document(2)], tmp_path, context=12, pad_id=PAD)
    assert packed[0]["position_ids"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2]


def test_labels_leave_out_what_the_knowledge_base_supplies(tmp_path):
    kinds = [Kind.BOS, Kind.TEXT, Kind.CONTROL, Kind.ENTITY, Kind.CONTROL, Kind.RELATION, Kind.CONTROL]
    kinds += [Kind.VALUE, Kind.END, Kind.TEXT, Kind.EOS]
    packed = pack([Encoded(list(range(1, 12)), kinds)], tmp_path, context=12, pad_id=PAD)
    ignored = [i for i, label in enumerate(packed[0]["labels"].tolist()) if label == IGNORE_INDEX]
    assert ignored == [0, 7, 8, 11]


def test_text_with_open_calls_carries_loss_and_is_marked(tmp_path):
    kinds = [Kind.BOS, Kind.OPEN, Kind.TEXT, Kind.OPEN, Kind.EOS]
    packed = pack([Encoded([1, 11, 12, 13, 2], kinds)], tmp_path / "open", context=6, pad_id=PAD)
    assert packed[0]["open_calls"].tolist() == [False, True, False, True, False, False]
    assert packed[0]["labels"].tolist() == [IGNORE_INDEX, 11, 12, 13, 2, IGNORE_INDEX]
    assert "open_calls" not in pack([document(3)], tmp_path / "plain", context=8, pad_id=PAD)[0]


def test_a_document_longer_than_a_row_is_cut_between_calls_never_inside_one(tmp_path):
    call = [Kind.CONTROL, Kind.ENTITY, Kind.CONTROL, Kind.RELATION, Kind.CONTROL, Kind.VALUE, Kind.END]
    kinds = [Kind.BOS, *([Kind.TEXT] * 2 + call) * 6, Kind.TEXT, Kind.EOS]
    packed = pack([Encoded(list(range(1, len(kinds) + 1)), kinds)], tmp_path, context=16, pad_id=PAD)
    for row in packed.kinds:
        written = [Kind(kind) for kind in row if kind != Kind.PAD]
        assert written[0] == Kind.BOS
        assert written.count(Kind.END) * 3 == written.count(Kind.CONTROL)
    text = (packed.kinds != Kind.PAD) & (packed.kinds != Kind.BOS)
    assert sorted(packed.ids[text].tolist()) == list(range(2, len(kinds) + 1))


def test_packing_stops_at_its_budget_of_tokens(tmp_path):
    packed = pack((document(8) for _ in range(1000)), tmp_path, context=32, pad_id=PAD, tokens=100)
    assert packed.meta["tokens"] == 100


def test_nothing_to_pack_is_told_and_leaves_no_packed_folder(tmp_path):
    with pytest.raises(LamLamError, match="no document"):
        pack([], tmp_path, context=16, pad_id=PAD)
    with pytest.raises(InputError, match=r"packed\.json"):
        PackedFile(tmp_path)


def test_the_file_is_memory_mapped(tmp_path):
    assert isinstance(pack([document(3)], tmp_path, context=8, pad_id=PAD).ids, np.memmap)
