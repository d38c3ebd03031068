"""Have a stage run on another machine: what it needs goes to the remote store, and what came of it is found there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.following import Follower
from modelyard.build.snapshot import Snapshot, files_of
from modelyard.concurrency.once import once
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Seen
from modelyard.execution.request import Answer, StageRequest
from modelyard.executors import Job
from modelyard.files.hashing import hash_file
from modelyard.files.json import as_json, write_bytes
from modelyard.files.manifest import FileEntry
from modelyard.store.objects import transfer, transfer_objects
from modelyard.store.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.build.inputs import InputGuard
    from modelyard.build.placement import Placement
    from modelyard.build.state import BuildState
    from modelyard.executors import State
    from modelyard.keys.sightings import Sighting
    from modelyard.stage import Stage
    from modelyard.store.remote import Remote

OPTIONS = "MODELYARD_STORE_OPTIONS"
"""The variable that holds what the remote's file system takes, as JSON: it may be secret, so it is in no document."""
MODULE = "modelyard.build.remote_stage"
"""What runs there."""


class Elsewhere:
    """Runs stages of one project on the machines of its executor."""

    def __init__(self, state: BuildState, guard: InputGuard, tell: Callable[[str], None]) -> None:
        self._state, self._guard, self._tell = state, guard, tell
        self._placement: Placement = state.placement

    def run(
        self, stage: Stage, scratch: Path, on_event: Callable[[Stage, dict[str, Any]], None], *, force: bool
    ) -> Record:
        """Run `stage` and return its record, whose outputs are in the store here.

        Args:
            stage: the stage; all that it reads must be up to date.
            scratch: an empty folder.
            on_event: called with the stage and what is known of its job, when that changes.
            force: whether to run it even if the remote store has its result.

        Raises:
            ModelyardError: it failed, its machine is another than its key says, or the store or the executor cannot be reached.
        """
        remote = self._remote(stage)
        before = self._guard.sight(stage)
        for attempt in range(1 + self._placement.retries):
            job = f"modelyard-{before.fingerprint.key[:16]}-{attempt}"
            request = self._sent(stage, before, job, scratch, remote, force=force)
            answer = self._follower.follow(request, lambda state: on_event(stage, _event(state)))
            if answer is not None:
                return self._taken(stage, answer, remote)
            if attempt < self._placement.retries:
                self._tell(f"{stage.id}: its machine went away; it is tried again")
        times = 1 + self._placement.retries
        msg = (
            f"{stage.id}: lost {'once' if times == 1 else f'{times} times'}: {self._placement.name} says that its job has ended, and there "
            f"is neither a result nor an error\n  its machines may have too little memory, or not reach {remote.place}; "
            f"what was logged of the job {job!r} may say more"
        )
        raise StageFailed(msg)

    def _remote(self, stage: Stage) -> Remote:
        remote = self._state.remote
        if remote is None or not remote.settings.writes:
            msg = (
                f"{stage.id}: runs on another machine, and what it reads and makes goes through a remote store\n"
                '  set `remote` in [tool.modelyard.store], with mode = "read-write"'
            )
            raise StageFailed(msg)
        return remote

    @once
    def _follower(self) -> Follower:
        executor, remote = self._placement.elsewhere, self._state.remote
        assert executor is not None
        assert remote is not None
        return Follower(executor, self._placement.name, remote, self._tell)

    def _sent(
        self, stage: Stage, before: Sighting, job: str, scratch: Path, remote: Remote, *, force: bool
    ) -> StageRequest:
        """Give the remote store what the stage needs, have its job run, and return what it was asked."""
        inputs = {one.id: self._state.workspace.record(one) for one in self._state.plan.upstream(stage)}
        project = self._state.project
        snapshot = Snapshot(project.folder, files_of(project, self._state.judge.keys, stage), self._state.table)
        request = StageRequest(
            job=job,
            stage=stage.id,
            key=before.fingerprint.key,
            parts=before.fingerprint.parts,
            inputs={name: _bare(record) for name, record in inputs.items() if record is not None},
            sources=snapshot.manifest,
            overrides=project.overrides,
            commit=self._state.workspace.commit,
            force=force,
        )
        document = scratch / f"{job}.json"
        write_bytes(document, as_json(request))
        entry = FileEntry(hash_file(document), document.stat().st_size)
        read = [one for record in request.inputs.values() for one in record.outputs.values()]
        sent = transfer_objects(read, self._state.store, remote) and transfer_objects(
            snapshot.manifest.values(), snapshot, remote
        )
        self._guard.check_unmoved(stage, before, Seen())
        if not (sent and remote.write(entry, document)):
            raise self._unsent(stage, remote)
        self._follower.start(_job(stage, job, entry, remote))
        return request

    def _unsent(self, stage: Stage, remote: Remote) -> StageFailed:
        if remote.is_up:
            msg = f"{stage.id}: an artifact that it reads is not whole in the store here, so it was not started\n  run `doit` again: it is made anew"
            return StageFailed(msg)
        msg = (
            f"{stage.id}: what it needs could not be given to {remote.place}, so it was not started\n"
            "  check its address, the network and your credentials, then run `doit` again"
        )
        return StageFailed(msg)

    def _taken(self, stage: Stage, answer: Answer, remote: Remote) -> Record:
        """Return the record of the result, once it is here."""
        log = self._state.workspace.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(log, answer.log.encode())
        if answer.message:
            raise StageFailed(answer.message)
        record = remote.trace(answer.key)
        if record is None or not transfer(record, remote, self._state.store):
            remote.distrust(answer.key)
            msg = f"{stage.id}: its result cannot be fetched whole from {remote.place}\n  run `doit` again: it is made anew"
            raise StageFailed(msg)
        if gone := self._state.judge.inspector.changed_reads(record.discovered):
            msg = f"{stage.id}: changed while the stage ran: {', '.join(sorted(gone))}\n  its result was not kept; run `doit` again"
            raise StageFailed(msg)
        return record

    def close(self) -> None:
        """Cancel what still runs."""
        if "_follower" in vars(self):
            self._follower.close()


def _job(stage: Stage, name: str, document: FileEntry, remote: Remote) -> Job:
    settings = remote.settings
    return Job(
        name=name,
        stage=stage.id,
        command=("python", "-m", MODULE, settings.url, f"{settings.timeout_s:g}", document.digest, str(document.size)),
        environment={OPTIONS: msgspec.json.encode(settings.options).decode()} if settings.options else {},
        resources=stage.resources,
    )


def _bare(record: Record) -> Record:
    """Return what a record says of its artifact, without how it was made."""
    return Record(
        stage=record.stage, key=record.key, digest=record.digest, outputs=record.outputs, discovered=record.discovered
    )


def _event(state: State) -> dict[str, Any]:
    return {"done": 0.0, "total": None, "unit": "", "note": state}
