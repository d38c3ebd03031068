"""Whether those that train know the loss of what is learnt: the trainer, and the model optimizers that train further."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelyard.component import kind_name
from modelyard.errors import PlanError, listing

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.config.config import Config
    from modelyard.config.training import Training
    from modelyard.plugins.load import Plugins
    from modelyard.tensors import Loss
    from modelyard.toml.places import Place


def check_losses(config: Config, training: Training, plugins: Plugins, loss: Loss) -> None:
    """Check that the trainer, and each model optimizer of a variant that trains, can make `loss` small.

    A trainer that brings a model is not asked: how that was trained is nobody's business.

    Raises:
        PlanError: one cannot; the message names those that can.
    """
    trainer = training.uses["train"].component
    if trainer.trains and loss not in trainer.losses:
        raise _refusal(training.where["train"].at("use"), trainer, loss, _trainers(training, plugins, loss))
    for variant in training.variants:
        for step in config.variants[variant]:
            optimizer = step.component
            if optimizer.trains and loss not in optimizer.losses:
                place = f"{config.where_variant(variant)}: {variant}"
                raise _refusal(place, optimizer, loss, _optimizers(optimizer, plugins, loss))


def _refusal(where: Place, component: Component, loss: Loss, fitting: Iterable[str]) -> PlanError:
    kind, known = kind_name(component.kind), " or ".join(component.losses)
    wanted = f"the task's is {loss}" if loss else "the task has none to train with"
    return PlanError(
        f"{where}: the {kind} {component.name!r} trains with the loss {known}, but {wanted}\n"
        f"  {kind}s that fit: {listing(fitting)}"
    )


def _trainers(training: Training, plugins: Plugins, loss: Loss) -> Iterable[str]:
    """Yield the trainers that know `loss` and can train the project's model, and those that bring one."""
    model = training.uses["model"].component
    for name, one in plugins.of_kind("trainer").items():
        trains_it = not model.produces or one.produces == model.produces
        if not one.trains or (loss in one.losses and trains_it):
            yield name


def _optimizers(refused: Component, plugins: Plugins, loss: Loss) -> Iterable[str]:
    """Yield the model optimizers that know `loss` and take a format that `refused` takes, too."""
    for name, one in plugins.of_kind("optimizer").items():
        if one.trains and loss in one.losses and set(one.accepts) & set(refused.accepts):
            yield name
