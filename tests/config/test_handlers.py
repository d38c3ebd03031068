"""`[tool.modelyard.handlers]`: what it adds to a plan, and to an image; and that without it all is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.launch import python_server
from modelyard.launch.handlers import handlers_of, lay_out
from modelyard.plan.planner import build_plan
from modelyard.stage_settings import ServerSettings

HANDLERS = "tool.modelyard.handlers"
BOTH = 'before = [{ use = "image-decode", size = [8, 8] }]\nafter = ["softmax", "top-labels"]'


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return Load(tmp_path_factory.mktemp("config") / "project")


def test_without_the_table_nothing_stands_around_the_model(load: Load) -> None:
    config = load()
    plan = build_plan(config, load.plugins)
    assert config.before == config.after == ()
    assert not any(handlers_of(stage.uses) for stage in plan.stages.values())
    runtime = config.uses["runtime"]
    parts = python_server.parts(ServerSettings(name="net", port=8080), runtime, {"model": Path("model")})
    assert parts == python_server.parts(
        ServerSettings(name="net", port=8080), runtime, {"model": Path("model")}, None, {}, None
    )
    assert not parts["optional_requirements"]
    assert list(parts["server"]) == [f"/app/{python_server.package(runtime.component)}"]


def test_they_count_where_the_model_is_asked_and_not_where_it_is_trained(load: Load) -> None:
    stages = build_plan(load({HANDLERS: BOTH}), load.plugins).stages
    roles = {stage.kind: [*handlers_of(stage.uses)] for stage in stages.values()}
    every = ["before:1", "after:1", "after:2"]
    assert roles["dataset"] == ["before:1"]
    assert roles["train"] == roles["optimize"] == roles["select"] == []
    assert roles["evaluate"] == roles["image"] == roles["check"] == every


def test_their_code_and_what_it_needs_are_in_the_image(load: Load, tmp_path: Path) -> None:
    config = load({HANDLERS: BOTH})
    handlers = handlers_of(build_plan(config, load.plugins).stages["image:some-project"].uses)
    runtime = config.uses["runtime"]
    lay_out(handlers, config.project, tmp_path, python_server.distributions(runtime, handlers))
    parts = python_server.parts(
        ServerSettings(name="net", port=8080), runtime, {"model": Path("model")}, None, handlers, tmp_path
    )
    assert [*parts["server"]] == [f"/app/{python_server.package(runtime.component)}", "/app/modelyard_handlers"]
    assert [line.partition(" ")[0] for line in parts["optional_requirements"]] == ["pillow==13.0.0"]
    said = json.loads(parts["environment"]["MODELYARD_HANDLERS"])
    assert [one["open"] for one in said["before"]] == ["modelyard_handlers:image_decode"]
    assert said["before"][0]["params"]["size"] == [8, 8]
    assert [one["name"] for one in said["after"]] == ["softmax", "top-labels"]
