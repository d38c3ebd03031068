"""Whether those that train know the loss of what is learnt."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.plans import COMPONENTS, PRUNE, TRAINER, component, config, plugins_of, training, use

from modelyard.component import Component, Use
from modelyard.errors import PlanError
from modelyard.plan.losses import check_losses
from modelyard.plugins.load import Plugins
from modelyard.tensors import Loss

KNOWING = msgspec.structs.replace(TRAINER, name="knowing", losses=("cross-entropy", "squared-error"))
OTHERS = msgspec.structs.replace(KNOWING, name="others", produces="other")
BRINGING = msgspec.structs.replace(component("trainer", "bringing"), takes_model=False)
TUNE = msgspec.structs.replace(component("optimizer", "tune", ("raw",), "raw"), trains_like="tune")
TUNE_ALL = msgspec.structs.replace(TUNE, name="tune-all", losses=("squared-error",))


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    loaded = plugins_of(tmp_path)
    every = [*COMPONENTS, KNOWING, OTHERS, BRINGING, TUNE, TUNE_ALL]
    return Plugins(loaded.manager, {(c.kind, c.name): c for c in every}, sources=loaded.sources)


def check(plugins: Plugins, loss: Loss, trainer: Component, *steps: Component) -> None:
    found = training(config({"a": tuple(use(step) for step in steps)}), train=Use(trainer))
    check_losses(found, found.training, plugins, loss)


def test_a_loss_that_the_trainer_knows_is_fine(plugins: Plugins) -> None:
    check(plugins, "cross-entropy", TRAINER, PRUNE, TUNE)
    check(plugins, "squared-error", KNOWING, PRUNE, TUNE_ALL)


def test_what_the_trainer_does_not_know_is_refused_and_those_that_fit_are_named(plugins: Plugins) -> None:
    with pytest.raises(PlanError) as refused:
        check(plugins, "squared-error", TRAINER)
    assert str(refused.value).endswith(
        "the trainer 'trainer' trains with the loss cross-entropy, but the task's is squared-error\n"
        "  trainers that fit: bringing, knowing"
    )


def test_where_there_is_no_loss_only_a_model_that_is_brought_will_do(plugins: Plugins) -> None:
    with pytest.raises(PlanError, match=r"the task has none to train with\n  trainers that fit: bringing$"):
        check(plugins, "", KNOWING)
    check(plugins, "", BRINGING, PRUNE)


def test_a_model_optimizer_that_trains_is_asked_too(plugins: Plugins) -> None:
    with pytest.raises(PlanError) as refused:
        check(plugins, "squared-error", BRINGING, PRUNE, TUNE)
    assert str(refused.value).endswith(
        "a: the model optimizer 'tune' trains with the loss cross-entropy, but the task's is squared-error\n"
        "  model optimizers that fit: tune-all"
    )
