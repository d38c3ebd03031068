from __future__ import annotations

import importlib.util
import json
import os
import textwrap
from typing import TYPE_CHECKING

import pytest

from modelyard.code.blame import chain, line_in, own_line, said

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def error_of(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any is what is looked at
        function()
    return caught.value


def module(file: Path, text: str) -> Callable[..., object]:
    """Return the function `build` of a module in `file` with this text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made.build


def test_the_innermost_line_of_the_project_is_named_though_a_library_raised(tmp_path: Path) -> None:
    build = module(
        tmp_path / "net.py", "import json\ndef build():\n    return deep()\ndef deep():\n    json.loads('{')\n"
    )
    error = error_of(build)
    assert str(own_line(error, tmp_path)) == "net.py:5, in deep: json.loads('{')"
    assert line_in(error, tmp_path / "net.py") == 5
    assert own_line(error, tmp_path / "other") is None


def test_what_is_installed_below_the_project_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    build = module(packages / "lib.py", "def build():\n    raise ValueError\n")
    monkeypatch.syspath_prepend(str(packages))
    assert own_line(error_of(build), tmp_path) is None


def test_a_line_of_a_module_has_no_function(tmp_path: Path) -> None:
    error = error_of(lambda: module(tmp_path / "net.py", "x = {}['a']\n"))
    assert str(own_line(error, tmp_path)) == "net.py:1: x = {}['a']"


def test_a_file_that_python_cannot_read_is_named(tmp_path: Path) -> None:
    error = error_of(lambda: module(tmp_path / "net.py", "a = 1\nx = (\n"))
    assert str(own_line(error, tmp_path)) == "net.py:2: x = ("


def test_a_line_that_only_the_text_of_the_error_names_is_the_innermost(tmp_path: Path) -> None:
    """TensorFlow says where a traced function failed; its traceback knows generated code only."""
    (tmp_path / "net.py").write_text("def build():\n    model.fit()\n\ndef call(x):\n    return x.shap\n")
    said_so = (
        f'in user code:\n\n    File "{os.__file__}", line 3, in run  *\n        x\n'
        f'    File "{tmp_path}/net.py", line 5, in call  *\n        return x.shap\n\n    AttributeError: shap'
    )
    run = module(tmp_path / "fit.py", "def build(text):\n    raise AttributeError(text)\n")
    error = error_of(lambda: run(said_so))
    assert str(own_line(error, tmp_path)) == "net.py:5, in call: return x.shap"


def test_of_a_long_text_the_beginning_and_the_end_are_told() -> None:
    told = said(ValueError("\n".join(f"line {number}" for number in range(40))))
    assert told.splitlines()[0] == "ValueError: line 0"
    assert [line.strip() for line in told.splitlines()[2:5]] == ["line 2", "...", "line 31"]
    assert told.endswith("line 39")


def test_the_cause_is_looked_at_where_the_error_itself_came_through_nothing_of_the_project(tmp_path: Path) -> None:
    build = module(tmp_path / "net.py", "def build():\n    return {}['a']\n")

    def library() -> None:
        try:
            build()
        except KeyError as exc:
            msg = "the layer failed"
            raise RuntimeError(msg) from exc

    error = error_of(library)
    assert str(own_line(error, tmp_path)) == "net.py:2, in build: return {}['a']"
    assert said(error) == "RuntimeError: the layer failed; the first cause is KeyError: 'a'"
    assert [type(one) for one in chain(error)] == [RuntimeError, KeyError]


def test_an_error_that_repeats_its_cause_says_it_once() -> None:
    error = ValueError("x: KeyError: 'a'")
    error.__cause__ = KeyError("a")
    assert said(error) == "ValueError: x: KeyError: 'a'"
    assert said(ValueError()) == "ValueError"
    error.__cause__ = error
    assert said(error) == "ValueError: x: KeyError: 'a'"


def test_an_error_that_hides_its_context_has_no_cause() -> None:
    error = ValueError("x")
    error.__context__, error.__suppress_context__ = KeyError("a"), True
    assert said(error) == "ValueError: x"


def test_what_is_said_on_several_lines_stays_below_the_first() -> None:
    assert said(ValueError("no\n\nshape (3, 3)  \n")) == "ValueError: no\n    shape (3, 3)"
    assert said(ValueError("x\n" * 20)).count("\n") == 12


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    error = error_of(module(tmp_path / "net.py", f"def build():\n    return {{}}[{json.dumps('a' * 200)}]\n"))
    assert len(str(own_line(error, tmp_path))) < 140
