"""A third party's package: installed, its target and model optimizer are there, without a change to modelyard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from modelyard.testing import SMALL_PYPROJECT, run_doit, write_small_project
from tests.examples.environments import ROOT, copy_of, install, new_environment, see

EXAMPLE = ROOT / "examples/modelyard-edge"
BOTH = """
rounded = [{ use = "round-weights", levels = 16 }, "float32"]

[tool.modelyard.image]
use = "oci"

[tool.modelyard.targets.quadlet]
host_port = 9000
"""
DROP_IN = '''
import json
from modelyard import hookimpl

def halve(context):
    """Halve the centers."""
    model = json.loads(context.model.path.read_text())
    model["centers"] = [[value / 2 for value in center] for center in model["centers"]]
    (context.out / "model.toy").write_text(json.dumps(model))

@hookimpl
def modelyard_register_optimizers(register):
    register("halve", halve, accepts=("toy",), produces="toy")
'''
OWN_QUADLET = '''
from modelyard import hookimpl

def quadlet(context):
    """This project's own unit."""
    context.write("own.container", f"[Container]\\nImage={context.image.reference}\\n")

@hookimpl
def modelyard_register_targets(register):
    register("quadlet", quadlet, templates=())
'''


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a fresh environment with the example package installed."""
    folder = tmp_path_factory.mktemp("edge")
    made = new_environment(folder / "venv")
    see(made, editable=True)
    install(made, copy_of(EXAMPLE, folder / "modelyard-edge"))
    return made


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project that uses both components."""
    return write_small_project(tmp_path / "small", {"pyproject.toml": SMALL_PYPROJECT + BOTH})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Path:
    """The toy project, with the package's target, built; not to be changed."""
    folder = copy_of(ROOT / "tests/projects/toy", tmp_path_factory.mktemp("built") / "toy")
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.modelyard.targets.quadlet]\nhost_port = 9000\n")
    output(folder, python)
    return folder


@pytest.fixture
def toy(built: Path, tmp_path: Path) -> Path:
    """A copy of the project that is built."""
    return Path(shutil.copytree(built, tmp_path / "toy", symlinks=True))


def output(project: Path, python: Path, *arguments: str) -> str:
    done = run_doit(project, *arguments, python=python)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_components_are_listed(small: Path, python: Path) -> None:
    listed = output(small, python, "list", "--all")
    assert re.search(r"^optimize:round-weights +\(levels=16\) Round the weights of each layer", listed, re.MULTILINE)
    assert re.search(r"^render:quadlet +A Podman container as a systemd service", listed, re.MULTILINE)
    plugins = [line.split()[:4] for line in output(small, python, "plugins").splitlines()]
    assert ["optimizer", "round-weights", "modelyard-edge", "0.1.0"] in plugins
    assert ["target", "quadlet", "modelyard-edge", "0.1.0"] in plugins
    assert "host_port: int; default 8443\n      the port of the machine" in output(small, python, "plugins", "quadlet")


def test_its_parameters_are_checked_like_those_of_a_built_in(small: Path, python: Path) -> None:
    done = run_doit(small, "list", "targets.quadlet.hostport=1", python=python)
    assert done.returncode != 0
    assert "unknown key 'hostport', did you mean 'host_port'?" in done.stderr


def test_a_build_renders_its_unit_and_a_second_one_runs_nothing(toy: Path, python: Path) -> None:
    image = json.loads((toy / "artifacts/image/toy/image.json").read_text())
    unit = (toy / "artifacts/render/quadlet/model.container").read_text()
    assert f"Image={image['repository']}:{image['tag']}@{image['digest']}\n" in unit
    assert f"PublishPort=127.0.0.1:9000:{image['port']}\n" in unit
    assert ".  " not in output(toy, python)
    assert "render:quadlet: built" in output(toy, python, "targets.quadlet.host_port=9001")


def test_a_template_of_the_project_replaces_the_package_s(toy: Path, python: Path) -> None:
    (toy / "templates/quadlet").mkdir(parents=True)
    (toy / "templates/quadlet/model.container.j2").write_text("[Container]\nImage={{ image.reference }}\n")
    output(toy, python)
    assert (toy / "artifacts/render/quadlet/model.container").read_text().startswith("[Container]\nImage=")


def test_a_plugin_of_the_project_is_nearer_and_what_it_shadows_is_shown(toy: Path, python: Path) -> None:
    (toy / "plugins/quadlet.py").write_text(OWN_QUADLET)
    config = toy / "pyproject.toml"
    config.write_text(config.read_text().replace("host_port = 9000\n", ""))
    assert "shadowed: target quadlet of modelyard-edge 0.1.0" in output(toy, python, "plugins")
    output(toy, python)
    assert [p.name for p in (toy / "artifacts/render/quadlet").glob("*.container")] == ["own.container"]


def test_a_file_dropped_into_plugins_is_a_model_optimizer(toy: Path, python: Path) -> None:
    config = toy / "pyproject.toml"
    config.write_text(config.read_text().replace('plain = ["pack"]', 'plain = ["pack"]\nhalved = ["halve", "pack"]'))
    (toy / "plugins/halve.py").write_text(DROP_IN)
    assert "optimize:halve" in output(toy, python, "list", "--all")
    output(toy, python)
    plain, halved = (
        json.loads((toy / f"artifacts/optimize/{v}/model.packed").read_text()) for v in ("plain", "halved")
    )
    assert halved["centers"] == [[value / 2 for value in center] for center in plain["centers"]]
    assert "| halved " in (toy / "artifacts/select/toy/table.md").read_text()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_package_s_own_tests_pass_where_it_is_installed(python: Path, tmp_path: Path) -> None:
    folder = copy_of(EXAMPLE, tmp_path / "edge")
    done = subprocess.run([python, "-m", "pytest", "-q"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.tensorflow
def test_the_whole_road_with_both_components(small: Path, python: Path) -> None:
    output(small, python, "select.rule=rounded")
    image = json.loads((small / "artifacts/image/small/image.json").read_text())
    assert image["digest"] in (small / "artifacts/render/quadlet/model.container").read_text()
    selection = json.loads((small / "artifacts/select/small/selection.json").read_text())
    rows = {row["variant"]: {one["name"]: one["value"] for one in row["metrics"]} for row in selection["table"]}
    assert selection["chosen"] == "rounded"
    assert rows["rounded"]["gzip_size"] < 0.7 * rows["float32"]["gzip_size"]
