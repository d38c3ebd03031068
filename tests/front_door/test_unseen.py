"""What a model's code may depend on, in all ways: it counts, or the stage says that it does not and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.front_door.builds import Build, build, copy
from tests.front_door.conftest import TOY
from tests.shared import usual

MODEL = '''"""The toy's model."""

{top}

def build(input_shape, classes, *, width: int = 4):
    """Return what the trainer fills in."""
    {inside}
    return {{"classes": classes, "width": width, "start": value}}
'''


@dataclass(frozen=True)
class Way:
    """A way by which the model takes its `value` from somewhere.

    Attributes:
        top, inside: lines of the model's module, at its top and in its function.
        files: the files that hold the value, as they are first.
        edit: what `1` becomes `2` in; nothing if it is a variable of the environment.
        says: what the error says; nothing if it counts by itself.
    """

    top: str = ""
    inside: str = "pass"
    files: Mapping[str, str] = field(default_factory=dict)
    edit: str = ""
    says: str = ""


SIZES = {"sizes.json": "1"}
HELPER = {"helper.py": "VALUE = 1\n"}
FAR = {"far/helper2.py": "VALUE = 1\n"}
PACKAGE = {"net/__init__.py": "", "net/sizes.json": "1"}
COUNTED = {
    "import": Way("import helper", "value = helper.VALUE", HELPER, "helper.py"),
    "import in the function": Way("", "from helper import VALUE as value", HELPER, "helper.py"),
    "import_module": Way("import importlib", 'value = importlib.import_module("helper").VALUE', HELPER, "helper.py"),
    "imported import_module": Way(
        "from importlib import import_module",
        'value = import_module("net.helper").VALUE',
        {"net/helper.py": "VALUE = 1\n"},
        "net/helper.py",
    ),
    "__import__": Way("", 'value = __import__("helper").VALUE', HELPER, "helper.py"),
    "package data": Way(
        "from importlib import resources",
        'value = int(resources.files("net").joinpath("sizes.json").read_text())',
        PACKAGE,
        "net/sizes.json",
    ),
    "package data, by division": Way(
        "from importlib.resources import files",
        'value = int((files("net") / "sizes.json").read_text())',
        PACKAGE,
        "net/sizes.json",
    ),
    "pkgutil": Way("import pkgutil", 'value = int(pkgutil.get_data("net", "sizes.json"))', PACKAGE, "net/sizes.json"),
}
UNDECLARED = {
    "open": Way("import json", 'value = json.load(open("sizes.json"))', SIZES, "sizes.json", "model.py:7: reads sizes.json"),
    "pathlib at the top": Way(
        "from pathlib import Path\nVALUE = int(Path(__file__).with_name('sizes.json').read_text())",
        "value = VALUE",
        SIZES,
        "sizes.json",
        "reads sizes.json",
    ),
    "exec": Way("", 'exec(open("code.txt").read(), names := {}); value = names["VALUE"]', {"code.txt": "VALUE = 1\n"}, "code.txt", "reads code.txt"),
    "computed import": Way(
        "import importlib", 'value = importlib.import_module("hel" + "per2").VALUE', {"helper2.py": "VALUE = 1\n"}, "helper2.py", "imports helper2.py"
    ),
    "path of imports": Way(
        'import sys; sys.path.insert(0, "far"); import helper2', "value = helper2.VALUE", FAR, "far/helper2.py", "imports far/helper2.py"
    ),
    "module by its file": Way(
        "import runpy", 'value = runpy.run_path("far/helper2.py")["VALUE"]', FAR, "far/helper2.py", "reads far/helper2.py"
    ),
    "numpy": Way("import numpy", 'value = int(numpy.loadtxt("sizes.txt"))', {"sizes.txt": "1"}, "sizes.txt", "reads sizes.txt"),
    "a hidden error": Way(
        "",
        'try: value = int(open("sizes.json").read())\n    except Exception: value = 0',
        SIZES,
        "sizes.json",
        "reads sizes.json",
    ),
    "a forked process": Way(
        "import multiprocessing\ndef read(_): return int(open('sizes.json').read())",
        'value = multiprocessing.get_context("fork").Pool(1).map(read, [0])[0]',
        SIZES,
        "sizes.json",
        "reads sizes.json",
    ),
    "another's artifact": Way("", 'value = len(open("artifacts/other.txt").read())', {"artifacts/other.txt": "1"}, "artifacts/other.txt", "reads artifacts/other.txt"),
    "environ": Way("import os", 'value = int(os.environ["TOY_VALUE"])', {}, "", "reads the environment variable TOY_VALUE"),
    "getenv": Way("import os", 'value = int(os.getenv("TOY_VALUE", "0"))', {}, "", "reads the environment variable TOY_VALUE"),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a toy project with its data set made; not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "toy"
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    done = build(folder, "dataset")
    assert done.code == 0, done.output
    return folder


def write(project: Path, way: Way) -> None:
    """Let the project's model depend on something by `way`."""
    for name, text in way.files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    (project / "model.py").write_text(MODEL.format(top=way.top, inside=way.inside))


def train(project: Path, way: Way, value: int, *arguments: str) -> Build:
    """Give what the model depends on a value, and train."""
    if way.edit:
        path = project / way.edit
        path.write_text(path.read_text().replace("1", str(value)))
    return build(project, "train", *arguments, env={"TOY_VALUE": str(value)})


def start_value(project: Path) -> int:
    """Return what the trained model got."""
    return int(json.loads((project / "artifacts" / "train" / "model.build" / "model.toy").read_text())["start"])


@pytest.mark.parametrize("name", usual(COUNTED, 2))
def test_a_literal_way_counts_by_itself(data: Path, tmp_path: Path, name: str) -> None:
    project, way = copy(data, tmp_path / "toy"), COUNTED[name]
    write(project, way)
    for value in (1, 2):
        done = train(project, way, value)
        assert done.code == 0, done.output
        assert start_value(project) == value, done.output
        assert build(project, "train").having("fresh") >= {"train:model.build"}


@pytest.mark.parametrize("name", usual(UNDECLARED, 3))
def test_another_way_is_an_error_that_says_what_to_do_or_counts_from_then_on(
    data: Path, tmp_path: Path, name: str
) -> None:
    project, way = copy(data, tmp_path / "toy"), UNDECLARED[name]
    write(project, way)
    failed = train(project, way, 1)
    assert failed.code == 1, failed.output
    assert f"{way.says}, which does not count" in failed.output, failed.output
    assert "docs/explanation/incremental.md" in failed.output, failed.output
    assert "Traceback" not in failed.output, failed.output

    for value in (1, 2):
        done = train(project, way, value, "reads.undeclared=record")
        assert done.code == 0, done.output
        if name != "a hidden error":
            assert start_value(project) == (len(str(value)) if "artifact" in name else value), done.output
        again = train(project, way, value, "reads.undeclared=record")
        assert again.having("fresh") >= {"train:model.build"}, again.output
    assert build(project, "train", "reads.undeclared=allow", env={"TOY_VALUE": "2"}).code == 0


def test_what_is_no_input_is_no_error(data: Path, tmp_path: Path) -> None:
    project = copy(data, tmp_path / "toy")
    (project / "notes").mkdir()
    for name in (
        "notes/a.md",
        "shared/layer.tar",
        ".venv/lib/python3/site-packages/thing/data.txt",
        ".git/HEAD",
        "toy.egg-info/PKG-INFO",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("1")
    lines = (
        "import os, sys, warnings",
        "sys.path.append('.venv/lib/python3/site-packages')",
        "for name in ('notes/a.md', 'shared/layer.tar', '.git/HEAD', 'toy.egg-info/PKG-INFO'): open(name).read()",
        "open('scratch.txt', 'w').write('1'); open('scratch.txt').read()",
        "open('/etc/hostname').read()",
        "os.path.exists('sizes.json'); os.environ['TOY_PASSWORD']; os.environ['OMP_NUM_THREADS']",
        "warnings.warn('look here')",
        "value = 1",
    )
    write(project, Way("", "\n    ".join(lines)))
    harmless = ("reads.harmless_files=['notes/*']", "reads.harmless_variables=['TOY_PASSWORD']")
    done = build(project, "train", *harmless, env={"TOY_PASSWORD": "x", "MODELYARD_CACHE": "shared"})
    assert done.code == 0, done.output


def test_going_back_to_what_was_read_before_restores(data: Path, tmp_path: Path) -> None:
    project = copy(data, tmp_path / "toy")
    lines = ("first = open('sizes.json').read()", "value = int(open('more.json').read() if first == '2' else first)")
    write(project, Way("", "\n    ".join(lines), {"sizes.json": "1", "more.json": "7"}))

    def trained(size: int) -> str:
        (project / "sizes.json").write_text(str(size))
        done = build(project, "train", "reads.undeclared=record")
        return done.stages["train:model.build"]

    for size, how, start in ((1, "built", 1), (2, "built", 7), (1, "restored", 1), (2, "restored", 7)):
        assert trained(size) == how
        assert start_value(project) == start
        assert trained(size) == "fresh"
    shutil.rmtree(project / "artifacts" / "train")
    assert trained(1) == "restored"
    (project / "more.json").write_text("8")
    assert trained(1) == "fresh"
    assert trained(2) == "built"
    assert start_value(project) == 8
    whole = build(project, "verify")
    assert whole.code == 0, whole.output


def test_why_names_what_was_discovered(data: Path, tmp_path: Path) -> None:
    project, way = copy(data, tmp_path / "toy"), UNDECLARED["open"]
    write(project, way)
    assert train(project, way, 1, "reads.undeclared=record").code == 0
    (project / "sizes.json").write_text("2")
    answer = build(project, "why", "train", "reads.undeclared=record")
    assert "sizes.json, which the stage was seen to read: " in answer.output, answer.output


def test_a_hook_that_only_observes_may_read_what_it_likes(data: Path, tmp_path: Path) -> None:
    project = copy(data, tmp_path / "toy")
    (project / "channel.txt").write_text("#training")
    (project / "plugins" / "chat.py").write_text(
        "import os\nfrom modelyard import hookimpl\n\n"
        "@hookimpl(observes=True)\ndef modelyard_after_stage_run(stage, context):\n"
        "    context.log(open('channel.txt').read() + os.environ.get('CHAT', ''))\n"
    )
    done = build(project, "train")
    assert done.code == 0, done.output
    assert "#training" in (project / ".modelyard" / "logs" / "train" / "model.build.log").read_text()
