"""Large artifacts: hard links to the store, what hurts them, and that nothing is read again without need."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.build.engine import Engine, Listener
from modelyard.files import hashing
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import Hashed, Sized
from modelyard.files.placing import SHARE_FROM_BYTES
from modelyard.project.load import load
from modelyard.stage import Stage
from tests.known import know


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A toy project whose trainer writes a file above the size from which files are linked."""
    toy = Path(__file__).parents[1] / "projects" / "toy"
    folder = tmp_path / "toy"
    shutil.copytree(toy, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    path = folder / "plugins" / "toy.py"
    text = path.read_text()
    old = '    write(context.out / "model.toy", model)\n    context.log("trained")\n'
    assert old in text
    path.write_text(
        text.replace(
            old, f'{old}    (context.out / "weights.bin").write_bytes(bytes([passes]) * {SHARE_FROM_BYTES + 1})\n'
        )
    )
    return know(folder)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The large files that were read, in order."""
    names: list[str] = []

    plain = hashing._hash_group

    def counted(files: list[Sized], **how: bool) -> list[Hashed]:
        names.extend(path for path, size in files if size >= SHARE_FROM_BYTES)
        return plain(files, **how)

    monkeypatch.setattr(hashing, "_hash_group", counted)
    return names


@pytest.fixture(autouse=True)
def _not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, as which a container's tests run, gets copies."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


class Builder:
    """Builds the trained model of a project in this process."""

    def __init__(self, project: Path, **overrides: str) -> None:
        self.told: list[str] = []
        self.engine = Engine(
            load(project, {k.replace("_", "."): v for k, v in overrides.items()}), Listener(tell=self.told.append)
        )
        self.train: Stage = self.engine.plan.of_kind("train")[0]
        self.weights = self.engine.workspace.folder(self.train) / "weights.bin"

    def build(self) -> str:
        for stage in self.engine.plan.upstream(self.train):
            self.engine.bring_up_to_date(stage)
        return self.engine.bring_up_to_date(self.train).how

    def object(self) -> Path:
        record = self.engine.workspace.record(self.train)
        assert record is not None
        return self.engine.store.object_file(record.outputs["weights.bin"].digest)


@pytest.fixture
def builders(project: Path) -> Iterator[tuple[Builder, Builder]]:
    """The project with one pass of training, and with two."""
    one, two = Builder(project), Builder(project, train_passes="2")
    yield one, two
    one.engine.close()
    two.engine.close()


def test_there_and_back_again_reads_no_large_file(builders: tuple[Builder, Builder], hashed: list[str]) -> None:
    one, two = builders
    assert (one.build(), two.build()) == ("built", "built")
    del hashed[:]
    assert [b.build() for b in (one, two, one, one, two)] == ["restored", "restored", "restored", "fresh", "restored"]
    assert hashed == []
    assert two.weights.read_bytes() == b"\x02" * (SHARE_FROM_BYTES + 1)


def test_a_cleaned_artifact_comes_back_without_reading(builders: tuple[Builder, Builder], hashed: list[str]) -> None:
    one, _ = builders
    one.build()
    del hashed[:]
    assert one.engine.remove(one.train)
    assert one.build() == "restored"
    assert hashed == []


def test_a_large_artifact_is_read_only_and_shares_the_bytes_of_the_store(builders: tuple[Builder, Builder]) -> None:
    one, _ = builders
    one.build()
    blocks = one.weights.stat()
    if blocks.st_nlink == 1:
        pytest.skip("this file system clones files instead of linking them")
    assert one.weights.samefile(one.object())
    assert blocks.st_mode & 0o777 == 0o444


def edit_in_place(path: Path, *, keep_mtime: bool) -> None:
    info = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"edited")
    path.chmod(0o444)
    if keep_mtime:
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_an_edit_that_reaches_the_store_through_a_hard_link_is_never_taken(
    keep_mtime: bool, builders: tuple[Builder, Builder]
) -> None:
    one, two = builders
    one.build()
    edit_in_place(one.weights, keep_mtime=keep_mtime)
    assert one.build() == "built", "the only copy was edited, so it is made anew"
    assert one.weights.read_bytes() == b"\x01" * (SHARE_FROM_BYTES + 1)
    assert two.build() == "built"
    edit_in_place(one.object(), keep_mtime=keep_mtime)
    two.build()
    assert two.weights.read_bytes() == b"\x02" * (SHARE_FROM_BYTES + 1)


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_an_edited_object_is_not_forgiven_by_a_link_that_comes_or_goes(
    keep_mtime: bool, builders: tuple[Builder, Builder]
) -> None:
    one, two = builders
    one.build()
    two.build()
    damaged = one.engine.store.object_file(hash_of(b"\x01" * (SHARE_FROM_BYTES + 1)))
    edit_in_place(damaged, keep_mtime=keep_mtime)
    assert one.build() == "built"
    assert one.weights.read_bytes() == b"\x01" * (SHARE_FROM_BYTES + 1)


def hash_of(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def test_a_replaced_artifact_comes_back_from_the_store(builders: tuple[Builder, Builder], hashed: list[str]) -> None:
    one, _ = builders
    one.build()
    one.weights.unlink()
    one.weights.write_bytes(b"mine")
    assert one.build() == "restored"
    assert one.weights.stat().st_size == SHARE_FROM_BYTES + 1


def test_a_link_of_another_project_makes_nobody_read_again(
    builders: tuple[Builder, Builder], project: Path, tmp_path: Path, hashed: list[str]
) -> None:
    one, _ = builders
    one.build()
    other = tmp_path / "other"
    know(Path(shutil.copytree(project, other, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))))
    del hashed[:]
    shared = Builder(other, store_path=str(project / ".modelyard" / "store"))
    try:
        assert shared.build() == "restored"
        assert one.build() == "fresh"
        shared.engine.remove(shared.train)
        assert one.build() == "fresh"
    finally:
        shared.engine.close()
    assert hashed == []


def test_a_link_that_a_person_removes_costs_one_reading(builders: tuple[Builder, Builder], hashed: list[str]) -> None:
    one, _ = builders
    one.build()
    if one.weights.stat().st_nlink == 1:
        pytest.skip("this file system clones files instead of linking them")
    one.weights.unlink()
    del hashed[:]
    time.sleep(0.05)
    assert one.build() == "restored"
    assert len(hashed) == 1, "nobody vouched for what changed the inode"
    assert one.build() == "fresh"
    assert len(hashed) == 1


def test_a_file_that_was_linked_knows_its_new_stat(tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "t.sqlite")
    path = tmp_path / "f"
    path.write_bytes(b"x")
    table.add([(path, "0" * 64)])
    os.link(path, tmp_path / "g")
    assert table.recall(path, path.stat()) is None
    table.add_at([(path, path.stat(), "1" * 64)])
    assert table.recall(path, path.stat()) == "1" * 64
    assert [(p, d) for p, _, d in table.known_files()] == [(str(path), "1" * 64)]
    table.forget([str(path)])
    assert list(table.known_files()) == []
    table.close()
