"""Tasks that act instead of making a stage's artifact, such as `serve`, `push` and `deploy`. They run only when asked for."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from doit.action import BaseAction
from doit.exceptions import TaskFailed

from modelyard.build.engine import Engine
from modelyard.commands import deployment, events
from modelyard.commands.wording import STAYS
from modelyard.errors import ModelyardError, ToolError
from modelyard.plan.planner import Plan
from modelyard.stage import Stage
from modelyard.stage_settings import ImageSettings
from modelyard.system import end_with_parent


class Act(BaseAction):  # type: ignore[misc]
    """A doit action that calls a function with the terminal to itself; a user's mistake gives no traceback."""

    task: Any = None
    out: str = ""
    err: str = ""
    result: Any = None

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self.values: dict[str, Any] = {}

    def execute(self, out: Any = None, err: Any = None) -> TaskFailed | None:  # noqa: ARG002 - doit's interface
        """Call the function with the task's options."""
        try:
            self._function(**(self.task.options or {}))
        except ModelyardError as exc:
            return TaskFailed(str(exc))
        return None

    def __str__(self) -> str:
        return f"modelyard: {self._function}"


REPORT = "artifacts/report/{}"
"""The report's folder, below the project's."""


_NEEDED = {"serve": ("select", "image"), "push": ("image",)}
"""The kinds of stage, in this order, of which one must be there: a plugin may have taken it out of the plan."""


def foreground_tasks(engine: Engine, name: str, doc: str) -> Iterator[dict[str, Any]]:
    """Yield the doit tasks called `name`, for instance `serve`; `doc` says what their group does."""
    found = (
        engine.plan.roads if name == "report" else sorted(engine.plan.pipelines, key=lambda one: not one.config.models)
    )
    plans = [
        one for one in found if name not in _NEEDED or any(_main(one, kind) in one.stages for kind in _NEEDED[name])
    ]
    if name == "events":
        yield from events.tasks(engine, doc, Act)
    elif name in deployment.PARAMS:
        yield from deployment.tasks(engine, name, doc, Act)
    elif plans:
        stays = {"meta": {STAYS: True}} if name == "serve" else {}
        yield {"name": None, "actions": None, "doc": doc, **stays}
        for plan in plans:
            yield from _TASKS[name](engine, plan)


def _main(plan: Plan, kind: str) -> str:
    """Return the stage of a kind of which each pipeline has one."""
    return f"{kind}:{plan.config.name}"


def _serve_tasks(engine: Engine, plan: Plan) -> Iterator[dict[str, Any]]:
    serving = plan.config.settings.serve
    models = plan.config.models
    what = f"the {len(models)} models of the image" if models else "the selected model"
    doc = f"serve {what} on {serving.host}:{serving.port} until Ctrl-C"
    selected = dict.fromkeys(f"select:{one.config.name}" for one in models) or [_main(plan, "select")]
    needs = [engine.plan.stages[one].handle("model") for one in selected]
    yield _task(plan.config.name, doc, needs, functools.partial(serve, engine, plan))


def _push_tasks(engine: Engine, plan: Plan) -> Iterator[dict[str, Any]]:
    stage, check = plan.stages[_main(plan, "image")], plan.stages.get(_main(plan, "check"))
    doc = f"push {stage.settings_as(ImageSettings).repository} to its registry"
    # the image must answer as it should; where a plugin took the check away, it must be there
    needs = [check.handle() if check else stage.handle("image.json")]
    yield _task(plan.config.name, doc, needs, functools.partial(push, engine, stage))


def _report_tasks(engine: Engine, plan: Plan) -> Iterator[dict[str, Any]]:
    name = plan.config.name
    doc = f"write {REPORT.format(name)}/index.html about what is built"
    clean = [(clean_report, [engine, name])]
    yield {**_task(name, doc, [], functools.partial(report, engine, plan)), "clean": clean}


def _export_tasks(engine: Engine, plan: Plan) -> Iterator[dict[str, Any]]:
    folder = plan.config.settings.export.folder
    for stage in plan.of_kind("render"):
        doc = f"write what render:{stage.name} made to {folder}/{stage.name}/, for git"
        yield _task(stage.name, doc, [stage.handle()], functools.partial(export, engine, stage))


_TASKS: dict[str, Callable[[Engine, Plan], Iterator[dict[str, Any]]]] = {
    "serve": _serve_tasks,
    "push": _push_tasks,
    "report": _report_tasks,
    "export": _export_tasks,
}


def _task(name: str, doc: str, needs: list[str], function: Callable[[], None]) -> dict[str, Any]:
    return {
        "name": name,
        "doc": doc,
        "file_dep": needs,
        "uptodate": [False],
        "actions": [Act(function)],
        "verbosity": 2,
    }


def serve(engine: Engine, plan: Plan) -> None:
    """Run the runtime's server on the selected model, or those of an image, until it is interrupted.

    Raises:
        ToolError: the server ended by itself with an error, which it has printed; or the runtime has none outside of
            its image.
    """
    from modelyard.commands.serving import prepare
    from modelyard.launch.local_server import command

    with tempfile.TemporaryDirectory(prefix="modelyard-serve-") as folder:
        variables = prepare(engine, plan, Path(folder), "serve")
        code = _run(command(plan.config.uses["runtime"]), variables)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM):
        msg = f"serve: the server ended with exit code {code}\n  its own message is above"
        raise ToolError(msg)


def _run(command: list[str], variables: dict[str, str]) -> int:
    """Run a server in the foreground; Ctrl-C reaches it too, and it is given the time to drain.

    Where `doit` is asked to end, so is the server; where it is killed, the kernel asks the server.
    """
    process = subprocess.Popen(command, env=variables, preexec_fn=end_with_parent)  # noqa: PLW1509 - one call, no lock
    try:
        with _handing_on(process):
            return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            process.terminate()
            return 0 if process.wait() >= 0 else 130
        process.kill()
        return 130


@contextlib.contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand SIGTERM on to a process, and wait for it; under `doit -n`, in a thread, the kernel alone tells it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def push(engine: Engine, stage: Stage) -> None:
    """Push the image of `stage` to the registry that its repository names.

    Raises:
        ToolError: the image has no archive, or the registry says no.
    """
    from modelyard.artifacts import ImageFacts
    from modelyard.files.json import read_json
    from modelyard.frontend.reporter import Screen, bar
    from modelyard.oci.registry import push as push_archive

    folder = engine.workspace.folder(stage)
    facts = read_json(folder / "image.json", ImageFacts)
    if facts.archive is None:
        msg = (
            f"push: the builder {facts.builder!r} writes no archive of its image\n"
            f"  push {facts.repository}:{facts.tag} as that builder says, or use a builder that writes an archive"
        )
        raise ToolError(msg)
    screen = Screen(sys.stdout)

    def report(done: int, total: int, note: str) -> None:
        screen.status(f"   push {bar({'done': done, 'total': total, 'unit': 'B', 'note': note})}")

    insecure = engine.plan.config_of(stage).settings.push.insecure
    pushed = push_archive(folder / facts.archive, facts.repository, facts.tag, insecure=insecure, report=report)
    sent = f"{len(pushed.sent)} blobs sent ({pushed.sent_bytes / 1e6:.1f} MB), {len(pushed.present)} were there"
    screen.clear()
    screen.line(f"   pushed {pushed.reference}: {sent}")


def export(engine: Engine, stage: Stage) -> None:
    """Write what the target of `stage` rendered to the folder for git, and say what changed there.

    Raises:
        ToolError: the folder cannot be written.
        StageFailed: somebody changed there what an earlier export wrote.
    """
    from modelyard.rendering.exporting import export as write

    target = engine.project.folder / engine.plan.config_of(stage).settings.export.folder / stage.name
    record = engine.workspace.record(stage)
    try:
        done = write(engine.workspace.folder(stage), record.outputs if record else (), target)
    except OSError as exc:
        msg = f"export: {exc.filename or target}: {exc.strerror}"
        raise ToolError(msg) from exc
    said = f"{len(done.written)} written, {len(done.removed)} removed, {len(done.kept)} unchanged"
    print(f"   {os.path.relpath(target)}/: {said}")
    print(
        "".join(f"     + {name}\n" for name in done.written) + "".join(f"     - {name}\n" for name in done.removed),
        end="",
    )


def report(engine: Engine, plan: Plan) -> None:
    """Write the report on what is there of `plan`, in a process of its own; nothing is built for it.

    Raises:
        ToolError: the report cannot be written; the message says why.
    """
    import msgspec

    from modelyard.execution.protocol import Result
    from modelyard.files.json import read_json, write_bytes
    from modelyard.report.collect import collect

    out = engine.project.folder / REPORT.format(plan.config.name)
    with tempfile.TemporaryDirectory(prefix="modelyard-report-") as folder:
        request, result = Path(folder, "request.json"), Path(folder, "result.json")
        write_bytes(request, msgspec.json.encode(collect(engine, plan, out)))  # the variants keep their order
        command = [sys.executable, "-m", "modelyard.report", str(request), str(result)]
        # of its own session: Ctrl-C reaches the doit process alone, which then ends this one
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, start_new_session=True).returncode
        if not result.exists():
            msg = f"report: its process ended with exit code {code}\n  its own message is above"
            raise ToolError(msg)
        failure = read_json(result, Result).failure
    if failure is not None:
        raise ToolError(failure.message + (f"\n{failure.traceback}" if os.environ.get("MODELYARD_DEBUG") else ""))
    _tell_report(out)


def _tell_report(out: Path) -> None:
    from modelyard.report.facts import read_report

    for note in read_report(out).notes:
        print(f"   note: {note}")
    for file in ("index.html", "report.md", "report.json"):
        print(f"   {os.path.relpath(out / file)}: {(out / file).stat().st_size / 1000:,.1f} kB")


def clean_report(engine: Engine, called: str, dryrun: bool) -> None:
    """Remove the report that is `called` so; the name `dryrun` is doit's."""
    import shutil

    name = REPORT.format(called)
    folder = engine.project.folder / name
    if folder.exists():
        print(f"report:{called} - removing {name}")
        if not dryrun:
            shutil.rmtree(folder)
