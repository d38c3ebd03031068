from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard import code
from modelyard.code import Closure, CodeIndex, read_code
from modelyard.digests import DigestTable
from modelyard.errors import DataError, PluginError
from modelyard.versions import installed_version

if TYPE_CHECKING:
    from pathlib import Path

Find = Callable[..., Closure]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def find(project: Path, tmp_path: Path) -> Iterator[Find]:
    """Write files and return the closure of the first, as a new process would find it."""
    table = DigestTable(tmp_path / "state.sqlite")

    def run(files: dict[str, str] | None = None, root: str = "model.py") -> Closure:
        for name, text in (files or {}).items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
        installed_version.cache_clear()
        return CodeIndex(project, table).closure(project / root)

    yield run
    table.close()


# What a file means

PROGRAM = '''"""What it is."""
import math

SCALE = 2


def first(value: int, *, width: int = 4) -> int:
    """Say what it answers."""
    # a comment
    return value * width


class Second:
    """A class."""

    size: int = 3
    """The text below an attribute."""

    def area(self):
        """Only a docstring."""
'''


def meaning(text: str, folder: Path) -> dict[str, str]:
    path = folder / "meaning.py"
    path.write_text(text)
    return read_code(path).parts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment\n    # and one more"),
        ('"""Say what it answers."""', '"""Say it otherwise."""'),
        ('"""Say what it answers."""\n', "\n"),
        ('"""What it is."""\n', ""),
        ('    """The text below an attribute."""\n', ""),
        ('"""Only a docstring."""', "pass"),
        ("value * width", "(\n        value *\n        width)"),
        ("\n\n\nclass", "\nclass"),
        ("SCALE = 2", "SCALE = 0b10"),
        ("width: int = 4", "width:int=4"),
    ],
)
def test_comments_docstrings_and_layout_mean_nothing(old: str, new: str, tmp_path: Path) -> None:
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new), tmp_path) == meaning(PROGRAM, tmp_path)


def test_the_order_of_functions_means_nothing(project: Path, find: Find) -> None:
    one, two = "def one():\n    return 1\n", "def two():\n    return 2\n"
    assert find({"model.py": one + two}).digest == find({"model.py": two + one}).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value * width", "value + width"),
        ("width: int = 4", "width: int = 5"),
        ("width: int = 4", "width: float = 4"),
        ("SCALE = 2", "SCALE = 2.0"),
        ("SCALE = 2", "SCALE = '2'"),
        ("import math", "import cmath as math"),
        ("def area(self)", "def area(self, *args)"),
        ("class Second:", "class Second(dict):"),
        ("def first", "def primero"),
        ("def first", "async def first"),
        ("    return value * width", "    value * width"),
    ],
)
def test_every_change_that_python_sees_counts(old: str, new: str, tmp_path: Path) -> None:
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new), tmp_path) != meaning(PROGRAM, tmp_path)


def test_a_change_is_told_by_the_function_that_it_is_in(tmp_path: Path) -> None:
    before, after = meaning(PROGRAM, tmp_path), meaning(PROGRAM.replace("value * width", "width"), tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"first"}


NAMES = st.sampled_from(["a", "b", "c"])
CONSTANTS = st.one_of(
    st.integers(-3, 3), st.booleans(), st.none(), st.floats(allow_nan=False), st.text(max_size=3), st.binary(max_size=2)
).map(lambda value: ast.Constant(value=value))


def _compound(inner: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
    operators = st.sampled_from([ast.Add(), ast.Sub(), ast.Mult(), ast.Div()])
    return st.one_of(
        st.builds(ast.BinOp, left=inner, op=operators, right=inner),
        st.builds(lambda items: ast.Tuple(elts=items, ctx=ast.Load()), st.lists(inner, max_size=3)),
        st.builds(lambda items: ast.List(elts=items, ctx=ast.Load()), st.lists(inner, max_size=3)),
        st.builds(lambda f, items: ast.Call(func=f, args=items, keywords=[]), inner, st.lists(inner, max_size=2)),
        st.builds(lambda test, one, two: ast.IfExp(test=test, body=one, orelse=two), inner, inner, inner),
    )


EXPRESSIONS = st.recursive(
    st.one_of(CONSTANTS, NAMES.map(lambda name: ast.Name(id=name, ctx=ast.Load()))), _compound, max_leaves=8
)
STATEMENTS = st.one_of(
    st.builds(lambda n, e: f"{n} = {ast.unparse(e)}", NAMES, EXPRESSIONS),
    st.builds(lambda e: f"return {ast.unparse(e)}", EXPRESSIONS),
    st.builds(lambda t, n, e: f"if {ast.unparse(t)}:\n        {n} = {ast.unparse(e)}", EXPRESSIONS, NAMES, EXPRESSIONS),
)


@settings(max_examples=60)
@given(st.lists(STATEMENTS, min_size=1, max_size=4), st.lists(STATEMENTS, min_size=1, max_size=4))
def test_two_programs_mean_the_same_exactly_if_their_trees_are_equal(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], two: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    first, second = ("def f(a, b, c):\n    " + "\n    ".join(body) + "\n" for body in (one, two))
    equal = ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    assert (meaning(first, folder) == meaning(second, folder)) is equal
    assert meaning(ast.unparse(ast.parse(first)), folder) == meaning(first, folder)


def test_code_too_deep_for_a_recursion_is_read(tmp_path: Path) -> None:
    chain = "def f(x):\n    if x == 0:\n        return 0\n" + "".join(
        f"    elif x == {n}:\n        return {n}\n" for n in range(1, 600)
    )
    compile(chain, "chain", "exec")
    changed = chain.replace("return 599", "return 600")
    assert meaning(chain, tmp_path) != meaning(changed, tmp_path)
    assert meaning(chain, tmp_path) == meaning(f"# a comment\n{chain}", tmp_path)


@pytest.mark.parametrize("text", [b"def f(:\n", b"x = 1\x00", b"\xff\xfe = 1", b"x = (" * 300])
def test_a_file_that_is_not_python_is_a_plugin_error_that_names_it(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(text)
    with pytest.raises(PluginError, match=r"bad\.py"):
        read_code(tmp_path / "bad.py")


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1\ny = = 2\n")
    with pytest.raises(PluginError, match=r"bad\.py:2: syntax error"):
        read_code(tmp_path / "bad.py")


# The closure

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
    found = find({"model.py": "from modelyard.jsonfiles import write_json\n"})
    assert any(name.endswith("modelyard/jsonfiles.py") for name in found.files)
    assert not any(name.endswith("modelyard/plugins.py") for name in found.files)


def test_a_file_is_parsed_once_for_each_content(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    parse = code.parse
    monkeypatch.setattr(code, "parse", lambda path: parsed.append(path) or parse(path))
    find({"model.py": "import helper\n", "helper.py": HELPER})
    find()
    assert [path.name for path in parsed] == ["model.py", "helper.py"]
    find({"helper.py": HELPER.replace("1", "2")})
    assert [path.name for path in parsed][2:] == ["helper.py"]


def test_finding_a_closure_imports_nothing(project: Path) -> None:
    (project / "model.py").write_text("import numpy\nimport helper\n")
    (project / "helper.py").write_text("raise SystemExit('imported')\n")
    script = (
        "import sys; from pathlib import Path\n"
        "from modelyard.code import CodeIndex; from modelyard.digests import DigestTable\n"
        "p = Path.cwd(); c = CodeIndex(p, DigestTable(p / 's.sqlite')).closure(p / 'model.py')\n"
        "assert 'numpy' in c.distributions, c; assert 'numpy' not in sys.modules; print(sorted(c.files))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True)
    assert done.stdout == "['helper.py', 'model.py']\n", done.stderr
