"""Components with parameters, taken of tables: nothing but the class is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pluggy import PluginManager
from tests.plans import SOURCE, config, nothing

from modelyard.component import Component
from modelyard.config.uses import Uses
from modelyard.contexts import CheckContext, Problem
from modelyard.errors import ConfigError
from modelyard.params import InputPath, PositiveInt
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource

TABLE = ConfigSource().where("train")
Loss = Annotated[str, msgspec.Meta(extra={"function": 1})]


def train(
    context: object, *, epochs: PositiveInt = 3, table: InputPath | None = None, loss: Loss = "", script: str = ""
) -> None:
    """Train.

    Args:
        table: a CSV file.
    """


def check(context: CheckContext, **params: Any) -> Iterator[Problem]:
    if params["epochs"] > 8:
        yield Problem("epochs", f"{context.name} has no time", "allowed: 1 to 8")
    if params["epochs"] == 13:
        yield Problem("name", "it has bad luck", "take another")
    if params.get("normalize") == "none":
        yield Problem("normalize", "it needs a range", "allowed: 'unit'")


def scripts(*, script: str, **params: Any) -> list[str]:
    return [script] if script else []


FIT = Component("trainer", "fit", train, SOURCE, check=check, scripts=scripts)
BOX = Component("builder", "box", nothing, SOURCE, check=lambda context, **_: [Problem("amount", "no", "yes")])
KNOWN = Plugins(PluginManager("modelyard"), {(one.kind, one.name): one for one in (FIT, BOX)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data.csv").write_text("1\n")
    (tmp_path / "fit.py").write_text("def smooth(answers):\n    return answers\n")
    return tmp_path


@pytest.fixture
def uses(project: Path) -> Uses:
    return Uses(project, KNOWN, look_at_inputs=True)


def refused(uses: Uses, name: Any = "fit", **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        uses.take("trainer", name, values, TABLE, own=("weight",))
    return str(caught.value)


def test_defaults_are_filled_in_and_files_are_absolute(uses: Uses, project: Path) -> None:
    use = uses.take("trainer", "fit", {"table": "./data.csv", "loss": "fit:smooth"}, TABLE)
    assert use.component is FIT
    assert use.params == {"epochs": 3, "table": str(project / "data.csv"), "loss": "fit:smooth", "script": ""}
    assert uses.take("trainer", "fit", {}, TABLE).params["table"] is None


def test_a_function_of_the_projects_own_may_be_the_component(uses: Uses, project: Path) -> None:
    (project / "own.py").write_text(
        "from modelyard import traits\n\n\n@traits(produces='raw')\ndef fit(context, *, rate: float = 0.5):\n    pass\n"
    )
    use = uses.take("trainer", "own:fit", {}, TABLE)
    assert (use.component.kind, use.component.name, use.params) == ("trainer", "own:fit", {"rate": 0.5})


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (3, {}, "key 'use': 3 is not the name of a trainer"),
        (None, {}, "key 'use': None is not the name of a trainer"),
        ("fti", {}, "unknown trainer 'fti', did you mean 'fit'?\n  known: fit; run `doit plugins`"),
        ("box", {}, "unknown trainer 'box'"),
        ("fit", {"epoch": 1}, "unknown key 'epoch', did you mean 'epochs'?\n  the trainer 'fit' takes: epochs, loss, "),
        ("fit", {"wieght": 1}, "unknown key 'wieght', did you mean 'weight'?"),
        ("fit", {"epochs": 0}, "key 'epochs': 0 is not allowed"),
        ("fit", {"table": "dta.csv"}, "key 'table': there is no 'dta.csv', did you mean 'data.csv'?\n  a CSV file."),
        ("fit", {"table": "~nobody-here/x"}, "key 'table': '~nobody-here/x' is not a path: "),
        ("fit", {"table": "a\0b"}, "key 'table': "),
        ("fit", {"loss": "fit:smoth"}, "key 'loss': "),
        ("fit", {"loss": "fit:smoth"}, "has no function 'smoth', did you mean 'smooth'?"),
        ("fit", {"script": "fitt.py"}, "runs 'fitt.py', which is no file of the project, did you mean 'fit.py'?"),
        ("fit", {"script": "../fit.py"}, "runs '../fit.py', which is no file of the project"),
        ("fit", {"script": "."}, "runs '.', which is no file of the project"),
    ],
)
def test_what_is_wrong_is_told_with_its_table(name: Any, values: dict[str, Any], said: str, uses: Uses) -> None:
    message = refused(uses, name, **values)
    assert said in message
    assert message.startswith("pyproject.toml: [tool.modelyard.train]: ")


def test_a_script_elsewhere_that_is_there_is_none_of_the_project(uses: Uses, project: Path) -> None:
    (project.parent / "outside.py").write_text("")
    (project / "link.py").symlink_to(project.parent / "outside.py")
    assert "runs 'link.py', which is no file of the project" in refused(uses, script="link.py")


def test_where_nobody_looks_at_files_they_need_not_be_there(project: Path) -> None:
    uses = Uses(project, KNOWN, look_at_inputs=False)
    use = uses.take("trainer", "fit", {"table": "later.csv", "loss": "later:loss", "script": "later.py"}, TABLE)
    assert use.params["table"] == str(project / "later.csv")
    assert "is not a path" in refused(uses, table="~nobody-here/x")


def test_all_that_values_mean_wrongly_is_told_at_once_and_each_once(uses: Uses) -> None:
    for _ in range(2):
        uses.take("trainer", "fit", {"epochs": 13}, TABLE)
    uses.take("trainer", "fit", {}, TABLE, checked={"normalize": "none"})
    with pytest.raises(ConfigError) as caught:
        uses.check_meaning(config({}))
    assert str(caught.value).split("\n") == [
        "pyproject.toml: [tool.modelyard.train]: key 'epochs': 13 is not allowed: shop has no time",
        "  allowed: 1 to 8",
        "pyproject.toml: [tool.modelyard]: key 'name': 'shop' is not allowed: it has bad luck",
        "  take another",
        "pyproject.toml: [tool.modelyard.train]: key 'normalize': 'none' is not allowed: it needs a range",
        "  allowed: 'unit'",
    ]


def test_what_means_what_it_should_is_told_nothing_about(uses: Uses) -> None:
    uses.take("trainer", "fit", {"epochs": 8}, TABLE)
    uses.check_meaning(config({}))


def test_what_builds_is_not_asked_of_a_model_that_is_in_an_image(uses: Uses) -> None:
    uses.take("builder", "box", {}, TABLE)
    uses.check_meaning(config({}, packed_in=("shop",)))
    with pytest.raises(ConfigError, match=r"key 'amount': 0\.5 is not allowed: no"):
        uses.check_meaning(config({}))
