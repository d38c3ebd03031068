"""Looking at a project must not cost a framework's import, and runs that have nothing to do must not either."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import doit_environment

Doit = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = (
    "tensorflow",
    "tf_keras",
    "keras",
    "torch",
    "numpy",
    "docker",
    "jinja2",
    "yaml",
    "PIL",
    "sklearn",
    "httptools",
    "matplotlib",
)
WORK = (
    "modelyard.build.inputs",
    "modelyard.build.making",
    "modelyard.commands.doits",
    "modelyard.commands.serving",
    "modelyard.concurrency.parallel",
    "modelyard.config.matrix",
    "modelyard.config.one_server",
    "modelyard.execution.log",
    "modelyard.execution.pool",
    "modelyard.execution.protocol",
    "modelyard.execution.runner",
    "modelyard.execution.variables",
    "modelyard.explain",
    "modelyard.files.columns",
    "modelyard.files.placing",
    "modelyard.files.ragged",
    "modelyard.frontend.selection_report",
    "modelyard.keys.sightings",
    "modelyard.launch",
    "modelyard.metrics.figures",
    "modelyard.metrics.several",
    "modelyard.plan.formats",
    "modelyard.plan.names",
    "modelyard.preflight.needs",
    "modelyard.project.aside",
    "modelyard.project.git",
    "modelyard.project.history",
    "modelyard.report",
    "modelyard.serving",
    "modelyard.stages",
    "modelyard.store.objects",
    "modelyard.store.remote",
    "modelyard.store.upload",
    "modelyard.testing",
    "modelyard.toml.mistakes",
    "modelyard.variants",
)
"""What only a build that does something needs, or somebody who asks for more than a build."""
LIGHT = {
    "modelyard_plugins.support.kubectl",
    "modelyard_plugins.support.broker",
    "modelyard_plugins.support.compose_params",
    "modelyard_plugins.support.data.splitting",
    "modelyard_plugins.support.layer_limit",
    "modelyard_plugins.support.losses",
    "modelyard_plugins.support.own_server",
    "modelyard_plugins.support.ports",
    "modelyard_plugins.support.proxy",
    "modelyard_plugins.support.tensorflow",
    "modelyard_plugins.support.training",
    "modelyard_plugins.support.training_params",
}
"""What the repository's own components are registered with; what they work with, they import when they work."""
SPY = f"""
import atexit, sys

HEAVY = {HEAVY!r}
atexit.register(lambda: print("HEAVY:", sorted(set(HEAVY) & set(sys.modules))))
"""
SPY_ON_WORK = f"""
import atexit, sys

atexit.register(lambda: print("WORK:", *[name for name in {WORK!r} if name in sys.modules]))
"""


def imported(project: Path, *arguments: str, spy: str = SPY) -> str:
    """Run doit in a process that says at its end which of the modules that `spy` looks for it has imported."""
    script = f"{spy}\nsys.argv = ['doit', *{list(arguments)!r}]\nfrom doit.__main__ import main\nsys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env=doit_environment(), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--all", "--status"],
        ["plugins"],
        ["help"],
        ["info", "train:model.build"],
        ["plan"],
        ["report"],
    ],
)
def test_looking_imports_nothing_heavy(arguments: list[str], toy_project: Path) -> None:
    if arguments[0] == "info":
        arguments = ["info", "--no-status", arguments[1]]
    assert imported(toy_project, *arguments) == "HEAVY: []"


def test_a_run_with_something_to_do_imports_it_in_the_worker_alone(toy_project: Path) -> None:
    assert imported(toy_project, "dataset") == "HEAVY: []"
    assert (toy_project / "artifacts" / "dataset" / "points" / "train_x.npy").exists()
    assert imported(toy_project, "dataset") == "HEAVY: []"


def test_a_build_with_nothing_to_do_imports_nothing_that_works(toy_project: Path) -> None:
    assert "modelyard.build.making" in imported(toy_project, "dataset", spy=SPY_ON_WORK)
    assert imported(toy_project, "dataset", spy=SPY_ON_WORK) == "WORK:"
    assert [name for name in WORK if find_spec(name) is None] == []


def test_components_import_what_they_work_with_when_they_work() -> None:
    root = Path(__file__).parents[1]
    script = (
        f"import sys; from pathlib import Path; from modelyard.project.load import load; load(Path({str(root)!r}))\n"
        "files = [name for name, module in sys.modules.items() if not hasattr(module, '__path__')]\n"
        "print(*sorted(name for name in files if name.startswith(('modelyard_plugins.support.', 'modelyard.artifacts.'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    found = set(done.stdout.split())
    assert (found - LIGHT, done.stderr) == (set(), ""), (
        "import it in the function that works with it, or name it in LIGHT"
    )
    assert set() == LIGHT - found


def test_the_projects_of_this_repository_load_light() -> None:
    root = Path(__file__).parents[1]
    script = f"{SPY}\nfrom pathlib import Path\nfrom modelyard.project.load import load\nload(Path({str(root)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY: []"


def test_a_built_in_plugin_is_imported_by_the_projects_that_use_it() -> None:
    root = Path(__file__).parents[1]
    script = (
        f"import sys; from pathlib import Path; from modelyard.project.load import load; project = load(Path({str(root)!r}))\n"
        "steps = {step.component.name for chain in project.config.variants.values() for step in chain}\n"
        "found = {name.rpartition('.')[2] for name in sys.modules if name.startswith('modelyard_plugins.optimizers.')}\n"
        "print({name.replace('_', '-') for name in found} - steps)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == ("{'fine-tune'}\n", ""), "what 'prune' trains like is used, too"


def test_the_spy_sees_what_is_imported(toy_project: Path) -> None:
    with (toy_project / "dodo.py").open("a") as file:
        file.write("\nimport numpy\n")
    assert imported(toy_project, "list") == "HEAVY: ['numpy']"
