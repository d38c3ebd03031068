"""Bring the stages of a project up to date, one at a time of all builds; knows nothing of doit."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.making import Maker
from modelyard.build.staleness import BriefOf, Decision, Freshness
from modelyard.files.atomic import replacing
from modelyard.files.digests import DigestTable, FileEntry
from modelyard.files.json import write_json
from modelyard.keys.action_key import Fingerprint
from modelyard.project.aside import move_aside
from modelyard.project.history import History
from modelyard.project.last_build import Journal
from modelyard.project.leftovers import leftovers, put_away
from modelyard.project.load import Project
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.local import Store
from modelyard.store.record import RECORD, Brief, Record
from modelyard.store.roots import read_roots, register, roots_file

if TYPE_CHECKING:
    from modelyard.store.remote import Remote
    from modelyard.store.upload import Publisher


class Outcome(msgspec.Struct):
    """How a stage was brought up to date: `built`, `restored` or `fresh`, and how long that took in seconds."""

    how: str
    duration_s: float


class Listener(msgspec.Struct):
    """Who is told what happens; the front end replaces these."""

    on_event: Callable[[Stage, dict[str, Any]], None] = lambda _stage, _event: None
    tell: Callable[[str], None] = lambda _line: None


class Engine:
    """Brings the stages of one project up to date."""

    def __init__(self, project: Project, listener: Listener | None = None) -> None:
        self.project, self.plan = project, project.plan
        self.listener = listener or Listener()
        self.journal = Journal()
        self.workspace = Workspace(project.folder, project.state)
        self.artifacts = self.workspace.artifacts
        self.table = DigestTable(project.state / "state.sqlite")
        settings = project.config.settings["store"]
        self._wait: bool = settings["wait"]
        root = project.folder / Path(settings["path"]).expanduser()
        self._objects = DigestTable(root / "digests.sqlite", shared=True)
        self.remote = self._open_remote(settings)
        self.store = Store(root, self._objects, self.remote, self._tell, wait=self._wait)
        self.freshness = Freshness(project, self.workspace, self.store, self.table)
        self._maker = Maker(project, self.workspace, self.freshness, self.store, self.table, self._tell)

    def _open_remote(self, settings: Mapping[str, Any]) -> Remote | None:
        if not settings["remote"]:
            return None
        from modelyard.store.remote import open_remote

        return open_remote(settings, self._tell, self.project.config.source.where("store"))

    def _tell(self, line: str) -> None:
        self.listener.tell(line)

    # What is there

    def folder(self, stage: Stage) -> Path:
        """Return the folder of a stage's artifact."""
        return self.workspace.folder(stage)

    def log(self, stage: Stage) -> Path:
        """Return the file of a stage's log."""
        return self.workspace.log(stage)

    def history(self, stage: Stage) -> History:
        """Return the stage's earlier results."""
        return self.workspace.history(stage)

    def record(self, stage: Stage) -> Record | None:
        """Return the stage's record, or None when there is none that can be read."""
        return self.workspace.record(stage)

    def sweep(self) -> None:
        """Remove what builds that are no longer alive left half-made."""
        self.workspace.sweep()
        self.store.sweep()

    # Whether it holds

    def brief(self, stage: Stage) -> Brief | None:
        """Return the part of the stage's record that says whether it holds."""
        return self.freshness.brief(stage)

    def is_fresh(self, stage: Stage) -> bool:
        """Tell whether the stage's artifact is what a build would make now, and everything that it reads is too."""
        return self.freshness.is_fresh(stage)

    def fingerprint(self, stage: Stage) -> Fingerprint:
        """Return the stage's fingerprint; everything that it reads must be there."""
        return self.freshness.fingerprint(stage)

    def code(self, stage: Stage) -> dict[str, dict[str, str]]:
        """Return today's code of the stage: for each file, the digest of each function."""
        return self.freshness.code(stage)

    def decide(self, stage: Stage, brief_of: BriefOf | None = None) -> Decision:
        """Return what a build would do with the stage; see `Freshness.decide`."""
        return self.freshness.decide(stage, brief_of)

    def damage(self, stage: Stage, record: Record) -> dict[str, FileEntry | None]:
        """Return the outputs that are not as `record` says: what is there today, by name; None for one that is gone."""
        return self.freshness.damage(stage, record)

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
            self.freshness.renew(stage)
            decision = None if force else self.decide(stage)
            if decision is not None and decision.how == "fresh":
                how = "fresh"
            elif decision is not None and decision.record is not None and self._maker.restore(stage, decision.record):
                how = "restored"
            else:
                how = self._obtain(stage, force=force)
        self.freshness.renew(stage, sources=False)
        return Outcome(how, time.monotonic() - begin)

    def _obtain(self, stage: Stage, *, force: bool) -> str:
        """Bring the stage's result from the remote, or run it; one at a time of all builds that share the store."""
        key = self.fingerprint(stage).key
        self._announce()
        with self.store.building(key, stage.id):
            record = None if force else self.store.find(key)  # another build may have made it meanwhile
            holds = record is not None and not self.freshness.undone(record.discovered)
            if record is not None and holds and self._maker.restore(stage, record):
                return "restored"
            made = self._maker.build(stage, self.listener.on_event)
        if self._publisher is not None:
            self._publisher.submit(made.key, replace=force or bool(made.discovered))
        return "built"

    def _announce(self) -> None:
        """Let the store know the project before its first build ends, so that what it needs stays there."""
        if not roots_file(self.store.root, self.project.folder).exists():
            register(self.store.root, self.project.folder, self.plan.stages)

    def accept(self, stage: Stage, record: Record) -> None:
        """Let `record`, whose outputs are those of the stage's artifact, stand for it from now on.

        Raises:
            StoreError: the store or the artifact's folder cannot be written.
        """
        with (
            self.workspace.lock(stage, self.listener.tell, wait=self._wait),
            self.workspace.scratch() as scratch,
        ):
            self.store.add(record, self.folder(stage))
            with replacing(self.folder(stage) / RECORD, scratch) as draft:
                write_json(draft, record)
            self.history(stage).add(record, "accepted")
        self.freshness.look_again()

    def remove(self, stage: Stage) -> bool:
        """Remove the stage's artifact; the store keeps what it needs to bring it back. True if there was one.

        Raises:
            StoreError: a build changes it, and this one does not wait; or it cannot be removed.
        """
        folder = self.folder(stage)
        with self.workspace.lock(stage, self.listener.tell, wait=self._wait):
            if not folder.exists():
                return False
            brief = self.workspace.brief(stage)
            outputs = brief.outputs if brief else {}
            with self.store.keeping_known(outputs), self.workspace.scratch() as scratch:
                if aside := move_aside(stage, self.workspace, [outputs], self.table):
                    self._tell(f"{stage.id}: what was added or changed in its artifact is now in {aside}")
                if not folder.exists():
                    return True
                folder.rename(scratch / "old")  # whoever reads it sees all of it or nothing
                shutil.rmtree(scratch / "old")
        self.freshness.look_again()
        return True

    def forget(self, stage: Stage) -> None:
        """Forget the stage's last result, so that it runs again."""
        brief = self.brief(stage)
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
        if self._publisher is not None and (roots := read_roots(file)):
            self._publisher.finish(roots.keys.values())
        self.freshness.keep()

    def _put_away_leftovers(self) -> bool:
        """Remove what targets rendered that are no longer in pyproject.toml; tell whether there was any."""
        known = self.project.config.target_names | {stage.name for stage in self.plan.of_kind("render")}
        found = leftovers(self.workspace, known)
        for stage in found:
            with self.workspace.lock(stage, self._tell, wait=self._wait):
                put_away(stage, self.workspace, self.store, self.table, self._tell)
        return bool(found)

    @functools.cached_property
    def _publisher(self) -> Publisher | None:
        if self.remote is None or not self.remote.settings.writes:
            return None
        from modelyard.store.upload import Publisher

        return Publisher(self.store, self.remote, self.table, self._tell)

    @property
    def tables(self) -> tuple[DigestTable, DigestTable]:
        """The tables of digests: the project's, and that of the store's objects."""
        return self.table, self._objects

    @property
    def commit(self) -> str:
        """The commit that the project is at, with `+` behind it if the tree is not clean; empty outside git."""
        return self.workspace.commit

    def close(self) -> None:
        """End the workers, remove what was for this build alone and close the state files."""
        self._maker.close()
        self.workspace.close()
        self.store.close()
        self.table.close()
        self._objects.close()
