"""What is known of a build, gathered in the `doit` process without numpy; `measure` adds what artifacts hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.verdict import UP_TO_DATE
from modelyard.explain.provenance import Link, builder, facts, split_commit
from modelyard.explain.reasons import reasons
from modelyard.metrics import Quantity
from modelyard.project.last_build import read_journal
from modelyard.report.facts import Origin, ProjectFacts, StageFacts
from modelyard.stage_settings import SelectSettings
from modelyard.variants.cross_validated import folds_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.build.state import BuildState
    from modelyard.build.verdict import Verdict
    from modelyard.component import Use
    from modelyard.plan.planner import Plan
    from modelyard.stage import Stage


class VariantPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """A variant: the stage that measures it, its steps in words, its evaluation's folder, the digest of its data."""

    stage: str
    steps: tuple[str, ...]
    evaluation: str
    data: str


class OwnGate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate of a plugin's: the component, as the configuration names it, and its parameters."""

    component: str
    params: dict[str, Any]


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What the process that renders needs, as one JSON file.

    Attributes:
        out: the folder to write to.
        folder: the project's folder, for its templates.
        project: what was built.
        stages: the stages with their states.
        dataset: the data set's stage.
        artifacts: the folder of each stage that has an artifact, by stage.
        variants: the variants, in the order of the configuration.
        select: the settings of `select`; if a plugin took it out of the plan, those of one with the first variant as
            baseline, and no rule and no gates.
        selection: the stage that picks the variant that ships; empty if there is none.
        image: the image's stage; empty if there is none.
        packed_as: what the image's labels call the model among several, `NAME.VERSION.`; empty: it has no other.
        origins: what the artifacts were made of.
        folds: the folders of what a cross-validation measured, by variant and fold.
        own_gates: the gates of plugins, by name.
        quantities: what is measured of every variant.
        builder: versions of modelyard, doit and Python.
    """

    out: str
    folder: str
    project: ProjectFacts
    stages: tuple[StageFacts, ...]
    dataset: str
    artifacts: dict[str, str]
    variants: dict[str, VariantPlaces]
    select: SelectSettings
    selection: str
    image: str
    origins: tuple[Origin, ...]
    builder: dict[str, str]
    folds: dict[str, dict[str, str]] = {}
    own_gates: dict[str, OwnGate] = {}
    quantities: tuple[Quantity, ...] = ()
    packed_as: str = ""

    def baseline_of(self, variant: str) -> str:
        """Return the variant that `variant` is compared with."""
        lineage = self.select.lineages.get(variant)
        return lineage.baseline if lineage else self.select.baseline


def collect(state: BuildState, plan: Plan, out: Path) -> Collected:
    """Return what is known of the build of `plan`, the project's or that of one of its pipelines; nothing is built."""
    config = plan.config
    commit, clean = split_commit(state.workspace.commit)
    links = [
        Link(stage, record) for stage in plan.stages.values() if (record := state.workspace.record(stage)) is not None
    ]
    select = next(iter(plan.of_kind("select")), None)
    image = next(iter(plan.of_kind("image")), None)
    return Collected(
        out=str(out),
        folder=str(state.project.folder),
        project=ProjectFacts(name=config.name, version=config.version, commit=commit, clean=clean),
        stages=_stages(state, plan),
        dataset=_first(plan.of_kind("dataset")),
        artifacts={link.stage.id: str(state.workspace.folder(link.stage)) for link in links},
        variants=_variants(state, plan),
        select=select.settings_as(SelectSettings) if select else _selecting_none(config.measured[0]),
        selection=select.id if select else "",
        image=image.id if image else "",
        packed_as=_packed_as(image, select),
        origins=tuple(_origin(state, link) for link in links),
        builder=builder(),
        folds=_folds(state, plan, select),
        own_gates=_own_gates(select),
        quantities=config.quantities,
    )


def _selecting_none(baseline: str) -> SelectSettings:
    """Return the settings of a plan without a stage that selects."""
    return SelectSettings(rule="", gates={}, baseline=baseline, trained_alike={}, trained_unlike={}, controls=[])


def _folds(state: BuildState, plan: Plan, select: Stage | None) -> dict[str, dict[str, str]]:
    """Return the folders of what a cross-validation measured, of variants that it is done with."""
    read = [(one.role, plan.stages[one.stage]) for one in select.inputs] if select else []
    every = folds_in((role, state.workspace.folder(stage)) for role, stage in read)
    done = {state.workspace.folder(stage) for _, stage in read if state.workspace.record(stage) is not None}
    return {
        variant: {fold: str(folder) for fold, folder in found.items()}
        for variant, found in every.items()
        if done.issuperset(found.values())
    }


def _own_gates(select: Stage | None) -> dict[str, OwnGate]:
    uses = select.uses if select else {}
    return {
        role.removeprefix("gate:"): OwnGate(component=use.component.name, params=use.params)
        for role, use in uses.items()
    }


def _packed_as(image: Stage | None, select: Stage | None) -> str:
    """Return what the labels of `image` call the model of `select`."""
    roles = [one.role for one in image.inputs if one.stage == select.id] if image and select else []
    key = roles[0].partition(":")[2] if roles else ""
    return f"{key}." if key else ""


def _first(stages: list[Stage]) -> str:
    return stages[0].id if stages else ""


def _stages(state: BuildState, plan: Plan) -> tuple[StageFacts, ...]:
    own = state.journal  # of this run, if it did anything before the report
    journal = own if own.outcomes or own.failures else read_journal(state.workspace.journal_file)
    verdicts = state.judge.verdicts(plan.stages.values())
    shown = [plan.stages[name] for name in verdicts if name in plan.stages]  # an image reads other pipelines, too
    return tuple(_stage(state, plan, stage, verdicts, journal.outcomes, journal.failures) for stage in shown)


def _stage(
    state: BuildState,
    plan: Plan,
    stage: Stage,
    verdicts: dict[str, Verdict],
    outcomes: Mapping[str, str],
    failures: Mapping[str, str],
) -> StageFacts:
    record = state.workspace.record(stage)
    last = next(reversed(state.workspace.history(stage).entries()), None)
    status = verdicts[stage.id].status
    is_fresh = status == UP_TO_DATE
    return StageFacts(
        stage=stage.id,
        state=status,  # type: ignore[arg-type]
        how=last.how if record and last and last.key == record.key else "built" if record else "",  # type: ignore[arg-type]
        touched=outcomes.get(stage.id, "fresh") != "fresh",
        started=record.started if record else "",
        duration_s=record.duration_s if record else None,
        digest=record.digest if record else "",
        reads=tuple(one.id for one in state.plan.upstream(stage) if one.id in plan.stages),
        reasons=() if is_fresh else tuple(reason.text for reason in reasons(state, stage, verdicts)),
        failure="" if is_fresh else failures.get(stage.id, ""),
    )


def _variants(state: BuildState, plan: Plan) -> dict[str, VariantPlaces]:
    """Return the variants that are measured, those that are there for comparison included, in the order of the plan."""
    return {name: _places(state, stage) for name, stage in _measuring(plan)}


def _measuring(plan: Plan) -> list[tuple[str, Stage]]:
    """Return the name of each variant and the stage that measures it: all that `select` reads, or all that there are."""
    select = next(iter(plan.of_kind("select")), None)
    if select is None:
        return [(stage.own_name, stage) for stage in plan.of_kind("evaluate")]
    read = [(i.role.partition(":"), i.stage) for i in select.inputs]
    return [(name, plan.stages[stage]) for (role, _, name), stage in read if role == "evaluation"]


def _places(state: BuildState, stage: Stage) -> VariantPlaces:
    record = state.workspace.record(stage)
    read = record.inputs.get("dataset") if record else None
    return VariantPlaces(
        stage=stage.id,
        steps=tuple(_step(use) for use in _chain(state.plan, stage)),
        evaluation=str(state.workspace.folder(stage)),
        data=read.digest if read else "",
    )


def _chain(plan: Plan, stage: Stage) -> list[Use]:
    """Return the model optimizers between the trained model and `stage`, the first first."""
    parent = next((plan.stages[i.stage] for i in stage.inputs if i.role == "model"), None)
    if parent is None or "optimizer" not in parent.uses:
        return []
    return [*_chain(plan, parent), parent.uses["optimizer"]]


def _step(use: Use) -> str:
    """Return a model optimizer with the parameters that are not the defaults: `prune sparsity=0.5`."""
    from modelyard.explain.differences import show

    defaults = {name: one.default for name, one in use.component.parameters.items()}
    own = [f"{name}={show(value)}" for name, value in use.params.items() if value != defaults.get(name)]
    return " ".join((use.component.name, *own))


def _origin(state: BuildState, link: Link) -> Origin:
    made = facts(state, link)
    same = {name: getattr(made, name) for name in Origin.__struct_fields__ if name != "stage"}
    return Origin(stage=link.stage.id, **same)
