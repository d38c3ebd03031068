"""Texts: word and character error rates by hand and by a slow search, over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.artifacts import Splits
from modelyard.errors import DataError, PluginError
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard.testing.merging import check_merges
from modelyard_plugins.tasks.transcription import Transcription

pytest.importorskip("rapidfuzz")
OUTPUT = OutputFacts(name="text", dtype="bytes", shape=())
X = np.zeros((3, 4, 2), np.float32)
Y = np.array(["the cat", "sät", ""])
Array = np.ndarray[Any, Any]


def texts(*each: str) -> Array:
    return np.array([one.encode() for one in each], np.bytes_)


def found(own: Array, labels: Array, *, ignore_case: bool = False) -> dict[str, float]:
    scores = Transcription(ignore_case).measure(Answers(own, labels, OUTPUT)).scores
    return {one.metric.name: one.metric.value for one in scores}


def test_labels_are_texts_and_so_is_the_answer() -> None:
    task = Transcription(False)
    for y in (Y, Y.astype(object)):
        assert task.check(Splits(X, y, X, y)) == OUTPUT
        assert task.stored(y).tolist() == [b"the cat", "sät".encode(), b""]
        assert task.stored(y).dtype == "S7"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "train_y: there is none\n  a text for each sample is needed"),
        (np.arange(3), r"train_y: labels are int64, shape \(3,\)"),
        (np.array([["a"], ["b"], ["c"]]), r"labels are <U1, shape \(3, 1\)"),
        (np.array(["a", 1, "b"], object), "the label of sample 1 is 1\n  a text is needed"),
        (np.array(["a", "b\0c", "d"]), "sample 1 is 'b"),
    ],
)
def test_other_labels_are_refused(y: Array | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Transcription(False).check(Splits(X, y, X, y))


def test_error_rates_are_sums_of_edits_over_sums_of_words_and_characters() -> None:
    labels = texts("the cat sat", "on", "")
    assert found(labels, labels) == {"wer": 0, "cer": 0, "exact_match": 1}
    own = texts("the hat sat down", "", "")  # one word another, one too many, one missing
    assert found(own, labels) == {"wer": 3 / 4, "cer": 8 / 13, "exact_match": pytest.approx(1 / 3)}
    assert found(texts("a b"), texts("")) == {"wer": 2, "cer": 3, "exact_match": 0}
    assert found(texts("THE  cat"), texts("the cat "))["wer"] == 0.5
    assert found(texts("THE  cat"), texts("the cat "), ignore_case=True) == {"wer": 0, "cer": 0, "exact_match": 1}
    assert found(texts("a\u0308"), texts("ä"))["cer"] == 0


def distance(own: Any, label: Any) -> int:
    """Return Levenshtein's distance, by its definition."""
    row = list(range(len(label) + 1))
    for number, one in enumerate(own, 1):
        last, row[0] = row[0], number
        for place, other in enumerate(label, 1):
            last, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, last + (one != other))
    return row[-1]


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), max_size=6).map(" ".join)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=12))
def test_rates_are_those_of_a_slow_search_and_parts_make_the_whole(pairs: list[tuple[str, str]]) -> None:
    own, labels = (texts(*each) for each in zip(*pairs, strict=True))
    rates = found(own, labels)
    words = sum(len(label.split()) for _, label in pairs)
    assert rates["wer"] == sum(distance(a.split(), b.split()) for a, b in pairs) / max(words, 1)
    assert rates["cer"] == sum(distance(a, b) for a, b in pairs) / max(sum(len(b) for _, b in pairs), 1)
    check_merges("transcription", Transcription(False), Answers(own, labels, OUTPUT))


def test_what_is_no_text_is_refused_and_texts_that_differ_do_not_agree() -> None:
    task = Transcription(False)
    answers = np.array(["ä".encode(), b""], object)
    task.check_answers(answers, 0)
    with pytest.raises(PluginError, match=r"the answer to test sample 8 is no text: b'\\xff'"):
        task.check_answers(np.array([b"a", b"\xff"], object), 7)
    with pytest.raises(PluginError, match="test sample 0 is no text"):
        task.check_answers(np.zeros((2, 3), np.float32), 0)
    assert task.agreement(texts("a", "bc"), texts("a", "bc")) == (0, 0)
    assert task.agreement(texts("a", "bcd"), texts("a", "bc")) == (1, 0)
