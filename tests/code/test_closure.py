from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import modelyard
import modelyard_plugins
from modelyard.code import closure, syntax
from modelyard.code.closure import Closure, CodeIndex
from modelyard.code.modules import Modules
from modelyard.code.versions import versions_by_name
from modelyard.errors import DataError
from modelyard.files.digests import RACY_NS, DigestTable

Find = Callable[..., Closure]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture(params=["anew", "kept"])
def find(request: pytest.FixtureRequest, project: Path, tmp_path: Path) -> Iterator[Find]:
    """Write files and return the closure of the first, as a new process would find it.

    It is found anew, or from what the process before kept.
    """
    table = DigestTable(tmp_path / "state.sqlite")

    def run(files: dict[str, str] | None = None, root: str = "model.py") -> Closure:
        for name, text in (files or {}).items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
        versions_by_name.cache_clear()
        if request.param == "anew":
            return CodeIndex(project, table).closure(project / root)
        time.sleep(2 * RACY_NS / 1e9)  # what is younger is not kept
        index = CodeIndex(project, table)
        closure = index.closure(project / root)
        index.persist()
        return closure

    yield run
    table.close()


# The closure


def test_what_only_says_what_to_build_counts_for_no_stage_and_no_component(tmp_path: Path) -> None:
    """An edit of the planner or of a hook's text trains nothing again: what they decide is in parameters and inputs."""
    core = Path(modelyard.__file__).parent
    sources = [*(core / "stages").glob("*.py"), *Path(modelyard_plugins.__file__).parent.glob("*/*.py")]
    table = DigestTable(tmp_path / "state.sqlite")
    index = CodeIndex(tmp_path, table)
    counted = {os.path.relpath(path, core) for source in sources for path in index.closure(source).paths}
    table.close()
    tops = {name.partition("/")[0].removesuffix(".py") for name in counted if not name.startswith("..")}
    assert {"stages", "artifacts", "files"} <= tops
    assert tops.isdisjoint(closure._NEVER_SHAPE_BYTES)
    places = [core / name.replace(".", "/") for name in closure._NEVER_SHAPE_BYTES]
    assert all(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


def test_what_handlers_are_checked_with_ahead_is_not_what_a_model_is_trained_with(tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "state.sqlite")
    paths = CodeIndex(tmp_path, table).closure(Path(modelyard.__file__).parent / "stages" / "train.py").paths
    table.close()
    assert any(path.endswith("stages/model_facts.py") for path in paths)
    assert not any("/handlers" in path or "/serving/" in path for path in paths)


def test_the_order_of_functions_means_nothing(project: Path, find: Find) -> None:
    one, two = "def one():\n    return 1\n", "def two():\n    return 2\n"
    assert find({"model.py": one + two}).digest == find({"model.py": two + one}).digest


HELPER = "def help():\n    return 1\n"


@pytest.mark.parametrize(
    ("files", "root"),
    [
        ({"model.py": "import helper\n", "helper.py": HELPER}, "model.py"),
        ({"model.py": "from helper import help\n", "helper.py": HELPER}, "model.py"),
        ({"model.py": "def build():\n    from helper import help\n", "helper.py": HELPER}, "model.py"),
        ({"model.py": "import one\n", "one.py": "import helper\n", "helper.py": HELPER}, "model.py"),
        ({"model.py": "try:\n    import helper\nexcept ImportError:\n    pass\n", "helper.py": HELPER}, "model.py"),
        ({"net/model.py": "from .helper import help\n", "net/helper.py": HELPER}, "net/model.py"),
        ({"net/model.py": "from . import helper\n", "net/helper.py": HELPER}, "net/model.py"),
        ({"net/deep/model.py": "from ..helper import help\n", "net/helper.py": HELPER}, "net/deep/model.py"),
        (
            {
                "model.py": "from net import help\n",
                "net/__init__.py": "from .helper import help\n",
                "net/helper.py": HELPER,
            },
            "model.py",
        ),
        ({"model.py": "from net import helper\n", "net/helper.py": HELPER}, "model.py"),
        ({"model.py": "import net.helper\n", "net/__init__.py": "", "net/helper.py": HELPER}, "model.py"),
        (
            {"plugins/model.py": "from modelyard_project.helper import help\n", "plugins/helper.py": HELPER},
            "plugins/model.py",
        ),
    ],
)
def test_an_edited_helper_counts_however_it_is_imported(files: dict[str, str], root: str, find: Find) -> None:
    helper = next(name for name in files if name.endswith("helper.py"))
    before = find(files, root)
    assert helper in before.files
    assert find({helper: HELPER.replace("1", "2")}, root).digest != before.digest
    assert find({helper: f"# a comment\n{HELPER}"}, root).digest == before.digest


@pytest.mark.parametrize("statement", ["import net.helper", "from net.helper import help", "import net.helper as h"])
def test_the_package_around_an_imported_module_counts(statement: str, find: Find) -> None:
    files = {"model.py": f"{statement}\n", "net/__init__.py": "SIZE = 1\n", "net/helper.py": HELPER}
    before = find(files)
    assert find({"net/__init__.py": "SIZE = 2\n"}).digest != before.digest


def test_the_package_around_the_model_itself_counts(find: Find) -> None:
    before = find({"net/__init__.py": "SIZE = 1\n", "net/model.py": HELPER}, "net/model.py")
    assert find({"net/__init__.py": "SIZE = 2\n"}, "net/model.py").digest != before.digest


def test_modules_that_import_each_other_are_found_once(find: Find) -> None:
    found = find({"model.py": "import other\n", "other.py": "import model\n"})
    assert sorted(found.files) == ["model.py", "other.py"]


def test_a_module_that_is_not_imported_does_not_count(find: Find, project: Path) -> None:
    before = find({"model.py": "import math\n"})
    assert find({"unrelated.py": "x = 1\n"}).digest == before.digest
    assert list(before.files) == ["model.py"]


@pytest.mark.parametrize("name", ["numpy", "queue", "json"])
def test_a_module_of_the_project_hides_an_installed_or_standard_one(name: str, find: Find) -> None:
    before = find({"model.py": f"import {name}\n", f"{name}.py": "x = 1\n"})
    assert f"{name}.py" in before.files
    assert find({f"{name}.py": "x = 2\n"}).digest != before.digest


def test_a_helper_that_was_deleted_changes_the_code(find: Find, project: Path) -> None:
    before = find({"model.py": "import helper\n", "helper.py": HELPER})
    (project / "helper.py").unlink()
    assert find().digest != before.digest


def test_a_helper_that_appears_while_the_index_lives_is_seen_after_forget(project: Path, tmp_path: Path) -> None:
    (project / "model.py").write_text("import helper\n")
    index = CodeIndex(project, DigestTable(tmp_path / "state.sqlite"))
    before = index.closure(project / "model.py").digest
    (project / "helper.py").write_text(HELPER)
    index.forget()
    assert index.closure(project / "model.py").digest != before


def test_a_file_that_is_gone_is_an_error_without_a_traceback(find: Find) -> None:
    with pytest.raises(DataError, match="nowhere"):
        find(root="nowhere.py")


def test_the_same_code_elsewhere_has_the_same_digest(find: Find, project: Path, tmp_path: Path) -> None:
    here = find({"model.py": "import helper\n", "helper.py": HELPER}).digest
    there = tmp_path / "another" / "folder"
    shutil.copytree(project, there)
    assert CodeIndex(there, DigestTable(tmp_path / "other.sqlite")).closure(there / "model.py").digest == here


def test_two_files_whose_paths_end_alike_both_count(find: Find, project: Path, tmp_path: Path) -> None:
    for top in ("one", "two"):
        folder = tmp_path / top / "core" / "tools"
        folder.mkdir(parents=True)
        (folder / "io.py").write_text(f"x = {top!r}\n")
    index = CodeIndex(project, DigestTable(tmp_path / "state2.sqlite"))
    files = [tmp_path / top / "core" / "tools" / "io.py" for top in ("one", "two")]
    assert len(index.closure(*files).files) == 2


# Installed distributions


def install(site: Path, name: str, version: str, module: str, text: str) -> None:
    shutil.rmtree(site, ignore_errors=True)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "top_level.txt").write_text(f"{module}\n")
    (site / module).mkdir()
    (site / module / "__init__.py").write_text(text)
    os.utime(site, ns=(0, hash((version, text)) % 10**18))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("name", ["tinylib", "tiny-lib-with-another-name"])
def test_an_installed_distribution_counts_by_version_alone(name: str, find: Find, site: Path) -> None:
    install(site, name, "1.0", "tinylib", "x = 1\n")
    before = find({"model.py": "from tinylib import x\n"})
    assert before.distributions == {name: "1.0"}
    assert list(before.files) == ["model.py"]
    install(site, name, "1.0", "tinylib", "x = 2\n")
    assert find().distributions == before.distributions
    install(site, name, "1.1", "tinylib", "x = 2\n")
    assert find().distributions == {name: "1.1"}


def test_an_installed_file_as_root_counts_by_its_distribution(site: Path, project: Path, tmp_path: Path) -> None:
    install(site, "tinylib", "1.0", "tinylib", "x = 1\n")
    found = CodeIndex(project, DigestTable(tmp_path / "state2.sqlite")).closure(site / "tinylib" / "__init__.py")
    assert found.distributions == {"tinylib": "1.0"}
    assert found.files == {}


def test_modelyards_own_code_is_followed_in_a_clone(find: Find) -> None:
    found = find({"model.py": "from modelyard.files.json import write_json\n"})
    assert any(name.endswith("modelyard/files/json.py") for name in found.files)
    assert not any(name.endswith("modelyard/plugins/load.py") for name in found.files)


def test_a_file_is_parsed_once_for_each_content(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    parse = syntax.parse
    monkeypatch.setattr(syntax, "parse", lambda path: parsed.append(path) or parse(path))
    find({"model.py": "import helper\n", "helper.py": HELPER})
    find()
    assert [path.name for path in parsed] == ["model.py", "helper.py"]
    find({"helper.py": HELPER.replace("1", "2")})
    assert [path.name for path in parsed][2:] == ["helper.py"]


def test_what_was_kept_is_not_looked_up_again_and_says_the_same(
    find: Find, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find({"model.py": "import helper, msgspec\n", "helper.py": HELPER})
    time.sleep(2 * RACY_NS / 1e9)
    index = CodeIndex(project, DigestTable(tmp_path / "state.sqlite"))
    index.closure(project / "model.py")
    index.persist()
    monkeypatch.setattr(Modules, "follow", lambda *_: pytest.fail("a file was followed again"))
    after = CodeIndex(project, DigestTable(tmp_path / "state.sqlite")).closure(project / "model.py")
    assert after == before
    assert after.files
    assert "msgspec" in after.distributions


def test_what_was_kept_of_young_files_is_not_trusted(project: Path, tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "state.sqlite")
    (project / "model.py").write_text("x = 1\n")
    index = CodeIndex(project, table)
    before = index.closure(project / "model.py").digest
    index.persist()
    (project / "model.py").write_text("x = 2\n")
    assert CodeIndex(project, table).closure(project / "model.py").digest != before


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"\x90"])
def test_what_was_kept_and_cannot_be_read_is_found_anew(junk: bytes, project: Path, tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "state.sqlite")
    (project / "model.py").write_text("x = 1\n")
    table.write_note(CodeIndex(project, table)._note, junk)
    assert list(CodeIndex(project, table).closure(project / "model.py").files) == ["model.py"]


def test_finding_a_closure_imports_nothing(project: Path) -> None:
    (project / "model.py").write_text("import numpy\nimport helper\n")
    (project / "helper.py").write_text("raise SystemExit('imported')\n")
    script = (
        "import sys; from pathlib import Path\n"
        "from modelyard.code.closure import CodeIndex; from modelyard.files.digests import RACY_NS, DigestTable\n"
        "p = Path.cwd(); c = CodeIndex(p, DigestTable(p / 's.sqlite')).closure(p / 'model.py')\n"
        "assert 'numpy' in c.distributions, c; assert 'numpy' not in sys.modules; print(sorted(c.files))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True)
    assert done.stdout == "['helper.py', 'model.py']\n", done.stderr


def test_a_folder_that_cannot_be_a_module_is_not_looked_into(project: Path, tmp_path: Path) -> None:
    (project / "modelyard.egg-info").mkdir()
    (project / "model.py").write_text("import modelyard.units\n")
    index = CodeIndex(project, DigestTable(tmp_path / "state.sqlite"))
    assert any(path.endswith("modelyard/units.py") for path in index.closure(project / "model.py").paths)
    with pytest.raises(KeyError):
        index.mark(str(project / "modelyard" / "units.py"))


def test_a_module_that_is_no_package_is_not_looked_into(project: Path, tmp_path: Path) -> None:
    (project / "helper.py").write_text("def made(): ...\n")
    (project / "model.py").write_text("from helper import made\n")
    index = CodeIndex(project, DigestTable(tmp_path / "state.sqlite"))
    assert list(index.closure(project / "model.py").files) == ["model.py", "helper.py"]
    with pytest.raises(KeyError):
        index.mark(str(project / "helper" / "made.py"))


def test_a_package_beside_a_module_of_its_name_wins_as_soon_as_it_is_there(find: Find) -> None:
    find({"model.py": "from helper import made\n", "helper.py": "made = 1\n"})
    found = find({"helper/__init__.py": "", "helper/made.py": "made = 2\n"})
    assert sorted(found.files) == ["helper/__init__.py", "helper/made.py", "model.py"]


def test_what_a_closure_is_in_a_key_is_kept_without_its_sources(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "model.py").write_text("import msgspec, helper\n")
    (project / "helper.py").write_text("made = 1\n")
    time.sleep(2 * RACY_NS / 1e9)  # what is younger is not kept
    table = DigestTable(tmp_path / "state.sqlite")
    index = CodeIndex(project, table)
    before, closure = index.meaning(project / "model.py"), index.closure(project / "model.py")
    assert (before.digest, before.distributions) == (closure.digest, closure.distributions)
    index.persist()
    later = CodeIndex(project, table)
    monkeypatch.setattr(CodeIndex, "_closure", None)
    assert later.meaning(project / "model.py") == before
    monkeypatch.undo()
    assert later.closure(project / "model.py").files == closure.files
    (project / "helper.py").write_text("made = 22\n")
    assert CodeIndex(project, table).meaning(project / "model.py").digest != before.digest
