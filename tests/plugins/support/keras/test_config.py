"""Configurations as Keras 2 and 3 write them, and as somebody may have changed them. Nothing here needs Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DataError
from modelyard_plugins.support.keras.config import check_config

REGISTERED = {"Project>Scale", "Project>swish"}


def dense(**changes: Any) -> dict[str, Any]:
    config = {
        "units": 3,
        "activation": "relu",
        "kernel_initializer": {"module": "keras.initializers", "class_name": "Zeros"},
    }
    return {"module": "keras.layers", "class_name": "Dense", "config": config | changes, "registered_name": None}


def operator(function: str) -> dict[str, Any]:
    return {
        "module": "tf_keras.src.layers.core.tf_op_layer",
        "class_name": "TFOpLambda",
        "config": {"function": function},
    }


def model(*layers: Any) -> dict[str, Any]:
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": {"layers": list(layers)}}


def check(*layers: Any, weights: int = 100) -> None:
    check_config(model(*layers), weights, Path("model.keras"), REGISTERED.__contains__)


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize(
    "layer",
    [
        dense(),
        dense(dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}),
        dense(activation=function("builtins", "Project>swish")),
        dense(activation=function("builtins", "relu")),
        dense(activation=function("keras.activations", "relu")),
        {"module": "my_model", "class_name": "Scale", "config": {}, "registered_name": "Project>Scale"},
        {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}, "registered_name": "Add"},
        {
            "module": "tensorflow_model_optimization.python.core.quantization",
            "class_name": "QuantizeLayer",
            "config": {},
        },
        {"class_name": "Dense", "config": {"units": 2}},
        *map(operator, ("__operators__.add", "math.multiply", "nn.relu", "reshape", "concat", "compat.v1.transpose")),
    ],
)
def test_layers_of_keras_and_of_the_project_pass(layer: Any) -> None:
    check(layer)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, "holds a Lambda"),
        (dense(activation={"class_name": "__lambda__", "config": {"value": "4wE="}}), "holds a __lambda__"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}}, "holds a TFSMLayer"),
        ({"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}}, "holds a TorchModuleWrapper"),
        (function("os", "system"), "names 'system' of the module 'os'"),
        (dense(activation=function("my_model", "unknown")), "names 'unknown' of the module 'my_model'"),
        (dense(activation=function("builtins", "exec")), "names 'exec' of the module 'builtins'"),
        (function("keras.utils", "get_file"), "names 'get_file' of the module 'keras.utils'"),
        ({"module": "keras.utils", "class_name": "OrderedEnqueuer", "config": {}}, "module 'keras.utils'"),
        ({"module": "subprocess", "class_name": "Popen", "config": {}}, "names 'Popen' of the module 'subprocess'"),
        (operator("io.write_file"), "calls 'io.write_file'"),
        (operator("compat.v1.raw_ops.WriteFile"), "calls 'compat.v1.raw_ops.WriteFile'"),
        (operator("py_function"), "calls 'py_function'"),
        (operator("compat.v1.py_func"), "calls 'compat.v1.py_func'"),
        (operator("print"), "calls 'print'"),
    ],
)
def test_what_can_run_code_or_reach_files_is_refused(layer: Any, words: str) -> None:
    with pytest.raises(DataError, match=r"^model\.keras: .*, which .*\n  keep to layers of Keras") as caught:
        check(dense(), layer)
    assert words in str(caught.value)


def test_a_vocabulary_is_in_the_file_itself() -> None:
    check({"class_name": "StringLookup", "config": {"vocabulary": ["a", "b"]}})
    with pytest.raises(DataError, match="a vocabulary is in the file '/etc/passwd'"):
        check({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}})


def test_a_layer_has_no_more_units_than_the_file_has_weights() -> None:
    check(dense(units=100))
    with pytest.raises(DataError, match=r"says \{'units': 100000000000\}, but holds 100 weights\n  build the stage"):
        check(dense(units=10**11))
