"""What is there of a stage, beside what its record says: the record itself, each file, and what it was seen to read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelyard.build.verdict import Damage, Findings
from modelyard.errors import DataError
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import FileEntry, is_executable
from modelyard.files.walk import walk
from modelyard.store.record import RECORD, Brief, Record, discovered_key, reads_of, succeed

if TYPE_CHECKING:
    from modelyard.project.workspace import Workspace
    from modelyard.stage import Stage
    from modelyard.store.local import Store


class Inspector:
    """Looks at the artifacts of one project."""

    def __init__(self, workspace: Workspace, store: Store, table: DigestTable) -> None:
        self._workspace, self._store, self._table = workspace, store, table

    def findings(self, stage: Stage, brief: Brief | None, key: str) -> Findings:
        """Return in what the stage's artifact differs from what a build would make now.

        Args:
            stage: the stage.
            brief: the record of the artifact, if there is one.
            key: the key that the stage has now; empty if that is not known.
        """
        if brief is None:
            return Findings(absent=self._absence(stage))
        damage, unreadable = self._damage(stage, brief)
        return Findings(
            is_of_another_key=bool(key) and brief.key != key,
            changed_reads=self.changed_reads(brief.discovered) if brief.discovered else {},
            damage=damage,
            unreadable=unreadable,
        )

    def _absence(self, stage: Stage) -> str:
        is_there = (self._workspace.folder(stage) / RECORD).exists()
        return f"its record, {RECORD}, cannot be read or was edited" if is_there else "there is no artifact"

    def is_intact(self, stage: Stage, brief: Brief) -> bool:
        """Tell whether every output is there with its bytes and may be run if it could be, and nothing else is."""
        return self._damage(stage, brief) == ({}, "")

    def _damage(self, stage: Stage, brief: Brief) -> tuple[dict[str, Damage], str]:
        """Return the files that are not as `brief` says, or why they cannot be looked at."""
        folder = f"{self._workspace.artifacts}/{stage.kind}/{stage.name}"
        try:
            found = dict(walk(folder))
        except DataError as exc:
            return {}, str(exc)
        found.pop(RECORD, None)
        harmed = [
            name for name, entry in brief.outputs.items() if not self._is(f"{folder}/{name}", found.get(name), entry)
        ]
        harmed += [name for name in found if name not in brief.outputs]
        return {
            name: Damage(brief.outputs.get(name), self._entry(f"{folder}/{name}", found.get(name))) for name in harmed
        }, ""

    def _is(self, path: str, info: os.stat_result | None, entry: FileEntry) -> bool:
        return (
            info is not None
            and info.st_size == entry.size
            and is_executable(info) == entry.executable
            and self._has_digest(path, info, entry.digest)
        )

    def _has_digest(self, path: str, info: os.stat_result, digest: str) -> bool:
        if info.st_nlink > 1 and self._table.recall(path, info) is None and self._store.is_known_link(info, digest):
            self._table.add_at([(path, info, digest)])  # another link to the object came or went
        return self._table.is_known(path, info, digest)

    def _entry(self, path: str, info: os.stat_result | None) -> FileEntry | None:
        if info is None:
            return None
        try:
            return FileEntry(self._table.file(path, info), info.st_size, is_executable(info))
        except DataError:  # it cannot be read: no digest is its digest
            return FileEntry("", info.st_size, is_executable(info))

    # What the stage was seen to read

    def changed_reads(self, discovered: Mapping[str, str]) -> dict[str, str]:
        """Return today's digest of each of `discovered` that is another by now; empty for one that is gone."""
        today = {name: self._today(name) for name in discovered}
        return {name: digest for name, digest in today.items() if digest != discovered[name]}

    def _today(self, name: str) -> str:
        if name.startswith("$"):
            from modelyard.execution.variables import digest_of  # few stages read any

            return digest_of(name[1:])
        path = os.path.normpath(self._workspace.project / name)
        try:
            return self._table.file(path) if os.path.isfile(path) else ""  # noqa: PTH113 - the hot path
        except DataError:  # it cannot be read: not what was read
            return ""

    def known(self, key: str) -> Record | None:
        """Return the record of `key` that holds today, of all that were kept for it: they differ in what was read beside it."""
        latest = self._store.trace(key)
        if latest is None or not self.changed_reads(latest.discovered):
            return latest
        for names in reads_of(latest):
            today = {name: self._today(name) for name in names}
            found = self._store.trace(discovered_key(key, today))
            if found is not None and found.discovered == today:
                return succeed(found, latest)
        return None
