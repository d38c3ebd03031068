"""From data set to a checked image with ONNX Runtime, without a framework: the trainer is a plugin of the project."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.testing import check_optimizer, run_doit, write_small_project
from tests.front_door.builds import copy
from tests.front_door.hardened import answers_as_evaluated, hardened, limited, loaded
from tests.serving import fuzz
from tests.standins.registry import registry

pytestmark = [pytest.mark.slow, pytest.mark.network]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}

PYPROJECT = """\
[project]
name = "small"
version = "1.0"

[tool.modelyard]
name = "small"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.model]
use = "network:shape"

[tool.modelyard.train]
use = "ridge"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
float32 = []
static = [{ use = "onnx-static", calibration_samples = 50 }]
dynamic = ["onnx-dynamic"]

[tool.modelyard.select]
rule = "dynamic"

[tool.modelyard.targets.compose]
"""

TRAINER = '''\
"""Trainer `ridge`: a linear classifier by least squares, written as ONNX."""

from modelyard import hookimpl
from modelyard.files.json import write_json


def ridge(context, *, penalty: float = 1.0):
    """Fit a linear classifier.

    Args:
        context: the data set.
        penalty: weight of the penalty on large weights.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    x = context.dataset.inputs("train").reshape(len(context.dataset.y("train")), -1)
    x = np.hstack([x, np.ones((len(x), 1), np.float32)])
    targets = 4 * np.eye(len(context.dataset.facts.class_names))[context.dataset.y("train")]
    solved = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ targets).astype(np.float32)
    parts = {"weights": solved[:-1], "bias": solved[-1]}
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ridge",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *context.dataset.facts.input_shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", solved.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in parts.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, context.out / "model.onnx")
    write_json(context.out / "history.json", {})


@hookimpl
def modelyard_register_trainers(register):
    register("ridge", ridge, produces="onnx", tools=("onnx", "numpy"))
'''

NETWORK = '"""The trainer makes its model from the shapes alone."""\n\n\ndef shape(input_shape, classes):\n    """No network."""\n'


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project, built without an engine."""
    files = {"pyproject.toml": PYPROJECT, "plugins/ridge.py": TRAINER, "network.py": NETWORK}
    project = write_small_project(tmp_path_factory.mktemp("onnx") / "project", files)
    done = run_doit(project, env=NO_ENGINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_the_image_answers_as_the_evaluated_model(road: Path) -> None:
    """At the defaults of `check`, although what ships is `dynamic`, whose activations share one scale in a batch."""
    record = json.loads((road / "artifacts/check/small/stage.json").read_text())

    assert record["metrics"]["ran_in"] == "image files"
    assert record["metrics"]["largest_difference"] <= 1e-5
    assert json.loads((road / "artifacts/select/small/model/model.json").read_text())["batch"] == 1
    assert "batch" not in json.loads((road / "artifacts/optimize/static/model.json").read_text())
    for variant in ("float32", "static", "dynamic"):
        evaluation = json.loads((road / f"artifacts/evaluate/{variant}/evaluation.json").read_text())
        assert evaluation["accuracy"] > 0.9, variant


def test_what_ships_is_the_variant_that_the_rule_names(road: Path) -> None:
    selected = json.loads((road / "artifacts/select/small/model/model.json").read_text())

    assert (selected["format"], selected["variant"]) == ("onnx", "dynamic")


@pytest.mark.parametrize(
    ("name", "refuses"),
    [("onnx-static", [{"skip": ["nope"]}, {"calibration": "guess"}]), ("onnx-dynamic", [{"convolutions": "no"}])],
)
def test_the_model_optimizers_keep_the_contract(road: Path, name: str, refuses: list[dict[str, Any]]) -> None:
    assert check_optimizer(name, project=road, refuses=refuses).evaluation.metric("accuracy").value > 0.9


def test_a_second_quantization_is_refused_in_words(road: Path) -> None:
    done = run_doit(road, 'variants.static=["onnx-dynamic", "onnx-static"]', "evaluate:static")

    assert done.returncode != 0
    assert "the model is quantized already: it holds DynamicQuantizeLinear" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_image_holds_onnx_runtime_and_no_other(road: Path) -> None:
    packages = json.loads((road / "artifacts/image/small/sbom.spdx.json").read_text())["packages"]

    assert {"onnxruntime", "ai-edge-litert"} & {package["name"] for package in packages} == {"onnxruntime"}


def test_a_second_run_does_nothing(road: Path) -> None:
    done = run_doit(road, env=NO_ENGINE)

    assert done.stdout.splitlines()[-1].startswith("built 0, restored 0"), done.stdout


def test_quantizing_and_evaluating_keep_no_identifier_for_the_maker_of_onnx_runtime(
    road: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):  # with any of them it keeps none in any case
        monkeypatch.delenv(name, raising=False)
    project = copy(road, tmp_path / "project")
    (home := tmp_path / "home").mkdir()
    done = run_doit(project, "seed=1", "evaluate:static", "evaluate:dynamic", env={"HOME": str(home)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "optimize:static: built" in done.stdout
    assert list(home.rglob("*Microsoft*")) == []


SEVERAL = """
[tool.modelyard.pipelines.whole.select]
rule = "float32"

[tool.modelyard.pipelines.small.handlers]
after = ["top-labels"]

[tool.modelyard.images.shop]
models = ["small", { pipeline = "whole", name = "small", version = 2 }]
"""


@pytest.mark.thorough
def test_an_image_of_several_models_answers_as_each_was_evaluated(road: Path, tmp_path: Path) -> None:
    project = copy(road, tmp_path / "project")
    with (project / "pyproject.toml").open("a") as file:
        file.write(SEVERAL)
    done = run_doit(project, env=NO_ENGINE)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = json.loads((project / "artifacts/check/shop/check.json").read_text())
    assert {name: len(one["agrees"]) for name, one in checked["models"].items()} == {"small/1": 2, "small/2": 2}
    record = json.loads((project / "artifacts/check/shop/stage.json").read_text())
    assert (record["metrics"]["ran_in"], record["metrics"]["samples"]) == ("image files", 64)
    places = road / "artifacts/image/small/image.json", project / "artifacts/image/shop/image.json"
    alone, both = ({one["name"]: one["digest"] for one in json.loads(file.read_text())["layers"]} for file in places)
    assert {"base", "wheels"} <= {name for name, digest in both.items() if alone.get(name) == digest}
    assert [name for name in both if name.startswith("model")] == ["model", "model-2"]


@pytest.mark.docker
def test_the_container_serves_hardened(road: Path, certificate: tuple[Path, Path], docker_engine: None) -> None:
    with loaded(road / "artifacts/image/small/image.tar") as image, hardened(image, certificate) as url:
        answers_as_evaluated(road, url, certificate[0])


@pytest.mark.docker
def test_a_container_with_the_rendered_limits_survives_the_worst_bodies(road: Path, docker_engine: None) -> None:
    """Its memory and its settings are those that are rendered; the bodies are those of the server's fuzzer."""
    server = yaml.safe_load((road / "artifacts/render/compose/compose.yaml").read_text())["services"]["server"]
    memory = int(server["deploy"]["resources"]["limits"]["memory"].removesuffix("m")) * 2**20
    settings = {key: value for key, value in server["environment"].items() if not key.endswith("_FILE")}
    assert int(settings["MODELYARD_MAX_BODY_BYTES"]) == fuzz.Box().body_bytes
    settings["MODELYARD_MAX_BATCH"] = "100000"  # the model is small: bodies may then be as large as the settings allow
    with (
        loaded(road / "artifacts/image/small/image.tar") as image,
        limited(image, memory, settings) as (port, state),
    ):
        statuses = fuzz.hail(port, "small", bodies=24)
        found = state()

    assert found == {"Running": True, "OOMKilled": False, "RestartCount": 0}, statuses
    assert statuses <= {400, 413, 503}
    assert statuses & {413, 503}, (
        "the largest of them are refused: for their size, or for want of room beside the others"
    )


@pytest.mark.thorough
@pytest.mark.docker
def test_the_container_on_a_base_of_the_engine_serves_hardened(
    road: Path, certificate: tuple[Path, Path], debian_base: str, tmp_path: Path
) -> None:
    import docker

    project = copy(road, tmp_path / "project")
    settings = ("image.use=docker", f"image.base={debian_base}", "image.repository=modelyard-test-onnx", "image.tag=v1")
    try:
        done = run_doit(project, *settings)
        assert done.returncode == 0, done.stdout + done.stderr
        metrics = json.loads((project / "artifacts/check/small/stage.json").read_text())["metrics"]
        assert metrics["ran_in"] == "container"
        assert metrics["largest_difference"] <= 1e-5
        with hardened("modelyard-test-onnx:v1", certificate) as url:
            answers_as_evaluated(project, url, certificate[0])
        again = run_doit(project, *settings)
        assert again.stdout.splitlines()[-1].startswith("built 0, restored 0"), again.stdout
    finally:
        with suppress(docker.errors.ImageNotFound), closing(docker.from_env()) as client:
            client.images.remove("modelyard-test-onnx:v1", force=True)


@pytest.mark.thorough
@pytest.mark.docker
@pytest.mark.registry
def test_what_the_engine_built_is_pulled_by_the_name_in_the_yaml(
    road: Path, certificate: tuple[Path, Path], debian_base: str, tmp_path: Path
) -> None:
    """The registry gives the digest that is rendered, and the image is the one that the engine built and that was checked."""
    import docker

    project = copy(road, tmp_path / "project")
    with registry(tmp_path) as host, closing(docker.from_env()) as client:
        settings = ("image.use=docker", f"image.base={debian_base}", f"image.repository={host}/team/small")
        built, pushed = run_doit(project, *settings), run_doit(project, "push", *settings)
        assert built.returncode == pushed.returncode == 0, built.stdout + pushed.stdout + pushed.stderr
        facts = json.loads((project / "artifacts/image/small/image.json").read_text())
        file = yaml.safe_load((project / "artifacts/render/compose/compose.yaml").read_text())
        name = file["services"]["server"]["image"]
        assert name == f"{host}/team/small:{facts['tag']}@{facts['digest']}"
        assert f"pushed {name}" in pushed.stdout
        client.images.remove(f"{host}/team/small:{facts['tag']}", force=True)
        try:
            subprocess.run(["docker", "pull", "--quiet", name], check=True, capture_output=True)
            assert client.images.get(name).id == facts["image_id"]
            with hardened(name, certificate) as url:
                answers_as_evaluated(project, url, certificate[0])
        finally:
            client.images.remove(name, force=True)
