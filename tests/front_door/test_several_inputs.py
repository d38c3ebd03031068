"""A model of two inputs and two outputs, which nobody here made, on data of two arrays: measured, quantized, packed, asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.front_door.builds import build

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DATA = '''
"""Token ids, and which of them count."""

import numpy as np
from modelyard.artifacts import Splits
from modelyard.params import InputPath


def tokens(context, *, path: InputPath = "tokens.npz"):
    """Return both arrays of each sample."""
    found = np.load(path)
    train, test = ({one: found[one][rows] for one in ("input_ids", "attention_mask")} for rows in (slice(200), slice(200, None)))
    return Splits(train, found["y"][:200], test, found["y"][200:], ["a", "b", "c"])
'''
NETWORK_OF_ONE = '''"""A network."""

import tf_keras


def build(input_shape, classes):
    """Return a network of one of the inputs."""
    ids = tf_keras.layers.Input(input_shape["input_ids"], name="ids")
    return tf_keras.Model(ids, tf_keras.layers.Dense(classes)(ids))
'''
CONFIG = """
[tool.modelyard]
name = "tokens"

[tool.modelyard.dataset]
use = "tokens:tokens"

[tool.modelyard.train]
use = "import"
path = "model.onnx"
output = "scores"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
whole = []
int8 = ["onnx-dynamic"]

[tool.modelyard.metrics.throughput]
seconds = 0.2

[tool.modelyard.check]
start = false
"""


def write_model(file: Path, mask: str = "attention_mask") -> np.ndarray:
    """Write a sum of embeddings and three scores of it; return the scores' weights by token, shape `(50, 3)`."""
    random, helper = np.random.default_rng(0), onnx.helper
    embeddings, weights = (random.normal(size=shape).astype(np.float32) for shape in ((50, 8), (8, 3)))
    kept = {"embeddings": embeddings, "weights": weights, "last": np.array([2]), "tokens": np.array([1])}
    nodes = [
        helper.make_node("Gather", ["embeddings", "input_ids"], ["each"]),
        helper.make_node("Cast", [mask], ["counts"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["counts", "last"], ["factors"]),
        helper.make_node("Mul", ["each", "factors"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "tokens"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weights"], ["scores"]),
    ]
    whole, real = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info(name, whole, ("batch", "length")) for name in ("input_ids", mask)],
        [helper.make_tensor_value_info(name, real, ("batch", size)) for name, size in (("pooled", 8), ("scores", 3))],
        [onnx.numpy_helper.from_array(value, name) for name, value in kept.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return embeddings @ weights


@pytest.fixture
def project(tmp_path: Path) -> Path:
    scores = write_model(tmp_path / "model.onnx")
    random = np.random.default_rng(1)
    ids, mask = random.integers(0, 50, (300, 6)), np.arange(6) < random.integers(1, 7, (300, 1))
    y = (scores[ids] * mask[..., None]).sum(axis=1).argmax(axis=1)
    np.savez(tmp_path / "tokens.npz", input_ids=ids, attention_mask=mask.astype(np.int64), y=y)
    (tmp_path / "tokens.py").write_text(DATA)
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    return tmp_path


def test_every_stage_follows_the_names(project: Path) -> None:
    memory = "metrics.server-memory={ starts = 1, seconds = 0.1 }"
    done = build(project, "select", memory, "gates.max_server_memory='1 GB'")

    assert done.code == 0, done.output
    held = json.loads((project / "artifacts/evaluate/whole/latency.json").read_text())["metrics"][-1]
    assert (held["name"], held["unit"], held["interval"]) == ("server_memory", "bytes", [None, None])
    assert 20_000_000 < held["value"] < 1_000_000_000
    refused = build(project, "select", memory, "gates.max_server_memory='1 MB'")
    assert refused.built == set(), "a gate measures nothing"
    assert "max_server_memory: " in refused.output
    accuracy = {
        name: json.loads((project / f"artifacts/evaluate/{name}/evaluation.json").read_text())["accuracy"]
        for name in ("whole", "int8")
    }
    assert accuracy["whole"] == 1
    assert accuracy["int8"] > 0.95
    facts = json.loads((project / "artifacts/select/tokens/model/model.json").read_text())
    assert [(one["name"], one["dtype"], one["shape"]) for one in facts["inputs"]] == [
        ("input_ids", "int64", [6]), ("attention_mask", "int64", [6]),
    ]  # fmt: skip
    assert facts["outputs"][0]["tensor"] == "scores"
    files = {file.name for file in (project / "artifacts/dataset/tokens.tokens").glob("*_x*.npy")}
    assert files == {f"{split}_x.{name}.npy" for split in ("train", "test") for name in ("input_ids", "attention_mask")}


def test_arrays_of_other_names_are_told_apart_by_the_configuration(project: Path) -> None:
    write_model(project / "model.onnx", mask="mask:0")

    refused = build(project, "train")
    named = build(project, "train.inputs={ attention_mask = 'mask:0' }", "evaluate:whole")
    misspelt = build(project, "train.inputs={ atention_mask = 'mask:0' }", "train")

    assert "takes 2 tensors: 'input_ids', int64 (batch, length); 'mask:0'" in refused.output
    assert "none is called 'attention_mask'" in refused.output
    assert "for instance inputs = { attention_mask = 'mask:0' }" in refused.output
    assert named.code == 0, named.output
    assert "the data set has no array 'atention_mask', did you mean 'attention_mask'?" in misspelt.output
    assert "Traceback" not in refused.output + misspelt.output


@pytest.mark.thorough
def test_without_data_a_variant_is_held_against_the_model_as_it_came(project: Path) -> None:
    file = project / "pyproject.toml"
    generated = (
        'use = "generated"\nmodel = "model.onnx"\nhigh = 50\nsamples = 64\n\n[tool.modelyard.task]\nuse = "agreement"'
    )
    file.write_text(file.read_text().replace('use = "tokens:tokens"', generated))

    done = build(project, "gates.max_relative_error=0.2", "check")

    assert done.code == 0, done.output
    rows = json.loads((project / "artifacts/evaluate/int8/evaluation.json").read_text())["metrics"]
    assert 0 < next(one["value"] for one in rows if one["name"] == "relative_error") < 0.2
    beyond = build(project, "dataset.high=51", "evaluate:whole")
    assert "must be within the inclusive range [-50,49]" in beyond.output
    assert "Traceback" not in beyond.output


def test_a_file_that_does_not_say_what_it_takes_gets_no_samples(project: Path) -> None:
    (project / "model.bin").write_bytes(b"weights")

    done = build(project, "dataset={ use = 'generated', model = 'model.bin' }", "task.use=agreement", "dataset")

    assert "model.bin: does not say which tensors it takes" in done.output


def test_the_answer_that_counts_must_be_named(project: Path) -> None:
    done = build(project, "train.output=''", "train")

    assert "answers 2 tensors: 'pooled', float32 (batch, 8); 'scores', float32 (batch, 3)" in done.output
    assert "none is called 'probabilities'" in done.output
    assert "for instance output = 'scores'" in done.output
    wrong = build(project, "train.output=pooled", "train")
    assert "answers 'pooled', float32 (batch, 8), but the data set has 3 classes" in wrong.output


def test_a_network_of_one_input_is_told_the_names_of_all(project: Path) -> None:
    (project / "net.py").write_text(NETWORK_OF_ONE)
    done = build(
        project, "train={}", "model={ use = 'net:build' }", "variants={ a = ['float32'] }", "runtime={}", "train"
    )

    assert "takes ids, but the data set's arrays are attention_mask, input_ids" in done.output
    assert "name its inputs like them" in done.output


@pytest.mark.thorough
def test_the_report_tells_each_input(project: Path) -> None:
    assert build(project, "evaluate").code == 0
    done = build(project, "report")

    assert done.code == 0, done.output
    (folder,) = (project / "artifacts/report").iterdir()
    dataset = json.loads((folder / "report.json").read_text())["dataset"]
    assert [(one["name"], one["shape"]) for one in dataset["inputs"]] == [("input_ids", [6]), ("attention_mask", [6])]
    assert "each input_ids 6, int64; attention_mask 6, int64." in (folder / "index.html").read_text()
