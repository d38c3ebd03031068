"""Whether those that train know the loss of what is learnt."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.plans import COMPONENTS, PRUNE, TASK, TRAINER, component, config, plugins_of, training, use

from modelyard.component import Component, Use
from modelyard.errors import PlanError
from modelyard.plan.losses import check_losses
from modelyard.plugins.load import Plugins
from modelyard.tensors import Loss

KNOWING = msgspec.structs.replace(TRAINER, name="knowing", losses=("cross-entropy", "squared-error"))
SEVERAL = msgspec.structs.replace(KNOWING, name="several", trains_several=True)
OTHERS = msgspec.structs.replace(KNOWING, name="others", produces="other")
BRINGING = msgspec.structs.replace(component("trainer", "bringing"), takes_model=False)
TUNE = msgspec.structs.replace(component("optimizer", "tune", ("raw",), "raw"), trains_like="tune")
TUNE_ALL = msgspec.structs.replace(TUNE, name="tune-all", losses=("squared-error",))


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    loaded = plugins_of(tmp_path)
    every = [*COMPONENTS, KNOWING, SEVERAL, OTHERS, BRINGING, TUNE, TUNE_ALL]
    return Plugins(loaded.manager, {(c.kind, c.name): c for c in every}, sources=loaded.sources)


def check(plugins: Plugins, loss: Loss, trainer: Component, *steps: Component) -> None:
    found = training(config({"a": tuple(use(step) for step in steps)}), train=Use(trainer))
    task = {"task": Use(msgspec.structs.replace(TASK, loss=loss))}
    check_losses(msgspec.structs.replace(found, uses={**found.uses, **task}), found.training, plugins)


def check_several(plugins: Plugins, losses: dict[str, tuple[Loss, float]], trainer: Component) -> None:
    tasks = {name: Use(msgspec.structs.replace(TASK, loss=loss)) for name, (loss, _) in losses.items()}
    weights = {name: weight for name, (_, weight) in losses.items()}
    found = training(config({"a": ()}, several=tasks, loss_weights=weights), train=Use(trainer))
    check_losses(found, found.training, plugins)


def test_a_loss_that_the_trainer_knows_is_fine(plugins: Plugins) -> None:
    check(plugins, "cross-entropy", TRAINER, PRUNE, TUNE)
    check(plugins, "squared-error", KNOWING, PRUNE, TUNE_ALL)


def test_what_the_trainer_does_not_know_is_refused_and_those_that_fit_are_named(plugins: Plugins) -> None:
    with pytest.raises(PlanError) as refused:
        check(plugins, "squared-error", TRAINER)
    assert str(refused.value).endswith(
        "the trainer 'trainer' trains with the loss cross-entropy, but the task's is squared-error\n"
        "  trainers that fit: bringing, knowing, several"
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


def test_several_outputs_need_one_that_trains_for_several_and_knows_the_loss_of_each(plugins: Plugins) -> None:
    both: dict[str, tuple[Loss, float]] = {"kind": ("cross-entropy", 1), "place": ("squared-error", 0.5)}
    check_several(plugins, both, SEVERAL)
    check_several(plugins, both | {"vector": ("", 0)}, SEVERAL)
    check_several(plugins, both | {"vector": ("", 1)}, BRINGING)
    with pytest.raises(
        PlanError, match=r"'knowing' trains for one output, but 2 are learnt: kind, place\n  .*fit: bringing, several$"
    ):
        check_several(plugins, both, KNOWING)
    with pytest.raises(
        PlanError, match=r"but that of the output 'many' is binary-cross-entropy\n  trainers that fit: bringing$"
    ):
        check_several(plugins, both | {"many": ("binary-cross-entropy", 1)}, SEVERAL)
    with pytest.raises(
        PlanError, match=r"but the output 'vector' has none\n  .*; or let nothing be learnt for it: weight = 0$"
    ):
        check_several(plugins, both | {"vector": ("", 1)}, SEVERAL)
    with pytest.raises(PlanError, match=r"'several' has nothing to learn: the weight of every output is 0"):
        check_several(plugins, {"kind": ("cross-entropy", 0)}, SEVERAL)
