"""Hold a stage of the toy at its start and at its end, so that a test can do something meanwhile, without a clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

_PLUGIN = '''"""Waits where a test says so: before a stage that the file `held` names, and after it."""

import time
from pathlib import Path

from modelyard import hookimpl


def wait(context, stage, when):
    held = Path(context.cache, "held")
    if held.exists() and held.read_text() == stage:
        Path(context.cache, f"at-{when}").touch()
        while not Path(context.cache, f"go-{when}").exists():
            time.sleep(0.005)


@hookimpl
def modelyard_before_stage_run(stage, context):
    wait(context, stage, "start")


@hookimpl
def modelyard_after_stage_run(stage, context):
    wait(context, stage, "end")
'''


def add_gates(project: Path) -> None:
    """Let stages of the project be held."""
    (project / "plugins" / "gates.py").write_text(_PLUGIN)


class HeldBuild:
    """A build that is under way and stops before and after one stage."""

    def __init__(self, project: Path, stage: str, *arguments: str, timeout_s: float = 120) -> None:
        self._cache, self._timeout_s = project / ".modelyard" / "cache", timeout_s
        self._cache.mkdir(parents=True, exist_ok=True)
        (self._cache / "held").write_text(stage)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "doit", *arguments],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ),
        )

    def reach(self, when: str) -> None:
        """Wait until the stage is held at its `start` or `end`, or the build has ended before."""
        end = time.monotonic() + self._timeout_s
        while not (self._cache / f"at-{when}").exists():
            if self._process.poll() is not None:
                return
            assert time.monotonic() < end, f"the stage did not come to its {when}"
            time.sleep(0.005)

    def pass_on(self, when: str) -> None:
        """Let the stage go on from its `start` or `end`."""
        (self._cache / f"go-{when}").touch()

    def finish(self) -> tuple[int, str]:
        """Let the stage and the build go on to the end; return the exit code and the output."""
        self.pass_on("start")
        self.pass_on("end")
        output = self._process.communicate(timeout=self._timeout_s)[0]
        for file in self._cache.glob("*-[se][tn][ad]*"):
            file.unlink()
        (self._cache / "held").unlink()
        return self._process.returncode, output
