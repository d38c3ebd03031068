"""The one judge of stages: what a build does with each, what every command says of it, and what the report shows."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Mapping

import msgspec

from modelyard.build.inspection import Inspector
from modelyard.build.verdict import MAYBE, REMOTE, RESTORE, RUN, STORE, UP_TO_DATE, Verdict
from modelyard.errors import ModelyardError, StageFailed
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import manifest_digest
from modelyard.keys.action_key import Fingerprint, Fingerprinter
from modelyard.keys.platform import Platform
from modelyard.plan.planner import Plan
from modelyard.project.load import Project
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.local import Store
from modelyard.store.record import Brief, InputRecord, Record

BriefOf = Callable[[Stage], Brief | None]


class Judge:
    """Judges the stages of one project; what it found out stands until `invalidate`."""

    def __init__(
        self,
        project: Project,
        workspace: Workspace,
        store: Store,
        table: DigestTable,
        platform_of: Callable[[Stage], Platform],
    ) -> None:
        self._plan: Plan = project.plan
        self._workspace, self._store, self._table = workspace, store, table
        self.inspector = Inspector(workspace, store, table)
        self.keys = Fingerprinter(project.folder, table, project.plugins, platform_of)
        self._has_read_ahead = False
        self._lock = threading.Lock()
        self._current: dict[str, bool] = {}
        self._briefs: dict[str, Brief | None] = {}
        self._verdicts: dict[str, Verdict] = {}

    # Looking again

    def invalidate_artifacts(self) -> None:
        """Forget what was found out about artifacts."""
        self._current, self._briefs, self._verdicts = {}, {}, {}

    def invalidate_records(self) -> None:
        """Forget what the records of artifacts say; each is read anew when it is asked for."""
        self._briefs = {}

    def invalidate(self, stage: Stage, *, sources: bool = True) -> None:
        """Look again at what `stage` and the stages behind it are judged by, when it is about to run and when it has.

        Those before it stay judged: a chain is gone through once a build, not once for each of its stages.

        Args:
            stage: the stage.
            sources: whether to look at code and input files again, too.
        """
        self._briefs, self._verdicts = {}, {}
        if sources:
            self.keys.forget()
        with self._lock:
            judged, todo = dict(self._current), [stage.id]  # a copy: other threads are reading
            while todo:
                name = todo.pop()
                if judged.pop(name, None) is not None:  # what is not judged has nothing judged behind it
                    todo += self._dependents.get(name, ())
            self._current = judged

    @functools.cached_property
    def _dependents(self) -> dict[str, list[str]]:
        """For each stage, those that read it."""
        found: dict[str, list[str]] = {}
        for stage in self._plan.stages.values():
            for one in self._plan.upstream(stage):
                found.setdefault(one.id, []).append(stage.id)
        return found

    # What it judges by

    def brief(self, stage: Stage) -> Brief | None:
        """Return the part of the stage's record that says whether it holds."""
        briefs = self._briefs  # another thread may empty the memory meanwhile
        if stage.id not in briefs:
            briefs[stage.id] = self._workspace.brief(stage)
        return briefs[stage.id]

    def fingerprint(self, stage: Stage, brief_of: BriefOf | None = None) -> Fingerprint:
        """Return the stage's fingerprint; everything that it reads must be there.

        Args:
            stage: the stage.
            brief_of: gives the record of what it reads; by default what is there now.

        Raises:
            StageFailed: an earlier stage has no artifact.
        """
        digest = functools.partial(self._input_digest, brief_of=brief_of or self.brief)
        return self.keys.fingerprint(stage, digest)

    def inputs(self, stage: Stage) -> dict[str, InputRecord]:
        """Return what the stage reads, by role, as its record says it."""
        return {
            i.role: InputRecord(i.stage, i.part, self._input_digest(i.stage, i.part, self.brief)) for i in stage.inputs
        }

    def _input_digest(self, stage_id: str, part: str, brief_of: BriefOf) -> str:
        brief = brief_of(self._plan.stages[stage_id])
        if brief is None:
            msg = f"{stage_id}: has no artifact\n  run `doit {stage_id}` first"
            raise StageFailed(msg)
        return brief.digest if not part else manifest_digest(brief.outputs, part)

    # Judging

    def needs_nothing(self, stage: Stage) -> bool:
        """Tell whether a build would do nothing for the stage, nor for anything that it reads.

        What it would do otherwise is not asked for, so that this costs little.
        """
        memory = self._current
        todo = [stage]  # not a recursion: a chain may be longer than Python's stack
        while todo:
            one = todo[-1]
            waiting = [] if one.id in memory else [u for u in self._plan.upstream(one) if u.id not in memory]
            if waiting:
                todo += waiting
                continue
            todo.pop()
            if one.id not in memory:
                memory[one.id] = all(memory[u.id] for u in self._plan.upstream(one)) and self._is_current(one)
        return memory[stage.id]

    def _is_current(self, stage: Stage) -> bool:
        if not self._has_read_ahead:
            self._has_read_ahead = True
            self._table.read_ahead(self._workspace.artifacts)
        brief = self.brief(stage)
        if brief is None:
            return False
        with contextlib.suppress(ModelyardError):  # the build of the stage meets the same mistake, and tells it
            key = self.fingerprint(stage).key
            return brief.key == key and self.inspector.findings(stage, brief, key).is_none
        return False

    def is_up_to_date(self, stage: Stage) -> bool:
        """Tell whether that is the verdict; what would be done otherwise is asked for only where it matters.

        It matters where something that the stage reads is to be brought back: if it is what the stage was made from.
        """
        if self.needs_nothing(stage):
            return True
        reads_what_is_current = all(self.needs_nothing(upstream) for upstream in self._plan.upstream(stage))
        return not reads_what_is_current and self.verdict(stage).state == UP_TO_DATE

    def verdict(self, stage: Stage) -> Verdict:
        """Return what a build of the stage, and of all that it reads, would do with the stage."""
        return self.verdicts([stage])[stage.id]

    def verdicts(self, stages: Iterable[Stage]) -> dict[str, Verdict]:
        """Return what a build of `stages` would do with each, and with all that they read, in the order of a build.

        The remote store is asked for what is not here: a trace, and whether its objects are there; none is fetched.
        """
        from modelyard.plan.names import with_upstream  # a build with nothing to do asks for no verdict

        known, needed = self._verdicts, with_upstream(self._plan, stages)
        for stage in needed:
            if stage.id not in known:
                known[stage.id] = self._judged(stage, known)
        return {stage.id: known[stage.id] for stage in needed}

    def _judged(self, stage: Stage, known: Mapping[str, Verdict]) -> Verdict:
        unsettled = [upstream for upstream in self._plan.upstream(stage) if not known[upstream.id].is_settled]
        expected = {one.id: known[one.id].expected or self.brief(one) for one in self._plan.upstream(stage)}
        if any(expected[upstream.id] is None for upstream in unsettled):
            return self._without_key(stage)
        verdict = self.verdict_if(stage, lambda one: expected[one.id], ask_remote=True)
        if unsettled and verdict.state != RUN:
            return msgspec.structs.replace(verdict, state=MAYBE, otherwise=verdict.state)
        return verdict

    def verdict_if(self, stage: Stage, brief_of: BriefOf | None = None, *, ask_remote: bool = False) -> Verdict:
        """Return what a build would do with the stage if what it reads is what `brief_of` gives.

        Args:
            stage: the stage.
            brief_of: gives the record of what it reads; by default what is there now.
            ask_remote: whether to ask the remote store for what is not here.
        """
        try:
            return self._decided(stage, self.fingerprint(stage, brief_of), ask_remote=ask_remote)
        except ModelyardError as exc:
            return self._without_key(stage, str(exc))

    def _decided(self, stage: Stage, today: Fingerprint, *, ask_remote: bool) -> Verdict:
        findings = self.inspector.findings(stage, self.brief(stage), today.key)
        if findings.is_none:
            return Verdict(state=UP_TO_DATE, fingerprint=today)
        kept = self.inspector.known(today.key)
        if kept is not None and self._store.has_all(kept):
            return Verdict(state=RESTORE, source=STORE, fingerprint=today, record=kept, findings=findings)
        offered = self._offered(today.key) if ask_remote else None
        if offered is not None:
            return Verdict(state=RESTORE, source=REMOTE, fingerprint=today, record=offered, findings=findings)
        return Verdict(state=RUN, fingerprint=today, record=kept, findings=findings)

    def _offered(self, key: str) -> Record | None:
        """Return what the remote store would give for `key`, if that holds today."""
        record = self._store.offer(key)
        return None if record is None or self.inspector.changed_reads(record.discovered) else record

    def _without_key(self, stage: Stage, error: str = "") -> Verdict:
        """Return the verdict on a stage of which nobody can say yet what it would be made of."""
        with contextlib.suppress(ModelyardError):
            return Verdict(state=RUN, findings=self.inspector.findings(stage, self.brief(stage), ""), error=error)
        return Verdict(state=RUN, error=error)
