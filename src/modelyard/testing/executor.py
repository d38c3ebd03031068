"""The contract of executors, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.elsewhere import OPTIONS
from modelyard.build.engine import Engine
from modelyard.config.overrides import inline_toml
from modelyard.executors import Job
from modelyard.project.load import load
from modelyard.testing.building import bring_inputs, one_at_a_time
from modelyard.testing.component import check_component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from modelyard.executors import Executor
    from modelyard.keys.platform import Platform

_GRACE_S = 2.0
"""How long a job that was cancelled must have been silent to count as stopped; it is heard of five times a second."""
_LONGEST_S = 600
"""When a job that was forgotten ends by itself, in seconds."""
_JOB = """
import json, os, subprocess, sys, time, uuid
import fsspec
_, code, url, longest_s, role = sys.argv
fs, root = fsspec.core.url_to_fs(url, **json.loads(os.environ.get("MODELYARD_STORE_OPTIONS", "{}")))
def write(name, text):
    fs.makedirs(f"{root}/{os.path.dirname(name)}", exist_ok=True)
    fs.pipe_file(f"{root}/{name}", text.encode())
if role == "parent":
    write(f"started/{uuid.uuid4().hex}", os.environ.get("MODELYARD_CHECK", ""))
    sys.exit(subprocess.call([sys.executable, "-c", code, code, url, longest_s, "child"]))
end = time.monotonic() + float(longest_s)
while time.monotonic() < end and not fs.exists(f"{root}/go"):
    write("heard", str(time.time()))
    time.sleep(0.2)
    fs.invalidate_cache()
"""
"""A job that says in the store that it was started, and starts a process that is heard of there until it is let go."""
_COORDINATOR = """
import os, signal, sys
import msgspec
from modelyard.testing.executor import coordinate
coordinate(sys.argv[1], msgspec.json.decode(sys.argv[2]), msgspec.json.decode(sys.argv[3]))
"""

_SUBMITTED_S = 120
"""How long a process may take to start, load the project and submit a job, which needs no machine yet."""


@one_at_a_time
def check_executor(
    name: str,
    *,
    project: Path,
    params: Mapping[str, Any] | None = None,
    remote: str | None = None,
    wait_s: float = 60,
) -> Platform:
    """Check the executor `name` in `project`: the contract of `modelyard_register_executors`, by having it run jobs.

    It is documented and light to load. Its machines say what they are, and the project's data set is made there. A job is
    submitted by a process that is killed then: another finds it, starts no second one of its name, and hears of its end; it
    goes on when the executor is closed. One of a name that has ended is started again, and cancelled with all that it
    started. Several threads submit at once. A job that never was is unknown.

    Args:
        name: the executor's name.
        project: a project; its own `[tool.modelyard.executor]` does not count.
        params: the executor's parameters.
        remote: the address of a remote store which this machine and those of the executor reach; by default the project's.
        wait_s: how long a job may wait for its machine, in seconds.

    Returns:
        What its machines say that they are.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed, or there is no remote store.
    """
    chosen = {"executor": inline_toml({"use": name, **(params or {})})}
    if remote is not None:
        chosen["store.remote"] = remote
    component = load(project, chosen).plugins.get("executor", name, "check_executor")
    check_component(component, project)
    with closing(Engine(load(project, chosen))) as engine:
        assert engine.placement.elsewhere is not None, (
            f"executor {name!r} runs nothing elsewhere; there is nothing to check"
        )
        stage = engine.plan.of_kind("dataset")[0]
        bring_inputs(engine, stage)
        engine.bring_up_to_date(stage, force=True)
        there = engine.placement.platform(stage)
    trial = _Trial(project, chosen, name, wait_s)
    try:
        trial.run()
    finally:
        trial.clear()
    return there


@contextmanager
def opened(project: Path, overrides: Mapping[str, str]) -> Iterator[Executor]:
    """Give the project's executor as a build has it, and close it."""
    with closing(Engine(load(project, overrides))) as engine:
        assert engine.placement.elsewhere is not None
        yield engine.placement.elsewhere


def coordinate(project: str, overrides: Mapping[str, str], job: Mapping[str, Any]) -> None:
    """Submit a job, and be killed: what a build is that does not live to see its end."""
    with opened(Path(project), overrides) as executor:
        executor.submit(msgspec.convert(job, Job))
        signal.raise_signal(signal.SIGKILL)


class _Trial:
    """The jobs of one check, and where in the store they are heard of."""

    def __init__(self, project: Path, overrides: Mapping[str, str], name: str, wait_s: float) -> None:
        import fsspec

        self._project, self._overrides, self._wait_s = project, overrides, wait_s
        self._where = f"executor {name!r}"
        settings = load(project, overrides).config.settings.store
        self._options: dict[str, Any] = settings.options
        self._base, self._run = f"{settings.remote}/checks", f"modelyard-check-{token_hex(4)}"
        self._fs, self._root = fsspec.core.url_to_fs(f"{self._base}/{self._run}", **self._options)
        self._jobs: list[Job] = []

    def run(self) -> None:
        """Try what a build, and a build after one that was killed, ask of an executor.

        Raises:
            AssertionError: it did not do as it should.
        """
        with self._opened() as executor:
            state = executor.state(f"{self._run}-never")
            assert state == "unknown", f"{self._where}: a job that never was is {state!r}, not 'unknown'"
        job = self._left_behind()
        with self._opened() as executor:
            self._check_found(executor, job)
        with self._opened() as executor:
            self._check_runs(executor, job, "after the executor was closed and opened again")
            self._check_ends(executor, job)
            self._check_cancelled(executor, job)
            self._check_threads(executor)

    def clear(self) -> None:
        """Cancel what still runs, let go what does not hear of it, and take the trial's files away."""
        with self._opened() as executor:
            for job in self._jobs:
                self._release(job)
                if executor.state(job.name) in ("queued", "running"):
                    executor.cancel(job.name)
        self._wait(lambda: not any(map(self._is_heard, self._jobs[:1])), "a job goes on that was let go")
        if self._jobs:
            self._fs.rm(self._root, recursive=True)

    def _opened(self) -> Any:
        return opened(self._project, self._overrides)

    def _job(self, number: int) -> Job:
        name = f"{self._run}-{number}"
        command = ("python", "-c", _JOB, _JOB, f"{self._base}/{self._run}/{number}", str(_LONGEST_S), "parent")
        environment = {"MODELYARD_CHECK": name}
        if self._options:
            environment[OPTIONS] = msgspec.json.encode(self._options).decode()
        job = Job(name=name, stage="check:executor", command=command, environment=environment, resources=())
        self._jobs.append(job)
        return job

    def _left_behind(self) -> Job:
        """Return a job that a process submitted which is no more."""
        job = self._job(0)
        words = (str(self._project), msgspec.json.encode(self._overrides), msgspec.json.encode(job))
        with tempfile.TemporaryFile() as told:  # a pipe would be held open by a job that inherits it
            command: list[str | bytes] = [sys.executable, "-c", _COORDINATOR, *words]
            try:
                code = subprocess.call(command, stdout=subprocess.DEVNULL, stderr=told, timeout=_SUBMITTED_S)
            except subprocess.TimeoutExpired:
                msg = f"{self._where}: `submit` has not returned after {_SUBMITTED_S} s"
                raise AssertionError(msg) from None
            told.seek(0)
            assert code == -signal.SIGKILL, f"{self._where}: `submit` failed:\n{told.read().decode()}"
        return job

    def _check_found(self, executor: Executor, job: Job) -> None:
        self._check_runs(executor, job, "after the process that submitted it was killed")
        self._wait(lambda: bool(self._heard(job)), "a job did not start its command")
        told = self._starts(job)[0]
        assert told == job.name, f"{self._where}: a job's `environment` does not reach it: MODELYARD_CHECK is {told!r}"
        executor.submit(job)
        self._check_runs(executor, job, "after it was submitted twice")

    def _check_runs(self, executor: Executor, job: Job, when: str) -> None:
        state = executor.state(job.name)
        assert state in ("queued", "running"), f"{self._where}: a job is {state!r} {when}; the next `doit` must find it"

    def _check_ends(self, executor: Executor, job: Job) -> None:
        self._release(job)
        self._wait_end(executor, job)
        starts = len(self._starts(job))
        assert starts == 1, f"{self._where}: a job that was submitted again while it ran was started {starts} times"
        executor.cancel(job.name)  # it is left alone

    def _check_cancelled(self, executor: Executor, job: Job) -> None:
        for file in ("go", "heard"):
            self._fs.rm(f"{self._place(job)}/{file}")
        executor.submit(job)
        self._wait(lambda: len(self._starts(job)) == 2, "a job of a name that has ended is not started again")
        self._wait(lambda: bool(self._heard(job)), "a job's command did not start a process")
        executor.cancel(job.name)
        gone = ("ended", "unknown")
        self._wait(lambda: executor.state(job.name) in gone, "a job that was cancelled does not become 'ended'")
        self._wait(lambda: not self._is_heard(job), "what a job started goes on when the job is cancelled")

    def _check_threads(self, executor: Executor) -> None:
        jobs = [self._job(number) for number in range(1, 4)]
        for job in jobs:
            self._release(job)
        with ThreadPoolExecutor(len(jobs)) as threads:
            list(threads.map(executor.submit, jobs))
        for job in jobs:
            self._wait_end(executor, job)
            starts = len(self._starts(job))
            assert starts == 1, (
                f"{self._where}: of jobs that several threads submit at once, one is started {starts} times"
            )

    def _release(self, job: Job) -> None:
        self._fs.makedirs(self._place(job), exist_ok=True)
        self._fs.pipe_file(f"{self._place(job)}/go", b"")

    def _starts(self, job: Job) -> list[str]:
        """Return what each process of the job said of its environment."""
        self._fs.invalidate_cache()
        folder = f"{self._place(job)}/started"
        found = self._fs.find(folder) if self._fs.exists(folder) else []
        return [self._fs.cat_file(one).decode() for one in found]

    def _is_heard(self, job: Job) -> bool:
        """Tell whether the process that the job started goes on."""
        heard = self._heard(job)
        time.sleep(_GRACE_S)
        return self._heard(job) != heard

    def _heard(self, job: Job) -> bytes:
        self._fs.invalidate_cache()
        file = f"{self._place(job)}/heard"
        return bytes(self._fs.cat_file(file)) if self._fs.exists(file) else b""

    def _place(self, job: Job) -> str:
        return f"{self._root}/{job.name.rpartition('-')[2]}"

    def _wait_end(self, executor: Executor, job: Job) -> None:
        self._wait(lambda: executor.state(job.name) == "ended", "a job whose command has ended does not become 'ended'")

    def _wait(self, is_so: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + self._wait_s
        while not is_so():
            assert time.monotonic() < end, f"{self._where}: {otherwise}, in {self._wait_s:g} s"
            time.sleep(0.1)
