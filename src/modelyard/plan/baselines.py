"""A baseline that was trained as long: what a variant that was trained on is compared with.

Pruning fine-tunes. Compared with a model that stopped training before, it may look as if it cost no accuracy, or even
gained some: that gain is extra training. A model optimizer that trains names its plain twin (the trait `trains_like`),
and the plan adds to the baseline's chain that twin with the same parameters. Variants that were trained alike share it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from modelyard.component import REQUIRED, Component, Use
from modelyard.errors import PlanError, did_you_mean, listing
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.plan.chains import Steps, chain_key, short_names


class Controls(msgspec.Struct, frozen=True):
    """The baselines that were trained as long as variants were.

    Attributes:
        added: those that no variant is, by name.
        of: the name of the baseline to compare each variant with, for those that were trained on.
        lacking: why there is none, for variants that were not trained as the baseline was.
    """

    added: dict[str, Steps] = {}
    of: dict[str, str] = {}
    lacking: dict[str, str] = {}


def wants_controls(gates: Mapping[str, Any], quantities: Iterable[Quantity]) -> bool:
    """Tell whether a gate on a drop below the baseline's is set, and is to compare what was trained alike."""
    known = gates_of(quantities)
    drops = [bound for key, bound in gates.items() if key in known and known[key].how == "drop"]
    return bool(gates["equal_training"]) and any(bound is not None for bound in drops)


def find_controls(
    variants: Mapping[str, Steps],
    baseline: str,
    optimizers: Mapping[str, Component],
    trained_format: str,
    served_formats: Collection[str],
) -> Controls:
    """Return the baselines that variants are compared with, and why a variant has none that it should have.

    A variant that the project has already is taken where its chain is the one that is needed.

    Args:
        variants: the chain of each variant.
        baseline: the baseline's name.
        optimizers: all model optimizers by name.
        trained_format: the format that the trainer gives.
        served_formats: the formats that the runtime takes.

    Raises:
        PlanError: a model optimizer trains like one that does not exist, or that needs a parameter it has not.
    """
    known = {chain_key(steps): name for name, steps in variants.items()}
    more: dict[tuple[str, ...], tuple[Steps, Steps]] = {}
    wanted: dict[str, tuple[str, ...]] = {}
    lacking: dict[str, str] = {}
    others = _training(variants[baseline], optimizers)
    for name, steps in variants.items():
        own = _training(steps, optimizers)
        if chain_key(own) == chain_key(others):
            continue
        added = own[len(others) :]
        control = _with(added, variants[baseline])
        why = _unlike(own, others) or _misfit(control, trained_format, served_formats)
        if why:
            lacking[name] = why
            continue
        wanted[name] = chain_key(control)
        more[wanted[name]] = added, control
    new = {key: found for key, found in more.items() if key not in known}
    suffixes = short_names([added for added, _ in new.values()], ())
    taken = set(variants)
    for key, suffix in zip(new, suffixes, strict=True):
        known[key] = _free(f"{baseline}-{suffix}", taken)
        taken.add(known[key])
    of = {name: known[key] for name, key in wanted.items() if known[key] != name}
    return Controls({known[key]: control for key, (_, control) in new.items()}, of, lacking)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "-2"
    return name


def _unlike(own: Steps, others: Steps) -> str:
    """Return why further training cannot make the baseline, which was trained by `others`, like a variant; else nothing."""
    if chain_key(own)[: len(others)] == chain_key(others):
        return ""
    return f"the baseline was trained further by {_names(others)}, the variant by {_names(own)}"


def _names(steps: Steps) -> str:
    """Return the steps in words, each with the parameters that are not its defaults."""
    if not steps:
        return "nothing"
    return ", ".join(" ".join((step.component.name, *_changed(step))) for step in steps)


def _changed(step: Use) -> list[str]:
    parameters = step.component.parameters
    return [f"{name}={value}" for name, value in step.params.items() if value != parameters[name].default]


def _with(added: Steps, baseline: Steps) -> Steps:
    """Return the baseline's chain with further training in it, behind that which it has."""
    place = max((n + 1 for n, step in enumerate(baseline) if step.component.trains_like), default=0)
    return (*baseline[:place], *added, *baseline[place:])


def _misfit(control: Steps, given: str, served: Collection[str]) -> str:
    """Return why a chain cannot be built, the first thing that does not fit; nothing if it can."""
    before = "the trainer"
    takers = [(step.component.name, step.component.accepts, step.component.produces) for step in control]
    for name, accepts, produces in (*takers, ("the runtime", served, "")):
        if given not in accepts:
            return f"in {_names(control)}, {before} gives {given}, but {name} takes {listing(accepts)}"
        before, given = name, produces
    return ""


def _training(steps: Steps, optimizers: Mapping[str, Component]) -> Steps:
    """Return the plain twin of every step that trains."""
    return tuple(_twin(step, optimizers) for step in steps if step.component.trains_like)


def _twin(step: Use, optimizers: Mapping[str, Component]) -> Use:
    component = step.component
    where = f"the model optimizer {component.name!r} ({component.source.file})"
    twin = optimizers.get(component.trains_like)
    if twin is None:
        near = did_you_mean(component.trains_like, optimizers)
        msg = (
            f"{where} trains like {component.trains_like!r}, which is no model optimizer{near}\n"
            f"  model optimizers: {listing(optimizers)}"
        )
        raise PlanError(msg)
    params = {name: step.params.get(name, parameter.default) for name, parameter in twin.parameters.items()}
    missing = [name for name, value in params.items() if value is REQUIRED]
    if missing:
        msg = f"{where} trains like {twin.name!r}, but has no parameter {missing[0]!r}\n  give it one, or give that a default"
        raise PlanError(msg)
    return Use(twin, params)
