"""What there is of a project's build, and what a build would do: all that explaining and reporting ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.build.judge import Judge
from modelyard.build.placement import Placement
from modelyard.files.digests import DigestTable
from modelyard.project.last_build import Journal
from modelyard.project.load import Project
from modelyard.project.workspace import Workspace
from modelyard.store.local import Store

if TYPE_CHECKING:
    from modelyard.execution.local import Local
    from modelyard.executors import Executor
    from modelyard.store.remote import Remote


class BuildState:
    """The state of one project's build; `Engine` is what changes it.

    Attributes:
        project, plan: what is built.
        journal: what became of each stage in this run.
        workspace: where artifacts, records, logs and histories are.
        table: what is known of files' digests.
        store, remote: where results are kept; there may be no remote.
        placement: where each stage runs.
        judge: whether each stage is up to date, and what a build would do with it.
    """

    def __init__(self, project: Project, tell: Callable[[str], None], executor: Executor | Local | None = None) -> None:
        self.project, self.plan, self._tell = project, project.plan, tell
        self.journal = Journal()
        self.workspace = Workspace(project.folder, project.state)
        self.table = DigestTable(project.state / "state.sqlite")
        settings = project.config.settings.store
        root = project.folder / Path(settings.path).expanduser()
        self.remote = self._open_remote()
        objects = DigestTable(root / "digests.sqlite", shared=True)
        self.store = Store(root, objects, self.remote, tell, wait=settings.wait)
        self.placement = Placement(project, self.table, tell, executor)
        self.judge = Judge(project, self.workspace, self.store, self.table, self.placement.platform)

    def _open_remote(self) -> Remote | None:
        settings = self.project.config.settings.store
        if not settings.remote or settings.mode == "off":
            return None
        from modelyard.store.file_system import RemoteSettings
        from modelyard.store.remote import open_remote

        is_written = settings.mode == "read-write"
        told = RemoteSettings(settings.remote, is_written, settings.timeout_s, settings.options)
        return open_remote(told, self._tell, self.project.config.source.where("store"))

    def close(self) -> None:
        """Remove what was for this process alone, end what was started and close the state files."""
        self.placement.close()
        self.workspace.close()
        self.store.close()
        self.store.table.close()
        self.table.close()
