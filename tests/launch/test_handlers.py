"""Handlers where a server runs them: how it is told of them, and what lies beside its code."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.component import Component, Source, Use
from modelyard.errors import StageFailed
from modelyard.launch.handlers import entry, handlers_of, lay_out, requirements, setting
from modelyard.params import InputPath

OWN = "def resize(*, size: int = 8):\n    return size\n"


def packed(*, names: InputPath | None = None, size: int = 8) -> None:
    """A handler of a package."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def own(project: Path, text: str = OWN, module: str = "steps") -> Use:
    """Return the handler of the project's module, which is written."""
    file = project / f"{module}.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(f"{module}_of_{project.parent.name}", file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return Use(Component("handler", f"{module}:resize", loaded.resize, Source("tests", "project", file)), {"size": 8})


def of_package(folder: Path, name: str = "names", **params: Any) -> Use:
    package = folder / f"{name}_handlers"
    (package / "__pycache__").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "__pycache__/x.pyc").write_text("")
    source = Source("tests", "installed", Path(__file__))
    lock = folder / "pinned.txt"
    return Use(Component("handler", name, packed, source, package=package, requirements=lock), params)


def steps(handlers: dict[str, Use], root: str = "") -> Any:
    return json.loads(setting(handlers, root)["MODELYARD_HANDLERS"])


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_handlers_are_told_by_their_roles(tmp_path: Path) -> None:
    use = of_package(tmp_path)
    roles = ("runtime", "before:1", "source", "after:1", "before:2:net.1", "beforehand")
    assert list(handlers_of(dict.fromkeys(roles, use))) == ["before:1", "after:1", "before:2:net.1"]


def test_without_handlers_a_server_is_told_nothing(project: Path, tmp_path: Path) -> None:
    assert setting({}) == {}
    lay_out({}, project, tmp_path / "out", [])
    assert not (tmp_path / "out").exists()


def test_a_server_is_told_what_opens_each_in_their_order(project: Path, tmp_path: Path) -> None:
    handlers = {"before:1": own(project), "before:2": of_package(tmp_path, size=3), "after:1": of_package(tmp_path)}
    assert steps(handlers) == {
        "before": [
            {"name": "steps:resize", "open": "steps:resize", "params": {"size": 8}},
            {"name": "names", "open": "names_handlers:packed", "params": {"size": 3}},
        ],
        "after": [{"name": "names", "open": "names_handlers:packed", "params": {}}],
    }
    assert setting(handlers)["MODELYARD_HANDLERS"] == json.dumps(steps(handlers), sort_keys=True), (
        "the same bytes always"
    )
    assert [entry(use.component) for use in handlers.values()][1:] == ["names_handlers:packed"] * 2


def test_a_server_of_several_models_is_told_those_of_each(tmp_path: Path) -> None:
    use = of_package(tmp_path)
    told = steps({"before:1:net.v2.1": use, "after:1:net.v2.1": use, "after:1:other.3": use})
    assert {name: {side: len(each) for side, each in one.items()} for name, one in told.items()} == {
        "net.v2/1": {"before": 1, "after": 1},
        "other/3": {"before": 0, "after": 1},
    }


def test_requirements_are_named_once(project: Path, tmp_path: Path) -> None:
    handlers = {"before:1": of_package(tmp_path), "before:2": own(project), "after:1": of_package(tmp_path, "other")}
    assert requirements(handlers) == [tmp_path / "pinned.txt"]


def test_an_asset_lies_where_the_server_is_told_and_is_a_file_or_a_folder(project: Path, tmp_path: Path) -> None:
    (project / "names.txt").write_text("a\nb\n")
    (project / "words").mkdir()
    (project / "words/en.txt").write_text("one\n")
    handlers = {
        "before:1": of_package(tmp_path, names=str(project / "names.txt")),
        "after:1:net.1": of_package(tmp_path, names=str(project / "words")),
        "after:2": of_package(tmp_path, names=None),
    }
    lay_out(handlers, project, tmp_path / "out", [])
    assert files(tmp_path / "out") == [
        "handler_assets/after-1-net.1/names/words/en.txt",
        "handler_assets/before-1/names/names.txt",
        "names_handlers/__init__.py",
    ]
    one = {"before:1": handlers["before:1"], "after:2": handlers["after:2"]}
    there = steps(one, "/app")
    assert there["before"][0]["params"] == {"names": "/app/handler_assets/before-1/names/names.txt"}
    assert there["after"][0]["params"] == {"names": None}
    assert steps(one)["before"][0]["params"] == {"names": str(project / "names.txt")}, "here they are where they were"


def test_the_projects_own_code_goes_along_with_what_it_imports_of_the_project(project: Path, tmp_path: Path) -> None:
    (project / "shapes").mkdir()
    (project / "shapes/__init__.py").write_text("")
    (project / "shapes/square.py").write_text("SIDE = 8\n")
    (project / "unused.py").write_text("")
    use = own(project, f"import json\n\n{OWN}\n\ndef later():\n    from shapes.square import SIDE\n    return SIDE\n")
    lay_out({"before:1": use}, project, tmp_path / "out", [])
    assert files(tmp_path / "out") == ["shapes/__init__.py", "shapes/square.py", "steps.py"]
    assert (tmp_path / "out/steps.py").read_text() == (project / "steps.py").read_text()


@pytest.mark.parametrize(
    ("text", "said", "todo"),
    [
        ("import modelyard\n", "steps.py imports modelyard, which the server does not have", "put the handler in a module"),
        ("import msgspec\n", "imports msgspec, which the server does not have", "pin it with its hashes in a file"),
    ],
)  # fmt: skip
def test_code_that_imports_what_the_server_lacks_is_refused(
    text: str, said: str, todo: str, project: Path, tmp_path: Path
) -> None:
    use = own(project, text + OWN)

    def laid_out(pinned: list[str]) -> None:
        lay_out({"before:1": use}, project, tmp_path / "out", pinned)

    assert said in refusal(laid_out)
    first, second = refusal(laid_out).split("\n")
    assert first.startswith(f"the handler 'steps:resize' ({project / 'steps.py'})")
    assert second.startswith(f"  {todo}")
    assert not (tmp_path / "out").exists(), "nothing is written then"
    if "msgspec" in text:
        laid_out(["MsgSpec"])
        assert files(tmp_path / "out") == ["steps.py"]


def refusal(laid_out: Callable[[list[str]], None]) -> str:
    with pytest.raises(StageFailed) as caught:
        laid_out(["numpy"])
    return str(caught.value)
