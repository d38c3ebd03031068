"""What stands around a model in the server: chains of handlers, what they refuse, and what clients are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import HandlerError, InputError, StartError
from modelyard.serving.handled import Handled
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain, Handler, Place
from modelyard.serving.handling import handled, is_by_model, open_chain, outer, said_of
from modelyard.serving.model import Facts
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import BYTES, Input, Output
from modelyard.serving.tfserving.inputs import read_document

PLACE = Place()
TEXT = Tensor("text", "bytes")


def facts(inputs: Sequence[Any] = (("counts", (3,)),), outputs: Sequence[Any] = (("probabilities", (3,)),)) -> Facts:
    taken = tuple(Input(name, np.dtype(np.float32), shape) for name, shape in inputs)
    given = tuple(Output(name, np.dtype(np.float32), shape, labels=("a", "b", "c")) for name, shape in outputs)
    return Facts(Path("model.onnx"), "onnx", taken, given)


def counted(data: bytes) -> list[int]:
    if not data:
        msg = "the text is empty"
        raise ValueError(msg)
    return [data.count(letter) for letter in b"abc"]


def count(place: Place) -> Any:
    """Letters of a text."""
    gives = place.tensor("counts", "float32", [3])
    return place.handler(lambda given: {"counts": [counted(one) for one in given["text"]]}, [TEXT], [gives])


def largest(place: Place) -> Any:
    """The name of the largest number, and the numbers."""
    names = place.labels.get("probabilities", ())
    scores = place.tensor("probabilities", shape=("classes",))

    def run(given: Any) -> dict[str, Any]:
        found = given["probabilities"]
        return {"label": [names[row.argmax()] for row in found], "probabilities": found}

    return place.handler(run, [scores], [place.tensor("label", "bytes"), scores])


def gaps(place: Place) -> Handler:
    """A number of which some may be missing, and whether it is."""
    takes, gives = place.tensor("age", may_miss=True), place.tensor("counts", shape=[3])
    return place.handler(lambda given: {"counts": np.isnan(given["age"])[:, None].repeat(3, 1)}, [takes], [gives])


def nothing(_place: Place) -> int:
    return 1


class Same:
    """A model that answers what it gets, and notes how many samples came at once."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        (array,) = inputs.values()
        self.rows.append(len(array))
        return {"probabilities": np.asarray(array, np.float32)}


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let handlers be named as in an image: by a module that can be imported."""
    monkeypatch.setitem(sys.modules, "ours", sys.modules[__name__])


def spec(**sides: Any) -> str:
    steps = {
        side: [{"open": f"ours:{one}", "name": one, "params": {}} for one in sides.get(side, ())]
        for side in ("before", "after")
    }
    return json.dumps(steps)


def texts(*values: bytes) -> dict[str, np.ndarray]:
    array = np.empty(len(values), BYTES)
    array[:] = values
    return {"text": array}


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


def test_clients_may_leave_a_number_out_where_the_handler_says_so() -> None:
    _, seen = handled(Same(), facts(), spec(before=["gaps"]))
    served = Served("net", "1", seen)

    _, found = read_document({"instances": [None, 7, 1.5]}, served, literals=True)

    assert np.array_equal(found["age"], [np.nan, 7, 1.5], equal_nan=True)
    with pytest.raises(HandlerError, match="tensor 'n': may_miss: a number of int64 cannot be NaN"):
        PLACE.tensor("n", "int64", may_miss=True)


def test_a_few_samples_at_a_time_go_all_the_way() -> None:
    own = Same()
    model, _ = handled(own, facts(), spec(before=["count"]))

    found = model.run(texts(*[b"a" * (1 + row) for row in range(40)]))

    assert own.rows == [16, 16, 8]
    assert found["probabilities"][:, 0].tolist() == list(range(1, 41))


@pytest.mark.parametrize(("rows", "wrong"), [(1, 0), (3, 1), (40, 37)])
def test_a_sample_that_is_none_is_told_with_its_number(rows: int, wrong: int) -> None:
    model, _ = handled(Same(), facts(), spec(before=["count"]))
    sent = [b"a"] * rows
    sent[wrong] = b""

    with pytest.raises(InputError) as told:
        model.run(texts(*sent))

    assert str(told.value) == f"input 'text', sample {wrong}: the text is empty"


def test_what_only_all_of_them_together_are_refused_for_has_no_number() -> None:
    def run(given: Any) -> dict[str, np.ndarray]:
        if len(given["text"]) > 1:
            msg = "only one at a time"
            raise ValueError(msg)
        return {"counts": np.zeros((1, 3), np.float32)}

    handler = PLACE.handler(run, [TEXT], [Tensor("counts", shape=(3,))])
    with pytest.raises(InputError, match=r"^input 'text': only one at a time$"):
        Handled(Same(), Chain((handler,))).run(texts(b"a", b"b"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"other": []}, "gave 'other'; it says 'counts'"),
        ([1], "gave a list; it says 'counts'"),
        (
            {"counts": np.zeros((1, 4), np.float32)},
            r"gave 'counts' of the shape \(1, 4\) for 1 samples; it says \(1, 3\)",
        ),
        ({"counts": np.zeros((2, 3), np.float32)}, r"gave 'counts' of the shape \(2, 3\)"),
        ({"counts": [["a", "b", "c"]]}, "gave 'counts' as .*; it says float32"),
    ],
)
def test_a_handler_that_does_not_give_what_it_says_is_told(given: Any, message: str) -> None:
    handler = PLACE.handler(lambda _: given, [TEXT], [Tensor("counts", shape=(3,))])
    with pytest.raises(HandlerError, match=message):
        handler(texts(b"a"))


def test_an_error_behind_the_model_is_no_client_s_mistake() -> None:
    def run(_: Any) -> dict[str, Any]:
        msg = "too wild"
        raise ValueError(msg)

    scores = Tensor("probabilities", shape=("classes",))
    model = Handled(Same(), Chain((count(PLACE),), (PLACE.handler(run, [scores], [scores]),)))
    with pytest.raises(HandlerError, match="too wild"):
        model.run(texts(b"a"))


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
            json.dumps({"before": [{"open": "ours:spec", "name": "x", "params": {}}], "after": []}),
            "'x' cannot be opened: TypeError",
        ),
        (
            json.dumps({"before": [{"open": "ours:nothing", "name": "x", "params": {}}], "after": []}),
            "returned 1\n  write: return place.handler",
        ),
    ],
)
def test_a_setting_that_cannot_be_stops_the_server(text: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        open_chain(text, facts())


def test_a_place_makes_no_tensors_of_unknown_types() -> None:
    with pytest.raises(HandlerError, match=r"no dtype 'float', did you mean 'float64'\?\n  allowed: bool"):
        PLACE.tensor("x", "float")
    with pytest.raises(HandlerError, match="takes one tensor or more"):
        PLACE.handler(dict, [], [TEXT])


def test_each_of_several_models_has_the_handlers_that_are_said_of_it() -> None:
    own: dict[str, list[Any]] = {"before": [], "after": []}
    text = json.dumps({"net/1": own})
    assert json.loads(said_of(text, "net", "1") or "") == own
    assert said_of(text, "net", "2") is None
    assert said_of(json.dumps(own), None, "1") == json.dumps(own)
    assert said_of(json.dumps(own), "net", "1") == json.dumps(own), "a folder above the only model"
    assert [is_by_model(one) for one in (text, json.dumps(own), "{}", "[", "3")] == [True, False, False, False, False]
