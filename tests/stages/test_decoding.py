"""Handlers that decode are asked for what is new alone, and what comes of it is the same as without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.serving.groups import Group
from modelyard.serving.handlers import Chain, Handler, Place, Refused
from modelyard.stages.decoding import DecodingChain, decoding, digests_of

PLACE = Place()
TEXT = PLACE.tensor("text", "bytes")


class Counting:
    """Gives the letters of a text as numbers, and counts how many it was asked for."""

    def __init__(self, *, cacheable: bool = True) -> None:
        self.asked = 0
        self.handler = PLACE.handler(
            self._run,
            [TEXT],
            [PLACE.tensor("codes", "int32", ["letters"]), PLACE.tensor("count", "float32")],
            cacheable=cacheable,
        )

    def _run(self, tensors: Any) -> dict[str, list[Any]]:
        texts = tensors["text"].tolist()
        self.asked += len(texts)
        if b"" in texts:
            msg = "the text is empty"
            raise ValueError(msg)
        return {"codes": [np.frombuffer(one, np.uint8) for one in texts], "count": [len(one) for one in texts]}


def doubled(*, cacheable: bool = False) -> Handler:
    codes = PLACE.tensor("codes", "int32", ["letters"])
    return PLACE.handler(lambda given: {"codes": given["codes"] * 2}, [codes], [codes], cacheable=cacheable)


def job(folder: Path, *ways: str) -> Any:
    base = SimpleNamespace(cache=folder, log=lambda _: None)
    return SimpleNamespace(ways={f"before:{number}": way for number, way in enumerate(ways, 1)}, base=base)


def texts(*words: str) -> Any:
    found = np.empty(len(words), object)
    found[:] = [one.encode() for one in words]
    return found


def told(groups: Sequence[Group]) -> list[Any]:
    return [
        (one.rows.tolist(), {name: (str(array.dtype), array.tolist()) for name, array in one.tensors.items()})
        for one in groups
    ]


def asked(folder: Path, *words: str, ways: Sequence[str] = ("a",), rest: Sequence[Handler] = ()) -> int:
    """Ask for what handlers make of texts, which must be what they make without, and return of how many they were asked."""
    counting = Counting()
    plain = Chain((counting.handler, *rest))
    given = {"text": texts(*words), "more": np.arange(len(words))}
    wanted = told(plain.prepare(given))
    counting.asked = 0
    with decoding(plain, job(folder, *ways)) as chain:
        assert told(chain.prepare(given)) == wanted
    return counting.asked


def test_of_samples_that_were_there_before_nothing_is_asked(tmp_path: Path) -> None:
    assert asked(tmp_path, "a", "bb", "cc") == 3
    assert asked(tmp_path, "cc", "a", "new", "bb", "a") == 1
    assert asked(tmp_path, "bb") == 0


def test_another_way_knows_nothing_of_it(tmp_path: Path) -> None:
    assert [asked(tmp_path, "a", ways=(way,)) for way in ("a", "b", "a")] == [1, 1, 0]


def test_handlers_behind_that_do_not_say_so_are_asked_for_all(tmp_path: Path) -> None:
    counts = [asked(tmp_path, *words, ways=("a", "b"), rest=(doubled(),)) for words in (["a", "bb"], ["c", "a", "bb"])]
    assert counts == [2, 1]
    with decoding(Chain((Counting().handler, doubled())), job(tmp_path, "a", "b")) as chain:
        assert isinstance(chain, DecodingChain)
        assert chain.reach == 1


def test_all_that_say_so_decode_together(tmp_path: Path) -> None:
    with decoding(Chain((Counting().handler, doubled(cacheable=True))), job(tmp_path, "a", "b")) as chain:
        assert isinstance(chain, DecodingChain)
        assert chain.reach == 2
    assert [asked(tmp_path, "a", ways=("a", way), rest=(doubled(cacheable=True),)) for way in "bcb"] == [1, 1, 0]


def test_where_none_says_so_or_bytes_come_out_the_chain_is_as_it_was(tmp_path: Path) -> None:
    turned = PLACE.handler(lambda given: {"text": [one[::-1] for one in given["text"]]}, [TEXT], [TEXT], cacheable=True)
    for one in (Counting(cacheable=False).handler, turned):
        plain = Chain((one,))
        with decoding(plain, job(tmp_path, "a")) as chain:
            assert chain is plain
    with decoding(Chain((Counting().handler,)), job(tmp_path)) as chain:
        assert not isinstance(chain, DecodingChain)


def test_a_sample_that_is_refused_is_told_by_its_own_row_and_what_was_made_is_kept(tmp_path: Path) -> None:
    asked(tmp_path, "a", "bb")
    with decoding(Chain((Counting().handler,)), job(tmp_path, "a")) as chain, pytest.raises(Refused) as caught:
        chain.prepare({"text": texts("a", "new", "bb", "")})
    assert caught.value.row == 3
    assert asked(tmp_path, "a", "bb") == 0


def test_what_says_that_two_samples_are_one_is_all_of_them() -> None:
    raw = [
        {"x": texts("ab"), "y": texts("c")},
        {"x": texts("a"), "y": texts("bc")},
        {"x": np.array([[1, 2]], np.int32)},
        {"x": np.array([[[1], [2]]], np.int32)},
        {"x": np.array([[1.0, 2.0]], np.float32)},
        {"x": np.array([[b"ab", b"c"]], object)},
        {"x": np.array([[b"a", b"bc"]], object)},
    ]
    digests = [digests_of(one)[0] for one in raw]
    assert len(set(digests)) == len(raw)
    assert digests_of({"x": texts("a", "b", "a")})[::2] == [digests_of({"x": texts("a")})[0]] * 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=9), min_size=1, max_size=4))
def test_whatever_comes_after_whatever_is_what_it_is_without(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str]]
) -> None:
    folder, seen = tmp_path_factory.mktemp("cache"), set[str]()
    for words in runs:
        new = set(words) - seen
        assert (asked(folder, *words) == 0) == (not new)
        seen |= new
