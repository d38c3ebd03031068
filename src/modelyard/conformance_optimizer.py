"""The contract of a model optimizer as checks that run. Plugin authors import them from `modelyard.testing`.

Everything goes the way of a build: the real configuration, plan, worker and runtime. What is broken is an
`AssertionError` whose message says which promise, and what to do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Model
from modelyard.conformance import check_component
from modelyard.engine import Engine
from modelyard.errors import ModelyardError
from modelyard.formats import shortest_chains
from modelyard.project import Project, load
from modelyard.stage_process import CRASHED
from modelyard.stages.evaluation import Evaluation, read_measured

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.component import Component
    from modelyard.plan import Stage
    from modelyard.store import Record

Step = str | Mapping[str, Any]
"""A step of a variant: a model optimizer's name, or `{"use": name, parameter: value}`."""

_VARIANT = "conformance"
_PLAIN = "float32"
"""The model optimizer to prefer where a model has only to get from one format to another."""


@dataclass(frozen=True)
class Checked:
    """What came of `check_optimizer`.

    Attributes:
        component: the model optimizer.
        model: the model that it wrote.
        metrics: what it put into `context.metrics`.
        evaluation: how the model does on the test split, once it is ready to run: accuracy, size, size after gzip.
    """

    component: Component
    model: Model
    metrics: Mapping[str, Any]
    evaluation: Evaluation


def measure(project: Path, steps: Sequence[Step]) -> Evaluation:
    """Build the variant `steps` in `project` and return how it does on the test split.

    Raises:
        ModelyardError: the configuration does not allow it, or a stage failed.
    """
    with _engine(project, steps) as engine:
        _bring(engine, _path(engine))
        return _evaluation(engine)


def check_optimizer(
    name: str,
    *,
    project: Path,
    params: Mapping[str, Any] | None = None,
    refuses: Iterable[Mapping[str, Any]] = (),
) -> Checked:
    """Check the model optimizer `name` in `project`: the contract of `modelyard_register_optimizers`, by building.

    It is documented and light to load. From every format that it says it accepts it writes the format that it says
    it gives; the same bytes in another process; nothing else in the project changes, its parent model least of all.
    What it gives runs. What it refuses, it refuses in words.

    Args:
        name: the model optimizer's name.
        project: a project with a data set, a model and a trainer, for instance `modelyard.testing.small_project`.
        params: its parameters.
        refuses: parameters that it must refuse, each a dict.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    loaded = load(project)
    component = loaded.plugins.get("optimizer", name, "check_optimizer")
    check_component(component, project)
    chains = [chain for accepted in component.accepts if (chain := _chain(loaded, component, accepted, params or {}))]
    assert chains, (
        f"model optimizer {name!r}: no trainer and model optimizers of this project lead to {component.accepts} "
        f"and from {component.produces} to its runtime; name a project in which they do"
    )
    for chain in chains:
        checked = _check_chain(component, project, *chain)
    steps, after = chains[0]
    for refused in refuses:
        refusing: list[Step] = [*steps]
        refusing[-1 - after] = {"use": name, **refused}
        _check_refusal(component, project, refusing, after)
    return checked


@dataclass(frozen=True)
class _Run:
    """One run of the model optimizer under test, and of what makes its model ready to run."""

    record: Record
    model: Model
    evaluation: Evaluation


def _check_chain(component: Component, project: Path, steps: list[Step], after: int) -> Checked:
    """Build `steps` twice, in two workers; the component stands before the last `after` steps."""
    first, second = (_run(component, project, steps, after, hash_seed=seed) for seed in ("1", "2"))
    unlike = _difference(first.record.outputs, second.record.outputs)
    assert not unlike, (
        f"{component.name!r} wrote other bytes the second time: {unlike}; take every seed from context.seed"
    )
    return Checked(component, second.model, second.record.metrics, second.evaluation)


def _run(component: Component, project: Path, steps: list[Step], after: int, *, hash_seed: str) -> _Run:
    with _engine(project, steps, hash_seed) as engine:
        path = _path(engine)
        before, subject, behind = path[: -2 - after], path[-2 - after], path[-1 - after :]
        _bring(engine, before)
        files = _files(project, engine, path[-2 - after :])
        engine.bring_up_to_date(subject, force=True)
        changed = _difference(files, _files(project, engine, path[-2 - after :]))
        assert not changed, f"{component.name!r} changed files of the project: {changed}; write below context.out only"
        _bring(engine, behind)
        record = engine.record(subject)
        assert record is not None
        return _Run(record, Model.open(engine.folder(subject)), _evaluation(engine))


def _check_refusal(component: Component, project: Path, steps: list[Step], after: int) -> None:
    try:
        _run(component, project, steps, after, hash_seed="1")
    except ModelyardError as exc:
        message = str(exc)
    else:
        msg = f"{component.name!r} took {steps[-1 - after]!r}, which it must refuse"
        raise AssertionError(msg)
    assert "\n  " in message, f"{component.name!r} refuses, but does not say what to do on a second line: {message}"
    assert CRASHED not in message, f"{component.name!r} must refuse with an error of modelyard.errors: {message}"


def _chain(
    project: Project, component: Component, accepted: str, params: Mapping[str, Any]
) -> tuple[list[Step], int] | None:
    """Return a variant with the component in it, handed a model of the format `accepted`, and the steps behind it."""
    uses = project.config.uses
    optimizers = [c for (kind, _), c in project.plugins.components.items() if kind == "optimizer" and c != component]
    before = _way(optimizers, uses["train"].component.produces, (accepted,))
    after = _way(optimizers, component.produces, uses["runtime"].component.accepts)
    if before is None or after is None:
        return None
    return [*before, {"use": component.name, **params}, *after], len(after)


def _way(optimizers: Sequence[Component], start: str, goals: Sequence[str]) -> list[Step] | None:
    """Return the fewest model optimizers that lead from the format `start` to one of `goals`, the plain one if it can be."""
    chains = shortest_chains(optimizers, start, goals)
    return list(min(chains, key=lambda chain: (_PLAIN not in chain, chain))) if chains else None


@contextmanager
def _engine(project: Path, steps: Sequence[Step], hash_seed: str = "random") -> Iterator[Engine]:
    """Give an engine for `project` with one more variant; `hash_seed` decides the order of sets in its workers."""
    overrides = {f"variants.{_VARIANT}": f"[{', '.join(map(_inline, steps))}]"}
    engine = Engine(load(project, overrides))
    usual = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed
    try:
        yield engine
    finally:
        engine.close()
        os.environ.pop("PYTHONHASHSEED")
        if usual is not None:
            os.environ["PYTHONHASHSEED"] = usual


def _inline(value: Any) -> str:
    """Return `value` as TOML on one line."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_inline(one)}' for key, one in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value)


def _path(engine: Engine) -> list[Stage]:
    """Return the stages that measure the variant, in order: data set, training, each step, evaluation."""
    stages = engine.plan.stages
    path = [stages[f"evaluate:{_VARIANT}"]]
    while (model := next((i.stage for i in path[0].inputs if i.role == "model"), None)) is not None:
        path.insert(0, stages[model])
    return [stages[path[0].inputs[0].stage], *path]


def _bring(engine: Engine, stages: Iterable[Stage]) -> None:
    """Bring `stages` up to date, in their order, and before each what else it reads: an evaluation, the baseline."""
    for stage in stages:
        _bring(engine, [upstream for upstream in engine.plan.upstream(stage) if not engine.is_fresh(upstream)])
        engine.bring_up_to_date(stage)


def _evaluation(engine: Engine) -> Evaluation:
    return read_measured(engine.folder(engine.plan.stages[f"evaluate:{_VARIANT}"])).evaluation


def _files(project: Path, engine: Engine, leave_out: Sequence[Stage]) -> dict[str, str]:
    """Return the digest of every file of the project, but for modelyard's own and the artifacts of some stages."""
    folders = {engine.folder(stage) for stage in leave_out} | {engine.project.state}
    files = [p for p in project.resolve().rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return {
        str(path.relative_to(project.resolve())): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if folders.isdisjoint(path.parents)
    }


def _difference(one: Mapping[str, object], two: Mapping[str, object]) -> str:
    """Return the names whose values differ, joined by commas."""
    return ", ".join(sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name)))
