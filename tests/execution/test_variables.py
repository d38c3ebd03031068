"""Which questions for environment variables are heard, in a process of its own: there is no way back."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import os, subprocess
from modelyard.execution.variables import watch_variables
heard = []
watch_variables(lambda name, file: heard.append(name) if file == __file__ else None)
{code}
print(*heard)
"""


@pytest.mark.parametrize(
    ("code", "heard"),
    [
        ('os.environ.get("A")', "A"),
        ('os.getenv("A", "1")', "A"),
        ('"A" in os.environ', "A"),
        ('os.environ["HOME"]', "HOME"),
        ('os.environ["A"] = "1"; os.environ["A"]', ""),
        ('os.environ.setdefault("A", "1")', ""),
        ('dict(os.environ); {**os.environ}; os.environ.copy(); os.environ | {"A": "1"}', ""),
        ('subprocess.run(["true"]); os.path.expanduser("~")', ""),
    ],
)
def test_what_is_heard(code: str, heard: str, tmp_path: pytest.TempPathFactory) -> None:
    script = f"{tmp_path}/script.py"
    with open(script, "w") as file:
        file.write(_SCRIPT.format(code=code))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={"HOME": "/root", "PATH": "/bin:/usr/bin"}
    )
    assert done.stdout.strip() == heard, done.stderr
