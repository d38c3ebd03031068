"""Who acts, and whether they agree: with a real terminal, and without one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

ASK = "from modelyard.commands.person import agrees; print(agrees('remove it?'))"


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("\x04", False)],
)
def test_who_types_yes_agrees_and_who_types_anything_else_or_leaves_does_not(typed: str, agreed: bool) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", f"import os, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {ASK}"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as asked:
        os.close(theirs)
        assert asked.stdout is not None
        said = b""
        while not said.endswith(b"remove it? [y/N] "):
            said += asked.stdout.read(1)
        os.write(ours, typed.encode())
        said += asked.stdout.read()
    os.close(ours)
    assert asked.returncode == 0
    assert said.decode().split()[-1] == str(agreed)


def test_without_a_terminal_nobody_agrees() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], input="y\n", capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
