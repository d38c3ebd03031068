from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.facts import model_json
from tests.serving.test_model import FACTS, KNOWN, written

from modelyard.serving import model
from modelyard.serving.errors import StartError


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
