"""What a person sees of a build: a line a stage, a progress bar on a terminal, and a last line that sums up."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand
from doit.reporter import ConsoleReporter

from modelyard.build.engine import Engine, Outcome
from modelyard.errors import ModelyardError
from modelyard.frontend.ending import end_build
from modelyard.frontend.task_names import no_tasks
from modelyard.preflight.refusal import refuse
from modelyard.stage import Stage
from modelyard.units import duration

_REDRAW_S = 0.1
_BAR_WIDTH = 24
_BYTES = ("B", "bytes")
_NAMED = 6
"""So many variants are named in a line; of more, their number is told."""


class Screen:
    """Writes lines and, on a terminal, one status line below them that is redrawn in place."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._status = ""
        self._drawn = 0.0
        self.is_terminal = bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"

    def line(self, text: str, *, flush: bool = True) -> None:
        """Write a line, above the status line if there is one; without `flush` it may be seen later."""
        with self._lock:
            self._erase()
            self._write(f"{text}\n", flush=flush or self.is_terminal)

    def status(self, text: str) -> None:
        """Show `text` as the status line; plain streams show none."""
        now = time.monotonic()
        if not self.is_terminal or now - self._drawn < _REDRAW_S:
            return
        with self._lock:
            self._erase()
            self._status = text[: _columns() - 1]
            self._drawn = now
            self._write(self._status)

    def clear(self) -> None:
        """Remove the status line."""
        with self._lock:
            self._erase()

    def _erase(self) -> None:
        if self._status:
            self._write("\r\x1b[K")
            self._status = ""

    def _write(self, text: str, *, flush: bool = True) -> None:
        try:
            self._stream.write(text)
            if flush:
                self._stream.flush()
        except BrokenPipeError:  # `doit | head`: the build goes on, nobody is listening
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


def bar(event: dict[str, Any]) -> str:
    """Return a progress event as text: a bar when the total is known, and the note."""
    done, total = event.get("done") or 0, event.get("total")  # a NaN comes as null
    unit, note = event.get("unit") or "", " ".join((event.get("note") or "").split())
    if total:
        filled = max(0, min(_BAR_WIDTH, int(_BAR_WIDTH * done / total)))
        drawn = "#" * filled + "." * (_BAR_WIDTH - filled)
        first = _amount(done, unit if unit in _BYTES else "")
        return f"[{drawn}] {first} of {_amount(total, unit)}  {note}".rstrip()
    return f"{_amount(done, unit)}  {note}".rstrip()


def _amount(value: float, unit: str) -> str:
    if unit in _BYTES:
        return f"{value / 1e6:.1f} MB"
    text = f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
    return f"{text} {unit}".rstrip()


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """doit's reporter for a project; made by `reporter_class`, since doit wants a class."""

    desc = "modelyard's own: a line a stage, and a last line that sums up"
    engine: Engine
    stages: dict[str, Stage]
    on_start: Callable[[Any], None]
    forced = False
    """Whether every stage is to run, up to date or not; `doit -a` sets it."""

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        super().__init__(outstream, options)
        self.screen = Screen(outstream)
        self._begin = time.monotonic()
        self.outcomes: dict[str, Outcome] = {}
        self._fresh: set[str] = set()
        self._asked: tuple[str, ...] = ()
        self._failed: list[str] = []

    def initialize(self, tasks: Any, selected_tasks: Any) -> None:
        """A run begins, unless something is missing without which it cannot end well."""
        type(self).on_start(tasks)
        kinds = self.engine.plan.present_kinds
        self._asked = () if list(selected_tasks) == kinds else tuple(selected_tasks)
        self.engine.listener.on_event = self.on_event
        self.engine.listener.tell = self.screen.line
        self.engine.sweep()
        self._check_dodo(tasks, selected_tasks)
        try:
            refuse(self.engine, _needed(tasks, selected_tasks), forced=type(self).forced)
        except ModelyardError as exc:
            raise InvalidCommand(str(exc)) from None

    def _check_dodo(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Check that there are tasks for all that the selected stages read."""
        plan = self.engine.plan
        lost = {kind for kind in plan.present_kinds if kind not in tasks}
        needed = _needed(tasks, selected) if lost else ()
        for one in (one for name in needed if name in plan.stages for one in plan.upstream(plan.stages[name])):
            if one.kind in lost:
                raise InvalidCommand(no_tasks(one.kind))

    def on_event(self, stage: Stage, event: dict[str, Any]) -> None:
        """Show the progress of a stage."""
        self.screen.status(f"   {stage.id} {bar(event)}")

    def execute_task(self, task: Any) -> None:
        """A task that is not up to date begins."""
        if task.name in self.stages:
            self.screen.line(f".  {task.name}") if self.screen.is_terminal else None
        else:
            super().execute_task(task)

    def add_success(self, task: Any) -> None:
        """A task has run."""
        if task.name not in self.stages:
            return
        outcome = self.outcomes[task.name] = Outcome(task.values["how"], task.values["duration_s"])
        self.engine.journal.outcomes[task.name] = outcome.how
        words = {"built": "built", "restored": "restored from the store", "fresh": "up to date"}
        self.screen.line(
            f".  {task.name}: {words[outcome.how]} in {duration(outcome.duration_s)}{self._metrics(task.name)}"
        )

    def _metrics(self, name: str) -> str:
        from modelyard.metrics.figures import plain  # for what was built

        record = self.engine.workspace.record(self.stages[name])
        numbers = {k: v for k, v in (record.metrics if record else {}).items() if isinstance(v, int | float | str)}
        text = ", ".join(
            f"{k} {plain(v)}" if isinstance(v, float) else f"{k} {v}" for k, v in list(numbers.items())[:4]
        )
        return f"  ({text})" if text else ""

    def skip_uptodate(self, task: Any) -> None:
        """A task is up to date."""
        if task.name in self.stages:
            self._fresh.add(task.name)
            self.screen.line(f"-- {task.name}", flush=False)  # there may be thousands
        elif not task.has_subtask:
            super().skip_uptodate(task)

    def add_failure(self, task: Any, fail: Any) -> None:
        """A task has failed, or cannot run because another failed."""
        if task.name not in self.stages:
            super().add_failure(task, fail)
            return
        name = type(fail).__name__
        if name == "UnmetDependency":
            return
        self._failed.append(task.name)
        self.engine.journal.failures[task.name] = fail.message.rstrip()
        self.screen.line(f"!! {task.name} failed: {fail.message.rstrip()}")
        self._show_log(self.engine.workspace.log(self.stages[task.name]))

    def _show_log(self, log: Path) -> None:
        """Show the last lines of a failed stage's log, and where it is."""
        from modelyard.execution.log import last_lines

        lines = last_lines(log)
        if lines:
            shown = "\n".join(f"   | {line}" for line in lines)
            self.screen.line(f"   the last lines of its log, {_relative(log)}:\n{shown}")
        elif log.exists():
            self.screen.line(f"   its log is {_relative(log)}")

    def _write_failure(self, result: dict[str, Any], write_exception: bool = True) -> None:
        """Say why a task failed that is no stage: its error in words; a traceback only where its own code raised."""
        name, fail = result["task"].name, result["exception"]
        kind = type(fail).__name__
        if kind == "UnmetDependency":
            if not result["task"].has_subtask:
                self.screen.line(f"!! {name}: not run, since what it needs has failed")
            return
        told = fail.message.rstrip() if kind == "TaskFailed" else fail.get_msg().rstrip()
        self.screen.line(f"!! {name} failed: {told}" if write_exception else f"!! {name} failed")

    def complete_run(self) -> None:
        """The run is over: sum up."""
        self.screen.clear()
        self.failures: list[dict[str, Any]] = [f for f in self.failures if f["task"].name not in self.stages]
        super().complete_run()
        end_build(self.engine, changed=bool(self.outcomes), looked=bool(self._fresh), tell=self.screen.line)
        how = Counter(outcome.how for outcome in self.outcomes.values())
        reused = len(self._fresh) + how["fresh"]
        if not (self.outcomes or self._fresh or self._failed):
            return
        text = f"built {how['built']}, restored {how['restored']}, up to date {reused}"
        for line in (*self._selected(), *self._undecided()):
            self.screen.line(line)
        if self._failed:
            text = f"failed: {', '.join(self._failed)}; {text}"
        self.screen.line(f"{text} in {duration(time.monotonic() - self._begin)}")

    def _selected(self) -> Iterator[str]:
        """Yield the table of a selection that was made, or failed, in this run, or that was asked for by name."""
        told = [stage for stage in self.engine.plan.of_kind("select") if self._is_told(stage)]
        for stage in told:
            from modelyard.frontend import selection_report  # most builds make no selection

            if stage.pipeline:
                yield f"   {stage.id}"
            if stage.id in self._failed:
                yield from selection_report.failed(self.engine, stage)
            else:
                yield from selection_report.made(self.engine, stage, self._next() if stage is told[-1] else "")

    def _is_told(self, stage: Stage) -> bool:
        is_asked = stage.id in self._fresh and {stage.id, stage.kind} & {*self._asked}
        return bool(stage.id in self._failed or stage.id in self.outcomes or is_asked)

    def _next(self) -> str:
        """Return what to do next; nothing while something has failed."""
        done = {*self.outcomes, *self._fresh}
        if self._failed:
            return ""
        todo = {stage.kind for stage in self.stages.values() if stage.id not in done}
        if later := [row.coming for row in self.engine.plan.kinds.values() if row.coming and row.name in todo]:
            return f"`doit` goes on with {' and '.join(later)}"
        serve = "serve:NAME" if self.engine.plan.config.others else "serve"
        return f"`doit {serve}` tries it here, `doit report` shows all that is known of it"

    def _undecided(self) -> Iterator[str]:
        """Yield a line for each undecided gate of what was selected in this run, and one for those of other variants."""
        for stage in (stage for name, stage in self.stages.items() if stage.kind == "select" and name in self.outcomes):
            record = self.engine.workspace.record(stage)
            metrics = record.metrics if record else {}
            found, chosen = dict(metrics.get("undecided", {})), metrics.get("chosen", "")
            yield from (f"warning: {chosen} ships with a gate undecided: {text}" for text in found.pop(chosen, ()))
            if found:
                place = _relative(self.engine.workspace.folder(stage) / "table.md")
                names = sorted(found)
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                yield f"note: gates of other variants are undecided, too: {', '.join(names[:_NAMED])}{more}; see {place}"


def _needed(tasks: Mapping[str, Any], selected: Iterable[str]) -> dict[str, None]:
    """Return the names of the tasks that are selected, and of all that they depend on."""
    found: dict[str, None] = {}
    todo = list(selected)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = None
            todo += tasks[name].task_dep
    return found


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def reporter_class(engine: Engine, on_start: Callable[[Any], None]) -> type[Reporter]:
    """Return a reporter for the project of `engine`."""
    values = {
        "engine": engine,
        "stages": dict(engine.plan.stages),
        "on_start": staticmethod(on_start),
    }
    return type("ProjectReporter", (Reporter,), values)
