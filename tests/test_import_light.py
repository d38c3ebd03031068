"""Looking at a project must not cost a framework's import, and runs that have nothing to do must not either."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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
SPY = f"""
import atexit, sys

HEAVY = {HEAVY!r}
atexit.register(lambda: print("HEAVY:", sorted(set(HEAVY) & set(sys.modules))))
"""


def imported(project: Path, *arguments: str) -> str:
    """Run doit in a process that says at its end which heavy modules it has imported."""
    script = f"{SPY}\nsys.argv = ['doit', *{list(arguments)!r}]\nfrom doit.__main__ import main\nsys.exit(main())"
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
