"""What a stage runs with: looked at before it runs and after, so that a result is only ever kept under what it was made of."""

from __future__ import annotations

import os
from typing import NoReturn

from modelyard.build.judge import Judge
from modelyard.code.lookups import mark_of
from modelyard.component import kind_name
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Seen
from modelyard.files.digests import DigestTable
from modelyard.keys.sightings import Sighting, Signs, moved, moved_sources, settle, signs_of
from modelyard.plan.planner import Plan
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage


class InputGuard:
    """Sees that what a stage reads is the same before it runs and after."""

    def __init__(self, plan: Plan, workspace: Workspace, judge: Judge, table: DigestTable) -> None:
        self._plan, self._workspace, self._judge, self._table = plan, workspace, judge, table

    def sight(self, stage: Stage) -> Sighting:
        """Return what the stage would run with now: its key, and the signs of all that the key was made of.

        The signs are taken before what they stand for is read, so that no change falls between the two.

        Raises:
            StageFailed: an earlier stage has no artifact, or one that is not whole.
        """
        artifacts = {u.id: signs_of(str(self._workspace.folder(u))) for u in self._plan.upstream(stage)}
        self._judge.invalidate_records()
        for upstream in self._plan.upstream(stage):
            brief = self._judge.brief(upstream)
            if brief is None or not self._judge.inspector.is_intact(upstream, brief):
                msg = f"{stage.id}: the artifact of {upstream.id} changed before the stage ran\n  run `doit` again"
                raise StageFailed(msg)
        while True:
            self._judge.keys.forget_files()
            files = self._files(stage)
            fingerprint, sources = self._judge.fingerprint(stage), self._judge.keys.sources(stage)
            marks = [mark for mark in sources.values() if mark is not None]
            waited = settle([*marks, *(one for signs in files.values() for one in signs.values())])
            if not waited and not moved_sources(sources):
                break
            self._judge.invalidate(stage)
        roots = tuple(path for _, path in self._judge.keys.input_paths(stage))
        return Sighting(
            fingerprint, self._judge.keys.code(stage), self._judge.inputs(stage), sources, files, roots, artifacts
        )

    def _files(self, stage: Stage) -> dict[str, Signs]:
        files: dict[str, Signs] = {}
        for part, path in self._judge.keys.input_paths(stage):
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
