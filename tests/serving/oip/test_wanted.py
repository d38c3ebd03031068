"""How an answer is wanted is read from the request, and what cannot be had is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.serving.small_models import KIND, SCORES, served

from modelyard.serving.oip.wanted import PLAINLY, Output, Wanted, read_wanted
from modelyard.serving.sequences import Step
from modelyard.serving.tensor_facts import Output as Fact
from modelyard.serving.tensors import TensorError

GRID = Fact("grid", np.dtype("float32"), (2, 2))
VARIES = Fact("varies", np.dtype("float32"), ("t",))
FLAGS = Fact("flags", np.dtype("bool"), (2,))
MODEL = served(outputs=[SCORES, KIND, GRID, VARIES])


def wanted(model: Any = MODEL, **request: Any) -> Wanted:
    return read_wanted({"inputs": [], **request}, model)


def refusal(model: Any = MODEL, **request: Any) -> str:
    with pytest.raises(TensorError) as caught:
        wanted(model, **request)
    return str(caught.value)


def test_who_says_nothing_gets_every_output_as_json() -> None:
    assert wanted() is PLAINLY
    assert [output.name for output in PLAINLY.of(MODEL)] == ["scores", "kind", "grid", "varies"]
    assert not any(output.binary or output.classes for output in PLAINLY.of(MODEL))


@pytest.mark.parametrize("outputs", [None, []])
def test_an_empty_list_of_outputs_is_all_of_them(outputs: Any) -> None:
    found = wanted(outputs=outputs, id="7", parameters={"binary_data_output": True})
    assert found == Wanted("7", binary=True)
    assert found.of(served()) == (Output("scores", binary=True),)


def test_outputs_come_in_the_order_in_which_they_are_asked_for_and_may_differ_from_the_default() -> None:
    asked = [{"name": "kind"}, {"name": "scores", "parameters": {"binary_data": False}}]
    found = wanted(outputs=asked, parameters={"binary_data_output": True})
    assert found.of(MODEL) == (Output("kind", binary=True), Output("scores"))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("scores", "'outputs' must be a list of at most 4 tensors, 'scores', 'kind', 'grid', 'varies'"),
        ({"name": "scores"}, "'outputs' must be a list of at most 4 tensors"),
        ([{"name": "scores"}] * 5, "'outputs' must be a list of at most 4 tensors"),
        (["scores"], 'an output is "scores", expected an object'),
        ([{}], "unknown output null; model 'net' answers 'scores', 'kind', 'grid', 'varies'"),
        ([{"name": "score"}], "unknown output \"score\"; model 'net' answers"),
        ([{"name": ["scores"]}], "unknown output [\"scores\"]; model 'net' answers"),
        ([{"name": {}}], "unknown output {}; model 'net' answers"),
        ([{"name": "kind"}, {"name": "kind"}], "output asked for twice: \"kind\"; model 'net' answers"),
        ([{"name": "kind", "parameters": []}], "'parameters' is [], expected an object"),
        ([{"name": "kind", "parameters": {"binary_data": 1}}], "'binary_data' is 1, expected true or false"),
    ],
)
def test_outputs_that_cannot_be_had_are_told(outputs: Any, said: str) -> None:
    assert refusal(outputs=outputs).startswith(said)


def test_of_a_model_of_one_output_one_is_asked_for() -> None:
    assert refusal(served(), outputs=[{}, {}]) == "'outputs' must be a list of one tensor, 'scores'"


def test_an_id_is_a_text() -> None:
    assert wanted(id="").id == ""
    assert wanted(id=None).id is None
    assert refusal(id=5) == "'id' is 5, expected text"


@pytest.mark.parametrize(("count", "classes"), [(0, 0), (1, 1), (3, 3), (99, 3)])
def test_no_more_classes_are_named_than_there_are(count: int, classes: int) -> None:
    asked = {"name": "scores", "parameters": {"classification": count}}
    assert wanted(outputs=[asked]).outputs == (Output("scores", classes=classes),)


@pytest.mark.parametrize(
    ("count", "said"), [(-1, "-1"), (True, "true"), (False, "false"), (None, "null"), (1.0, "1.0"), ("1", '"1"')]
)
def test_classes_are_counted_by_whole_numbers(count: Any, said: str) -> None:
    asked = {"name": "scores", "parameters": {"classification": count}}
    assert refusal(outputs=[asked]) == f"'classification' is {said}, expected a whole number, 1 to 3"


@pytest.mark.parametrize("name", ["kind", "grid", "varies"])
def test_only_an_output_with_a_number_a_class_has_likeliest_ones(name: str) -> None:
    assert wanted(outputs=[{"name": name, "parameters": {"classification": 0}}]).outputs == (Output(name),)
    asked = {"name": name, "parameters": {"classification": 1}}
    said = f"'classification' of output '{name}', which holds no number a class; leave it out"
    assert refusal(outputs=[asked]) == said
    assert "no number a class" in refusal(served(outputs=[FLAGS]), outputs=[asked | {"name": "flags"}])


@pytest.mark.parametrize(
    ("timeout", "timeout_s"), [(0, None), (1, 1e-6), (1_500_000, 1.5), ((1 << 64) - 1, 2**64 / 1e6)]
)
def test_a_timeout_is_in_microseconds_and_0_is_none(timeout: int, timeout_s: float | None) -> None:
    assert wanted(parameters={"timeout": timeout}).timeout_s == timeout_s


@pytest.mark.parametrize(("timeout", "said"), [(-1, "-1"), (1 << 64, str(1 << 64)), (1.5, "1.5"), (True, "true")])
def test_what_is_no_timeout_is_told(timeout: Any, said: str) -> None:
    told = f"'timeout' is {said}, expected microseconds, a whole number"
    assert refusal(parameters={"timeout": timeout}) == told


@pytest.mark.parametrize(("priority", "said"), [(2, "2"), (-1, "-1"), (False, "false"), (0.0, "0.0")])
def test_there_is_one_priority(priority: Any, said: str) -> None:
    assert wanted(parameters={"priority": 0}) == Wanted()
    told = refusal(parameters={"priority": priority})
    assert told.startswith(f"'priority' is {said}, but requests wait in one line here")


def test_a_step_is_one_of_a_sequence_where_the_model_has_them() -> None:
    parameters = {"sequence_id": 5, "sequence_end": True, "timeout": 1000}
    found = wanted(served(no_sequences=""), parameters=parameters, outputs=[{"name": "scores"}])
    assert (found.step, found.timeout_s) == (Step(5, end=True), 0.001)
    assert "keeps nothing" in refusal(parameters=parameters)
