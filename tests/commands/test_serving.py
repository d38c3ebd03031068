"""What the server finds where it runs on this machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.commands.serving import prepare
from modelyard.errors import ToolError
from modelyard.frontend import scaffold
from modelyard.project.load import load

EVENTS = '\n[tool.modelyard.events]\nuse = "redis"\nurl = "redis://here:1"\n'


def engine(project: Path, more: str = "") -> Any:
    scaffold.new_project(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write(more)
    loaded = load(project)
    folder = SimpleNamespace(folder=lambda stage: project / stage.place)
    return SimpleNamespace(project=loaded, plan=loaded.plan, workspace=folder)


def test_it_has_its_packages_its_settings_and_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PORT", "9999")
    packages = tmp_path / "packages"
    packages.mkdir()
    made = engine(tmp_path / "net", EVENTS)
    found = prepare(made, made.plan, packages, "serve")
    assert (packages / "redis_streams/__init__.py").is_file()
    assert (packages / "modelyard_serving/__main__.py").is_file()
    assert found["MODELYARD_EVENTS_URL"] == "redis://here:1"
    assert found["MODELYARD_EVENTS_INPUT"] == "net.in"
    assert found["MODELYARD_PORT"] == "9999", "what the person's shell says stands above"
    assert found["PYTHONPATH"].startswith(str(packages))


def test_a_client_that_is_not_installed_is_told_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = engine(tmp_path / "net", EVENTS.replace('"redis"', '"mqtt"').replace("redis://", "mqtt://"))
    monkeypatch.setattr("modelyard.execution.extras.missing", lambda names: [*names])
    (tmp_path / "packages").mkdir()
    with pytest.raises(ToolError) as caught:
        prepare(without, without.plan, tmp_path / "packages", "events:send")
    assert str(caught.value) == (
        "events:send: the source 'mqtt': paho-mqtt is not installed\n  run: python -m pip install 'modelyard[mqtt]'"
    )
