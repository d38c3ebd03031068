from __future__ import annotations

import os
import subprocess
import sys

import pytest

from modelyard.execution import orphans

PARENT = """
import contextlib, subprocess, sys
from pathlib import Path
from modelyard.execution import orphans
orphans.adopt()
def commands():
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes().replace(b"\\0", b" ").decode().strip()
kept = subprocess.Popen(["sleep", "600"])
own = orphans.children()
assert own == {kept.pid}
for script in ("sleep 601 & exit", "setsid sleep 602 & exit", "(setsid sh -c 'sleep 603 & sleep 604' &) & exit", "exit"):
    subprocess.run(["sh", "-c", script])
while len(orphans.children()) < 4 or not {f"sleep {number}" for number in (601, 602, 603, 604)} <= set(commands()):
    pass
print("\\n".join(orphans.end(own)), flush=True)
assert orphans.children() == own
assert kept.poll() is None
assert orphans.end() == [f"'sleep 600' (process {kept.pid})"]
assert orphans.children() == set()
"""


def test_all_below_a_process_that_ended_come_to_this_one_and_are_ended() -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout
    assert all(f"sleep {number}" in told for number in (601, 602, 603)), told


def test_a_long_command_is_cut() -> None:
    # A program that has said a word has its own command line; one just begun may still have none.
    program = "print(flush=True); input()"
    command, pipe = [sys.executable, "-c", program, "x" * 1000], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        name = orphans._name(process.pid)
        process.communicate(b"\n")
    assert len(name) < 120
    assert name.endswith(f"...' (process {process.pid})")


def test_where_proc_shows_other_numbers_nobody_is_taken_for_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        assert process.pid in orphans.children()
        monkeypatch.setattr(os, "readlink", lambda _: "1")
        assert orphans.children() == set()
        process.kill()
