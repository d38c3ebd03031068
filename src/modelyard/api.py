"""A project from Python, for notebooks and scripts: load it, bring stages up to date, read what they made.

    from modelyard import api

    project = api.load(".", {"train.epochs": 3})
    api.build(project, "evaluate:int8")
    print(api.read(project, "evaluate:int8").evaluation.metric("accuracy").value)

It is the same build as `doit`'s: the same keys, store and checks, in processes of their own, so that a notebook imports no
framework. `ModelyardError` is the base of all that is raised on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, ImageFacts, Model
from modelyard.build.engine import Engine, Listener, Outcome
from modelyard.config.overrides import inline_toml
from modelyard.errors import ModelyardError, PlanError
from modelyard.files.json import read_json
from modelyard.frontend.ending import end_build
from modelyard.plan.names import stages_named, with_upstream
from modelyard.preflight.refusal import refuse
from modelyard.project.load import Project
from modelyard.project.load import load as load_project
from modelyard.variants.evaluation import Measured, read_measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.stage import Stage

Artifact = Dataset | Model | Measured | ImageFacts | Path

__all__ = ["Artifact", "Outcome", "Project", "build", "load", "read"]


def load(folder: str | Path = ".", overrides: Mapping[str, Any] | None = None) -> Project:
    """Load the project in `folder`.

    Args:
        folder: where its pyproject.toml is.
        overrides: values for this project object alone, by dotted key, as on the command line: `{"train.epochs": 3}`.
            `{"profile": "release"}` lays a profile over the file.

    Raises:
        ModelyardError: the configuration, a plugin or the plan has a mistake; the message says where.
    """
    given = {key: value if isinstance(value, str) else inline_toml(value) for key, value in (overrides or {}).items()}
    return load_project(Path(folder), given)


def build(project: Project, *names: str, tell: Callable[[str], None] = print) -> dict[str, Outcome]:
    """Bring stages up to date, and first all that they read; what is up to date costs a look.

    Args:
        project: what `load` returned; load it again after an edit of pyproject.toml or of a plugin.
        names: stages (`train:digits-cnn`), kinds (`train`: all of that kind) or patterns (`optimize:*`); none: all.
        tell: takes a line for each stage that was not up to date.

    Returns:
        For each stage, in the order in which they were looked at, whether it was `built`, `restored` or `fresh`, and how
        many seconds that took.

    Raises:
        ModelyardError: a stage failed, or something is missing without which the build could not end well. What was made
            before is kept.
    """
    plan = project.plan
    stages = with_upstream(plan, stages_named(plan, names, "build") if names else list(plan.stages.values()))
    engine = Engine(project, Listener(tell=tell))
    outcomes: dict[str, Outcome] = {}
    try:
        engine.sweep()
        refuse(engine, [stage.id for stage in stages])
        for stage in stages:
            outcomes[stage.id] = _up_to_date(engine, stage, tell)
    finally:
        engine.journal.outcomes = {name: one.how for name, one in outcomes.items() if one.how != "fresh"}
        end_build(engine, changed=bool(engine.journal.outcomes), looked=bool(outcomes), tell=tell)
        engine.close()
    return outcomes


def _up_to_date(engine: Engine, stage: Stage, tell: Callable[[str], None]) -> Outcome:
    if engine.judge.is_up_to_date(stage):
        return Outcome("fresh", 0.0)
    try:
        outcome = engine.bring_up_to_date(stage)
    except ModelyardError as exc:
        engine.journal.failures[stage.id] = str(exc)
        raise
    tell(f"{stage.id}: {outcome.how} in {outcome.duration_s:.1f} s")
    return outcome


def read(project: Project, name: str) -> Artifact:
    """Return what a stage made; it must be up to date, for nothing stale is read by mistake.

    Args:
        project: what `load` returned.
        name: the stage, `kind:name`; the kind alone where there is one stage of it.

    Returns:
        Of `dataset` a `Dataset`, of `train` and `optimize` a `Model`, of `evaluate` what was `Measured`, of `select` the
        `Model` that ships, of `image` its `ImageFacts`; of any other kind the artifact's folder.

    Raises:
        PlanError: there is no such stage, or more than one.
        ModelyardError: the stage is not up to date, or a file of it is damaged.
    """
    found = stages_named(project.plan, [name], "read")
    if len(found) > 1:
        msg = f"read: {name!r} names {len(found)} stages\n  name one: {', '.join(stage.id for stage in found)}"
        raise PlanError(msg)
    engine = Engine(project)
    try:
        if not engine.judge.is_up_to_date(found[0]):
            msg = f"read: {found[0].id} is not up to date\n  bring it up to date: api.build(project, {found[0].id!r})"
            raise PlanError(msg)
        return _artifact(found[0].kind, engine.workspace.folder(found[0]))
    finally:
        engine.close()


def _artifact(kind: str, folder: Path) -> Artifact:
    if kind == "dataset":
        return Dataset.open(folder)
    if kind in ("train", "optimize", "select"):
        return Model.open(folder / "model" if kind == "select" else folder)
    if kind == "evaluate":
        return read_measured(folder)
    return read_json(folder / "image.json", ImageFacts) if kind == "image" else folder
