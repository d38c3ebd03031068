"""A plain message for a pyproject.toml that is not TOML, though doit reads the file before it looks for plugins.

The line of `modelyard.packaging`, installed as `modelyard-doit.pth` beside the packages, calls `ready` when Python starts a program called
`doit`, and does nothing in any other. Nothing of doit is changed: its error comes as it always does, and is told in
other words when nothing else has caught it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

_READER = ("doit.doit_cmd", "load_config_toml")


def ready() -> None:
    """From now on, tell what doit cannot read of its configuration without a traceback, and end with exit code 3."""
    shown = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        file = None if os.environ.get("MODELYARD_DEBUG") else _read_by_doit(trace)
        told = _told(file, value) if file else ""
        if not told:
            shown(kind, value, trace)
            return
        sys.stderr.write(f"ERROR: {told}\n")
        raise SystemExit(3)

    sys.excepthook = hook


def _told(file: str, error: BaseException) -> str:
    """Return what is wrong with the file, or nothing if the error is another one."""
    from modelyard.toml.mistakes import explain

    if isinstance(error, OSError):
        return f"{file}: cannot be read: {error.strerror}"
    return explain(file, Path(file).read_bytes(), error) if isinstance(error, ValueError | RecursionError) else ""


def _read_by_doit(trace: TracebackType | None) -> str | None:
    """Return the file that doit was reading its configuration from when the error came, or None if it was not."""
    while trace is not None:
        frame = trace.tb_frame
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == _READER:
            return str(frame.f_locals["filename"])
        trace = trace.tb_next
    return None
