from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.plans import PACK, SOURCE, config, nothing, plugins_of, refused, use

from modelyard.component import Component
from modelyard.config.config import Config
from modelyard.errors import PlanError
from modelyard.plan.places import check_ids, place_of
from modelyard.plan.planner import build_plan
from modelyard.plugins.kinds import kinds_of
from modelyard.plugins.load import load_plugins
from modelyard.stage import Stage
from modelyard.toml.places import ConfigSource

if TYPE_CHECKING:
    from modelyard.contexts import PlanContext

TOML = """\
[tool.modelyard]
name = "shop"

[tool.modelyard.dataset]
use = "data"

[tool.modelyard.variants]
plain = ["pack"]
[tool.modelyard.targets.staging]
"""


@pytest.fixture
def project(tmp_path: Path) -> Config:
    """A configuration that was read from a file."""
    (tmp_path / "pyproject.toml").write_text(TOML)
    return config({"plain": (use(PACK),)}, source=ConfigSource(tmp_path / "pyproject.toml"))


@pytest.mark.parametrize(
    ("stage_id", "place"),
    [
        ("dataset:data", "pyproject.toml:4: [tool.modelyard.dataset]"),
        ("optimize:plain", "pyproject.toml:8: [tool.modelyard.variants]"),
        ("optimize:step", "pyproject.toml:7: [tool.modelyard.variants]"),
        ("evaluate:plain", "pyproject.toml:8: [tool.modelyard.variants]"),
        ("render:staging", "pyproject.toml:9: [tool.modelyard.targets]"),
        ("select:shop", "pyproject.toml:1: [tool.modelyard.select]"),
    ],
)
def test_a_stage_of_modelyards_own_comes_from_the_line_that_asks_for_it(
    stage_id: str, place: str, project: Config
) -> None:
    kind, _, name = stage_id.partition(":")
    assert place_of(Stage(kind, name), project) == place


def test_a_stage_of_one_of_several_pipelines_comes_from_the_line_of_its_own_or_of_the_projects(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f"{TOML}[tool.modelyard.pipelines.left]\n[tool.modelyard.pipelines.left.targets.east]\n")
    found = config({"plain": (use(PACK),)}, source=ConfigSource(file, pipeline="left"), pipeline="left", name="left")
    for kind, name, place in (
        ("evaluate", "left.plain", "pyproject.toml:8: [tool.modelyard.variants]"),
        ("render", "left.east", "pyproject.toml:11: [tool.modelyard.pipelines.left.targets]"),
        ("select", "left", "pyproject.toml:10: [tool.modelyard.pipelines.left.select]"),
    ):
        assert place_of(Stage(kind, name, pipeline="left"), found) == place


def test_what_a_plugin_adds_to_the_plan_is_told_with_the_plugins_line_and_that_of_the_other(
    project: Config, make_project: Callable[[dict[str, str]], Path], tmp_path: Path
) -> None:
    text = "from modelyard import hookimpl\n\n\n@hookimpl\ndef modelyard_amend_plan(stages):\n    stages.append(stages[0])\n"
    folder = make_project({"plugins/amend.py": text})
    loaded = load_plugins(folder)
    mine = msgspec.structs.replace(loaded, components=plugins_of(tmp_path / "none").components)
    told = refused(lambda: build_plan(project, mine))
    assert told == (
        f"plugin {folder}/plugins/amend.py:4: two stages are called 'dataset:data'; "
        "the other one: pyproject.toml:4: [tool.modelyard.dataset]\n  give one of them another name"
    )


def plan_of_two(context: PlanContext, **_: Any) -> Iterator[Stage]:
    yield context.stage("a")
    yield context.stage("a")


def test_two_stages_of_a_kind_of_a_plugins_are_told_with_both_lines(project: Config, tmp_path: Path) -> None:
    extra = Component("kind", "extra", nothing, SOURCE, plan=plan_of_two, after="select")
    known = plugins_of(tmp_path)
    known = msgspec.structs.replace(
        known, components={**known.components, ("kind", "extra"): extra}, kinds=kinds_of([extra])
    )
    asking = msgspec.structs.replace(project, kinds={"extra": use(extra)})
    first = plan_of_two.__code__.co_firstlineno + 1
    told = refused(lambda: build_plan(asking, known))
    assert told.startswith(
        f"plugin {__file__}:{first + 1}: two stages are called 'extra:a'; the other one: plugin {__file__}:{first}\n"
    )


def test_stages_with_ids_of_their_own_are_let_be(project: Config) -> None:
    check_ids([Stage("optimize", "a"), Stage("evaluate", "a")], project)
    with pytest.raises(PlanError, match="two stages are called 'optimize:a'"):
        check_ids([Stage("optimize", "a"), Stage("optimize", "a")], project)
