"""`modelyard init`, and the wheel and the sdist: installed elsewhere, they make a project that builds."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelyard.frontend import scaffold
from modelyard.project.load import load
from modelyard.testing import check_optimizer, run_doit
from tests.examples.environments import ROOT, clean, copy_of, install, new_environment, see

FILES = {".gitignore", "README.md", "dodo.py", "plugins/half_precision.py", "pyproject.toml", "templates/README.md"}

PACKAGES = {"modelyard": "src/modelyard", "modelyard_plugins": "plugins", "modelyard_templates": "templates"}


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_new_project_is_complete_and_its_plugin_is_in_use(tmp_path: Path) -> None:
    said = scaffold.new_project(tmp_path / "My project")
    assert said == f"my-project: 6 files in {tmp_path}/My project\n  next: cd '{tmp_path}/My project' && doit"
    assert files_in(tmp_path / "My project") == FILES
    assert not [file for file in FILES if "@name@" in (tmp_path / "My project" / file).read_text()]
    plan = load(tmp_path / "My project").plan
    assert plan.config.name == "my-project"
    assert plan.stages["optimize:half"].uses["optimizer"].component.source.name == "plugins/half_precision.py"


def test_a_new_project_is_stale_from_end_to_end(tmp_path: Path) -> None:
    scaffold.new_project(tmp_path / "new")
    done = run_doit(tmp_path / "new", "list", "--all", "--status", "-q")
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"run"}


def test_installing_a_new_project_brings_what_it_needs(tmp_path: Path) -> None:
    scaffold.new_project(tmp_path / "new")
    python = new_environment(tmp_path / "venv")
    see(python, editable=True)
    install(python, tmp_path / "new")
    asked = "import importlib.metadata as m; print(m.requires('new'), [str(f) for f in m.files('new') if f.suffix == '.py'])"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "['modelyard[all]'] []\n"


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    scaffold.new_project(tmp_path, "x")
    assert files_in(tmp_path) == FILES | {"notes.txt"}


def test_without_a_folder_the_project_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ("net" * 30)).mkdir()
    monkeypatch.chdir(tmp_path / ("net" * 30))
    assert scaffold.new_project(Path(), None).endswith("\n  next: doit")
    assert load(Path.cwd()).config.name == ("net" * 30)[:52]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_project_s_own_plugin_keeps_the_contract(tmp_path: Path) -> None:
    scaffold.new_project(tmp_path / "new")
    checked = check_optimizer("half-precision", project=tmp_path / "new")
    assert checked.evaluation.metric("accuracy").value > 0.85


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    source = copy_of(ROOT, folder / "source")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is absent from the `packages` configuration" not in done.stdout + done.stderr
    return folder / "dist"


def _installed(what: Path, folder: Path) -> Path:
    """Install a wheel or sdist into a fresh environment, and return its interpreter."""
    python = new_environment(folder / "venv")
    see(python, editable=False)
    install(python, what)
    code = "import modelyard, modelyard_plugins, modelyard_templates as t; print(modelyard.__file__, modelyard_plugins.__file__, t.__path__[0])"
    shown = subprocess.run([python, "-c", code], env=clean(), capture_output=True, text=True, check=True)
    assert all(Path(place).is_relative_to(folder / "venv") for place in shown.stdout.split()), shown.stdout
    return python


@pytest.mark.thorough
def test_the_wheel_holds_every_file_of_every_package(built: Path) -> None:
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    for package, folder in PACKAGES.items():
        wanted = {f"{package}/{file}" for file in files_in(ROOT / folder) if "__pycache__" not in file}
        assert wanted <= set(wheel.namelist()), sorted(wanted - set(wheel.namelist()))


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.network
def test_the_sdist_installs_what_the_wheel_holds(built: Path, tmp_path: Path) -> None:
    python = _installed(next(built.glob("*.tar.gz")), tmp_path)
    code = "import sysconfig; print(sysconfig.get_path('purelib'), end='')"
    there = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/RECORD")}
    assert any(name.endswith("/entry_points.txt") for name in held)
    assert {name: (there / name).read_bytes() for name in held} == held
    found = {f"{top}/{file}" for top in PACKAGES for file in files_in(there / top) if "__pycache__" not in file}
    assert found == {name for name in held if name.split("/")[0] in PACKAGES}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.tensorflow
def test_installed_elsewhere_it_builds_a_new_project(built: Path, tmp_path: Path) -> None:
    python = _installed(next(built.glob("*.whl")), tmp_path)
    made = subprocess.run(
        [python.with_name("modelyard"), "init", "net"],
        cwd=tmp_path,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stdout == "net: 6 files in net\n  next: cd net && doit\n", made.stderr
    command = [str(python), "-m", "doit"]
    done, again = (
        subprocess.run(command, cwd=tmp_path / "net", env=clean(), capture_output=True, text=True, check=False)
        for _ in range(2)
    )
    assert done.returncode == again.returncode == 0, done.stdout + done.stderr + again.stdout
    assert ".  " in done.stdout
    assert ".  " not in again.stdout
    image = json.loads((tmp_path / "net/artifacts/image/net/image.json").read_text())
    assert image["digest"] in (tmp_path / "net/artifacts/render/kubernetes/40-deployment.yaml").read_text()
