"""Whether a stage's artifact is what a build would make now, and what a build would do with the stage."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from modelyard.code.lookups import mark_of
from modelyard.component import kind_name
from modelyard.errors import DataError, StageFailed
from modelyard.execution.protocol import Seen
from modelyard.execution.variables import digest_of
from modelyard.files.digests import DigestTable, FileEntry, is_executable, manifest_digest, walk
from modelyard.keys.action_key import Fingerprint, Fingerprinter
from modelyard.keys.sightings import Sighting, Signs, moved, moved_sources, settle, signs_of
from modelyard.plan.planner import Plan
from modelyard.project.load import Project
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.local import Store
from modelyard.store.record import Brief, InputRecord, Record, discovered_key, reads_of, succeed

BriefOf = Callable[[Stage], Brief | None]


class Decision(msgspec.Struct, frozen=True):
    """What a build would do with a stage: leave it (`fresh`), bring back `record` (`restored`), or run it (`built`)."""

    how: str
    fingerprint: Fingerprint
    record: Record | None = None


class Freshness:
    """Judges the stages of one project; what it found out stands until `renew` or `look_again`."""

    def __init__(self, project: Project, workspace: Workspace, store: Store, table: DigestTable) -> None:
        self._plan: Plan = project.plan
        self._workspace, self._store, self._table = workspace, store, table
        self._fingerprinter = Fingerprinter(project.folder, table, project.plugins)
        self._has_read_ahead = False
        self._lock = threading.Lock()
        self._fresh: dict[str, bool] = {}
        self._briefs: dict[str, Brief | None] = {}

    def look_again(self) -> None:
        """Forget what was found out about artifacts."""
        self._fresh, self._briefs = {}, {}

    def renew(self, stage: Stage, *, sources: bool = True) -> None:
        """Look again at what `stage` and the stages behind it are judged by, when it is about to run and when it has.

        Those before it stay judged: a chain is gone through once a build, not once for each of its stages.

        Args:
            stage: the stage.
            sources: whether to look at code and input files again, too.
        """
        self._briefs = {}
        if sources:
            self._fingerprinter.forget()
        with self._lock:
            fresh, todo = dict(self._fresh), [stage.id]  # a copy: other threads are reading
            while todo:
                name = todo.pop()
                if fresh.pop(name, None) is not None:  # what is not judged has nothing judged behind it
                    todo += self._behind.get(name, ())
            self._fresh = fresh

    @functools.cached_property
    def _behind(self) -> dict[str, list[str]]:
        """For each stage, those that read it."""
        found: dict[str, list[str]] = {}
        for stage in self._plan.stages.values():
            for one in self._plan.upstream(stage):
                found.setdefault(one.id, []).append(stage.id)
        return found

    def brief(self, stage: Stage) -> Brief | None:
        """Return the part of the stage's record that says whether it holds."""
        briefs = self._briefs  # another thread may empty the memory meanwhile
        if stage.id not in briefs:
            briefs[stage.id] = self._workspace.brief(stage)
        return briefs[stage.id]

    def is_fresh(self, stage: Stage) -> bool:
        """Tell whether the stage's artifact is what a build would make now, and everything that it reads is too."""
        memory = self._fresh
        todo = [stage]  # not a recursion: a chain may be longer than Python's stack
        while todo:
            one = todo[-1]
            waiting = [] if one.id in memory else [u for u in self._plan.upstream(one) if u.id not in memory]
            if waiting:
                todo += waiting
                continue
            todo.pop()
            if one.id not in memory:
                memory[one.id] = all(memory[u.id] for u in self._plan.upstream(one)) and self._holds(one)
        return memory[stage.id]

    def _holds(self, stage: Stage) -> bool:
        if not self._has_read_ahead:
            self._has_read_ahead = True
            self._table.read_ahead(self._workspace.artifacts)
        brief = self.brief(stage)
        return brief is not None and brief.key == self.fingerprint(stage).key and self._stands(stage, brief)

    def _stands(self, stage: Stage, brief: Brief) -> bool:
        return not (brief.discovered and self.undone(brief.discovered)) and self.is_intact(stage, brief)

    def fingerprint(self, stage: Stage, brief_of: BriefOf | None = None) -> Fingerprint:
        """Return the stage's fingerprint; everything that it reads must be there.

        Args:
            stage: the stage.
            brief_of: gives the record of what it reads; by default what is there now.

        Raises:
            StageFailed: an earlier stage has no artifact.
        """
        digest = functools.partial(self._input_digest, brief_of=brief_of or self.brief)
        return self._fingerprinter.fingerprint(stage, digest)

    def keep(self) -> None:
        """End a build: keep what was found out about the code for the processes that come."""
        self._fingerprinter.keep()

    def code(self, stage: Stage) -> dict[str, dict[str, str]]:
        """Return today's code of the stage: for each file, the digest of each function."""
        return self._fingerprinter.code(stage)

    def inputs(self, stage: Stage) -> dict[str, InputRecord]:
        """Return what the stage reads, by role, as its record says it."""
        return {
            i.role: InputRecord(i.stage, i.part, self._input_digest(i.stage, i.part, self.brief)) for i in stage.inputs
        }

    def decide(self, stage: Stage, brief_of: BriefOf | None = None) -> Decision:
        """Return what a build would do with the stage.

        Args:
            stage: the stage.
            brief_of: gives the record of what it reads; by default what is there now.

        Raises:
            StageFailed: something that it reads has no artifact.
        """
        fingerprint = self.fingerprint(stage, brief_of)
        brief = self.brief(stage)
        if brief is not None and brief.key == fingerprint.key and self._stands(stage, brief):
            return Decision("fresh", fingerprint)
        record = self._known(fingerprint.key)
        if record is not None and self._store.has(record):
            return Decision("restored", fingerprint, record)
        return Decision("built", fingerprint)

    def _known(self, key: str) -> Record | None:
        """Return the record of `key` that holds today, of all that were kept for it: they differ in what was read beside it."""
        latest = self._store.trace(key)
        if latest is None or not self.undone(latest.discovered):
            return latest
        for names in reads_of(latest):
            today = {name: self._today(name) for name in names}
            found = self._store.trace(discovered_key(key, today))
            if found is not None and found.discovered == today:
                return succeed(found, latest)
        return None

    def _input_digest(self, stage_id: str, part: str, brief_of: BriefOf) -> str:
        brief = brief_of(self._plan.stages[stage_id])
        if brief is None:
            msg = f"{stage_id}: has no artifact\n  run `doit {stage_id}` first"
            raise StageFailed(msg)
        return brief.digest if not part else manifest_digest(brief.outputs, part)

    def is_intact(self, stage: Stage, brief: Brief) -> bool:
        """Tell whether every output is there with its bytes and may be run if it could be, and nothing else is."""
        folder = f"{self._workspace.artifacts}/{stage.kind}/{stage.name}"
        try:
            found = dict(walk(folder))
        except DataError:
            return False
        found.pop("stage.json", None)
        return found.keys() == brief.outputs.keys() and all(
            found[name].st_size == entry.size
            and is_executable(found[name]) == entry.executable
            and self._has_digest(f"{folder}/{name}", found[name], entry.digest)
            for name, entry in brief.outputs.items()
        )

    def _has_digest(self, path: str, info: os.stat_result, digest: str) -> bool:
        if info.st_nlink > 1 and self._table.recall(path, info) is None and self._store.vouches(info, digest):
            self._table.know_at([(path, info, digest)])  # another link to the object came or went
        return self._table.is_known(path, info, digest)

    def damage(self, stage: Stage, record: Record) -> dict[str, FileEntry | None]:
        """Return the outputs that are not as `record` says: what is there today, by name; None for one that is gone."""
        folder = self._workspace.folder(stage)
        today = {name: self._entry(folder / name) for name in record.outputs}
        return {name: now for name, now in today.items() if now != record.outputs[name]}

    def _entry(self, path: Path) -> FileEntry | None:
        if not path.is_file():
            return None
        info = path.stat()
        return FileEntry(self._table.file(path, info), info.st_size, is_executable(info))

    def sight(self, stage: Stage) -> Sighting:
        """Return what the stage would run with now: its key, and the signs of all that the key was made of.

        The signs are taken before what they stand for is read, so that no change falls between the two.

        Raises:
            StageFailed: an earlier stage has no artifact, or one that is not whole.
        """
        artifacts = {u.id: signs_of(str(self._workspace.folder(u))) for u in self._plan.upstream(stage)}
        self._briefs = {}
        for upstream in self._plan.upstream(stage):
            brief = self.brief(upstream)
            if brief is None or not self.is_intact(upstream, brief):
                msg = f"{stage.id}: the artifact of {upstream.id} changed before the stage ran\n  run `doit` again"
                raise StageFailed(msg)
        while True:
            self._fingerprinter.forget_files()
            files = self._files(stage)
            fingerprint, sources = self.fingerprint(stage), self._fingerprinter.sources(stage)
            marks = [mark for mark in sources.values() if mark is not None]
            waited = settle([*marks, *(one for signs in files.values() for one in signs.values())])
            if not waited and not moved_sources(sources):
                break
            self.renew(stage)
        roots = tuple(path for _, path in self._fingerprinter.input_paths(stage))
        return Sighting(fingerprint, self.code(stage), self.inputs(stage), sources, files, roots, artifacts)

    def _files(self, stage: Stage) -> dict[str, Signs]:
        files: dict[str, Signs] = {}
        for part, path in self._fingerprinter.input_paths(stage):
            files[part] = files.get(part, {}) | signs_of(path)  # templates of several folders may have one name
        return files

    def check_unmoved(self, stage: Stage, before: Sighting, seen: Seen) -> list[str]:
        """Refuse a result whose inputs changed while the stage ran: nobody can say what it was made from.

        Code is another matter if the stage ran with what the key was made of, as each module told when it was loaded,
        and cannot have read it again later.

        Args:
            stage: the stage.
            before: what it was to run with.
            seen: what it was seen to read.

        Returns:
            The files of its code of which there is another version by now.

        Raises:
            StageFailed: something that the key was made of is not what it was `before`, or was another in between.
        """
        for upstream in self._plan.upstream(stage):
            paths = moved(before.artifacts[upstream.id], signs_of(str(self._workspace.folder(upstream))), linked=True)
            if paths:
                raise self._written_into(stage, upstream, paths)
        now = self._files(stage)
        parts = {p for p in before.files.keys() | now.keys() if moved(before.files.get(p, {}), now.get(p, {}))}
        if parts:
            self._refuse(stage, ", ".join(sorted(parts)))
        newer = moved_sources(before.sources)
        names = [self._name(path) for path in newer]
        if again := [self._name(path) for path in newer if path in seen.opened]:
            self._refuse(stage, ", ".join(again), "the stage read it as a file, too")
        if newer and seen.programs:
            self._refuse(
                stage, ", ".join(names), f"the stage started {', '.join(sorted(seen.programs))}, which may have read it"
            )
        return names

    def _refuse(self, stage: Stage, what: str, why: str = "") -> NoReturn:
        reason = f"{why}, so its" if why else "its"
        msg = f"{stage.id}: changed while the stage ran: {what}\n  {reason} result was not kept; run `doit` again"
        raise StageFailed(msg)

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._workspace.project)

    def _written_into(self, stage: Stage, upstream: Stage, paths: list[str]) -> StageFailed:
        """Return the error for an artifact that `stage` only reads, of which `paths` changed while it ran."""
        changed = ", ".join(os.path.relpath(path, self._workspace.project) for path in paths)
        used = [use.component for use in stage.uses.values()]
        makers = " or ".join(f"the {kind_name(one.kind)} {one.name!r} ({one.file})" for one in used)
        advice = f"if {makers} wrote there, it must write below context.out only; else run `doit` again"
        return StageFailed(
            f"{stage.id}: the artifact of {upstream.id} changed while the stage ran, which only reads it: {changed}\n"
            f"  its result was not kept; {advice if used else 'run `doit` again'}"
        )

    # What the stage was seen to read beside

    def discover(self, stage: Stage, seen: Seen) -> dict[str, str]:
        """Return what counts from now on, as the stage's record says it: for each file and variable that was read, a digest.

        Raises:
            StageFailed: a file changed while the stage ran.
        """
        gone = [path for path, mark in seen.files.items() if mark_of(path) != mark]
        if gone:
            self._refuse(stage, ", ".join(self._name(path) for path in sorted(gone)))
        files = {self._name(path): self._table.file(path) for path in sorted(seen.files)}
        return files | {f"${name}": digest for name, digest in sorted(seen.variables.items())}

    def undone(self, discovered: Mapping[str, str]) -> dict[str, str]:
        """Return today's digest of each of `discovered` that is another by now; empty for one that is gone."""
        today = {name: self._today(name) for name in discovered}
        return {name: digest for name, digest in today.items() if digest != discovered[name]}

    def _today(self, name: str) -> str:
        if name.startswith("$"):
            return digest_of(name[1:])
        path = os.path.normpath(self._workspace.project / name)
        return self._table.file(path) if os.path.isfile(path) else ""  # noqa: PTH113 - the hot path
