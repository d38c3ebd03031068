"""What the runtime's server finds where it runs on this machine: its packages, and its settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from modelyard.build.engine import Engine


def prepare(engine: Engine, folder: Path, task: str) -> dict[str, str]:
    """Put the server's packages into the folder `folder`, and return the variables of its process.

    Args:
        engine: the project's.
        folder: a new folder, which Python is told to import from.
        task: who asks, for messages.

    Raises:
        ToolError: the runtime has no server outside of its image.
    """
    from modelyard.launch.python_server import environment, packages

    config = engine.project.config
    runtime, events = config.uses["runtime"], config.settings["events"]
    if runtime.component.server is None:
        msg = (
            f"{task}: the server of the runtime {runtime.component.name!r} is in its image, not here\n"
            "  run `doit image`, then start the image, for instance with `docker run`"
        )
        raise ToolError(msg)
    for name, package in packages(runtime.component, config.events).items():
        Path(folder, name).symlink_to(package)
    settings = {"name": config.name, "port": config.settings["serve"]["port"]}
    settings |= {f"events_{key}": value for key, value in events.items() if key != "url"}
    defaults = environment(settings, runtime, config.events) | {"MODELYARD_HOST": config.settings["serve"]["host"]}
    if config.events and events["url"]:
        defaults["MODELYARD_EVENTS_URL"] = events["url"]
    model = engine.workspace.folder(engine.plan.stages[f"select:{config.name}"]) / "model"
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {**defaults, "MODELYARD_MODEL_DIR": str(model), **os.environ, "PYTHONPATH": path}
