"""A runtime's server in Python: where it lies in the image, how it starts, what it reads from its environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from modelyard.artifacts import ServerFacts
from modelyard.component import PLACES
from modelyard.errors import PluginError
from modelyard.launch.handlers import requirements, setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.component import Component, Use
    from modelyard.launch.handlers import Handlers
    from modelyard.stage_settings import ServerSettings

APP, MODEL, MODELS = "/app", "/model", "/models"
"""Where an image has the server, and its only model, or several: `/models/NAME/VERSION`."""
_EVENTS = "MODELYARD_EVENTS"


def parts(
    settings: ServerSettings,
    runtime: Use,
    models: Mapping[str, Path],
    source: Use | None = None,
    handlers: Handlers | None = None,
    beside: Path | None = None,
) -> dict[str, Any]:
    """Return the fields of `ImageContent` that make the server of `runtime`, for the models in the folders `models`.

    Args:
        settings: what is known of the server, for instance those of the stage `image`.
        runtime: the runtime.
        models: the folders, by their places in the image.
        source: where the server takes events from, if it does.
        handlers: what stands around the model.
        beside: the folder with their code, see `handlers.lay_out`; None: there are none.

    Raises:
        PluginError: the source's client, or a handler's code, would lie where the server does.
    """
    component, handlers = runtime.component, handlers or {}
    assert component.requirements is not None
    optional = [*runtime.optional_requirements.values(), *_requirements(source), *requirements(handlers)]
    server = packages(component, source, beside)
    return {
        "requirements": requirement_lines(component.requirements),
        "server": {f"{APP}/{name}": folder for name, folder in server.items()},
        "model": models,
        "entrypoint": component.entrypoint,
        "environment": environment(settings, runtime, source) | setting(handlers, APP),
        "port": settings.port,
        "optional_requirements": once_each(line for file in optional for line in requirement_lines(file)),
        "facts": ServerFacts(
            grpc_port=runtime.params.get("grpc_port") or 0,
            event_schemes=dict(source.component.schemes) if source else {},
            event_places=_event_places(settings, source) if source else {},
        ),
    }


def _event_places(settings: ServerSettings, source: Use) -> dict[str, str]:
    own = {name: str(value) for name, value in source.params.items() if value is not None}
    return own | {key: getattr(settings.events, key) for key in PLACES}


def environment(settings: ServerSettings, runtime: Use, source: Use | None = None) -> dict[str, str]:
    """Return the server's settings that are known when the image is built; all can be set otherwise when it runs."""
    from modelyard.serving.settings import KNOWN  # brings what only a server needs

    given = _variables("MODELYARD", runtime)
    own = sorted({*given, *(_variables(_EVENTS, source) if source else ())}.difference(KNOWN))
    return {
        "MODELYARD_MODEL_DIR": MODELS if settings.models else MODEL,
        "MODELYARD_MODEL_NAME": settings.name,  # of several models each is called as its folder
        "MODELYARD_PORT": str(settings.port),
        **runtime.component.server_environment,
        **given,
        **(_events(settings, source) if source else {}),
        **({"MODELYARD_PARAMETERS": ",".join(own)} if own else {}),
    }


def _variables(prefix: str, use: Use) -> dict[str, str]:
    """Return the parameters of a runtime or a source as the variables that its server reads."""
    return {f"{prefix}_{name.upper()}": str(value) for name, value in use.params.items() if value is not None}


def packages(runtime: Component, source: Use | None = None, beside: Path | None = None) -> dict[str, Path]:
    """Return the Python packages and modules that make the server, by the name that each has where it runs.

    Args:
        runtime: the runtime.
        source: where the server takes events from, if it does.
        beside: a folder with further ones, those of handlers.

    Raises:
        PluginError: two would lie in one place.
    """
    assert runtime.server is not None
    found = {package(runtime): runtime.server}
    if runtime.package is not None:
        where = f"plugin {runtime.source.file}: the package of the runtime {runtime.name!r}"
        found = _with(found, runtime.package, where)
    if source is not None:
        client = source.component.client
        assert client is not None
        found = _with(
            found, client, f"plugin {source.component.source.file}: the client of the source {source.component.name!r}"
        )
    for one in sorted(beside.iterdir()) if beside else ():
        found = _with(found, one, "the code of the handlers")
    return found


def _with(found: Mapping[str, Path], one: Path, what: str) -> dict[str, Path]:
    if one.name in found:
        msg = f"{what} is called {one.name!r}, as the server is, or what lies beside it\n  give its folder another name"
        raise PluginError(msg)
    return {**found, one.name: one}


def _requirements(source: Use | None) -> list[Path]:
    return [source.component.requirements] if source and source.component.requirements else []


def _events(settings: ServerSettings, source: Use) -> dict[str, str]:
    """Return what the server is told of where events come from, but for the broker, which is another wherever it runs."""
    assert source.component.client is not None
    given = asdict(settings.events) if settings.events else {}
    values = {"client": f"{source.component.client.name}:open_source", **given}
    return {f"{_EVENTS}_{name.upper()}": str(value) for name, value in values.items()} | _variables(_EVENTS, source)


def package(runtime: Component) -> str:
    """Return the name that the server's package has in the image: the module after `-m`, else the folder's name."""
    words = runtime.entrypoint
    assert runtime.server is not None
    return words[words.index("-m") + 1] if "-m" in words else runtime.server.name


def distributions(runtime: Use, handlers: Handlers) -> set[str]:
    """Return the names of the distributions that the server of `runtime` has with these handlers."""
    assert runtime.component.requirements is not None
    files = [runtime.component.requirements, *runtime.optional_requirements.values(), *requirements(handlers)]
    return {re.split(r"[\s=<>!~;\[]", line, maxsplit=1)[0] for file in files for line in requirement_lines(file)}


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a pip requirements file: continued lines joined, comments left out."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return tuple(" ".join(line.split()) for line in lines if line and not line.startswith("#"))


def once_each(lines: Iterable[str]) -> tuple[str, ...]:
    """Return requirements, each once, where the files of several handlers pin the same: with the hashes of all of them."""
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        found.setdefault(requirement, {}).update(dict.fromkeys(hashes))
    return tuple(" --hash=".join((requirement, *hashes)) for requirement, hashes in found.items())
