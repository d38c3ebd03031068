"""Configuration in, stages out. Pure: no file is read, no framework and no doit is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.errors import PlanError, PluginError, did_you_mean, listing
from modelyard.kinds import BUILT_IN, Kind
from modelyard.marking import SCOPED
from modelyard.metrics.rules import rules_of
from modelyard.plan.delivery import Delivery
from modelyard.plan.metrics import check_metrics
from modelyard.plan.places import amended, check_ids
from modelyard.plan.road import Road, joined, lineage
from modelyard.plan.stages import new_stage, with_typed_settings
from modelyard.plugins.load import Plugins
from modelyard.stage import Input, Stage
from modelyard.stage_settings import DatasetSettings, HeldOut, Lineage, SelectSettings
from modelyard.toml.places import KeyPlace

if TYPE_CHECKING:
    from modelyard.plan.folds import Fold


class Plan(msgspec.Struct, frozen=True):
    """The stages of a project, each after those that it reads; and the kinds that there may be, in the order of a build.

    Attributes:
        config: the project's pipeline; of several the first one, which holds the others.
        stages: the stages of all pipelines, by id.
        kinds: the kinds of stage.
    """

    config: Config
    stages: dict[str, Stage]
    kinds: Mapping[str, Kind] = msgspec.field(default_factory=lambda: BUILT_IN)

    @property
    def pipelines(self) -> list[Plan]:
        """The plan of each pipeline alone, whose stages read none of another's, and of each image of several models."""
        if not self.config.others:
            return [self]
        return [self._only(msgspec.structs.replace(one, others=())) for one in self.config.pipelines]

    def _only(self, config: Config, *more: str) -> Plan:
        shown = {config.pipeline, *more}
        own = {name: stage for name, stage in self.stages.items() if stage.pipeline in shown}
        return Plan(config, own, self.kinds)

    @property
    def roads(self) -> list[Plan]:
        """The plan of each pipeline, with the stages of the images that its model is in."""
        if not self.config.others:
            return [self]
        alone = (msgspec.structs.replace(one, others=()) for one in self.config.pipelines if not one.models)
        return [self._only(one, *one.packed_in) for one in alone]

    def config_of(self, stage: Stage) -> Config:
        """Return the pipeline that `stage` is of."""
        return self.config.of(stage.pipeline)

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
    stages = [stage for one in config.pipelines for stage in _stages_of(one, plugins)]
    checked = [_checked(stage, config, plugins.kinds) for stage in _amended(stages, plugins)]
    check_ids(checked, config)
    plan = Plan(config, sort_stages(checked), plugins.kinds)
    for stage in plan.stages.values():
        _check_parts(stage, plan)
    return plan


def _stages_of(config: Config, plugins: Plugins) -> list[Stage]:
    """Return the stages of one pipeline, or of an image of several models."""
    if config.models:
        return list(Delivery(config).stages())
    stages = list(_Planner(config, plugins).stages())
    if not config.kinds:
        return stages
    from modelyard.plan.registered import with_registered  # most projects have none

    return with_registered(stages, config, plugins)


def _amended(stages: list[Stage], plugins: Plugins) -> Iterable[Stage]:
    """Return the stages as the plugins that amend plans leave them."""
    places = plugins.hooks.places("modelyard_amend_plan")
    if not places:
        return stages
    planned = list(stages)
    plugins.amend_plan(stages)
    return amended(stages, planned, ", ".join(places))


def _checked(stage: Any, config: Config, kinds: Mapping[str, Kind]) -> Stage:
    """Return a stage that a plugin may have made, with the row of its kind."""
    if not isinstance(stage, Stage) or stage.kind not in kinds:
        msg = (
            f"a plugin's modelyard_amend_plan added {stage!r}, which is no stage\n  kinds of stage: {', '.join(kinds)}"
        )
        raise PlanError(msg)
    _check_resources(stage, config)
    if stage.kind not in BUILT_IN and stage.registered is None:
        stage = msgspec.structs.replace(stage, registered=kinds[stage.kind])
    return with_typed_settings(stage)


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
    """Return the stages, of which no two have one id, by id: each after its inputs, else in the given order.

    Raises:
        PlanError: an input names no stage, or the inputs form a cycle.
    """
    by_id = {stage.id: stage for stage in stages}
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


def _folds(dataset: str, config: Config, plugins: Plugins) -> list[Fold]:
    """Return the folds of the cross-validation, if the project asks for one."""
    if config.settings.cross_validation.folds is None:
        return []
    from modelyard.plan.folds import folds_of  # most projects ask for none

    return folds_of(dataset, config, plugins)


class _Planner:
    """Makes the stages of a configuration, in the order of a build."""

    def __init__(self, config: Config, plugins: Plugins) -> None:
        self.config = config
        self.dataset = f"dataset:{config.called(config.uses['dataset'].component.label)}"
        self.roads = [Road(one, self.dataset, config, plugins) for one in config.trainings.values()]
        self.folds = _folds(self.dataset, config, plugins)
        check_metrics(config, plugins)
        self.select = f"select:{config.name}"

    def stages(self) -> Iterable[Stage]:
        uses = self.config.uses
        decoding = {role: use for role, use in self.config.handlers.items() if role.startswith("before:")}
        read = {"dataset": uses["dataset"], **self.config.tasks, **decoding}
        yield self.stage(self.dataset, read, self.splitting())
        for fold in self.folds:
            yield self.stage(fold.dataset, read, self.splitting(fold.held_out))
        self.check_names()
        for road in self.every_road():
            yield from road.stages()
        yield self.select_stage()
        if not self.config.packed_in:
            yield from Delivery(self.config).stages()

    def splitting(self, held_out: HeldOut | None = None) -> DatasetSettings:
        """Return how the data set is written, of a fold or as it is."""
        said, handlers = self.config.settings.dataset, self.config.settings.handlers
        return DatasetSettings(
            normalize=said.normalize, outputs=handlers.outputs, answer=handlers.answer, fold=held_out
        )

    def every_road(self) -> Iterator[Road]:
        """Yield the roads of all trainings, then those of each fold."""
        yield from self.roads
        for fold in self.folds:
            yield from fold.roads.values()

    def stage(self, stage_id: str, uses: Mapping[str, Use], settings: msgspec.Struct, *inputs: Input) -> Stage:
        kind, _, name = stage_id.partition(":")
        return new_stage(BUILT_IN[kind], name, uses, settings, inputs, self.config)

    def check_names(self) -> None:
        """Check that a variant of one training is not called as another's is: names may hold dots."""
        taken: dict[str, tuple[str, str]] = {}
        for road in self.every_road():
            for variant in road.finals:
                own, full = (road.training.name, variant), road.training.full(variant)
                if (other := taken.setdefault(full, own)) != own:
                    msg = (
                        f"{self.config.where_variant(variant)}: {variant!r} of the training {own[0]!r} is called {full!r}, "
                        f"and so is {other[1]!r} of the training {other[0]!r}\n  give a training or a variant another name"
                    )
                    raise PlanError(msg)

    def select_stage(self) -> Stage:
        """The stage that picks among the variants of all trainings."""
        given, controls = self.config.settings.gates.items(), joined(self.roads)
        gates = {name: bound for name, bound in given if name != "equal_training" and bound is not None}
        settings = SelectSettings(
            rule=self.config.settings.select.rule,
            gates=gates,
            baseline=self.roads[0].baseline,
            trained_alike=controls.of,
            trained_unlike=controls.lacking,
            controls=list(controls.added),
            lineages=self.lineages(),
        )
        finals = {road.training.full(v): final for road in self.roads for v, final in road.finals.items()}
        self.check_rule(settings.rule, finals)
        inputs = [Input(f"evaluation:{v}", f"evaluate:{self.config.called(v)}") for v in finals]
        inputs += [Input(f"model:{v}", final) for v, final in finals.items()]
        inputs += [one for fold in self.folds for one in fold.inputs()]
        uses = {f"gate:{name}": use for name, use in self.config.gates.items()}
        return self.stage(self.select, uses, settings, *inputs)

    def lineages(self) -> dict[str, Lineage]:
        """What `select` is told of the training of each variant; nothing where there is but one."""
        named = [road for road in self.roads if road.training.name]
        return {road.training.full(v): lineage(road, v) for road in named for v in road.finals}

    def check_rule(self, rule: str, variants: Iterable[str]) -> None:
        allowed = (*rules_of(self.config.quantities), *variants)
        if rule not in allowed:
            place = KeyPlace(self.config.source.where("select"), "rule")
            msg = f"{place}: {rule!r} is not allowed{did_you_mean(rule, allowed)}\n  allowed: {', '.join(allowed)}"
            raise PlanError(msg)
