"""Handlers are looked at where a model is made: nothing of them counts there, and what cannot be opened is not judged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from tests.facts import model_facts

from modelyard.artifacts import DatasetFacts, ModelFacts
from modelyard.component import Component, Source, Use
from modelyard.errors import PluginError
from modelyard.serving.handlers import Handler, Place
from modelyard.signature import Signature, TensorSpec
from modelyard.stages.handlers_ahead import check_ahead
from modelyard.tensors import OutputFacts, Preprocessing

SHOWN = Signature((TensorSpec("x", "float32", ("", 4)),), (TensorSpec("scores", "float32", ("", 2)),))


def reads(place: Place, *, scores: str = "scores") -> Handler:
    """Return a handler that takes one tensor."""
    return place.handler(lambda given: given, [place.tensor(scores, shape=[2])], [place.tensor("best")])


def lacks(_place: Place) -> Handler:
    """Need what this machine does not have."""
    msg = "no such library"
    raise ModuleNotFoundError(msg, name="library")


class Watched:
    """A stage whose handlers are looked at; `unheard` counts how often something is read that shapes nothing."""

    def __init__(self, *uses: Use) -> None:
        self.config = SimpleNamespace(handlers={f"after:{number}": use for number, use in enumerate(uses, 1)})
        self.blocks = 0

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        self.blocks += 1
        yield


def use(function: Any, **params: Any) -> Use:
    return Use(Component("handler", "reads", function, Source("own", "project", Path(__file__))), params)


def facts(**changes: Any) -> ModelFacts:
    known = model_facts(
        format="onnx",
        file="model.onnx",
        input_shape=(4,),
        input_dtype="float32",
        preprocessing=Preprocessing(),
        class_names=("a", "b"),
    )
    return replace(known, signature=SHOWN, outputs=(OutputFacts(name="scores", shape=(2,)),), **changes)


def dataset() -> DatasetFacts:
    known = facts()
    measured = OutputFacts(name="best", shape=())
    return DatasetFacts(task=known.task, inputs=known.inputs, outputs=known.outputs, splits={}, measured=measured)


def test_handlers_that_fit_pass_and_are_opened_where_nothing_counts() -> None:
    job: Any = Watched(use(reads))
    check_ahead(job, dataset(), facts())
    assert job.blocks == 1


def test_a_wrong_name_is_told() -> None:
    job: Any = Watched(use(reads, scores="score"))
    with pytest.raises(PluginError, match=r"takes 'score', but the model answers 'scores', did you mean 'scores'\?"):
        check_ahead(job, dataset(), facts())


def test_nothing_is_judged_that_the_file_does_not_show() -> None:
    job: Any = Watched(use(reads, scores="score"))
    check_ahead(job, dataset(), replace(facts(), signature=UNSET))
    assert job.blocks == 0


def test_what_cannot_be_opened_here_is_the_matter_of_the_stage_that_runs_it() -> None:
    job: Any = Watched(use(lacks))
    check_ahead(job, dataset(), facts())
    assert job.blocks == 1
