from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.config.read import load_config
from modelyard.errors import ConfigError, PluginError
from modelyard.plugins.load import load_plugins
from modelyard.plugins.named_function import check_function
from modelyard.plugins.project_function import project_function

LOSSES = """\
import a_framework_that_is_not_installed
from elsewhere import focal


def smoothed(targets, answers):
    return answers


def weighed(targets, answers, weights): ...
def lenient(targets, answers, share=0.1): ...
def any_number(*tensors): ...
def with_option(targets, answers, *, share=0.1): ...
@wrapped
def decorated(everything): ...
def one(targets): ...


if True:
    made = a_framework_that_is_not_installed.loss()
"""

Check = Callable[[str], None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    (tmp_path / "losses.py").write_text(LOSSES)
    return lambda reference: check_function(tmp_path, reference, 2, "here")


@pytest.mark.parametrize("name", ["smoothed", "lenient", "any_number", "with_option", "decorated", "focal", "made"])
def test_what_can_be_called_is_taken(name: str, check: Check) -> None:
    check(f"losses:{name}")


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("losses:smoothd", "here: {0}/losses.py has no function 'smoothd', did you mean 'smoothed'?\n  it has: any_number, "),
        ("loses:smoothed", "here: no module 'loses' in the project, did you mean 'losses'?\n  write the file {0}/loses.py"),
        (
            "losses:weighed",
            "here: {0}/losses.py:9: weighed(targets, answers, weights) is called with 2 arguments\n  let it take as many; or give 'weights' a default",
        ),
        ("losses:one", "here: {0}/losses.py:15: one(targets) is called with 2 arguments\n  let it take as many"),
        ("losses", "here: 'losses' is not a module and a function"),
    ],
)  # fmt: skip
def test_what_cannot_is_refused_with_its_line(reference: str, told: str, check: Check, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(reference)
    assert str(caught.value).startswith(told.format(tmp_path))


def test_a_module_that_may_have_any_name_is_believed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import *\n")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/__init__.py").write_text("def __getattr__(name): ...\n")
    check_function(tmp_path, "a:whatever", 2, "here")
    check_function(tmp_path, "c:whatever", 2, "here")


def test_a_module_that_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def loss(a, b):\n    return (\n")
    with pytest.raises(PluginError, match=r"a\.py:2: .*'\(' was never closed"):
        check_function(tmp_path, "a:loss", 2, "here")


def test_a_trainers_loss_is_looked_at_when_the_project_is_loaded(
    make_project: Callable[[dict[str, str]], Path],
) -> None:
    text = '[tool.modelyard]\nname = "a"\ndataset.use = "digits"\nmodel.use = "digits-cnn-torch"\nvariants.a = []\n[tool.modelyard.train]\nuse = "torch"\nloss = "losses:smoothd"\n'
    project = make_project({"pyproject.toml": text, "losses.py": LOSSES})
    with pytest.raises(
        ConfigError, match=r"^pyproject.toml:\d+: \[tool.modelyard.train\]: key 'loss': .*'smoothd', did"
    ):
        load_config(project, load_plugins(project))


def test_a_metric_of_the_projects_own_takes_one_argument(tmp_path: Path) -> None:
    text = '@traits(better="lower", unit="")\ndef worst(context, most): ...\n@traits(better="lower", unit="")\ndef best(): ...\n'
    (tmp_path / "ours.py").write_text(text)
    with pytest.raises(
        ConfigError, match=r"ours\.py:2: worst\(context, most\) is called with 1 argument\n.*'most' is conf"
    ):
        project_function("metric", tmp_path, "ours:worst", "here")
    with pytest.raises(ConfigError, match=r"ours\.py:4: best\(\) is called with 1 argument\n  let it take as many$"):
        project_function("metric", tmp_path, "ours:best", "here")
