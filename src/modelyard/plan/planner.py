"""Configuration in, stages out. Pure: no file is read, no framework and no doit is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from modelyard.component import Component, Use
from modelyard.config.config import Config
from modelyard.errors import PlanError, PluginError, did_you_mean, listing
from modelyard.kinds import BUILT_IN, Kind
from modelyard.marking import SCOPED
from modelyard.metrics.rules import rules_of
from modelyard.plan.baselines import Controls, find_controls, wants_controls
from modelyard.plan.chains import Link, Steps, links
from modelyard.plan.formats import advice
from modelyard.plan.losses import check_losses
from modelyard.plan.stages import new_stage, without
from modelyard.plugins.load import Plugins
from modelyard.stage import Input, Stage
from modelyard.toml.places import KeyPlace


class Plan(msgspec.Struct, frozen=True):
    """The stages of a project, each after those that it reads; and the kinds that there may be, in the order of a build."""

    config: Config
    stages: dict[str, Stage]
    kinds: Mapping[str, Kind] = msgspec.field(default_factory=lambda: BUILT_IN)

    @property
    def present_kinds(self) -> list[str]:
        """The kinds that there are stages of, in the order of a build."""
        there = {stage.kind for stage in self.stages.values()}
        return [kind for kind in self.kinds if kind in there]

    def of_kind(self, kind: str) -> list[Stage]:
        """Return the stages of `kind`, in the order of the plan."""
        return [stage for stage in self.stages.values() if stage.kind == kind]

    def upstream(self, stage: Stage) -> list[Stage]:
        """Return the stages that `stage` reads, each once."""
        return [self.stages[s] for s in dict.fromkeys(i.stage for i in stage.inputs)]


def build_plan(config: Config, plugins: Plugins) -> Plan:
    """Return the stages that `config` asks for, checked from end to end.

    Raises:
        PlanError: formats do not fit, two stages share a name, an input does not exist, or there is a cycle.
    """
    _check_resource_names(config, plugins)
    _check_hook_kinds(plugins)
    stages = list(_Planner(config, plugins).stages())
    if config.kinds:
        from modelyard.plan.registered import with_registered  # most projects have none

        stages = with_registered(stages, config, plugins)
    plugins.amend_plan(stages)
    checked = [_checked(stage, config, plugins.kinds) for stage in stages]
    plan = Plan(config, sort_stages(checked), plugins.kinds)
    for stage in plan.stages.values():
        _check_parts(stage, plan)
    return plan


def _checked(stage: Any, config: Config, kinds: Mapping[str, Kind]) -> Stage:
    """Return a stage that a plugin may have made, with the row of its kind."""
    if not isinstance(stage, Stage) or stage.kind not in kinds:
        msg = (
            f"a plugin's modelyard_amend_plan added {stage!r}, which is no stage\n  kinds of stage: {', '.join(kinds)}"
        )
        raise PlanError(msg)
    _check_resources(stage, config)
    if stage.kind in BUILT_IN or stage.registered is not None:
        return stage
    return msgspec.structs.replace(stage, registered=kinds[stage.kind])


def _check_parts(stage: Stage, plan: Plan) -> None:
    """Check that each part that `stage` reads is one, which doit knows the file of."""
    for one in stage.inputs:
        read = plan.stages[one.stage]
        if one.part and one.part not in read.row.parts:
            msg = (
                f"stage {stage.id!r} reads the part {one.part!r} of {read.id!r}{did_you_mean(one.part, read.row.parts)}\n"
                f"  parts of a stage of the kind {read.kind!r}: {listing(read.row.parts)}; or leave it out and read all"
            )
            raise PlanError(msg)


def _check_hook_kinds(plugins: Plugins) -> None:
    for hook in SCOPED:
        for name, scope in plugins.hooks.scopes(hook):
            for kind in scope.kinds:
                if kind not in plugins.kinds:
                    msg = (
                        f"plugin {plugins.sources[name].file}: {hook} is for the kind of stage {kind!r}"
                        f"{did_you_mean(kind, plugins.kinds)}\n  kinds: {listing(plugins.kinds)}"
                    )
                    raise PluginError(msg)


def _check_resource_names(config: Config, plugins: Plugins) -> None:
    if not config.resources:
        return
    known = {*plugins.kinds, *(name for component in plugins.components.values() for name in component.resources)}
    for name in config.resources:
        if name not in known:
            msg = (
                f"{config.source.where('resources').at(name)}: unknown resource {name!r}{did_you_mean(name, known)}\n"
                f"  known: {listing(known)}: the kinds of stage, and what components say that they use"
            )
            raise PlanError(msg)


def _check_resources(stage: Stage, config: Config) -> None:
    for name in stage.resources:
        if name not in config.resources:
            msg = (
                f"stage {stage.id!r} holds the resource {name!r}, which [tool.modelyard.resources] does not have"
                f"{did_you_mean(name, config.resources)}\n  say how many there are, for instance {name} = 1"
            )
            raise PlanError(msg)


def sort_stages(stages: Iterable[Stage]) -> dict[str, Stage]:
    """Return the stages by id, each after its inputs, else in the given order.

    Raises:
        PlanError: an id is taken twice, an input names no stage, or the inputs form a cycle.
    """
    by_id: dict[str, Stage] = {}
    for stage in stages:
        if stage.id in by_id:
            msg = f"two stages are called {stage.id!r}\n  give one of them another name"
            raise PlanError(msg)
        by_id[stage.id] = stage
    done: dict[str, Stage] = {}
    for root in by_id.values():
        _visit(root, by_id, done)
    return done


def _visit(root: Stage, by_id: Mapping[str, Stage], done: dict[str, Stage]) -> None:
    """Add `root` to `done` behind all that it reads; a loop, since a chain may be longer than the recursion limit."""
    path: dict[str, Stage] = {}
    todo = [root]
    while todo:
        stage = todo[-1]
        if stage.id in done:
            todo.pop()
            continue
        path[stage.id] = stage
        waiting = [_known(i, stage, by_id) for i in stage.inputs if i.stage not in done]
        for one in waiting:
            if one.id in path:
                msg = f"the stages {one.id!r} and {stage.id!r} wait for each other\n  a plugin's modelyard_amend_plan made this cycle"
                raise PlanError(msg)
        if waiting:
            todo.append(waiting[0])
            continue
        done[stage.id] = stage
        del path[stage.id]
        todo.pop()


def _known(one: Input, stage: Stage, by_id: Mapping[str, Stage]) -> Stage:
    if one.stage not in by_id:
        msg = f"stage {stage.id!r} reads {one.stage!r}, which no stage makes"
        raise PlanError(msg)
    return by_id[one.stage]


class _Planner:
    """Makes the stages of a configuration, in the order of a build."""

    def __init__(self, config: Config, plugins: Plugins) -> None:
        self.config, self.plugins = config, plugins
        self.dataset = f"dataset:{config.uses['dataset'].component.label}"
        model = config.uses.get("model")
        self.train = f"train:{model.component.label if model else config.name}"
        self.select = f"select:{config.name}"
        self.image = f"image:{config.name}"
        self.check = f"check:{config.name}"

    def stages(self) -> Iterable[Stage]:
        uses, settings = self.config.uses, self.config.settings
        task = {"task": uses["task"]}
        yield self.stage(self.dataset, {"dataset": uses["dataset"], **task}, settings["dataset"])
        self.check_trainer()
        self.check_metrics()
        check_losses(self.config, self.plugins, uses["task"].component.loss)
        data = Input("dataset", self.dataset)
        model = {"model": uses["model"]} if "model" in uses else {}
        yield self.stage(self.train, {"trainer": uses["train"], **model}, {}, data)
        baseline = self.baseline()
        controls = self.controls(baseline)
        variants = {**self.config.variants, **controls.added}
        steps, ends = links(variants)
        for variant, chain in variants.items():
            self.check_formats(variant, chain)
        yield from map(self.optimize, steps)
        measuring = without(uses["runtime"], uses["runtime"].component.serving_only)
        finals = {variant: f"optimize:{end}" if end else self.train for variant, end in ends.items()}
        for variant, final in finals.items():
            inputs = [Input("model", final), data]
            if final != finals[baseline]:
                inputs.append(Input("baseline", finals[baseline]))  # latencies are measured in turns with it
            own = {f"metric:{name}": use for name, use in self.config.metrics.items()}
            yield self.stage(
                f"evaluate:{variant}", {"runtime": measuring, **task, **own}, settings["evaluate"], *inputs
            )
        yield self.select_stage(finals, baseline, controls)
        yield from self.deployment()

    def stage(self, stage_id: str, uses: Mapping[str, Use], settings: Mapping[str, Any], *inputs: Input) -> Stage:
        kind, _, name = stage_id.partition(":")
        return new_stage(BUILT_IN[kind], name, uses, settings, inputs, self.config)

    @property
    def trained(self) -> str:
        """The format of the model that every variant begins with."""
        return self.config.uses["train"].produces

    def check_trainer(self) -> None:
        if "model" not in self.config.uses:
            return
        model, trainer, given = self.config.uses["model"].component, self.config.uses["train"].component, self.trained
        if model.produces and model.produces != given:
            trainers = self.plugins.of_kind("trainer")
            fitting = [name for name, one in trainers.items() if one.produces == model.produces]
            msg = (
                f"{self.config.source.where('train').at('use')}: the trainer {trainer.name!r} trains {given} models, "
                f"but {model.name!r} is a {model.produces} model\n  trainers that fit: {listing(fitting)}"
            )
            raise PlanError(msg)

    def check_metrics(self) -> None:
        """Check that a metric that starts the runtime's server finds one."""
        runtime = self.config.uses["runtime"].component
        starting = [name for name, use in self.config.metrics.items() if use.component.starts_server]
        if starting and runtime.server is None:
            msg = (
                f"{self.config.source.where('metrics', starting[0])}: the metric starts the server of the runtime "
                f"{runtime.name!r}, which is in its image, not here\n  leave it out, or choose another runtime"
            )
            raise PlanError(msg)

    def check_formats(self, variant: str, steps: Steps) -> None:
        """Check that each step of a variant takes what the one before gives, and the runtime what the last one gives."""
        given, before = self.trained, "the trainer"
        for step in steps:
            optimizer = step.component
            if given not in optimizer.accepts:
                self.misfit(variant, before, given, optimizer)
            given, before = optimizer.produces, repr(optimizer.name)
        runtime = self.config.uses["runtime"].component
        if given not in runtime.accepts:
            self.misfit(variant, before, given, runtime)

    def misfit(self, variant: str, before: str, given: str, after: Component) -> NoReturn:
        is_runtime = after.kind == "runtime"
        taker = f"{after.name} (the runtime)" if is_runtime else after.name
        advised = advice(self.plugins, given, after.accepts, is_runtime=is_runtime)
        msg = (
            f"{self.config.where_variant(variant)}: {variant}: {before} gives {given}, but {taker} takes "
            f"{listing(after.accepts)}\n  {advised}"
        )
        raise PlanError(msg)

    def optimize(self, link: Link) -> Stage:
        parent = f"optimize:{link.parent}" if link.parent else self.train
        inputs = (Input("model", parent), Input("dataset", self.dataset))
        return self.stage(f"optimize:{link.name}", {"optimizer": link.steps[-1]}, {}, *inputs)

    def baseline(self) -> str:
        """Return the variant that the others are compared with: the first one unless another is named."""
        baseline: str = self.config.settings["select"]["baseline"] or next(iter(self.config.variants))
        self.check_variant("baseline", baseline)
        return baseline

    def controls(self, baseline: str) -> Controls:
        """Return the baselines that were trained as long as variants were; none if no gate needs them."""
        if not wants_controls(self.config.settings["gates"], self.config.quantities):
            return Controls()
        optimizers = self.plugins.of_kind("optimizer")
        served = self.config.uses["runtime"].component.accepts
        return find_controls(self.config.variants, baseline, optimizers, self.trained, served)

    def select_stage(self, finals: Mapping[str, str], baseline: str, controls: Controls) -> Stage:
        given = self.config.settings["gates"].items()
        gates = {name: bound for name, bound in given if name != "equal_training" and bound is not None}
        settings = {**self.config.settings["select"], "gates": gates, "baseline": baseline}
        settings |= {"trained_alike": controls.of, "trained_unlike": controls.lacking, "controls": list(controls.added)}
        self.check_variant("rule", settings["rule"], controls.added)
        inputs = [Input(f"evaluation:{v}", f"evaluate:{v}") for v in finals]
        inputs += [Input(f"model:{v}", final) for v, final in finals.items()]
        uses = {f"gate:{name}": use for name, use in self.config.gates.items()}
        return self.stage(self.select, uses, settings, *inputs)

    def check_variant(self, key: str, value: str, more: Iterable[str] = ()) -> None:
        allowed = (*(rules_of(self.config.quantities) if key == "rule" else ()), *self.config.variants, *more)
        if value not in allowed:
            place = KeyPlace(self.config.source.where("select"), key)
            msg = f"{place}: {value!r} is not allowed{did_you_mean(value, allowed)}\n  allowed: {', '.join(allowed)}"
            raise PlanError(msg)

    def deployment(self) -> Iterable[Stage]:
        config, uses = self.config, self.config.uses
        model = Input("model", self.select, "model")
        facts = {"name": config.name, "version": config.version, "port": config.settings["serve"]["port"]}
        image = {**config.settings["image"], **facts}
        image["repository"] = image["repository"] or config.name
        packed = {"builder": uses["image"], "runtime": uses["runtime"]}
        if config.events is not None:
            packed["source"] = config.events
            image |= {f"events_{key}": value for key, value in config.settings["events"].items() if key != "url"}
        yield self.stage(self.image, packed, image, model)
        reads = (
            Input("image", self.image),
            model,
            Input("reference", self.select, "reference"),
            Input("dataset", self.dataset),
        )
        yield self.stage(
            self.check, {name: uses[name] for name in ("runtime", "task")}, config.settings["check"], *reads
        )
        for name, use in config.targets.items():
            inputs = (Input("image", self.image, "image.json"), model, Input("check", self.check))
            shaping = without(use, use.component.deploy_only)
            yield self.stage(f"render:{name}", {"target": shaping}, {k: facts[k] for k in ("name", "version")}, *inputs)
