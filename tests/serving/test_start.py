"""What keeps a server from starting is one line and exit code 2."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from tests.serving.servers import assert_one_line, files, make_certificate, run


def test_a_port_in_use_is_one_line_and_exit_code_2(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(MODEL_DIR=models / "float32", PORT=port)

    assert_one_line(result, f"127.0.0.1:{port}: cannot listen: Address already in use; set MODELYARD_PORT")


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
