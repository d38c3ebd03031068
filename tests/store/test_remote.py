"""A remote store, through each kind of file system, with everything that can be wrong with it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.errors import ConfigError
from modelyard.store.file_system import RemoteSettings, connect
from modelyard.store.local import Store
from modelyard.store.record import Record, object_name, trace_name
from modelyard.store.remote import check_remote
from tests.store.conftest import KEY, MakeStore, Place, Told, keep

FILES = {"model.bin": b"a model" * 1000, "copy/model.bin": b"a model" * 1000, "empty": b""}
OTHER = "cd" * 32


def opened(place: Place) -> tuple[Any, str]:
    return connect(RemoteSettings(place[0], options=place[1]))


def push(store: Store, record: Record) -> bool:
    assert store.remote is not None
    return store.remote.push(record, store)


def test_what_one_store_gives_another_takes(place: Place, make_store: MakeStore, tmp_path: Path, told: Told) -> None:
    one, two = (make_store(name, place[0], options=place[1]) for name in ("one", "two"))
    record = keep(one, tmp_path / "made", FILES)
    assert push(one, record)

    assert two.trace(KEY) is None
    found = two.find(KEY)
    assert found == record
    two.restore(record, tmp_path / "back")
    assert {name: (tmp_path / "back" / name).read_bytes() for name in FILES} == FILES
    assert two.trace(KEY) == record, "the second time the remote is not asked"
    assert told == []


def test_what_the_remote_can_give_is_offered_and_not_fetched(make_store: MakeStore, tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    one, two = make_store("one", url), make_store("two", url)
    record = keep(one, tmp_path / "made", FILES)
    assert two.offer(KEY) is None, "the remote does not know it yet"
    push(one, record)
    assert two.offer(KEY) == record
    assert two.trace(KEY) is None
    assert not two.has_all(record)

    two.put_trace(record)  # the record is here, what it stands for is not
    assert two.offer(KEY) == record
    fs, root = opened((url, {}))
    fs.rm(f"{root}/{object_name(record.outputs['model.bin'].digest)}")
    assert two.offer(KEY) is None
    assert make_store("three", url).offer(KEY) is None
    assert make_store("alone").offer(KEY) is None


def test_what_was_fetched_is_read_only(make_store: MakeStore, tmp_path: Path) -> None:
    one, two = (make_store(name, f"memory://{tmp_path.name}") for name in ("one", "two"))
    record = keep(one, tmp_path / "made", FILES)
    push(one, record)
    two.find(KEY)
    modes = {two.object_file(entry.digest).stat().st_mode & 0o777 for entry in record.outputs.values()}
    assert modes == {0o444}


def test_a_key_that_nobody_made_is_a_miss(place: Place, make_store: MakeStore, told: Told) -> None:
    assert make_store("one", place[0], options=place[1]).find(KEY) is None
    assert told == []


def test_equal_outputs_are_uploaded_once(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    uploads: list[str] = []
    put_file = MemoryFileSystem.put_file
    monkeypatch.setattr(
        MemoryFileSystem,
        "put_file",
        lambda fs, lpath, rpath, **kw: uploads.append(rpath) or put_file(fs, lpath, rpath, **kw),
    )
    one = make_store("one", f"memory://{tmp_path.name}")
    push(one, keep(one, tmp_path / "made", FILES))
    assert len(uploads) == 2, "three files, two of them equal"
    push(one, keep(one, tmp_path / "again", {**FILES, "new": b"new"}, key=OTHER))
    assert len(uploads) == 3, "what is there is not sent again"


def damage_object(fs: Any, root: str, record: Record, change: Callable[[bytes], bytes]) -> str:
    path = f"{root}/{object_name(record.outputs['model.bin'].digest)}"
    fs.pipe_file(path, change(fs.cat_file(path)))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda data: data[:-1] + b"X", "other bytes"), (lambda data: data[:100], "100 bytes instead of 7000")],
    ids=["flipped", "truncated"],
)
def test_a_damaged_object_is_never_taken_and_is_replaced(
    change: Callable[[bytes], bytes], words: str, place: Place, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    one, two, three = (make_store(name, place[0], options=place[1]) for name in ("one", "two", "three"))
    record = keep(one, tmp_path / "made", FILES)
    push(one, record)
    fs, root = opened(place)
    damage_object(fs, root, record, change)

    assert two.find(KEY) is None
    assert [line for line in told if "is damaged" in line and words in line], told
    keep(two, tmp_path / "remade", FILES)
    assert push(two, record)
    assert three.find(KEY) == record


def test_an_object_that_is_too_long_is_left_at_its_size(
    place: Place, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    """The disk must not be filled by what was never asked for: a piece too much is written, and no more."""
    one, two = (make_store(name, place[0], options=place[1]) for name in ("one", "two"))
    record = keep(one, tmp_path / "made", FILES)
    push(one, record)
    fs, root = opened(place)
    damage_object(fs, root, record, lambda data: data * 4000)  # 28 MB

    entry = record.outputs["model.bin"]
    target = tmp_path / entry.digest
    assert two.remote is not None
    assert two.remote.read(entry, tmp_path) is None
    assert not target.exists() or target.stat().st_size <= entry.size + (8 << 20)
    assert [line for line in told if "more bytes instead of 7000" in line], told


@pytest.mark.parametrize("kind", ["object", "trace"])
def test_a_file_without_an_end_is_left(make_store: MakeStore, tmp_path: Path, told: Told, kind: str) -> None:
    store = make_store("one", f"file://{tmp_path}/remote")
    record = keep(store, tmp_path / "made", FILES)
    assert push(store, record)
    entry = record.outputs["model.bin"]
    path = tmp_path / "remote" / (object_name(entry.digest) if kind == "object" else trace_name(KEY))
    path.unlink()
    path.symlink_to("/dev/zero")

    two = make_store("two", f"file://{tmp_path}/remote")
    assert two.find(KEY) is None
    assert [line for line in told if "is damaged" in line], told
    assert sum(p.stat().st_size for p in (tmp_path / "two").rglob("*") if p.is_file()) < 1 << 20, "nothing stays"


def test_a_copy_that_nobody_waits_for_writes_no_more(make_store: MakeStore, tmp_path: Path, told: Told) -> None:
    """The thread of a request that took too long is left behind; what it was to write is not written any more."""
    from fsspec.implementations.memory import MemoryFile

    sent, go_on = threading.Event(), threading.Event()
    one = make_store("one", f"memory://{tmp_path.name}")
    record = keep(one, tmp_path / "made", {"model.bin": bytes(16 << 20)})
    push(one, record)

    class Slow(MemoryFile):
        """Sends its first piece, and the others when nobody waits any more."""

        def read(self, *size: int) -> bytes:
            if sent.is_set():
                go_on.wait(30)
            sent.set()
            return super().read(*size)

    fs, root = opened((f"memory://{tmp_path.name}", {}))
    entry = record.outputs["model.bin"]
    target = tmp_path / entry.digest
    path = f"{root}/{object_name(entry.digest)}"
    fs.store[path] = Slow(fs, path, fs.cat_file(path))
    two = make_store("two", f"memory://{tmp_path.name}", timeout_s=-15.5)  # 16.8 s for the bytes, less this
    assert two.remote is not None
    before = set(threading.enumerate())
    assert two.remote.read(entry, tmp_path) is None
    written = target.stat().st_size
    left = set(threading.enumerate()) - before
    go_on.set()
    for thread in left:
        thread.join(30)
    assert target.stat().st_size <= written + (4 << 20) < entry.size


@pytest.mark.parametrize(
    "text", [b"{", b"", b"\xff\xfe", b"null", b'{"parts":{"a":' + b"[" * 9999 + b"]" * 9999 + b"}}"]
)
def test_a_damaged_trace_is_never_taken_and_is_replaced(
    text: bytes, place: Place, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    one, two = (make_store(name, place[0], options=place[1]) for name in ("one", "two"))
    record = keep(one, tmp_path / "made", FILES)
    fs, root = opened(place)
    fs.makedirs(f"{root}/{trace_name(KEY)}".rpartition("/")[0], exist_ok=True)
    fs.pipe_file(f"{root}/{trace_name(KEY)}", text)

    assert one.remote is not None
    assert one.remote.trace(KEY) is None
    assert "is damaged and was not taken" in told[0]
    assert push(one, record)
    assert two.find(KEY) == record


def test_a_trace_cannot_write_outside_its_folder(make_store: MakeStore, tmp_path: Path, told: Told) -> None:
    from modelyard.files.manifest import manifest_digest

    store = make_store("one", f"file://{tmp_path}/remote")
    record = keep(store, tmp_path / "made", FILES)
    for name in ("../out", "/etc/x", "a/../../x", "a//b", ""):
        outputs = {name: record.outputs["empty"]}
        bad = msgspec.structs.replace(record, key=OTHER, outputs=outputs, digest=manifest_digest(outputs))
        path = tmp_path / "remote" / trace_name(OTHER)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(bad))
        assert store.find(OTHER) is None
    assert len(told) == 5


def test_a_trace_whose_object_is_gone_is_a_miss_and_is_replaced(
    place: Place, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    one, two, three = (make_store(name, place[0], options=place[1]) for name in ("one", "two", "three"))
    push(one, keep(one, tmp_path / "made", FILES))
    fs, root = opened(place)
    fs.rm_file(f"{root}/{object_name(one.trace(KEY).outputs['model.bin'].digest)}")  # type: ignore[union-attr]

    assert two.find(KEY) is None
    other = keep(two, tmp_path / "other", {"model.bin": b"made differently"})
    assert push(two, other)
    assert three.find(KEY) == other
    assert told == []


def test_a_local_object_that_is_damaged_comes_back_from_the_remote(
    place: Place, make_store: MakeStore, tmp_path: Path
) -> None:
    one = make_store("one", place[0], options=place[1])
    record = keep(one, tmp_path / "made", FILES)
    push(one, record)
    path = one.object_file(record.outputs["model.bin"].digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert one.find(KEY) == record
    assert path.read_bytes() == FILES["model.bin"]


def test_the_first_of_two_different_results_stays(place: Place, make_store: MakeStore, tmp_path: Path) -> None:
    one, two, three = (make_store(name, place[0], options=place[1]) for name in ("one", "two", "three"))
    first = keep(one, tmp_path / "first", {"model.bin": b"first"})
    second = keep(two, tmp_path / "second", {"model.bin": b"second"})
    assert push(one, first)
    assert push(two, second)
    assert three.find(KEY) == first


def test_many_writers_at_once_leave_one_whole_result(
    place: Place, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    stores = [make_store(f"writer{n}", place[0], options=place[1]) for n in range(6)]
    records = [keep(s, tmp_path / f"made{n}", {"model.bin": b"%d" % n * 50_000, **FILES}) for n, s in enumerate(stores)]
    pushed: list[bool] = []
    threads = [
        threading.Thread(target=lambda s=s, r=r: pushed.append(push(s, r)))
        for s, r in zip(stores, records, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pushed == [True] * 6, told
    reader = make_store("reader", place[0], options=place[1])
    found = reader.find(KEY)
    assert found in records
    fs, root = opened(place)
    assert not [path for path in fs.find(root) if path.endswith(".part")]


# A remote that does not work


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.listen(50)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def assert_degrades(store: Store, folder: Path, told: Told, within_s: float) -> None:
    begin = time.monotonic()
    assert store.find(KEY) is None
    record = keep(store, folder, FILES)
    assert not push(store, record)
    assert store.find(KEY) == record, "the local store works on"
    assert store.find(OTHER) is None
    assert time.monotonic() - begin < within_s
    warnings = [line for line in told if line.startswith("warning: ")]
    assert len(warnings) == 1, told
    assert "does not work" in warnings[0]
    assert "this build goes on without it" in warnings[0]


def test_a_remote_that_is_down_is_told_once(
    credentials: None, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    store = make_store("one", "s3://bucket/x", options={"endpoint_url": closed_port()}, timeout_s=3.0)
    assert_degrades(store, tmp_path / "made", told, 10)


def test_a_remote_that_is_slow_is_told_once(
    credentials: None, silent_server: str, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    store = make_store("one", "s3://bucket/x", options={"endpoint_url": silent_server}, timeout_s=1.0)
    assert_degrades(store, tmp_path / "made", told, 8)


def test_a_remote_without_credentials_is_told_once(
    credentials: None,
    s3_server: str,
    make_store: MakeStore,
    tmp_path: Path,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = make_store("one", "s3://nobody-made-this/x", options={"endpoint_url": s3_server})
    assert_degrades(store, tmp_path / "made", told, 15)
    assert "Credentials" in told[0]


def test_a_bucket_that_is_not_there_is_told_once(
    credentials: None, s3_server: str, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    store = make_store("one", "s3://nobody-made-this/x", options={"endpoint_url": s3_server})
    assert_degrades(store, tmp_path / "made", told, 15)
    assert "bucket does not exist" in told[0]


def test_a_google_bucket_that_is_not_there_is_told_once(
    gs_server: str, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    store = make_store("one", "gs://nobody-made-this/x", options={"endpoint_url": gs_server, "token": "anon"})
    assert_degrades(store, tmp_path / "made", told, 15)


def test_a_google_server_that_is_down_is_told_once(
    make_store: MakeStore, tmp_path: Path, told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"endpoint_url": closed_port(), "token": "anon"}
    store = make_store("one", "gs://bucket/x", options=options, timeout_s=2.0)
    assert_degrades(store, tmp_path / "made", told, 10)
    assert "Traceback" not in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_once(make_store: MakeStore, tmp_path: Path, told: Told) -> None:
    (tmp_path / "remote").write_text("a file where the folder should be")
    store = make_store("one", f"file://{tmp_path}/remote")
    assert not push(store, keep(store, tmp_path / "made", FILES))
    assert len(told) == 1


# The configuration


@pytest.mark.parametrize("url", ["bucket/prefix", "s3://", "://x", "s3:/bucket"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"store\]: key 'remote': '.*' is not the address of a remote store\n  allowed: 's3:"
    ):
        check_remote(url, "pyproject.toml [tool.modelyard.store]")


@pytest.mark.parametrize(
    ("url", "missing", "command"),
    [
        ("s3://b/p", {"s3fs"}, "needs s3fs, not installed\n  run `python -m pip install 'modelyard[remote]'`"),
        ("file:///x", {"fsspec"}, "needs fsspec, not installed\n  run `python -m pip install 'modelyard[remote]'`"),
        ("gs://b/p", {"gcsfs"}, "needs gcsfs, not installed\n  run `python -m pip install 'modelyard[gcs]'`"),
        ("az://b/p", {"adlfs"}, "needs adlfs, not installed\n  run `python -m pip install adlfs`"),
    ],
)
def test_a_missing_package_is_named_with_the_command(
    url: str, missing: set[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else object())
    with pytest.raises(ConfigError) as error:
        check_remote(url, "here")
    assert command in str(error.value)


# The parts
