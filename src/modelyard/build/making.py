"""Bring a stage up to date: leave its artifact, bring one back from the store, fetch one from the remote, or run the stage.

The order of the steps is what keeps results right when inputs move, a build is killed, or two builds
meet; see docs/explanation/incremental.md.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from modelyard.build.inputs import InputGuard
from modelyard.build.state import BuildState
from modelyard.build.verdict import UP_TO_DATE
from modelyard.concurrency.once import once
from modelyard.errors import StoreError
from modelyard.execution.runner import StageRunner
from modelyard.files.atomic import replace_folder
from modelyard.files.json import write_bytes
from modelyard.files.manifest import Manifest
from modelyard.keys import machine
from modelyard.project.aside import spare
from modelyard.stage import Stage
from modelyard.store.local import Stats
from modelyard.store.record import RECORD, Record, succeed
from modelyard.store.roots import register, roots_file

if TYPE_CHECKING:
    from modelyard.build.elsewhere import Elsewhere

OnEvent = Callable[[Stage, dict[str, Any]], None]


class Made(NamedTuple):
    """How a stage was brought up to date, `built`, `restored` or `fresh`; and its record if it was built."""

    how: str
    record: Record | None = None


class Maker:
    """Makes the artifacts of one project's stages; the stage's lock must be held."""

    def __init__(self, state: BuildState, tell: Callable[[str], None]) -> None:
        self._state = state
        self._project, self._workspace, self._judge = state.project, state.workspace, state.judge
        self._store, self._table, self._placement, self._tell = state.store, state.table, state.placement, tell
        self._guard = InputGuard(state.plan, state.workspace, state.judge, state.table)
        self._runner = StageRunner(state.project, state.workspace, tell, state.placement.local.pool)

    def make(self, stage: Stage, on_event: OnEvent, *, force: bool) -> Made:
        """Make the stage's artifact what a build would make now, in the cheapest way.

        Args:
            stage: the stage; all that it reads must be up to date.
            on_event: called with the stage and each progress event.
            force: run the stage even if its result is there.

        Raises:
            ModelyardError: the stage failed, or what it reads changed meanwhile; what stood before still stands.
        """
        self._judge.invalidate(stage)
        verdict = None if force else self._judge.verdict_if(stage)
        if verdict is not None and verdict.state == UP_TO_DATE:
            return Made("fresh")
        if verdict is not None and verdict.restored is not None and self._restore(stage, verdict.restored):
            return Made("restored")
        return self._obtain(stage, on_event, force=force)

    def _obtain(self, stage: Stage, on_event: OnEvent, *, force: bool) -> Made:
        """Bring the stage's result from the remote, or run it; one at a time of all builds that share the store."""
        key = self._judge.fingerprint(stage).key
        self._announce()
        with self._store.building(key, stage.id):
            record = None if force else self._store.find(key)  # another build may have made it meanwhile
            holds = record is not None and not self._judge.inspector.changed_reads(record.discovered)
            if record is not None and holds and self._restore(stage, record):
                return Made("restored")
            if self._placement.is_elsewhere(stage):
                return self._have_built(stage, on_event, force=force)
            return Made("built", self._build(stage, on_event))

    def _have_built(self, stage: Stage, on_event: OnEvent, *, force: bool) -> Made:
        """Have the stage run on another machine, and take what it made."""
        with self._workspace.scratch() as scratch:
            record = self._elsewhere.run(stage, scratch, on_event, force=force)
        if not self._restore(stage, record, "built"):
            msg = f"{stage.id}: its result went away from the store before it could be taken\n  run `doit` again"
            raise StoreError(msg)
        return Made("built")

    @once
    def _elsewhere(self) -> Elsewhere:
        from modelyard.build.elsewhere import Elsewhere  # most projects build here

        return Elsewhere(self._state, self._guard, self._tell)

    def _announce(self) -> None:
        """Let the store know the project before its first build ends, so that what it needs stays there."""
        if not roots_file(self._store.root, self._project.folder).exists():
            register(self._store.root, self._project.folder, self._project.plan.stages)

    def _restore(self, stage: Stage, record: Record, how: str = "restored") -> bool:
        """Make the outputs of `record` the stage's artifact; False if the store has lost one."""
        own = msgspec.structs.replace(
            record, stage=stage.id, inputs=self._judge.inputs(stage)
        )  # the stage may have another name elsewhere
        with (
            self._workspace.scratch() as scratch,
            self._store.using(),
            self._store.preserving_digests(own.outputs, self._present(stage)),
        ):
            try:
                stats = self._store.restore(own, scratch / "out")
            except StoreError:
                return False
            self._remember(own)
            self._take(stage, own, stats, scratch, how)
        return True

    def _remember(self, record: Record) -> None:
        """Let what a later result took the key of stand for it again: `doit gc` keeps what projects need by their keys."""
        if not record.discovered:
            return
        latest = self._store.trace(record.key)
        if latest is None or latest.discovered != record.discovered:
            with contextlib.suppress(StoreError):  # a store that is not ours to write
                self._store.put_trace(record)

    def _build(self, stage: Stage, on_event: OnEvent) -> Record:
        """Run the stage, keep what it made and return its record, whose key another may have been until now."""
        with self._runner.resources(stage), self._workspace.scratch() as scratch:
            made = self._run(stage, scratch, on_event)
            before = self._store.trace(made.key)
            record = succeed(made, before)
            with self._store.using(), self._store.preserving_digests(self._present(stage)):
                kept, stats = self._store.add(record, scratch / "out")
                self._compare(stage, before, kept)
                self._take(stage, kept, stats, scratch, "built")
        return kept

    def _run(self, stage: Stage, scratch: Path, on_event: OnEvent) -> Record:
        before = self._guard.sight(stage)
        began, clock = datetime.now(UTC).astimezone(), time.monotonic()
        run = self._runner.run(stage, before, scratch, lambda event: on_event(stage, event))
        duration_s = time.monotonic() - clock
        seen = run.result.seen
        newer = self._guard.check_unmoved(stage, before, seen)
        if newer:
            self._tell(
                f"{stage.id}: there is newer code by now: {', '.join(newer)}; kept as what the code made that it ran with"
            )
        return Record(
            stage=stage.id,
            key=before.fingerprint.key,
            digest="",  # the store finds out what its outputs are
            outputs={},
            inputs=before.inputs,
            parts=before.fingerprint.parts,
            code=before.code,
            discovered=self._guard.discover(stage, seen),
            metrics=run.result.metrics,
            started=began.isoformat(timespec="seconds"),
            duration_s=round(duration_s, 3),
            peak_memory_bytes=run.peak_memory_bytes,
            git=self._workspace.commit,
            made_on=machine.made_on(),
            reproducible=_is_reproducible(stage),
        )

    def _compare(self, stage: Stage, before: Record | None, record: Record) -> None:
        """Tell the person if an earlier run with the same key made other bytes."""
        if before is None or stage.row.measures or before.discovered != record.discovered:
            return
        if before.digest != record.digest:
            self._tell(f"{stage.id}: with the same key it made other bytes than before; {_machines(before, record)}")

    def _present(self, stage: Stage) -> Manifest:
        """Return the files of the artifact that is about to be replaced, as its record says them."""
        brief = self._workspace.brief(stage)
        return brief.outputs if brief else {}

    def _take(self, stage: Stage, record: Record, stats: Stats, scratch: Path, how: str) -> None:
        """Put the finished folder in the place of the stage's artifact, and its record with it.

        The digests that are written down are those of each file when it was hashed, or written: one that changes behind that is hashed again.
        """
        out, target = scratch / "out", self._workspace.folder(stage)
        write_bytes(out / RECORD, record.text)
        target.parent.mkdir(parents=True, exist_ok=True)
        spare(stage, self._workspace, [self._present(stage), record.outputs], self._table, self._tell)
        replace_folder(target, out, scratch)
        self._table.add_at((f"{target}/{name}", stats[name], e.digest) for name, e in record.outputs.items())
        self._workspace.history(stage).add(record, how)

    def close(self) -> None:
        """Cancel what runs elsewhere."""
        if "_elsewhere" in vars(self):
            self._elsewhere.close()


def _is_reproducible(stage: Stage) -> bool:
    """Tell whether the stage makes the same bytes each time on this machine, as far as its component says."""
    return not stage.row.host_bound or stage.is_deterministic or machine.accelerator() == machine.CPU


def _machines(before: Record, now: Record) -> str:
    if not before.reproducible or not now.reproducible:
        return "it was computed on an accelerator, by kernels that may do that"
    if before.made_on and before.made_on != now.made_on:
        return f"then on {before.made_on}, now on {now.made_on}"
    return "take its random numbers from context.seed alone, or look for what it reads and does not declare"
