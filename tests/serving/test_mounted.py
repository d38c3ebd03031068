"""Passwords and certificates that change while the server runs, as a kubelet changes them and as `cp` does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import resource
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.servers import PREDICT, files, make_certificate, run, wait_until
from tests.serving.test_metrics import labels, scrape
from tests.serving.test_workers import all_ready
from tests.shared import usual

from modelyard.serving.auth import BasicAuth
from modelyard.serving.errors import StartError
from modelyard.serving.messages import Request
from modelyard.serving.mounted import Mounted


def swap(volume: Any, **contents: Any) -> None:
    """Put `contents` into a volume as a kubelet does: into a new folder, and a link is renamed over the old one."""
    fresh = volume / f"..{time.monotonic_ns()}"
    fresh.mkdir()
    for name, data in contents.items():
        (fresh / name).write_bytes(data)
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    before = (volume / "..data").resolve() if (volume / "..data").exists() else None
    (volume / "..data_tmp").symlink_to(fresh.name)
    (volume / "..data_tmp").rename(volume / "..data")
    if before is not None:
        shutil.rmtree(before)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Two certificates for 127.0.0.1 with their keys, each as `{"tls.crt": ..., "tls.key": ...}`."""
    made = []
    for number in (1, 2):
        folder = tmp_path_factory.mktemp(f"pair{number}")
        make_certificate(folder)
        made.append({name: (folder / name).read_bytes() for name in ("tls.crt", "tls.key")})
    return made


def volume_of(folder: Path, **contents: Any) -> Any:
    folder.mkdir()
    swap(folder, **contents)
    return folder


def login_of(folder: Path) -> dict[str, str]:
    return {"USERNAME_FILE": str(folder / "username"), "PASSWORD_FILE": str(folder / "password")}


def serial_of(pem: Any) -> Any:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


class Client(threading.Thread):
    """Asks again and again, now on a new connection and now on one that it has; with the new password once the old is refused."""

    def __init__(self, server: Any, body: Any, passwords: Any, pairs: Any) -> None:
        super().__init__(daemon=True)
        self.server, self.body, self.passwords = server, body, list(passwords)
        self.trust = ssl.create_default_context()
        self.trust.check_hostname = False
        for pair in pairs:
            self.trust.load_verify_locations(cadata=pair["tls.crt"].decode())
        self.end, self.asked = threading.Event(), 0
        self.failed: list[str | int] = []
        self.seen: set[bytes | None] = set()

    def run(self) -> None:
        while not self.end.is_set():
            connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=20, context=self.trust)
            try:
                for _ in range(5):
                    self.ask(connection)
                self.seen.add(connection.sock.getpeercert(binary_form=True))
            except (OSError, http.client.HTTPException) as exc:
                self.failed.append(repr(exc))
            finally:
                connection.close()

    def ask(self, connection: Any) -> None:
        status = self.send(connection, self.passwords[0])
        if status == 401 and len(self.passwords) > 1:
            self.passwords.pop(0)
            status = self.send(connection, self.passwords[0])
        self.asked += 1
        if status != 200:
            self.failed.append(status)

    def send(self, connection: Any, password: str) -> Any:
        login = base64.b64encode(f"ann:{password}".encode()).decode()
        connection.request("POST", PREDICT, self.body, {"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextlib.contextmanager
def under_load(server: Any, raw: Any, passwords: Any, pairs: Any) -> Iterator[list[Client]]:
    body = json.dumps({"instances": raw[:1].tolist()}).encode()
    clients = [Client(server, body, passwords, pairs) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.end.set()
        for client in clients:
            client.join(30)


@pytest.mark.parametrize("workers", usual(["2", "1"], 1))
def test_no_request_fails_while_password_and_certificate_are_swapped_under_load(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    pairs: list[Any],
    tmp_path: Path,
    workers: str,
) -> None:
    """As operators do it: both passwords first, then the new one alone."""
    login = volume_of(tmp_path / "login", username=b"ann\n", password=b"old\n")
    tls = volume_of(tmp_path / "tls", **pairs[0])
    changes = 2 * int(workers)
    with start(models / "float32", WORKERS=workers, **login_of(login), **files(tls)) as server:
        all_ready(server)
        with (
            under_load(server, raw, ["old"], pairs) as early,
            server.client(auth=("ann", "old")) as client,
        ):
            swap(login, username=b"ann\n", password=b"old\nnew\n")
            swap(tls, **pairs[1])
            wait_until(lambda: reloads(client, "password") + reloads(client, "certificate") == changes, 20)
            time.sleep(0.3)
        with under_load(server, raw, ["new"], pairs[1:]) as late, server.client(auth=("ann", "new")) as client:
            swap(login, username=b"ann\n", password=b"new\n")
            wait_until(lambda: reloads(client, "password") == changes, 20)
            with server.client(auth=("ann", "old")) as old:
                assert old.get("/v2").status_code == 401
            seen = scrape(client)
        logged = [line for line in server.logs if line["event"] == "reloaded"]

    assert [client.failed for client in [*early, *late]] == [[]] * 6
    assert min(client.asked for client in [*early, *late]) > 10
    first, second = (serial_of(pair["tls.crt"]) for pair in pairs)
    assert set.union(*(client.seen for client in early)) == {first, second}
    assert set.union(*(client.seen for client in late)) == {second}
    ends = seen["modelyard_certificate_expiration_timestamp_seconds", labels()]
    assert 1.9 < (ends - time.time()) / 86400 < 2.1
    assert {line["what"] for line in logged} == {"password", "certificate"}
    assert datetime.fromisoformat(next(line["expires"] for line in logged if "expires" in line)).timestamp() == ends


def reloads(client: Any, what: Any, result: str = "success") -> Any:
    return scrape(client)["modelyard_reloads_total", labels(what=what, result=result)]


def test_a_password_that_replaces_another_leaves_no_moment_in_which_neither_is_good(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    pairs: list[Any],
    tmp_path: Path,
) -> None:
    login = volume_of(tmp_path / "login", username=b"ann", password=b"old")
    tls = volume_of(tmp_path / "tls", **pairs[0])
    with (
        start(models / "float32", **login_of(login), **files(tls)) as server,
        under_load(server, raw, ["old", "new"], pairs) as clients,
    ):
        time.sleep(0.3)
        swap(login, username=b"ann", password=b"new")
        wait_until(lambda: all(client.passwords == ["new"] for client in clients), 20)
        time.sleep(0.3)

    assert [client.failed for client in clients] == [[]] * 3


def test_what_is_not_fit_leaves_what_was_there_and_is_said_once(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, pairs: list[Any], tmp_path: Path
) -> None:
    """In place, as with a file that a container mounts by itself: half of it, rubbish, a key of another certificate."""
    tls = tmp_path / "tls"
    tls.mkdir()
    for name, data in pairs[0].items():
        (tls / name).write_bytes(data)
    (tmp_path / "password").write_bytes(b"old")
    (tmp_path / "username").write_bytes(b"ann")
    with (
        start(models / "float32", **login_of(tmp_path), **files(tls)) as server,
        server.client(auth=("ann", "old")) as client,
    ):
        passwords = [b"", b"\n\n", b"\xff\xfe"]
        changes: tuple[Callable[[], object], ...] = (
            lambda: (tls / "tls.crt").write_bytes(pairs[1]["tls.crt"][:200]),
            lambda: (tls / "tls.crt").write_bytes(pairs[1]["tls.crt"]),
            lambda: (tls / "tls.key").write_bytes(b"\x00rubbish\xff"),
            (tls / "tls.key").unlink,
        )
        for number, change in enumerate(changes, start=1):
            change()
            for data in passwords[number - 1 : number]:
                (tmp_path / "password").write_bytes(data)
            wait_until(lambda number=number: reloads(client, "certificate", "failure") == number, 20)
            wanted = min(number, len(passwords))
            wait_until(lambda wanted=wanted: reloads(client, "password", "failure") == wanted, 20)
            assert certificate_of(server) == serial_of(pairs[0]["tls.crt"])
            assert client.get("/v2").status_code == 200
        time.sleep(2.2)  # two more looks
        told = [line["what"] for line in server.logs if line["event"] == "cannot reload"]

        (tls / "tls.key").write_bytes(pairs[1]["tls.key"])
        (tmp_path / "password").write_bytes(b"new")
        wait_until(lambda: certificate_of(server) == serial_of(pairs[1]["tls.crt"]), 20)
        with server.client(auth=("ann", "new")) as new:
            wait_until(lambda: new.get("/v2").status_code == 200, 20)
        assert client.get("/v2").status_code == 401
        assert "rubbish" not in repr(server.logs)

    assert sorted(told) == ["certificate"] * 4 + ["password"] * 3


def certificate_of(server: Any) -> Any:
    pem = ssl.get_server_certificate(("127.0.0.1", server.port), timeout=10)
    return ssl.PEM_cert_to_DER_cert(pem)


def test_a_worker_that_is_started_later_has_what_is_mounted_then(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, pairs: list[Any], tmp_path: Path
) -> None:
    login = volume_of(tmp_path / "login", username=b"ann", password=b"old")
    with start(models / "float32", WORKERS="2", **login_of(login)) as server:
        all_ready(server)
        with server.client(auth=("ann", "old")) as client:
            swap(login, username=b"ann", password=b"new")
            wait_until(lambda: client.get("/v2").status_code == 401, 20)
        path = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
        for number in (1, 2):
            with open(path) as file:
                process = file.read().split()[0]
            os.kill(int(process), 9)
            wait_until(lambda n=number: sum(one["event"] == "a worker ended" for one in server.logs) == n, 20)
            all_ready(server)
        answers = []
        for _ in range(8):
            with server.client(auth=("ann", "new")) as client:
                answers.append(client.get("/v2").status_code)

    assert answers == [200] * 8


def test_a_probe_is_not_concerned_with_a_password_that_is_just_being_written(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "username").write_bytes(b"ann")
    (tmp_path / "password").write_bytes(b"old")
    with start(models / "float32", **login_of(tmp_path)) as server:
        (tmp_path / "password").write_bytes(b"")

        assert run("--probe", "ready", PORT=server.port, **login_of(tmp_path)).returncode == 0


def test_each_line_is_a_password_and_an_empty_one_is_none() -> None:
    def with_password(password: str) -> Request:
        return Request("GET", "/v2", {b"authorization": b"Basic " + base64.b64encode(f"ann:{password}".encode())})

    auth = BasicAuth("ann", "old\r\n\nnew one")

    assert [auth.refusal(with_password(one)) is None for one in ("old", "new one", "", "\n", "old\r", "old\r\n\nnew one")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_files_that_are_written_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    during: list[str] = []

    def read() -> str:
        text = file.read_text()
        if during:
            file.write_text(during.pop())
        if text == "bad":
            msg = "bad"
            raise StartError(msg)
        return text

    mounted = Mounted([file], read)
    assert (mounted.look(), mounted.value) == (False, "1")
    file.write_text("2")
    during.append("3")
    assert (mounted.look(), mounted.value) == (False, "1"), "nobody knows which of both it was"
    assert (mounted.look(), mounted.value) == (True, "3")
    file.write_text("bad")
    during.append("4")
    assert (mounted.look(), mounted.value) == (False, "3"), "and nothing is said of it"
    assert (mounted.look(), mounted.value) == (True, "4")
    file.write_text("bad")
    with pytest.raises(StartError):
        mounted.look()
    assert (mounted.look(), mounted.value) == (False, "4")


def test_without_file_descriptors_nothing_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    mounted = Mounted([file], file.read_text)
    limits, before = resource.getrlimit(resource.RLIMIT_NOFILE), mounted.value
    file.write_text("2")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        looked = mounted.look()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (looked, mounted.value) == (False, before)
    assert (mounted.look(), mounted.value) == (True, "2")
