"""A runtime's server in Python: where it lies in the image, how it starts, what it reads from its environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ServerFacts

if TYPE_CHECKING:
    from modelyard.component import Component, Use

APP, MODEL = "/app", "/model"


def parts(settings: Any, runtime: Use, model: Path) -> dict[str, Any]:
    """Return the fields of `ImageContent` that make the server of `runtime`, for the model in the folder `model`."""
    component = runtime.component
    assert component.server is not None
    assert component.requirements is not None
    return {
        "requirements": requirement_lines(component.requirements),
        "server": {f"{APP}/{package(component)}": component.server},
        "model": {MODEL: model},
        "entrypoint": component.entrypoint,
        "environment": environment(settings, runtime),
        "port": settings["port"],
        "optional_requirements": tuple(
            line for file in runtime.optional_requirements.values() for line in requirement_lines(file)
        ),
        "facts": ServerFacts(grpc_port=runtime.params.get("grpc_port") or 0),
    }


def environment(settings: Any, runtime: Use) -> dict[str, str]:
    """Return the server's settings that are known when the image is built; all can be set otherwise when it runs."""
    return {
        "MODELYARD_MODEL_DIR": MODEL,
        "MODELYARD_MODEL_NAME": settings["name"],
        "MODELYARD_PORT": str(settings["port"]),
        **runtime.component.server_environment,
        **{f"MODELYARD_{name.upper()}": str(value) for name, value in runtime.params.items() if value is not None},
    }


def package(runtime: Component) -> str:
    """Return the name that the server's package has in the image: the module after `-m`, else the folder's name."""
    words = runtime.entrypoint
    assert runtime.server is not None
    return words[words.index("-m") + 1] if "-m" in words else runtime.server.name


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a pip requirements file: continued lines joined, comments left out."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return tuple(" ".join(line.split()) for line in lines if line and not line.startswith("#"))
