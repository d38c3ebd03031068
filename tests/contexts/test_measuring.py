"""What metrics and gates are given is what was measured, and a model that can be opened anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.contexts.documented import documented, own_fields
from tests.facts import model_facts
from tests.plans import SOURCE
from tests.tasks import measured, score, write_dataset

from modelyard.artifacts import Dataset, Model, Splits
from modelyard.component import Component, Use
from modelyard.contexts import GateContext, MetricContext, NamedPredictor, Predictor
from modelyard.variants.evaluation import ANSWERS, Measured
from modelyard.variants.own_gates import misses, own_gates

NAMES = ("cat", "dog")
LABELS = np.array([0, 0, 1, 1])
RIGHT = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
WRONG = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)


class Same:
    """A model of one input and one output, which have names, too."""

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"probabilities": self.predict(inputs["input"])}

    def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return raw.astype(np.float32)


def opened() -> NamedPredictor:
    return Same()


@pytest.mark.parametrize("struct", [MetricContext, GateContext])
def test_each_field_is_documented(struct: type[msgspec.Struct]) -> None:
    assert sorted(documented(struct)) == sorted(own_fields(struct))


def of(answers: np.ndarray[Any, Any], folder: Path) -> Measured:
    folder.mkdir()
    np.save(folder / ANSWERS, answers)
    sizes = {"size_bytes": 1, "gzip_bytes": 1, "layer_bytes": 1}
    return Measured(score(answers, LABELS, NAMES, **sizes), measured(1, 1, 1, 1, 1).latency, folder)


def test_a_gate_reads_metrics_details_and_answers_as_the_documentation_says(tmp_path: Path) -> None:
    def gate(context: GateContext, *, most: float) -> Iterator[str]:
        drop = context.baseline["accuracy"].value - context.metrics["accuracy"].value
        if drop > most:
            yield f"{context.variant} loses {drop:g}"
        row, names = context.details["confusion"][0], context.details["class_names"]
        yield f"{names[0]}: {row[0]} and {row[1]}"
        changed = (context.answers != context.baseline_answers).any(axis=1)
        yield f"{int(changed.sum())} of {len(changed)} answers, {type(context.answers).__name__}"

    use = Use(Component("gate", "mine", gate, SOURCE), {"most": 0.1})
    found = misses(own_gates({"mine": use}), "int8", of(WRONG, tmp_path / "a"), of(RIGHT, tmp_path / "b"))
    assert found == ("mine: int8 loses 0.25", "mine: cat: 1 and 1", "mine: 1 of 4 answers, memmap")


def test_a_metric_opens_the_model_as_often_as_it_likes_and_asks_it_by_position_or_by_name(tmp_path: Path) -> None:
    splits = Splits(RIGHT, LABELS, WRONG, LABELS, NAMES, (0, 1))
    write_dataset(splits, tmp_path, progress=lambda *_, **__: None)
    common: dict[str, Any] = {"out": tmp_path, "project": tmp_path, "cache": tmp_path, "seed": 0}
    context = MetricContext(
        **common,
        progress=lambda *_, **__: None,
        log=print,
        model=Model(tmp_path, model_facts(format="onnx", input_shape=(2,), class_names=NAMES)),
        dataset=Dataset.open(tmp_path),
        answers=WRONG,
        open_model=opened,
        runtime=Use(Component("runtime", "runner", opened, SOURCE), {}),
    )
    first: Predictor = context.open_model()
    assert context.open_model() is not first
    np.testing.assert_array_equal(first.predict(context.dataset.x("test")), context.answers)
    np.testing.assert_array_equal(opened().run({"input": WRONG})["probabilities"], context.answers)
    assert context.dataset.y("test").dtype == np.int64
    assert context.side_by_side == 1


def test_what_is_given_to_one_gate_no_other_can_change() -> None:
    known: dict[str, Any] = {"metrics": {}, "baseline": {}, "details": {}, "answers": RIGHT, "baseline_answers": RIGHT}
    context = GateContext(variant="int8", **known)
    with pytest.raises(AttributeError, match="immutable"):
        context.variant = "other"  # type: ignore[misc]
