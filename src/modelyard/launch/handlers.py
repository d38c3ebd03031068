"""Handlers where a server runs them: their code, their assets, what they need, and how the server is told of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelyard.code.closure import CodeIndex
from modelyard.errors import StageFailed
from modelyard.files.digests import DigestTable
from modelyard.launch.handler_imports import imports_modelyard, missing, normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelyard.component import Component, Use

ASSETS = "handler_assets"
"""The folder for assets beside the server's code in an image: in it one folder a handler and parameter."""
SETTING = "MODELYARD_HANDLERS"

Handlers = dict[str, "Use"]
"""Handlers by role, `before:1`, `after:1` ...; those of a server of several models `before:1:NAME.VERSION`."""


def handlers_of(uses: Mapping[str, Use]) -> Handlers:
    """Return the handlers among the components of a stage."""
    return {role: use for role, use in uses.items() if role.startswith(("before:", "after:"))}


def setting(handlers: Handlers, root: str = "") -> dict[str, str]:
    """Return the variable that tells a server of its handlers; none where there are none.

    Args:
        handlers: the handlers.
        root: the folder of the server's code, which assets are below; empty: they are where the project has them.
    """
    if not handlers:
        return {}
    models: dict[str, dict[str, list[Any]]] = {}
    for role, use in handlers.items():
        side, _, *model = role.split(":")
        of = "/".join(model[0].rsplit(".", 1)) if model else ""  # as the server calls it: NAME/VERSION
        moved = {key: f"{root}/{place}" for key, place, _ in _assets(role, use)} if root else {}
        step = {"name": use.component.name, "open": entry(use.component), "params": use.params | moved}
        models.setdefault(of, {"before": [], "after": []})[side].append(step)
    return {SETTING: json.dumps(models.get("", models), sort_keys=True)}


def _assets(role: str, use: Use) -> Iterator[tuple[str, str, Path]]:
    """Yield each parameter that names a file or folder, its place below the server's code, and where the project has it."""
    for key in use.component.inputs:
        if use.params.get(key) is not None:
            source = Path(use.params[key])
            yield key, f"{ASSETS}/{role.replace(':', '-')}/{key}/{source.name}", source


def requirements(handlers: Handlers) -> list[Path]:
    """Return the requirements files of handlers, each once."""
    files = (use.component.requirements for use in handlers.values())
    return list(dict.fromkeys(file for file in files if file is not None))


def entry(component: Component) -> str:
    """Return the function that opens a handler where the server runs, `module:function`."""
    if component.package is None:
        return component.name  # of the project's own code, by which it is named
    return f"{component.package.name}:{component.function.__name__}"


def lay_out(handlers: Handlers, project: Path, out: Path, pinned: Iterable[str]) -> None:
    """Copy the code of handlers, and their assets, to the folder `out`, as they lie beside the server's.

    Args:
        handlers: the handlers.
        project: the project's folder.
        out: a folder that is empty.
        pinned: the names of the distributions that the server has.

    Raises:
        StageFailed: the project's code imports what the server does not have.
    """
    files = {place: source for role, use in handlers.items() for _, place, source in _assets(role, use)}
    packages = (use.component.package for use in handlers.values())
    files |= {folder.name: folder for folder in packages if folder is not None}
    files |= _own_code([use.component for use in handlers.values()], project, frozenset(map(normal, pinned)))
    for place, source in files.items():
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)


def _own_code(components: Iterable[Component], project: Path, pinned: frozenset[str]) -> dict[str, Path]:
    """Return the files of the project that its own handlers are made of, by their paths from the project's folder."""
    own = [one for one in components if one.package is None]
    if not own:
        return {}
    found: dict[str, Path] = {}
    with TemporaryDirectory(prefix="modelyard-code-") as folder:
        index = CodeIndex(project, DigestTable(Path(folder, "digests.sqlite")))
        for one in own:
            paths = [path for path in map(Path, index.closure(one.file).paths) if path.is_relative_to(project)]
            _check_there(one, paths, project, pinned)
            found |= {path.relative_to(project).as_posix(): path for path in paths}
    return found


def _check_there(component: Component, files: Sequence[Path], project: Path, pinned: frozenset[str]) -> None:
    who = f"the handler {component.name!r} ({component.file})"
    for file in filter(imports_modelyard, files):
        msg = (
            f"{who}: {file.relative_to(project)} imports modelyard, which the server does not have\n"
            "  put the handler in a module of its own, or import modelyard below `if TYPE_CHECKING:` or in a function that the server does not call"
        )
        raise StageFailed(msg)
    for name in missing(files, project, pinned):
        msg = (
            f"{who} imports {name}, which the server does not have\n"
            "  pin it with its hashes in a file that [tool.modelyard.handlers] requirements names, "
            "or put the handler in a module of its own that does not import it"
        )
        raise StageFailed(msg)
