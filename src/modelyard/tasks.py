"""Stages as doit tasks. The only module, beside doit's own plugs, that knows doit."""

from __future__ import annotations

import atexit
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from doit import doit_cmd
from doit.action import BaseAction
from doit.exceptions import InvalidDodoFile, TaskFailed

from modelyard.build.engine import Engine
from modelyard.build.verdict import of_all
from modelyard.commands.deployment import hand_down
from modelyard.commands.foreground import foreground_tasks
from modelyard.commands.wording import STATE
from modelyard.errors import ModelyardError
from modelyard.frontend import doit_records as records
from modelyard.frontend.reporter import reporter_class
from modelyard.frontend.task_names import FOREGROUND, check_task_names
from modelyard.kinds import BUILT_IN
from modelyard.project.load import Project, load
from modelyard.stage import Stage


def load_project(dodo: str) -> Tasks:
    """Load the project that the file `dodo` stands in; call it with `__file__` at the top of dodo.py.

    Raises:
        InvalidDodoFile: the project has a mistake; doit prints the message without a traceback.
    """
    try:
        return Tasks(load(Path(dodo).parent, _overrides()))
    except ModelyardError as exc:
        if os.environ.get("MODELYARD_DEBUG"):
            raise
        raise InvalidDodoFile(str(exc)) from None


def _overrides() -> dict[str, str]:
    """Return `KEY=VALUE` arguments of the command line; doit offers them one by one, by name, only."""
    return dict(doit_cmd._CMDLINE_VARS or {})  # noqa: SLF001 - a misspelt key must be an error, so all are needed


class Tasks:
    """A project's stages as doit tasks."""

    def __init__(self, project: Project) -> None:
        self.project = project
        if project.plan.kinds is not BUILT_IN:
            check_task_names(project.plugins)
        self.engine = Engine(project)
        self._running = False
        for stage in project.plan.stages.values():
            records.forget_stage[stage.id] = lambda stage=stage: self._forget(stage)  # type: ignore[misc]
        atexit.register(self.engine.close)
        _end_quietly()

    def config(self) -> dict[str, Any]:
        """Return doit's configuration for the project: `DOIT_CONFIG = project.config()`."""
        return {
            "default_tasks": self.project.plan.present_kinds,
            "backend": "modelyard",
            "dep_file": str(self.project.state / "doit.sqlite"),
            "check_file_uptodate": records.checker(self.engine.table),  # one table for all files
            "reporter": reporter_class(self.engine, self._start),
            "par_type": "thread",
            "verbosity": 2,
        }

    def tasks(self, creator: Callable[[], object] | None = None) -> Iterator[dict[str, Any]]:
        """Return the doit tasks that `creator` stands for.

        Args:
            creator: the function in dodo.py that yields from this: `task_train` for the stages of the kind `train`,
                `task_serve` for a task that acts and leaves no artifact. Its docstring describes the group. Left out,
                everything that dodo.py has no function for: the kinds of stage that plugins add, and those that were
                not there when dodo.py was written.
        """
        if creator is not None:
            return self._group(creator.__name__.removeprefix("task_"), creator.__doc__ or "")
        here = inspect.currentframe()
        assert here is not None
        assert here.f_back is not None
        return self._others({name.removeprefix("task_") for name in here.f_back.f_globals if name.startswith("task_")})

    def _group(self, name: str, doc: str) -> Iterator[dict[str, Any]]:
        """Yield the tasks of a kind of stage, or those that act, and their group."""
        if name not in self.project.plan.kinds:
            yield from foreground_tasks(self.engine, name, doc)
            return
        stages = self.project.plan.of_kind(name)
        fresh = _AllFresh([_Fresh(self.engine, stage) for stage in stages])
        yield {
            "name": None,
            "actions": None,
            "doc": doc,
            "uptodate": [fresh],
            "meta": {STATE: lambda: fresh.state},
        }
        for stage in stages:
            yield self._task(stage)

    def _others(self, named: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield the tasks of all groups but those that are `named`."""
        plan = self.project.plan
        groups = {kind: plan.kinds[kind].title for kind in plan.present_kinds} | FOREGROUND
        yield {"basename": "_others", "actions": None}  # hidden; without a task doit would list an empty group
        for name, title in groups.items():
            if name not in named:
                yield from ({"basename": name, **task} for task in self._group(name, title))

    def _start(self, tasks: dict[str, Any]) -> None:
        hand_down(tasks)
        self._running = True

    def _forget(self, stage: Stage) -> None:
        """What `doit forget` does; doit also calls it for a stage that failed, which must keep what it has."""
        if not self._running:
            self.engine.forget(stage)

    def _task(self, stage: Stage) -> dict[str, Any]:
        fresh = _Fresh(self.engine, stage)
        return {
            "name": stage.name,
            "doc": stage.doc,
            "file_dep": [self.project.plan.stages[i.stage].handle(i.part) for i in stage.inputs],
            "targets": [stage.handle(part) for part in ("", *stage.row.parts)],
            "uptodate": [fresh],
            "meta": {STATE: lambda: fresh.state},
            "actions": [_Build(self.engine, stage)],
            "clean": [(self._clean, [stage])],
        }

    def _clean(self, stage: Stage, dryrun: bool) -> None:
        """Remove the artifact of `stage`; the name `dryrun` is doit's."""
        if self.engine.workspace.folder(stage).exists():
            print(f"{stage.id} - removing {stage.place}")
            if not dryrun:
                self.engine.listener.tell = print  # no reporter does: this is no build
                self.engine.remove(stage)


class _Fresh:
    """doit's `uptodate`: whether the stage's artifact is what a build would make now."""

    __signature__ = inspect.Signature()  # doit asks for each task's; to find it out would cost more than to call it

    def __init__(self, engine: Engine, stage: Stage) -> None:
        self._engine, self._stage = engine, stage

    @property
    def state(self) -> str:
        """What a build would do with the stage; `doit list --status` and `doit info` show it."""
        return self._engine.judge.verdict(self._stage).state

    def __call__(self) -> bool:
        return self._engine.judge.is_up_to_date(self._stage)


class _AllFresh:
    """doit's `uptodate` of a group: whether all of its stages are."""

    __signature__ = inspect.Signature()

    def __init__(self, stages: list[_Fresh]) -> None:
        self._stages = stages

    @property
    def state(self) -> str:
        """What a build would do with the group; `doit list --status` and `doit info` show it."""
        return of_all(stage.state for stage in self._stages)

    def __call__(self) -> bool:
        return all(stage() for stage in self._stages)


class _Build(BaseAction):  # type: ignore[misc]
    """doit's action: bring the stage up to date."""

    task: Any = None
    out: str = ""
    err: str = ""
    result: Any = None

    def __init__(self, engine: Engine, stage: Stage) -> None:
        self._engine, self._stage = engine, stage
        self.values: dict[str, Any] = {}

    def execute(self, out: Any = None, err: Any = None) -> TaskFailed | None:  # noqa: ARG002 - doit's interface
        """Bring the stage up to date; it was up to date already only if the user forces it (`doit -a`)."""
        forced = self._engine.judge.is_up_to_date(self._stage)
        try:
            outcome = self._engine.bring_up_to_date(self._stage, force=forced)
        except ModelyardError as exc:
            return TaskFailed(str(exc))
        self.values = {"how": outcome.how, "duration_s": outcome.duration_s}  # doit carries these to the reporter
        return None

    def __str__(self) -> str:
        return f"modelyard: {self._stage.id}"

    def __repr__(self) -> str:
        return f"<Build {self._stage.id}>"


def _end_quietly() -> None:
    """Let SIGTERM do what Ctrl-C does: end the workers and keep what is done; neither shows a traceback."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    shown = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.stderr.write("interrupted: what is done is kept; `doit` goes on from here\n")
        else:
            shown(kind, value, trace)

    sys.excepthook = hook
