"""Where a project's build keeps its files: artifacts, records, logs, histories, and what is half-made."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import StoreError
from modelyard.files.json import find_json
from modelyard.files.locks import hold
from modelyard.files.manifest import manifest_digest
from modelyard.files.scratch import Scratch
from modelyard.store.record import RECORD, Brief, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.project.history import History
    from modelyard.stage import Stage


class Workspace:
    """The files of one project's build.

    Args:
        project: the project's folder.
        state: its folder for what git must ignore.
    """

    def __init__(self, project: Path, state: Path) -> None:
        self.project, self.state = project, state
        self.artifacts = project / "artifacts"
        self._scratch = Scratch(self.artifacts / ".unfinished")
        self._folders: dict[tuple[str, str], Path] = {}

    def folder(self, stage: Stage) -> Path:
        """Return the folder of a stage's artifact."""
        name = stage.kind, stage.name
        if name not in self._folders:  # asked for some ten times a stage
            self._folders[name] = Path(f"{self.artifacts}/{stage.kind}/{stage.name}")
        return self._folders[name]

    def log(self, stage: Stage) -> Path:
        """Return the file of a stage's log."""
        return Path(f"{self.state}/logs/{stage.kind}/{stage.name}.log")

    @property
    def journal_file(self) -> Path:
        """The file that says what the last build did."""
        return self.state / "last-build.json"

    def history(self, stage: Stage) -> History:
        """Return the stage's earlier results."""
        from modelyard.project.history import History  # of what is built, and of who asks

        return History(Path(f"{self.state}/history/{stage.kind}/{stage.name}.jsonl"))

    def cache(self) -> Path:
        """Return the folder for downloads, made if need be."""
        folder = self.state / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @functools.cached_property
    def commit(self) -> str:
        """The commit that the project is at, with `+` behind it if the tree is not clean; empty outside git."""
        from modelyard.project import git

        return git.commit(self.project)

    def lock(self, stage: Stage, tell: Callable[[str], None], *, wait: bool) -> AbstractContextManager[None]:
        """Be the only one to change the stage's artifact while the block runs.

        Raises:
            StoreError: another does, and `wait` is false.
        """
        file = self.state / "locks" / f"{stage.kind}-{stage.name}.lock"
        return hold(file, stage.id, tell, wait=wait)

    def record(self, stage: Stage) -> Record | None:
        """Return the stage's record, or None when there is none that can be read."""
        return find_json(f"{self.folder(stage)}/{RECORD}", Record)

    def brief(self, stage: Stage) -> Brief | None:
        """Return the part of the stage's record that says whether it holds, read now; None if somebody edited it."""
        brief = find_json(f"{self.artifacts}/{stage.kind}/{stage.name}/{RECORD}", Brief)
        return brief if brief is not None and brief.digest == manifest_digest(brief.outputs) else None

    @property
    def unfinished(self) -> Path:
        """The folder, among the artifacts, of what is half-made."""
        return self._scratch.unfinished

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a new folder on the artifacts' file system; what a killed build left there is swept by `sweep`.

        Raises:
            StoreError: the system refused something in the block: no room, no permission.
        """
        try:
            with self._scratch.folder() as folder:
                yield folder
        except OSError as exc:
            msg = f"{exc.filename or self._scratch.unfinished}: {exc.strerror}\n  what was built before is kept; mend this, then run `doit` again"
            raise StoreError(msg) from exc

    def sweep(self) -> None:
        """Remove what builds that are no longer alive left half-made."""
        self._scratch.sweep()

    def close(self) -> None:
        """Remove the folder that this process made things in."""
        self._scratch.close()
