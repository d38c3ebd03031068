"""Handlers that the setting names: opened, and put around a model that they must fit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.serving.chains import PLACE, Same, count, facts, spec, texts

from modelyard.serving.errors import StartError
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain
from modelyard.serving.handling import handled, is_by_model, named, open_chain, opened, outer, said_of
from modelyard.serving.model import Facts
from modelyard.serving.tensor_facts import BYTES


def test_clients_send_texts_and_get_names() -> None:
    model, seen = handled(Same(), facts(), spec(before=["count"], after=["largest"]))

    found = model.run(texts(b"abb", b"ccc"))

    assert found["label"].tolist() == [b"b", b"c"]
    assert found["probabilities"].tolist() == [[1, 2, 0], [0, 0, 3]]
    assert [(one.name, one.dtype, one.shape) for one in seen.inputs] == [("text", BYTES, ())]
    assert [(one.name, one.dtype.kind, one.labels) for one in seen.outputs] == [
        ("label", "O", ()),
        ("probabilities", "f", ("a", "b", "c")),
    ]


def test_handlers_that_do_not_fit_each_other_are_refused() -> None:
    numbers = PLACE.handler(dict, [Tensor("counts", "int32", (3,))], [Tensor("counts", "float32", (3,))])
    with pytest.raises(StartError, match=r"takes 'counts' as int32.*gives 'counts' as float32"):
        outer(facts(), Chain((count(PLACE), numbers)))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (facts(inputs=[("ids", (3,))]), "the handlers give 'counts', but the model takes 'ids'"),
        (
            facts(inputs=[("counts", (4,))]),
            r"give 'counts' as float32, shape \(3,\), but the model takes float32, shape \(4,\)",
        ),
        (facts(outputs=[("logits", (3,))]), "the handlers take 'probabilities', but the model answers 'logits'"),
    ],
)
def test_handlers_that_do_not_fit_the_model_stop_the_server(known: Facts, message: str) -> None:
    with pytest.raises(StartError, match=message):
        handled(Same(), known, spec(before=["count"], after=["largest"]))


def test_what_no_handler_takes_goes_by() -> None:
    two = facts(inputs=[("counts", (3,)), ("age", ())])
    seen = outer(two, open_chain(spec(before=["count"]), two))
    assert [one.name for one in seen.inputs] == ["text", "age"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not what the image's builder writes"),
        ('{"before": []}', "not what the image's builder writes: KeyError"),
        (
            json.dumps({"before": [{"open": "no.such:one", "name": "x", "params": {}}], "after": []}),
            "'x' cannot be opened: ModuleNotFoundError",
        ),
        (
            json.dumps({"before": [{"open": "tests.serving.chains:spec", "name": "x", "params": {}}], "after": []}),
            "'x' cannot be opened: TypeError",
        ),
        (
            json.dumps({"before": [{"open": "tests.serving.chains:nothing", "name": "x", "params": {}}], "after": []}),
            "returned 1\n  write: return place.handler",
        ),
    ],
)
def test_a_setting_that_cannot_be_stops_the_server(text: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        open_chain(text, facts())


def test_each_of_several_models_has_the_handlers_that_are_said_of_it() -> None:
    own: dict[str, list[Any]] = {"before": [], "after": []}
    text = json.dumps({"net/1": own})
    assert json.loads(said_of(text, "net", "1") or "") == own
    assert said_of(text, "net", "2") is None
    assert said_of(json.dumps(own), None, "1") == json.dumps(own)
    assert said_of(json.dumps(own), "net", "1") == json.dumps(own), "a folder above the only model"
    assert [is_by_model(one) for one in (text, json.dumps(own), "{}", "[", "3")] == [True, False, False, False, False]


def test_an_output_that_no_handler_gives_is_the_model_s_own_and_one_that_is_taken_up_is_gone() -> None:
    two = facts(outputs=[("probabilities", (3,)), ("spread", ())])
    seen = outer(two, open_chain(spec(after=["largest"]), two))
    assert [one.name for one in seen.outputs] == ["spread", "label", "probabilities"]

    names = PLACE.handler(dict, [Tensor("probabilities", shape=(3,))], [Tensor("label", "bytes")])
    assert [one.name for one in outer(two, Chain((), (names,))).outputs] == ["spread", "label"]


def test_a_handler_knows_the_labels_of_the_model_and_the_parameters_that_are_set() -> None:
    text = {"open": "tests.serving.chains:largest", "name": "largest", "params": {"no_such": 1}}
    with pytest.raises(
        StartError, match=r"'largest' cannot be opened: TypeError: .*unexpected keyword argument 'no_such'"
    ):
        open_chain(json.dumps({"before": [], "after": [text]}), facts())

    model, _ = handled(Same(), facts(), spec(after=["largest"]))
    assert model.run({"counts": np.eye(3, dtype=np.float32)})["label"].tolist() == [b"a", b"b", b"c"]


def test_a_handler_is_called_as_it_is_named_and_not_as_its_function() -> None:
    found = opened("tests.serving.chains:count", "letters", {}, PLACE)
    assert found.name == "letters"
    assert (named(found, "other", "a.py").name, named(found, "other", "a.py").file) == ("other", "a.py")


@pytest.mark.parametrize(("batch", "axes", "rows"), [(1, ("n",), [1, 1, 1]), (None, ("n",), [3]), (1, (3,), [3])])
def test_a_model_of_one_sample_whose_answers_vary_is_asked_for_each_alone(
    batch: int | None, axes: tuple[Any, ...], rows: list[int]
) -> None:
    own, known = Same(), replace(facts(outputs=[("probabilities", axes)]), batch=batch)
    model, _ = handled(own, known, spec(before=["count"]))

    assert model.run(texts(b"a", b"b", b"cc"))["probabilities"].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 2]]
    assert own.rows == rows
