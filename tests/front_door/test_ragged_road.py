"""A project whose handler makes of each text as many numbers as it has letters: on disk, measured, checked and served, nobody pads."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.front_door.builds import build, serving
from tests.front_door.test_handlers_road import edit

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FILES = {
    "data.py": '''
"""Words of one to nine letters, and the letter that each has most of."""

import random

import numpy as np

from modelyard.artifacts import Splits


def words(context):
    """Return words."""
    chosen = random.Random(0)
    found = ["".join(chosen.choice("abc") for _ in range(chosen.randint(1, 9))) for _ in range(90)]
    y = np.array([max(range(3), key=lambda letter: one.count("abc"[letter])) for one in found])
    return Splits(found[:60], y[:60], found[60:], y[60:], ["a", "b", "c"], test_sets={"short": (["a", "cc"], np.array([0, 2]))})
''',
    "letters.py": '''
"""Texts to the numbers of their letters."""

import numpy as np


def codes(place):
    """Give each text as many numbers as it has letters, and a mask of ones."""

    def run(tensors):
        found = [np.array(["abc".index(one) for one in text.decode()], np.int64) for text in tensors["text"]]
        return {"codes": found, "mask": [np.ones(len(one), np.float32) for one in found]}

    gives = [place.tensor("codes", "int64", ["letters"], pad=1), place.tensor("mask", "float32", ["letters"])]
    return place.handler(run, [place.tensor("text", "bytes")], gives)
''',
    "pyproject.toml": """
[tool.modelyard]
name = "letters"

[tool.modelyard.dataset]
use = "data:words"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.handlers]
before = ["letters:codes"]
after = ["top-labels"]

[tool.modelyard.variants]
whole = []

[tool.modelyard.evaluate]
latency_samples = 12
warmup = 0
test_sets = ["short"]

[tool.modelyard.check]
start = false
""",
}


def write_model(file: Path) -> None:
    """Write a model that counts each letter where the mask is 1."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["table", "codes"], ["each"]),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["each", "column"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "first"], ["counts"], keepdims=0),
        helper.make_node("Softmax", ["counts"], ["scores"]),
    ]
    taken = [
        helper.make_tensor_value_info(name, kind, ("batch", "letters"))
        for name, kind in (("codes", kinds.INT64), ("mask", kinds.FLOAT))
    ]
    constants = {"table": np.eye(3, dtype=np.float32), "last": np.array([-1]), "first": np.array([1])}
    kept = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    given = [helper.make_tensor_value_info("scores", kinds.FLOAT, ("batch", 3))]
    graph = helper.make_graph(nodes, "letters", taken, given, kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    write_model(tmp_path / "model.onnx")
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    return tmp_path


def test_texts_of_several_lengths_are_measured_and_served_unpadded(project: Path) -> None:
    done = build(project, "select")

    assert done.code == 0, done.output
    measured = {
        one["name"]: one["value"]
        for one in json.loads((project / "artifacts/evaluate/whole/evaluation.json").read_text())["metrics"]
    }
    assert (measured["accuracy"], measured["short_accuracy"]) == (1, 1)
    data = project / "artifacts/dataset/data.words"
    facts = json.loads((data / "dataset.json").read_text())
    assert [(one["name"], one["shape"], one["pad"]) for one in facts["inputs"]] == [
        ("codes", ["length"], 1),
        ("mask", ["length"], 0),
    ]
    lengths = np.diff(np.load(data / "test_sent.text.offsets.npy"))
    for name in ("codes", "mask"):
        assert np.array_equal(np.diff(np.load(data / f"test_x.{name}.offsets.npy")), lengths)
        assert len(np.load(data / f"test_x.{name}.values-00000.npy")) == lengths.sum()
    with serving(project) as address:
        assert [label for label, _ in asked(address, ["ab" * 20 + "b", "a", "cc", "b"])] == ["b", "a", "c", "b"]
        assert asked(address, ["aab", "c"]) == asked(address, ["aab"]) + asked(address, ["c"])


def asked(address: str, texts: list[str]) -> list[tuple[str, list[float]]]:
    """Return the label and the probabilities of each text, by the Open Inference Protocol."""
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    request = urllib.request.Request(
        f"{address}/v2/models/letters/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: Any = {one["name"]: one["data"] for one in json.loads(answer.read())["outputs"]}
    rows = np.reshape(found["probabilities"], (len(texts), 3)).tolist()
    return list(zip(found["label"], rows, strict=True))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("letters.py", '"float32", ["letters"]', '"float32", [9]', "gave 'mask' as samples of unlike shapes; it says (60, 9), and an axis that varies has a name let it give"),
        ("letters.py", "np.ones(len(one),", "np.ones(3,", "'letters'), letters = "),
        ("data.py", "found[:60],", "[*found[:59], ''],", "train_x['codes']: sample 59 is empty: it is 0 long leave it out"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(project: Path, file: str, old: str, new: str, message: str) -> None:
    edit(project / file, old, new)

    done = build(project, "dataset")

    assert done.code != 0
    assert message in " ".join(done.output.split())
    assert "Traceback" not in done.output
