"""The runtime's own server, started here on a model in a folder: it answers, it ends, and what is wrong with it is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.serving.onnx_models import CLASSES, SHAPE, write_onnx

from modelyard.artifacts import Model
from modelyard.component import Use
from modelyard.errors import StageFailed, ToolError
from modelyard.launch.local_server import LocalServer, prepare, serving
from modelyard.plugins.load import load_plugins
from modelyard.stage_settings import ServerSettings


@pytest.fixture(scope="module")
def runtime() -> Use:
    pytest.importorskip("onnxruntime")
    component = load_plugins(Path(__file__).parent).get("runtime", "onnxruntime", "a test")
    return Use(component, {"threads": 1, "grpc_port": None})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.open(write_onnx(tmp_path_factory.mktemp("model") / "small"))


@pytest.fixture(scope="module")
def server(runtime: Use, model: Model) -> Iterator[LocalServer]:
    with serving(runtime, model) as started:
        yield started
    assert not Path(f"/proc/{started.pid}").exists(), "nothing is left"


def test_it_answers_as_the_model_does_here(runtime: Use, model: Model, server: LocalServer) -> None:
    raw = np.arange(3 * 64, dtype=np.uint8).reshape(3, *SHAPE)
    answers = server.ask({model.facts.input.name: raw})[model.facts.answer.name]
    here = runtime.component.function(model.folder, threads=1).predict(raw)
    assert answers.shape == (3, CLASSES)
    np.testing.assert_allclose(answers, here, atol=1e-6)


def test_what_it_refuses_is_told(model: Model, server: LocalServer) -> None:
    with pytest.raises(StageFailed, match="the model's server answered 400"):
        server.ask({model.facts.input.name: np.zeros((1, 3), np.uint8)})


def test_variables_of_this_process_do_not_reach_it(runtime: Use, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PASSWORD", "secret")
    monkeypatch.setenv("MODELYARD_WORKERS", "rubbish")
    with serving(runtime, model) as started:
        variables = Path(f"/proc/{started.pid}/environ").read_bytes()
    assert b"secret" not in variables
    assert os.environ["MODELYARD_PASSWORD"] == "secret"


def test_one_that_ends_at_once_is_told(runtime: Use, model: Model, tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "broken")
    (folder / "model.onnx").write_bytes(b"rubbish")
    with (
        pytest.raises(StageFailed, match="before it was ready\n  its output is in the log"),
        serving(runtime, Model(folder, model.facts)),
    ):
        raise AssertionError


def test_a_runtime_whose_server_is_in_its_image_is_told(model: Model, tmp_path: Path) -> None:
    component = load_plugins(Path(__file__).parent).get("runtime", "tensorflow-serving", "a test")
    with pytest.raises(ToolError, match="is in its image, not here"):
        prepare(Use(component, {}), ServerSettings(name="net", port=1), model.folder, tmp_path)
