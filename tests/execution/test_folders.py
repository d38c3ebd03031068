"""In a process of its own, for `os.open` is not put back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from modelyard.execution.folders import absolute, watch_folders

plain = os.open
watch_folders()
opened = os.open
watch_folders()
assert os.open is opened and opened is not plain and opened in os.supports_dir_fd

heard = []
sys.addaudithook(lambda event, args: event == "open" and heard.append(absolute(os.fsdecode(args[0]))))
folder = os.open("inner", os.O_RDONLY)
for done in (os.open("one.txt", os.O_RDONLY, dir_fd=folder), os.open("one.txt", os.O_RDONLY), open("one.txt").fileno()):
    pass
try:
    os.open("none.txt", os.O_RDONLY, dir_fd=folder)
except FileNotFoundError:
    open("one.txt")
print(*(os.path.relpath(path) for path in heard))
"""


def test_what_is_opened_from_a_folder_is_known_by_that_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("one.txt", "inner/one.txt"):
        (tmp_path / name).write_text("1")
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["inner", "inner/one.txt", "one.txt", "one.txt", "inner/none.txt", "one.txt"]
