"""The roads of a cross-validation: each training once more for each fold, measured on what that fold holds out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.config.several import chosen
from modelyard.config.tables import CROSS_VALIDATION as TABLE
from modelyard.config.training import Training
from modelyard.errors import PlanError
from modelyard.plan.baselines import Controls
from modelyard.plan.road import Road
from modelyard.plugins.load import Plugins
from modelyard.stage import Input
from modelyard.stage_settings import EvaluateSettings, HeldOut

MOST = 1024
"""Variants of all folds together: each is measured."""


class FoldRoad(Road):
    """The stages that train on one fold, make the variants of it, and measure them on what is held out.

    Nothing of it ships: it is compared with no other baseline, and no latency of it is wanted.
    """

    def found_controls(self) -> Controls:
        """Return those of the training that ships, if every variant is measured: its rows have the means, too."""
        return super().found_controls() if self.config.settings.cross_validation.measures_all else Controls()

    def measuring(self) -> EvaluateSettings:
        """Return how it is measured: further test sets and slices are of the test split."""
        once = super().measuring()
        return msgspec.structs.replace(once, latency_samples=1, warmup=0, test_sets=[], slices=[])

    def metrics(self) -> dict[str, Use]:
        """Return the metrics of plugins that say how good answers are, or could: a server is started for none."""
        return {role: use for role, use in super().metrics().items() if not use.component.starts_server}


class Fold(msgspec.Struct, frozen=True):
    """One fold: the stage of its data set, and for each training the name of that and its road.

    Attributes:
        number: which one it is, from 0.
        dataset: the stage of its data set.
        held_out: what tells that stage which fold it is.
        roads: the road of each training, by the training's name.
    """

    number: int
    dataset: str
    held_out: HeldOut
    roads: Mapping[str, FoldRoad]

    def inputs(self) -> Iterator[Input]:
        """Yield what is measured of each variant, for the stage that puts it together."""
        for name, road in self.roads.items():
            for variant in road.finals:
                full = f"{name}.{variant}" if name else variant
                yield Input(f"fold:{self.number}:{full}", f"evaluate:{road.called(variant)}")


def folds_of(dataset: str, config: Config, plugins: Plugins) -> list[Fold]:
    """Return the folds of the cross-validation that the project asks for.

    Args:
        dataset: the stage of the data set.
        config: the project's configuration.
        plugins: the project's plugins.

    Raises:
        ConfigError: a variant is not there.
        PlanError: there are too many of them, or one is of a model that no fold trains.
    """
    wanted = config.settings.cross_validation
    assert wanted.folds is not None, "the planner asks for none otherwise"
    variants = _variants(config)
    _check_number(config, variants, wanted.folds)
    for training in config.trainings.values():
        _check_trained(config, training, variants)
    return [_fold(number, wanted.folds, variants, dataset, config, plugins) for number in range(wanted.folds)]


def _fold(number: int, folds: int, variants: Sequence[str], dataset: str, config: Config, plugins: Plugins) -> Fold:
    own = f"{dataset}.fold-{number}"
    roads = {
        name: FoldRoad(_training(one, number, variants, config), own, config, plugins)
        for name, one in config.trainings.items()
    }
    return Fold(number, own, HeldOut(folds, number), roads)


def _training(training: Training, number: int, variants: Sequence[str], config: Config) -> Training:
    """Return a training on one fold: of its variants those that are wanted, and the one that latencies are compared with."""
    baseline = config.settings.select.baseline or next(iter(training.variants))
    kept = tuple(one for one in training.variants if one in variants or one == baseline)
    return msgspec.structs.replace(training, name=training.full(f"fold-{number}"), variants=kept, over_seeds="")


def _variants(config: Config) -> tuple[str, ...]:
    where = config.source.where(TABLE).at("variants")
    return chosen(config.settings.cross_validation.variants or ["*"], where, tuple(config.variants))


def _check_number(config: Config, variants: Sequence[str], folds: int) -> None:
    many = folds * sum(variant in variants for one in config.trainings.values() for variant in one.variants)
    if many > MOST:
        msg = f"{config.source.where(TABLE)}: {many:,} variants of all folds are more than {MOST:,}\n  choose some with variants, or set a smaller folds"
        raise PlanError(msg)


def _check_trained(config: Config, training: Training, variants: Sequence[str]) -> None:
    """Refuse variants that no fold trains: of a model that was trained before, nothing is held out."""
    trainer = training.uses["train"].component
    wanted = () if trainer.learns else (one for one in training.variants if one in variants)
    for variant in wanted:
        if not any(step.component.trains for step in config.variants[variant]):
            msg = (
                f"{config.source.where(TABLE)}: no fold trains {training.full(variant)!r}: the trainer {trainer.name!r} brings a model that is trained already\n"
                "  remove the table, or choose with variants those that a model optimizer trains further"
            )
            raise PlanError(msg)
