"""Answers in a file: texts as wide as the longest, in whatever order they come; those of several lengths, each where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.asking import Lengths
from modelyard.errors import PluginError
from modelyard.files.fields import joined
from modelyard.files.ragged import RaggedArray
from modelyard.stages.predicting import predict
from modelyard.task import Task
from modelyard.tensors import OutputFacts


class Echo:
    """Answers a text for each number: as many letters."""

    def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.array([b"x" * int(one) for one in raw[:, 0]], object)


class AnyText(Task):
    def check_answers(self, answers: np.ndarray[Any, Any], first: int) -> None:
        return


@pytest.mark.parametrize("workers", [1, 3])
def test_texts_of_any_length_are_kept_whole(tmp_path: Path, workers: int) -> None:
    lengths = np.random.default_rng(0).permutation(40)
    file = tmp_path / "answers.npy"

    predict(
        Echo,
        {"n": lengths[:, None]},
        file,
        OutputFacts(name="text", dtype="bytes", shape=()),
        AnyText(),
        3,
        workers,
        lambda *_, **__: None,
        {},
    )

    answers = np.load(file)
    assert answers.dtype == "S39"
    assert answers.tolist() == [b"x" * one for one in lengths]
    assert list(tmp_path.iterdir()) == [file]


class Both:
    """Answers a text and a number for each number."""

    def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return joined({"text": Echo().predict(raw), "number": raw * 2})


def test_texts_beside_numbers_are_kept_whole(tmp_path: Path) -> None:
    lengths = np.random.default_rng(1).permutation(40)
    parts = OutputFacts(name="text", dtype="bytes", shape=()), OutputFacts(name="number", dtype="int64", shape=(1,))
    output, file = OutputFacts(name="text+number", shape=(), parts=parts), tmp_path / "answers.npy"

    predict(Both, {"n": lengths[:, None]}, file, output, AnyText(), 3, 2, lambda *_, **__: None, {})

    answers = np.load(file)
    assert answers.dtype == np.dtype([("text", "S39"), ("number", "i8", (1,))])
    assert answers["text"].tolist() == [b"x" * one for one in lengths]
    assert answers["number"][:, 0].tolist() == (lengths * 2).tolist()


class Doubling:
    """A model that answers as many numbers as it is given."""

    def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return raw * 2.0

    def run(self, inputs: Any) -> Any:
        raise NotImplementedError


class NoSevens(Task):
    def check_answers(self, answers: np.ndarray[Any, Any], first: int) -> None:
        if (answers == 14).any():
            msg = f"sample {first + int((answers == 14).any(axis=1).argmax())} is wrong"
            raise PluginError(msg)


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_of_several_lengths_are_those_of_each_sample_alone(tmp_path: Path, workers: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 6, 30)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    samples: Any = {"n": RaggedArray.of(np.full(offsets[-1], 3.0), offsets, -1)}
    file, output = tmp_path / "answers.npy", OutputFacts(name="twice", shape=("length",))
    predict(Doubling, samples, file, output, NoSevens(), 4, workers, lambda *_, **__: None, {"length": lengths})
    answers = np.load(file)
    assert answers.shape == (30, lengths.max())
    np.testing.assert_array_equal((answers == 6).sum(axis=1), lengths)
    assert ((answers == 6) | (answers == 0)).all()


def test_an_answer_that_cannot_be_is_told_with_its_sample(tmp_path: Path) -> None:
    values, offsets = np.array([1.0, 1, 1, 7, 1]), np.array([0, 2, 3, 4, 5])
    samples: Any = {"n": RaggedArray.of(values, offsets, 0)}
    output = OutputFacts(name="twice", shape=("length",))
    lengths: Lengths = {"length": np.diff(offsets)}
    with pytest.raises(PluginError, match="sample 2 is wrong"):
        predict(Doubling, samples, tmp_path / "a.npy", output, NoSevens(), 4, 1, lambda *_, **__: None, lengths)


def test_answers_of_unlike_lengths_are_told_with_what_makes_them_alike(tmp_path: Path) -> None:
    class Some:
        def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.zeros((1, int(raw[0, 0])), np.float32)

    output = OutputFacts(name="found", shape=("n",))
    with pytest.raises(
        PluginError, match=r"answers \(2,\) to some samples, and \(1,\) to others\n.*after, for instance nms"
    ):
        predict(
            Some, {"n": np.array([[1], [2]])}, tmp_path / "a.npy", output, AnyText(), 1, 1, lambda *_, **__: None, {}
        )
