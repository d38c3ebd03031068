"""Executor `process`: each job a process on this machine, in a folder of its own, with nothing of the project's but the store.

What is known of jobs is in the folder, so that another `doit` finds those of one that was killed. Files there change what it
does: `python` names another interpreter, `silent` makes it fail, `hosts` are variables of its machines.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard import hookimpl


class Process:
    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def identity(self) -> str:
        return "one environment"

    def environment(self, more: Sequence[Any] = ()) -> Any:
        own = ("PATH", "HOME", "LANG")
        hosts = self.folder / "hosts"
        lines = hosts.read_text().splitlines() if hosts.exists() else []
        variables = {name: os.environ[name] for name in own if name in os.environ} | dict(more)
        return variables | {"TMPDIR": str(self.folder)} | dict(line.split("=", 1) for line in lines)

    def command(self, words: Any) -> list[Any]:
        self.fail()
        python = self.folder / "python"
        return [python.read_text().strip() if python.exists() else sys.executable, *words[1:]]

    def fail(self) -> None:
        if (self.folder / "silent").exists():
            msg = "nobody answers"
            raise ConnectionError(msg)

    def ask(self, command: Any) -> Any:
        with (self.folder / "asked").open("a") as asked:
            asked.write(shlex.join(command) + "\n")
        words = self.command(command)
        return subprocess.run(
            words, cwd=self.folder, env=self.environment(), check=True, capture_output=True, text=True
        ).stdout

    def submit(self, job: Any) -> None:
        if self.state(job.name) == "running":
            return
        with (self.folder / f"{job.name}.out").open("ab") as out:
            child = subprocess.Popen(
                self.command(job.command),
                cwd=self.folder,
                env=self.environment(job.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.children[job.name] = child
        (self.folder / f"{job.name}.pid").write_text(str(child.pid))
        with (self.folder / "submitted").open("a") as submitted:
            submitted.write(f"{job.name} {job.stage}\n")

    def state(self, name: str) -> Any:
        self.fail()
        if name in self.children:
            return "running" if self.children[name].poll() is None else "ended"
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, 0)
        except FileNotFoundError:
            return "unknown"
        except ProcessLookupError:
            return "ended"
        return "ended" if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text() else "running"

    def cancel(self, name: str) -> None:
        pid = int((self.folder / f"{name}.pid").read_text())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with (self.folder / "cancelled").open("a") as cancelled:
            cancelled.write(f"{name}\n")

    def close(self) -> None:
        pass


def process(context: Any, *, folder: str) -> Process:
    """A process on this machine.

    Args:
        folder: where it runs.
    """
    return Process(folder)


@hookimpl
def modelyard_register_executors(register: Any) -> None:
    register("process", process)
