"""The child that runs one stage: its output goes to the stage's log, its answer to a file."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from modelyard.code.blame import line_in, own_line, said
from modelyard.contexts import StageContext
from modelyard.errors import ModelyardError, StageFailed
from modelyard.execution import lifecycle
from modelyard.execution.extras import install_command, of_module
from modelyard.execution.job import Job
from modelyard.execution.protocol import Failure, Request, Result
from modelyard.execution.watching import Rules, Watch
from modelyard.files.json import write_bytes
from modelyard.keys import pinning
from modelyard.project.load import Project

CRASHED = "the traceback is in the log"
"""The last line of an error that is none of `modelyard.errors`: whatever raised it did not mean to tell a person."""


def emit(events: int, event: dict[str, Any]) -> None:
    """Write one event as a line, whole; a line too long for that loses its note."""
    line = msgspec.json.encode(event) + b"\n"
    if len(line) > select.PIPE_BUF:
        line = msgspec.json.encode({**event, "note": ""}) + b"\n"
    with contextlib.suppress(BrokenPipeError):
        os.write(events, line)


def run_child(request: Request, loaded: Project | Exception, watch: Watch, events: int, temporary: Path) -> None:
    """Run `request` in this process, which was forked for it, and end the process.

    Args:
        request: the stage and its places.
        loaded: the project, or why the stage cannot run in it.
        watch: hears what the stage reads.
        events: the file descriptor that progress is written to.
        temporary: a folder for the stage's temporary files, new or empty, which is for who forked this process to remove.
    """
    code = 1
    try:
        _redirect(request.log)
        _put_temporary_files(temporary)
        result = run_request(request, loaded, watch, events)
        write_bytes(request.result, msgspec.json.encode(result))
        code = 0 if result.failure is None else 1
    except OSError as exc:  # of the log or the answer; the stage's own errors are in the answer
        print(f"{exc.filename or request.result}: {exc.strerror}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(target, 1)
    os.dup2(target, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _put_temporary_files(folder: Path) -> None:
    """Have temporary files made in `folder`: this process ends at once, without what a library does at exit about its own."""
    folder.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def run_request(request: Request, loaded: Project | Exception, watch: Watch, events: int) -> Result:
    """Run the stage of `request` and return what came of it; no error of a plugin gets past this.

    Args:
        request: the stage and its places.
        loaded: the project, or why the stage cannot run in it.
        watch: hears what the stage reads.
        events: the file descriptor that progress is written to.
    """
    job: Job | None = None
    try:
        job = _job(request, loaded, watch, events)
        watch.begin(request.stage, _rules(request, job), f"{request.result}.seen")
        metrics = _run(job)
        seen = watch.end()
    except (Exception, SystemExit) as exc:  # a model that calls sys.exit() has failed as well
        cause = watch.cause(exc)
        if job is not None and isinstance(exc, Exception):
            _tell_plugins(job, exc)
        return Result(failure=Failure(explain(cause, job), "".join(traceback.format_exception(exc))))
    return Result(metrics=metrics, seen=seen)


def _job(request: Request, loaded: Project | Exception, watch: Watch, events: int) -> Job:
    if isinstance(loaded, Exception):
        raise loaded
    project, stage = loaded, loaded.plan.stages[request.stage]

    def progress(done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        amount = {"done": float(done), "total": None if total is None else float(total)}  # they may be numpy's
        emit(events, {"id": request.id, **amount, "unit": unit, "note": note[:500]})

    def log(line: str) -> None:
        print(line, flush=True)

    context = StageContext(
        out=Path(request.out),
        project=Path(request.project),
        cache=Path(request.cache),
        seed=stage.seed or 0,
        threads=stage.threads,
        code=request.code,
        progress=progress,
        log=log,
    )
    inputs = {role: Path(path) for role, path in request.inputs.items()}
    return Job(stage, project.plan, project.plugins, inputs, context, Path(request.log), watch.unheard, request.ways)


def _rules(request: Request, job: Job) -> Rules:
    """Return what counts for the stage of `request`."""
    components = [use.component for use in job.stage.uses.values()]
    known = {name for c in components for name in (*c.reads_environment, *c.environment)}
    known |= {*pinning.variables(job.stage.threads, job.stage.isa), *pinning.SHAPING}
    settings = asdict(job.plan.config.settings.reads)
    return Rules(request.sources, tuple(request.files), frozenset(known), **settings)


def _run(job: Job) -> dict[str, Any]:
    for use in job.stage.uses.values():
        for name, value in use.component.environment.items():
            os.environ[name] = value
    runner = importlib.import_module(job.stage.row.runner)
    lifecycle.before(job)
    runner.run(job)
    lifecycle.after(job)
    try:
        return dict(msgspec.to_builtins(job.base.metrics, enc_hook=_plain))
    except TypeError as exc:
        msg = f"metrics hold something that is not a number, text, list or dict: {exc}"
        raise StageFailed(msg) from exc


def _plain(value: Any) -> Any:
    """Turn numpy scalars and arrays into numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    msg = f"{type(value).__name__}: {value!r}"
    raise TypeError(msg)


def _tell_plugins(job: Job, error: Exception) -> None:
    try:
        lifecycle.tell_error(job, error)
    except Exception:
        traceback.print_exc()  # the stage's own error is what the person must see


def explain(exc: BaseException, job: Job | None) -> str:
    """Return what went wrong in words: the line of the project's own code, else the component, and what it raised."""
    if isinstance(exc, ModelyardError):
        return _with_line(exc, job)
    line = own_line(exc, job.base.project, [use.component for use in job.stage.uses.values()]) if job else None
    if line is None:
        return _join(_component(exc, job), exc, " ")
    return _join(str(line), exc, "\n  ")


def _with_line(exc: ModelyardError, job: Job | None) -> str:
    """Return an error in our words; where it was made of one that the project's own code raised, with that line below."""
    cause = exc.__cause__
    line = own_line(cause, job.base.project) if job and cause and not isinstance(cause, ModelyardError) else None
    return str(exc) if line is None or f"{line.file}:{line.number}" in str(exc) else f"{exc}\n  {line}"


def _component(exc: BaseException, job: Job | None) -> str:
    """Return the first component of the stage, with the innermost line of its file that the error came through."""
    use = next(iter(job.stage.uses.values()), None) if job else None
    if use is None:
        return job.stage.id if job else "modelyard"
    number = line_in(exc, use.component.file)
    place = f"{use.component.file}:{number}" if number else str(use.component.file)
    return f"the {use.component.kind} {use.component.name!r} ({place})"


def _join(where: str, exc: BaseException, separator: str) -> str:
    """Return the place and what happened there, with the next step."""
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return f"{where}{separator}needs the module {exc.name!r}, which is not installed\n  {how_to_install(exc.name)}"
    if isinstance(exc, MemoryError):
        return f"{where}{separator}ran out of memory\n  use a smaller batch, or a machine with more"
    return f"{where}{separator}raised {said(exc)}\n  {CRASHED}"


def how_to_install(module: str, extra: str = "") -> str:
    """Return the command that installs `module`: with the extra that has it, `extra` if that is known."""
    command = f"python -m pip install 'modelyard[{extra}]'" if extra else install_command([of_module(module)])
    return f"run: {command}"
