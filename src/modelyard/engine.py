"""Decide whether a stage is fresh, and bring it up to date: from the store, or by running its worker.

Knows nothing of doit. The order of the steps is what keeps results right when inputs move, a build is
killed, or two builds meet; see docs/explanation/incremental.md.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from modelyard.digests import DigestTable, manifest_digest, walk
from modelyard.errors import DataError, StageFailed, StoreError
from modelyard.fingerprint import Fingerprint, Fingerprinter
from modelyard.history import History
from modelyard.jsonfiles import write_json
from modelyard.locks import hold
from modelyard.plan import Stage
from modelyard.pool import Pool
from modelyard.project import Project
from modelyard.publishing import Publisher
from modelyard.remote import open_remote
from modelyard.request import Request, Result
from modelyard.roots import read_roots, register, roots_file
from modelyard.store import Brief, InputRecord, Record, Store, manifest_of


class Outcome(msgspec.Struct):
    """How a stage was brought up to date: `built`, `restored` or `fresh`, and how long that took in seconds."""

    how: str
    duration_s: float


class Decision(msgspec.Struct, frozen=True):
    """What a build would do with a stage: leave it (`fresh`), bring back `record` (`restored`), or run it (`built`)."""

    how: str
    fingerprint: Fingerprint
    record: Record | None = None


class Listener(msgspec.Struct):
    """Who is told what happens; the front end replaces these."""

    on_event: Callable[[Stage, dict[str, Any]], None] = lambda _stage, _event: None
    tell: Callable[[str], None] = lambda _line: None


class _Memory(msgspec.Struct):
    """What is known of the stages in this process; emptied when a stage has run."""

    fresh: dict[str, bool] = msgspec.field(default_factory=dict)
    briefs: dict[str, Brief | None] = msgspec.field(default_factory=dict)


class Engine:
    """Brings the stages of one project up to date."""

    def __init__(self, project: Project, listener: Listener | None = None) -> None:
        self.project, self.plan = project, project.plan
        self.listener = listener or Listener()
        self.artifacts = project.folder / "artifacts"
        self._unfinished = self.artifacts / ".unfinished"
        self._table = DigestTable(project.state / "state.sqlite")
        settings = project.config.settings["store"]
        self._wait: bool = settings["wait"]
        root = project.folder / Path(settings["path"]).expanduser()
        self._objects = DigestTable(root / "digests.sqlite", shared=True)
        self.remote = open_remote(settings, self._tell)
        self.store = Store(root, self._objects, self.remote, self._tell, wait=self._wait)
        self._fingerprinter = Fingerprinter(project.folder, self._table, project.plugins)
        self._pool = Pool()
        self._memory = _Memory()
        self._resources = {name: threading.Semaphore(n) for name, n in project.config.resources.items()}

    def _tell(self, line: str) -> None:
        self.listener.tell(line)

    # What is there

    def folder(self, stage: Stage) -> Path:
        """Return the folder of a stage's artifact."""
        return self.artifacts / stage.kind / stage.name

    def log(self, stage: Stage) -> Path:
        """Return the file of a stage's log."""
        return self.project.state / "logs" / stage.kind / f"{stage.name}.log"

    def history(self, stage: Stage) -> History:
        """Return the stage's earlier results."""
        return History(self.project.state / "history" / stage.kind / f"{stage.name}.jsonl")

    def record(self, stage: Stage) -> Record | None:
        """Return the stage's record, or None when there is none that can be read."""
        try:
            return msgspec.json.decode((self.folder(stage) / "stage.json").read_bytes(), type=Record)
        except (OSError, ValueError):
            return None

    def brief(self, stage: Stage) -> Brief | None:
        """Return the part of the stage's record that says whether it holds."""
        if stage.id not in self._memory.briefs:
            self._memory.briefs[stage.id] = self._read_brief(stage)
        return self._memory.briefs[stage.id]

    def _read_brief(self, stage: Stage) -> Brief | None:
        path = f"{self.artifacts}/{stage.kind}/{stage.name}/stage.json"
        try:
            with open(path, "rb") as file:
                brief = msgspec.json.decode(file.read(), type=Brief)
        except (OSError, ValueError):
            return None
        return brief if brief.digest == manifest_digest(brief.outputs) else None  # else somebody edited it

    def is_fresh(self, stage: Stage) -> bool:
        """Tell whether the stage's artifact is what a build would make now, and everything that it reads is too."""
        memory = self._memory.fresh
        todo = [stage]  # not a recursion: a chain may be longer than Python's stack
        while todo:
            one = todo[-1]
            waiting = [] if one.id in memory else [u for u in self.plan.upstream(one) if u.id not in memory]
            if waiting:
                todo += waiting
                continue
            todo.pop()
            if one.id not in memory:
                memory[one.id] = all(memory[u.id] for u in self.plan.upstream(one)) and self._holds(one)
        return memory[stage.id]

    def _holds(self, stage: Stage) -> bool:
        brief = self.brief(stage)
        return brief is not None and brief.key == self.fingerprint(stage).key and self._is_intact(stage, brief)

    def fingerprint(self, stage: Stage) -> Fingerprint:
        """Return the stage's fingerprint; everything that it reads must be there.

        Raises:
            StageFailed: an earlier stage has no artifact.
        """
        return self._fingerprinter.fingerprint(stage, self._input_digest)

    def code(self, stage: Stage) -> dict[str, dict[str, str]]:
        """Return today's code of the stage: for each file, the digest of each function."""
        return self._fingerprinter.code(stage)

    def decide(self, stage: Stage, brief_of: Callable[[Stage], Brief | None] | None = None) -> Decision:
        """Return what a build would do with the stage.

        Args:
            stage: the stage.
            brief_of: gives the record of what it reads; by default what is there now.

        Raises:
            StageFailed: something that it reads has no artifact.
        """
        digest = functools.partial(self._input_digest, brief_of=brief_of)
        fingerprint = self._fingerprinter.fingerprint(stage, digest)
        brief = self.brief(stage)
        if brief is not None and brief.key == fingerprint.key and self._is_intact(stage, brief):
            return Decision("fresh", fingerprint)
        record = self.store.trace(fingerprint.key)
        if record is not None and self.store.has(record):
            return Decision("restored", fingerprint, record)
        return Decision("built", fingerprint)

    def _input_digest(self, stage_id: str, part: str, brief_of: Callable[[Stage], Brief | None] | None = None) -> str:
        brief = (brief_of or self.brief)(self.plan.stages[stage_id])
        if brief is None:
            msg = f"{stage_id}: has no artifact\n  run `doit {stage_id}` first"
            raise StageFailed(msg)
        return brief.digest if not part else manifest_digest(brief.outputs, part)

    def _is_intact(self, stage: Stage, brief: Brief) -> bool:
        """Tell whether every output is there with its bytes, and nothing else is."""
        folder = f"{self.artifacts}/{stage.kind}/{stage.name}"
        try:
            found = dict(walk(folder))
        except DataError:
            return False
        found.pop("stage.json", None)
        return found.keys() == brief.outputs.keys() and all(
            found[name].st_size == entry.size and self._has_digest(f"{folder}/{name}", found[name], entry.digest)
            for name, entry in brief.outputs.items()
        )

    def _has_digest(self, path: str, info: os.stat_result, digest: str) -> bool:
        if info.st_nlink > 1 and self._table.recall(path, info) is None and self.store.vouches(info, digest):
            self._table.know_at([(path, info, digest)])  # another link to the object came or went
        return self._table.is_known(path, info, digest)

    def damage(self, stage: Stage, record: Record) -> dict[str, str]:
        """Return the outputs that are not as `record` says: today's digest by name, empty for one that is gone."""
        found = {}
        for name, entry in record.outputs.items():
            path = self.folder(stage) / name
            digest = self._table.file(path) if path.is_file() else ""
            if digest != entry.digest:
                found[name] = digest
        return found

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
        lock = self.project.state / "locks" / f"{stage.kind}-{stage.name}.lock"
        with hold(lock, stage.id, self.listener.tell, wait=self._wait):
            self._memory = _Memory()
            self._fingerprinter.forget()
            decision = None if force else self.decide(stage)
            if decision is not None and decision.how == "fresh":
                how = "fresh"
            elif decision is not None and decision.record is not None and self._restore(stage, decision.record):
                how = "restored"
            else:
                how = self._obtain(stage, force=force)
        self._memory = _Memory()
        return Outcome(how, time.monotonic() - begin)

    def _announce(self) -> None:
        """Let the store know the project before its first build ends, so that what it needs stays there."""
        if not roots_file(self.store.root, self.project.folder).exists():
            register(self.store.root, self.project.folder, self.plan.stages)

    def _obtain(self, stage: Stage, *, force: bool) -> str:
        """Bring the stage's result from the remote, or run it; one at a time of all builds that share the store."""
        key = self.fingerprint(stage).key
        self._announce()
        with self.store.building(key, stage.id):
            record = None if force else self.store.find(key)  # another build may have made it meanwhile
            if record is not None and self._restore(stage, record):
                return "restored"
            self._build(stage)
        if self._publisher is not None:
            self._publisher.submit(key, replace=force)
        return "built"

    def _restore(self, stage: Stage, record: Record) -> bool:
        own = msgspec.structs.replace(
            record, stage=stage.id, inputs=self._inputs(stage)
        )  # the stage may have another name elsewhere
        with self._scratch() as scratch, self.store.using():
            try:
                self.store.restore(own, scratch / "out")
            except StoreError:
                return False
            self._take(stage, own, scratch, "restored")
        return True

    def _inputs(self, stage: Stage) -> dict[str, InputRecord]:
        return {i.role: InputRecord(i.stage, i.part, self._input_digest(i.stage, i.part)) for i in stage.inputs}

    def _build(self, stage: Stage) -> None:
        with ExitStack() as stack:
            for resource in sorted(stage.resources):
                stack.enter_context(self._resources[resource])
            scratch = stack.enter_context(self._scratch())
            before = self.fingerprint(stage)
            began = datetime.now(UTC).astimezone()
            clock = time.monotonic()
            result, peak = self._run(stage, scratch)
            duration_s = time.monotonic() - clock
            self._check_unmoved(stage, before)
            outputs = manifest_of(scratch / "out")
            record = Record(
                stage=stage.id,
                key=before.key,
                digest=manifest_digest(outputs),
                outputs=outputs,
                inputs=self._inputs(stage),
                parts=before.parts,
                code=self._fingerprinter.code(stage),
                metrics=result.metrics,
                started=began.isoformat(timespec="seconds"),
                duration_s=round(duration_s, 3),
                peak_memory_bytes=peak,
                git=self.commit,
            )
            with self.store.using():
                self.store.add(record, scratch / "out")
                self._take(stage, record, scratch, "built")

    def _run(self, stage: Stage, scratch: Path) -> tuple[Result, int]:
        log = self.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        (scratch / "out").mkdir()
        request = Request(
            id=self._pool.number(),
            project=str(self.project.folder),
            overrides=self.project.overrides,
            stage=stage.id,
            inputs={i.role: str(self.folder(self.plan.stages[i.stage]) / i.part) for i in stage.inputs},
            out=str(scratch / "out"),
            cache=str(self.cache()),
            result=str(scratch / "result.json"),
            log=str(log),
        )
        environment: dict[str, str] = {}
        preload: list[str] = []
        for use in stage.uses.values():
            environment |= use.component.environment
            preload += [m for m in use.component.preload if m not in preload]

        def on_event(event: dict[str, Any]) -> None:
            self.listener.on_event(stage, event)

        result, peak = self._pool.run(request, scratch / "request.json", environment, tuple(preload), on_event)
        if result.failure is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(result.failure.traceback)
            raise StageFailed(result.failure.message)
        return result, peak

    def cache(self) -> Path:
        """Return the folder for downloads, made if need be."""
        folder = self.project.state / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _check_unmoved(self, stage: Stage, before: Fingerprint) -> None:
        """Refuse a result whose inputs changed while the stage ran: nobody can say what it was made from."""
        self._memory = _Memory()
        self._fingerprinter.forget()
        for upstream in self.plan.upstream(stage):
            brief = self.brief(upstream)
            if brief is None or not self._is_intact(upstream, brief):
                msg = f"{stage.id}: the artifact of {upstream.id} changed while the stage ran\n  its result was not kept; run `doit` again"
                raise StageFailed(msg)
        after = self.fingerprint(stage)
        if after.key != before.key:
            moved = sorted(
                n for n in before.parts.keys() | after.parts.keys() if before.parts.get(n) != after.parts.get(n)
            )
            msg = f"{stage.id}: changed while the stage ran: {', '.join(moved)}\n  its result was not kept; run `doit` again"
            raise StageFailed(msg)

    def _take(self, stage: Stage, record: Record, scratch: Path, how: str) -> None:
        """Put the finished folder in the place of the stage's artifact, and its record with it."""
        out, target = scratch / "out", self.folder(stage)
        write_json(out / "stage.json", record)
        target.parent.mkdir(parents=True, exist_ok=True)
        old = self._read_brief(stage)
        if target.exists():
            target.rename(scratch / "old")
        out.rename(target)
        with self.store.keeping_known(old.outputs if old else {}):
            shutil.rmtree(scratch / "old", ignore_errors=True)
        self._table.know((target / name, entry.digest) for name, entry in record.outputs.items())
        self.history(stage).add(record, how)

    def accept(self, stage: Stage, record: Record) -> None:
        """Let `record`, whose outputs are those of the stage's artifact, stand for it from now on.

        Raises:
            StoreError: the store or the artifact's folder cannot be written.
        """
        lock = self.project.state / "locks" / f"{stage.kind}-{stage.name}.lock"
        with hold(lock, stage.id, self.listener.tell, wait=self._wait), self._scratch() as scratch:
            self.store.add(record, self.folder(stage))
            write_json(scratch / "stage.json", record)
            (scratch / "stage.json").replace(self.folder(stage) / "stage.json")
            self.history(stage).add(record, "accepted")
        self._memory = _Memory()

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a new folder on the artifacts' file system; what a killed build left there is swept by `sweep`."""
        place = self._unfinished
        try:
            place.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=place))
        except OSError as exc:
            msg = f"{place}: {exc.strerror}\n  the project's folder must be writable, and its disk must have room"
            raise StoreError(msg) from exc
        try:
            yield scratch
        except OSError as exc:
            msg = f"{exc.filename or scratch}: {exc.strerror}\n  what was built before is kept; mend this, then run `doit` again"
            raise StoreError(msg) from exc
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what builds that are no longer alive left half-made."""
        for folder in self._unfinished.glob("*-*"):
            pid = folder.name.partition("-")[0]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)

    def remove(self, stage: Stage) -> bool:
        """Remove the stage's artifact; the store keeps what it needs to bring it back. True if there was one."""
        folder = self.folder(stage)
        if not folder.exists():
            return False
        brief = self._read_brief(stage)
        with self.store.keeping_known(brief.outputs if brief else {}):
            shutil.rmtree(folder)
        self._memory = _Memory()
        return True

    def forget(self, stage: Stage) -> None:
        """Forget the stage's last result, so that it runs again."""
        brief = self.brief(stage)
        if brief is not None:
            self.store.forget(brief.key)
            self.remove(stage)

    def finish(self, *, changed: bool) -> None:
        """End a build: write down in the store what the project needs, and give the remote what it has not got yet.

        Args:
            changed: whether a stage was brought up to date; otherwise what was written down before still holds.

        Raises:
            StoreError: the store cannot be written.
        """
        file = roots_file(self.store.root, self.project.folder)
        if changed or not file.exists():
            register(self.store.root, self.project.folder, self.plan.stages)
        if self._publisher is not None and (roots := read_roots(file)):
            self._publisher.finish(roots.keys.values())

    @functools.cached_property
    def _publisher(self) -> Publisher | None:
        if self.remote is None or not self.remote.settings.writes:
            return None
        return Publisher(self.store, self.remote, self._table, self._tell)

    @property
    def tables(self) -> tuple[DigestTable, DigestTable]:
        """The tables of digests: the project's, and that of the store's objects."""
        return self._table, self._objects

    def close(self) -> None:
        """End the workers and close the state files."""
        self._pool.close()
        self._table.close()
        self._objects.close()

    @property
    def commit(self) -> str:
        """The commit that the project is at, with `+` behind it if the tree is not clean; empty outside git."""
        if not hasattr(self, "_commit"):
            self._commit = _git_commit(self.project.folder)
        return self._commit


def _git_commit(folder: Path) -> str:
    """Return the commit that `folder` is at, with `+` if the tree is not clean; empty outside git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
        if head.returncode != 0:
            return ""
        changes = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
