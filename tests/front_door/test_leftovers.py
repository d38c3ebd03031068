"""Processes that a stage leaves behind are ended with it, and what they would have written poisons nothing."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.front_door.builds import build
from tests.front_door.test_faults import start, wait_for

WRITER = """
import sys, time
open(sys.argv[2], "w").write("I run")
while True:
    with open(sys.argv[1], "ab") as file:
        file.write(b" ")
"""
STARTS = {
    "a child": "subprocess.Popen(command)",
    "a session of its own": "subprocess.Popen(command, start_new_session=True)",
    "a daemon": 'subprocess.run(["sh", "-c", \'setsid "$@" &\', "sh", *command])',
}


def leave_behind(project: Path, how: str, then: str = "") -> None:
    """Let the toy's trainer start, in the way `how`, a program that goes on writing to the model for ever."""
    (project / "writer.py").write_text(WRITER)
    path = project / "plugins" / "toy.py"
    lines = (
        "import subprocess, sys, time",
        'command = [sys.executable, "writer.py", str(context.out / "model.toy"), str(context.cache / "runs")]',
        STARTS[how],
        'while not (context.cache / "runs").exists(): time.sleep(0.01)',
        *([then] if then else []),
    )
    old = '    context.log("trained")\n'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, "".join(f"    {line}\n" for line in lines) + old))


def writers(project: Path) -> list[int]:
    """Return the processes that run the project's `writer.py`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if b"writer.py" in arguments and (entry / "cwd").readlink() == project:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", STARTS)
def test_a_process_that_is_left_behind_is_ended_with_its_stage(new_toy: Path, how: str) -> None:
    leave_behind(new_toy, how)

    done = build(new_toy)

    assert done.code == 0, done.output
    assert "train:model.build: ended a process that it left behind: " in done.output, done.output
    assert "writer.py" in done.output
    assert writers(new_toy) == []
    made = (new_toy / "artifacts" / "train" / "model.build" / "model.toy").read_bytes()
    shutil.rmtree(new_toy / "artifacts" / "train")
    assert build(new_toy).stages["train:model.build"] == "restored"
    assert (new_toy / "artifacts" / "train" / "model.build" / "model.toy").read_bytes() == made
    whole = build(new_toy, "verify")
    assert whole.code == 0, whole.output


def test_a_stage_that_dies_leaves_nothing_behind(new_toy: Path) -> None:
    leave_behind(new_toy, "a daemon", then="import os; os.abort()")

    done = build(new_toy)

    assert done.code == 1
    assert "train:model.build: its process was killed by signal 6" in done.output, done.output
    assert "train:model.build: ended a process that it left behind: " in done.output, done.output
    assert writers(new_toy) == []


def test_a_killed_build_leaves_nothing_behind(new_toy: Path) -> None:
    leave_behind(new_toy, "a daemon", then="time.sleep(30)")
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "runs")

    running.kill()
    running.communicate()

    end = time.monotonic() + 20
    while writers(new_toy) and time.monotonic() < end:
        time.sleep(0.05)
    assert writers(new_toy) == []
