"""A model that takes texts itself, beside numbers: on disk, measured, calibrated and checked, they are what the data set gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.front_door.builds import build
from tests.front_door.test_handlers_road import edit

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FILES = {
    "data.py": '''
"""Words and how long each is, and what it is called."""

import numpy as np

from modelyard.artifacts import Splits

WORDS = ["red", "grün", "蓝"]


def words(context, *, first: str = "red", texts: str = "word"):
    """Return words."""
    y = np.arange(90) % 3
    found = [first, *(WORDS[one] for one in y[1:])]
    x = {texts: found, "length": np.array([[len(one)] for one in found], np.float32)}
    train, test = ({name: column[rows] for name, column in x.items()} for rows in (slice(60), slice(60, None)))
    return Splits(train, y[:60], test, y[60:], WORDS, slices={"odd": [str(one % 2) for one in range(30)]})


def raw(context):
    """Return words of which one is no text."""
    y = np.arange(6) % 3
    x = {"word": [*WORDS, *WORDS[:2], b"\\xff"], "length": np.ones((6, 1), np.float32)}
    return Splits(x, y, x, y, WORDS)
''',
    "upper.py": '''
"""Texts in small letters."""


def lower(place):
    """Make each text one of small letters."""

    def run(tensors):
        return {"word": [text.decode().lower() for text in tensors["shouted"]]}

    return place.handler(run, [place.tensor("shouted", "bytes")], [place.tensor("word", "bytes")])
''',
    "pyproject.toml": """
[tool.modelyard]
name = "words"

[tool.modelyard.dataset]
use = "data:words"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
whole = []
int8 = ["onnx-static"]

[tool.modelyard.evaluate]
latency_samples = 12
slices = ["odd"]

[tool.modelyard.check]
start = false
""",
}


def write_model(file: Path, *, takes: int = onnx.TensorProto.STRING) -> None:
    """Write three scores of a word, which alone decides, and its length."""
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    words = {"keys_strings": ["red", "grün", "蓝"], "values_int64s": [0, 1, 2], "default_int64": 0}
    looked_up = helper.make_node("LabelEncoder", ["word"], ["number"], domain="ai.onnx.ml", **words)
    cast = helper.make_node("Cast", ["word"], ["number"], to=onnx.TensorProto.INT64)
    nodes = [
        looked_up if takes == onnx.TensorProto.STRING else cast,
        helper.make_node("OneHot", ["number", "depth", "ends"], ["word_is"]),
        helper.make_node("Concat", ["word_is", "length"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "weights"], ["scores"]),
    ]
    weights = np.concatenate([4 * np.eye(3, dtype=np.float32), np.full((1, 3), 0.1, np.float32)])
    kept = {"depth": np.array(3), "ends": np.array([0, 1], np.float32), "weights": weights}
    value = helper.make_tensor_value_info
    inputs = [value("word", takes, ["n"]), value("length", real, ["n", 1])]
    held = [onnx.numpy_helper.from_array(array, name) for name, array in kept.items()]
    graph = helper.make_graph(nodes, "words", inputs, [value("scores", real, ["n", 3])], held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), file)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx")
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    return tmp_path


def test_texts_go_to_the_model_as_they_are_and_their_content_is_in_the_key(project: Path) -> None:
    done = build(project, "check")
    assert done.code == 0, done.output
    for variant in ("whole", "int8"):
        found = json.loads((project / f"artifacts/evaluate/{variant}/evaluation.json").read_text())
        assert found["accuracy"] == 1, f"{variant}: texts of other alphabets, too"
    facts = json.loads((project / "artifacts/select/words/model/model.json").read_text())
    assert [(one["name"], one["dtype"], one["shape"]) for one in facts["inputs"]] == [
        ("word", "bytes", []), ("length", "float32", [1]),
    ]  # fmt: skip
    other = build(project, "dataset.first=green", "evaluate:whole")
    assert {"dataset:data.words", "evaluate:whole"} <= other.built, other.output
    edit(
        project / "pyproject.toml",
        "[tool.modelyard.check]",
        '[tool.modelyard.handlers]\nbefore = ["upper:lower"]\n\n[tool.modelyard.check]',
    )
    handled = build(project, "dataset.texts=shouted", "check")
    assert handled.code == 0, handled.output


def test_what_the_model_cannot_take_is_told_when_it_is_brought(project: Path) -> None:
    of_raw = build(project, "dataset={ use = 'data:raw' }", "train")
    scaled = build(project, "dataset.normalize=unit", "train")
    write_model(project / "model.onnx", takes=onnx.TensorProto.FLOAT)
    of_numbers = build(project, "train")

    assert "takes 'word', bytes (n), which are texts in UTF-8" in of_raw.output
    assert scaled.code == 0, "of several columns those that can be are normalized"
    assert "takes 'word', float32 (n), but the data set's 'word' reaches it as bytes" in of_numbers.output
    assert "[tool.modelyard.handlers] before, for instance tokenize" in of_numbers.output
    assert "Traceback" not in of_raw.output + of_numbers.output
