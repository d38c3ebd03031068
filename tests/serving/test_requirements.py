"""The requirements file of a runtime is enough: a server runs on exactly that."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.examples.environments import new_environment
from tests.serving.conftest import Running
from tests.serving.onnx_models import probabilities, write_onnx
from tests.shared import usual

import modelyard.serving
from modelyard_plugins.runtimes import litert, onnxruntime
from modelyard_plugins.support.own_server import OwnServer


def test_the_plugin_predicts_as_the_interpreter_does(
    models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    predicted = litert.litert(models / "int8-io", params=OwnServer(threads=2)).predict(raw)

    np.testing.assert_allclose(predicted, expected(models / "int8-io", raw), atol=1e-6)


def test_the_onnx_plugin_predicts_as_the_network_does(raw: np.ndarray, tmp_path: Path) -> None:
    predicted = onnxruntime.onnxruntime(write_onnx(tmp_path / "model"), params=OwnServer(threads=2)).predict(raw)

    np.testing.assert_allclose(predicted, probabilities(raw), atol=1e-6)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("runtime", usual(["litert", "onnxruntime"], 1))
def test_a_server_runs_on_the_required_wheels_alone(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    tmp_path: Path,
    runtime: str,
) -> None:
    python = new_environment(tmp_path / "venv")
    needed = [Path(litert.__file__).with_name(f"{name}-requirements.txt") for name in (runtime, "grpc", "oidc")]
    requirements = [word for file in needed for word in ("-r", file)]
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", *options, *requirements], check=True
    )
    place = tmp_path / "app"
    shutil.copytree(Path(modelyard.serving.__file__).parent, place / "modelyard_serving")
    model = models / "float32" if runtime == "litert" else write_onnx(tmp_path / "model")
    right = expected(model, raw) if runtime == "litert" else probabilities(raw)

    command = [str(python), "-m", "modelyard_serving"]
    with start(model, command, place, BACKEND=runtime, GRPC_PORT="0") as server, server.client() as client:
        assert server.grpc_port
        answer = client.post("/v1/models/digits:predict", json={"instances": raw.tolist()})
        metrics = client.get("/metrics")
        assert server.stop() == 0

    np.testing.assert_allclose(answer.json()["predictions"], right, atol=1e-6)
    assert metrics.status_code == 200
