"""Bring the stages of a project up to date, one at a time of all builds; knows nothing of doit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.state import BuildState
from modelyard.concurrency.once import once
from modelyard.files.atomic import replace_folder, replacing
from modelyard.files.json import write_json
from modelyard.project.leftovers import leftovers, put_away
from modelyard.project.load import Project
from modelyard.stage import Stage
from modelyard.store.record import RECORD, Record
from modelyard.store.roots import register, roots_file

if TYPE_CHECKING:
    from modelyard.build.making import Maker
    from modelyard.execution.local import Local
    from modelyard.executors import Executor
    from modelyard.store.upload import Publisher


class Outcome(msgspec.Struct):
    """How a stage was brought up to date: `built`, `restored` or `fresh`, and how long that took in seconds."""

    how: str
    duration_s: float


class Listener(msgspec.Struct):
    """Who is told what happens; the front end replaces these."""

    on_event: Callable[[Stage, dict[str, Any]], None] = lambda _stage, _event: None
    tell: Callable[[str], None] = lambda _line: None


class Engine(BuildState):
    """Brings the stages of one project up to date; its `listener` is told what happens."""

    def __init__(
        self, project: Project, listener: Listener | None = None, executor: Executor | Local | None = None
    ) -> None:
        """Run stages with `executor`, which others may use, too; by default with the project's, which ends with this."""
        self.listener = listener or Listener()
        self._wait = project.config.settings.store.wait
        super().__init__(project, self._say, executor)

    def _say(self, line: str) -> None:
        self.listener.tell(line)  # the front end replaces it

    def sweep(self) -> None:
        """Remove what builds that are no longer alive left half-made."""
        self.workspace.sweep()
        self.store.sweep()

    # Bringing it up to date

    def bring_up_to_date(self, stage: Stage, *, force: bool = False) -> Outcome:
        """Make the stage's artifact what a build would make now.

        Args:
            stage: the stage; all that it reads must be up to date.
            force: run the stage even if its result is in the store.

        Raises:
            ModelyardError: the stage failed; what stood before still stands.
        """
        begin = time.monotonic()
        with self.workspace.lock(stage, self.listener.tell, wait=self._wait):
            made = self._maker.make(stage, self.listener.on_event, force=force)
            if made.record is not None and self._publisher is not None:
                self._publisher.submit(made.record.key, replace=force or bool(made.record.discovered))
        self.judge.invalidate(stage, sources=False)
        return Outcome(made.how, time.monotonic() - begin)

    def accept(self, stage: Stage, record: Record) -> None:
        """Let `record`, whose outputs are those of the stage's artifact, stand for it from now on.

        Raises:
            StoreError: the store or the artifact's folder cannot be written.
        """
        with (
            self.workspace.lock(stage, self.listener.tell, wait=self._wait),
            self.workspace.scratch() as scratch,
        ):
            self.store.add(record, self.workspace.folder(stage))
            with replacing(self.workspace.folder(stage) / RECORD, scratch) as draft:
                write_json(draft, record)
            self.workspace.history(stage).add(record, "accepted")
        self.judge.invalidate_artifacts()

    def remove(self, stage: Stage) -> bool:
        """Remove the stage's artifact; the store keeps what it needs to bring it back. True if there was one.

        Raises:
            StoreError: a build changes it, and this one does not wait; or it cannot be removed.
        """
        from modelyard.project.aside import spare

        folder = self.workspace.folder(stage)
        with self.workspace.lock(stage, self.listener.tell, wait=self._wait):
            if not folder.exists():
                return False
            brief = self.workspace.brief(stage)
            outputs = brief.outputs if brief else {}
            with self.store.preserving_digests(outputs), self.workspace.scratch() as scratch:
                spare(stage, self.workspace, [outputs], self.table, self._tell)
                replace_folder(folder, None, scratch)
        self.judge.invalidate_artifacts()
        return True

    def forget(self, stage: Stage) -> None:
        """Forget the stage's last result, so that it runs again."""
        brief = self.judge.brief(stage)
        if brief is not None:
            self.store.forget(brief.key)
            self.remove(stage)

    def finish(self, *, changed: bool) -> None:
        """End a build: write down in the store what the project needs, and give the remote what it has not got yet.

        What a target rendered that is no longer in pyproject.toml goes.

        What was found out about the code is kept for the next build.

        Args:
            changed: whether a stage was brought up to date; otherwise what was written down before still holds.

        Raises:
            StoreError: the store cannot be written.
        """
        if changed:
            self.sweep()  # of a build that was killed just before this one began, a process may have lived on until now
        file = roots_file(self.store.root, self.project.folder)
        if self._put_away_leftovers() or changed or not file.exists():
            register(self.store.root, self.project.folder, self.plan.stages)
        if self._publisher is not None:
            self._publisher.finish(file)
        self.judge.keys.persist()

    def _put_away_leftovers(self) -> bool:
        """Remove what targets rendered that are no longer in pyproject.toml; tell whether there was any."""
        known = self.project.config.target_names | {stage.name for stage in self.plan.of_kind("render")}
        found = leftovers(self.workspace, known)
        for stage in found:
            with self.workspace.lock(stage, self._tell, wait=self._wait):
                put_away(stage, self.workspace, self.store, self.table, self._tell)
        return bool(found)

    @once
    def _maker(self) -> Maker:
        from modelyard.build.making import Maker  # most builds have nothing to do

        return Maker(self, self._tell)

    @once
    def _publisher(self) -> Publisher | None:
        if self.remote is None or not self.remote.settings.writes:
            return None
        from modelyard.store.upload import Publisher

        return Publisher(self.store, self.remote, self.table, self._tell)

    def close(self) -> None:
        """Cancel what runs elsewhere, too."""
        if "_maker" in vars(self):
            self._maker.close()
        super().close()
