from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facts import model_facts, model_json

from modelyard import tensors
from modelyard.files.json import write_json
from modelyard.serving import model, tensor_facts
from modelyard.serving.errors import StartError

KNOWN: dict[str, Any] = {
    "format": "tflite",
    "file": "model.tflite",
    "input_shape": [8, 8, 1],
    "input_dtype": "uint8",
    "preprocessing": {"scale": 0.0625, "mean": [0.3], "std": [0.4]},
    "class_names": ["a", "b"],
}
FACTS = model_json(**KNOWN)


def written(folder: Path, data: Any) -> Any:
    (folder / "model.tflite").touch()
    (folder / "model.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return folder


def test_facts_are_read_and_unknown_keys_are_kept(tmp_path: Path) -> None:
    facts = model.Facts.read(written(tmp_path, model_json(**KNOWN, variant="int8", accuracy=0.97, value_range=[0, 16])))

    normal = tensor_facts.Preprocessing(0.0625, (0.3,), (0.4,))
    assert facts.input == tensor_facts.Input("input", np.dtype(np.uint8), (8, 8, 1), normal, (0, 16))
    assert facts.output == tensor_facts.Output("probabilities", np.dtype(np.float32), (2,), "softmax", ("a", "b"))
    assert facts.extra == {"task": "classification", "variant": "int8", "accuracy": 0.97}
    assert (facts.label("variant"), facts.label("accuracy"), facts.label("sha256")) == ("int8", "0.97", "")


def test_what_modelyard_writes_is_read(tmp_path: Path) -> None:
    ours = model_facts(
        format="tflite",
        input_shape=(4, 4, 3),
        input_dtype="float32",
        preprocessing=tensors.Preprocessing(scale=0.5, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)),
        class_names=("x", "y"),
        output="probabilities",
    )
    (tmp_path / "model.tflite").touch()
    write_json(tmp_path / "model.json", ours)

    facts = model.Facts.read(tmp_path)

    normal = tensor_facts.Preprocessing(0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert facts.input == tensor_facts.Input("input", np.dtype(np.float32), (4, 4, 3), normal)
    assert facts.output == tensor_facts.Output("probabilities", np.dtype(np.float32), (2,), "none", ("x", "y"))


def test_a_missing_model_json_says_which_variable_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file or directory; MODELYARD_MODEL_DIR must name"):
        model.Facts.read(tmp_path)
