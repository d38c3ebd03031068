"""Can one server serve the models of several pipelines? It has one runtime, and one version of each package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.errors import ConfigError

_PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s;]+)\s*(?:;\s*([^\\#]*?))?\s*(?:\\|#|--hash|$)"
)


def check_one_server(image: Config) -> None:
    """Check that one server can serve the models of `image`.

    Raises:
        ConfigError: its pipelines need several runtimes, or one with several values of a parameter that shapes answers;
            the runtime serves one model; or handlers need several versions of a package.
    """
    _check_runtimes(image)
    runtime = image.uses["runtime"].component
    if not runtime.serves_several:
        msg = (
            f"{image.source.where()}: the server of the runtime {runtime.name!r} serves one model alone\n"
            "  give each pipeline an image of its own; a runtime whose server takes several says so: serves_several = True"
        )
        raise ConfigError(msg)
    _check_pins(image)


def _check_runtimes(image: Config) -> None:
    wanted: dict[str, list[str]] = {}
    for one in image.models:
        wanted.setdefault(one.config.uses["runtime"].component.name, []).append(one.config.name)
    own = image.uses["runtime"]
    if {*wanted} != {own.component.name}:
        needed = "; ".join(f"{name!r} for {', '.join(pipelines)}" for name, pipelines in wanted.items())
        msg = (
            f"{image.source.where()}: a server has one runtime, here {own.component.name!r}, but its models need {needed}\n"
            "  give their pipelines one runtime, or pack them in an image each"
        )
        raise ConfigError(msg)
    for one in image.models:
        theirs = _shaping(one.config.uses["runtime"])
        for key, value in _shaping(own).items():
            if theirs[key] != value:
                msg = (
                    f"{image.source.where('runtime').at(key)}: key {key!r}: {value!r} for all models of the image, but "
                    f"{one.config.name!r} was measured with {theirs[key]!r}\n  give them one value: [tool.modelyard.runtime] {key}"
                )
                raise ConfigError(msg)


def _shaping(runtime: Use) -> Mapping[str, Any]:
    """Return the parameters of a runtime that shape what its models answer, or how fast."""
    return {key: value for key, value in runtime.params.items() if key not in runtime.component.serving_only}


def _check_pins(image: Config) -> None:
    """Refuse two versions of one package: the server has one Python."""
    known: dict[tuple[str, str], tuple[str, str, Path]] = {}
    for who, file in _requirements(image):
        for name, marker, version in pins(file):
            other = known.setdefault((name, marker), (version, who, file))
            if other[0] != version:
                msg = (
                    f"{image.source.where()}: one server cannot have two versions of {name}: "
                    f"{other[1]} needs {other[0]} ({_shown(other[2], image)}), {who} {version} ({_shown(file, image)})\n"
                    "  pin one version, or pack the models in an image each"
                )
                raise ConfigError(msg)


def _requirements(image: Config) -> Iterator[tuple[str, Path]]:
    """Yield the requirements files of the server, and who needs each."""
    runtime = image.uses["runtime"]
    always = [runtime.component.requirements] if runtime.component.requirements else []
    yield from (("the runtime", file) for file in (*always, *runtime.optional_requirements.values()))
    for one in image.models:
        files = (use.component.requirements for use in one.config.handlers.values())
        yield from ((f"the pipeline {one.config.name!r}", file) for file in dict.fromkeys(files) if file is not None)


def pins(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each distribution that a requirements file pins: its name in lower case with dashes, its marker, its version."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if found := _PIN.match(line.strip()):
            yield re.sub(r"[-_.]+", "-", found[1]).lower(), found[3] or "", found[2]


def _shown(file: Path, image: Config) -> str:
    return str(file.relative_to(image.project)) if file.is_relative_to(image.project) else file.name
