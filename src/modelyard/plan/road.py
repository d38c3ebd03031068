"""The road from one training to its variants, each measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

import msgspec

from modelyard.component import Component, Use
from modelyard.config.config import Config
from modelyard.config.training import Training
from modelyard.errors import PlanError, did_you_mean, listing
from modelyard.kinds import BUILT_IN
from modelyard.plan.baselines import Controls, find_controls, wants_controls
from modelyard.plan.chains import Link, Steps, links
from modelyard.plan.losses import check_losses
from modelyard.plan.stages import new_stage, without
from modelyard.plugins.load import Plugins
from modelyard.stage import CLASSES_ROLE, Input, Stage
from modelyard.stage_settings import EvaluateSettings, Lineage, OptimizeSettings, TrainSettings
from modelyard.toml.places import KeyPlace


class Road:
    """The stages that train once, make the variants, and measure them.

    Args:
        training: the training.
        dataset: the stage of the data set.
        config: the project's configuration.
        plugins: the project's plugins.

    Raises:
        PlanError: formats or losses do not fit, or the baseline is no variant of it.
    """

    def __init__(self, training: Training, dataset: str, config: Config, plugins: Plugins) -> None:
        self.training, self.config, self.plugins = training, config, plugins
        self.data = Input("dataset", dataset)
        model = training.uses.get("model")
        own = training.name or (model.component.label if model else "")
        self.train = f"train:{config.called(own) if own else config.name}"
        self.check_trainer()
        check_losses(config, training, plugins)
        self.own = {name: config.variants[name] for name in training.variants}
        self.first = self.checked_baseline()
        self.controls = self.found_controls()
        variants = {**self.own, **self.controls.added}
        for variant, chain in variants.items():
            self.check_formats(variant, chain)
        self.steps, ends = links(variants)
        self.with_classes = plugins.hooks.formats_with_classes()
        self.finals = {v: f"optimize:{self.called(end)}" if end else self.train for v, end in ends.items()}

    @property
    def baseline(self) -> str:
        """The name of the variant that the others of this training are compared with, among those of all trainings."""
        return self.training.full(self.first)

    def called(self, name: str) -> str:
        """Return what the stage of a variant, or of a step to one, is called."""
        return self.config.called(self.training.full(name))

    def stages(self) -> Iterator[Stage]:
        """Yield the stages, in the order of a build."""
        uses = self.training.uses
        model = {"model": uses["model"]} if "model" in uses else {}
        settings = TrainSettings(
            loss_weights=self.loss_weights(uses["train"].component), signature=self.config.signature
        )
        yield self.stage(self.train, {"trainer": uses["train"], **model}, settings, self.data)
        yield from map(self.optimize, self.steps)
        yield from map(self.evaluate, self.finals)

    def stage(self, stage_id: str, uses: Mapping[str, Use], settings: msgspec.Struct, *inputs: Input) -> Stage:
        kind, _, name = stage_id.partition(":")
        return new_stage(BUILT_IN[kind], name, uses, settings, inputs, self.config, self.training.seed)

    def optimize(self, link: Link) -> Stage:
        parent = f"optimize:{self.called(link.parent)}" if link.parent else self.train
        name = f"optimize:{self.called(link.name)}"
        last = link.steps[-1]
        uses = {"optimizer": last, **self.classes(link)}
        settings = OptimizeSettings(loss_weights=self.loss_weights(last.component))
        return self.stage(name, uses, settings, Input("model", parent), self.data)

    def classes(self, link: Link) -> dict[str, Use]:
        """Return the project's model, as what has the classes that a file names, if the step reads such a file."""
        model = self.training.uses.get("model")
        if model is None or model.component.source.origin == "built-in":
            return {}
        given = link.steps[-2].produces if link.parent else self.training.produces
        return {CLASSES_ROLE: model} if given in self.with_classes else {}

    def loss_weights(self, component: Component) -> Mapping[str, float]:
        """Return what one that trains is told of several outputs: what the loss of each counts."""
        return self.config.loss_weights if component.trains else {}

    def evaluate(self, variant: str) -> Stage:
        uses, final = self.config.uses, self.finals[variant]
        inputs = [Input("model", final), self.data]
        if final != self.finals[self.first]:
            inputs.append(Input("baseline", self.finals[self.first]))  # latencies are measured in turns with it
        runtime = without(uses["runtime"], uses["runtime"].component.serving_only)
        running = {"runtime": runtime, **self.config.tasks, **self.config.handlers, **self.metrics()}
        return self.stage(f"evaluate:{self.called(variant)}", running, self.measuring(), *inputs)

    def measuring(self) -> EvaluateSettings:
        """Return how a variant is measured."""
        said = self.config.settings.evaluate
        return EvaluateSettings(
            batch_size=said.batch_size,
            latency_samples=said.latency_samples,
            warmup=said.warmup,
            workers=said.workers,
            test_sets=said.test_sets,
            slices=said.slices,
        )

    def metrics(self) -> dict[str, Use]:
        """Return the metrics of plugins that are measured, too, by role."""
        return {f"metric:{name}": use for name, use in self.config.metrics.items()}

    def checked_baseline(self) -> str:
        """Return the variant that the others are compared with: the first one unless another is named."""
        baseline = self.config.settings.select.baseline or next(iter(self.own))
        if baseline not in self.own:
            place = KeyPlace(self.config.source.where("select"), "baseline")
            of = f" of the training {self.training.name!r}" if baseline in self.config.variants else ""
            what = f"is no variant{of}" if of else f"is not allowed{did_you_mean(baseline, self.own)}"
            msg = f"{place}: {baseline!r} {what}\n  allowed: {', '.join(self.own)}"
            raise PlanError(msg)
        return baseline

    def found_controls(self) -> Controls:
        """Return the baselines that were trained as long as variants were; none if no gate needs them."""
        if not wants_controls(self.config.settings.gates, self.config.quantities):
            return Controls()
        optimizers = self.plugins.of_kind("optimizer")
        served = self.config.uses["runtime"].component.accepts
        return find_controls(self.own, self.first, optimizers, self.training.produces, served)

    def check_trainer(self) -> None:
        uses = self.training.uses
        if "model" not in uses:
            return
        model, trainer, given = uses["model"].component, uses["train"].component, self.training.produces
        if model.produces and model.produces != given:
            trainers = self.plugins.of_kind("trainer")
            fitting = [name for name, one in trainers.items() if one.produces == model.produces]
            msg = (
                f"{self.training.where['train'].at('use')}: the trainer {trainer.name!r} trains {given} models, "
                f"but {model.name!r} is a {model.produces} model\n  trainers that fit: {listing(fitting)}"
            )
            raise PlanError(msg)

    def check_formats(self, variant: str, steps: Steps) -> None:
        """Check that each step of a variant takes what the one before gives, and the runtime what the last one gives."""
        given, before = self.training.produces, "the trainer"
        for step in steps:
            optimizer = step.component
            if given not in optimizer.accepts:
                self.misfit(variant, before, given, optimizer)
            given, before = optimizer.produces, repr(optimizer.name)
        runtime = self.config.uses["runtime"].component
        if given not in runtime.accepts:
            self.misfit(variant, before, given, runtime)

    def misfit(self, variant: str, before: str, given: str, after: Component) -> NoReturn:
        from modelyard.plan.formats import advice  # nobody makes mistakes as a rule

        is_runtime = after.kind == "runtime"
        taker = f"{after.name} (the runtime)" if is_runtime else after.name
        advised = advice(self.plugins, given, after.accepts, is_runtime=is_runtime)
        name = self.training.name
        of = f" of the training {name!r}" if name else ""
        choose = "\n  or say with `variants` which ones the training has" if name else ""
        msg = (
            f"{self.config.where_variant(variant)}: {variant}{of}: {before} gives {given}, but {taker} takes "
            f"{listing(after.accepts)}\n  {advised}{choose}"
        )
        raise PlanError(msg)


def lineage(road: Road, variant: str) -> Lineage:
    """Return what is told of the training of a variant."""
    training = road.training
    seedless = f"{training.over_seeds}.{variant}" if training.over_seeds else ""
    return Lineage(training.name, road.baseline, seedless)


def joined(roads: Iterable[Road]) -> Controls:
    """Return the controls of all roads, each by its name among those of all trainings."""
    added: dict[str, Steps] = {}
    of: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for road in roads:
        full, found = road.training.full, road.controls
        added |= {full(name): chain for name, chain in found.added.items()}
        of |= {full(name): full(control) for name, control in found.of.items()}
        lacking |= {full(name): why for name, why in found.lacking.items()}
    return Controls(added, of, lacking)
