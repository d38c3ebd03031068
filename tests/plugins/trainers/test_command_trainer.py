"""A script or program of the project's own trains: its code counts, its output is kept, its mistakes are told by line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Doit

from modelyard.artifacts import Dataset, Model
from modelyard.testing import write_small_project

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PYPROJECT = """\
[project]
name = "scripted"
version = "1.0"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.train]
use = "command"
run = "python train.py --data {dataset} --out {model} --rounds 40"
produces = "onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
as-it-is = []
"""
TRAIN = """\
import argparse
import json
from pathlib import Path

import numpy as np
from modelyard.artifacts import Dataset
from writing import write

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--rounds", type=int)
options = parser.parse_args()

data = Dataset.open(options.data)
x, y = data.inputs("train"), data.y("train")
x, classes = x.reshape(len(x), -1), len(data.facts.class_names)
weights = np.zeros((x.shape[1], classes), np.float32)
for number in range(options.rounds):
    raised = np.exp(x @ weights)
    weights -= 0.5 * (x.T @ (raised / raised.sum(1, keepdims=True) - np.eye(classes)[y]) / len(x)).astype(np.float32)
    print("modelyard: " + json.dumps({"done": number + 1, "total": options.rounds, "unit": "rounds"}))
print(f"{options.rounds} rounds", end="")
(options.out.parent / "metrics.json").write_text('{"largest": 1.5}')
write(options.out, weights, data.facts.input_shape)
"""
END = TRAIN.count("\n") + 1
"""The line of what is appended to the script."""
WRITING = '''\
import onnx
from onnx import helper, numpy_helper


def write(path, weights, shape):
    """Write a linear model."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    taken = helper.make_tensor_value_info("x", 1, ("n", *shape))
    given = helper.make_tensor_value_info("y", 1, ("n", weights.shape[1]))
    graph = helper.make_graph(nodes, "g", [taken], [given], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
'''


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, doit: Doit) -> Path:
    """A project whose data set is built."""
    files = {"pyproject.toml": PYPROJECT, "train.py": TRAIN, "writing.py": WRITING}
    project = write_small_project(tmp_path_factory.mktemp("scripted") / "scripted", files)
    assert doit(project, "dataset").returncode == 0
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "scripted", symlinks=True))


def trained(doit: Doit, project: Path, *words: str) -> str:
    done = doit(project, *words, "train")
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_script_trains_and_its_code_counts_by_meaning(project: Path, doit: Doit) -> None:
    done = doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((project / "artifacts/train/scripted/stage.json").read_text())
    assert record["metrics"] == {"largest": 1.5}
    log = (project / ".modelyard/logs/train/scripted.log").read_text()
    assert "40 rounds" in log.splitlines()
    assert "modelyard: " not in log, "what tells progress goes to the terminal"

    file = project / "writing.py"
    file.write_text(file.read_text().replace("Write a linear model.", "Write it."))
    assert "built 0," in trained(doit, project)
    file.write_text(file.read_text().replace('"g"', '"graph"'))
    done = doit(project, "why", "train:scripted")
    assert "code writing.py: write changed" in done.stdout
    assert "built 1," in trained(doit, project)
    assert "built 1," in trained(
        doit, project, 'train.run="python train.py --data {dataset} --out {out}/model.onnx --rounds 3"'
    )


def test_a_program_that_is_no_python_trains(project: Path, doit: Doit) -> None:
    trained(doit, project)
    model = (project / "artifacts/train/scripted/model.onnx").read_bytes()
    (project / "given.onnx").write_bytes(model)
    said = trained(doit, project, 'train.run="cp {input} {model}"', "train.input=given.onnx")
    assert ".  train:scripted: built" in said
    assert (project / "artifacts/train/scripted/model.onnx").read_bytes() == model
    (project / "given.onnx").write_bytes(model + b"\x7a\x00")  # its content counts
    assert "built 1," in trained(doit, project, 'train.run="cp {input} {model}"', "train.input=given.onnx")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('open("secret.txt").read()', f"train.py:{END}: reads secret.txt, which does not count"),
        ("raise SystemExit(3)", "train.py ended with 3"),
        ('{}["nope"]', f"train.py:{END}: " + "{}[\"nope\"]\n  raised KeyError: 'nope'"),
        ("options.out.unlink()", "did not write 'model.onnx'"),
        ('(options.out.parent / "metrics.json").write_text("[]")', "metrics.json: [] is no number"),
        ('(options.out.parent / "metrics.json").write_text("{")', "metrics.json: not JSON: "),
    ],
)
def test_a_mistake_of_the_script_is_told_by_its_line(line: str, told: str, project: Path, doit: Doit) -> None:
    (project / "secret.txt").write_text("who knows")
    with (project / "train.py").open("a") as file:
        file.write(f"{line}\n")
    assert told in trained(doit, project)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("python trian.py --out {model}", "runs 'trian.py', which is no file of the project, did you mean 'train.py'?"),
        ("python ../train.py --out {model}", "runs '../train.py', which is no file of the project"),
        ("python train.py", "it does not say where the model goes\n  put {model} or {out} among its words"),
        ("python -m train {model}", "it runs Python, but no file of the project"),
        ("python 'train.py {model}", "it is no command\n  write words, with quotes closed"),
        ("cp {input} {model}", "it names {input}, which is not set"),
        ("no-such-program {model}", "the command 'no-such-program' is not found on PATH"),
        ("false {model}", "'false' ended with code 1"),
    ],
)
def test_a_command_that_cannot_be_run_is_told(run: str, told: str, project: Path, doit: Doit) -> None:
    assert told in trained(doit, project, f"train.run={json.dumps(run)}")


TWO = """

import onnx
model = onnx.load(options.out)
model.graph.node.append(onnx.helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0))
model.graph.output.insert(0, onnx.helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ("n",)))
model.graph.input[0].name = model.graph.node[0].input[0] = "pixels:0"
onnx.save(model, options.out)
"""
"""The model answers a label, too, before its scores, as those of scikit-learn do, and calls its samples otherwise."""


def test_of_several_answers_the_one_that_counts_is_named(project: Path, doit: Doit) -> None:
    with (project / "train.py").open("a") as file:
        file.write(TWO)
    named = ("train.output=y", 'train.inputs={"input" = "pixels:0"}')
    done = doit(project, *named, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    model = json.loads((project / "artifacts/train/scripted/model.json").read_text())
    assert [one["tensor"] for one in (*model["inputs"], *model["outputs"])] == ["pixels:0", "y"]
    said = trained(doit, project, 'train.inputs={"inputs" = "pixels:0"}', "train.output=y")
    assert "did you mean 'input'?" in said
    assert "40 rounds" not in said, "before anything is trained"
    assert "answers 2 tensors: 'label'" in trained(doit, project, "train.output=yy")


def _network(shape: Sequence[int | None], classes: int) -> Any:
    """Return a network that was not trained."""
    from tf_keras import Sequential, layers

    return Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes)])


@pytest.mark.tensorflow
def test_a_saved_model_is_written(project: Path, doit: Doit, tensorflow: None) -> None:
    facts = Dataset.open(project / "artifacts/dataset/arrays").facts
    _network(facts.input_shape, len(facts.class_names)).export(project / "saved")
    words = ('train.run="cp -r {input} {model}"', "train.input=saved", "train.produces=saved_model")
    said = doit(project, *words, 'variants={ plain = ["saved-model-onnx"] }', "train")
    assert said.returncode == 0, said.stdout + said.stderr
    model = Model.open(project / "artifacts/train/scripted")
    assert (model.path / "saved_model.pb").is_file()
    assert model.facts.format == "tf_saved_model"
    assert model.facts.signature is not None
