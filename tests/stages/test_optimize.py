"""Stage `optimize`: a step of a variant, whose parent is read from disk."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from tests.plans import SOURCE
from tests.stages.toy import Toy

from modelyard.artifacts import Dataset, Model
from modelyard.component import Component, Use
from modelyard.contexts import OptimizeContext
from modelyard.errors import PluginError
from modelyard.serving.handlers import Handler, Place
from modelyard.signature import Signature, TensorSpec
from modelyard.stage import CLASSES_ROLE
from modelyard.stage_settings import OptimizeSettings
from modelyard.stages import optimize

NAME = "optimize:plain"


@pytest.fixture
def toy(toy_project: Path) -> Toy:
    made = Toy(toy_project)
    made.make("train:model.build")
    return made


def write(context: OptimizeContext) -> None:
    """Hand on the parent's file."""
    (context.out / "model.packed").write_bytes(context.model.path.read_bytes())


def test_a_step_writes_the_format_that_it_gives(toy: Toy) -> None:
    parent, model = Model.open(toy.folder / "artifacts/train/model.build"), Model.open(toy.make(NAME))
    assert (parent.facts.format, model.facts.format, model.facts.file) == ("toy", "packed", "model.packed")
    assert json.loads(model.path.read_text()) == json.loads(parent.path.read_text())
    assert model.facts.outputs == parent.facts.outputs


def test_a_step_is_given_its_parent_and_the_data_set(toy: Toy) -> None:
    seen: list[OptimizeContext] = []

    def step(context: OptimizeContext) -> None:
        seen.append(context)
        write(context)

    stage = msgspec.structs.replace(toy.stage(NAME, optimizer=step), settings=OptimizeSettings(loss_weights={"a": 2.0}))
    job = toy.job(stage)
    optimize.run(job)
    (context,) = seen
    assert context.model == Model.open(job.inputs["model"])
    assert context.dataset == Dataset.open(job.inputs["dataset"])
    assert context.loss_weights == {"a": 2.0}


def test_a_parent_that_the_project_s_handlers_do_not_fit_is_refused_before_the_step_runs(toy: Toy) -> None:
    def reads(place: Place) -> Handler:
        return place.handler(lambda given: given, [place.tensor("scores", shape=[3])], [place.tensor("best")])

    parent = toy.folder / "artifacts/train/model.build/model.json"
    said = json.loads(parent.read_text())
    shown = Signature((TensorSpec("input", "float32", ("", 2)),), (TensorSpec("probabilities", "float32", ("", 3)),))
    parent.write_text(json.dumps({**said, "signature": msgspec.to_builtins(shown)}))
    job = toy.job(toy.stage(NAME, optimizer=lambda _: pytest.fail("it ran")))
    after = (Use(Component("handler", "reads", reads, SOURCE)),)
    plan = msgspec.structs.replace(job.plan, config=msgspec.structs.replace(job.plan.config, after=after))
    with pytest.raises(PluginError, match="takes 'scores', but the model answers 'probabilities'"):
        optimize.run(msgspec.structs.replace(job, plan=plan))


def test_what_a_step_warns_of_is_said_of_the_model_behind_its_parent_s_warnings(toy: Toy) -> None:
    def step(context: OptimizeContext) -> None:
        write(context)
        context.warn("twice")
        context.warn("twice")
        context.warn("few samples")

    parent = toy.folder / "artifacts/train/model.build"
    said = json.loads((parent / "model.json").read_text())
    (parent / "model.json").write_text(json.dumps({**said, "warnings": ["of the parent"]}))
    job = toy.job(toy.stage(NAME, optimizer=step))
    optimize.run(job)
    assert Model.open(job.base.out).facts.warnings == ("of the parent", "twice", "few samples")


def test_a_step_that_returns_something_else_is_told(toy: Toy) -> None:
    def step(context: OptimizeContext) -> str:
        write(context)
        return "done"

    with pytest.raises(
        PluginError, match=r"the model optimizer 'pack' \(.*\) returned 'done'\n  it returns nothing, or ModelFacts"
    ):
        optimize.run(toy.job(toy.stage(NAME, optimizer=step)))


def test_the_module_of_classes_that_a_file_names_is_brought_first(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(Component, "bring", lambda own: order.append(own.name))

    def step(context: OptimizeContext) -> None:
        order.append("the step")
        write(context)

    stage = toy.stage(NAME, optimizer=step)
    classes = Use(Component("model", "classes", write, SOURCE), {})
    optimize.run(toy.job(msgspec.structs.replace(stage, uses={**stage.uses, CLASSES_ROLE: classes})))
    assert order == ["classes", "the step"]
