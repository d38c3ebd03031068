"""A stage's log: what it printed, and behind it the traceback of the error that ended it. The screen shows the end of the first."""

from __future__ import annotations

import re
from pathlib import Path

_LINES = 12
_MARK = "--- the error, as Python tells it:"
_NOISE = (
    r"WARNING: All log messages before absl::InitializeLog\(\) is called",
    r"(?:I\d{4} |\S+ \S+ I ).*\.(?:cc|h|cpp):\d+\]",  # Abseil's and TensorFlow's "information"
    r"(?:[WE]\d{4} |\S+ \S+ [WE] ).*\b(?:cuda|cudart|cuInit|cuDNN|cuBLAS|cuFFT|gpu|computation_placer)",
    r"To enable the following instructions: ",
    r".*\[W:onnxruntime:.*device_discovery",
)
"""What frameworks print at every start on a machine without a GPU; it stays in the log, and says nothing about an error."""


def add_traceback(log: Path, traceback: str) -> None:
    """Write the traceback of the error that ended the stage to its log."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{_MARK}\n{traceback}")


def last_lines(log: Path) -> list[str]:
    """Return the last lines that the stage printed, without frameworks' noise and without the traceback."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    end = len(lines) - 1 - lines[::-1].index(_MARK) if _MARK in lines else len(lines)
    noise = re.compile("|".join(_NOISE), re.IGNORECASE)
    printed = [line for line in lines[:end] if line.strip() and not noise.match(line)]
    return printed[-_LINES:]
