"""Whether handlers fit each other and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.facts import model_facts

from modelyard.artifacts import ModelFacts
from modelyard.errors import PluginError
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain, Handler
from modelyard.stages.handlers_fit import check_fit
from modelyard.tensors import InputFacts, OutputFacts, Preprocessing


def facts() -> ModelFacts:
    """Return those of a model of token ids to scores and boxes."""
    known = model_facts(
        format="onnx",
        file="model.onnx",
        input_shape=(4,),
        input_dtype="int64",
        preprocessing=Preprocessing(),
        class_names=("a", "b"),
    )
    outputs = OutputFacts(name="scores", shape=(2,)), OutputFacts(name="boxes", shape=("found", 4))
    return replace(known, inputs=(InputFacts(name="ids", dtype="int64", shape=(4,)),), outputs=outputs)


def handler(name: str, takes: Sequence[Tensor], gives: Sequence[Tensor]) -> Handler:
    return Handler(lambda tensors: tensors, tuple(takes), tuple(gives), name=name)


def told(counted: Sequence[str] = ("scores",), **sides: Any) -> str:
    """Return why handlers do not fit the model; empty if they do."""
    chain = Chain(**{side: tuple(each) for side, each in sides.items()})
    try:
        check_fit(chain, facts(), counted)
    except PluginError as exc:
        return str(exc)
    return ""


TEXT, IDS = Tensor("text", "bytes"), Tensor("ids", "int64", ("length",))
SCORES, LABEL = Tensor("scores", shape=("classes",)), Tensor("label", "bytes")


def test_what_fits() -> None:
    assert told(before=[handler("split", [TEXT], [IDS])], after=[handler("name", [SCORES], [SCORES, LABEL])]) == ""
    assert told(["label", "boxes"], after=[handler("name", [SCORES], [LABEL])]) == ""


@pytest.mark.parametrize(
    ("side", "takes", "gives", "why"),
    [
        ("before", TEXT, Tensor("idz", "int64", (4,)), "the handlers give 'idz', but the model takes 'ids', did you mean 'ids'?"),
        ("before", TEXT, Tensor("ids", "float32", (4,)), "the handlers give 'ids' as float32, shape (4,); the model's is int64"),
        ("after", Tensor("score", shape=(2,)), LABEL, "the handler 'own' takes 'score', but the model answers 'scores', 'boxes', did you mean"),
        ("after", Tensor("scores", shape=(3,)), LABEL, "the handler 'own' takes 'scores' as float32, shape (3,); the model's is float32, shape (2,)"),
        ("after", Tensor("logits", shape=(2,)), SCORES, "\n  the model answers 'scores' itself: leave 'own' out"),
        ("after", SCORES, LABEL, "the handlers leave 'boxes', 'label', but the task measures 'scores'\n  let them give it, too"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(side: str, takes: Tensor, gives: Tensor, why: str) -> None:
    own = [handler("own", [takes], [gives])]
    assert why in (told(before=own) if side == "before" else told(after=own))


def test_handlers_that_do_not_fit_each_other_are_told() -> None:
    other = handler("count", [Tensor("label", "int64")], [Tensor("number", "int64")])
    assert "the handler 'count' takes 'label' as int64" in told(after=[handler("name", [SCORES], [LABEL]), other])
