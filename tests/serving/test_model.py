from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.facts import model_facts, model_json

from modelyard import tensors
from modelyard.files.json import write_json
from modelyard.serving import model
from modelyard.serving.errors import StartError

KNOWN = {
    "format": "tflite",
    "file": "model.tflite",
    "input_shape": [8, 8, 1],
    "input_dtype": "uint8",
    "preprocessing": {"scale": 0.0625, "mean": [0.3], "std": [0.4]},
    "class_names": ["a", "b"],
}
FACTS = model_json(**KNOWN)
NUMBER = st.floats(-100, 100, width=32)


def written(folder: Path, data: Any) -> Any:
    (folder / "model.tflite").touch()
    (folder / "model.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return folder


def test_facts_are_read_and_unknown_keys_are_kept(tmp_path: Path) -> None:
    facts = model.Facts.read(written(tmp_path, model_json(**KNOWN, variant="int8", accuracy=0.97, value_range=[0, 16])))

    normal = model.Preprocessing(0.0625, (0.3,), (0.4,))
    assert facts.input == model.Input("input", np.dtype(np.uint8), (8, 8, 1), normal, (0, 16))
    assert facts.output == model.Output("probabilities", np.dtype(np.float32), (2,), "softmax", ("a", "b"))
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

    normal = model.Preprocessing(0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert facts.input == model.Input("input", np.dtype(np.float32), (4, 4, 3), normal)
    assert facts.output == model.Output("probabilities", np.dtype(np.float32), (2,), "none", ("x", "y"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "the top level is not an object"),
        ("\xff", "not a model's facts"),
        ({}, "no key 'file'"),
        (FACTS | {"file": "../model.tflite"}, "file: '../model.tflite' is not the name of a file"),
        (FACTS | {"file": 7}, "file: 7 is not the name of a file"),
        (FACTS | {"inputs": []}, "inputs: [] is not a list of objects"),
        (FACTS | {"inputs": FACTS["inputs"] * 2}, "a name is there twice: 'input', 'input'"),
        (FACTS | {"file": "other.tflite"}, "names 'other.tflite', which is not there"),
        (model_json(**KNOWN | {"input_shape": [8, 0]}), "shape: 0 is not a whole number"),
        (model_json(**KNOWN | {"input_shape": 8}), "not a model's facts"),
        (model_json(**KNOWN | {"input_dtype": "string"}), "dtype: 'string'; allowed: bool, uint8"),
        (
            FACTS | {"outputs": [{**FACTS["outputs"][0], "activation": "relu"}]},
            "activation: 'relu'; allowed: none, softmax, sigmoid",
        ),
        (model_json(**KNOWN, value_range=[1, 2, 3]), "not a model's facts"),
        (model_json(**KNOWN | {"preprocessing": {"mean": "abc"}}), "could not convert"),
    ],
)
def test_damaged_facts_are_refused_in_one_line(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(StartError) as caught:
        model.Facts.read(written(tmp_path, data))

    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "model.json"))
    assert "\n" not in str(caught.value)


def test_a_missing_model_json_says_which_variable_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file or directory; MODELYARD_MODEL_DIR must name"):
        model.Facts.read(tmp_path)


@given(
    hnp.arrays(st.sampled_from([np.uint8, np.float32]), (2, 3, 3), elements=st.integers(0, 255)),
    NUMBER,
    st.tuples(NUMBER, NUMBER, NUMBER),
    st.tuples(*[st.floats(0.125, 100, width=32)] * 3),
)
def test_preprocessing_is_the_one_of_the_evaluation(raw: np.ndarray, scale: Any, mean: Any, std: Any) -> None:
    ours = tensors.Preprocessing(scale=scale, mean=mean, std=std).apply(raw)

    served = model.Preprocessing(scale, mean, std).apply(raw)

    assert served.dtype == ours.dtype == np.float32
    np.testing.assert_array_equal(served, ours)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-300, 300, width=32)))
def test_softmax_gives_probabilities_in_the_order_of_the_logits(logits: Any) -> None:
    probabilities = model.softmax(logits)
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, exact / exact.sum(axis=1, keepdims=True), atol=1e-6)
