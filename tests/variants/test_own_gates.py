from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks import evaluation

from modelyard.component import Component, Source, Use
from modelyard.contexts import GateContext
from modelyard.errors import PluginError
from modelyard.variants.evaluation import ANSWERS, Latency, Measured
from modelyard.variants.own_gates import misses, own_gates

SOURCE = Source("test", "project", Path("test.py"))


def gate(function: Callable[..., Any], **params: Any) -> Use:
    return Use(Component("gate", "own", function, SOURCE), params)


def measured(folder: Path, accuracy: float, *answers: float) -> Measured:
    folder.mkdir(exist_ok=True)
    np.save(folder / ANSWERS, np.array(answers, np.float32))
    latency = Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=9, warmup=1)
    return Measured(evaluation(accuracy=accuracy, size=9, gzip=9, names=("cat",)), latency, folder)


def judged(tmp_path: Path, **uses: Use) -> tuple[str, ...]:
    variant, baseline = measured(tmp_path / "v", 0.5, 0.1, 0.2), measured(tmp_path / "b", 0.75, 0.3, 0.4)
    return misses(own_gates(uses), "int8", variant, baseline)


def test_a_gate_sees_the_variant_the_baseline_and_its_parameters(tmp_path: Path) -> None:
    def drop(context: GateContext, *, most: float) -> Iterator[str]:
        fell = context.baseline["accuracy"].value - context.metrics["accuracy"].value
        if fell > most:
            yield f"{context.variant} {fell} of {context.details['class_names']}"
        yield f"{context.answers[0]:.1f} {context.baseline_answers[1]:.1f}"

    assert judged(tmp_path, low=gate(drop, most=0.125), high=gate(drop, most=0.25)) == (
        "low: int8 0.25 of ['cat']",
        "low: 0.1 0.4",
        "high: 0.1 0.4",
    )


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        (None, ()),
        ([], ()),
        ("too slow", ("own: too slow",)),
        (("a", "b"), ("own: a", "own: b")),
    ],
)
def test_one_text_is_one_reason_and_nothing_is_none(tmp_path: Path, given: Any, reasons: tuple[str, ...]) -> None:
    assert judged(tmp_path, own=gate(lambda context: given)) == reasons


@pytest.mark.parametrize("reason", ["two\nlines", "", 0.5, None, b"bytes"])
def test_what_is_no_text_of_one_line_is_refused_with_the_gate_and_its_file(tmp_path: Path, reason: Any) -> None:
    with pytest.raises(PluginError) as caught:
        judged(tmp_path, own=gate(lambda context: [reason]))
    first, second = str(caught.value).splitlines()
    assert first == f"the gate 'own' ({__file__}) gave {reason!r}"
    assert second == "  it yields each reason why the variant must not ship, a text of one line"


def test_without_gates_no_answers_are_opened() -> None:
    latency = Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=9, warmup=1)
    nowhere = Measured(evaluation(accuracy=0.5, size=9, gzip=9), latency)
    assert misses(own_gates({}), "int8", nowhere, nowhere) == ()
