from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from modelyard.component import REQUIRED
from modelyard.config.read import load_config
from modelyard.errors import ConfigError, PluginError
from modelyard.params import Fraction, InputPath
from modelyard.plugins.load import load_plugins
from modelyard.plugins.project_function import ProjectFunction, project_function

if TYPE_CHECKING:
    import subprocess

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
    assert load_config(toy_project, plugins).training.uses["model"].params == {"width": 4}
    with contextlib.suppress(ConfigError, PluginError):
        assert load_config(toy_project, plugins, {"model.width": "5"}).training.uses["model"].params == {"width": 5}


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


WORK = '''
import json

import numpy as np

from modelyard import traits
from modelyard.artifacts import Splits


@traits(tools=("numpy",))
def load(context, *, samples: int = 60):
    """Make points.

    Args:
        samples: how many.
    """
    y = np.arange(samples) % 3
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[y].astype("float32")
    return Splits(x[:40], y[:40], x[40:], y[40:], ["a", "b", "c"], (-2.0, 2.0))


@traits(produces="toy")
def fit(context):
    """Take the mean."""
    x, y = context.dataset.inputs("train"), context.dataset.y("train")
    model = {**context.build_model((2,), 3), "centers": [x[y == label].mean(axis=0).tolist() for label in range(3)]}
    (context.out / "model.toy").write_text(json.dumps(model))


@traits(accepts=("toy",), produces="packed")
def squeeze(context, *, decimals: int = 1):
    """Round it and make it ready."""
    (context.out / "model.packed").write_text(context.model.path.read_text())


@traits(templates=())
def tell(context, *, word: str = "hello"):
    """Say a word."""
    context.write("word.txt", f"{word} {context.image.reference}\\n")
'''
"""A project's own data set, trainer, model optimizer and target."""


def own(project: Path) -> Path:
    """Let the toy project use them."""
    text = (project / "pyproject.toml").read_text()
    text = text.replace('"points"', '"work:load"').replace('"centroids"', '"work:fit"')
    text = text.replace(
        'plain = ["pack"]', 'plain = ["pack"]\nmine = [{ use = "work:squeeze", decimals = 2 }]\n"a" = ["work:squeeze"]'
    )
    (project / "pyproject.toml").write_text(f'{text}\n[tool.modelyard.targets.word]\nuse = "work:tell"\n')
    (project / "work.py").write_text(WORK)
    return project


def test_a_component_of_any_kind_may_be_a_function_of_the_project(toy_project: Path, doit: Doit) -> None:
    project = own(toy_project)
    listed = doit(project, "list", "--all")
    lines = [" ".join(line.split()) for line in listed.stdout.splitlines()]
    assert "dataset:work.load Make points" in lines, listed.stderr
    assert "optimize:mine (decimals=2) Round it and make it ready" in lines
    done = doit(project)
    assert done.returncode == 0, done.stdout + done.stderr
    image = json.loads((project / "artifacts/image/toy/image.json").read_text())
    assert (project / "artifacts/render/word/word.txt").read_text().startswith(f"hello {image['repository']}:")
    assert "built 0, restored 0" in doit(project).stdout
    told = doit(project, "plugins", "work:squeeze").stdout
    assert "optimizer work:squeeze" in told
    assert "takes toy, gives packed\n\nRound it and make it ready.\n\nParameters:\n  decimals: int; default 1" in told


PROJECTS = Path(__file__).parents[1] / "projects"
TEMPLATES = Path(__file__).parents[2] / "templates"
USED = """
[tool.modelyard.task]
use = "functions:shortlist"

[tool.modelyard.metrics.log-loss]
use = "functions:log_loss"

[tool.modelyard.executor]
use = "functions:processes"
kinds = ["train"]

[tool.modelyard.store]
remote = "shared"

[tool.modelyard.events]
use = "feed:table"
"""
"""The tables of the project's own task, metric, executor and source of events."""


def with_functions(project: Path) -> Path:
    """Let the toy project use functions of its own for all that serves, measures, packs and runs it."""
    text = (project / "pyproject.toml").read_text()
    text = text.replace("min_accuracy = 0.5", 'min_hit_rate = 0.5\nunsure = { use = "functions:wide", most = 0.3 }')
    text = text.replace('"toy"\n\n[tool.modelyard.v', '"functions:near"\n\n[tool.modelyard.v')
    text = text.replace('"tarball"', '"functions:archive"')
    (project / "pyproject.toml").write_text(text + USED.replace("shared", f"file://{project.parent}/shared"))
    for name in ("functions", "feed"):
        shutil.copy(PROJECTS / f"{name}.py", project)
    (project / "own_table").mkdir()
    shutil.copy(TEMPLATES / "plugin/src/package/client/__init__.py.txt", project / "own_table/__init__.py")
    (project.parent / "shared").mkdir()
    return project


def test_what_learns_measures_packs_serves_and_runs_may_be_functions_too(toy_project: Path, doit: Doit) -> None:
    project = with_functions(toy_project)
    done = doit(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"evaluate:plain: built .*hit_rate 1, log_loss 0\.", done.stdout)
    assert "built 0, restored 0" in doit(project).stdout
    with (project / "server/__init__.py").open("a") as file:
        file.write("EDITED = True\n")
    assert "built 2, " in doit(project).stdout, "image and manifest"
    names = ("functions:wide", "functions:log_loss", "functions:processes", "feed:table")
    told = doit(project, "plugins", *names).stdout
    assert all(
        f"{kind} {name}" in told for kind, name in zip(("gate", "metric", "executor", "source"), names, strict=True)
    )


def test_a_file_that_traits_name_and_that_is_not_there_is_told(toy_project: Path, doit: Doit) -> None:
    project = with_functions(toy_project)
    (project / "feed.py").write_text((project / "feed.py").read_text().replace('"own_table"', '"own_tabel"'))
    told = doit(project, "list").stderr
    assert "feed.py:7: table: @traits: 'client': there is no 'own_tabel', did you mean 'own_table'?" in told
    assert "Traceback" not in told


def test_an_edit_of_such_a_function_runs_what_it_is_used_in(toy_project: Path, doit: Doit) -> None:
    project = own(toy_project)
    (project / "work.py").write_text(WORK.partition("@traits(accepts")[0])
    (project / "last.py").write_text(
        "from modelyard import traits\n\n\n@traits(accepts" + WORK.partition("@traits(accepts")[2]
    )
    text = (
        (project / "pyproject.toml")
        .read_text()
        .replace("work:squeeze", "last:squeeze")
        .replace("work:tell", "last:tell")
    )
    (project / "pyproject.toml").write_text(text)
    assert doit(project).returncode == 0
    (project / "last.py").write_text((project / "last.py").read_text().replace("{word} {", "{word}, {"))
    told = doit(project).stdout
    assert "render:word: built" in told
    assert "train:model.build: built" not in told
    assert "dataset:work.load: built" not in told


@pytest.mark.parametrize(
    ("decorator", "said"),
    [
        (
            "@traits(**N)",
            r"bad.py:3: @traits: \*\*N is not imported from modelyard, modelyard_plugins\n  write the traits",
        ),
        ("@traits(produces='toy', check=min)", r"bad.py:3: @traits: 'check': min is not a literal\n  write it out"),
        ("@traits(produce='toy')", r"bad.py:4: fit: @traits: unknown trait 'produce', did you mean 'produces'\?"),
        ("@traits(produces=3)", r"bad.py:4: fit: @traits: trait 'produces' is 3\n  write the name of a format"),
        ("@modelyard.traits()", "bad.py:4: fit: @traits: trait 'produces' is missing"),
        ("", "bad.py:4: fit: @traits: trait 'produces' is missing"),
    ],
)
def test_traits_that_cannot_be_are_told_with_their_line(decorator: str, said: str, toy_project: Path) -> None:
    (toy_project / "bad.py").write_text(
        f"import modelyard\nfrom modelyard import traits\n{decorator}\ndef fit(context): ...\n"
    )
    with pytest.raises(PluginError, match=said):
        load_config(toy_project, load_plugins(toy_project), {"train.use": "bad:fit"})


def test_common_traits_are_unpacked_by_name(toy_project: Path) -> None:
    text = "from modelyard import traits\nfrom modelyard_plugins.support.tensorflow import TENSORFLOW as TF\n"
    (toy_project / "fits.py").write_text(f"{text}@traits(produces='toy', **TF)\ndef fit(context): ...\n")
    found = (
        load_config(toy_project, load_plugins(toy_project), {"train.use": "fits:fit"}).training.uses["train"].component
    )
    assert found.tools[0] == "tensorflow"
    assert found.environment["TF_USE_LEGACY_KERAS"] == "1"
