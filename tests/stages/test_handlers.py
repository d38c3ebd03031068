"""What stands around the model in a stage: what clients send and get, and what the task measures of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from tests.facts import dataset_facts, model_facts
from tests.plans import SOURCE

from modelyard.artifacts import DatasetFacts, ModelFacts
from modelyard.component import Component, Use
from modelyard.errors import PluginError
from modelyard.serving.errors import StartError
from modelyard.serving.handlers import Handler, Place
from modelyard.stages.handlers import Around, Joined, described, is_alone, open_chain, taken
from modelyard.tensors import ANY_SHAPE, OutputFacts

Named = Mapping[str, NDArray[Any]]
NAMES = ("a", "b")
HEIGHT = OutputFacts(name="height", shape=(1,))


def facts(*more: OutputFacts, **changes: Any) -> ModelFacts:
    known = model_facts(format="raw", input_shape=(2,), input_dtype="float32", class_names=NAMES)
    return replace(known, **{"outputs": (*known.outputs, *more), **changes})


def data(**changes: Any) -> DatasetFacts:
    return replace(dataset_facts(input_shape=(2,), dtype="float32", class_names=NAMES), **changes)


def use(function: Any, **params: Any) -> Use:
    return Use(Component("handler", function.__name__, function, SOURCE), params)


def half(place: Place, *, by: float = 2.0) -> Handler:
    """Halve what comes in."""
    length = place.tensor("input", shape=[2])
    return place.handler(lambda given: {"input": given["input"] / by}, [length], [length])


def best(place: Place) -> Handler:
    """Name the best class."""
    labels = place.labels["probabilities"]

    def run(given: Any) -> Any:
        return {"label": [labels[int(row.argmax())].encode() for row in given["probabilities"]]}

    return place.handler(run, [place.tensor("probabilities", shape=[2])], [place.tensor("label", "bytes")])


class Same:
    """A model that answers what it is asked."""

    def predict(self, raw: NDArray[Any]) -> NDArray[Any]:
        return raw


class ByName(Same):
    """One that answers by name, too."""

    def run(self, inputs: Named) -> Named:
        return {"probabilities": inputs["input"], "height": inputs["input"][:, :1]}


LABEL = OutputFacts(name="label", dtype="bytes", shape=())
X = np.array([[2.0, 4.0], [8.0, 6.0]], np.float32)


def test_without_handlers_a_model_is_as_it_is() -> None:
    around, model = Around({"runtime": use(half)}, data()), Same()
    assert around.sends_to_the_model
    assert around.open(model, facts()) is model
    assert around.outputs(facts()) == facts().outputs
    assert around.counted(facts()) == ["probabilities"]


def test_handlers_are_asked_with_the_model() -> None:
    around = Around({"before:1": use(half, by=4.0)}, data())
    assert not around.sends_to_the_model
    opened: Any = around.open(Same(), facts())
    assert opened.predict(X).tolist() == (X / 4).tolist()


def test_what_a_handler_gives_may_be_what_the_task_measures() -> None:
    around = Around({"after:1": use(best)}, data(measured=LABEL))
    opened: Any = around.open(Same(), facts())
    assert opened.predict(X).tolist() == [b"b", b"a"]
    assert around.answer(facts()) == LABEL
    assert [one.name for one in around.outputs(facts(HEIGHT))] == ["height", "label"], "what nobody takes is let by"


def test_handlers_that_do_not_fit_are_told_before_anything_is_asked() -> None:
    around = Around({"before:1": use(half)}, data())
    odd = facts()
    with pytest.raises(PluginError, match="'input'"):
        around.open(Same(), replace(odd, inputs=(replace(odd.inputs[0], name="pixels"),)))


def test_several_outputs_that_count_are_one_array_with_a_field_for_each() -> None:
    both = OutputFacts(name="probabilities+height", shape=(), parts=(*facts().outputs, HEIGHT))
    around = Around({}, data(measured=both))
    assert around.counted(facts(HEIGHT)) == ["probabilities", "height"]
    opened = around.open(ByName(), facts(HEIGHT))
    assert isinstance(opened, Joined)
    found = opened.predict(X)
    assert found["probabilities"].tolist() == X.tolist()
    assert found["height"].tolist() == [[2.0], [8.0]]


def test_an_output_that_counts_and_is_not_there_is_told() -> None:
    both = OutputFacts(name="all", shape=(), parts=(HEIGHT, LABEL))
    with pytest.raises(PluginError) as caught:
        taken({"height": X, "other": X}, both)
    assert "the answers are 'height', 'other', but the task measures 'label', too" in str(caught.value)
    assert taken({"height": X}, HEIGHT) is X


# The handlers themselves


def test_handlers_stand_on_their_side_in_the_order_of_their_roles() -> None:
    uses = {
        "before:1": use(half),
        "after:1": use(best),
        "before:2": use(half, by=3.0),
        "runtime": use(half),
        "before": use(best),
    }
    chain = open_chain(uses, facts())
    assert ([one.name for one in chain.before], [one.name for one in chain.after]) == (["half", "half"], ["best"])
    assert open_chain({"before:1": use(half)}).before, "there need be no model yet"


def refuses(place: Place) -> Handler:
    """Find what it needs missing."""
    msg = "half: no such file"
    raise StartError(msg)


def gives_none(place: Place) -> int:
    """Give no handler."""
    return 3


@pytest.mark.parametrize(("function", "said"), [(refuses, "^half: no such file$"), (gives_none, "gives_none")])
def test_a_handler_that_cannot_be_opened_is_told_with_its_file(function: Any, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        open_chain({"before:1": use(function)})


def twice(place: Place) -> Handler:
    """Give one sample too many."""
    length = place.tensor("input", shape=[2])
    return place.handler(lambda given: {"input": np.concatenate([given["input"]] * 2)}, [length], [length])


def test_a_handler_that_does_not_give_what_it_says_is_told() -> None:
    opened: Any = Around({"before:1": use(twice)}, data()).open(Same(), facts())
    with pytest.raises(PluginError, match=r"the handler 'twice' \(.*test_handlers.py.*\)"):
        opened.predict(X)


# What is asked of a model


@pytest.mark.parametrize(
    ("batch", "shape", "alone"),
    [(1, ("found", 4), True), (1, ("", 4), True), (1, (2,), False), (8, ("found", 4), False)],
)
def test_a_model_that_answers_some_samples_with_more_is_asked_one_at_a_time(
    batch: int, shape: Any, alone: bool
) -> None:
    assert is_alone(facts(OutputFacts(name="boxes", shape=shape), batch=batch)) == alone


def test_an_answer_as_long_as_the_sample_is_no_such() -> None:
    taken_of = replace(facts().inputs[0], shape=("length", 2))
    own = OutputFacts(name="tags", shape=("length", 3))
    assert not is_alone(facts(batch=1, inputs=(taken_of,), outputs=(own,)))


ANSWER = facts().outputs[0]
OPEN = OutputFacts(name="boxes", shape=ANY_SHAPE)


@pytest.mark.parametrize(
    ("outputs", "measured", "wanted", "counts"),
    [
        ([], "", (ANSWER,), None),
        (["probabilities", "boxes"], "", (ANSWER, OPEN), None),
        (["boxes"], "label", (OPEN,), replace(LABEL, name="label")),
        (["boxes", "probabilities"], "label", (ANSWER, OPEN), replace(LABEL, name="label")),
    ],
)
def test_a_model_must_answer_what_the_task_wants_or_what_handlers_take(
    outputs: list[str], measured: str, wanted: Any, counts: Any
) -> None:
    assert described(ANSWER, outputs, measured, lambda _: replace(LABEL, name="x")) == (wanted, counts)


def test_of_several_outputs_that_count_all_are_wanted() -> None:
    both = OutputFacts(name="all", shape=(), parts=(ANSWER, HEIGHT))
    found, counts = described(both, ["height", "boxes"], "", lambda one: one)
    assert (found, counts) == ((ANSWER, HEIGHT, OPEN), both)
