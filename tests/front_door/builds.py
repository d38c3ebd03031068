"""Run `doit` in a project and say what it did with each stage."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.warm import run_doit

_LINE = re.compile(r"^(?:\.  (?P<stage>\S+): (?P<how>built|restored|up to date)|-- (?P<fresh>\S+))")
_WORDS = {"built": "built", "restored": "restored", "up to date": "fresh"}


@dataclass(frozen=True)
class Build:
    """What a run of `doit` did: its exit code, its output, and for each stage `built`, `restored` or `fresh`."""

    code: int
    output: str
    stages: dict[str, str]

    def having(self, how: str) -> set[str]:
        """Return the stages that were brought up to date in the way `how`."""
        return {stage for stage, was in self.stages.items() if was == how}

    @property
    def built(self) -> set[str]:
        """The stages that ran."""
        return self.having("built")


def build(project: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120) -> Build:
    """Run `doit` to its end, as a person does."""
    done = run_doit(project, *arguments, env={**os.environ, **(env or {})}, timeout_s=timeout_s)
    return Build(done.returncode, done.stdout + done.stderr, read_lines(done.stdout))


@contextmanager
def serving(project: Path, task: str = "serve") -> Iterator[str]:
    """Run `doit serve`, or another `task`, until the block ends, and give the address of the server, which is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "doit", f"serve.port={port}", task]
    with subprocess.Popen(command, cwd=project, env={**os.environ, "MODELYARD_DRAIN_S": "0"}) as process:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(60) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)), "the server ends with doit"


def read_lines(output: str) -> dict[str, str]:
    """Return what the lines of a build say of each stage."""
    found = {}
    for line in output.splitlines():
        match = _LINE.match(line)
        if match:
            found[match["stage"] or match["fresh"]] = _WORDS[match["how"]] if match["how"] else "fresh"
    return found


def artifacts(project: Path) -> dict[str, bytes]:
    """Return the bytes of every output that is the same each time; times and latencies are not, nor is what was moved aside."""
    unstable = {"stage.json", "latency.json", "selection.json", "table.md", "build.json", "measured.json"}
    folder = project / "artifacts"
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in unstable and ".aside" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def copy(project: Path, target: Path) -> Path:
    """Copy a project with its artifacts and its state."""
    return Path(shutil.copytree(project, target, symlinks=True))
