"""The contracts of pyproject.toml on what may import what: each says something of every package of the core, a new one too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src/modelyard"
CONTRACTS: dict[str, Any] = {
    one["name"]: one
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
PUBLIC = set(re.findall(r"^\| `(modelyard\.\w+)", (ROOT / "docs/reference/python.md").read_text(), re.MULTILINE))
NOT_IN_A_PLUGIN = {"modelyard.api", "modelyard.tasks"}
"""What is public for notebooks and for dodo.py."""
BUILT_INS_ALONE = {
    f"modelyard.{name}" for name in ("asking", "files", "kubernetes", "launch", "oci", "rendering", "system", "units")
}
"""What the built-in plugins may use beside what is public."""
KNOW_DOIT = {f"modelyard.{name}" for name in ("commands", "frontend", "tasks")}
HAS_ITS_OWN = {"modelyard.serving"}
"""The server, whose own contract keeps doit out, too."""


def parts() -> set[str]:
    """Return the packages and modules that stand at the top of the core."""
    inits = {init.parent.name for init in CORE.glob("*/__init__.py")}
    return {f"modelyard.{name}" for name in inits | {file.stem for file in CORE.glob("*.py")} - {"__init__"}}


def test_each_part_is_for_plugins_or_kept_from_them() -> None:
    forbidden = set(CONTRACTS["plugins import what is public, and what is theirs to use"]["forbidden_modules"])
    open_to_them = PUBLIC - NOT_IN_A_PLUGIN | BUILT_INS_ALONE
    assert forbidden & open_to_them == set()
    assert forbidden | open_to_them == parts()


def test_each_part_but_the_front_end_is_kept_from_doit() -> None:
    kept = set(CONTRACTS["only the front end knows doit"]["source_modules"]) - {"modelyard_plugins"}
    assert kept == parts() - KNOW_DOIT - HAS_ITS_OWN
    assert "doit" in CONTRACTS["the server stands alone"]["forbidden_modules"]
