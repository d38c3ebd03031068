"""Build stages of a project as a build does, twice and watched: what the checks of each kind of component have in common."""

from __future__ import annotations

import atexit
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from modelyard.build.engine import Engine
from modelyard.errors import ModelyardError
from modelyard.execution.child import CRASHED
from modelyard.execution.local import Local
from modelyard.files.hashing import hash_file
from modelyard.files.locks import hold
from modelyard.plan.formats import shortest_chains
from modelyard.project.load import load, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.component import Component
    from modelyard.plugins.load import Plugins
    from modelyard.stage import Stage
    from modelyard.store.record import Record

P = ParamSpec("P")
R = TypeVar("R")

HASH_SEEDS = ("1", "2")
"""The orders of sets that a component is tried with: what it writes must not depend on them."""
VARIANT = "conformance"
"""The name of the variant that a component is tried in."""


def one_at_a_time(check: Callable[P, R]) -> Callable[P, R]:
    """Let `check` wait for other checks of its argument `project`: each builds what the stages of another may just read.

    `pytest -n` runs them side by side.
    """
    signature = inspect.signature(check)

    @functools.wraps(check)
    def in_turn(*args: P.args, **kwargs: P.kwargs) -> R:
        project: Path = signature.bind(*args, **kwargs).arguments["project"]
        with hold(state_of(project) / "locks" / "checks.lock", str(project), lambda _: None):
            return check(*args, **kwargs)

    return in_turn


@contextmanager
def engine_of(project: Path, overrides: Mapping[str, str], hash_seed: str = "random") -> Iterator[Engine]:
    """Give an engine for `project` with `overrides` as on the command line; `hash_seed` decides the order of sets in its workers.

    What these import before a stage runs is what takes longest of a small one, so they stay for the engines to come.
    """
    loaded, usual = load(project, overrides), os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed
    try:
        with closing(Engine(loaded, executor=_workers())) as engine:
            yield engine
    finally:
        os.environ.pop("PYTHONHASHSEED")
        if usual is not None:
            os.environ["PYTHONHASHSEED"] = usual


_kept: dict[str, tuple[Mapping[str, str], Local]] = {}
"""For each order of sets, the workers of the checks so far, and the variables that they were started with."""


def _workers() -> Local:
    """Return the workers of earlier checks, which have their framework imported, if what they began with is as it was."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    seed = variables["PYTHONHASHSEED"]
    began, workers = _kept.get(seed, ({}, None))
    if workers is None or began != variables:
        if workers is not None:
            workers.close()
        workers = Local(preload=("numpy",))  # which stages of nearly every kind import, and each anew
        atexit.register(workers.close)
        _kept[seed] = variables, workers
    return workers


def bring(engine: Engine, stages: Iterable[Stage]) -> None:
    """Bring `stages` up to date, in their order, and before each whatever else it reads."""
    for stage in stages:
        bring_inputs(engine, stage)
        engine.bring_up_to_date(stage)


def bring_inputs(engine: Engine, stage: Stage) -> None:
    """Bring up to date what `stage` reads, and nothing that is so already."""
    bring(engine, [upstream for upstream in engine.plan.upstream(stage) if not engine.judge.is_up_to_date(upstream)])


def run_watched(engine: Engine, component: Component, stage: Stage, behind: Sequence[Stage] = ()) -> Record:
    """Run `stage` although its result may be known, and return its record.

    Args:
        engine: of the project; what the stage reads is up to date.
        component: the component under test, for the message.
        stage: the stage that it runs in.
        behind: later stages, whose artifacts may be missing or old.

    Raises:
        AssertionError: something in the project changed besides the stage's own artifact.
    """
    apart = (stage, *behind)
    before = _files(engine, apart)
    engine.bring_up_to_date(stage, force=True)
    changed = difference(before, _files(engine, apart))
    assert not changed, f"{component.name!r} changed files of the project: {changed}; write below context.out only"
    record = engine.workspace.record(stage)
    assert record is not None
    return record


def check_same(component: Component, first: Mapping[str, object], second: Mapping[str, object]) -> None:
    """Check that two runs wrote the same.

    Raises:
        AssertionError: they did not; the message names the files.
    """
    unlike = difference(first, second)
    assert not unlike, (
        f"{component.name!r} wrote other bytes the second time: {unlike}; take every seed from context.seed"
    )


def check_refusal(component: Component, what: object, attempt: Callable[[], object]) -> None:
    """Check that `attempt`, which gives the component `what`, fails with words that help.

    Raises:
        AssertionError: it went through, crashed, or does not say what to do.
    """
    try:
        attempt()
    except ModelyardError as exc:
        message = str(exc)
    else:
        msg = f"{component.name!r} took {what!r}, which it must refuse"
        raise AssertionError(msg)
    assert "\n  " in message, f"{component.name!r} refuses, but does not say what to do on a second line: {message}"
    assert CRASHED not in message, f"{component.name!r} must refuse with an error of modelyard.errors: {message}"


def way(plugins: Plugins, start: str, goals: Sequence[str], but: Component | None = None) -> list[str] | None:
    """Return the fewest model optimizers that lead from the format `start` to one of `goals`; of several, the plain one.

    Args:
        plugins: the project's plugins, which say what is taken where a model has only to get into a format.
        start: the format to begin with.
        goals: the formats to end with.
        but: a model optimizer that is not to be among them.
    """
    chains = shortest_chains([one for one in plugins.of_kind("optimizer").values() if one != but], start, goals)
    plain = plugins.defaults.get("optimizer", "")
    return list(min(chains, key=lambda chain: (plain not in chain, chain))) if chains else None


def difference(one: Mapping[str, object], two: Mapping[str, object]) -> str:
    """Return the names whose values differ, joined by commas."""
    return ", ".join(sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name)))


def _files(engine: Engine, leave_out: Sequence[Stage]) -> dict[str, str]:
    """Return the digest of every file of the project, but for modelyard's own and the artifacts of some stages."""
    project = engine.project.folder
    folders = {engine.workspace.folder(stage) for stage in leave_out} | {
        engine.project.state,
        engine.workspace.unfinished,
    }
    files = [path for path in project.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(project)): hash_file(path) for path in files if folders.isdisjoint(path.parents)}
