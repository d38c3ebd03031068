from __future__ import annotations

from modelyard.oci.markers import applicable
from modelyard.oci.python import BasePython

PYTHON = BasePython("/usr/bin/python3", (3, 9), (2, 28), "aarch64")


def test_markers_are_decided_for_the_image_and_not_for_this_interpreter() -> None:
    lines = (
        "a==1 ; python_version < '3.10' --hash=sha256:aa",
        "b==1 ; python_version >= '3.11' --hash=sha256:bb",
        "c==1; platform_machine == 'aarch64' and sys_platform == 'linux' --hash=sha256:cc --hash=sha256:dd",
        "d==1 ; sys_platform == 'win32' --hash=sha256:ee",
        "e==1 --hash=sha256:ff",
    )
    assert applicable(lines, PYTHON) == [
        "a==1 --hash=sha256:aa",
        "c==1 --hash=sha256:cc --hash=sha256:dd",
        "e==1 --hash=sha256:ff",
    ]


def test_continued_lines_and_comments() -> None:
    lines = (
        "# first",
        "a==1 \\",
        "    --hash=sha256:aa \\",
        "    --hash=sha256:bb  # note",
        "",
        "b==2 --hash=sha256:cc",
    )
    assert applicable(lines, PYTHON) == ["a==1 --hash=sha256:aa --hash=sha256:bb", "b==2 --hash=sha256:cc"]
