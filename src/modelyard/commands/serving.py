"""What the runtime's server finds where it runs on this machine: its packages, and its settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.stage_settings import ServerSettings

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.build.engine import Engine
    from modelyard.component import Component
    from modelyard.config.config import Config
    from modelyard.plan.planner import Plan


def prepare(engine: Engine, plan: Plan, folder: Path, task: str) -> dict[str, str]:
    """Put the server's packages into the folder `folder`, and return the variables of its process.

    Args:
        engine: the project's.
        plan: what is served of it: the plan of one pipeline, or of an image of several models.
        folder: a new folder, which Python is told to import from.
        task: who asks, for messages.

    Raises:
        ToolError: the runtime has no server outside of its image, or the client of its broker is not installed.
    """
    from modelyard.launch import local_server
    from modelyard.launch.handlers import lay_out
    from modelyard.launch.python_server import distributions

    config = plan.config
    events = config.settings.events
    settings = ServerSettings(name=config.name, port=config.settings.serve.port, events=events.of_server())
    own = {"MODELYARD_HOST": config.settings.serve.host}
    if config.events and events.url:
        own["MODELYARD_EVENTS_URL"] = events.url
    model = _models(engine, config, folder)
    runtime, beside = config.uses["runtime"], folder / ".handlers"
    handlers = config.handlers
    beside.mkdir()
    if handlers:
        lay_out(handlers, config.project, beside, distributions(runtime, handlers))
    try:
        defaults = local_server.prepare(runtime, settings, model, folder, config.events, handlers, beside)
    except ToolError as exc:
        msg = f"{task}: {exc}"
        raise ToolError(msg) from None
    variables = {**defaults, **own, **os.environ, "PYTHONPATH": defaults["PYTHONPATH"]}
    if config.events and variables.get("MODELYARD_EVENTS_URL"):
        _check_client(config.events.component, task)
    return variables


def _models(engine: Engine, config: Config, folder: Path) -> Path:
    """Return the folder of the selected model; of several one in which each lies by its name and version."""
    if not config.models:
        return _selected(engine, config)
    root = folder / ".models"
    for one in config.models:
        place = root / one.name / str(one.version)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(_selected(engine, one.config), target_is_directory=True)
    return root


def _selected(engine: Engine, config: Config) -> Path:
    return engine.workspace.folder(engine.plan.stages[f"select:{config.name}"]) / "model"


def _check_client(source: Component, task: str) -> None:
    from modelyard.execution.extras import install_command, missing

    lacking = missing(source.needed)
    if lacking:
        near = [source.source.distribution.partition(" ")[0]] if source.source.distribution else []
        what = f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed"
        msg = f"{task}: the source {source.name!r}: {what}\n  run: {install_command(lacking, near)}"
        raise ToolError(msg)
