"""`[tool.modelyard.handlers]`: what its values mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.component import Use
from modelyard.errors import ConfigError, did_you_mean
from modelyard.toml.places import KeyPlace

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.component import Component
    from modelyard.config.tables import Handlers
    from modelyard.toml.places import Where


def check_runtime(runtime: Component, where: Where) -> None:
    """Refuse handlers that no server would run.

    Raises:
        ConfigError: the runtime's server comes with its image.
    """
    if runtime.server is None:
        msg = (
            f"{where}: the server of the runtime {runtime.name!r} comes with its image, and runs no handlers\n"
            "  remove the table, or choose another runtime"
        )
        raise ConfigError(msg)


def check_answer(settings: Handlers, where: Where) -> None:
    """Refuse an answer of the handlers without the tensors that they make it of.

    Raises:
        ConfigError: `answer` is there without `outputs`.
    """
    if settings.answer and not settings.outputs:
        msg = (
            f"{KeyPlace(where, 'answer')}: {settings.answer!r} is given by a handler, but nothing says of what\n"
            "  name the model's tensors that it takes: outputs = [...]"
        )
        raise ConfigError(msg)


def requirements_file(project: Path, name: str, where: Where) -> Path | None:
    """Return the file that the key `requirements` names; None where it is empty.

    Raises:
        ConfigError: there is no such file.
    """
    if not name:
        return None
    file = project / name
    if not file.is_file():
        near = [one.name for one in file.parent.glob("*.txt")]
        msg = f"{KeyPlace(where, 'requirements')}: there is no file {name!r}{did_you_mean(file.name, near)}\n  write it: `pip-compile --generate-hashes` makes one"
        raise ConfigError(msg)
    return file


def with_requirements(use: Use, file: Path | None) -> Use:
    """Return a handler; one of the project's own code needs what is in `file`, a plugin's says itself what it needs."""
    if file is None:
        return use
    from modelyard.plugins.project_function import ProjectFunction  # most projects have none

    if not isinstance(use.component, ProjectFunction):
        return use
    return Use(msgspec.structs.replace(use.component, requirements=file), use.params)
