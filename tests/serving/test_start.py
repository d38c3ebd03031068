"""What keeps a server from starting is one line and exit code 2."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.conftest import Running
from tests.serving.servers import assert_one_line, files, make_certificate, run

from modelyard.serving import listener as listener_module
from modelyard.serving.errors import StartError


def test_a_port_in_use_is_one_line_and_exit_code_2(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(MODEL_DIR=models / "float32", PORT=port)

    assert_one_line(result, f"127.0.0.1:{port}: cannot listen: Address already in use; set MODELYARD_PORT")


def test_a_port_that_another_takes_meanwhile_is_said_too() -> None:
    with listener_module.listen("127.0.0.1", 0) as mine:
        port = mine.getsockname()[1]
        with listener_module.listen("127.0.0.1", port) as other:
            other.listen()

            with pytest.raises(StartError, match=f"127.0.0.1:{port}: cannot listen: Address already in use"):
                listener_module.begin(mine)


def test_what_is_missing_or_wrong_is_one_line_and_exit_code_2(models: Path, tmp_path: Path) -> None:
    assert_one_line(run(MODEL_DIR=tmp_path), f"{tmp_path}/model.json: No such file or directory")
    assert_one_line(run(MODEL_DIR=models / "float32", HOST="192.0.2.1"), "192.0.2.1:0: cannot listen", "MODELYARD_HOST")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="magic"), "unknown backend 'magic'; known: litert")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="no_such:x"), "cannot be loaded: No module named")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="os:getcwd"), "backend 'os:getcwd' cannot open the model")
    assert_one_line(run(MODEL_DIR=models / "float32", PASSWORD_FILE="/no/such"), "MODELYARD_PASSWORD_FILE")
    assert_one_line(run("--port", "x", MODEL_DIR=models / "float32"), "MODELYARD_PORT: 'x'")
    assert_one_line(run("--events-once", MODEL_DIR=models / "float32"), "MODELYARD_EVENTS_URL is not set")


def test_a_damaged_model_is_one_line_and_exit_code_2(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "float32", tmp_path / "m")
    (tmp_path / "m" / "model.tflite").write_bytes(b"TFL3" * 9)

    assert_one_line(run(MODEL_DIR=tmp_path / "m"), "not a model that LiteRT can run")


def test_options_stand_above_the_environment(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    options = ["--model-name", "other", "--port", "0"]
    command = [sys.executable, "-m", "modelyard.serving", *options]
    with start(models / "float32", command, PORT="1") as server, server.client() as client:
        assert client.get("/v1/models/other").status_code == 200
        assert client.get("/v1/models/digits").status_code == 404


def test_a_key_that_does_not_fit_or_asks_for_a_pass_phrase_is_one_line(
    models: Path, certificate: Path, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    other = files(certificate) | {"TLS_KEY_FILE": tmp_path / "tls.key"}
    assert_one_line(run(MODEL_DIR=models / "float32", **other), "MODELYARD_TLS_KEY_FILE", "no pair in PEM")

    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "ec", "-aes256", "-passout", "pass:secret"]
    subprocess.run([*encrypt, "-in", tmp_path / "tls.key", "-out", locked], check=True, capture_output=True)
    shut = files(tmp_path) | {"TLS_KEY_FILE": locked}
    assert_one_line(run(MODEL_DIR=models / "float32", **shut), "without a pass phrase")


def test_ipv6_is_listened_on() -> None:
    try:
        with listener_module.listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except StartError as exc:
        pytest.skip(f"no IPv6 here: {exc}")
