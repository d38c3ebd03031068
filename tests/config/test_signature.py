"""`[tool.modelyard.signature]`: what it says is in the training's stage, and a mistake is told with its line."""

from __future__ import annotations

import pytest
from tests.configs import Load

from modelyard.plan.planner import build_plan
from modelyard.stage_settings import by_name

TABLE = "tool.modelyard.signature"


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return Load(tmp_path_factory.mktemp("config") / "project")


def test_it_counts_where_the_model_is_made_and_nowhere_else(load: Load) -> None:
    config = load({TABLE: 'sr = { constant = 16000 }\n"h:0" = { state = "hn", initial = 1 }\nx = { overlap = 2 }'})
    said = {"sr": {"constant": 16000}, "h:0": {"state": "hn", "initial": 1.0}, "x": {"overlap": 2}}
    settings = {stage.kind: by_name(stage.settings) for stage in build_plan(config, load.plugins).stages.values()}
    assert settings.pop("train") == {"signature": said}
    assert not any("signature" in one for one in settings.values())


def test_without_the_table_a_training_has_no_settings(load: Load) -> None:
    stages = build_plan(load(), load.plugins).stages.values()
    assert [by_name(stage.settings) for stage in stages if stage.kind == "train"] == [{}]


def test_the_command_line_sets_a_constant(load: Load) -> None:
    assert load({TABLE: "sr = { constant = 16000 }"}, signature__sr__constant="8000").signature == {
        "sr": {"constant": 8000}
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sr = { constnt = 1 }", "[tool.modelyard.signature.sr]: unknown key 'constnt', did you mean 'constant'?"),
        ("sr = 16000", "[tool.modelyard.signature.sr]: 16000 is not a table\n  write what the tensor is"),
        ("x = { overlap = -1 }", "key 'overlap': -1 is not allowed"),
        ("x = { range = [0] }", "key 'range': [0] is not allowed"),
        ('h = { state = "hn", constant = 1 }', "key 'constant': an input that has 'state' is sent by nobody"),
        ('h = { state = "hn", overlap = 1 }', "key 'overlap': an input that has 'state' is sent by nobody"),
        ("h = { initial = 1 }", "key 'initial': there is no state that would begin with it"),
    ],
)
def test_a_mistake_is_told_with_its_line(load: Load, text: str, told: str) -> None:
    refusal = load.refused({TABLE: text})
    lines = (load.project / "pyproject.toml").read_text().splitlines()
    assert refusal.startswith(f"pyproject.toml:{lines.index(text) + 1}: ")
    assert told in refusal


def test_a_server_that_comes_with_its_image_sends_only_what_clients_send(load: Load) -> None:
    refusal = load.refused({"tool.modelyard.runtime": 'use = "tensorflow-serving"', TABLE: 'h = { state = "hn" }'})
    assert "key 'state': the server of the runtime 'tensorflow-serving' comes with its image" in refusal
