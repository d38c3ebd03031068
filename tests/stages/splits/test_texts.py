"""Texts, bytes and files of a data set: read when they are asked for, one or several of each sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard.stages.splits.texts import Texts, are_texts


def test_texts_bytes_and_files_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"in a file")
    found = Texts(["a text", b"bytes", tmp_path / "a", 3], "train_x")
    assert found[:2].tolist() == [b"a text", b"bytes"]
    assert found[np.array([2, 0])].tolist() == [b"in a file", b"a text"]
    with pytest.raises(DataError, match=r"train_x: sample 3 is a int\n  allowed: a text, bytes, or"):
        found[3:]


def test_a_sample_is_found_by_its_file_or_by_how_its_text_begins(tmp_path: Path) -> None:
    found = Texts([tmp_path / "a", "it's", "x" * 90, b"bytes"], "train_x")
    named = [found.named(number) for number in range(4)]
    assert named[:2] == [repr(str(tmp_path / "a")), '"it\'s"']
    assert (named[2][:4], len(named[2]), named[3]) == ("'xxx", 60, "")


def test_a_data_set_may_say_itself_where_a_sample_is() -> None:
    class Rows(list[bytes]):
        def place_of(self, number: int) -> str:
            return f"shard.tar, sample {number + 7}"

    assert Texts(Rows([b"a", b"b"]), "train_x").named(1) == "shard.tar, sample 8"


def test_a_sample_may_be_an_array_of_texts() -> None:
    found = Texts([["a", "b"], np.array(["c", "d"]), (b"e", "f")], "train_x")
    assert (found.shape, found.ndim, found.size, found.dtype) == ((3, 2), 2, 6, object)
    assert found[1:].tolist() == [[b"c", b"d"], [b"e", b"f"]]
    assert [block.shape for block in found.blocks()] == [(3, 2)]
    with pytest.raises(
        DataError, match=r"train_x: sample 1 has the shape \(1,\), but the first has \(2,\)\n  give all"
    ):
        Texts([["a", "b"], ["c"]], "train_x")[:]


def test_half_a_character_is_told_with_its_sample() -> None:
    with pytest.raises(
        DataError, match=r"train_x: sample 1 holds '\\udce4' at 2, half a character, which has no UTF-8\n"
    ):
        Texts(["a", b"sp\xe4t".decode(errors="surrogateescape")], "train_x")[:]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["a"], True),
        ([Path("a")], True),
        (np.array([b"a"]), True),
        (np.array([["a", "b"]], object), True),
        ([["a"]], True),
        ([], False),
        ([[]], False),
        ([1], False),
        ("a", False),
        ({"a": "b"}, False),
        (np.zeros((2, 2)), False),
        (np.array(1), False),
        ([None, "a"], False),
    ],
)
def test_texts_are_told_by_the_first(values: object, told: bool) -> None:
    assert are_texts(values) == told
