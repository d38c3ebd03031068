"""Run one stage for another machine: `python -m modelyard.build.remote_stage STORE TIMEOUT_S DIGEST SIZE [--cache FOLDER]`.

All that it needs is in the remote store: the request, by its digest, so that who can write to the store does not choose what
runs; the project's files; the artifacts that the stage reads. They are laid out in a folder of its own, and there the stage
runs as it does anywhere. Before it runs, its key is made again from what is here: where that is another key, the machine is
another than the key says, and the stage is refused. What it made goes to the store, its trace last, and then the answer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from modelyard.build.elsewhere import OPTIONS
from modelyard.build.engine import Engine, Listener
from modelyard.config.overrides import inline_toml
from modelyard.errors import ModelyardError, StageFailed
from modelyard.execution.local import Local
from modelyard.execution.request import Answer, StageRequest, answer_name
from modelyard.files.digests import DigestTable
from modelyard.files.json import as_json, decode, read_bytes, write_json
from modelyard.files.manifest import FileEntry, Manifest, manifest_digest
from modelyard.files.scratch import Scratch
from modelyard.project.load import load
from modelyard.stage import Stage
from modelyard.store.file_system import RemoteSettings
from modelyard.store.local import Store
from modelyard.store.objects import transfer_objects
from modelyard.store.record import RECORD, Record
from modelyard.store.remote import Remote

DONE, FAILED, UNREACHABLE, REFUSED = 0, 1, 69, 78
"""Exit codes, for who looks at the job; those of sysexits.h, as far as it has them."""
_LOG_BYTES = 200_000
_SHOWN = 8
"""How many differences of a key are told."""


class Refused(StageFailed):
    """The machine is another than the key says."""


def main(words: list[str]) -> int:
    """Run the stage that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m modelyard.build.remote_stage", description="run one stage for another machine"
    )
    parser.add_argument("store", help="the address of the remote store")
    parser.add_argument("timeout_s", type=float, help="how long it may take to answer")
    parser.add_argument("digest", help="the digest of the request")
    parser.add_argument("size", type=int, help="its size in bytes")
    parser.add_argument("--cache", type=Path, help="a folder for artifacts that outlives the job, for the jobs to come")
    given = parser.parse_args(words)
    options: dict[str, Any] = msgspec.json.decode(os.environ.get(OPTIONS, "{}"))
    remote = Remote(RemoteSettings(given.store, True, given.timeout_s, options), _say)
    scratch = Scratch(Path(tempfile.gettempdir()) / f"modelyard-stages-{os.getuid()}")
    scratch.sweep()
    try:
        with scratch.folder() as folder:
            return _run(remote, FileEntry(given.digest, given.size), folder, given.cache)
    finally:
        scratch.close()


def _run(remote: Remote, document: FileEntry, folder: Path, cache: Path | None) -> int:
    file = remote.read(document, folder)
    if file is None:
        _say(f"{remote.place}: there is no request {document.digest}")
        return UNREACHABLE
    request = decode(read_bytes(file), StageRequest)
    desk = _Desk(request, remote, folder, cache)
    try:
        desk.run()
        answer, code = Answer(key=request.key, log=desk.log), DONE
    except ModelyardError as exc:
        answer = Answer(key=request.key, message=str(exc), log=desk.log)
        code = REFUSED if isinstance(exc, Refused) else FAILED
    return code if remote.save(answer_name(request.job), as_json(answer)) else UNREACHABLE


class _Desk:
    """One request, and the folder that it is carried out in."""

    def __init__(self, request: StageRequest, remote: Remote, folder: Path, cache: Path | None) -> None:
        self._request, self._remote = request, remote
        self._project = folder / "project"
        self._store = cache.absolute() if cache else folder / "store"
        self._log: Path | None = None

    @property
    def log(self) -> str:
        """The end of the stage's log."""
        if self._log is None or not self._log.exists():
            return ""
        return read_bytes(self._log)[-_LOG_BYTES:].decode(errors="replace")

    def run(self) -> None:
        """Run the stage and give its result to the remote store.

        Raises:
            ModelyardError: it failed, or was refused; there is no result.
        """
        with closing(self._engine()) as engine:
            stage = self._stage(engine)
            self._log = engine.workspace.log(stage)
            engine.bring_up_to_date(stage, force=self._request.force)
            record = engine.workspace.record(stage)
            assert record is not None
            if self._request.force or record.discovered:
                self._remote.distrust(record.key)
            if not self._remote.push(record, engine.store):
                msg = f"{stage.id}: its result could not be given to {self._remote.place}\n  check that its machine reaches it, and may write"
                raise StageFailed(msg)

    def _engine(self) -> Engine:
        """Lay the project and what the stage reads out, and return an engine for it."""
        with closing(DigestTable(self._store / "digests.sqlite", shared=True)) as table:
            store = Store(self._store, table, tell=_say)
            self._lay(store, "the project", self._request.sources, self._project)
            for name, record in self._request.inputs.items():
                folder = self._project / "artifacts" / Path(*name.split(":", 1))
                self._lay(store, name, record.outputs, folder)
                write_json(folder / RECORD, record)
            store.close()
        settings = {"path": str(self._store), "remote": self._remote.settings.url, "mode": "read-only"}
        own = {f"store.{key}": inline_toml(value) for key, value in settings.items()}
        project = load(self._project, {**self._request.overrides, **own}, is_whole=False)
        engine = Engine(project, Listener(tell=_say), executor=Local())
        engine.workspace.commit = self._request.commit
        return engine

    def _lay(self, store: Store, what: str, files: Manifest, folder: Path) -> None:
        if not transfer_objects(files.values(), self._remote, store):
            msg = f"{self._request.stage}: {what} cannot be fetched whole from {self._remote.place}\n  run `doit` again: what is missing there is given anew"
            raise StageFailed(msg)
        store.restore(Record(stage=what, key="", digest=manifest_digest(files), outputs=files), folder)

    def _stage(self, engine: Engine) -> Stage:
        """Return the stage, whose key here must be the one that was asked for."""
        stage = engine.plan.stages.get(self._request.stage)
        if stage is None:
            msg = f"{self._request.stage}: the project has no such stage on the machine that it was to run on\n  a plugin that adds it may not be installed there"
            raise Refused(msg)
        today = engine.judge.fingerprint(stage)
        if today.key != self._request.key:
            told = "\n".join(f"  {line}" for line in _differences(self._request.parts, today.parts))
            msg = (
                f"{stage.id}: the machine that it was to run on is another than its key says, so it was not run:\n{told}\n"
                "  install there what is here, or change here what is to be there; then run `doit` again"
            )
            raise Refused(msg)
        return stage


def _differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Return what differs between the parts of a key that was asked for and those of the one that is had."""
    names = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    lines = [f"{name}: asked for {_value(here, name)}, there it is {_value(there, name)}" for name in names[:_SHOWN]]
    return lines + ([f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])


def _value(parts: dict[str, Any], name: str) -> str:
    if name not in parts:
        return "nothing"
    text = repr(parts[name])
    return text if len(text) <= 50 else f"{text[:20]}..."


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
