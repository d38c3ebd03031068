"""Whether those that train know the loss of what is learnt: the trainer, and the model optimizers that train further."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

_ONLY = ""
"""What the only output is called where there are not several."""


def check_losses(config: Config, training: Training, plugins: Plugins) -> None:
    """Check that the trainer, and each model optimizer of a variant that trains, can make small what the project learns.

    A trainer that brings a model is not asked: how that was trained is nobody's business.

    Raises:
        PlanError: one cannot; the message names those that can.
    """
    losses: Mapping[str, Loss] = config.losses if config.several else {_ONLY: config.uses["task"].component.loss}
    trainer = training.uses["train"].component
    if trainer.trains and not _knows(trainer, losses):
        raise _refusal(training.where["train"].at("use"), trainer, losses, _trainers(training, plugins, losses))
    for variant in training.variants:
        for step in config.variants[variant]:
            optimizer = step.component
            if optimizer.trains and not _knows(optimizer, losses):
                place = f"{config.where_variant(variant)}: {variant}"
                raise _refusal(place, optimizer, losses, _optimizers(optimizer, plugins, losses))


def _knows(component: Component, losses: Mapping[str, Loss]) -> bool:
    """Whether a component trains for these outputs; one that needs no loss of a task trains for any."""
    if _ONLY in losses:
        return losses[_ONLY] in component.trained_losses
    each = bool(losses) and all(loss in component.trained_losses for loss in losses.values())
    return "" in component.trained_losses or (component.trains_several and each)


def _refusal(where: Place | str, component: Component, losses: Mapping[str, Loss], fitting: Iterable[str]) -> PlanError:
    kind = kind_name(component.kind)
    advice = "" if _ONLY in losses or "" not in losses.values() else "; or let nothing be learnt for it: weight = 0"
    return PlanError(
        f"{where}: the {kind} {component.name!r} {_misfit(component, losses)}\n  {kind}s that fit: {listing(fitting)}{advice}"
    )


def _misfit(component: Component, losses: Mapping[str, Loss]) -> str:
    known = " or ".join(component.trained_losses)
    if _ONLY in losses:
        wanted = f"the task's is {losses[_ONLY]}" if losses[_ONLY] else "the task has none to train with"
        return f"trains with the loss {known}, but {wanted}"
    if not losses:
        return "has nothing to learn: the weight of every output is 0"
    if not component.trains_several:
        return f"trains for one output, but {len(losses)} are learnt: {listing(losses)}"
    name = next(name for name, loss in losses.items() if loss not in component.trained_losses)
    wanted = f"that of the output {name!r} is {losses[name]}" if losses[name] else f"the output {name!r} has none"
    return f"trains with the loss {known}, but {wanted}"


def _trainers(training: Training, plugins: Plugins, losses: Mapping[str, Loss]) -> Iterable[str]:
    """Yield the trainers that know the losses and can train the project's model, and those that bring one."""
    model = training.uses["model"].component
    for name, one in plugins.of_kind("trainer").items():
        trains_it = not model.produces or one.produces == model.produces
        if not one.trains or (_knows(one, losses) and trains_it):
            yield name


def _optimizers(refused: Component, plugins: Plugins, losses: Mapping[str, Loss]) -> Iterable[str]:
    """Yield the model optimizers that know the losses and take a format that `refused` takes, too."""
    for name, one in plugins.of_kind("optimizer").items():
        if one.trains and _knows(one, losses) and set(one.accepts) & set(refused.accepts):
            yield name
