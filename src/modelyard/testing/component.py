"""What every component promises, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from modelyard.code.versions import NOT_INSTALLED, tool_version
from modelyard.component import REQUIRED, Component, check_values

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = frozenset(
    {
        "ai_edge_litert",
        "docker",
        "jinja2",
        "keras",
        "numpy",
        "onnxruntime",
        "PIL",
        "tensorflow",
        "tf_keras",
        "torch",
        "yaml",
    }
)
"""Modules that a plugin may import inside its functions only."""


def check_component(component: Component, project: Path) -> None:
    """Check what every component promises: it is documented, its defaults are allowed values, loading it is light.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    where = f"{component.kind} {component.name!r} ({component.file})"
    assert component.summary not in ("", "Args:"), (
        f"{where}: has no docstring; its first line is what `doit list` shows"
    )
    for name, parameter in component.parameters.items():
        assert parameter.doc, f"{where}: parameter {name!r} is not documented; write a line for it under `Args:`"
        if parameter.default not in (REQUIRED, None):
            check_values({name: parameter}, {name: _as_toml(parameter.default)}, f"{where}: default")
    for tool in component.tools:
        assert tool_version(tool) != NOT_INSTALLED, f"{where}: the tool {tool!r} is no installed distribution"
    _check_light(project)


def _as_toml(value: Any) -> Any:
    """Return a default as the configuration would hold it: lists for tuples."""
    return [_as_toml(one) for one in value] if isinstance(value, tuple) else value


def _check_light(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from modelyard.plugins.load import load_plugins\n"
        f"load_plugins(Path({str(project)!r})); print(*(name for name in {sorted(HEAVY)!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{project}: its plugins cannot be loaded:\n{done.stderr}"
    assert not done.stdout.strip(), f"loading the plugins imports {done.stdout.strip()}; import it inside the function"
