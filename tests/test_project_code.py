from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest

from modelyard.component import REQUIRED
from modelyard.config import load_config
from modelyard.errors import ConfigError, PluginError
from modelyard.params import Fraction, InputPath
from modelyard.plugins import load_plugins
from modelyard.project_code import ProjectFunction, project_function

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Doit = Callable[..., "subprocess.CompletedProcess[str]"]

MODEL = '''
import a_framework_that_is_not_installed

from typing import Literal
from modelyard import params
from modelyard.params import Fraction, InputPath


def build(
    input_shape,
    classes,
    *,
    width: int = 4,
    dropout: Fraction = 0.25,
    kind: Literal["a", "b"] = "a",
    weights: InputPath | None = None,
    mask: "InputPath | None" = None,
    start: params.InputPath | None = None,
    other: SomethingElse = (1, -2),
    rate: float,
):
    """Build it.

    Args:
        width: how wide.
    """
'''


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., ProjectFunction]:
    def run(text: str = MODEL, reference: str = "model:build", file: str = "model.py") -> ProjectFunction:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
        return project_function("model", tmp_path, reference, "[model]")

    return run


def test_parameters_are_read_without_importing_the_module(build: Callable[..., ProjectFunction]) -> None:
    found = build().parameters
    assert {name: p.annotation for name, p in found.items()} == {
        "width": int,
        "dropout": Fraction,
        "kind": Literal["a", "b"],
        "weights": InputPath | None,
        "mask": InputPath | None,
        "start": InputPath | None,
        "other": found["other"].annotation,
        "rate": float,
    }
    assert [p.default for p in found.values()] == [4, 0.25, "a", None, None, None, (1, -2), REQUIRED]
    assert found["width"].doc == "how wide."
    assert [name for name, p in found.items() if p.is_input] == ["weights", "mask", "start"]
    assert "model" not in sys.modules


@pytest.mark.parametrize("file", ["net/__init__.py", "net.py"])
def test_a_module_may_be_a_package(file: str, build: Callable[..., ProjectFunction], tmp_path: Path) -> None:
    assert build(reference="net:build", file=file).file == tmp_path / file


def test_a_module_in_a_package_is_found(build: Callable[..., ProjectFunction], tmp_path: Path) -> None:
    assert build(reference="net.model:build", file="net/model.py").file == tmp_path / "net" / "model.py"


@pytest.mark.parametrize(
    ("reference", "match"),
    [
        ("modle:build", r"no module 'modle' in the project, did you mean 'model'\?\n  write the file .*modle.py"),
        ("model:bild", r"has no function 'bild', did you mean 'build'\?\n  it has: build"),
        (":build", "':build' is not a module and a function"),
        ("model:", "'model:' is not a module and a function"),
        ("../model:build", "is not a module and a function"),
        ("/etc/model:build", "is not a module and a function"),
        ("net..model:build", "is not a module and a function"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(
    reference: str, match: str, build: Callable[..., ProjectFunction]
) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        build(reference=reference)
    assert str(caught.value).startswith("[model]: ")


@pytest.mark.parametrize("default", ["2 ** 4", "SIZE", "{[]: 1}", "f('x')"])
def test_a_default_that_is_no_literal_names_the_line(default: str, build: Callable[..., ProjectFunction]) -> None:
    with pytest.raises(PluginError, match=r"model.py:2: the default of 'width' is not a literal\n  write a number"):
        build(f"def build(shape, classes, *,\n    width: int = {default}): ...\n")


def test_a_syntax_error_names_file_and_line(build: Callable[..., ProjectFunction]) -> None:
    with pytest.raises(PluginError, match=r"model.py:2: syntax error"):
        build("x = 1\ndef build(:\n")


@pytest.mark.parametrize("annotation", ["(int, float)", "3", "'no type at all'", "list[int] | list[str]"])
def test_an_annotation_that_is_no_type_is_no_traceback(annotation: str, toy_project: Path) -> None:
    text = (toy_project / "model.py").read_text()
    (toy_project / "model.py").write_text(text.replace("width: int = 4", f"width: {annotation} = 4"))
    plugins = load_plugins(toy_project)
    assert load_config(toy_project, plugins).uses["model"].params == {"width": 4}
    with contextlib.suppress(ConfigError, PluginError):
        assert load_config(toy_project, plugins, {"model.width": "5"}).uses["model"].params == {"width": 5}


def test_code_edited_without_a_trace_in_size_or_mtime_is_what_the_worker_runs(toy_project: Path, doit: Doit) -> None:
    """Python's own bytecode cache would run the old helper, and its result would stand for the new one."""
    helper = toy_project / "helper.py"
    os.utime(helper, (1_700_000_000, 1_700_000_000))
    assert doit(toy_project, "train").returncode == 0
    model = toy_project / "artifacts" / "train" / "model.build" / "model.toy"
    assert '"start": 2.0' in model.read_text()
    helper.write_text(helper.read_text().replace("value / 2", "value / 4"))
    os.utime(helper, (1_700_000_000, 1_700_000_000))
    assert doit(toy_project, "train").returncode == 0
    assert '"start": 1.0' in model.read_text()
