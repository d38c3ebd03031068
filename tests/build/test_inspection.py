"""What is there of a stage: its record, its files, and what it was seen to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.build.results import artifact, record_of, write

from modelyard.build.inspection import Inspector
from modelyard.build.verdict import Damage, Findings
from modelyard.execution.variables import digest_of
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import hash_file
from modelyard.files.manifest import FileEntry
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.local import Store
from modelyard.store.record import RECORD, Brief, Record, discovered_key

STAGE = Stage("train", "net")


class Bench:
    """The artifact of one stage, and who looks at it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.table = DigestTable(folder / "state.sqlite")
        self.workspace = Workspace(self.project, self.project / ".modelyard")
        self.store = Store(folder / "store", self.table)
        self.inspector = Inspector(self.workspace, self.store, self.table)
        self.folder = write(self.workspace.folder(STAGE))
        self.record = record_of(self.folder)
        artifact(self.folder, self.record)

    @property
    def brief(self) -> Brief:
        own = self.record
        return Brief(own.key, own.digest, own.outputs, own.discovered)

    def findings(self, key: str = "") -> Findings:
        return self.inspector.findings(STAGE, self.brief, key)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()
    made.table.close()


def test_an_artifact_that_is_as_its_record_says_stands(bench: Bench) -> None:
    assert bench.findings().is_none
    assert bench.findings(bench.record.key).is_none
    assert bench.inspector.is_intact(STAGE, bench.brief)


def test_one_that_was_made_of_something_else_does_not(bench: Bench) -> None:
    assert bench.findings("cd" * 32) == Findings(is_of_another_key=True)


def test_where_there_is_none_that_is_said_and_where_its_record_is_gone_too(bench: Bench) -> None:
    assert bench.inspector.findings(Stage("train", "other"), None, "").absent == "there is no artifact"
    said = f"its record, {RECORD}, cannot be read or was edited"
    assert bench.inspector.findings(STAGE, None, "").absent == said


def edit(path: Path) -> None:
    path.write_text(path.read_text().upper())


def add(path: Path) -> None:
    path.with_name("more").write_text("x")


def run(path: Path) -> None:
    path.chmod(0o755)


@pytest.mark.parametrize("harm", [edit, add, run, Path.unlink, lambda path: path.write_text("longer than it was")])
def test_each_file_that_is_not_as_it_was_made_is_found(bench: Bench, harm: Callable[[Path], object]) -> None:
    path = bench.folder / "sub" / "y.npy"
    before = bench.record.outputs["sub/y.npy"]
    harm(path)
    name = "sub/more" if harm is add else "sub/y.npy"
    now = None
    if (bench.folder / name).exists():
        info = (bench.folder / name).stat()
        now = FileEntry(hash_file(bench.folder / name), info.st_size, bool(info.st_mode & 0o100))
    assert bench.findings() == Findings(damage={name: Damage(None if harm is add else before, now)})
    assert not bench.inspector.is_intact(STAGE, bench.brief)


def test_a_folder_that_cannot_be_looked_at_is_told(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe")
    found = bench.findings()
    assert "pipe: neither a file nor a folder" in found.unreadable
    assert not found.damage


def test_an_edit_that_keeps_the_size_and_puts_the_time_back_is_seen(bench: Bench) -> None:
    assert bench.findings().is_none
    path = bench.folder / "x.npy"
    info = path.stat()
    path.write_text("NUMBERS")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert set(bench.findings().damage) == {"x.npy"}


# What the stage was seen to read


def test_what_it_read_beside_its_key_is_compared_with_today(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bench.project, {"sizes.json": "1", "kept.json": "1", "gone.json": "1"})
    monkeypatch.setenv("FLAVOUR", "one")
    names = ("sizes.json", "kept.json", "gone.json")
    read = {name: hash_file(bench.project / name) for name in names}
    read |= {"$FLAVOUR": digest_of("FLAVOUR"), "$NOT_SET_ANYWHERE": "", "never.json": ""}
    assert bench.inspector.changed_reads(read) == {}
    (bench.project / "sizes.json").write_text("22")
    (bench.project / "gone.json").unlink()
    monkeypatch.setenv("FLAVOUR", "two")
    assert bench.inspector.changed_reads(read) == {
        "sizes.json": hash_file(bench.project / "sizes.json"),
        "gone.json": "",
        "$FLAVOUR": digest_of("FLAVOUR"),
    }
    bench.record = msgspec.structs.replace(bench.record, discovered=read)
    assert set(bench.findings().changed_reads) == {"sizes.json", "gone.json", "$FLAVOUR"}


def test_a_file_outside_of_the_project_counts_by_its_own_path(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    digest = hash_file(tmp_path / "data.csv")
    for name in ("../data.csv", str(tmp_path / "data.csv")):
        assert bench.inspector.changed_reads({name: digest}) == {}


def test_of_several_results_of_one_key_the_one_that_read_what_is_there_holds(bench: Bench) -> None:
    """They differ in what was read beside the key, and each may come to hold again."""
    sizes = bench.project / "sizes.json"
    made: list[Record] = []
    for text in ("1", "2"):
        write(bench.project, {"sizes.json": text})
        read = {"sizes.json": hash_file(sizes)}
        made.append(msgspec.structs.replace(bench.record, discovered=read, metrics={"of": text}))
        bench.store.put_trace(made[-1])
        bench.store.put_trace(msgspec.structs.replace(made[-1], key=discovered_key(bench.record.key, read)))
    for text, record in zip("12", made, strict=True):
        sizes.write_text(text)
        found = bench.inspector.known(bench.record.key)
        assert found is not None
        assert (found.metrics, found.key, found.discovered) == ({"of": text}, record.key, record.discovered)
    sizes.write_text("3")
    assert bench.inspector.known(bench.record.key) is None
    assert bench.inspector.known("cd" * 32) is None
    today = {"sizes.json": hash_file(sizes)}
    bench.store.put_trace(msgspec.structs.replace(made[0], key=discovered_key(bench.record.key, today)))
    assert bench.inspector.known(bench.record.key) is None, "one that says itself that it read something else"
