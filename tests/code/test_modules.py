"""Which file a module is: of the project first, then where Python would find it; nothing is imported."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
import pytest

import modelyard
from modelyard.code.modules import Modules, Places, _with_packages
from modelyard.files.digests import RACY_NS

CORE = Path(modelyard.__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has a module, a package with data, and what only looks like a module."""
    folder = tmp_path / "project"
    for name in (
        "helper.py",
        "net/__init__.py",
        "net/layers.py",
        "net/deep/__init__.py",
        "net/deep/last.py",
        "net/data/words.txt",
        "space/inner.py",
        "alone.py",
        "alone/inner.py",
        "notes.txt",
        "odd.egg-info/top.py",
        "plugins/own.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('imported')\n")
    return folder


def follow(project: Path, *imports: str, file: str = "model.py", but: tuple[str, ...] = ()) -> list[str]:
    """Return what a file of the project imports: its own files by their place in the project, others by their whole path."""
    found = Modules(project).follow(imports, f"{project}/{file}", but.__contains__)
    return [path.removeprefix(f"{project}/") for path in found]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("helper", ["helper.py"]),
        ("net", ["net/__init__.py"]),
        ("net.layers", ["net/__init__.py", "net/layers.py"]),
        ("net.deep.last", ["net/__init__.py", "net/deep/__init__.py", "net/deep/last.py"]),
        ("space.inner", ["space/inner.py"]),
        ("modelyard_project.own", ["plugins/own.py"]),
        ("net.nothing", ["net/__init__.py"]),
        ("helper.nothing", ["helper.py"]),
        ("alone.inner", ["alone.py"]),
        ("notes", []),
        ("odd", []),
        ("nowhere.at.all", []),
        ("json", []),
        ("sys", []),
    ],
)
def test_a_module_and_the_packages_around_it_are_files(name: str, files: list[str], project: Path) -> None:
    assert follow(project, name) == files


@pytest.mark.parametrize(
    ("name", "file", "files"),
    [
        (".layers", "net/x.py", ["net/layers.py"]),
        (".", "net/x.py", ["net/__init__.py"]),
        ("..layers", "net/deep/last.py", ["net/layers.py"]),
        ("..deep.last", "net/deep/last.py", ["net/deep/__init__.py", "net/deep/last.py"]),
        ("...helper", "net/deep/last.py", ["helper.py"]),
        (".layers", "model.py", []),
    ],
)
def test_a_relative_import_begins_at_the_importing_file(name: str, file: str, files: list[str], project: Path) -> None:
    assert follow(project, name, file=file) == files


def test_each_file_is_told_once_and_in_the_order_of_the_imports(project: Path) -> None:
    assert follow(project, "net.layers", "helper", "net.deep", "net") == [
        "net/__init__.py",
        "net/layers.py",
        "helper.py",
        "net/deep/__init__.py",
    ]


def test_a_name_that_is_not_followed_leaves_out_that_step_alone(project: Path) -> None:
    assert follow(project, "net.deep.last", but=("net.deep",)) == ["net/__init__.py", "net/deep/last.py"]


@pytest.mark.parametrize(
    ("name", "file", "files"),
    [
        ("net:data/words.txt", "model.py", ["net/data/words.txt"]),
        (".:data/words.txt", "net/layers.py", ["net/data/words.txt"]),
        (".:../notes.txt", "net/layers.py", ["notes.txt"]),
        ("space:inner.py", "model.py", ["space/inner.py"]),
        ("net:data", "model.py", []),
        ("net:data/nothing.txt", "model.py", []),
        ("msgspec:py.typed", "model.py", []),
    ],
)
def test_data_of_a_package_of_the_project_is_a_file_too(name: str, file: str, files: list[str], project: Path) -> None:
    assert follow(project, name, file=file) == files


def test_what_is_installed_is_a_place_whose_distribution_can_be_told(project: Path) -> None:
    (found,) = follow(project, "msgspec.json")[:1]
    modules = Modules(project)
    assert modules.installed_name(found) == "msgspec"
    assert modules.installed_name(f"{project}/helper.py") is None
    site = next(folder for folder in modules._installed if Path(folder).is_dir())
    assert modules.installed_name(f"{site}six.py") == "six"
    assert modules.installed_name(f"{site}yaml/nodes.py") == "yaml"


def test_modelyard_s_own_modules_are_files_and_its_package_is_no_package_of_theirs(project: Path) -> None:
    assert f"{CORE}/files/json.py" in follow(project, "modelyard.files.json")
    assert list(Modules(project).packages_of(f"{CORE}/files/json.py")) == [f"{CORE}/files/__init__.py"]


def test_the_packages_that_a_file_is_in_end_where_a_folder_is_none(project: Path) -> None:
    deep = [f"{project}/net/deep/__init__.py", f"{project}/net/__init__.py"]
    assert list(Modules(project).packages_of(f"{project}/net/deep/last.py")) == deep
    assert list(Modules(project).packages_of(f"{project}/space/inner.py")) == []


def test_a_module_of_the_project_comes_before_one_of_the_same_name(project: Path) -> None:
    (project / "msgspec.py").write_text("")
    (project / "json").mkdir()
    (project / "json" / "__init__.py").write_text("")
    assert follow(project, "msgspec", "json.decoder") == ["msgspec.py", "json/__init__.py"]


def test_a_folder_of_the_path_is_looked_into_behind_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("helper", "further"):
        (tmp_path / "elsewhere" / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert follow(project, "helper", "further") == ["helper.py", f"{tmp_path}/elsewhere/further.py"]


def settled(project: Path) -> Modules:
    """Return modules that found one which is there and one that is not, once both are old enough to be trusted."""
    time.sleep(2 * RACY_NS / 1e9)
    modules = Modules(project)
    assert modules.follow(["helper", "net.late"], f"{project}/model.py", lambda _: False)
    return modules


def test_what_was_found_holds_until_something_could_be_found_elsewhere(project: Path) -> None:
    modules = settled(project)
    assert modules.is_current()
    (project / "net" / "late.py").write_text("")
    assert not modules.is_current(), "a module that was looked for is there now"


def test_a_new_name_in_the_project_may_hide_what_was_found(project: Path) -> None:
    modules = settled(project)
    (project / "queue.py").write_text("")
    assert not modules.is_current()


def test_a_new_name_in_a_folder_of_the_path_may_be_what_was_not_found(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    modules = settled(project)
    assert modules.is_current()
    (tmp_path / "elsewhere" / "late.py").write_text("")
    assert not modules.is_current()


def test_another_path_may_lead_elsewhere(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = settled(project)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert not modules.is_current()


def test_another_process_goes_on_from_what_was_found_if_it_would_find_the_same(project: Path) -> None:
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(settled(project).places), type=Places)
    assert Modules(project).adopt(kept)
    assert not Modules(project).adopt(msgspec.structs.replace(kept, path=()))
    assert not Modules(project).adopt(msgspec.structs.replace(kept, top_names=kept.top_names - {"helper"}))
    (project / "net" / "late.py").write_text("")
    assert not Modules(project).adopt(kept)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("a", ["a"]),
        ("a.b.c", ["a", "a.b", "a.b.c"]),
        (".a.b", [".a", ".a.b"]),
        ("..a", ["..a"]),
        ("..", [".."]),
        ("a.b:c.txt", ["a.b:c.txt"]),
    ],
)
def test_an_import_runs_the_packages_around_a_module(name: str, steps: list[str]) -> None:
    assert list(_with_packages(name)) == steps
