"""Requirement lines with markers, decided for the Python of the image and not for the one that builds.

Source: PEP 508, environment markers.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.oci.python import BasePython


def applicable(requirements: Sequence[str], python: BasePython) -> list[str]:
    """Return the requirements that hold for `python`, one a line without its marker, sorted; comments are dropped."""
    return sorted(bare for line in logical_lines(requirements) if (bare := _bare(line, python)))


def logical_lines(requirements: Sequence[str]) -> list[str]:
    """Return the lines of a requirements file, continued lines joined, without comments and blank lines."""
    text = "\n".join(line.rstrip("\n") for line in requirements)
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def _bare(line: str, python: BasePython) -> str:
    found = re.fullmatch(r"(?P<what>[^;]+?)\s*;\s*(?P<marker>.*?)(?P<options>(\s+--\S+)*)", line)
    if not found:
        return line
    return f"{found['what']}{found['options']}" if _holds(found["marker"], python) else ""


def _holds(marker: str, python: BasePython) -> bool:
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{python.dotted}.0",
        "os_name": "posix",
        "platform_machine": python.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python.dotted}.0",
        "python_version": python.dotted,
        "sys_platform": "linux",
        "extra": "",
    }
    return bool(_marker_class()(marker).evaluate(environment))


def _marker_class() -> type:
    for name in ("packaging.markers", "pip._vendor.packaging.markers"):
        try:
            return importlib.import_module(name).Marker  # type: ignore[no-any-return]
        except ImportError:
            continue
    msg = "neither packaging nor pip is installed"
    raise ImportError(msg)
