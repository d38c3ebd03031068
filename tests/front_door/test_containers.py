"""Builds in different PID namespaces, as containers have, that share a project: neither takes the other for dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.front_door.builds import artifacts, read_lines
from tests.front_door.test_faults import goes_on, start, wait_for

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make a PID namespace")


def hold_up(project: Path) -> Path:
    """Let the toy's trainer say when it has begun and then wait for the file whose path is returned."""
    path = project / "plugins" / "toy.py"
    old = '    context.log("trained")\n'
    lines = (
        "import time",
        'Path(context.cache, "training").touch()',
        'while not Path(context.cache, "go").exists(): time.sleep(0.01)',
    )
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, "".join(f"    {line}\n" for line in lines) + old))
    return project / ".modelyard" / "cache" / "go"


def doit_in_a_container(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*CONTAINER, sys.executable, "-m", "doit", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)


def test_a_build_in_a_container_leaves_a_running_build_alone(new_toy: Path, built_toy: Path) -> None:
    go = hold_up(new_toy)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")

    other = doit_in_a_container(new_toy, "--no-wait", "train")

    go.touch()
    output = running.communicate(timeout=120)[0]
    assert other.returncode == 1
    assert f"train:model.build is being built by process {running.pid} on " in other.stdout + other.stderr
    assert running.returncode == 0, output
    assert read_lines(output)["train:model.build"] == "built"
    goes_on(new_toy, artifacts(built_toy), read_lines(output))


def test_what_a_killed_build_left_is_swept_though_its_number_is_taken_again(new_toy: Path, built_toy: Path) -> None:
    go = hold_up(new_toy)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    running.kill()
    running.communicate()
    unfinished = new_toy / "artifacts" / ".unfinished"
    assert list(unfinished.iterdir())
    for one in unfinished.iterdir():  # as if the number of the killed process were that of one that lives
        one.rename(one.with_name(f"1-{one.name}"))

    go.touch()
    goes_on(new_toy, artifacts(built_toy), ["dataset:points"])
