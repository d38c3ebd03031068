"""The example with events: pictures go in on one stream, labels come out on another, and a third program shows them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from modelyard.testing import run_doit
from tests.conftest import doit_environment
from tests.examples.environments import ROOT, copy_of
from tests.standins.tls import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """The URL of a NATS that runs."""
    if shutil.which("nats-server") is None:
        missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
        missing("needs the program nats-server")
    pytest.importorskip("nats")
    port = str(free_port())
    words = ["nats-server", "--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", tmp_path / "broker"]
    with running(words, tmp_path, {}):
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                break
            assert time.monotonic() < end
            time.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"


@contextlib.contextmanager
def running(words: list[object], folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = doit_environment() | variables
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(list(map(str, words)), cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_pictures_go_in_and_labels_come_out(broker: str, tmp_path: Path) -> None:
    project = copy_of(ROOT / "examples/events", tmp_path / "project")
    variables = {"MODELYARD_EVENTS_URL": broker, "MODELYARD_PORT": str(free_port())}
    for words in (("select",), ("events:setup",)):
        done = run_doit(project, *words, env=variables)
        assert done.returncode == 0, done.stdout + done.stderr
    command = [sys.executable, "show.py", "6"]  # it is there for a while before anything is
    show = subprocess.Popen(command, cwd=project, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
    try:
        # what is sent before the server is there waits for it
        with running([sys.executable, "camera.py", 6], project, variables) as camera:
            assert camera.wait(60) == 0
        with running([sys.executable, "-m", "doit", "serve"], project, variables):
            (project / "note.png").write_text("no picture\n")
            sent = run_doit(project, "events:send", "--file", "note.png", "--wait", "60", env=variables)
            shown, _ = show.communicate(timeout=60)
    finally:
        show.kill()
        show.wait()
    assert "unprocessable: input 'image', sample 0: not a JPEG or PNG that can be decoded" in sent.stdout
    found = re.findall(r"^(\d+)-is-(\d): (\d) \(\d\.\d\d\)$", shown, re.MULTILINE)
    assert [int(row) for row, _, _ in found] == list(range(1438, 1444))
    assert sum(wanted == named for _, wanted, named in found) >= 5, shown
