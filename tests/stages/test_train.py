"""Stage `train`: what the trainer is given, and what is said of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.stages.toy import Toy

from modelyard.artifacts import Model, ModelFacts
from modelyard.contexts import TrainContext
from modelyard.errors import PluginError, StageFailed
from modelyard.stage_settings import TrainSettings
from modelyard.stages import train

NAME = "train:model.build"


@pytest.fixture
def toy(toy_project: Path) -> Toy:
    made = Toy(toy_project)
    made.make("dataset:points")
    return made


def test_the_model_of_the_project_is_trained_on_the_data_set(toy: Toy) -> None:
    model = Model.open(toy.make(NAME))
    assert len(json.loads(model.path.read_text())["centers"]) == 3
    assert (model.facts.format, model.facts.file, model.facts.task) == ("toy", "model.toy", "classification")
    assert model.facts.outputs[0].labels == ("origin", "right", "up")
    assert toy.lines[-1] == "trained"


def test_the_trainer_is_given_what_is_known_before(toy: Toy) -> None:
    seen: list[TrainContext] = []

    def trainer(context: TrainContext) -> None:
        seen.append(context)
        (context.out / "model.toy").write_text("{}")

    stage = msgspec.structs.replace(toy.stage(NAME, trainer=trainer), settings=TrainSettings(loss_weights={"a": 0.5}))
    train.run(toy.job(stage))
    (context,) = seen
    assert context.facts == ModelFacts.of(context.dataset.facts, "toy")
    assert context.loss_weights == {"a": 0.5}
    assert context.build_model((2,), ("a", "b"))["classes"] == ("a", "b")


def test_a_model_that_says_what_it_answers_is_believed_before_it_is_trained(toy: Toy) -> None:
    seen: list[ModelFacts] = []

    def trainer(context: TrainContext) -> None:
        seen.append(context.facts)
        (context.out / "model.toy").write_text("{}")

    stage = toy.stage(NAME, trainer=trainer)
    says = msgspec.structs.replace(stage.uses["model"].component, answers="probabilities")
    uses = {**stage.uses, "model": msgspec.structs.replace(stage.uses["model"], component=says)}
    train.run(toy.job(msgspec.structs.replace(stage, uses=uses)))
    assert seen[0].outputs[0].inside


def test_a_trainer_without_a_model_cannot_ask_for_one(toy: Toy) -> None:
    def trainer(context: Any) -> None:
        context.build_model((2,), 3)

    stage = toy.stage(NAME, trainer=trainer)
    alone = msgspec.structs.replace(stage, uses={r: one for r, one in stage.uses.items() if r != "model"})
    with pytest.raises(
        PluginError, match=r"'centroids' \(.*\) is registered with takes_model=False, but asks for a model"
    ):
        train.run(toy.job(alone))


def test_what_the_project_says_of_the_file_s_tensors_is_held_against_the_file(toy: Toy) -> None:
    stage = msgspec.structs.replace(toy.stage(NAME), settings=TrainSettings(signature={"x": {"name": "input"}}))
    with pytest.raises(
        StageFailed, match=r"^\[tool\.modelyard\.signature\]: the file 'model\.toy' does not show its tensors"
    ):
        train.run(toy.job(stage))


def test_a_trainer_that_writes_nothing_is_told(toy: Toy) -> None:
    with pytest.raises(
        PluginError, match=r"registered with produces='toy' but did not write 'model.toy'\n  it wrote: nothing"
    ):
        train.run(toy.job(toy.stage(NAME, trainer=lambda _: None)))
