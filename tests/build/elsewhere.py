"""A project whose stages run on machines of an executor that does, when a job is submitted, what a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.build.results import kept

from modelyard.build.elsewhere import Elsewhere
from modelyard.build.engine import Engine
from modelyard.build.inputs import InputGuard
from modelyard.build.placement import DESCRIBE
from modelyard.execution.request import StageRequest
from modelyard.files.json import decode, read_bytes
from modelyard.files.manifest import FileEntry
from modelyard.keys.platform import describe
from modelyard.project.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from modelyard.executors import Job, State
    from modelyard.store.record import Record
    from modelyard.store.remote import Remote


class There:
    """An executor whose jobs have ended as soon as they are submitted."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.does: Callable[[Job], object] = lambda _: None

    def identity(self) -> str:
        return "one environment"

    def ask(self, command: Sequence[str]) -> str:
        return msgspec.json.encode(describe(command[len(DESCRIBE) :])).decode()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.does(job)

    def state(self, name: str) -> State:
        return "ended"

    def cancel(self, name: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class World:
    """The toy project with a remote store, whose data set is made; its training runs elsewhere."""

    def __init__(self, folder: Path, place: Path, **overrides: str) -> None:
        own = {"store.remote": f"file://{place}/remote"} | {k.replace("__", "."): v for k, v in overrides.items()}
        self.there, self.told, self.place = There(), list[str](), place
        self.engine = Engine(load(folder, own), executor=self.there)
        data, self.stage = (self.engine.plan.stages[name] for name in ("dataset:points", "train:model.build"))
        kept(self.engine, data, place / "data")
        self.engine.bring_up_to_date(data)
        judge, workspace = self.engine.judge, self.engine.workspace
        guard = InputGuard(self.engine.plan, workspace, judge, self.engine.table)
        self.elsewhere = Elsewhere(self.engine, guard, self.told.append)
        self.heard: list[str] = []

    @property
    def remote(self) -> Remote:
        assert self.engine.remote is not None
        return self.engine.remote

    def run(self, *, force: bool = False) -> Record:
        with self.engine.workspace.scratch() as scratch:
            return self.elsewhere.run(
                self.stage, scratch, lambda _, event: self.heard.append(event["note"]), force=force
            )

    def asked(self, job: Job) -> StageRequest:
        """Return what a job is asked, as its machine reads it."""
        digest, size = job.command[-2:]
        with self.engine.workspace.scratch() as scratch:
            file = self.remote.read(FileEntry(digest, int(size)), scratch)
            assert file is not None
            return decode(read_bytes(file), StageRequest)

    def put_result(self) -> Record:
        """Let the remote alone have the result of the training."""
        record = kept(self.engine, self.stage, self.place / f"made-{len(self.there.jobs)}")
        assert self.remote.push(record, self.engine.store)
        self.engine.store.forget(record.key)
        return record

    def close(self) -> None:
        self.elsewhere.close()
        self.engine.close()
