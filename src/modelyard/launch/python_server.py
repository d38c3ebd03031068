"""A runtime's server in Python: where it lies in the image, how it starts, what it reads from its environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ServerFacts
from modelyard.component import PLACES
from modelyard.errors import PluginError

if TYPE_CHECKING:
    from modelyard.component import Component, Use

APP, MODEL = "/app", "/model"


def parts(settings: Any, runtime: Use, model: Path, source: Use | None = None) -> dict[str, Any]:
    """Return the fields of `ImageContent` that make the server of `runtime`, for the model in the folder `model`.

    Args:
        settings: those of the stage `image`.
        runtime: the runtime.
        model: the folder.
        source: where the server takes events from, if it does.

    Raises:
        PluginError: the source's client would lie where the server does.
    """
    component = runtime.component
    assert component.requirements is not None
    optional = [*runtime.optional_requirements.values(), *_requirements(source)]
    return {
        "requirements": requirement_lines(component.requirements),
        "server": {f"{APP}/{name}": folder for name, folder in packages(component, source).items()},
        "model": {MODEL: model},
        "entrypoint": component.entrypoint,
        "environment": environment(settings, runtime, source),
        "port": settings["port"],
        "optional_requirements": tuple(line for file in optional for line in requirement_lines(file)),
        "facts": ServerFacts(
            grpc_port=runtime.params.get("grpc_port") or 0,
            event_schemes=dict(source.component.schemes) if source else {},
            event_places={key: settings[f"events_{key}"] for key in PLACES} if source else {},
        ),
    }


def environment(settings: Any, runtime: Use, source: Use | None = None) -> dict[str, str]:
    """Return the server's settings that are known when the image is built; all can be set otherwise when it runs."""
    return {
        "MODELYARD_MODEL_DIR": MODEL,
        "MODELYARD_MODEL_NAME": settings["name"],
        "MODELYARD_PORT": str(settings["port"]),
        **runtime.component.server_environment,
        **{f"MODELYARD_{name.upper()}": str(value) for name, value in runtime.params.items() if value is not None},
        **(_events(settings, source) if source else {}),
    }


def packages(runtime: Component, source: Use | None = None) -> dict[str, Path]:
    """Return the folders of Python packages that make the server, by the name that each has where it runs.

    Raises:
        PluginError: the client of the source would lie where the server does.
    """
    assert runtime.server is not None
    found = {package(runtime): runtime.server}
    if source is None:
        return found
    client = source.component.client
    assert client is not None
    if client.name in found:
        msg = (
            f"plugin {source.component.source.file}: the client of the source {source.component.name!r} is called "
            f"{client.name!r}, as the server is\n  give its folder another name"
        )
        raise PluginError(msg)
    return found | {client.name: client}


def _requirements(source: Use | None) -> list[Path]:
    return [source.component.requirements] if source and source.component.requirements else []


def _events(settings: Any, source: Use) -> dict[str, str]:
    """Return what the server is told of where events come from, but for the broker, which is another wherever it runs."""
    assert source.component.client is not None
    prefix = "events_"
    given = {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}
    given |= {name: value for name, value in source.params.items() if value is not None}
    values = {"client": f"{source.component.client.name}:open_source", **given}
    return {f"MODELYARD_EVENTS_{name.upper()}": str(value) for name, value in values.items()}


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
