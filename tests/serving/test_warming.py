"""Before the first client: what the model is tried with, and what is measured of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import InputError, StartError
from modelyard.serving.model import Facts
from modelyard.serving.tensor_facts import BYTES, Input, Output
from modelyard.serving.warming import batches, median_s, warm_up

FLOAT = np.dtype("float32")
Samples = Mapping[str, np.ndarray]


def test_whether_it_pays_is_measured_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paced:
        """A model that takes a millisecond a call, and as much again for each sample beyond the first."""

        def __init__(self, sample_s: Any) -> None:
            self.sample_s = sample_s

        def run(self, inputs: Any) -> Any:
            clock.append(0.001 + (len(inputs["input"]) - 1) * self.sample_s)
            return inputs

    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: sum(clock))
    sample = {"input": np.zeros((1, 2), np.uint8)}

    assert batches("auto", Paced(0.0001), sample, 0.001)
    assert not batches("auto", Paced(0.001), sample, 0.001)
    assert not batches("auto", Paced(0.0001), sample, None)
    assert batches("on", Paced(0.001), sample, None)
    assert not batches("off", Paced(0.0001), sample, 0.001)


def facts(*outputs: Output, axes: tuple[object, ...] = (2,), low: float | None = None, **changes: Any) -> Facts:
    taken = Input("input", FLOAT, axes, value_range=None if low is None else (low, 1.0))
    return Facts(Path("m.onnx"), "onnx", (taken,), outputs or (Output("out", FLOAT, axes),), **changes)


class Model:
    """Answers what it is given, and notes that; what it refuses, a function says."""

    def __init__(self, refuses: Callable[[Samples], str] = lambda _: "", answers: Samples | None = None) -> None:
        self.refuses, self.answers = refuses, answers or {}
        self.given: list[dict[str, np.ndarray]] = []

    def run(self, inputs: Samples) -> Samples:
        self.given.append(dict(inputs))
        if message := self.refuses(inputs):
            raise InputError(message)
        return self.answers or {"out": inputs["input"]}


def test_the_model_is_tried_with_the_lowest_values_that_clients_may_send() -> None:
    model = Model()

    sample = warm_up(model, facts(low=-3.0))

    assert sample is not None
    assert (sample["input"].tolist(), sample["input"].dtype) == ([[-3, -3]], FLOAT)
    assert len(model.given) == 1


def test_texts_that_are_tried_are_empty() -> None:
    text = Facts(Path("m"), "onnx", (Input("text", BYTES, ()),), (Output("out", FLOAT, (1,)),))

    sample = warm_up(Model(answers={"out": np.zeros((1, 1), FLOAT)}), text)

    assert sample is not None
    assert sample["text"].tolist() == [b""]


def test_an_axis_that_varies_is_tried_at_other_lengths_until_one_is_taken() -> None:
    model = Model(lambda given: "too short" if given["input"].shape[1] < 100 else "")

    sample = warm_up(model, facts(axes=("t",)))

    assert sample is not None
    assert sample["input"].shape == (1, 128)
    assert [one["input"].shape[1] for one in model.given] == [32, 16, 64, 128]


def test_a_model_whose_samples_vary_need_take_none_of_those_tried(caplog: pytest.LogCaptureFixture) -> None:
    assert warm_up(Model(lambda _: "no zeros, please"), facts(axes=("t",))) is None
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("not warmed up", "WARNING")
    assert "no zeros, please" in record.__dict__["fields"]["reason"]


def test_a_model_of_one_shape_that_takes_no_zeros_stops_the_server() -> None:
    with pytest.raises(StartError, match=r"^m.onnx: the model does not take a sample of zeros: no zeros, please$"):
        warm_up(Model(lambda _: "no zeros, please"), facts())


@pytest.mark.parametrize(
    ("known", "answer", "message"),
    [
        (facts(), {"other": np.zeros((1, 2), FLOAT)}, "answers 'other'; model.json says 'out', too"),
        (facts(), {"out": np.zeros((1, 3), FLOAT)}, r"answers shape \(1, 3\); model.json says \(1, 2\) of 'out'"),
        (facts(), {"out": np.zeros((2, 2), FLOAT)}, r"answers shape \(2, 2\); model.json says \(1, 2\) of 'out'"),
        (facts(), {"out": np.zeros((1, 2), np.float64)}, "output 'out' is float64; model.json says float32"),
        (
            facts(Output("out", FLOAT, ("t", 3)), axes=("t",)),
            {"out": np.zeros((1, 31, 3), FLOAT)},
            r"answers shape \(1, 31, 3\); model.json says \(1, 't', 3\)",
        ),
    ],
)
def test_an_answer_that_is_not_what_model_json_says_stops_the_server(
    known: Facts, answer: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(StartError, match=message):
        warm_up(Model(answers=answer), known)


def test_what_the_model_takes_is_the_median_of_a_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 9.0, 10.0, 10.1, 20.0, 20.2, 30.0, 30.3, 40.0, 40.1])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    assert median_s(Model(), {"input": np.zeros((1, 2), FLOAT)}) == pytest.approx(0.2)
