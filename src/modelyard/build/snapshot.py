"""The files of a project that a stage needs elsewhere: those that say what the project is, its code, and what parameters name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import StageFailed
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import reading
from modelyard.files.manifest import FileEntry, Manifest, is_executable
from modelyard.files.placing import copy
from modelyard.files.walk import walk
from modelyard.toml.places import FILE

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.keys.action_key import Fingerprinter
    from modelyard.project.load import Project
    from modelyard.stage import Stage


def files_of(project: Project, keys: Fingerprinter, stage: Stage) -> list[str]:
    """Return the files that `stage` needs, from the project's folder, sorted.

    Raises:
        StageFailed: a parameter names a file outside the project.
    """
    found = {FILE, *_below(project.folder, project.folder / "plugins")}
    for one in project.plan.stages.values():
        found |= {path.removeprefix(f"{project.folder}/") for path in keys.sources(one)}
        for use in one.uses.values():
            found |= {name for path in _owned(use.component) for name in _below(project.folder, path)}
    for part, path in keys.input_paths(stage):
        named = _below(project.folder, Path(path))
        if not named and not Path(path).is_relative_to(project.folder):
            msg = (
                f"{stage.id}: {part} is {path!r}, which is outside the project: its machine does not have it\n"
                f"  put it into the project, or leave {stage.kind!r} out of `kinds` in [tool.modelyard.executor]"
            )
            raise StageFailed(msg)
        found.update(named)
    return sorted(name for name in found if not name.startswith("/"))  # what is installed is installed there, too


def _owned(component: Component) -> Iterator[Path]:
    """Yield the files and folders that a component is registered with, which must be there when its plugin is loaded."""
    folders = [component.server, component.client, component.package]
    files = [*folders, component.requirements, *component.optional_requirements.values()]
    yield from (path for path in files if path is not None)


def _below(project: Path, path: Path) -> list[str]:
    """Return the file `path`, or the files below it, from the project's folder; none of what is outside it, or not there."""
    if not path.is_relative_to(project):
        return []
    name = str(path.relative_to(project))
    if not path.is_dir():
        return [name] if path.is_file() else []
    return [f"{name}/{one}" for one, _ in walk(path, compiled=False)]


class Snapshot:
    """Files of a project as they are now, on their way to a store.

    Attributes:
        manifest: what each is.
    """

    def __init__(self, project: Path, names: Iterable[str], table: DigestTable) -> None:
        paths = {name: project / name for name in names}
        with reading(project):
            stats = {name: path.stat() for name, path in paths.items()}
            digests = table.files([(str(path), stats[name]) for name, path in paths.items()])
        found = zip(stats.items(), digests, strict=True)
        self.manifest: Manifest = {name: FileEntry(d, info.st_size, is_executable(info)) for (name, info), d in found}
        self._files = {entry.digest: paths[name] for name, entry in self.manifest.items()}

    def read(self, entry: FileEntry, folder: Path) -> Path | None:
        """Return a copy, in `folder`, of a file with the bytes of `entry`; None if it is another by now."""
        target = folder / entry.digest
        return target if copy(str(self._files[entry.digest]), str(target), 0o444)[0] == entry.digest else None
