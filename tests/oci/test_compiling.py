from __future__ import annotations

import importlib.util
import json
import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.oci import compiling

TEXT = """\
from __future__ import annotations
import json.decoder
from . import near
from ..far import thing
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import seen_by_checkers
if sys.platform == "win32":
    import elsewhere
else:
    import here
try:
    import quick
except ImportError:
    import slow
class Kind:
    import inside
def later():
    import lazily
if __name__ == "__main__":
    import program
"""


def test_what_runs_at_import_is_found_in_the_text_and_what_never_does_here_is_not() -> None:
    names = set(compiling.imports_of(TEXT.encode(), "top.sub", later=False))

    assert {"json.decoder", "top.sub.near", "top.far", "top.far.thing", "here", "quick", "inside"} <= names
    assert not {"seen_by_checkers", "elsewhere", "slow", "lazily", "program"} & names
    assert "lazily" in compiling.imports_of(TEXT.encode(), "top.sub", later=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A server that imports one of two libraries from within a function, and a broken one."""
    root = tmp_path / "root"
    files = {
        "app/server/__init__.py": "",
        "app/server/__main__.py": "from server.work import answer\nprint(answer())\n",
        "app/server/work.py": "def answer():\n    from used.deep import NUMBER\n    return NUMBER\n",
        "app/site/used/__init__.py": "import broken\n",
        "app/site/used/deep.py": "import colorsys\nNUMBER = {1, 2} and 41 + 1\nNAMES = frozenset(['one', 'two', 'three'])\n",
        "app/site/unused.py": "",
        "app/site/broken.py": "def {{ template }}\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def compile_image(root: Path, out: Path, seed: str = "0") -> dict[str, bytes]:
    told = json.dumps({"root": str(root), "places": ["/app/server"], "out": str(out)})
    script = Path(compiling.__file__).read_text()
    variables = {"PYTHONPATH": f"{root}/app:{root}/app/site", "PYTHONHASHSEED": seed, "PATH": os.environ["PATH"]}
    # the library of this Python is not in the image: a link leads to it, and is followed
    command = [sys.executable, "-s", "-S", "-c", script.replace("sys.path if", f"{_in(root)!r} if"), told]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.pyc"))}


def _in(root: Path) -> list[str]:
    return [f"{root}/app", f"{root}/app/site"]


def test_the_server_and_what_it_imports_are_compiled_and_nothing_else(image: Path, tmp_path: Path) -> None:
    made = compile_image(image, tmp_path / "out")

    tag = sys.implementation.cache_tag
    assert sorted(made) == sorted(
        f"app/{folder}__pycache__/{name}.{tag}.pyc"
        for folder, name in (
            ("server/", "__init__"), ("server/", "__main__"), ("server/", "work"), ("site/used/", "__init__"), ("site/used/", "deep"),
        )
    )  # fmt: skip
    data = made[f"app/site/used/__pycache__/deep.{tag}.pyc"]
    assert data[:8] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0"
    assert marshal.loads(data[16:]).co_filename == "/app/site/used/deep.py"


def test_the_bytes_are_the_same_wherever_the_image_lies_and_whatever_the_seed(image: Path, tmp_path: Path) -> None:
    first = compile_image(image, tmp_path / "out")
    moved = tmp_path / "a longer place"
    image.rename(moved)

    assert compile_image(moved, tmp_path / "again", "77") == first


def test_python_takes_what_was_compiled_as_it_is(image: Path, tmp_path: Path) -> None:
    compile_image(image, image)
    (image / "app/server/work.py").write_text("raise SystemExit('compiled again')\n")
    variables = {"PYTHONPATH": f"{image}/app:{image}/app/site", "PATH": os.environ["PATH"]}
    (image / "app/site/broken.py").write_text("")
    done = subprocess.run([sys.executable, "-m", "server"], env=variables, capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr


def test_a_link_out_of_the_image_is_not_followed(image: Path, tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("import here\n")
    (image / "app/site/colorsys.py").symlink_to(tmp_path / "colorsys.py")

    assert not [path for path in compile_image(image, tmp_path / "out") if "colorsys" in path]


def test_a_server_may_be_a_module_alone(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("")

    assert list(compiling.modules_of(tmp_path / "one.py")) == ["one"]
