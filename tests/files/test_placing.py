from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from modelyard.errors import StageFailed, StoreError
from modelyard.files import atomic as durable
from modelyard.files import placing
from modelyard.files.digests import DigestTable, signature
from modelyard.files.hashing import copy_open
from modelyard.files.manifest import FileEntry
from modelyard.files.placing import SHARE_FROM_BYTES, give, take, take_all
from modelyard.store.local import Store
from modelyard.store.record import Record
from tests.standins.manifests import manifest_of, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "ab" * 32
LARGE = b"x" * SHARE_FROM_BYTES
UNKNOWN = Record(stage="train:net", key=KEY, digest="", outputs={})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    table = DigestTable(tmp_path / "digests.sqlite", shared=True)
    yield Store(tmp_path / "store", table)
    table.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(params=["root", "a user", "a user whose files are cloned"])
def user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copies, hard links or (in place of clones, which need another file system) copies that pass for clones."""

    def clone(source: str, target: str) -> bool:
        Path(target).write_bytes(Path(source).read_bytes())
        return True

    monkeypatch.setattr(placing, "clone", clone if "cloned" in request.param else lambda source, target: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if request.param == "root" else 1000)
    return str(request.param)


def object_files(store: Store) -> list[Path]:
    return [path for path in (store.root / "objects").rglob("*") if path.is_file()]


def is_poisoned(store: Store) -> bool:
    return any(
        manifest_of(path.parent)[path.name].digest != path.parent.name + path.name for path in object_files(store)
    )


def test_what_is_kept_is_told_with_its_record(store: Store, out: Path, user: str) -> None:
    (out / "sub").mkdir()
    (out / "model.bin").write_bytes(LARGE)
    (out / "sub" / "run").write_bytes(b"#!")
    (out / "sub" / "run").chmod(0o755)
    kept, stats = store.add(UNKNOWN, out)
    assert kept == record_of(out, KEY)
    assert store.trace(KEY) == kept
    assert {name: stats[name].st_ino for name in kept.outputs} == {n: (out / n).stat().st_ino for n in kept.outputs}
    assert not is_poisoned(store)
    assert {path.stat().st_mode & 0o777 for path in object_files(store)} == {0o444}


def test_an_edit_in_place_reaches_the_store_only_where_modes_keep_it_from_happening(
    store: Store, out: Path, user: str, tmp_path: Path
) -> None:
    (out / "model.bin").write_bytes(LARGE)
    kept, _ = store.add(UNKNOWN, out)
    store.restore(kept, tmp_path / "back")
    linked = [path for path in (out / "model.bin", tmp_path / "back" / "model.bin") if path.stat().st_nlink > 1]
    if user == "a user":
        assert len(linked) == 2
        assert {path.stat().st_mode & 0o222 for path in linked} == {0}
    else:
        assert linked == []
        for folder in (out, tmp_path / "back"):
            with (folder / "model.bin").open("r+b") as file:
                file.write(b"edited")
        assert not is_poisoned(store)


@pytest.mark.parametrize("size", [5, 100_000, SHARE_FROM_BYTES])
def test_an_output_that_changes_while_it_is_read_is_refused(
    store: Store, out: Path, user: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "model.bin").write_bytes(b"y" * size)
    with (out / "model.bin").open("ab") as writer:
        for name in ("copy_open", "hash_file"):
            monkeypatch.setattr(
                placing, name, _then(getattr(placing, name), lambda: (writer.write(b"!"), writer.flush()))
            )
        with pytest.raises(StoreError, match=r"the output 'model.bin' changed while it was kept\n  its result was not"):
            store.add(UNKNOWN, out)
    assert (store.trace(KEY), object_files(store)) == (None, [])


def test_an_output_that_changes_before_all_are_on_the_disk_is_refused(
    store: Store, out: Path, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "model.bin").write_bytes(LARGE)
    (out / "other").write_bytes(b"other")
    with (out / "model.bin").open("r+b") as writer:
        monkeypatch.setattr(durable, "sync", _then(durable.sync, lambda: (writer.write(b"!"), writer.flush())))
        with pytest.raises(StoreError, match=r"'model.bin' changed while it was kept"):
            store.add(UNKNOWN, out)
    assert (store.trace(KEY), object_files(store)) == (None, [])


def _then(work: Callable[..., object], after: Callable[[], object]) -> Callable[..., object]:
    def both(*given: object) -> object:
        answer = work(*given)
        after()
        return answer

    return both


def test_whatever_a_writer_does_an_object_has_the_bytes_that_its_name_says(store: Store, out: Path) -> None:
    (out / "model.bin").write_bytes(b"z" * 300_000)
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            with (out / "model.bin").open("r+b") as file:
                file.seek(number * 7919 % 300_000)
                file.write(number.to_bytes(8, "little"))

    writer = threading.Thread(target=write)
    writer.start()
    refused = 0
    for number in range(20):
        try:
            store.add(msgspec.structs.replace(UNKNOWN, key=f"{number:064}"), out)
        except StoreError:
            refused += 1
    done.set()
    writer.join()
    assert refused > 0
    assert not is_poisoned(store)


def test_a_record_that_says_what_the_files_are_is_kept_only_if_they_are_so(store: Store, out: Path) -> None:
    (out / "model.bin").write_bytes(b"a model")
    record = record_of(out, KEY)
    (out / "model.bin").write_bytes(b"b model")
    with pytest.raises(StoreError, match="train:net: its artifact changed while it was kept"):
        store.add(record, out)
    assert store.trace(KEY) is None


def test_an_output_with_the_name_of_the_record_is_refused(store: Store, out: Path) -> None:
    (out / "sub").mkdir()
    (out / "sub" / "stage.json").write_text("{}")
    store.add(UNKNOWN, out)
    (out / "stage.json").write_text("{}")
    told = r"train:net: one of its outputs is called 'stage.json', .*\n  let the component give that file another name"
    with pytest.raises(StageFailed, match=told):
        store.add(UNKNOWN, out)


def test_rot_that_no_stat_shows_is_found_when_the_object_is_copied(store: Store, out: Path, tmp_path: Path) -> None:
    (out / "model.bin").write_bytes(b"a model")
    kept, _ = store.add(UNKNOWN, out)
    (path,) = object_files(store)
    path.chmod(0o644)
    path.write_bytes(b"b model")
    store.table.add([(path, kept.outputs["model.bin"].digest)])
    with pytest.raises(StoreError, match=r"has other bytes than its name says\n  run `doit` again"):
        store.restore(kept, tmp_path / "back")
    assert not store.has_all(kept)
    assert not path.exists()


@pytest.mark.parametrize("how", ["a link", "a second name"])
def test_a_file_that_is_not_the_stages_alone_is_copied_and_left_as_it_is(
    out: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    mine = tmp_path / "mine.bin"
    mine.write_bytes(LARGE)
    mine.chmod(0o640)
    (out / "model.bin").symlink_to(mine) if how == "a link" else os.link(mine, out / "model.bin")
    taken = take(out, "model.bin", str(tmp_path / "draft"))
    assert taken.entry == manifest_of(out)["model.bin"]
    assert (tmp_path / "draft").stat().st_ino != mine.stat().st_ino
    assert not (tmp_path / "draft").is_symlink()
    assert mine.stat().st_mode & 0o777 == 0o640


def test_all_are_taken_in_the_order_of_their_names_whatever_their_sizes(out: Path, tmp_path: Path) -> None:
    for number in range(12):
        (out / f"{number:02}").write_bytes(bytes([number]) * (1 + (number % 3) * 1_100_000))
    drafts = (str(tmp_path / f"draft{number}") for number in range(99))
    lock = threading.Lock()

    def draft() -> str:
        with lock:
            return next(drafts)

    sizes = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    taken = take_all(out, sizes, draft)
    assert list(taken) == sorted(taken)
    assert {name: one.entry for name, one in taken.items()} == manifest_of(out)
    assert {name: Path(one.draft).read_bytes()[:1] for name, one in taken.items()} == {
        name: (out / name).read_bytes()[:1] for name in taken
    }


@pytest.mark.parametrize("executable", [False, True])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_what_is_given_has_the_bytes_and_the_mode_of_its_entry(
    content: bytes, executable: bool, user: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "object", tmp_path / "given"
    source.write_bytes(content)
    entry = FileEntry(hashlib.sha256(content).hexdigest(), len(content), executable)
    info = give(str(source), str(target), entry)
    is_linked = user == "a user" and content == LARGE and not executable
    assert target.read_bytes() == content
    assert oct(info.st_mode & 0o777) == ("0o755" if executable else "0o444" if is_linked else "0o644")
    assert signature(info) == signature(target.stat())
    assert (info.st_ino == source.stat().st_ino) is is_linked


def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source)

    monkeypatch.setattr(placing, "clone", lambda source, target: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "link", link)
    (tmp_path / "object").write_bytes(LARGE)
    entry = FileEntry(hashlib.sha256(LARGE).hexdigest(), len(LARGE))
    give(str(tmp_path / "object"), str(tmp_path / "given"), entry)
    assert (tmp_path / "given").read_bytes() == LARGE


def test_a_small_output_is_copied_and_no_file_stays_open(out: Path, tmp_path: Path, user: str) -> None:
    (out / "model.json").write_bytes(b"{}")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    taken = take(out, "model.json", str(tmp_path / "draft"))
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
    assert taken.entry == manifest_of(out)["model.json"]
    assert (out / "model.json").stat().st_nlink == 1


def test_an_output_that_changes_while_it_is_taken_is_refused_at_once(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "model.json").write_bytes(b"{}")
    monkeypatch.setattr(placing, "copy_open", _then(copy_open, lambda: (out / "model.json").write_bytes(b"[1]")))
    with pytest.raises(StoreError, match=r"the output 'model\.json' changed while it was kept"):
        take(out, "model.json", str(tmp_path / "draft"))
