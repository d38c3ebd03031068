from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pluggy import PluginManager

from modelyard.commands.plugins import Plugins, explain, table
from modelyard.component import Component, Source
from modelyard.errors import PluginError
from modelyard.params import PositiveInt
from modelyard.plugins.load import Plugins as Registry
from tests.shared import there

NEAR = Source("plugins/a.py", "project", Path("plugins/a.py"))
FAR = Source("acme:a", "installed", Path("/site/acme.py"), "acme 1.2")
BUILT_IN = Source("runtimes.b", "built-in", Path("/modelyard/b.py"))


def fit(context: object, *, epochs: PositiveInt = 3, rate: float, note: str = "x") -> None:
    """Train a model.

    It goes through the data.

    Args:
        epochs: how often.
        rate: how fast.
    """


def plain(context: object) -> None: ...


def component(
    kind: str, name: str, source: Source = NEAR, function: Callable[..., Any] = plain, **traits: Any
) -> Component:
    return Component(kind, name, function, source, **traits)


FIT = component("trainer", "fit", FAR, fit, produces="raw")


def registry(*components: Component) -> Registry:
    return Registry(PluginManager("modelyard"), {(one.kind, one.name): one for one in components})


def test_the_list_has_a_line_for_each_and_then_what_is_shadowed() -> None:
    found = registry(FIT, component("runtime", "b", BUILT_IN))
    found.shadowed.append((component("trainer", "other", FAR), component("trainer", "other", NEAR)))
    head, first, second, shadowed = table(found).splitlines()
    assert head.split() == ["KIND", "NAME", "FROM", "SUMMARY"]
    assert first.split(maxsplit=4) == ["trainer", "fit", "acme", "1.2", "Train a model"]
    assert second.split()[:3] == ["runtime", "b", "modelyard"]
    assert first.index("acme") == second.index("modelyard") == head.index("FROM")
    assert shadowed == "shadowed: trainer other of acme 1.2 (/site/acme.py), by plugins/a.py"


def test_a_component_is_explained_with_its_formats_and_each_parameter() -> None:
    head, formats, loss, _, first, _, then, _, title, *parameters = explain(registry(FIT), "fit").splitlines()
    assert head == f"trainer fit  (acme 1.2, {Path(__file__)})"
    assert formats == "  takes a data set, gives raw"
    assert loss == "  trains with the loss cross-entropy"
    assert (first, then, title) == ("Train a model.", "It goes through the data.", "Parameters:")
    assert parameters == [
        "  epochs: a whole number from 1; default 3",
        "      how often.",
        "  rate: float; required",
        "      how fast.",
        "  note: str; default 'x'",
    ]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            component("optimizer", "x", accepts=("raw", "onnx"), produces="packed"),
            "  takes raw or onnx, gives packed\n",
        ),
        (component("runtime", "x", accepts=("packed",)), "  takes packed\n"),
        (component("trainer", "x", produces_by=plain), "  takes a data set, gives what its parameters say\n"),
        (component("trainer", "x", produces="raw", losses=("squared-error", "")), "with the loss squared-error or "),
        (component("metric", "x", losses=("cross-entropy",)), "  measures tasks with the loss cross-entropy\n"),
        (component("gate", "x"), "\n\n(no documentation)\n\nParameters:\n  (no parameters)"),
        (
            component("runtime", "x", function=fit, serving_only=("note",)),
            "default 'x'; the server alone, not evaluate",
        ),
        (component("target", "x", function=fit, deploy_only=("note",)), "default 'x'; deploy alone, not render"),
    ],
)
def test_what_concerns_a_component_is_told_of_it(one: Component, said: str) -> None:
    assert said in explain(registry(one), "x")


@pytest.mark.parametrize(
    ("kind", "key"), [("dataset", "normalize"), ("builder", "repository"), ("source", "dead_letter")]
)
def test_keys_of_modelyards_own_in_its_table_are_explained_too(kind: str, key: str) -> None:
    assert f"\n  {key}: " in explain(registry(component(kind, "x")), "x")


def test_those_of_several_kinds_with_one_name_are_all_explained_and_none_is_told_with_the_nearest() -> None:
    both = registry(component("gate", "size"), component("metric", "size"), FIT)
    assert explain(both, "size").count("Parameters:") == 2
    with pytest.raises(PluginError) as caught:
        explain(both, "fti")
    assert str(caught.value) == "plugins: there is no component 'fti', did you mean 'fit'?\n  known: fit, size"


PLUGIN = '''
from modelyard import hookimpl


def half(context, *, part: float = 0.5):
    """Halve."""


@hookimpl
def modelyard_register_optimizers(register):
    register("half", half, accepts=("raw",), produces="raw")
'''


def facts(folder: Path, capsys: pytest.CaptureFixture[str], *names: str) -> list[dict[str, Any]]:
    assert Plugins().run({"json": True, "cwdPath": str(folder)}, [*names]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_program_is_told_of_a_plugin_of_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "own.py").write_text(PLUGIN)
    [half] = facts(tmp_path, capsys, "half")
    assert (half["kind"], half["accepts"], half["produces"], half["summary"]) == ("optimizer", ["raw"], "raw", "Halve")
    assert half["parameters"] == [{"name": "part", "type": "float", "required": False, "doc": "", "default": 0.5}]
    assert (half["file"], half["shadowed_by"]) == (str(tmp_path / "plugins" / "own.py"), None)
    assert Plugins().run({"json": False, "cwdPath": str(tmp_path)}, ["half"]) == 0
    assert capsys.readouterr().out.startswith("optimizer half  (plugins/own.py, ")


def test_a_function_of_the_project_is_found_by_the_name_that_the_configuration_has(
    toy_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [build] = facts(toy_project, capsys, "model:build")
    assert (build["kind"], build["file"]) == ("model", str(toy_project / "model.py"))


def test_what_is_shadowed_is_among_all_with_what_shadows_it(
    toy_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(one["name"] for one in facts(toy_project, capsys) if one["kind"] == "optimizer")
    (toy_project / "plugins" / "near.py").write_text(PLUGIN.replace('"half"', f'"{name}"'))
    both = [one for one in facts(toy_project, capsys) if (one["kind"], one["name"]) == ("optimizer", name)]
    near = there(next((one for one in both if one["shadowed_by"] is None), None))
    assert near["summary"] == "Halve"
    assert [one["shadowed_by"] for one in both if one is not near] == [str(toy_project / "plugins" / "near.py")]
