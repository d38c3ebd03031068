from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelyard.report.facts import ClassFacts, DatasetSummary, InputSummary, Report
from modelyard.report.material import Material
from tests.shared import there


def test_a_summary_of_an_older_version_has_no_list_of_inputs() -> None:
    older = (
        b'{"stage": "dataset:data", "input_shape": [28, 28], "dtype": "uint8", "train": 5, "test": 3, "classes": []}'
    )
    one = msgspec.json.decode(older, type=DatasetSummary)
    assert (one.inputs, one.outputs, one.input_shape) == ((), (), (28, 28))


def test_an_axis_that_varies_has_a_name() -> None:
    text = b'{"name": "ids", "shape": ["tokens", 2], "dtype": "int64"}'
    one = msgspec.json.decode(text, type=InputSummary)
    assert one.shape == ("tokens", 2)
    assert msgspec.json.decode(msgspec.json.encode(one), type=InputSummary) == one


def test_a_data_set_is_told_by_its_first_input_and_how_many_there_are_of_each_class(
    measured: Callable[..., tuple[Report, Material]],
) -> None:
    report, _ = measured(built=("dataset",), class_names=("cat", "dog", "owl"), samples=8, unseen=1, shape=(4, 2, 1))
    one = there(report.dataset)
    assert (one.stage, one.train, one.test) == ("dataset:data", 8, 8)
    assert one.classes == (
        ClassFacts(name="cat", train=3, test=4),
        ClassFacts(name="dog", train=3, test=4),
        ClassFacts(name="owl", train=2, test=0),
    )
    first = one.inputs[0]
    assert (one.input_shape, one.dtype) == (first.shape, first.dtype) == ((4, 2, 1), "uint8")
    assert one.outputs == ()
